"""Short ways to fill a ledger in tests."""

from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import CTImageStorage

from dicom_node.ledger import jobs, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.jobs import Claim, NewJob
from dicom_node.ledger.states import JobState
from dicom_node.records import DerivedInstance, DerivedSeries, ReceivedInstance
from sr_engine.volume import SelfCheck

SERIES = "2.25.1"
AGAIN_S = 60.0
NOBODY_IS_GONE = lambda _owner: False  # noqa: E731
EVERYBODY_IS_GONE = lambda _owner: True  # noqa: E731


def received(number: int, series: str = SERIES, digest: str = "a") -> ReceivedInstance:
    """One instance as the spool hands it over."""
    return ReceivedInstance(
        sop_instance_uid=f"{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=series,
        study_instance_uid="2.25.9",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path(f"/spool/{series}/{number}-{digest}"),
        size=1,
        sha256=digest * 64,
        calling_ae="CT1",
        peer_ip="127.0.0.1",
        received_at=datetime.now(UTC),
    )


def arrive(database: Database, count: int = 4, series: str = SERIES) -> int:
    """Record ``count`` instances of a series that is due at once; returns its id."""
    receipts.record(database, [received(number, series) for number in range(count)], quiet_s=0)
    return series_id(database)


def series_id(database: Database) -> int:
    """The id of the newest due series."""
    return max(receipts.due_series(database))


def new_job(
    database: Database, series: int, state: JobState = JobState.QUEUED, key: str = "k", reason: str = ""
) -> NewJob:
    """A job of every instance of a series."""
    _, instances = receipts.read_series(database, series)
    ids = tuple(item.id for item in instances)
    return NewJob(key * 64, "", state, reason, ids, "cubic", "d" * 64)


def queue(database: Database, key: str = "k", series_uid: str = SERIES) -> int:
    """A series with one queued job; returns the job's id."""
    series = arrive(database, series=series_uid)
    row, _ = receipts.read_series(database, series)
    assert jobs.complete(database, series, row.instances, row.revision, [new_job(database, series, key=key)])
    return jobs.due_jobs(database, AGAIN_S)[-1].id


def claimed(database: Database, job_id: int) -> Claim:
    """The job, claimed."""
    claim = jobs.claim(database, job_id, "host/boot/1/1.0", lease_s=60)
    assert claim is not None
    return claim


def result(count: int = 3) -> DerivedSeries:
    """A stored result."""
    instances = tuple(
        DerivedInstance(CTImageStorage, f"2.25.7.{k}", "2.25.7", Path(f"/results/{k}"), "b" * 64) for k in range(count)
    )
    check = SelfCheck(0.0, 1.0, 0.1, None, -1024.0, 1000.0, 1.0)
    return DerivedSeries("2.25.9", "2.25.7", Path("/results"), instances, SERIES, check, count)
