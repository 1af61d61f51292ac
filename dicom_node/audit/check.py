"""Whether the audit trail is whole: each row sealed, each following the one before, and every anchor still true."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from dicom_node.audit.anchors import Anchor, Anchors
from dicom_node.ledger import trail
from dicom_node.ledger.chain import AuditRow, Chain, Fault
from dicom_node.ledger.database import Database

AT_ONCE = 500

Told = Callable[[int], None]
"""Is told the number of the row in hand, now and then."""


@dataclass(frozen=True)
class Verdict:
    """What came of following a trail.

    Attributes
    ----------
    rows : int
        Rows that were followed and are whole.
    seq, hash : int, str
        Of the last of them.
    anchors : int
        Anchors that hold.
    unreadable : int
        Lines of the anchors' file that are none.
    fault : Fault or None
        The first row that does not hold.
    """

    rows: int
    seq: int
    hash: str
    anchors: int = 0
    unreadable: int = 0
    fault: Fault | None = None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.fault is not None:
            return f"the audit trail is broken at row {self.fault.seq}: {self.fault.sentence}"
        whole = f"the audit trail is whole: {self.rows} rows, the last is row {self.seq} with hash {self.hash}"
        odd = f"; {self.unreadable} lines of the anchors cannot be read" if self.unreadable else ""
        return f"{whole if self.rows else 'the audit trail is empty'}; {self.anchors} anchors hold{odd}"


def verify(database: Database, anchors: Anchors, told: Told = lambda _seq: None) -> Verdict:
    """Follow the trail from its first row to its last, then compare it with the anchors.

    Nothing is held for long: neither rows in memory nor locks in the database. LedgerError, StorageError: cannot read.
    """
    verdict = follow(trail.rows(database, trail.span_of(database)), Chain(), told)
    return verdict if verdict.fault else _anchored(database, anchors, verdict)


def follow(rows: Iterable[AuditRow], followed: Chain, told: Told = lambda _seq: None) -> Verdict:
    """Follow rows to the first that does not hold."""
    for row in rows:
        if not followed.add(row):
            break
        if followed.rows % trail.PAGE == 0:
            told(row.seq)
    return Verdict(followed.rows, followed.seq, followed.hash or "", fault=followed.fault)


def _anchored(database: Database, anchors: Anchors, verdict: Verdict) -> Verdict:
    held = unreadable = sure = 0
    fault = None
    for batch in _batches(iter(anchors)):
        known = [anchor for anchor in batch if anchor is not None]
        unreadable += len(batch) - len(known)
        hashes = trail.hashes(database, [anchor.seq for anchor in known])
        for anchor in known:
            if hashes.get(anchor.seq) != anchor.hash:
                fault = _cut(anchor, sure, trail.head(database))
                break
            held, sure = held + 1, max(sure, anchor.seq)
        if fault:
            break
    return Verdict(verdict.rows, verdict.seq, verdict.hash, held, unreadable, fault)


def _cut(anchor: Anchor, sure: int, newest: trail.Head | None) -> Fault:
    """What an anchor tells that is not true any more; up to row ``sure`` older ones hold."""
    last = newest.seq if newest else 0
    if anchor.seq > last:
        return Fault(
            last + 1, f"its end was removed: it ends at row {last}, but on {anchor.at} there was row {anchor.seq}"
        )
    return Fault(
        sure + 1, f"from here on it was written anew: row {anchor.seq} is not the one that was anchored on {anchor.at}"
    )


def _batches(anchors: Iterator[Anchor | None]) -> Iterator[list[Anchor | None]]:
    while batch := list(islice(anchors, AT_ONCE)):
        yield batch
