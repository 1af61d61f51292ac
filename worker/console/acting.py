"""What an operator does: the same acts as the command line's, in the person's name. Each answers with a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from dicom_node.audit.export import Form
from dicom_node.errors import DestinationError, InputError
from dicom_node.ledger import browse, commitment_requests, queries, switches, trail
from dicom_node.send.ways import way_to
from worker import acts, trail_acts
from worker.console.asked import Asked, NotHere
from worker.console.office import Console, back, page
from worker.console.trail_facts import audit_filter

MEDIA = {Form.JSONL: "application/x-ndjson", Form.CSV: "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class Deed:
    """An act on a series. One that cannot be taken back asks first, in these words; ``why`` demands a reason."""

    act: acts.Act
    question: str = ""
    why: bool = False


DEEDS: Mapping[str, Deed] = {
    "retry": Deed(acts.retry),
    "prioritise": Deed(acts.prioritise),
    "cancel": Deed(acts.cancel, "Stop this series? What a PACS has already stays there. A retry takes it up again."),
    "release": Deed(
        acts.release,
        "Send this result to every PACS? What a PACS has received cannot be called back from here.",
        why=True,
    ),
    "reject": Deed(acts.reject, "Decide that this result is not sent? A retry restores it anew.", why=True),
}


def act(console: Console, asked: Asked) -> Response:
    """Do it, or ask whether it is really meant."""
    name, number = asked.words["act"], asked.numbers["series"]
    deed, reason = DEEDS.get(name), _reason(asked)
    if deed is None or browse.entry(console.node.database, number) is None:
        raise NotHere("there is no such series, or nothing of that kind can be done with one")
    to = f"/series/{number}"
    if deed.why and not reason:
        return back(console, asked, to, f"Say why: {name} asks for a reason, which the audit trail keeps.")
    if deed.question and asked.form.get("sure") != "yes":
        return page(console, asked, "confirm.html", act=name, number=number, question=deed.question, reason=reason)
    return back(console, asked, to, _sentence(deed.act(console.acting(asked), number, reason or acts.ASKED)))


def pause(console: Console, asked: Asked) -> Response:
    """Begin nothing new."""
    paused = switches.pause(console.acting(asked).database, _reason(asked) or acts.ASKED)
    return back(console, asked, _from(asked), "Paused: nothing new is begun." if paused else "It was paused already.")


def resume(console: Console, asked: Asked) -> Response:
    """Go on."""
    resumed = switches.resume(console.acting(asked).database, _reason(asked) or acts.ASKED)
    return back(console, asked, _from(asked), "The node works again." if resumed else "The node was not paused.")


def echo(console: Console, asked: Asked) -> Response:
    """Ask a destination whether it answers."""
    destination = console.node.destinations.get(asked.words["name"])
    if destination is None:
        raise NotHere("the settings name no such destination")
    settings = console.node.settings
    try:
        way_to(destination).echo(destination, settings.receive.ae_title, settings.send)
    except DestinationError as error:
        return back(console, asked, "/partners", f"✕ {_sentence(str(error))}", ok=False)
    return back(console, asked, "/partners", f"✓ {destination.name} answers.")


def report(console: Console, asked: Asked) -> Response:
    """Decide anew on a scanner's storage commitment request, and report to it again."""
    number, reason = asked.numbers["request"], _reason(asked) or acts.ASKED
    if [item.id for item in queries.commitment_requests(console.node.database, limit=1, before=number + 1)] != [number]:
        raise NotHere(f"there is no commitment request {number}")
    done = commitment_requests.retry(console.acting(asked).database, number, reason)
    sentence = f"Commitment request {number} is decided and reported again."
    return back(console, asked, "/partners", sentence if done else "Its report is on its way already.")


def verify(console: Console, asked: Asked) -> Response:
    """Follow the chain of the audit trail from its beginning, and its anchors."""
    verdict = trail_acts.verify(console.acting(asked))
    return back(
        console, asked, "/audit", f"{'✕' if verdict.fault else '✓'} {_sentence(verdict.sentence)}", ok=not verdict.fault
    )


def export(console: Console, asked: Asked) -> Response:
    """Hand rows of the audit trail over as a file, while they are read."""
    wanted, given = audit_filter(asked.form), asked.form.get("format", Form.JSONL)
    if given not in list(Form):
        raise InputError(f"an export is {' or '.join(Form)}, not {given!r}")
    form = Form(given)
    node = console.acting(asked)
    span = trail.span_of(node.database, wanted.since, wanted.until)
    name = f"audit-{span.first}-{span.last}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(trail_acts.export_rows(node, span, form), media_type=MEDIA[form], headers=headers)


def _reason(asked: Asked) -> str:
    return asked.reason


def _from(asked: Asked) -> str:
    return "/workers" if asked.form.get("from") == "workers" else "/"


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
