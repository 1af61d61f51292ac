"""Figures for Prometheus, made from the ledger at each look: they are right after a restart, and for every process."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dicom_node.ledger.overview import Waiting
from dicom_node.ledger.states import JobState
from worker.console.facts import Now


def exposed(now: Now, counts: Mapping[str, int]) -> bytes:
    """The figures of one moment in Prometheus's text format; ``counts`` are exact ones of jobs by state."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(now, counts))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, now: Now, counts: Mapping[str, int]) -> None:
        self._now, self._counts = now, counts

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        now, pace = self._now, self._now.pace
        by_state = {"receiving": 0} | dict.fromkeys(map(str, JobState), 0) | dict(self._counts)
        delays = {"0.5": pace.median_s, "0.95": pace.p95_s}
        known = {quantile: value for quantile, value in delays.items() if value is not None}
        yield _by("state", "jobs", "Series that arrive, and jobs by state", by_state)
        yield _one("finished_last_hour", "Jobs that came to their end within an hour", pace.hour)
        yield _one("finished_last_day", "Jobs that came to their end within a day", pace.day)
        yield _by("quantile", "time_to_derived_seconds", "From the last image to the confirmed result, in a day", known)
        yield _one("time_to_derived_target_seconds", "The wanted time", pace.target_s)
        yield _one("oldest_waiting_seconds", "How long the oldest queued job waits", _age_s(now, now.oldest.waiting))
        unverified = _age_s(now, now.oldest.unverified)
        yield _one("oldest_unverified_seconds", "How long the oldest result waits to be confirmed", unverified)
        yield _one("paused", "1 while nothing new is begun", float(now.pause is not None))
        if now.audit is not None:
            behind_s = (now.at - now.audit.since).total_seconds() if now.audit.since else 0.0
            yield _one("audit_unsent_rows", "Rows of the audit trail that the repository has not got", now.audit.rows)
            yield _one("audit_unsent_seconds", "Since the oldest of them was written", max(behind_s, 0.0))
        yield from self._of_others()

    def _of_others(self) -> Iterator[Metric]:
        """Of destinations, senders, disks and processes."""
        now = self._now
        opened = {one.name: float(one.circuit is not None) for one in now.destinations}
        waiting = {one.name: one.waiting for one in now.destinations}
        silent = {one.ae_title: one.silent_s for one in now.scanners}
        used = {one.name: one.used_percent for one in now.disks}
        states = Counter("silent" if one.is_silent else one.state for one in now.processes)
        yield _by("destination", "destination_circuit_open", "1 while a destination does not answer", opened)
        yield _by("destination", "destination_waiting", "Deliveries that it has to get or to confirm", waiting)
        yield _by("ae_title", "scanner_silent_seconds", "Since the last image of a sender", silent)
        yield _by("folder", "disk_used_percent", "How full the disk of a folder is", used)
        yield _by("state", "processes", "Processes in the registry, by state", states)


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"thinslice_{name}", meaning, value)


def _by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    found = GaugeMetricFamily(f"thinslice_{name}", meaning, labels=[label])
    for key, value in values.items():
        found.add_metric([key], value)
    return found


def _age_s(now: Now, waiting: Waiting | None) -> float:
    return (now.at - waiting.since).total_seconds() if waiting else 0.0
