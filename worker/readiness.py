"""Whether this process may claim jobs: its weights are whole, its GPU answers. If not it says so and looks again."""

import contextlib
import threading
import time

import structlog

from dicom_node.errors import LedgerError
from dicom_node.ledger import models, workers
from dicom_node.ledger.workers import WorkerState
from sr_engine.errors import EngineError
from sr_engine.inference.restore import ready
from worker.owner import this_owner
from worker.wiring import Node, engines

log = structlog.get_logger()

REMIND_S = 60.0
LOSSES_ALLOWED = 3


class Readiness:
    """Says in the registry of processes, every few heartbeats, whether this one works, and why not.

    Parameters
    ----------
    role : str
        What the registry calls this process; empty where its clock has entered it already.
    restores : bool
        False for a process that only sends: it needs no weights.
    """

    def __init__(self, node: Node, role: str = "", *, restores: bool = True) -> None:
        self._node, self._role, self._restores = node, role, restores
        self._losses = 0
        self._told, self._told_at = "", 0.0
        self._declared: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)

    def start(self) -> None:
        """Enter the registry and begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Say that this process claims nothing more."""
        self._stopping.set()

    def leave(self) -> None:
        """Leave the registry in good order."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._role:
            with contextlib.suppress(LedgerError):
                workers.forget(self._node.database, this_owner())

    def model_digests(self) -> frozenset[str]:
        """Digests of the models to claim for, checked anew; empty while this process must not claim."""
        try:
            return self._checked()
        except EngineError as error:
            self._tell(str(error))
            return frozenset()

    def gpu_answered(self, answered: bool) -> None:
        """Count GPUs lost in a row; after a few of them nothing is claimed until the worker is started again."""
        self._losses = 0 if answered else self._losses + 1

    def _checked(self) -> frozenset[str]:
        if self._losses >= LOSSES_ALLOWED:
            device = self._node.settings.engine.device
            raise EngineError(f"GPU lost: {device} failed {self._losses} times in a row; mend it, restart this worker")
        checked = frozenset(ready(engine).digest for engine in engines(self._node.settings))
        return checked | {model.digest for model in self._node.spares.values()}

    def _run(self) -> None:
        looking = True
        while looking:
            with contextlib.suppress(LedgerError):  # the next look tells it
                self._declare()
            looking = not self._stopping.wait(self._node.settings.worker.heartbeat_s)
        with contextlib.suppress(LedgerError):
            workers.declare(self._node.database, this_owner(), WorkerState.STOPPING)

    def _declare(self) -> None:
        database, owner = self._node.database, this_owner()
        if self._role and not workers.see(database, owner):
            workers.register(database, owner, self._role)
            self._declared = ""  # as the registry has it now
        reason = self._obstacle() if self._restores else ""
        self._tell(reason)
        if reason != self._declared or not self._role:  # without a role: the clock may have entered it anew
            workers.declare(database, owner, WorkerState.REFUSING if reason else WorkerState.READY, reason)
            self._declared = reason

    def _obstacle(self) -> str:
        try:
            digests = self._checked()
        except EngineError as error:
            return str(error)
        other = models.waiting_for_others(self._node.database, digests)
        return other and (
            f"jobs wait for {other} with other weights than this worker has: give it the node's [engine] settings, "
            "[[rules]] and weights, then restart it"
        )

    def _tell(self, reason: str) -> None:
        """Log a refusal when it begins, once a minute, and when it is over."""
        now = time.monotonic()
        if reason and (reason != self._told or now - self._told_at >= REMIND_S):
            log.error("this worker refuses to claim jobs", reason=reason)
            self._told_at = now
        if self._told and not reason:
            log.info("this worker claims jobs again")
        self._told = reason
