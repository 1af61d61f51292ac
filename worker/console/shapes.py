"""What the API and ``--json`` answer with: one dataclass for each. Their fields stay what they are.

``next`` is the address of the following page, and null on the last.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicom_node.ledger.channels import ChannelView, MessageView
from dicom_node.ledger.notices import NoticeView
from dicom_node.ledger.outcomes import OutcomeView
from dicom_node.ledger.queries import CommitmentRequestView
from dicom_node.ledger.sessions import OpenSession
from dicom_node.ledger.switches import Pause
from dicom_node.ledger.tokens import TokenView
from dicom_node.ledger.users import UserView
from dicom_node.ledger.workers import WorkerView
from dicom_node.receive.quarantine import Item
from worker.around import DestinationFact, ScannerFact
from worker.console.facts import RunningFact
from worker.console.series_facts import JobFact, SeriesFact, Step


@dataclass(frozen=True)
class Said:
    """What came of a deed: a sentence for people, and whether it is good news."""

    sentence: str
    ok: bool = True


@dataclass(frozen=True)
class Failed:
    """Why something was not answered or not done: a sentence for people."""

    error: str


@dataclass(frozen=True)
class SeriesPage:
    """Series in an order; ``previous`` is the address of the page before, and null on the first."""

    series: tuple[SeriesFact, ...]
    next: str | None
    previous: str | None


@dataclass(frozen=True)
class JobLine:
    """A job in short."""

    id: int
    series_id: int
    calling_ae: str
    label: str
    state: str
    reason: str
    slices: int
    thin_slices: int | None
    model_name: str
    rule: str
    progress: float
    attempt: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class JobsPage:
    """Jobs, newest first."""

    jobs: tuple[JobLine, ...]
    next: str | None


@dataclass(frozen=True)
class AuditRow:
    """A row of the audit trail: who did what to what, when; ``detail`` is as the event has it."""

    seq: int
    at: datetime
    actor: str
    event: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class AuditPage:
    """Rows of the audit trail, newest first."""

    rows: tuple[AuditRow, ...]
    next: str | None


@dataclass(frozen=True)
class HistoryRow:
    """What happened to a series, its jobs and their deliveries."""

    at: datetime
    actor: str
    event: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class ImageFact:
    """A received image: no more of it than the ledger holds, and not where it lies."""

    id: int
    sop_uid: str
    sha256: str
    size: int
    transfer_syntax_uid: str
    calling_ae: str
    peer_ip: str
    received_at: datetime
    conflict: bool


@dataclass(frozen=True)
class JobWay:
    """A job in full, and the steps on its way."""

    job: JobFact
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class SeriesDetail:
    """A series in full; ``acts`` are what a person may do with it now."""

    series: SeriesFact
    acts: tuple[str, ...]
    jobs: tuple[JobWay, ...]
    instances: tuple[ImageFact, ...]
    history: tuple[HistoryRow, ...]


@dataclass(frozen=True)
class DeliveryOutcomes:
    """What the other side answered for each image of a delivery."""

    delivery: int
    job: int
    destination: str
    state: str
    reason: str
    instances: tuple[OutcomeView, ...]


@dataclass(frozen=True)
class Held:
    """What waits for a person, newest first; ``quarantine`` counts files that could not be read."""

    held: tuple[SeriesFact, ...]
    failed: tuple[SeriesFact, ...]
    parked: tuple[SeriesFact, ...]
    quarantine: int


@dataclass(frozen=True)
class Quarantine:
    """Files that came and could not be read, newest first; ``count`` is of all."""

    files: tuple[Item, ...]
    count: int


@dataclass(frozen=True)
class Notices:
    """What is amiss, what is over, what was sent of it by which channel, and channels that do not work."""

    lasting: tuple[NoticeView, ...]
    ended: tuple[NoticeView, ...]
    sent: tuple[MessageView, ...]
    failing: tuple[ChannelView, ...]


@dataclass(frozen=True)
class Workers:
    """The processes that work on the ledger, the pause, and what is being restored."""

    processes: tuple[WorkerView, ...]
    pause: Pause | None
    running: tuple[RunningFact, ...]
    counts: dict[str, int]


@dataclass(frozen=True)
class Partners:
    """Who sends, where results go, and who was turned away of late."""

    ae_title: str
    host: str
    port: int | None
    tls_port: int | None
    destinations: tuple[DestinationFact, ...]
    scanners: tuple[ScannerFact, ...]
    refused: tuple[AuditRow, ...]


@dataclass(frozen=True)
class CommitmentsPage:
    """Storage commitment requests of scanners, newest first."""

    commitments: tuple[CommitmentRequestView, ...]
    next: str | None


@dataclass(frozen=True)
class RuleFact:
    """A rule: which series it takes (no condition: every one) and what it does; null is as the settings have it."""

    name: str
    conditions: dict[str, Any]
    restore: bool
    network: str | None
    target_spacing_mm: float | None
    priority: str
    destinations: tuple[str, ...] | None


@dataclass(frozen=True)
class Rules:
    """The rules in the order in which they are asked."""

    rules: tuple[RuleFact, ...]


@dataclass(frozen=True)
class Users:
    """Who may use the console."""

    users: tuple[UserView, ...]


@dataclass(frozen=True)
class Sessions:
    """Who is logged in to the console."""

    sessions: tuple[OpenSession, ...]


@dataclass(frozen=True)
class Made:
    """A new token, shown this once."""

    token: str
    entry: TokenView


@dataclass(frozen=True)
class Tokens:
    """Which programs may use the API; no token itself."""

    tokens: tuple[TokenView, ...]
