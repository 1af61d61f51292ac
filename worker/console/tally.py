"""What /metrics counts beside the state of things: everything that ever happened, read from the audit trail once."""

import math
import threading
import time
from dataclasses import dataclass

from dicom_node.ledger import tallies
from dicom_node.ledger.database import Database
from dicom_node.ledger.tallies import Happened

FRESH_S = 10.0


@dataclass(frozen=True)
class Counts:
    """Counts over the whole ledger.

    Attributes
    ----------
    by_state : dict
        Number of rows by state, of series, jobs, deliveries and commitment_requests.
    series, images : int
        How many ever came.
    happened : Happened
        What the audit trail counts.
    notices : dict
        Notices that last, by kind.
    """

    by_state: dict[str, dict[str, int]]
    series: int
    images: int
    happened: Happened
    notices: dict[str, int]


class Tally:
    """Counts a ledger; of the audit trail each look reads only what is new since the last one.

    Numbers by state are counted anew every ``FRESH_S`` seconds at the most: who reloads, or scrapes twice, shares them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened = Happened()
        self._by_state: dict[str, dict[str, int]] = {}
        self._counted = -math.inf

    def count(self, database: Database) -> Counts:
        """All counts now. LedgerError as from the ledger."""
        with self._lock:
            happened = self._happened = tallies.happened_since(database, self._happened)
            if time.monotonic() - self._counted > FRESH_S:
                self._by_state, self._counted = tallies.by_state(database), time.monotonic()
            by_state = self._by_state
        series, images = tallies.received(database)
        return Counts(by_state, series, images, happened, tallies.notices_by_kind(database))
