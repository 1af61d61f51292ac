"""The same facts for programs: JSON, Prometheus metrics, and whether the console is alive and ready."""

from collections.abc import Iterator
from ipaddress import ip_address

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.responses import JSONResponse, PlainTextResponse, Response

from dicom_node.errors import InputError
from dicom_node.ledger import browse, overview, queries
from dicom_node.ledger.browse import PAGE, AuditFilter, SeriesFilter
from dicom_node.ledger.overview import Waiting
from worker.console import facts, series_facts
from worker.console.asked import Asked
from worker.console.facts import Now
from worker.console.office import Console
from worker.console.pages import number
from worker.console.series_facts import as_json

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def now(console: Console, _asked: Asked) -> Response:
    """What the first page shows."""
    return JSONResponse(as_json(facts.now(console.node)))


def series(console: Console, asked: Asked) -> Response:
    """Series, newest first; ``next`` is the ``before`` of the following page."""
    wanted = SeriesFilter(*(asked.query.get(key, "").strip()[:64] for key in ("state", "calling_ae", "text")))
    found = browse.series_page(console.node.database, wanted, number(asked, "before"), PAGE + 1)
    following = found[PAGE - 1].series.id if len(found) > PAGE else None
    return JSONResponse({"series": [as_json(item) for item in series_facts.page_of(found[:PAGE])], "next": following})


def one_series(console: Console, asked: Asked) -> Response:
    """One series with its jobs, deliveries, images and history."""
    found = series_facts.detail_of(console.node, asked.numbers["series"], drawn=False)
    if found is None:
        raise InputError(f"there is no series {asked.numbers['series']}")
    content = as_json(found)
    for item in content["instances"]:
        del item["path"]
    return JSONResponse(content)


def audit(console: Console, asked: Asked) -> Response:
    """Rows of the audit trail, newest first."""
    wanted = AuditFilter(*(asked.query.get(key, "").strip()[:160] for key in ("event", "actor", "subject")))
    found = browse.audit_page(console.node.database, wanted, number(asked, "before"), PAGE + 1)
    following = found[PAGE - 1].seq if len(found) > PAGE else None
    return JSONResponse({"rows": [as_json(item) for item in found[:PAGE]], "next": following})


def healthy(_console: Console, _asked: Asked) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


def ready(console: Console, _asked: Asked) -> Response:
    """The ledger answers too; LedgerError (503) where it does not."""
    overview.now(console.node.database)
    return PlainTextResponse("ready\n")


def metrics_page(console: Console, asked: Asked) -> Response:
    """Prometheus's text format, for those that the settings name; made from the ledger, so right after a restart."""
    try:
        let_in = any(ip_address(asked.peer_ip) in network for network in console.settings.metrics_from)
    except ValueError:
        let_in = False
    # Behind a proxy that is not trusted everybody has the proxy's address.
    hidden = "x-forwarded-for" in asked.headers and not console.settings.trusted_proxies
    if not let_in or hidden:
        return JSONResponse({"error": "[console] metrics_from does not name this address"}, 403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(facts.now(console.node), queries.counts(console.node.database)))
    return Response(generate_latest(registry), media_type=METRICS_TYPE)


class _Figures(Collector):
    """The figures of one moment."""

    def __init__(self, now: Now, counts: dict[str, int]) -> None:
        self._now, self._counts = now, counts

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        item, pace = self._now, self._now.pace
        waiting, unverified = item.oldest.waiting, item.oldest.unverified
        yield _gauge("jobs", "Series that arrive and jobs, by state", "state", self._counts)
        yield _gauge("finished_last_hour", "Jobs that came to their end within an hour", "", {"": pace.hour})
        yield _gauge("finished_last_day", "Jobs that came to their end within a day", "", {"": pace.day})
        delays = {"0.5": pace.median_s, "0.95": pace.p95_s}
        known = {quantile: value for quantile, value in delays.items() if value is not None}
        yield _gauge(
            "time_to_derived_seconds", "From the last image to the confirmed result, within a day", "quantile", known
        )
        yield _gauge("time_to_derived_target_seconds", "The wanted time", "", {"": pace.target_s})
        yield _gauge("oldest_waiting_seconds", "How long the oldest queued job waits", "", {"": _age_s(item, waiting)})
        yield _gauge(
            "oldest_unverified_seconds",
            "How long the oldest result waits for a PACS",
            "",
            {"": _age_s(item, unverified)},
        )
        yield _gauge("paused", "1 while nothing new is begun", "", {"": float(item.pause is not None)})
        yield from self._partners()

    def _partners(self) -> Iterator[Metric]:
        item = self._now
        yield _gauge(
            "destination_circuit_open",
            "1 while a destination does not answer",
            "destination",
            {one.name: float(one.circuit is not None) for one in item.destinations},
        )
        yield _gauge(
            "destination_waiting",
            "Deliveries that a destination has to get or to confirm",
            "destination",
            {one.name: one.waiting for one in item.destinations},
        )
        yield _gauge(
            "scanner_silent_seconds",
            "Since the last image of a sender",
            "ae_title",
            {one.ae_title: one.silent_s for one in item.scanners},
        )
        yield _gauge(
            "disk_used_percent",
            "How full the disk of a folder is",
            "folder",
            {one.name: one.used_percent for one in item.disks},
        )
        states = [one.state if not one.is_silent else "silent" for one in item.processes]
        yield _gauge(
            "processes",
            "Processes in the registry, by state",
            "state",
            {state: states.count(state) for state in set(states)},
        )


def _age_s(now: Now, waiting: Waiting | None) -> float:
    return (now.at - waiting.since).total_seconds() if waiting else 0.0


def _gauge(name: str, help_: str, label: str, values: dict[str, float] | dict[str, int]) -> Metric:
    found = GaugeMetricFamily(f"thinslice_{name}", help_, labels=[label] if label else [])
    for key, value in values.items():
        found.add_metric([key] if label else [], value)
    return found
