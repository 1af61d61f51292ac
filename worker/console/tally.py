"""What /metrics counts beside the state of things: everything that ever happened, read from the audit trail once."""

import threading
from dataclasses import dataclass

from dicom_node.ledger import tallies
from dicom_node.ledger.database import Database
from dicom_node.ledger.tallies import Happened


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
    """Counts a ledger; of the audit trail each look reads only what is new since the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened = Happened()

    def count(self, database: Database) -> Counts:
        """All counts now. LedgerError as from the ledger."""
        with self._lock:
            happened = self._happened = tallies.happened_since(database, self._happened)
        series, images = tallies.received(database)
        return Counts(tallies.by_state(database), series, images, happened, tallies.notices_by_kind(database))
