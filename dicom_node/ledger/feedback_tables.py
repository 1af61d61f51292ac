"""The table of what people thought of derived series."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from dicom_node.ledger.columns import UTCDateTime, metadata

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, index=True),
    Column("series_id", ForeignKey("series.id"), nullable=False, index=True),
    Column("at", UTCDateTime, nullable=False),
    Column("day", String(10), nullable=False, comment="of at, in UTC, by which it is counted"),
    Column("actor", String(160), nullable=False, comment="who said it"),
    Column("verdict", String(16), nullable=False, comment="accepted or rejected"),
    Column("reason", String(32), nullable=False, comment="one of a few, so that they can be counted; empty: accepted"),
    Column("remark", Text, nullable=False, comment="in their own words"),
    Column("calling_ae", String(16), nullable=False, comment="the scanner, as the series has it"),
    Column("model_name", String(64), nullable=False, comment="as the job has it"),
    Column("model_digest", String(64), nullable=False),
    Column("latest", Boolean, nullable=False, comment="the last word on its job: that one counts"),
    Index(None, "latest", "day"),
    Index(None, "latest", "verdict", "series_id"),
)
