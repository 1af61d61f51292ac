"""Addresses for programs. Their description (OpenAPI) is made from this table and the dataclasses that it names."""

from starlette.responses import JSONResponse, Response

from dicom_node.ledger.users import Role
from worker.console import about, acting, answers, api, facts, openapi, opinions
from worker.console.about import About
from worker.console.asked import Asked
from worker.console.door import Door
from worker.console.office import Console, Handler, page
from worker.console.shapes import (
    AuditPage,
    CommitmentsPage,
    DeliveryOutcomes,
    Held,
    JobsPage,
    Notices,
    Partners,
    Quarantine,
    Rules,
    Said,
    SeriesDetail,
    SeriesPage,
    Tokens,
    Users,
    Workers,
)
from worker.console.wishes import (
    AuditWish,
    Destination,
    FeedbackWish,
    JobsWish,
    Network,
    PageWish,
    Process,
    Reason,
    SeriesWish,
    Urgency,
    Why,
)
from worker.deeds import DEEDS
from worker.wiring import Node

# What acts need to know beside the reason.
WISHES: dict[str, type] = {"prioritise": Urgency, "again": Network, "resend": Destination}
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN


def describe(_console: Console, _asked: Asked) -> Response:
    """The API's description (OpenAPI 3.1)."""
    return JSONResponse(openapi.document(API))


def readable(console: Console, asked: Asked) -> Response:
    """The same for people."""
    return page(console, asked, "api.html", operations=openapi.operations(API), errors=openapi.ERRORS)


def _rules(node: Node) -> Rules:
    """The rules in the order in which they are asked."""
    return answers.rules_of(node.settings.rules)


def _see(path: str, handler: Handler, answer: type, query: type | None = None, role: Role = VIEWER) -> Door:
    return Door("GET", f"/api/{path}", handler, role, is_data=True, answers=answer, query=query)


def _do(path: str, handler: Handler, takes: type | None = Why, role: Role = OPERATOR) -> Door:
    return Door("POST", f"/api/{path}", handler, role, is_data=True, answers=Said, takes=takes)


API = (
    _see("now", api.now, facts.Now),
    _see("series", api.series, SeriesPage, SeriesWish),
    _see("series/{series:int}", api.one_series, SeriesDetail),
    _see("jobs", api.jobs, JobsPage, JobsWish),
    _see("deliveries/{delivery:int}", api.delivery, DeliveryOutcomes),
    _see("held", api.plain(answers.held), Held),
    _see("quarantine", api.plain(answers.quarantine_of), Quarantine),
    _see("notices", api.plain(answers.notices_of), Notices),
    _see("workers", api.plain(answers.workers_of), Workers),
    _see("partners", api.plain(answers.partners), Partners),
    _see("commitments", api.commitments, CommitmentsPage, PageWish),
    _see("rules", api.plain(_rules), Rules),
    _see("audit", api.audit, AuditPage, AuditWish),
    _see("about", about.about_data, About),
    _see("feedback", opinions.feedback_data, opinions.FeedbackPage, FeedbackWish),
    _see("users", api.plain(answers.users_of), Users, role=ADMIN),
    _see("tokens", api.tokens, Tokens),
    *(
        _do(f"series/{{series:int}}/{name}", api.act_of(name), WISHES.get(name) or (Reason if deed.why else Why))
        for name, deed in DEEDS.items()
    ),
    _do("pause", acting.pause),
    _do("resume", acting.resume),
    _do("workers/drain", acting.drain, Process),
    _do("workers/undrain", acting.undrain, Process),
    _do("partners/{name}/echo", acting.echo, None),
    _do("partners/{name}/pause", acting.pause_destination),
    _do("partners/{name}/resume", acting.resume_destination),
    _do("commitments/{request:int}/report", acting.report),
    _do("audit/verify", acting.verify, None, ADMIN),
    Door("GET", "/api/openapi.json", describe, VIEWER, is_data=True),
    Door("GET", "/api", readable, VIEWER),
)
