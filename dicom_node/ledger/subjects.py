"""What a row of the audit trail is about: its study and series, as far as the ledger knows."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import delivery, delivery_instance, instance, job, series


@dataclass(frozen=True)
class Subject:
    """A series, and the job and the delivery where the row is about one; what is not known is empty.

    Attributes
    ----------
    images : int
        Of the series; of the result, where the row is about a job; those to be sent, where it is about a delivery.
    peer_ip : str
        Where its images came from.
    """

    study_uid: str = ""
    series_uid: str = ""
    calling_ae: str = ""
    peer_ip: str = ""
    derived_series_uid: str = ""
    destination: str = ""
    images: int = 0


def find(database: Database, subject: str) -> Subject:
    """What ``series:3``, ``job:7`` or ``delivery:9`` is; without a study UID where it is none of them, or gone."""
    kind, _, number = subject.partition(":")
    look = {"series": _series, "job": _job, "delivery": _delivery}.get(kind)
    if look is None or not (number.isascii() and number.isdecimal()):
        return _by_uid(database, subject)
    with database.reading() as connection:
        return look(connection, int(number)) or Subject()


def _by_uid(database: Database, uid: str) -> Subject:
    """A pull is about a series UID, which has a number once an image came."""
    with database.reading() as connection:
        number = connection.execute(select(series.c.id).where(series.c.series_uid == uid)).scalar()
        found = None if number is None else _series(connection, number)
        return found or Subject()


def _series(connection: Connection, number: int) -> Subject | None:
    columns = (series.c.study_uid, series.c.series_uid, series.c.calling_ae, series.c.instances)
    row = connection.execute(select(*columns).where(series.c.id == number)).first()
    newest = select(instance.c.peer_ip).where(instance.c.series_id == number).order_by(instance.c.id.desc()).limit(1)
    if row is None:
        return None
    peer_ip = connection.execute(newest).scalar() or ""
    return Subject(row.study_uid, row.series_uid, row.calling_ae, peer_ip, images=row.instances)


def _job(connection: Connection, number: int) -> Subject | None:
    columns = (series.c.study_uid, series.c.series_uid, job.c.derived_series_uid, job.c.thin_slices, job.c.slices)
    query = select(*columns).select_from(job.join(series, series.c.id == job.c.series_id)).where(job.c.id == number)
    row = connection.execute(query).first()
    if row is None:
        return None
    derived = row.derived_series_uid or ""
    return Subject(row.study_uid, row.series_uid, derived_series_uid=derived, images=row.thin_slices or row.slices)


def _delivery(connection: Connection, number: int) -> Subject | None:
    row = connection.execute(select(delivery.c.job_id, delivery.c.destination).where(delivery.c.id == number)).first()
    found = None if row is None else _job(connection, row.job_id)
    if row is None or found is None:
        return None
    mine = delivery_instance.c.delivery_id == number
    images = connection.execute(select(func.count()).select_from(delivery_instance).where(mine)).scalar_one()
    return replace(found, destination=row.destination, images=images)
