"""A result that cannot be right does not leave, whatever the network says."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydicom import dcmread
from torch import Tensor

from dicom_node.derive.manifest import load_series
from dicom_node.ledger import acts, deliveries, queries
from dicom_node.records import InstanceOutcome
from sr_engine import checkpoint
from sr_engine.intensity import CT_RANGE
from sr_engine.networks import registry
from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import LinearInterpolation
from sr_engine.networks.registry import NetworkEntry
from tests.phantom import chest, write_dicom
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_images, queue_series, view
from worker.steps.restore import restore_next
from worker.wiring import Node

PACS = '[[send.pacs]]\nname = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
Stub = Callable[[Callable[[Tensor], Tensor]], Node]


class Changed(LinearInterpolation):
    """Linear interpolation whose output is changed before it leaves, with weights like a trained network."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        return self.change(super().forward(thick, ratio, sampling))


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """A node whose network does something to its output."""

    def make(change: Callable[[Tensor], Tensor]) -> Node:
        line = NetworkEntry("Stub", True, "1", lambda _config: Changed(change))
        networks = {**registry.NETWORKS, "stub": line}
        monkeypatch.setattr(registry, "NETWORKS", networks)
        monkeypatch.setattr(checkpoint, "NETWORKS", networks)
        network = Changed(change)
        card = checkpoint.ModelCard(
            network="stub", version="1", contract=network.contract(5), intensity=CT_RANGE, ratios=(5,)
        )
        checkpoint.save(tmp_path / "stub.safetensors", network, card)
        monkeypatch.setenv("THINSLICE_ENGINE__NETWORK", "stub")
        return open_at(tmp_path, engine=f'weights = "{tmp_path}/stub.safetensors"')

    return make


def run(node: Node, folder: Path) -> int:
    job_id = queue_series(node, folder)
    restore_next(node, node.model_digests, lambda _claim: None)
    return job_id


def out_of_memory(_: Tensor) -> Tensor:
    raise MemoryError


def test_a_network_that_does_as_it_should_passes(stub: Stub, tmp_path: Path) -> None:
    node = stub(lambda thin: thin)
    assert view(node, run(node, tmp_path / "spool")).state == "restored"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda thin: torch.full_like(thin, math.nan), "the network's output is not finite"),
        (lambda thin: torch.where(thin > 0, math.inf, thin), "the network's output is not finite"),
        (lambda thin: torch.zeros_like(thin), "contradicts its source: root mean square difference"),
        (lambda thin: torch.full_like(thin, 3071), "contradicts its source: root mean square difference"),
        (lambda thin: thin.flip(-2), "contradicts its source: root mean square difference"),
    ],
    ids=["not a number", "infinite", "empty", "saturated", "upside down"],
)
def test_a_result_that_cannot_be_right_is_held_with_the_reason(
    stub: Stub, tmp_path: Path, change: Callable[[Tensor], Tensor], reason: str
) -> None:
    node = stub(change)
    job = view(node, run(node, tmp_path / "spool"))
    assert job.state == "held"
    assert reason in job.reason
    assert queries.deliveries_of(node.database, job.id) == []
    assert (job.result is None) == ("not finite" in reason)  # what can be looked at is kept


def test_a_held_result_that_a_person_releases_goes_to_the_pacs(stub: Stub, tmp_path: Path) -> None:
    node = stub(lambda thin: thin.flip(-2))
    job = view(node, run(node, tmp_path / "spool"))
    kept = load_series(Path(job.result or ""))
    uids = [item.sop_instance_uid for item in kept.instances]
    assert acts.release(node.database, job.id, uids, ["main"], "it is a phantom")
    assert view(node, job.id).state == "restored"
    claim = deliveries.claim(node.database, 1, "host/boot/9/1", 60)
    assert claim is not None
    assert claim.unsent == set(uids)


def test_a_result_has_the_forms_that_the_settings_name(tmp_path: Path) -> None:
    node = open_at(tmp_path, derive='forms = ["enhanced", "report", "notice"]')
    job = view(node, run(node, tmp_path / "spool"))
    kept = load_series(Path(job.result or ""))
    assert [item.path.name for item in kept.instances] == ["enhanced.dcm", "report.dcm", "notice.dcm"]
    assert (job.state, job.thin_slices, job.derived_series_uid) == ("restored", 21, kept.series_instance_uid)


@pytest.mark.parametrize("reject", [True, False])
def test_late_images_make_a_result_that_rejects_the_earlier_one_if_asked_to(tmp_path: Path, reject: bool) -> None:
    node = open_at(tmp_path, derive=f"reject_superseded = {str(reject).lower()}", send=PACS)
    images = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, tmp_path / "spool")
    queue_images(node, images[:4])
    restore_next(node, node.model_digests, lambda _claim: None)
    claim = deliveries.claim(node.database, 1, "host/boot/9/1", 60)
    assert claim is not None
    deliveries.answered(node.database, claim, [InstanceOutcome(uid, 0) for uid in sorted(claim.unsent)[:3]])
    job_id = queue_images(node, images[4:])
    restore_next(node, node.model_digests, lambda _claim: None)
    last = load_series(Path(view(node, job_id).result or "")).instances[-1]
    assert (last.path.name == "rejection.dcm") == reject
    if reject:
        (study,) = dcmread(last.path).CurrentRequestedProcedureEvidenceSequence
        (series,) = study.ReferencedSeriesSequence
        assert {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence} == claim.unsent


def test_a_job_that_fits_no_memory_is_parked_with_what_to_do(stub: Stub, tmp_path: Path) -> None:
    node = stub(out_of_memory)
    job = view(node, run(node, tmp_path / "spool"))
    assert job.state == "parked"
    assert "too little memory" in job.reason


def test_weights_that_were_replaced_meanwhile_do_not_pass_for_those_the_job_is_for(stub: Stub, tmp_path: Path) -> None:
    node = stub(lambda thin: thin)
    job_id = queue_series(node, tmp_path / "spool")
    digests = node.model_digests
    weights = tmp_path / "stub.safetensors"
    network = Changed(lambda thin: thin)
    torch.nn.init.ones_(network.weight)
    checkpoint.save(weights, network, checkpoint.read_card(weights))
    restore_next(node, digests, lambda _claim: None)
    job = view(node, job_id)
    assert (job.state, job.result) == ("queued", None)
    assert "weights were replaced" in job.reason
