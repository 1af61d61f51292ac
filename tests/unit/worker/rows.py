"""A received series and its job in a node's ledger, without a listener."""

from collections.abc import Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread

from dicom_node.ledger import jobs, models, queries, receipts
from dicom_node.ledger.jobs import Claim
from dicom_node.ledger.queries import JobView
from dicom_node.records import ReceivedInstance
from dicom_node.series.headers import data_set_digest
from tests.phantom import chest, write_dicom
from worker.steps.judge import judge_series
from worker.wiring import Node


def queue_series(node: Node, folder: Path, seed: int = 7) -> int:
    """Enter a small thick series that was written to ``folder`` and judge it; returns its one job's id."""
    return queue_images(node, write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, folder, seed=seed))


def queue_images(node: Node, images: Sequence[Path]) -> int:
    """Enter images of one series and judge it; returns the id of its newest job."""
    series_id = enter_images(node, images)
    assert judge_series(node, series_id)
    job = queries.jobs_of(node.database, series_id)[-1]
    assert job.state == "queued", job.reason
    return job.id


def enter_series(node: Node, folder: Path, seed: int = 7, calling_ae: str = "CT1") -> int:
    """Enter a small thick series that was written to ``folder``; returns its id."""
    return enter_images(node, write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, folder, seed=seed), calling_ae)


def enter_images(node: Node, images: Sequence[Path], calling_ae: str = "CT1") -> int:
    """Enter images of one series; returns its id."""
    receipts.record(node.database, [received_image(path, calling_ae) for path in images], quiet_s=0)
    return max(receipts.due_series(node.database))


def claim_next(node: Node, model_digests: Set[str], owner: str) -> Claim:
    """The most urgent job, claimed."""
    job_id = models.most_urgent(node.database, model_digests)
    assert job_id is not None
    claim = jobs.claim(node.database, job_id, owner, 60)
    assert claim is not None
    return claim


def view(node: Node, job_id: int) -> JobView:
    """A job as people see it."""
    found = queries.job_by_id(node.database, job_id)
    assert found is not None
    return found


def received_image(path: Path, calling_ae: str = "CT1") -> ReceivedInstance:
    """An image as the spool hands it over."""
    header = dcmread(path, stop_before_pixels=True)
    return ReceivedInstance(
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        study_instance_uid=str(header.StudyInstanceUID),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        path=path,
        size=path.stat().st_size,
        sha256=data_set_digest(path),
        calling_ae=calling_ae,
        peer_ip="127.0.0.1",
        received_at=datetime.now(UTC),
    )
