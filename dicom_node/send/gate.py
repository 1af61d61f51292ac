"""A gate that really stops pynetdicom's reactor while we wait for an answer.

pynetdicom 3.0.4 (``Association._run_reactor``) says "I am paused" before it looks whether it must be. A request that
starts in that instant goes out while the reactor runs one more round; if the PACS answers within it, the reactor takes
the answer off the queue and throws it away, and the request waits for its whole timeout. A loaded machine saw it in
some C-STOREs of a thousand. Here closing the gate returns only when the reactor stands at it.
"""

import threading

from pynetdicom.association import Association

CHECK_S = 0.05


class ReactorGate(threading.Event):
    """Stands in for ``Association._reactor_checkpoint``: set lets the reactor run, clear stops it."""

    def __init__(self, link: Association) -> None:
        super().__init__()
        self._link = link
        self._turn = threading.Condition()
        self._open = True
        self._parked = False

    def is_set(self) -> bool:
        """Whether the reactor may run."""
        return self._open

    def set(self) -> None:
        """Let the reactor run."""
        with self._turn:
            self._open = True
            self._turn.notify_all()

    def clear(self) -> None:
        """Stop the reactor, and return when it stands still or has ended."""
        with self._turn:
            self._open = False
            while not self._parked and self._link.is_alive() and threading.current_thread() is not self._link:
                self._turn.wait(CHECK_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Stand at the gate while it is closed; the reactor calls this once a round."""
        with self._turn:
            self._parked = not self._open
            self._turn.notify_all()
            passed = self._turn.wait_for(lambda: self._open, timeout)
            self._parked = False
            return passed
