"""The ledger's tables. No patient name or ID is among the columns."""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dicom_node.ledger.columns import PlanColumn, UTCDateTime
from dicom_node.ledger.columns import metadata as metadata
from dicom_node.ledger.console_tables import console_session as console_session
from dicom_node.ledger.console_tables import console_throttle as console_throttle
from dicom_node.ledger.console_tables import console_user as console_user
from dicom_node.ledger.feedback_tables import feedback as feedback
from dicom_node.ledger.notice_tables import notice as notice
from dicom_node.ledger.notice_tables import notice_channel as notice_channel
from dicom_node.ledger.notice_tables import notice_message as notice_message
from dicom_node.ledger.notice_tables import notice_told as notice_told


def _lease_columns() -> list[Column[Any]]:
    """What a worker needs to own a row for a while: lease on database time, fence, counters, next due time."""
    return [
        Column("owner", String(160), comment="host/boot/pid/start of the process that holds the lease"),
        Column("lease_until", UTCDateTime),
        Column(
            "fence", Integer, nullable=False, default=0, comment="rises with every claim; an older one may not finish"
        ),
        Column("attempt", Integer, nullable=False, default=0, comment="claims so far"),
        Column("deaths", Integer, nullable=False, default=0, comment="claims that ended by a lost lease"),
        Column("due_at", UTCDateTime, nullable=False, comment="not before"),
    ]


def _claim_columns() -> list[Column[Any]]:
    """The same for a row whose worker is told by a bell."""
    return [*_lease_columns(), Column("rung_at", UTCDateTime, comment="when a worker was last told")]


series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_uid", String(64), nullable=False, unique=True),
    Column("study_uid", String(64), nullable=False),
    Column("calling_ae", String(16), nullable=False),
    Column("state", String(16), nullable=False, comment="receiving or complete"),
    Column("revision", Integer, nullable=False, default=1, comment="rises when images arrive after completion"),
    Column("instances", Integer, nullable=False, default=0),
    Column("released", Boolean, nullable=False, default=False, comment="the sender closed its association properly"),
    Column("forced", Boolean, nullable=False, server_default="0", comment="a person wants it judged now, as it is"),
    Column("first_heard_at", UTCDateTime, nullable=False),
    Column("last_heard_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime, nullable=False, comment="when to ask next whether it is complete"),
    Column("purged_at", UTCDateTime, comment="when its files were removed from the spool"),
    Index(None, "state", "due_at"),
    Index(None, "calling_ae", "id"),
    Index(None, "calling_ae", "last_heard_at"),
    Index(None, "last_heard_at", "id"),
    # for the beginning of a UID, whatever the database's language sorts first
    Index(None, "series_uid", postgresql_ops={"series_uid": "text_pattern_ops"}),
    Index(None, "study_uid", postgresql_ops={"study_uid": "text_pattern_ops"}),
)

instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", ForeignKey("series.id"), nullable=False),
    Column("sop_uid", String(64), nullable=False, index=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, comment="of the data set as sent"),
    Column("path", Text, nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("calling_ae", String(16), nullable=False),
    Column("peer_ip", String(45), nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("conflict", Boolean, nullable=False, server_default="0", comment="other bytes came under this UID before"),
    UniqueConstraint("series_id", "sop_uid", "sha256"),
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_key", String(64), nullable=False, unique=True, comment="sha256 of inputs, model and configuration"),
    Column("series_id", ForeignKey("series.id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("label", Text, nullable=False, comment="which stack of the series, for people"),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default="", comment="why it is in this state, for people"),
    Column("slices", Integer, nullable=False, comment="thick slices"),
    Column("model_name", String(64), nullable=False),
    Column("model_digest", String(64), nullable=False),
    Column("rule", String(64), nullable=False, server_default="", comment="which decided; empty: none"),
    Column("plan", PlanColumn, comment="what the rule wants instead of the settings: network, spacing, destinations"),
    Column("progress", Float, nullable=False, default=0.0, comment="0 to 1 while running"),
    Column("result", Text, comment="folder of the stored result"),
    Column("derived_series_uid", String(64)),
    Column("thin_slices", Integer),
    Column("figures", JSON, comment="self-check and timing"),
    Column("seconds", Float, comment="that the latest restoration took, as in the figures"),
    Column("priority", Integer, nullable=False, server_default="0", comment="1 for STAT; a higher one goes first"),
    Column("purged_at", UTCDateTime, comment="when its result was removed"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    *_claim_columns(),
    Index(None, "state", "due_at"),
    Index(None, "state", "updated_at"),
    Index(None, "state", "series_id"),
    Index(None, "rule", "created_at"),
    Index(None, "state", "id"),
    Index(None, "seconds", "series_id"),
    Index(None, "model_name", "series_id"),
)

job_instance = Table(
    "job_instance",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("instance_id", ForeignKey("instance.id"), primary_key=True),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("transaction_uid", String(64), index=True, comment="storage commitment asked for"),
    Column("verified_by", String(32), comment="storage commitment or C-FIND"),
    Column("updated_at", UTCDateTime, nullable=False),
    *_claim_columns(),
    UniqueConstraint("job_id", "destination"),
    Index(None, "destination", "job_id"),
    Index(None, "state", "due_at"),
)

delivery_instance = Table(
    "delivery_instance",
    metadata,
    Column("delivery_id", ForeignKey("delivery.id"), primary_key=True),
    Column("sop_uid", String(64), primary_key=True),
    Column("stored", Boolean, nullable=False, default=False),
    Column("status", Integer, comment="last C-STORE status; empty when no answer came"),
    Column("answered_at", UTCDateTime),
)

commitment_request = Table(
    "commitment_request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False, comment="the scanner's"),
    Column("calling_ae", String(16), nullable=False, comment="who asked, and is reported to"),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default="", comment="why it is in this state, for people"),
    Column("wait_until", UTCDateTime, nullable=False, comment="until when its instances may still come"),
    Column("asked_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    *_lease_columns(),
    UniqueConstraint("transaction_uid", "calling_ae"),
    Index(None, "state", "due_at"),
)

commitment_reference = Table(
    "commitment_reference",
    metadata,
    Column("request_id", ForeignKey("commitment_request.id"), primary_key=True),
    Column("sop_uid", String(64), primary_key=True, index=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("failure", Integer, comment="0: committed; else its Failure Reason; empty: not decided yet"),
)

circuit = Table(
    "circuit",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("failures", Integer, nullable=False, comment="one after the other, of the association itself"),
    Column("open_until", UTCDateTime, comment="nothing is sent there before; empty: closed"),
    Column("reason", Text, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
)

switch = Table(
    "switch",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_by", String(160), nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
)

paused_destination = Table(
    "paused_destination",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("paused_by", String(160), nullable=False),
    Column("paused_at", UTCDateTime, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("owner", String(160), primary_key=True, comment="host/boot/pid/start of the process"),
    Column("role", String(64), nullable=False, comment="node, or the queues it serves"),
    Column("state", String(16), nullable=False, comment="ready, refusing or stopping"),
    Column("reason", Text, nullable=False, comment="why it refuses, for people"),
    Column("started_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
    Column("drained_by", String(160), comment="who wants it to claim nothing more"),
    Column("drain_reason", Text),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String(160), nullable=False),
    Column("event", String(64), nullable=False),
    Column("subject", String(64), nullable=False, index=True, comment="for example job:7"),
    Column("detail", Text, nullable=False, comment="canonical JSON"),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Index(None, "event", "seq"),
    Index(None, "actor", "seq"),
)

audit_position = Table(
    "audit_position",
    metadata,
    Column("reader", String(32), primary_key=True, comment="who takes rows elsewhere: syslog"),
    Column("seq", Integer, nullable=False, comment="the last row of the audit trail that it has taken"),
    Column("reason", Text, nullable=False, comment="why it gets no further, for people"),
    Column("owner", String(160), comment="host/boot/pid/start of who reads now"),
    Column("lease_until", UTCDateTime),
    Column("updated_at", UTCDateTime, nullable=False),
)
