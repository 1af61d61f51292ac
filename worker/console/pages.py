"""The pages that people look at. Each gathers its facts and hands them to its template."""

from urllib.parse import urlencode

from starlette.responses import Response

from dicom_node.audit.export import Form
from dicom_node.errors import InputError
from dicom_node.ledger import browse, overview, queries, switches, workers
from dicom_node.ledger.browse import PAGE, AuditFilter, SeriesFilter
from dicom_node.ledger.feedback import Verdict
from dicom_node.ledger.states import JobState
from worker import patients
from worker.console import facts, series_facts
from worker.console.answers import REFUSED
from worker.console.asked import Asked, NotHere
from worker.console.cuts import PLANES
from worker.console.office import Console, page
from worker.console.painting import SCALE, WINDOWS
from worker.console.trail_facts import as_query, audit_filter
from worker.feedback import FAULTS


def now(console: Console, asked: Asked) -> Response:
    """The node at a glance."""
    return page(console, asked, "now.html", now=facts.now(console.node))


def series(console: Console, asked: Asked) -> Response:
    """Series, newest first, page by page."""
    keys = ("state", "calling_ae", "text", "feedback")
    wanted = SeriesFilter(**{key: asked.query.get(key, "").strip()[:64] for key in keys})
    before = number(asked, "before")
    found = browse.series_page(console.node.database, wanted, before, PAGE + 1)
    return page(
        console, asked, "series.html",
        series=series_facts.page_of(found[:PAGE]), wanted=wanted, before=before,
        older=_link("/series", wanted, found[PAGE - 1].series.id) if len(found) > PAGE else "",
        states=["receiving", *map(str, JobState)], verdicts=list(Verdict),
        scanners=[item.ae_title for item in overview.scanners(console.node.database)],
    )  # fmt: skip


def detail(console: Console, asked: Asked) -> Response:
    """One series in full."""
    found = series_facts.detail_of(console.node, asked.numbers["series"])
    if found is None:
        raise NotHere(f"there is no series {asked.numbers['series']}")
    running = {item.job_id: item for item in facts.running_of(console.node, overview.now(console.node.database))}
    return page(
        console, asked, "detail.html", detail=found, series=found.series, running=running, said=found.feedback,
        faults=FAULTS, rejects_superseded=console.node.settings.derive.reject_superseded,
        planes=PLANES, windows=WINDOWS, window=_window(asked), scale=SCALE,
        shows_patient=asked.session is not None and patients.may_look(console.node, asked.session.role),
    )  # fmt: skip


def picture(console: Console, asked: Asked) -> Response:
    """A cut through the middle of a job's thick or thin slices, or of what lies between them."""
    job = queries.job_by_id(console.node.database, asked.numbers["job"])
    if job is None or job.series_id != asked.numbers["series"]:
        raise NotHere("there is no such job")
    plane, kind = asked.words["plane"], asked.words["kind"]
    content = console.previews.picture(console.node, job, plane, kind, _window(asked))
    console.looks.note(console.acting(asked), asked, job.series_id)
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def workers_page(console: Console, asked: Asked) -> Response:
    """The processes that work on this ledger, and the pause."""
    database = console.node.database
    return page(
        console, asked, "workers.html",
        processes=workers.everyone(database), pause=switches.paused(database),
        running=facts.running_of(console.node, overview.now(database)), counts=overview.counts(database),
    )  # fmt: skip


def partners(console: Console, asked: Asked) -> Response:
    """Who sends to this node, where it sends, and who was turned away."""
    node = console.node
    refused = browse.audit_page(node.database, AuditFilter(event=REFUSED), limit=20)
    at = overview.now(node.database)
    listener = node.settings.receive
    return page(
        console, asked, "partners.html",
        destinations=facts.destinations_of(node), commitments=queries.commitment_requests(node.database, limit=20),
        scanners=facts.scanners_of(node, at), refused=refused, listener=listener,
    )  # fmt: skip


def audit(console: Console, asked: Asked) -> Response:
    """Everything that was done, newest first."""
    wanted = audit_filter(asked.query)
    found = browse.audit_page(console.node.database, wanted, number(asked, "before"), PAGE + 1)
    older = f"/audit?{as_query(asked.query, before=found[PAGE - 1].seq)}" if len(found) > PAGE else ""
    days = {key: asked.query.get(key, "").strip() for key in ("since", "until")}
    return page(
        console, asked, "audit.html", rows=found[:PAGE], wanted=wanted, days=days, older=older, forms=list(Form)
    )


def number(asked: Asked, name: str) -> int | None:
    """A number in the query. InputError where it is none."""
    text = asked.query.get(name, "")
    if text and not (text.isdecimal() and len(text) < 16):
        raise InputError(f"{name} is a number")
    return int(text) if text else None


def _window(asked: Asked) -> str:
    """The grey window that is asked for; the wide one where none of that name is."""
    name = asked.query.get("window", "")
    return name if name in WINDOWS else next(iter(WINDOWS))


def _link(path: str, wanted: SeriesFilter, before: int) -> str:
    asked_for = {key: value for key, value in vars(wanted).items() if value}
    return f"{path}?{urlencode({**asked_for, 'before': before})}"
