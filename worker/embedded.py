"""The wiring without a broker: a local bell, a thread that has jobs restored, and two that send."""

import structlog

from worker.hands import Hands
from worker.line import Line
from worker.wiring import Node

log = structlog.get_logger()

SENDERS = 2


class LocalBell:
    """Hands row numbers to local threads, the urgent ones first. A number that still waits is not queued twice."""

    def __init__(self, node: Node) -> None:
        self._drain_s = node.settings.worker.drain_s
        self._hands = Hands(node)
        self._restoring, self._sending = Line(self._hands.restore), Line(self._hands.deliver)

    def start(self) -> None:
        """Begin to work."""
        self._hands.start()
        self._restoring.start("restore", 1)
        self._sending.start("send", SENDERS)

    def restore(self, job_id: int, priority: int = 0) -> None:
        """Have a job restored."""
        self._restoring.put(job_id, priority)

    def deliver(self, delivery_id: int, priority: int = 0) -> None:
        """Have a sender thread take a delivery."""
        self._sending.put(delivery_id, priority)

    def close(self) -> None:
        """Begin nothing more; what is in hand goes on."""
        self._hands.close()

    def hurry(self) -> None:
        """Let ``stop`` wait no longer."""
        self._hands.hurry()

    def stop(self) -> None:
        """Finish what is in hand within ``[worker].drain_s``, else give it back; drop what waits."""
        if not self._hands.finish(self._drain_s):
            log.warning("a PACS did not answer in time, its delivery goes on at the next start")
