"""Tables of notices: what is or was amiss, whom it was told, and which channels tell it."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from dicom_node.ledger.columns import UTCDateTime, metadata

notice = Table(
    "notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False, comment="for example destination_down"),
    Column("subject", String(160), nullable=False, comment="what it is about, for example a scanner; empty: the node"),
    Column("level", String(8), nullable=False, comment="bad or warn"),
    Column("sentence", Text, nullable=False, comment="what is told: in the node's own words, without reasons"),
    Column("link", String(160), nullable=False, comment="page of the console"),
    Column("since", UTCDateTime, nullable=False),
    Column("news_at", UTCDateTime, nullable=False, comment="its latest occurrence"),
    Column("over_at", UTCDateTime, index=True, comment="empty: it lasts"),
)

notice_told = Table(
    "notice_told",
    metadata,
    Column("notice_id", ForeignKey("notice.id"), primary_key=True),
    Column("channel", String(80), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("told_at", UTCDateTime, nullable=False, comment="the last time"),
    Column("news_at", UTCDateTime, nullable=False, comment="the occurrence that was told last"),
    Column("over", Boolean, nullable=False, comment="that it is over was told too"),
)

notice_channel = Table(
    "notice_channel",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("owner", String(160), comment="host/boot/pid/start of the process that is sending"),
    Column("lease_until", UTCDateTime),
    Column("fence", Integer, nullable=False, comment="rises with every claim"),
    Column("attempt", Integer, nullable=False, comment="failures in a row"),
    Column("due_at", UTCDateTime, nullable=False, comment="no try before"),
    Column("reason", Text, nullable=False, comment="why the last try failed"),
)

notice_message = Table(
    "notice_message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("at", UTCDateTime, nullable=False, index=True),
    Column("notices", Integer, nullable=False),
    Column("summary", Text, nullable=False),
    Index(None, "channel", "at"),
)
