"""What waits for a person: series that stopped, files in quarantine; and what people take out of the node by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import FileResponse, Response, StreamingResponse

from dicom_node.errors import InputError
from dicom_node.ledger import browse, queries
from dicom_node.ledger.browse import SeriesFilter
from dicom_node.receive.quarantine import Item, find, newest
from worker import acts, exporting, quarantine
from worker.acts import Outcome
from worker.console import facts, series_facts
from worker.console.acting import sentence
from worker.console.asked import Asked
from worker.console.office import Console, back, page
from worker.wiring import Node

SHOWN = 50
WARNING = (
    "It holds a patient's images or data. Keep it where only those may look who may look at the patient's images, and "
    "remove it when it has served. The audit trail keeps that you took it, and why."
)


@dataclass(frozen=True)
class Handling:
    """What can be done with a file in quarantine: how the page asks, and what does it; None: it is taken out."""

    button: str
    question: str
    act: Callable[[Node, Item, str], Outcome] | None
    kind: str = ""
    why: bool = True


HANDLINGS: Mapping[str, Handling] = {
    "retry": Handling("Try again", "", quarantine.retry, why=False),
    "download": Handling("Download", WARNING, None),
    "remove": Handling("Remove", "Remove it for good? Nobody can look at it afterwards.", quarantine.remove, "bad"),
}


def held(console: Console, asked: Asked) -> Response:
    """What waits for a person."""
    database = console.node.database
    found = {
        state: series_facts.page_of(browse.series_page(database, SeriesFilter(state=state)))
        for state in facts.NEEDS_A_PERSON
    }
    items, count = newest(console.node.settings.receive.spool, SHOWN)
    return page(console, asked, "held.html", found=found, items=items, count=count, handlings=HANDLINGS)


def handle(console: Console, asked: Asked) -> Response:
    """Try a file in quarantine again, take it out or remove it; what cannot be undone asks first."""
    name, item = asked.words["act"], find(console.node.settings.receive.spool, asked.words["item"])
    handling, reason = HANDLINGS.get(name), asked.reason
    if handling is None:
        raise InputError("nothing of that kind can be done with a file in quarantine")
    if handling.question and asked.form.get("sure") != "yes":
        title = f"{handling.button}: a file in quarantine"
        return _ask(console, asked, title, handling, f"/quarantine/{item.name}/{name}", "/held")
    if handling.why and not reason:
        return back(console, asked, "/held", f"Say why: {name} asks for a reason, which the audit trail keeps.")
    node = console.acting(asked)
    if handling.act is not None:
        return back(console, asked, "/held", sentence(handling.act(node, item, reason or acts.ASKED).said))
    path = quarantine.taken_out(node, item, reason)
    return FileResponse(path, media_type="application/dicom", filename=quarantine.neutral_name(item))


def download(console: Console, asked: Asked) -> Response:
    """A result as a zip file, after a warning."""
    number, job = asked.numbers["series"], queries.job_by_id(console.node.database, asked.numbers["job"])
    if job is None or job.series_id != number:
        raise InputError("there is no such job")
    to, reason = f"/series/{number}", asked.reason
    if asked.form.get("sure") != "yes":
        asking = Handling("Download", WARNING, None)
        return _ask(console, asked, f"Download: the result of job {job.id}", asking, f"{to}/{job.id}/download", to)
    if not reason:
        return back(console, asked, to, "Say why: a download asks for a reason, which the audit trail keeps.")
    result = exporting.taken_out(console.acting(asked), job, "a browser", reason)
    headers = {"Content-Disposition": f'attachment; filename="series-{number}-job-{job.id}.zip"'}
    return StreamingResponse(exporting.zipped(result), media_type="application/zip", headers=headers)


def _ask(console: Console, asked: Asked, title: str, handling: Handling, action: str, to: str) -> Response:
    return page(
        console, asked, "confirm.html",
        title=title, question=handling.question, action=action, hidden={}, wishes={}, reason=asked.reason,
        why=handling.why, button=f"Yes, {handling.button.lower()}", kind=handling.kind, to=to, preview=None, listed=0,
    )  # fmt: skip
