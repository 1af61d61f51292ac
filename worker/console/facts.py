"""What the first page shows, as data: the ledger's figures and this machine's disks. /api and /metrics show it too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_node.audit.outbox import Backlog
from dicom_node.ledger import circuits, overview, queries, switches, workers
from dicom_node.ledger.circuits import CircuitView
from dicom_node.ledger.overview import Finished, Oldest
from dicom_node.ledger.states import CommitmentState
from dicom_node.ledger.switches import Pause
from dicom_node.ledger.workers import WorkerView
from dicom_node.send.ways import way_to
from worker.console.trail_facts import backlog_of
from worker.retention import filled_percent
from worker.wiring import Node

HOUR_S, DAY_S = 3600.0, 86400.0
# What a destination is, for people, by the table of its settings.
KINDS = {"pacs": "PACS", "dicomweb": "DICOMweb", "folder": "folder"}
# An estimate from less progress than this would jump about.
LEAST_PROGRESS = 0.05
NEEDS_A_PERSON = {"held": "held, to be looked at", "failed": "failed", "parked": "parked"}


@dataclass(frozen=True)
class Pace:
    """How much came to its end, by hour (oldest first), and how long after its last image; seconds."""

    hour: int
    day: int
    by_hour: tuple[int, ...]
    median_s: float | None
    p95_s: float | None
    target_s: float


@dataclass(frozen=True)
class RunningFact:
    """A restoration under way; ``left_s`` is an estimate, None where it is too early for one."""

    job_id: int
    series_id: int
    calling_ae: str
    slices: int
    model_name: str
    progress: float
    elapsed_s: float
    left_s: float | None


@dataclass(frozen=True)
class ScannerFact:
    """A sender and how long it has been silent."""

    ae_title: str
    last_heard_at: datetime
    series_id: int
    silent_s: float
    is_silent: bool


@dataclass(frozen=True)
class DestinationFact:
    """A destination of the settings: its ``kind`` and ``place``, for people; ``circuit`` while it does not answer."""

    name: str
    kind: str
    place: str
    waiting: int
    circuit: CircuitView | None


@dataclass(frozen=True)
class Disk:
    """The disk of a folder; images are refused above ``limit_percent``."""

    name: str
    used_percent: float
    limit_percent: float

    @property
    def is_full(self) -> bool:
        """Whether the node does not write there any more, or is about to stop."""
        return self.used_percent >= self.limit_percent - 5


@dataclass(frozen=True)
class Trouble:
    """One reason why work does not get done, or a person is wanted; ``level`` is bad or warn."""

    level: str
    sentence: str
    link: str


@dataclass(frozen=True)
class Now:
    """The node at one moment."""

    at: datetime
    counts: dict[str, int]
    pace: Pace
    oldest: Oldest
    running: tuple[RunningFact, ...]
    processes: tuple[WorkerView, ...]
    destinations: tuple[DestinationFact, ...]
    pause: Pause | None
    disks: tuple[Disk, ...]
    scanners: tuple[ScannerFact, ...]
    troubles: tuple[Trouble, ...]
    audit: Backlog | None


def now(node: Node) -> Now:
    """Gather it."""
    database, at = node.database, overview.now(node.database)
    counts, processes = overview.counts(database), tuple(workers.everyone(database))
    pause, destinations, disks = switches.paused(database), destinations_of(node), disks_of(node)
    audit = backlog_of(node)
    return Now(
        at=at,
        counts=counts,
        pace=pace_of(overview.finished(database, DAY_S), at, node.settings.console.target_minutes * 60),
        oldest=overview.oldest(database),
        running=running_of(node, at),
        processes=processes,
        destinations=destinations,
        pause=pause,
        disks=disks,
        scanners=scanners_of(node, at),
        troubles=(
            *_obstacles(pause, processes, destinations, disks),
            *_untold(node),
            *_unheard(audit),
            *_wanted(counts),
        ),
        audit=audit,
    )


def pace_of(finished: Sequence[Finished], at: datetime, target_s: float) -> Pace:
    """Throughput and delay of what came to its end within a day."""
    ages = [(at - item.at).total_seconds() for item in finished]
    by_hour = [0] * 24
    for age in ages:
        by_hour[23 - min(int(max(age, 0) // HOUR_S), 23)] += 1
    delays = sorted(item.seconds for item in finished)
    recent = sum(age < HOUR_S for age in ages)
    return Pace(recent, len(ages), tuple(by_hour), percentile(delays, 50), percentile(delays, 95), target_s)


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many per cent do not exceed (nearest rank); None of nothing."""
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1] if ordered else None


