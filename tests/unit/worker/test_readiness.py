"""A worker that cannot restore rightly claims nothing, says so, and goes on by itself when it can."""

import json
from pathlib import Path

import pytest

from dicom_node.ledger import workers
from dicom_node.ledger.workers import WorkerView
from tests.unit.sr_engine.test_checkpoint import save_small
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_series, view
from tests.waiting import until
from worker.hands import Hands
from worker.owner import this_owner
from worker.readiness import Readiness
from worker.wiring import Node


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small network's weights and their card."""
    save_small(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


@pytest.fixture
def node(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that restores with them."""
    monkeypatch.setenv("THINSLICE_ENGINE__NETWORK", "tvsrn_v2")
    return open_at(tmp_path, engine=f'weights = "{weights}"', worker="heartbeat_s = 0.1")


def process(node: Node, state: str) -> WorkerView:
    """The one process in the registry, once it is in a state."""
    return until(state, lambda: next((one for one in workers.everyone(node.database) if one.state == state), None))


def test_damaged_weights_are_refused_until_they_are_mended(node: Node, weights: Path) -> None:
    readiness = Readiness(node, "restore")
    readiness.start()
    assert process(node, "ready").reason == ""
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert readiness.model_digests() == frozenset()
    assert "is damaged, its sha256 is not the one in its card" in process(node, "refusing").reason
    weights.write_bytes(whole)
    assert readiness.model_digests() == node.model_digests
    process(node, "ready")
    readiness.leave()
    assert workers.everyone(node.database) == []


def test_missing_weights_leave_the_job_queued_and_are_named(node: Node, weights: Path, tmp_path: Path) -> None:
    job_id = queue_series(node, tmp_path / "spool")
    weights.rename(weights.with_suffix(".away"))
    hands = Hands(node, "restore")
    hands.start()
    hands.restore(job_id)
    assert (view(node, job_id).state, view(node, job_id).attempt) == ("queued", 0)
    assert "there is no file" in process(node, "refusing").reason
    weights.with_suffix(".away").rename(weights)
    process(node, "ready")
    hands.restore(job_id)
    assert view(node, job_id).state == "restored"
    assert hands.finish(0)


def test_weights_of_another_version_restore_nothing_that_is_queued_for_the_node_s(
    node: Node, weights: Path, tmp_path: Path
) -> None:
    job_id = queue_series(node, tmp_path / "spool")
    card = json.loads(weights.with_suffix(".json").read_text())
    weights.with_suffix(".json").write_text(json.dumps(card | {"config": card["config"] | {"contrast_hu": 100.0}}))
    hands = Hands(node, "restore")
    hands.start()
    hands.restore(job_id)
    assert (view(node, job_id).state, view(node, job_id).attempt) == ("queued", 0)
    assert process(node, "refusing").reason.startswith("jobs wait for tvsrn_v2 with other weights than this worker has")
    hands.finish(0)


def test_a_gpu_that_is_lost_three_times_in_a_row_makes_the_worker_refuse(node: Node) -> None:
    readiness = Readiness(node, "restore")
    readiness.start()
    for answered in (False, False, True, False, False):
        readiness.gpu_answered(answered)
    assert readiness.model_digests() == node.model_digests
    readiness.gpu_answered(False)
    assert readiness.model_digests() == frozenset()
    assert process(node, "refusing").reason == "GPU lost: auto failed 3 times in a row; mend it, restart this worker"
    readiness.leave()


def test_a_process_that_only_sends_needs_no_weights(node: Node, weights: Path) -> None:
    weights.unlink()
    readiness = Readiness(node, "deliver", restores=False)
    readiness.start()
    assert process(node, "ready").role == "deliver"
    readiness.leave()


def test_a_process_that_its_clock_enters_late_says_all_the_same_why_it_refuses(node: Node, weights: Path) -> None:
    weights.unlink()
    readiness = Readiness(node)
    readiness.start()
    assert not readiness.model_digests()
    workers.register(node.database, this_owner(), "node")
    assert process(node, "refusing").role == "node"
    readiness.leave()


def test_a_process_that_stops_says_so(node: Node) -> None:
    readiness = Readiness(node, "restore")
    readiness.start()
    process(node, "ready")
    readiness.close()
    process(node, "stopping")
    readiness.leave()
