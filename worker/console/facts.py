"""What the first page shows, as data: the ledger's figures and this machine's disks. /api and /metrics show it too."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_node.ledger import channels, overview
from dicom_node.ledger.channels import MessageView
from dicom_node.ledger.overview import Finished
from worker.around import DAY_S, HOUR_S, Around, look_around
from worker.around import destinations_of as destinations_of
from worker.around import scanners_of as scanners_of
from worker.troubles import NEEDS_A_PERSON as NEEDS_A_PERSON
from worker.troubles import Trouble, troubles_of
from worker.wiring import Node

# An estimate from less progress than this would jump about.
LEAST_PROGRESS = 0.05
# Ends of the buckets that times are counted in, in seconds: from half a minute to a day.
BUCKETS_S = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Pace:
    """How much came to its end, by hour (oldest first), and how long after its last image; seconds.

    ``within`` counts those that took no longer than each of ``BUCKETS_S``, ``sum_s`` adds up what all took.
    """

    hour: int
    day: int
    by_hour: tuple[int, ...]
    median_s: float | None
    p95_s: float | None
    target_s: float
    within: tuple[int, ...]
    sum_s: float


@dataclass(frozen=True)
class RunningFact:
    """A restoration under way; ``left_s`` is an estimate, None where it is too early; ``owner`` is the process."""

    job_id: int
    series_id: int
    calling_ae: str
    slices: int
    model_name: str
    progress: float
    elapsed_s: float
    left_s: float | None
    owner: str


@dataclass(frozen=True)
class Now(Around):
    """The node at one moment."""

    pace: Pace
    running: tuple[RunningFact, ...]
    troubles: tuple[Trouble, ...]
    told: tuple[MessageView, ...]


def now(node: Node) -> Now:
    """Gather it."""
    database, around = node.database, look_around(node)
    return Now(
        **vars(around),
        pace=pace_of(overview.finished(database, DAY_S), around.at, node.settings.console.target_minutes * 60),
        running=running_of(node, around.at),
        troubles=troubles_of(node, around),
        told=tuple(channels.messages(database, limit=1)),
    )


def pace_of(finished: Sequence[Finished], at: datetime, target_s: float) -> Pace:
    """Throughput and delay of what came to its end within a day."""
    ages = [(at - item.at).total_seconds() for item in finished]
    by_hour = [0] * 24
    for age in ages:
        by_hour[23 - min(int(max(age, 0) // HOUR_S), 23)] += 1
    delays = sorted(item.seconds for item in finished)
    recent = sum(age < HOUR_S for age in ages)
    ranks = percentile(delays, 50), percentile(delays, 95)
    within = tuple(bisect_right(delays, end) for end in BUCKETS_S)
    return Pace(recent, len(ages), tuple(by_hour), *ranks, target_s, within, sum(delays))


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
        found.append(RunningFact(*who, item.progress, elapsed, left, item.owner))
    return tuple(found)
