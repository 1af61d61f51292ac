"""Whatever becomes of a restoring process, its job comes to a named state and other jobs go on."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_node.ledger.jobs import Claim
from sr_engine.errors import DeviceLost
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import claim_next, queue_series, view
from tests.waiting import until
from worker.child import End, restore_in_child
from worker.hands import Hands
from worker.owner import is_gone, this_owner
from worker.steps.restore import restore_next
from worker.wiring import Node

pytestmark = [pytest.mark.faults, pytest.mark.slow]

OnClaim = Callable[[Claim], None]
NEVER = lambda: False  # noqa: E731


def crash_in_c(node: Node, digests: frozenset[str], on_claim: OnClaim) -> None:
    """As a codec does."""
    on_claim(claim_next(node, digests, this_owner()))
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(node: Node, digests: frozenset[str], on_claim: OnClaim) -> None:
    on_claim(claim_next(node, digests, this_owner()))
    time.sleep(600)


def lose_the_gpu(node: Node, digests: frozenset[str], on_claim: OnClaim) -> None:
    on_claim(claim_next(node, digests, this_owner()))
    raise DeviceLost("cuda:0 does not answer")


def ask_for_4_gb(node: Node, _digests: frozenset[str], _on_claim: OnClaim) -> None:
    try:
        np.empty(4 << 30, dtype=np.uint8)
    except MemoryError:
        (node.settings.worker.results / "refused").touch()


def kill_the_fork_server(node: Node, digests: frozenset[str], on_claim: OnClaim) -> None:
    on_claim(claim_next(node, digests, this_owner()))
    (node.settings.worker.results / "owner").write_text(this_owner())
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def test_a_job_is_restored_in_a_process_of_its_own(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    job_id = queue_series(node, tmp_path / "spool")
    assert restore_in_child(node, node.model_digests, NEVER, restore_next) is End.DONE
    job = view(node, job_id)
    assert (job.state, job.thin_slices, job.attempt) == ("restored", 21, 1)
    assert job.figures is not None
    assert (job.figures["device"], job.figures["tile"]) == ("cpu", None)


def test_a_job_that_kills_its_process_each_time_fails_and_the_next_one_is_restored(tmp_path: Path) -> None:
    node = open_at(tmp_path, worker="deaths_allowed = 2")
    poison = queue_series(node, tmp_path / "spool" / "a", seed=1)
    assert restore_in_child(node, node.model_digests, NEVER, crash_in_c) is End.DIED
    assert (view(node, poison).state, view(node, poison).reason) == ("queued", "the worker died; queued again")
    assert restore_in_child(node, node.model_digests, NEVER, crash_in_c) is End.DIED
    assert (view(node, poison).state, view(node, poison).reason) == ("failed", "the worker died 2 times on this job")
    good = queue_series(node, tmp_path / "spool" / "b", seed=2)
    assert restore_in_child(node, node.model_digests, NEVER) is End.DONE
    assert view(node, good).state == "restored"


def test_a_job_that_hangs_is_ended_and_fails_though_its_lease_is_renewed(tmp_path: Path) -> None:
    node = open_at(tmp_path, worker="job_limit_s = 2.0")
    job_id = queue_series(node, tmp_path / "spool")
    assert restore_in_child(node, node.model_digests, NEVER, hang) is End.TOO_LONG
    job = view(node, job_id)
    assert job.state == "failed"
    assert "longer than 2 s" in job.reason
    assert "[worker].job_limit_s" in job.reason


def test_a_worker_that_must_stop_gives_its_job_back_at_once_and_that_was_no_attempt(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    job_id = queue_series(node, tmp_path / "spool")
    running = lambda: view(node, job_id).state == "running"  # noqa: E731
    assert restore_in_child(node, node.model_digests, running, hang) is End.STOPPED
    job = view(node, job_id)
    assert (job.state, job.attempt, job.reason) == ("queued", 0, "the worker was stopped; queued again")
    assert restore_in_child(node, node.model_digests, NEVER) is End.DONE
    assert (view(node, job_id).state, view(node, job_id).attempt) == ("restored", 1)


def test_memory_beyond_the_limit_is_refused_in_the_child(tmp_path: Path) -> None:
    node = open_at(tmp_path, worker="memory_limit_mb = 3000")
    assert restore_in_child(node, node.model_digests, NEVER, ask_for_4_gb) is End.DONE
    assert (node.settings.worker.results / "refused").exists()
    (node.settings.worker.results / "refused").unlink()
    free = open_at(tmp_path, worker="memory_limit_mb = 0")
    assert restore_in_child(free, node.model_digests, NEVER, ask_for_4_gb) is End.DONE
    assert not (node.settings.worker.results / "refused").exists()


def test_a_child_whose_fork_server_died_does_not_work_on_alone(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    job_id = queue_series(node, tmp_path / "spool")
    assert restore_in_child(node, node.model_digests, NEVER, kill_the_fork_server) is End.DIED
    assert view(node, job_id).state == "queued"
    assert is_gone((node.settings.worker.results / "owner").read_text())
    assert restore_in_child(node, node.model_digests, NEVER) is End.DONE
    assert view(node, job_id).state == "restored"


def test_a_lost_gpu_is_told_from_a_death(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    queue_series(node, tmp_path / "spool")
    assert restore_in_child(node, node.model_digests, NEVER, lose_the_gpu) is End.DEVICE_LOST


def test_a_drain_lets_the_job_in_hand_finish_and_begins_no_other(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    first, second = queue_series(node, tmp_path / "spool" / "a", 1), queue_series(node, tmp_path / "spool" / "b", 2)
    hands = Hands(node)
    hands.start()
    work = threading.Thread(target=hands.restore, args=(first,))
    work.start()
    until("it runs", lambda: view(node, first).state != "queued")
    assert hands.finish(60)
    assert (view(node, first).state, view(node, second).state) == ("restored", "queued")
    hands.restore(second)
    assert view(node, second).state == "queued"
    work.join()


def test_a_drain_that_must_hurry_gives_back_what_is_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINSLICE_ENGINE__NETWORK", "tvsrn_v2")  # slow enough to be caught at it
    node = open_at(tmp_path, engine="allow_untrained = true\nthreads = 1\nshared_slices = 9")
    job_id = queue_series(node, tmp_path / "spool")
    hands = Hands(node)
    work = threading.Thread(target=hands.restore, args=(job_id,))
    work.start()
    until("it runs", lambda: view(node, job_id).state == "running")
    hands.hurry()
    assert hands.finish(600)
    assert (view(node, job_id).state, view(node, job_id).attempt) == ("queued", 0)
    work.join()
