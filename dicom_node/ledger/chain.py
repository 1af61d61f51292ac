"""The audit trail: rows written in the transaction of the change they record, each sealed with the one before."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, desc, insert, select

from dicom_node.ledger.tables import audit

GENESIS = "0" * 64


@dataclass(frozen=True)
class AuditRow:
    """A row of the trail with its seals."""

    seq: int
    at: datetime
    actor: str
    event: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Fault:
    """The first row that does not hold, and why, for people."""

    seq: int
    sentence: str


def seal(previous: str, at: datetime, actor: str, event: str, subject: str, detail: str) -> str:
    """sha256 (hex) over the previous hash and every field of a row."""
    fields = [previous, at.astimezone(UTC).isoformat(timespec="microseconds"), actor, event, subject, detail]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()


def append(connection: Connection, at: datetime, actor: str, event: str, subject: str, **detail: Any) -> None:
    """Add a row inside the caller's transaction, which must be one in turn: else the chain forks."""
    last = connection.execute(select(audit.c.hash).order_by(desc(audit.c.seq)).limit(1)).scalar()
    previous = last or GENESIS
    text_detail = json.dumps(detail, sort_keys=True, ensure_ascii=False, default=str)
    connection.execute(
        insert(audit).values(
            at=at,
            actor=actor,
            event=event,
            subject=subject,
            detail=text_detail,
            previous_hash=previous,
            hash=seal(previous, at, actor, event, subject, text_detail),
        )
    )


class Chain:
    """Follows the rows of the trail one by one, in their order.

    Parameters
    ----------
    previous : str or None
        The hash before the first row; None: an excerpt, whose first row says so itself.

    Attributes
    ----------
    rows : int
        How many were followed, all of them whole.
    seq, hash : int, str
        Of the last of them.
    fault : Fault or None
        What is wrong with the next; it is the last that is looked at.
    """

    def __init__(self, previous: str | None = GENESIS) -> None:
        self.rows, self.seq, self.hash = 0, 0, previous
        self.fault: Fault | None = None
        self._before: str | None = None

    def add(self, row: AuditRow) -> bool:
        """Look at the next row. False where it is not whole, or does not follow: ``fault`` says why."""
        if row.hash != seal(row.previous_hash, row.at, row.actor, row.event, row.subject, row.detail):
            self.fault = Fault(row.seq, f"row {row.seq} was changed: it does not match its seal")
        elif self.rows and row.seq <= self.seq:
            self.fault = Fault(row.seq, f"row {row.seq} stands behind row {self.seq}")
        elif self.hash is not None and row.previous_hash != self.hash:
            self.fault = self._broken_link(row)
        else:
            self._before, self.hash, self.seq = self.hash, row.hash, row.seq
            self.rows += 1
        return self.fault is None

    def _broken_link(self, row: AuditRow) -> Fault:
        if row.previous_hash == self._before and self.rows:
            return Fault(self.seq, f"row {self.seq} was slipped in: row {row.seq} follows the row before it")
        if not self.rows:
            return Fault(row.seq, f"row {row.seq} is not the first: rows before it were removed")
        text = f"row {row.seq} does not follow row {self.seq}: a row between them was removed, or row {self.seq} was "
        return Fault(row.seq, f"{text}changed and sealed anew")


def first_bad_row(connection: Connection) -> int | None:
    """``seq`` of the first row that was changed, removed before, or inserted out of turn; None when the chain holds."""
    followed = Chain()
    for row in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
        if not followed.add(AuditRow(**row)):
            break
    return followed.fault.seq if followed.fault else None
