"""Who looks at whose images is a row of the audit trail: once for each login and series, not for every picture."""

import threading

from dicom_node.ledger import trail
from worker.console.asked import Asked
from worker.wiring import Node

# Beyond so many the oldest are forgotten, and noted anew when they look again.
KEPT = 10_000


class Looks:
    """What was noted already by this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, int], None] = {}

    def note(self, node: Node, asked: Asked, series_id: int) -> None:
        """Enter that who asks sees images of a series; ``node`` acts in their name. LedgerError: do not show them."""
        key = (asked.session.token_sha256 if asked.session else "", series_id)
        with self._lock:
            if key in self._noted:
                return
            trail.note(node.database, "images.viewed", f"series:{series_id}", peer_ip=asked.peer_ip)
            self._noted[key] = None
            if len(self._noted) > KEPT:
                del self._noted[next(iter(self._noted))]
