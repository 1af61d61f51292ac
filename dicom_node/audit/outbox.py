"""Takes the rows of the audit trail to the audit repository, in order; the ledger keeps how far it came."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_node.audit import syslog
from dicom_node.audit.events import message_of
from dicom_node.audit.facts import Happening, Here
from dicom_node.audit.message import to_xml
from dicom_node.audit.settings import SyslogSettings
from dicom_node.errors import RepositoryError, SettingsError
from dicom_node.ledger import positions, subjects, trail
from dicom_node.ledger.chain import AuditRow
from dicom_node.ledger.database import Database

log = logging.getLogger(__name__)

READER = "syslog"
BATCH = 200
# Longer than a batch may take: a process that died with one in hand delays the next by this.
LEASE_S = 60.0


@dataclass(frozen=True)
class Backlog:
    """What the repository has not got yet; ``since`` is when the oldest row of it was written."""

    rows: int
    since: datetime | None
    reason: str


class Outbox:
    """Sends what is new. Of several processes one sends at a time.

    Parameters
    ----------
    owner : str
        This process, as leases name it.
    """

    def __init__(self, database: Database, settings: SyslogSettings, here: Here, owner: str) -> None:
        self._database, self._settings, self._here, self._owner = database, settings, here, owner

    def begin(self) -> None:
        """The first time, take the rows from now on."""
        positions.begin(self._database, READER)

    def round(self) -> int:
        """Send the next rows; returns how many were taken, which is 0 where nothing is new.

        A crash after sending and before noting it sends the same rows again: each at least once.

        Raises
        ------
        RepositoryError, SettingsError
            The repository did not take them; they stay.
        LedgerError
            The trail cannot be read, or the position not written.
        """
        at, newest = positions.position(self._database, READER), trail.head(self._database)
        if at is None or newest is None or newest.seq <= at.seq:
            return 0
        seq = positions.take(self._database, READER, self._owner, LEASE_S)
        if seq is None:
            return 0
        rows = trail.page(self._database, seq, BATCH)
        try:
            self._send(rows)
        except (RepositoryError, SettingsError) as error:
            positions.stuck(self._database, READER, self._owner, str(error))
            raise
        positions.advance(self._database, READER, self._owner, rows[-1].seq if rows else seq)
        return len(rows)

    def _send(self, rows: Sequence[AuditRow]) -> None:
        records = [one for row in rows if (one := self._record(row))]
        if records:
            syslog.send(self._settings, records)

    def _record(self, row: AuditRow) -> bytes | None:
        try:
            message = message_of(Happening(row, subjects.find(self._database, row.subject), self._here))
        except (ValueError, TypeError, KeyError):  # one odd row must not keep all others back
            log.exception("no audit message can be made of row %d, %s", row.seq, row.event)
            return None
        if message is None:
            return None
        xml = to_xml(message, self._here.ae_title, self._settings.site)
        return syslog.record(xml, row.at, row.seq, self._here.host, os.getpid(), message.outcome)


def backlog(database: Database) -> Backlog | None:
    """What waits to be sent; None where nothing ever was."""
    at = positions.position(database, READER)
    return None if at is None else Backlog(*trail.unread(database, at.seq), at.reason)
