"""What is amiss: one list for the console's first page, the command line, /metrics and notices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dicom_node.ledger import notices, queries, tallies
from dicom_node.ledger.notices import Amiss
from dicom_node.ledger.overview import Waiting
from dicom_node.ledger.states import CommitmentState, JobState
from dicom_node.ledger.workers import WorkerView
from worker.around import DAY_S, HOUR_S, Around, ScannerFact
from worker.notice_settings import Kind, NoticesSettings
from worker.wiring import Node

BAD, WARN = "bad", "warn"
NEEDS_A_PERSON = {"held": "held, to be looked at", "failed": "failed", "parked": "parked"}
OF_JOBS = {"held": Kind.RESULT_HELD, "failed": Kind.JOB_FAILED, "parked": Kind.DELIVERY_PARKED}
# A sender that was silent for longer is no longer expected, unless the settings name it.
EXPECTED_S = 30 * DAY_S
UNTOLD_AT_MOST = 50


@dataclass(frozen=True)
class Trouble:
    """One reason why work does not get done, or a person is wanted.

    Attributes
    ----------
    level : str
        bad or warn.
    sentence : str
        For who is logged in: with the reason, which a person, a PACS or a scanner may have written.
    link : str
        Path of the console's page.
    told : str
        For whom notices reach outside: the node's own words, names of its settings, and AE titles.
    since : datetime or None
        When it began, where that is known.
    latest_at : datetime or None
        When it last happened anew, of what can happen again while it lasts.
    is_told : bool
        False while it is too early to call somebody.
    """

    level: str
    sentence: str
    link: str
    kind: Kind
    subject: str
    told: str
    since: datetime | None = None
    latest_at: datetime | None = None
    is_told: bool = True

    @property
    def amiss(self) -> Amiss:
        """As the ledger notes it."""
        return Amiss(self.kind, self.subject, self.level, self.told, self.link, self.since, self.latest_at)


def troubles_of(node: Node, around: Around) -> tuple[Trouble, ...]:
    """What is amiss, the worst obstacles first; since when the ledger knows it, where nothing else tells."""
    known = {(item.kind, item.subject): item.since for item in notices.lasting(node.database)}
    found = (
        *_obstacles(around, node.settings.notices), *_untold(node), *_wanted(node, around),
        *_late(around, node.settings.notices), *_silent(around, node.settings.notices), *_broken(node),
        *_unheard(around),
    )  # fmt: skip
    return tuple(replace(item, since=item.since or known.get((item.kind, item.subject))) for item in found)


def _obstacles(around: Around, settings: NoticesSettings) -> Iterator[Trouble]:
    """Why work does not get done."""
    pause = around.pause
    if pause is not None:
        long = around.at - pause.since >= timedelta(minutes=settings.paused_minutes)
        told = "Nothing new is begun: the node is paused."
        sentence = f"Paused by {pause.by}: {pause.reason}"
        yield Trouble(WARN, sentence, "/workers", Kind.PAUSED, "", told, pause.since, is_told=long)
    if not any(not item.is_silent for item in around.processes):
        sentence = "No process works on this ledger: start `thinslice up`."
        yield Trouble(BAD, sentence, "/workers", Kind.NO_PROCESS, "", sentence)
    yield from _processes(around.processes)
    for disk in around.disks:
        if disk.is_full:
            sentence = f"The disk of the {disk.name} is {disk.used_percent:.0f} % full."
            yield Trouble(BAD, sentence, "/", Kind.DISK_FULL, disk.name, sentence)
    for item in around.destinations:
        if item.circuit is not None:
            told = f"{item.name} does not answer; results for it wait."
            sentence = f"{item.name} does not answer: {item.circuit.reason}"
            yield Trouble(BAD, sentence, "/partners", Kind.DESTINATION_DOWN, item.name, told)


def _processes(processes: Sequence[WorkerView]) -> Iterator[Trouble]:
    for item in processes:
        name = name_of(item)
        if item.is_silent and not _is_replaced(item, processes):
            sentence = f"{name} has not been seen for {item.silent_s / 60:.0f} minutes."
            yield Trouble(WARN, sentence, "/workers", Kind.PROCESS_SILENT, name, f"{name} is not seen any more.")
        elif item.is_amiss and not item.is_silent:
            sentence, told = f"{name} refuses to work: {item.reason}", f"{name} refuses to work."
            yield Trouble(BAD, sentence, "/workers", Kind.PROCESS_REFUSING, name, told)


def name_of(process: WorkerView) -> str:
    """What a process is called: what it does, its host and its number."""
    host, _, number, _ = process.owner.rsplit("/", 3)
    return f"{process.role} {host}/{number}"


def _is_replaced(silent: WorkerView, processes: Sequence[WorkerView]) -> bool:
    """Whether one that does the same on the same host was started in its place."""
    host = silent.owner.rsplit("/", 3)[0]
    return any(
        not item.is_silent
        and (item.role, item.owner.rsplit("/", 3)[0]) == (silent.role, host)
        and item.started_at > silent.started_at
        for item in processes
    )


def _untold(node: Node) -> Iterator[Trouble]:
    """Scanners that asked for storage commitment and could not be told."""
    found = queries.commitment_requests(node.database, CommitmentState.PARKED, limit=UNTOLD_AT_MOST)
    if not found:
        return
    latest = max(item.updated_at for item in found)
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    about = f"{found[0].calling_ae} was not told of its storage commitment"
    told = f"{about}{others}."
    sentence = f"{about}: {found[0].reason}{others}"
    yield Trouble(WARN, sentence, "/partners", Kind.COMMITMENT_UNTOLD, "", told, latest_at=latest)


def _wanted(node: Node, around: Around) -> Iterator[Trouble]:
    """What waits for a person; each that comes anew is news."""
    for state, words in NEEDS_A_PERSON.items():
        if around.counts.get(state):
            sentence, level = f"{around.counts[state]} {words}", BAD if state == "failed" else WARN
            latest = tallies.newest(node.database, JobState(state))
            told = f"Series that wait for a person: {sentence}."
            link = f"/series?state={state}"
            yield Trouble(level, sentence, link, OF_JOBS[state], "", told, latest_at=latest)


def _late(around: Around, settings: NoticesSettings) -> Iterator[Trouble]:
    """What waits for too long, or is too much."""
    waiting, unverified, queued = around.oldest.waiting, around.oldest.unverified, around.counts.get("queued", 0)
    if waiting and _is_older(around, waiting, settings.waiting_minutes):
        sentence = f"The oldest queued series waits longer than {settings.waiting_minutes:g} minutes."
        yield Trouble(WARN, sentence, f"/series/{waiting.series_id}", Kind.WAITING_LONG, "", sentence)
    if unverified and _is_older(around, unverified, settings.unverified_minutes):
        sentence = f"A result is unconfirmed for longer than {settings.unverified_minutes:g} minutes."
        yield Trouble(WARN, sentence, f"/series/{unverified.series_id}", Kind.UNVERIFIED_LONG, "", sentence)
    if settings.backlog and queued >= settings.backlog:
        sentence = f"{queued} series are queued; from {settings.backlog} on that is a backlog."
        yield Trouble(WARN, sentence, "/series?state=queued", Kind.BACKLOG, "", sentence)


def _is_older(around: Around, item: Waiting, minutes: float) -> bool:
    return bool(minutes) and around.at - item.since > timedelta(minutes=minutes)


def _silent(around: Around, settings: NoticesSettings) -> Iterator[Trouble]:
    """Senders that are expected and sent nothing for long."""
    for item in around.scanners:
        if item.is_silent and _is_expected(item, settings):
            hours = item.silent_s / HOUR_S
            sentence = f"{item.ae_title} has sent nothing for {hours:.0f} hours."
            told = f"{item.ae_title} has sent nothing for long."
            subject, since = item.ae_title, item.last_heard_at
            yield Trouble(WARN, sentence, "/partners", Kind.SCANNER_SILENT, subject, told, since)


def _is_expected(item: ScannerFact, settings: NoticesSettings) -> bool:
    return item.ae_title in settings.scanners if settings.scanners else item.silent_s < EXPECTED_S


def _broken(node: Node) -> Iterator[Trouble]:
    """What the latest verification of the audit trail found."""
    broken = tallies.latest(node.database, "audit.broken")
    if broken is not None and broken > (tallies.latest(node.database, "audit.verified") or 0):
        sentence = "The audit trail is broken: a row was changed, removed or inserted."
        yield Trouble(BAD, sentence, "/audit", Kind.AUDIT_BROKEN, "", sentence)


def _unheard(around: Around) -> Iterator[Trouble]:
    """The audit repository takes no messages."""
    behind = around.audit
    if behind is not None and behind.reason:
        sentence = f"{behind.rows} rows of the audit trail wait to be sent: {behind.reason}"
        told = "The audit repository takes no messages; rows of the audit trail wait for it."
        yield Trouble(WARN, sentence, "/audit", Kind.AUDIT_UNSENT, "", told, behind.since)
