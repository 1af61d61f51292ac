"""What people think of derived series: said on a series' page by anyone who may look, counted on another."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from dicom_node.errors import InputError
from dicom_node.ledger import feedback, queries
from dicom_node.ledger.feedback import PAGE, Fault, Opinion, OpinionFilter, Verdict
from worker import as_json
from worker.console.asked import Asked
from worker.console.office import Console, back, page, told
from worker.console.pages import number
from worker.console.wishes import FeedbackWish
from worker.feedback import FAULTS, Line, Span, Summary, summary

LONGEST = 64


@dataclass(frozen=True)
class FeedbackPage:
    """What was thought of results: counted, and as it was said, newest first."""

    summary: Summary
    said: tuple[Opinion, ...]
    next: str | None


def feedback_page(console: Console, asked: Asked) -> Response:
    """How many results were accepted and rejected, by scanner and model; and what was said, newest first."""
    database, wanted = console.node.database, _wanted(asked)
    found, older = _said(console, asked, wanted)
    query = {key: value for key, value in vars(wanted).items() if value}
    following = f"/feedback?{urlencode({**query, 'by': _span(asked), 'before': older})}#said" if older else ""
    return page(
        console, asked, "feedback.html",
        summary=summary(database, _span(asked)), spans=list(Span), faults=FAULTS, wanted=wanted, said=found,
        older=following, link=_link,
    )  # fmt: skip


def feedback_data(console: Console, asked: Asked) -> Response:
    """How many results were accepted and rejected, by scanner and model; and what was said, page by page."""
    as_json.asked_for(FeedbackWish, asked.query)
    wanted = _wanted(asked)
    found, older = _said(console, asked, wanted)
    query = {key: value for key, value in vars(wanted).items() if value}
    following = f"/api/feedback?{urlencode({**query, 'by': _span(asked), 'before': older})}" if older else None
    return told(FeedbackPage(summary(console.node.database, _span(asked)), tuple(found), following))


def give(console: Console, asked: Asked) -> Response:
    """Keep what somebody thinks of a result."""
    job = queries.job_by_id(console.node.database, asked.numbers["job"])
    if job is None or job.series_id != asked.numbers["series"]:
        raise InputError("there is no such job")
    verdict, reason = asked.form.get("verdict", ""), asked.form.get("reason", "")
    if verdict not in set(Verdict):
        raise InputError("a result is accepted or rejected")
    fault = _fault(reason) if verdict == Verdict.REJECTED else None
    database, to = console.acting(asked).database, f"/series/{job.series_id}#job-{job.id}"
    try:
        kept = feedback.give(database, job.id, Verdict(verdict), fault, asked.form.get("remark", ""))
    except InputError as error:
        return back(console, asked, to, f"{str(error).capitalize()}.")
    return back(console, asked, to, f"Noted: {verdict}." if kept else f"Job {job.id} has made no series yet.")


def _fault(reason: str) -> Fault | None:
    """A reason of the form; None where none is chosen. InputError for one that there is not."""
    if reason and reason not in set(Fault):
        raise InputError("there is no such reason")
    return Fault(reason) if reason else None


def _said(console: Console, asked: Asked, wanted: OpinionFilter) -> tuple[list[Opinion], int | None]:
    """A page of what was said, and the number that the following one begins below."""
    found = feedback.page(console.node.database, wanted, number(asked, "before"), PAGE + 1)
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def _wanted(asked: Asked) -> OpinionFilter:
    return OpinionFilter(**{key: asked.query.get(key, "").strip()[:LONGEST] for key in OpinionFilter.__annotations__})


def _span(asked: Asked) -> Span:
    return Span.MONTH if asked.query.get("by") == Span.MONTH else Span.WEEK


def _link(line: Line, span: Span, verdict: str = "", since: str = "", until: str = "") -> str:
    """To what was said behind a figure."""
    asked_for = {"calling_ae": line.calling_ae, "model_digest": line.model_digest, "verdict": verdict}
    asked_for |= {"since": since, "until": until, "by": span}
    return f"/feedback?{urlencode({key: value for key, value in asked_for.items() if value})}#said"
