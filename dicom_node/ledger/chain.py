"""The audit trail: rows written in the transaction of the change they record, each sealed with the one before."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, desc, insert, select

from dicom_node.ledger.tables import audit

GENESIS = "0" * 64


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


def first_bad_row(connection: Connection) -> int | None:
    """``seq`` of the first row that was changed, removed before, or inserted out of turn; None when the chain holds."""
    previous = GENESIS
    for row in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
        if row["previous_hash"] != previous or row["hash"] != _seal_of(row):
            return int(row["seq"])
        previous = row["hash"]
    return None


def _seal_of(row: RowMapping) -> str:
    return seal(row["previous_hash"], row["at"], row["actor"], row["event"], row["subject"], row["detail"])
