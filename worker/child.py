"""A restoration in a process of its own, within limits of time and memory; whatever kills it kills nothing else.

The child claims, works and settles by itself. This side only sees to what the child no longer can: it died, it hangs,
or the worker must stop. It needs no ledger to do so at once, and where the ledger is away the lease ends by itself.
"""

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from enum import Enum
from multiprocessing import forkserver, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from dicom_node.errors import LedgerError
from dicom_node.ledger import jobs
from dicom_node.ledger.jobs import Claim
from dicom_node.ledger.states import JobState
from sr_engine.errors import DeviceLost
from worker.log_files import begin
from worker.owner import is_gone, this_owner
from worker.settings import Settings
from worker.steps.restore import restore_next
from worker.wiring import Node, open_node

log = structlog.get_logger()

# The fork server imports torch once; each restoration is forked from it, clean and in no time.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["worker.steps.restore"])

LOOK_S = 0.2
DEVICE_LOST_CODE = 77
LIKELY_VICTIM = "500"  # of the kernel's out-of-memory killer: rather this process than the node


class End(Enum):
    """How a child came to its end."""

    DONE = "done"
    DEVICE_LOST = "device lost"
    DIED = "died"
    TOO_LONG = "too long"
    STOPPED = "stopped"


@dataclass(frozen=True)
class _Taken:
    """What a child tells once it has a job."""

    owner: str
    claim: Claim


Work = Callable[[Node, Set[str], Callable[[Claim], None]], object]


def warm_up() -> None:
    """Start the fork server, which takes the seconds that torch takes, before the first job waits for it."""
    forkserver.ensure_running()


def restore_in_child(
    node: Node, model_digests: Set[str], must_stop: Callable[[], bool], work: Work = restore_next
) -> End:
    """Have a child claim and restore the most urgent job for one of these models, and wait for its end.

    Parameters
    ----------
    must_stop : callable
        Looked at a few times a second; when true the child is ended and its job given back.
    work : callable
        What the child does; it tells of its claim before it begins.
    """
    receiver, sender = CONTEXT.Pipe(duplex=False)
    with receiver:
        with sender:
            child = CONTEXT.Process(
                target=_in_child, args=(work, node.settings, model_digests, sender), name="restorer"
            )
            child.start()
        end = _watch(child, node.settings.worker.job_limit_s, must_stop)
        taken = _received(receiver)
    _kill(child, taken)
    if taken is not None:
        _settle(node, taken, end, child.exitcode)
    elif end is End.DIED:
        log.error("a restoring process died before it had a job", exit_code=child.exitcode)
    return end


def _watch(child: BaseProcess, limit_s: float, must_stop: Callable[[], bool]) -> End:
    deadline = time.monotonic() + limit_s
    while child.is_alive():
        child.join(LOOK_S)
        if must_stop():
            return End.STOPPED
        if time.monotonic() > deadline:
            return End.TOO_LONG
    return {0: End.DONE, DEVICE_LOST_CODE: End.DEVICE_LOST}.get(child.exitcode or 0, End.DIED)


def _received(receiver: "Connection[object, object]") -> _Taken | None:
    with contextlib.suppress(EOFError, OSError):
        if receiver.poll():
            taken = receiver.recv()
            return taken if isinstance(taken, _Taken) else None
    return None


def _kill(child: BaseProcess, taken: _Taken | None) -> None:
    """Make sure that it is gone, also where the fork server died and can no longer tell."""
    child.kill()
    child.join()
    if taken is not None and not is_gone(taken.owner):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(taken.owner.rsplit("/", 2)[1]), signal.SIGKILL)
        while not is_gone(taken.owner):
            time.sleep(LOOK_S)


def _settle(node: Node, taken: _Taken, end: End, exit_code: int | None) -> None:
    """Say in the ledger what became of a job whose child could not."""
    claim, limits = taken.claim, node.settings.worker
    about = {"job": claim.job_id, "series": claim.series_id}
    with contextlib.suppress(LedgerError):  # finished at the last moment; or the ledger is away and the lease will end
        match end:
            case End.DIED:
                log.error("the restoring process died", **about, exit_code=exit_code)
                jobs.expire(node.database, lambda owner: owner == taken.owner, limits.deaths_allowed)
            case End.TOO_LONG:
                reason = (
                    f"restoring took longer than {limits.job_limit_s:g} s and was ended: find out why, or raise "
                    "[worker].job_limit_s, then retry"
                )
                log.error("job took too long", **about, limit_s=limits.job_limit_s)
                jobs.end(node.database, claim, JobState.FAILED, reason)
            case End.STOPPED:
                log.info("job given back, the worker stops", **about)
                jobs.give_back(node.database, claim, "the worker was stopped; queued again", 0, counted=False)


def _in_child(work: Work, settings: Settings, model_digests: Set[str], parent: "Connection[object, object]") -> None:
    """Work on one job in this process, which dies with the worker: no orphan works on beside the next one."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the worker decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_die_with_the_worker, name="parent", daemon=True).start()
    _limit_this_process(settings.worker.memory_limit_mb)
    begin(settings.worker, "restorer")
    try:
        work(open_node(settings, "restorer"), model_digests, lambda claim: parent.send(_Taken(this_owner(), claim)))
    except DeviceLost:
        sys.exit(DEVICE_LOST_CODE)


def _limit_this_process(memory_limit_mb: int) -> None:
    """Limit private memory, so that asking for more fails here; no core file, which would hold a patient's images.

    RLIMIT_DATA counts what was asked for and can be written; RLIMIT_AS would count what torch only reserves.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_mb << 20, memory_limit_mb << 20))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM)


def _die_with_the_worker() -> None:
    worker = parent_process()
    if worker is not None:
        worker.join()
    os._exit(1)
