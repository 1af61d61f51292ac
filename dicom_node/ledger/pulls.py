"""Verbs for what a person pulls from a PACS. What comes is entered by `receipts`, as if it had been sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.purging import GONE
from dicom_node.ledger.tables import instance, series


@dataclass(frozen=True)
class Holding:
    """SOP Instance UIDs of a series that the node has: ``known`` ever, ``kept`` with the paths of their files."""

    known: frozenset[str]
    kept: Mapping[str, str]


def holding(database: Database, series_uid: str) -> Holding:
    """What the node has of a series."""
    with database.reading() as connection:
        joined = instance.join(series, series.c.id == instance.c.series_id)
        query = select(instance.c.sop_uid, instance.c.path).select_from(joined)
        rows = connection.execute(query.where(series.c.series_uid == series_uid)).all()
    kept = {row.sop_uid: row.path for row in rows if not row.path.startswith(GONE)}
    return Holding(frozenset(row.sop_uid for row in rows), kept)


def begun(database: Database, series_uid: str, source: str, way: str, images: int) -> None:
    """Enter that images of a series are asked of a PACS. The row's subject is the series UID: it has no number yet."""
    with database.transaction() as connection:
        detail = {"source": source, "way": way, "images": images}
        chain.append(connection, database_now(connection), database.actor, "pull.begun", series_uid, **detail)


def ended(database: Database, series_uid: str, came: int, missing: int, reasons: Sequence[str]) -> None:
    """Enter how that ended."""
    with database.transaction() as connection:
        detail = {"came": came, "missing": missing, "reason": "; ".join(reasons)}
        chain.append(connection, database_now(connection), database.actor, "pull.ended", series_uid, **detail)
