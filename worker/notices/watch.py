"""The thread of a clock that watches for what is amiss and has it told: a slow receiver holds up itself alone."""

import contextlib
import threading
import time
from datetime import UTC, datetime

import structlog

from dicom_node.errors import LedgerError, NodeError
from dicom_node.ledger import channels, notices
from worker.around import DAY_S, HOUR_S, look_around
from worker.line import Line
from worker.notices.telling import tell
from worker.owner import is_gone, this_owner
from worker.troubles import troubles_of
from worker.wiring import Node

log = structlog.get_logger()

# The clock that holds this name watches; the others only send. Two would see two hosts' disks.
WATCH = "(watch)"
WATCH_LEASE_S = 60.0


class Watch:
    """Looks every ``[notices] look_s`` until stopped."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._channels = node.settings.notices.channels
        self._lines = [Line(self._tell) for _ in self._channels]
        self._forgot = 0.0
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        """Begin."""
        for line in self._lines:  # a thread for each channel: one that hangs holds up no other
            line.start("notice", 1)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a message that is on its way may still go out."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        with contextlib.suppress(NodeError):
            channels.let_go(self._node.database, WATCH, this_owner())

    def look(self) -> None:
        """Note what is amiss, where no other clock does, and have every channel tell what it has to."""
        lease_s = max(WATCH_LEASE_S, 3 * self._node.settings.notices.look_s)
        if channels.hold(self._node.database, WATCH, this_owner(), lease_s, is_gone):
            self._note()
        for number, line in enumerate(self._lines):
            line.put(number)

    def _note(self) -> None:
        node = self._node
        told = [item.amiss for item in troubles_of(node, look_around(node)) if item.is_told]
        notices.note(node.database, told)
        if time.monotonic() - self._forgot > HOUR_S:
            self._forgot = time.monotonic()
            notices.forget(node.database, node.settings.notices.keep_days * DAY_S)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(LedgerError):  # the look that comes next says so
            tell(self._node, self._channels[number], datetime.now(UTC))

    def _run(self) -> None:
        while not self._stop.wait(self._node.settings.notices.look_s):
            try:
                self.look()
            except (NodeError, OSError) as error:
                if str(error) != self._trouble:
                    log.error("cannot look for what is amiss, trying again", reason=str(error))
                self._trouble = str(error)
            except Exception:
                log.exception("cannot look for what is amiss")
            else:
                self._trouble = ""
