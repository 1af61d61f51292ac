"""What is around the node at one moment, as data: processes, destinations, senders and disks."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_node.audit import outbox
from dicom_node.audit.outbox import Backlog
from dicom_node.ledger import circuits, overview, switches, workers
from dicom_node.ledger.circuits import CircuitView
from dicom_node.ledger.overview import Oldest
from dicom_node.ledger.switches import Pause
from dicom_node.ledger.workers import WorkerView
from dicom_node.send.ways import way_to
from worker.retention import filled_percent
from worker.wiring import Node

HOUR_S, DAY_S = 3600.0, 86400.0
# What a destination is, for people, by the table of its settings.
KINDS = {"pacs": "PACS", "dicomweb": "DICOMweb", "folder": "folder"}


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
class Around:
    """All of it at one moment, by the database's clock.

    Attributes
    ----------
    counts : dict
        Series that arrive, and jobs by state.
    audit : Backlog or None
        What the audit repository has not got yet; None where the settings name none.
    """

    at: datetime
    counts: dict[str, int]
    oldest: Oldest
    pause: Pause | None
    processes: tuple[WorkerView, ...]
    destinations: tuple[DestinationFact, ...]
    disks: tuple[Disk, ...]
    scanners: tuple[ScannerFact, ...]
    audit: Backlog | None


def look_around(node: Node) -> Around:
    """Gather it."""
    database, at = node.database, overview.now(node.database)
    return Around(
        at=at,
        counts=overview.counts(database),
        oldest=overview.oldest(database),
        pause=switches.paused(database),
        processes=tuple(workers.everyone(database)),
        destinations=destinations_of(node),
        disks=disks_of(node),
        scanners=scanners_of(node, at),
        audit=outbox.backlog(database) if node.settings.audit.syslog else None,
    )


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
