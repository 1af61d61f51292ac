"""What the other side answered for each image of a delivery. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import delivery, delivery_instance

AT_MOST = 10_000


@dataclass(frozen=True)
class OutcomeView:
    """One image: whether it is stored there, and the last C-STORE status (PS3.7 C), null where no answer came."""

    sop_uid: str
    stored: bool
    status: int | None
    answered_at: datetime | None


def delivery_of(database: Database, delivery_id: int) -> tuple[int, int, str, str, str] | None:
    """Number, job, destination, state and reason of a delivery; None where there is none of that number."""
    columns = (delivery.c.id, delivery.c.job_id, delivery.c.destination, delivery.c.state, delivery.c.reason)
    with database.reading() as connection:
        row = connection.execute(select(*columns).where(delivery.c.id == delivery_id)).first()
        return None if row is None else (row.id, row.job_id, row.destination, row.state, row.reason)


def of_delivery(database: Database, delivery_id: int) -> list[OutcomeView]:
    """Its images by their UID, ``AT_MOST`` of them."""
    columns = [delivery_instance.c[name] for name in OutcomeView.__annotations__]
    query = select(*columns).where(delivery_instance.c.delivery_id == delivery_id)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(delivery_instance.c.sop_uid).limit(AT_MOST)).mappings()
        return [OutcomeView(**row) for row in rows]
