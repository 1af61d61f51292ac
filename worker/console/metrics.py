"""Figures for Prometheus, made from the ledger at each look: they are right after a restart, and for every process.

Gauges say how things are. Counters are numbers of rows that are only ever added: of the audit trail, of series and of
images; so they never go back, unless the ledger is replaced by another. Names are those of OpenMetrics: base units.
"""

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from dicom_node.ledger.overview import Waiting
from dicom_node.ledger.states import CommitmentState, DeliveryState, JobState, SeriesState
from worker.console.facts import BUCKETS_S, Now, Pace
from worker.console.tally import Counts
from worker.notice_settings import Kind
from worker.troubles import name_of

PREFIX = "thinslice_"
STATES = {
    "series": SeriesState, "jobs": JobState, "deliveries": DeliveryState, "commitment_requests": CommitmentState,
}  # fmt: skip
# What the audit trail says of deliveries; how they are claimed it does not.
ENDS = (DeliveryState.SENT, DeliveryState.VERIFIED, DeliveryState.PARKED)
MEANINGS = {
    "series": "Series by state",
    "jobs": "Jobs by state",
    "deliveries": "Deliveries by state, one for each job and destination",
    "commitment_requests": "Storage commitment requests of scanners by state",
}


def exposed(now: Now, counts: Counts, accept: str = "") -> tuple[bytes, str]:
    """The figures of one moment, in OpenMetrics where that is asked for, else in Prometheus's text; and its type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(now, counts))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Figures(Collector):
    def __init__(self, now: Now, counts: Counts) -> None:
        self._now, self._counts = now, counts

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield InfoMetricFamily(f"{PREFIX}build", "Which program this is", _build())
        yield from self._states()
        yield from self._totals()
        yield from self._times()
        yield from self._destinations()
        yield from self._around()

    def _states(self) -> Iterator[Metric]:
        for name, states in STATES.items():
            found = dict.fromkeys(map(str, states), 0) | self._counts.by_state[name]
            yield _by("state", name, MEANINGS[name], found)
        kinds = dict.fromkeys(map(str, Kind), 0) | self._counts.notices
        yield _by("kind", "notices", "Notices that last, by what is amiss", kinds)
        yield _one("paused", "1 while nothing new is begun", float(self._now.pause is not None))

    def _totals(self) -> Iterator[Metric]:
        counts, happened = self._counts, self._counts.happened
        yield _total("series_received", "Series that ever came", counts.series)
        yield _total("images_received", "Images that ever came", counts.images)
        yield _totals("state", "job_moves", "Jobs that came to a state", _moves("job", JobState, happened.events))
        deliveries = _moves("delivery", ENDS, happened.events)
        yield _totals("state", "delivery_moves", "Deliveries that came to a state", deliveries)
        yield _total("associations_refused", "Associations that were refused or cut off", happened.refused)
        throttled = happened.events.get("session.throttled", 0)
        yield _total("logins_throttled", "Times that logins had to wait after too many failures", throttled)
        yield _total("notices_sent", "Messages that told of notices", happened.events.get("notice.sent", 0))
        yield _total("audit_rows", "Rows of the audit trail", sum(happened.events.values()))

    def _times(self) -> Iterator[Metric]:
        now, pace = self._now, self._now.pace
        yield _one("finished_last_hour", "Jobs that came to their end within an hour", pace.hour)
        yield _one("finished_last_day", "Jobs that came to their end within a day", pace.day)
        about = "From the last image of a series to its confirmed result, of those of the last day"
        yield _histogram("time_to_derived_last_day_seconds", about, pace)
        yield _one("time_to_derived_target_seconds", "The wanted time", pace.target_s)
        yield _one("oldest_waiting_seconds", "How long the oldest queued job waits", _age_s(now, now.oldest.waiting))
        unverified = _age_s(now, now.oldest.unverified)
        yield _one("oldest_unverified_seconds", "How long the oldest result waits to be confirmed", unverified)
        if now.audit is not None:
            behind_s = (now.at - now.audit.since).total_seconds() if now.audit.since else 0.0
            yield _one("audit_unsent_rows", "Rows of the audit trail that the repository has not got", now.audit.rows)
            yield _one("audit_unsent_seconds", "Since the oldest of them was written", max(behind_s, 0.0))

    def _destinations(self) -> Iterator[Metric]:
        found = self._now.destinations
        up = {one.name: float(one.circuit is None) for one in found}
        yield _by("destination", "destination_up", "0 while the circuit of a destination is open", up)
        failures = {one.name: float(one.circuit.failures if one.circuit else 0) for one in found}
        meaning = "Connections that failed in a row, while its circuit is open"
        yield _by("destination", "destination_failures", meaning, failures)
        again = {one.name: one.circuit.open_until.timestamp() for one in found if one.circuit}
        yield _by("destination", "destination_retry_timestamp_seconds", "When it is tried next", again)
        waiting = {one.name: one.waiting for one in found}
        yield _by("destination", "destination_waiting", "Deliveries that it has to get or to confirm", waiting)

    def _around(self) -> Iterator[Metric]:
        """Senders, disks and processes."""
        now = self._now
        heard = {one.ae_title: one.last_heard_at.timestamp() for one in now.scanners}
        yield _by("ae_title", "scanner_last_heard_timestamp_seconds", "When a sender's last image came", heard)
        used = {one.name: one.used_percent / 100 for one in now.disks}
        yield _by("folder", "disk_used_ratio", "How full the disk of a folder is", used)
        limit = {one.name: one.limit_percent / 100 for one in now.disks}
        yield _by("folder", "disk_limit_ratio", "Where images are refused", limit)
        labels = ["role", "process"]
        about = "When a process last gave a sign of life"
        seen = GaugeMetricFamily(f"{PREFIX}process_last_seen_timestamp_seconds", about, labels=labels, unit="seconds")
        about = "1 for a process that was seen lately and does not refuse to work"
        working = GaugeMetricFamily(f"{PREFIX}process_working", about, labels=labels)
        for one in now.processes:
            who = [one.role, name_of(one).removeprefix(f"{one.role} ")]
            seen.add_metric(who, now.at.timestamp() - one.silent_s)
            working.add_metric(who, float(not one.is_amiss))
        yield from (seen, working)


def _build() -> dict[str, str]:
    return {"version": importlib.metadata.version("thinslice"), "python": platform.python_version()}


def _moves(kind: str, states: Iterable[StrEnum], events: Mapping[str, int]) -> dict[str, int]:
    return {str(state): events.get(f"{kind}.{state}", 0) for state in states}


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}{name}", meaning, value, unit=_unit(name))


def _by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    found = GaugeMetricFamily(f"{PREFIX}{name}", meaning, labels=[label], unit=_unit(name))
    for key, value in values.items():
        found.add_metric([key], value)
    return found


def _total(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}{name}", meaning, value)


def _totals(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    found = CounterMetricFamily(f"{PREFIX}{name}", meaning, labels=[label])
    for key, value in values.items():
        found.add_metric([key], value)
    return found


def _histogram(name: str, meaning: str, pace: Pace) -> Metric:
    """Of what there is now: unlike a counter's, its buckets may empty again."""
    buckets = [(f"{end:.1f}", float(count)) for end, count in zip(BUCKETS_S, pace.within, strict=True)]
    content = [*buckets, ("+Inf", float(pace.day))]
    return GaugeHistogramMetricFamily(f"{PREFIX}{name}", meaning, content, pace.sum_s, unit=_unit(name))


def _unit(name: str) -> str:
    """The unit that a name ends with, as OpenMetrics names it beside."""
    return next((unit for unit in ("seconds", "ratio") if name.endswith(f"_{unit}")), "")


def _age_s(now: Now, waiting: Waiting | None) -> float:
    return (now.at - waiting.since).total_seconds() if waiting else 0.0
