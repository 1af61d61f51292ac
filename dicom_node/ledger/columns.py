"""What every table of the ledger is made with: the metadata, and column types for moments and plans."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, MetaData, TypeDecorator

from dicom_node.plans import Plan


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database; SQLite stores them without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, drop the zone where the database has none."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlanColumn(TypeDecorator[Plan]):
    """A plan as JSON of what it wants; empty for one that wants nothing, as of jobs that are older than rules."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Plan | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        """Keep what is wanted."""
        wanted = {name: item for name, item in asdict(value or Plan()).items() if item is not None}
        return wanted or None

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> Plan:  # noqa: ARG002
        """Make the plan again."""
        wanted = dict(value or {})
        if "destinations" in wanted:
            wanted["destinations"] = tuple(wanted["destinations"])
        return Plan(**wanted)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
