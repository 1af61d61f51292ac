"""A small series is restored with one network and then another, sent once more, and taken out; nothing is mixed up."""

from pathlib import Path

import pytest

from dicom_node.derive.manifest import read_manifest
from dicom_node.errors import InputError
from dicom_node.ledger import again as ledger_again
from dicom_node.ledger import purging, queries, receipts
from dicom_node.ledger.queries import JobView
from dicom_node.plans import Plan
from tests.faults.kit.invariants import OrthancHoldings
from tests.phantom import chest, write_dicom
from tests.servers import Pacs
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_images, enter_series, received_image
from worker import acts, again, retention
from worker.steps.deliver import deliver
from worker.steps.judge import judge_series
from worker.steps.restore import restore_next
from worker.wiring import Node

WHY = "for the test"


def node_with(folder: Path, *pacs: Pacs) -> Node:
    """A node on folders of the test's own, whose results go to these PACSs."""
    blocks = "\n".join(
        f'[[send.pacs]]\nname = "{name}"\nae_title = "{one.ae_title}"\nhost = "{one.host}"\nport = {one.port}\n'
        "storage_commitment = false"
        for name, one in zip(("main", "research"), pacs, strict=False)
    )
    return open_at(folder, blocks=blocks, worker="hold_unfamiliar = false")


def restored(node: Node) -> JobView:
    """The newest job, restored."""
    assert restore_next(node, node.model_digests, lambda _claim: None)
    return queries.jobs(node.database)[0]


def states(node: Node) -> list[tuple[str, str]]:
    return [(item.state, item.model_name) for item in queries.jobs_of(node.database, 1)]


def uids(job: JobView) -> set[str]:
    return {item.sop_instance_uid for item in read_manifest(Path(job.result or "")).instances}


def test_from_one_network_to_another_and_back_makes_three_series_of_the_same_images(tmp_path: Path) -> None:
    node = node_with(tmp_path)
    assert judge_series(node, enter_series(node, tmp_path / "images"))
    first = restored(node)
    assert "already" in again.restore_again(node, 1, WHY, "cubic").said
    assert again.restore_again(node, 1, WHY, "linear").said == "job 1 is restored again with linear"
    second = restored(node)
    assert again.restore_again(node, 1, WHY, "cubic", 2.5).done
    third = restored(node)
    assert states(node) == [("superseded", "cubic"), ("superseded", "linear"), ("restored", "cubic")]
    assert (third.figures or {})["spacing_mm"] == 2.5
    assert third.thin_slices != first.thin_slices
    assert len(uids(first) | uids(second) | uids(third)) == len(uids(first)) + len(uids(second)) + len(uids(third))
    receipts.reopen(node.database, 1, WHY)
    assert judge_series(node, 1)
    assert states(node)[-1] == ("restored", "cubic")  # what a person chose holds where the series is judged anew
    assert len(states(node)) == 3


def test_what_a_person_chose_holds_for_images_that_come_later(tmp_path: Path) -> None:
    node = node_with(tmp_path)
    images = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, tmp_path / "images")
    assert judge_series(node, enter_images(node, images[:-1]))
    restored(node)
    again.restore_again(node, 1, WHY, "linear")
    assert judge_series(node, enter_images(node, images[-1:]))
    assert states(node) == [("superseded", "cubic"), ("superseded", "linear"), ("queued", "linear")]
    assert queries.jobs(node.database)[0].plan == Plan("linear", again=1)


def test_only_networks_that_this_node_can_run_are_offered(tmp_path: Path) -> None:
    node = node_with(tmp_path)
    assert {"linear", "cubic", "lanczos"} <= set(again.networks(node))
    assert "vit" not in again.networks(node)
    with pytest.raises(InputError, match=r"cannot restore with 'vit'; it can with cubic"):
        again.restore_again(node, 1, WHY, "vit")
    assert "nothing that can be restored again" in again.restore_again(node, 1, WHY, "linear").said


def test_a_result_goes_once_more_to_one_pacs_and_first_to_another(
    tmp_path: Path, qrscp_server: Pacs, orthanc_server: Pacs
) -> None:
    node = node_with(tmp_path, qrscp_server, orthanc_server)
    assert judge_series(node, enter_series(node, tmp_path / "images", seed=4711))
    job = restored(node)
    for number in (1, 2):
        assert deliver(node, number)
        assert deliver(node, number)
    assert queries.jobs(node.database)[0].state == "verified"
    held = OrthancHoldings(orthanc_server)
    before = held.holdings()[job.derived_series_uid or ""]
    assert again.resend(node, 1, "the archive was emptied", "research").said == "job 1 is sent to research"
    assert not again.resend(node, 1, "me too", "research").done
    for _ in ("sent", "asked"):
        assert deliver(node, 2)
    found = {item.destination: item for item in queries.deliveries_of(node.database, job.id)}
    assert (found["research"].state, found["research"].stored) == ("verified", len(uids(job)))
    assert found["main"].state == "verified"
    assert held.holdings()[job.derived_series_uid or ""] == before == len(uids(job))
    with pytest.raises(InputError, match="they name: main, research"):
        again.resend(node, 1, WHY, "elsewhere")


def test_a_result_that_retention_removed_is_made_again_or_told_of(tmp_path: Path) -> None:
    node = node_with(tmp_path)
    assert judge_series(node, enter_series(node, tmp_path / "images"))
    job = restored(node)
    acts.cancel(node, 1, WHY)
    purging.purge_result(node.database, job.id, str(Path(job.result or "").parent), WHY)
    retention.remove_decided(node)
    assert ledger_again.resend(node.database, job.id, "main", [], WHY).endswith("restore the series again")
    assert again.restore_again(node, 1, WHY, "cubic").done
    assert uids(restored(node))


def test_a_series_is_judged_as_it_is_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gap leaves out is not invented: it is held, until the rest comes."""
    monkeypatch.setenv("THINSLICE_SERIES__QUIET_S", "3600")
    node = open_at(tmp_path)
    images = write_dicom(chest(shape=(21, 32, 32), pixel_mm=10).thick, tmp_path / "images")
    lacking = images[3]
    receipts.record(node.database, [received_image(path) for path in images if path != lacking], quiet_s=3600)
    assert not judge_series(node, 1)
    assert acts.complete(node, 1, "the scanner broke down").done
    assert judge_series(node, 1)
    assert states(node) == [("held", "cubic")]
    assert "is held: " in acts.complete(node, 1, WHY).said
    receipts.record(node.database, [received_image(lacking)], quiet_s=3600)
    assert not judge_series(node, 1)
    assert acts.complete(node, 1, WHY).done
    assert judge_series(node, 1)
    assert states(node) == [("superseded", "cubic"), ("queued", "cubic")]
    assert acts.complete(node, 1, WHY).said == "Series 1 does not wait for images."
