"""The wiring without a broker: a local bell, a process for each restoration, and two threads that send."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess

import structlog

from worker.log import configure
from worker.settings import Settings
from worker.steps.deliver import deliver
from worker.steps.restore import restore_job
from worker.wiring import Node, open_node

log = structlog.get_logger()

# The fork server imports torch once; each restoration is forked from it, clean and in no time.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["worker.steps.restore"])


class LocalBell:
    """Hands row numbers to local workers. A number that still waits is not queued twice.

    Every restoration has a process of its own, so that whatever a codec or a GPU does there ends with it; the ledger
    notices a process that died and queues its job again.
    """

    def __init__(self, settings: Settings, node: Node) -> None:
        self._settings, self._node = settings, node
        self._waiting: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._restorers = ThreadPoolExecutor(1, thread_name_prefix="restore")
        self._senders = ThreadPoolExecutor(2, thread_name_prefix="send")
        self._child: BaseProcess | None = None
        self._stopping = threading.Event()

    def restore(self, job_id: int) -> None:
        """Have a job restored, after those that wait already."""
        self._submit("job", job_id, self._restorers, self._restore)

    def deliver(self, delivery_id: int) -> None:
        """Have a sender thread take a delivery."""
        self._submit("delivery", delivery_id, self._senders, lambda number: deliver(self._node, number))

    def stop(self) -> None:
        """Drop what waits, end the restoration in hand (the next start takes it up), and finish what is being sent."""
        self._stopping.set()
        self._restorers.shutdown(wait=False, cancel_futures=True)
        child = self._child
        if child is not None:
            child.kill()
        self._restorers.shutdown(wait=True)
        self._senders.shutdown(wait=True, cancel_futures=True)

    def _submit(self, kind: str, number: int, executor: Executor, work: Callable[[int], object]) -> None:
        key = (kind, number)
        with self._lock:
            if key in self._waiting:
                return
            self._waiting.add(key)

        def run() -> None:
            try:
                work(number)
            except Exception:
                log.exception("worker thread failed", kind=kind, number=number)
            finally:
                with self._lock:
                    self._waiting.discard(key)

        executor.submit(run)

    def _restore(self, job_id: int) -> None:
        child = CONTEXT.Process(target=_restore_in_child, args=(self._settings, job_id))
        child.start()
        self._child = child
        if self._stopping.is_set():
            child.kill()
        child.join()
        self._child = None
        if child.exitcode and not self._stopping.is_set():
            log.error("the restoring process died", job=job_id, exit_code=child.exitcode)


def _restore_in_child(settings: Settings, job_id: int) -> None:
    """Restore one job in this process, which dies with the node: no orphan works on beside the next one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_the_node, name="parent", daemon=True).start()
    configure(settings.worker.log_format)
    restore_job(open_node(settings, "restorer"), job_id)


def _die_with_the_node() -> None:
    node = parent_process()
    if node is not None:
        node.join()
    os._exit(1)