def running_of(node: Node, at: datetime) -> tuple[RunningFact, ...]:
    """Restorations under way, with an estimate of what is left."""
    found = []
    for item in overview.running(node.database):
        elapsed = max((at - item.started_at).total_seconds(), 0.0)
        left = elapsed * (1 - item.progress) / item.progress if item.progress >= LEAST_PROGRESS else None
        who = (item.job_id, item.series_id, item.calling_ae, item.slices, item.model_name)
        found.append(RunningFact(*who, item.progress, elapsed, left))
    return tuple(found)


def destinations_of(node: Node) -> tuple[DestinationFact, ...]:
    """Every destination of the settings, with what waits for it."""
    waiting = overview.waiting_for(node.database)
    opened = {item.destination: item for item in circuits.opened(node.database)}
    found = []
    for name, destination in node.destinations.items():
        way = way_to(destination)
        kind, place = KINDS[way.kind], way.place(destination)
        found.append(DestinationFact(name, kind, place, waiting.get(name, 0), opened.get(name)))
    return tuple(found)


def scanners_of(node: Node, at: datetime) -> tuple[ScannerFact, ...]:
    """Every sender, the most recent first."""
    limit_s = node.settings.console.silent_hours * HOUR_S
    found = []
    for item in overview.scanners(node.database):
        silent_s = max((at - item.last_heard_at).total_seconds(), 0.0)
        found.append(ScannerFact(item.ae_title, item.last_heard_at, item.series_id, silent_s, silent_s > limit_s))
    return tuple(found)


def disks_of(node: Node) -> tuple[Disk, ...]:
    """Disks of received images and of results."""
    folders: dict[str, Path] = {"received images": node.settings.receive.spool, "results": node.settings.worker.results}
    limit = node.settings.receive.disk_full_percent
    return tuple(Disk(name, filled_percent(folder), limit) for name, folder in folders.items() if folder.exists())


def _obstacles(
    pause: Pause | None, processes: Sequence[WorkerView], destinations: Sequence[DestinationFact], disks: Sequence[Disk]
) -> list[Trouble]:
    """Why work does not get done."""
    found = []
    if pause is not None:
        found.append(Trouble("warn", f"Paused by {pause.by}: {pause.reason}", "/workers"))
    if not any(not item.is_silent for item in processes):
        found.append(Trouble("bad", "No process works on this ledger: start `thinslice up`.", "/workers"))
    found += [
        Trouble("bad", f"{item.role} refuses to work: {item.reason}", "/workers")
        for item in processes
        if item.is_amiss and not item.is_silent
    ]
    found += [
        Trouble("bad", f"The disk of the {item.name} is {item.used_percent:.0f} % full.", "/")
        for item in disks
        if item.is_full
    ]
    found += [
        Trouble("warn", f"{item.name} does not answer: {item.circuit.reason}", "/partners")
        for item in destinations
        if item.circuit is not None
    ]
    return found


def _untold(node: Node) -> list[Trouble]:
    """Scanners that asked for storage commitment and could not be told."""
    return [
        Trouble("warn", f"{item.calling_ae} was not told of its storage commitment: {item.reason}", "/partners")
        for item in queries.commitment_requests(node.database, CommitmentState.PARKED, limit=5)
    ]


def _unheard(audit: Backlog | None) -> list[Trouble]:
    """The audit repository does not take messages."""
    if audit is None or not audit.reason:
        return []
    return [Trouble("warn", f"{audit.rows} rows of the audit trail wait to be sent: {audit.reason}", "/audit")]


def _wanted(counts: dict[str, int]) -> list[Trouble]:
    """What waits for a person."""
    return [
        Trouble("bad" if state == "failed" else "warn", f"{counts[state]} {words}", f"/series?state={state}")
        for state, words in NEEDS_A_PERSON.items()
        if counts.get(state)
    ]
