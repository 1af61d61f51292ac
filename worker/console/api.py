"""The same facts for programs: JSON, Prometheus metrics, and whether the console is alive and ready."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from starlette.responses import PlainTextResponse, Response

from dicom_node.errors import NotHere
from dicom_node.ledger.states import JobState
from dicom_node.ledger.users import Role
from worker import as_json
from worker.console import acting, answers, facts, metrics
from worker.console.asked import Asked
from worker.console.office import Console, Handler, told
from worker.console.searching import search_of
from worker.console.shapes import Failed
from worker.console.trail_facts import audit_filter
from worker.console.unready import unready
from worker.console.wishes import AuditWish, JobsWish, PageWish, SeriesWish
from worker.deeds import DEEDS
from worker.wiring import Node


def plain(gather: Callable[[Node], object]) -> Handler:
    """The handler of an answer that asks for nothing more; it is described in the words of ``gather``."""

    def handler(console: Console, _asked: Asked) -> Response:
        return told(gather(console.node))

    handler.__doc__ = gather.__doc__
    return handler


def now(console: Console, _asked: Asked) -> Response:
    """The node at one moment: counts by state, pace, what runs and what waits longest, and what is amiss."""
    return told(facts.now(console.node))


def series(console: Console, asked: Asked) -> Response:
    """Series by any order and filter, page by page."""
    as_json.asked_for(SeriesWish, asked.query)
    return told(answers.series_page(console.node, search_of(asked)))


def one_series(console: Console, asked: Asked) -> Response:
    """One series with its jobs, their steps and deliveries, its images and its history."""
    return _found(answers.one_series(console.node, asked.numbers["series"]), f"series {asked.numbers['series']}")


def jobs(console: Console, asked: Asked) -> Response:
    """Jobs, newest first, page by page; a series that still arrives has none."""
    wish = as_json.asked_for(JobsWish, asked.query)
    return told(answers.jobs_page(console.node, JobState(wish.state) if wish.state else None, wish.before))


def delivery(console: Console, asked: Asked) -> Response:
    """One delivery, with what the other side answered for each image."""
    number = asked.numbers["delivery"]
    return _found(answers.delivery_outcomes(console.node, number), f"delivery {number}")


def commitments(console: Console, asked: Asked) -> Response:
    """Storage commitment requests of scanners, newest first, page by page."""
    return told(answers.commitments_page(console.node, as_json.asked_for(PageWish, asked.query).before))


def audit(console: Console, asked: Asked) -> Response:
    """Rows of the audit trail, newest first, page by page."""
    wish = as_json.asked_for(AuditWish, asked.query)
    return told(answers.audit_page(console.node, audit_filter(asked.query), wish.before))


def tokens(console: Console, asked: Asked) -> Response:
    """Which programs may use the API: of everyone for an admin, else one's own. Never the tokens themselves."""
    name = asked.session.user_name if asked.session and not asked.may(Role.ADMIN) else ""
    return told(answers.tokens_of(console.node, name))


def act_of(name: str) -> Handler:
    """The handler of one of the acts on a series; it is described in the words of the act."""

    def handler(console: Console, asked: Asked) -> Response:
        return acting.act(console, replace(asked, words={**asked.words, "act": name}))

    handler.__doc__ = DEEDS[name].act.__doc__
    return handler


def _found(answer: object | None, what: str) -> Response:
    if answer is None:
        raise NotHere(f"there is no {what}")
    return told(answer)


def healthy(_console: Console, _asked: Asked) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


def ready(console: Console, _asked: Asked) -> Response:
    """Whether the console can serve, and else why not (503): one line for each reason."""
    reasons = unready(console.node)
    return PlainTextResponse("\n".join(["not ready", *reasons, ""]), 503) if reasons else PlainTextResponse("ready\n")


def metrics_page(console: Console, asked: Asked) -> Response:
    """Prometheus's text format, for those that the settings name, and whoever has a token or is logged in."""
    try:
        let_in = any(ip_address(asked.peer_ip) in network for network in console.settings.metrics_from)
    except ValueError:
        let_in = False
    # Behind a proxy that is not trusted everybody has the proxy's address.
    hidden = "x-forwarded-for" in asked.headers and not console.settings.trusted_proxies
    if asked.session is None and (not let_in or hidden):
        return told(
            Failed("[console] metrics_from does not name this address, and no token came with the request"), 403
        )
    counts = console.tally.count(console.node.database)
    content, kind = metrics.exposed(facts.now(console.node), counts, asked.headers.get("accept", ""))
    return Response(content, media_type=kind)
