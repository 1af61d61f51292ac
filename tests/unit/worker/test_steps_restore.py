"""A result that cannot be right does not leave, whatever the network says."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydicom import dcmread
from torch import Tensor
from typer.testing import CliRunner

from dicom_node.derive.manifest import load_series
from dicom_node.ledger import acts, deliveries, queries
from dicom_node.records import InstanceOutcome
from sr_engine import checkpoint
from sr_engine.coverage import Coverage
from sr_engine.intensity import CT_RANGE
from sr_engine.networks import registry
from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import LinearInterpolation
from sr_engine.networks.registry import NetworkEntry
from tests.phantom import chest, write_dicom
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_images, queue_series, view
from worker.cli.main import app
from worker.steps.restore import restore_next
from worker.wiring import Node

PACS = '[[send.pacs]]\nname = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
Stub = Callable[..., Node]
# All but the pixels of the phantom is familiar.
CHEST = Coverage(
    step_mm=(1, 20), overlap=(0.8, 2), pixel_mm=(0.5, 1.6), noise_hu=(0, 1e3), darkest_hu=(-1e4, 1e4),
    brightest_hu=(-1e4, 1e5), shear_deg=(0, 30),
)  # fmt: skip


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
    """A node whose network does something to its output, and knows what its card says; more lines of settings."""

    def make(change: Callable[[Tensor], Tensor], coverage: Coverage | None = None, **lines: str) -> Node:
        line = NetworkEntry("Stub", True, "1", lambda _config: Changed(change))
        networks = {**registry.NETWORKS, "stub": line}
        monkeypatch.setattr(registry, "NETWORKS", networks)
        monkeypatch.setattr(checkpoint, "NETWORKS", networks)
        network = Changed(change)
        contract = network.contract(5)
        card = checkpoint.ModelCard(
            network="stub", version="1", contract=contract, intensity=CT_RANGE, ratios=(5,), coverage=coverage
        )
        checkpoint.save(tmp_path / "stub.safetensors", network, card)
        monkeypatch.setenv("THINSLICE_ENGINE__NETWORK", "stub")
        return open_at(tmp_path, engine=f'weights = "{tmp_path}/stub.safetensors"', **lines)

    return make


def run(node: Node, folder: Path) -> int:
    job_id = queue_series(node, folder)
    restore_next(node, node.model_digests, lambda _claim: None)
    return job_id


def one_slice_brighter(thin: Tensor) -> Tensor:
    """The body in one thin slice of five; averaged back, a fifth of it is left."""
    return thin + 300 * (thin > -500) * (torch.arange(thin.shape[1]) == 2)[:, None, None]


def grain(thin: Tensor) -> Tensor:
    """The body far beyond both neighbours, up and down."""
    sign = torch.where(torch.arange(thin.shape[1]) % 2 == 0, 1.0, -1.0)[:, None, None]
    return thin + 400 * (thin > -500) * sign * torch.where(torch.arange(thin.shape[-1]) % 2 == 0, 1.0, -1.0)


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
        (one_slice_brighter, "contradicts its source: mean of a slice beyond its neighbours'"),
        (grain, "contradicts its source: voxels far beyond their thick neighbours"),
    ],
    ids=["not a number", "infinite", "empty", "saturated", "upside down", "a bright slice", "grain"],
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


def test_what_was_restored_from_an_unfamiliar_source_waits_for_a_person(stub: Stub, tmp_path: Path) -> None:
    """The phantom's pixels are of 5.4 mm. Shown with its figures; released, it goes."""
    node = stub(lambda thin: thin, CHEST)
    job = view(node, run(node, tmp_path / "spool"))
    assert job.state == "held"
    assert job.reason.startswith("unfamiliar to the network: pixel spacing 5.4 mm lies outside what Stub knows")
    arguments = ["--config", str(tmp_path / "settings.toml")]
    terminal = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
    shown = terminal.invoke(app, ["show", "1", *arguments]).output
    assert "unfamiliar: pixel spacing 5.4 mm" in shown
    assert "thinslice release 1" in shown
    released = terminal.invoke(app, ["release", "1", "--reason", "a phantom", *arguments]).output
    assert released == "job 1 is released\n"
    assert view(node, job.id).state == "restored"


def test_where_the_settings_say_so_an_unfamiliar_source_is_only_told(stub: Stub, tmp_path: Path) -> None:
    node = stub(lambda thin: thin, CHEST, worker="hold_unfamiliar = false")
    job = view(node, run(node, tmp_path / "spool"))
    assert job.state == "restored"
    assert (job.figures or {})["doubts"][0].startswith("pixel spacing 5.4 mm")


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
