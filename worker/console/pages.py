"""The pages that people look at. Each gathers its facts and hands them to its template."""

import importlib.metadata
import json
import platform
import sys
from urllib.parse import urlencode

from starlette.responses import Response

import migrations
from dicom_node.errors import InputError
from dicom_node.ledger import browse, overview, queries, switches, workers
from dicom_node.ledger.browse import PAGE, AuditFilter, SeriesFilter
from dicom_node.ledger.states import JobState
from sr_engine.errors import EngineError
from worker.console import answers, facts, series_facts
from worker.console.answers import REFUSED
from worker.console.asked import Asked, NotHere
from worker.console.office import Console, page
from worker.console.previews import PLANES
from worker.console.shapes import ModelFact
from worker.wiring import Node, engines

LIBRARIES = ("pydicom", "pynetdicom", "highdicom", "numpy", "torch", "sqlalchemy", "starlette", "celery")


def now(console: Console, asked: Asked) -> Response:
    """The node at a glance."""
    return page(console, asked, "now.html", now=facts.now(console.node))


def series(console: Console, asked: Asked) -> Response:
    """Series, newest first, page by page."""
    wanted = SeriesFilter(*(asked.query.get(key, "").strip()[:64] for key in ("state", "calling_ae", "text")))
    before = number(asked, "before")
    found = browse.series_page(console.node.database, wanted, before, PAGE + 1)
    return page(
        console, asked, "series.html",
        series=series_facts.page_of(found[:PAGE]), wanted=wanted, before=before,
        older=_link("/series", wanted, found[PAGE - 1].series.id) if len(found) > PAGE else "",
        states=["receiving", *map(str, JobState)],
        scanners=[item.ae_title for item in overview.scanners(console.node.database)],
    )  # fmt: skip


def detail(console: Console, asked: Asked) -> Response:
    """One series in full."""
    found = series_facts.detail_of(console.node, asked.numbers["series"])
    if found is None:
        raise NotHere(f"there is no series {asked.numbers['series']}")
    running = {item.job_id: item for item in facts.running_of(console.node, overview.now(console.node.database))}
    return page(console, asked, "detail.html", detail=found, series=found.series, running=running, planes=PLANES)


def picture(console: Console, asked: Asked) -> Response:
    """A cut through the middle of a job's thick or thin slices."""
    job = queries.job_by_id(console.node.database, asked.numbers["job"])
    if job is None or job.series_id != asked.numbers["series"]:
        raise NotHere("there is no such job")
    content = console.previews.picture(console.node, job, asked.words["plane"], asked.words["kind"])
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def held(console: Console, asked: Asked) -> Response:
    """What waits for a person."""
    database = console.node.database
    found = {
        state: series_facts.page_of(browse.series_page(database, SeriesFilter(state=state)))
        for state in facts.NEEDS_A_PERSON
    }
    return page(console, asked, "held.html", found=found, quarantine=answers.quarantined(console.node))


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
    wanted = AuditFilter(*(asked.query.get(key, "").strip()[:160] for key in ("event", "actor", "subject")))
    found = browse.audit_page(console.node.database, wanted, number(asked, "before"), PAGE + 1)
    older = _link("/audit", wanted, found[PAGE - 1].seq) if len(found) > PAGE else ""
    return page(console, asked, "audit.html", rows=found[:PAGE], wanted=wanted, older=older)


def about(console: Console, asked: Asked) -> Response:
    """Which program, which weights, on what."""
    models, trouble = models_of(console.node)
    return page(
        console, asked, "about.html",
        programs=programs(console.node), versions=libraries(), models=models, trouble=trouble,
    )  # fmt: skip


def programs(node: Node) -> dict[str, str]:
    """Which program, on what."""
    database = node.database
    return {
        "thinslice": importlib.metadata.version("thinslice"),
        "Python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "ledger": f"{database.engine.dialect.name}, schema {migrations.revision(database.url)}",
    }


def libraries() -> dict[str, str]:
    """Versions of what the program stands on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def number(asked: Asked, name: str) -> int | None:
    """A number in the query. InputError where it is none."""
    text = asked.query.get(name, "")
    if text and not (text.isdecimal() and len(text) < 16):
        raise InputError(f"{name} is a number")
    return int(text) if text else None


def _link(path: str, wanted: SeriesFilter | AuditFilter, before: int) -> str:
    asked_for = {key: value for key, value in vars(wanted).items() if value}
    return f"{path}?{urlencode({**asked_for, 'before': before})}"


def models_of(node: Node) -> tuple[tuple[ModelFact, ...], str]:
    """The networks that restore, each with the card of its weights; and why one cannot."""
    from sr_engine.networks.registry import shipped_weights  # torch takes seconds: other pages do without

    found = []
    try:
        models = node.models
    except EngineError as error:
        return (), str(error)
    for engine in engines(node.settings):
        model = models[engine.network]
        card = (engine.weights or shipped_weights(model.name)).with_suffix(".json")
        content = json.loads(card.read_text(encoding="utf-8")) if model.learned and card.is_file() else {}
        found.append(ModelFact(model.name, model.title, model.version, model.digest, model.learned, content))
    return tuple(found), ""
