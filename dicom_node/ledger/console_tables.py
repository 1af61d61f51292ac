"""Tables of the console: who may use it, who is logged in, which programs may, and who tried too often."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from dicom_node.ledger.columns import UTCDateTime, metadata

console_user = Table(
    "console_user",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False, comment="argon2, with its salt and costs"),
    Column("role", String(16), nullable=False, comment="viewer, operator or admin"),
    Column("disabled", Boolean, nullable=False, server_default="0"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
    Column("first_until", UTCDateTime, comment="the password is a first one: good until then, to be replaced at once"),
    Column("issuer", String(255), nullable=False, server_default="", comment="OpenID provider; empty: by password"),
    Column("subject", String(255), comment="who they are to the issuer"),
    Index(None, "issuer", "subject", unique=True),
)

console_session = Table(
    "console_session",
    metadata,
    Column("token_sha256", String(64), primary_key=True, comment="the token itself is in the browser alone"),
    Column("user_id", ForeignKey("console_user.id"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False, comment="every form that changes something brings it along"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False, comment="last deed of the person; pages that refresh are none"),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("peer_ip", String(45), nullable=False),
)

console_throttle = Table(
    "console_throttle",
    metadata,
    Column("key", String(64), primary_key=True, comment="sha256 of an address, or of a name and an address"),
    Column("failures", Integer, nullable=False),
    Column("until", UTCDateTime, comment="no try before"),
    Column("updated_at", UTCDateTime, nullable=False, index=True),
)

console_token = Table(
    "console_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("console_user.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False, comment="what the program is called that has it"),
    Column("token_sha256", String(64), nullable=False, unique=True, comment="the token itself is in the program alone"),
    Column("role", String(16), nullable=False, comment="at most; never more than the user's own"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("used_at", UTCDateTime, comment="last use, to the minute"),
    Column("revoked_at", UTCDateTime, comment="not let in since"),
)
