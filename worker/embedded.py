"""The wiring without a broker: a local bell feeds one process that restores and two threads that send."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import structlog

from worker.log import configure
from worker.settings import Settings
from worker.steps.deliver import deliver
from worker.steps.restore import restore_job
from worker.wiring import Node, open_node

log = structlog.get_logger()

PR_SET_PDEATHSIG = 1
_child_node: Node | None = None


class LocalBell:
    """Hands ids to local workers. An id that still waits is not queued twice."""

    def __init__(self, settings: Settings, node: Node) -> None:
        self._settings, self._node = settings, node
        self._waiting: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._restorer = self._new_restorer()
        self._senders = ThreadPoolExecutor(2, thread_name_prefix="send")

    def restore(self, job_id: int) -> None:
        """Have the restoring process take a job; a process that died is replaced."""
        try:
            self._submit("job", job_id, self._restorer, _restore_in_child)
        except BrokenExecutor:
            log.error("the restoring process died and is replaced")
            self._restorer = self._new_restorer()
            self._submit("job", job_id, self._restorer, _restore_in_child)

    def deliver(self, delivery_id: int) -> None:
        """Have a sender thread take a delivery."""
        self._submit("delivery", delivery_id, self._senders, lambda number: deliver(self._node, number))

    def stop(self) -> None:
        """Let the work in hand go: its lease is taken back at the next start, since this process will be gone."""
        self._restorer.shutdown(wait=False, cancel_futures=True)
        for process in (getattr(self._restorer, "_processes", None) or {}).values():
            process.terminate()
        self._senders.shutdown(wait=True, cancel_futures=True)

    def _new_restorer(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_open_child, initargs=(self._settings, os.getpid())
        )

    def _submit(self, kind: str, number: int, executor: Executor, work: Callable[[int], bool]) -> None:
        key = (kind, number)
        with self._lock:
            if key in self._waiting:
                return
            future = executor.submit(work, number)
            self._waiting.add(key)

        def done(_: object) -> None:
            with self._lock:
                self._waiting.discard(key)

        future.add_done_callback(done)


def _open_child(settings: Settings, parent: int) -> None:
    """Set up the restoring process: it dies with its parent, so that no orphan works on under an old lease."""
    global _child_node
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    configure(settings.worker.log_format)
    _child_node = open_node(settings, "restorer")


def _restore_in_child(job_id: int) -> bool:
    if _child_node is None:
        raise RuntimeError("the restoring process was not set up")
    return restore_job(_child_node, job_id)
