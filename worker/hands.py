"""What works in a process, in either wiring: restorations in children, deliveries here, and how both come to rest."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import structlog

from dicom_node.errors import LedgerError
from dicom_node.ledger import deliveries, models, workers
from worker.child import End, restore_in_child, warm_up
from worker.owner import this_owner
from worker.readiness import Readiness
from worker.steps.deliver import deliver
from worker.wiring import Node

Kind = Literal["restore", "deliver"]

log = structlog.get_logger()

GIVE_BACK_S = 10.0


class Hands:
    """Does what bells ask for; may be called from several threads.

    Parameters
    ----------
    role : str
        What the registry of processes calls this one; empty where its clock has entered it.
    restores : bool
        False for a process that only sends.
    """

    def __init__(self, node: Node, role: str = "", *, restores: bool = True) -> None:
        self._node, self._restores = node, restores
        self._readiness = Readiness(node, role, restores=restores)
        self._closed, self._must_stop = threading.Event(), threading.Event()
        self._in_hand: dict[Kind, int] = {"restore": 0, "deliver": 0}
        self._changed = threading.Condition()

    def start(self) -> None:
        """Enter the registry, and keep looking whether work can be done."""
        self._readiness.start()
        if self._restores:
            warm_up()

    def restore(self, _job_id: int) -> None:
        """Restore the most urgent job that is due, whichever the bell rang for; nothing where there is none."""
        with self._hand("restore"):
            digests = self._readiness.model_digests() if self._may_begin() else frozenset()
            if not digests or models.most_urgent(self._node.database, digests) is None:
                return
            end = restore_in_child(self._node, digests, self._must_stop.is_set)
            if end in (End.DONE, End.DEVICE_LOST):
                self._readiness.gpu_answered(end is End.DONE)

    def deliver(self, delivery_id: int) -> None:
        """Take a delivery one step further, if it is due."""
        with self._hand("deliver"):
            if self._may_begin():
                deliver(self._node, delivery_id)

    def close(self) -> None:
        """Claim nothing more. What is in hand goes on."""
        self._closed.set()
        self._readiness.close()

    def hurry(self) -> None:
        """Give back at once what ``finish`` still waits for. Safe in a signal handler."""
        self._must_stop.set()

    def finish(self, limit_s: float) -> bool:
        """Let what is in hand come to its end, then give the rest back.

        Returns
        -------
        bool
            False where a thread still talks to a PACS: its delivery is given back, and the process had better end.
        """
        self.close()
        self._wait(lambda: not any(self._in_hand.values()) or self._must_stop.is_set(), limit_s)
        self._must_stop.set()
        self._wait(lambda: not self._in_hand["restore"], GIVE_BACK_S)
        rest = self._in_hand["deliver"]
        if rest:
            with suppress(LedgerError):
                mine = this_owner()
                attempts = self._node.settings.send.attempts
                deliveries.expire(self._node.database, lambda owner: owner == mine, attempts)
        self._readiness.leave()
        return not rest

    def _may_begin(self) -> bool:
        """Neither closed nor drained by a person; a bell that is not heeded rings again, here or elsewhere."""
        return not self._closed.is_set() and not workers.is_drained(self._node.database, this_owner())

    @contextmanager
    def _hand(self, kind: Kind) -> Iterator[None]:
        structlog.contextvars.clear_contextvars()  # of what this thread did before
        with self._changed:
            self._in_hand[kind] += 1
        try:
            yield
        except LedgerError as error:
            log.error("nothing begun, the bell will ring again", kind=kind, reason=str(error))
        finally:
            with self._changed:
                self._in_hand[kind] -= 1
                self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Wait for a condition, looking a few times a second: a signal handler must not take locks to end the wait."""
        with self._changed:
            for _ in range(int(limit_s / 0.2) + 1):
                if self._changed.wait_for(condition, timeout=0.2):
                    return
