"""What an operator does: the same acts as the command line's, in the person's name. Each answers with a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from dicom_node.audit.export import Form
from dicom_node.errors import DestinationError, InputError, NotHere
from dicom_node.ledger import browse, commitment_requests, queries, switches, trail, workers
from dicom_node.send.ways import way_to
from worker import acts, again, bulk, trail_acts
from worker.console import facts
from worker.console.asked import Asked
from worker.console.office import Console, back, page
from worker.console.searching import filter_of
from worker.console.trail_facts import audit_filter
from worker.deeds import DEEDS, MOST_URGENT, Deed

LISTED = 50
MEDIA = {Form.JSONL: "application/x-ndjson", Form.CSV: "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class Wish:
    """Something to choose on the page that asks: what it is called, and what there is, title by value."""

    label: str
    options: Mapping[str, str]


def act(console: Console, asked: Asked) -> Response:
    """Do it to one series, or ask whether it is really meant."""
    name, number = asked.words["act"], asked.numbers["series"]
    if name not in DEEDS or browse.entry(console.node.database, number) is None:
        raise NotHere("there is no such series, or nothing of that kind can be done with one")
    return _act(console, asked, name, [number], f"/series/{number}")


def act_on_many(console: Console, asked: Asked) -> Response:
    """Ask what it would touch and leave; then do it to those that were chosen, and say what came of it."""
    name = asked.words["act"]
    if name not in DEEDS:
        raise InputError("nothing of that kind can be done with a series")
    where = asked.form.get("from", "")
    return _act(console, asked, name, _chosen(console, asked), where if where in ("/series", "/held") else "/series")


def _act(console: Console, asked: Asked, name: str, numbers: Sequence[int], to: str) -> Response:
    deed, reason, sure = DEEDS[name], asked.reason, asked.form.get("sure") == "yes"
    asks = bool(deed.question) or len(numbers) > 1
    if asks and (not sure or deed.lacks(asked.form)):
        return _ask(console, asked, name, numbers, to)
    if deed.why and not reason:
        return back(console, asked, to, f"Say why: {name} asks for a reason, which the audit trail keeps.")
    done = bulk.do(console.acting(asked), deed.wanting(asked.form), numbers, reason or acts.ASKED)
    return back(console, asked, to, sentence(done.sentence), ok=bool(done.said))


def _ask(console: Console, asked: Asked, name: str, numbers: Sequence[int], to: str) -> Response:
    deed, preview = DEEDS[name], bulk.preview(console.node, name, numbers)
    if not preview.touched:
        return back(console, asked, to, sentence(f"nothing to do: {bulk.named(preview.left)}"))
    one = len(numbers) == 1
    given = {word: asked.form[word] for word in deed.wishes or {} if asked.form.get(word)}
    return page(
        console, asked, "confirm.html",
        title=f"{deed.button}: {f'series {numbers[0]}' if one else f'{len(preview.touched)} series'}",
        question=deed.question, action=f"/series/{numbers[0]}/{name}" if one else f"/acts/{name}",
        hidden={**given, "from": to, **({} if one else {"series": " ".join(map(str, preview.numbers))})},
        wishes={word: wish for word, wish in _wishes(console, deed).items() if word not in given},
        reason=asked.reason, why=deed.why, button=f"Yes, {deed.button.lower()}", kind=deed.kind, to=to,
        preview=None if one else preview, listed=LISTED,
    )  # fmt: skip


def _wishes(console: Console, deed: Deed) -> dict[str, Wish]:
    """What a person may choose for it."""
    found: dict[str, Wish] = {}
    for word in deed.wishes or {}:
        if word == "network":
            found[word] = Wish("Network", again.networks(console.node))
        elif word == "to":
            found[word] = Wish(
                "Where to", {item.name: f"{item.name}, {item.place}" for item in facts.destinations_of(console.node)}
            )
        elif word == "priority":
            found[word] = Wish("How urgent, 9 the most", {str(n): str(n) for n in range(1, MOST_URGENT + 1)})
        else:
            found[word] = Wish("Distance of thin slices in mm; empty: as the settings say", {})
    return found


def _chosen(console: Console, asked: Asked) -> list[int]:
    """Numbers of the series that were chosen one by one, or by what they have in common."""
    if asked.form.get("all") == "yes":
        return bulk.matching(console.node, filter_of(asked.form))
    words = " ".join(asked.chosen).split()
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise InputError("a series is chosen by its number")
    return bulk.checked([int(word) for word in words])


def pause(console: Console, asked: Asked) -> Response:
    """Begin nothing new."""
    paused = switches.pause(console.acting(asked).database, asked.reason or acts.ASKED)
    return back(console, asked, _from(asked), "Paused: nothing new is begun." if paused else "It was paused already.")


def resume(console: Console, asked: Asked) -> Response:
    """Go on."""
    resumed = switches.resume(console.acting(asked).database, asked.reason or acts.ASKED)
    return back(console, asked, _from(asked), "The node works again." if resumed else "The node was not paused.")


def drain(console: Console, asked: Asked) -> Response:
    """Have one process claim nothing more."""
    done = workers.drain(console.acting(asked).database, asked.form.get("owner", ""), asked.reason or acts.ASKED)
    said = "It finishes what it has in hand, and takes nothing more."
    return back(console, asked, "/workers", said if done else "That process is drained already, or gone.")


def undrain(console: Console, asked: Asked) -> Response:
    """Have a process that was drained go on."""
    done = workers.undrain(console.acting(asked).database, asked.form.get("owner", ""), asked.reason or acts.ASKED)
    return back(console, asked, "/workers", "It takes work again." if done else "That process was not drained.")


def pause_destination(console: Console, asked: Asked) -> Response:
    """Send nothing new to one destination."""
    name = _destination(console, asked)
    done = switches.pause_destination(console.acting(asked).database, name, asked.reason or acts.ASKED)
    said = f"Nothing new is sent to {name}; what is under way goes on."
    return back(console, asked, "/partners", said if done else f"{name} was paused already.")


def resume_destination(console: Console, asked: Asked) -> Response:
    """Go on sending to it."""
    name = _destination(console, asked)
    done = switches.resume_destination(console.acting(asked).database, name, asked.reason or acts.ASKED)
    return back(console, asked, "/partners", f"{name} is sent to again." if done else f"{name} was not paused.")


def echo(console: Console, asked: Asked) -> Response:
    """Ask a destination whether it answers."""
    destination = console.node.destinations.get(asked.words["name"])
    if destination is None:
        raise NotHere("the settings name no such destination")
    settings = console.node.settings
    try:
        way_to(destination).echo(destination, settings.receive.ae_title, settings.send)
    except DestinationError as error:
        return back(console, asked, "/partners", f"✕ {sentence(str(error))}", ok=False)
    return back(console, asked, "/partners", f"✓ {destination.name} answers.")


def report(console: Console, asked: Asked) -> Response:
    """Decide anew on a scanner's storage commitment request, and report to it again."""
    number, reason = asked.numbers["request"], asked.reason or acts.ASKED
    if [item.id for item in queries.commitment_requests(console.node.database, limit=1, before=number + 1)] != [number]:
        raise NotHere(f"there is no commitment request {number}")
    done = commitment_requests.retry(console.acting(asked).database, number, reason)
    said = f"Commitment request {number} is decided and reported again."
    return back(console, asked, "/partners", said if done else "Its report is on its way already.")


def verify(console: Console, asked: Asked) -> Response:
    """Follow the chain of the audit trail from its beginning, and its anchors."""
    verdict = trail_acts.verify(console.acting(asked))
    said = f"{'✕' if verdict.fault else '✓'} {sentence(verdict.sentence)}"
    return back(console, asked, "/audit", said, ok=not verdict.fault)


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


def _destination(console: Console, asked: Asked) -> str:
    """Name of a destination; of one that the settings name no more, where it is paused still."""
    name = asked.words["name"]
    if name not in console.node.destinations and name not in switches.paused_destinations(console.node.database):
        raise NotHere("the settings name no such destination")
    return name


def _from(asked: Asked) -> str:
    return "/workers" if asked.form.get("from") == "workers" else "/"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
