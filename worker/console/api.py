"""The same facts for programs: JSON, Prometheus metrics, and whether the console is alive and ready."""

from ipaddress import ip_address

from starlette.responses import JSONResponse, PlainTextResponse, Response

from dicom_node.errors import InputError
from dicom_node.ledger import browse
from dicom_node.ledger.browse import PAGE
from worker.console import facts, metrics, series_facts
from worker.console.asked import Asked
from worker.console.office import Console
from worker.console.pages import number
from worker.console.searching import search_of
from worker.console.series_facts import as_json
from worker.console.trail_facts import audit_filter
from worker.console.unready import unready


def now(console: Console, _asked: Asked) -> Response:
    """What the first page shows."""
    return JSONResponse(as_json(facts.now(console.node)))


def series(console: Console, asked: Asked) -> Response:
    """Series by any order and filter; ``next`` is the ``before`` of the following page, ``previous`` the ``after``."""
    search = search_of(asked)
    leaf = browse.series_leaf(console.node.database, search.wanted, search.order, search.beside, back=search.back)
    return JSONResponse(
        {
            "series": [as_json(item) for item in series_facts.page_of(leaf.entries)],
            "next": leaf.older and str(leaf.older),
            "previous": leaf.newer and str(leaf.newer),
        }
    )


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
    found = browse.audit_page(console.node.database, audit_filter(asked.query), number(asked, "before"), PAGE + 1)
    following = found[PAGE - 1].seq if len(found) > PAGE else None
    return JSONResponse({"rows": [as_json(item) for item in found[:PAGE]], "next": following})


def healthy(_console: Console, _asked: Asked) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


def ready(console: Console, _asked: Asked) -> Response:
    """Whether the console can serve, and else why not (503): one line for each reason."""
    reasons = unready(console.node)
    return PlainTextResponse("\n".join(["not ready", *reasons, ""]), 503) if reasons else PlainTextResponse("ready\n")


def metrics_page(console: Console, asked: Asked) -> Response:
    """Prometheus's text format, for those that the settings name."""
    try:
        let_in = any(ip_address(asked.peer_ip) in network for network in console.settings.metrics_from)
    except ValueError:
        let_in = False
    # Behind a proxy that is not trusted everybody has the proxy's address.
    hidden = "x-forwarded-for" in asked.headers and not console.settings.trusted_proxies
    if not let_in or hidden:
        return JSONResponse({"error": "[console] metrics_from does not name this address"}, 403)
    counts = console.tally.count(console.node.database)
    content, kind = metrics.exposed(facts.now(console.node), counts, asked.headers.get("accept", ""))
    return Response(content, media_type=kind)
