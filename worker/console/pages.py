"""The pages that people look at. Each gathers its facts and hands them to its template."""

from starlette.responses import Response

from dicom_node.audit.export import Form
from dicom_node.errors import InputError, NotHere
from dicom_node.ledger import browse, overview, queries, switches, workers
from dicom_node.ledger.browse import PAGE, AuditFilter
from dicom_node.ledger.feedback import Verdict
from dicom_node.ledger.states import JobState
from worker import logbook, patients
from worker.console import facts, series_facts
from worker.console.answers import REFUSED
from worker.console.asked import Asked
from worker.console.cuts import PLANES
from worker.console.office import Console, page
from worker.console.painting import SCALE, WINDOWS
from worker.console.searching import orders, search_of, text_of
from worker.console.trail_facts import as_query, audit_filter
from worker.feedback import FAULTS

LINES, WARNINGS = 200, 20  # of the log, on a page


def now(console: Console, asked: Asked) -> Response:
    """The node at a glance."""
    return page(console, asked, "now.html", now=facts.now(console.node))


def series(console: Console, asked: Asked) -> Response:
    """Series by any order and filter, page by page."""
    search, database = search_of(asked), console.node.database
    leaf = browse.series_leaf(database, search.wanted, search.order, search.beside, back=search.back)
    return page(
        console, asked, "series.html",
        series=series_facts.page_of(leaf.entries), search=search, wanted=search.wanted, leaf=leaf, orders=orders(),
        order=text_of(search.order), running=_running(console), states=["receiving", *map(str, JobState)],
        scanners=[item.ae_title for item in overview.scanners(database)], choices=browse.series_choices(database),
        verdicts=list(Verdict),
    )  # fmt: skip


def detail(console: Console, asked: Asked) -> Response:
    """One series in full."""
    found = series_facts.detail_of(console.node, asked.numbers["series"])
    if found is None:
        raise NotHere(f"there is no series {asked.numbers['series']}")
    jobs = {job.id for job in found.series.jobs}
    return page(
        console, asked, "detail.html", detail=found, series=found.series, running=_running(console),
        said=found.feedback,
        faults=FAULTS, rejects_superseded=console.node.settings.derive.reject_superseded,
        planes=PLANES, windows=WINDOWS, window=_window(asked), scale=SCALE,
        shows_patient=asked.session is not None and patients.may_look(console.node, asked.session.role),
        lines=logbook.about(console.node.settings.worker, found.series.id, jobs, LINES),
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
        lines=logbook.warnings(console.node.settings.worker, WARNINGS),
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


def _running(console: Console) -> dict[int, facts.RunningFact]:
    """Restorations under way by their job."""
    return {item.job_id: item for item in facts.running_of(console.node, overview.now(console.node.database))}
