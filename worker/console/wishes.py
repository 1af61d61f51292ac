"""What programs ask for: the query of each address, and the JSON that a deed brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from dicom_node.ledger.feedback import Verdict
from dicom_node.ledger.states import JobState, SeriesState
from worker.console.asked import LONGEST_REASON
from worker.console.searching import orders
from worker.deeds import MOST_URGENT, WIDEST_MM
from worker.feedback import Span

OF_JOBS = [str(state) for state in JobState]
OF_SERIES = [str(SeriesState.RECEIVING), *OF_JOBS]
# Control characters have no place in what the audit trail keeps.
PLAIN = r"[^\x00-\x1f\x7f-\x9f]"
SEEN = r"[^\s\x00-\x1f\x7f-\x9f]"


def _one_of(states: Sequence[str], state: str) -> str:
    if state and state not in states:
        raise ValueError(f"there is no such state; there are: {', '.join(states)}")
    return state


def _day(text: str) -> str:
    if text:
        date.fromisoformat(text)
    return text


def _states(states: Sequence[str]) -> tuple[AfterValidator, Any]:
    """A state of these or none, as a check and as a schema."""
    enum: Any = ["", *states]
    return AfterValidator(partial(_one_of, states)), Field(json_schema_extra={"enum": enum})


Before = Annotated[int | None, Field(ge=1, lt=10**15, description="Only what has a lower number.")]
Name = Annotated[str, Field(max_length=64, pattern=f"^{PLAIN}*$")]
Place = Annotated[
    str, Field(max_length=64, pattern=f"^{PLAIN}*$", description="A place that `next` or `previous` has.")
]
Text = Annotated[str, Field(max_length=160, pattern=f"^{PLAIN}*$")]

Day = Annotated[str, AfterValidator(_day), Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", examples=["2026-01-31"])]


@dataclass(frozen=True)
class SeriesWish:
    """Which series; what is empty is not asked for."""

    state: Annotated[str, *_states(OF_SERIES)] = ""
    calling_ae: Annotated[str, Field(max_length=16, pattern=f"^{PLAIN}*$", examples=["CT1"])] = ""
    text: Annotated[
        str,
        Field(
            max_length=64, pattern=f"^{PLAIN}*$", description="Its number, or the beginning of its SeriesInstanceUID."
        ),
    ] = ""
    feedback: Annotated[str, *_states([str(item) for item in Verdict])] = ""
    destination: Name = ""
    model: Name = ""
    rule: Name = ""
    since: Day = ""
    until: Day = ""
    sort: Annotated[str, *_states(list(orders()))] = ""
    before: Place = ""
    after: Place = ""


@dataclass(frozen=True)
class JobsWish:
    """Which jobs."""

    state: Annotated[str, *_states(OF_JOBS)] = ""
    before: Before = None


@dataclass(frozen=True)
class AuditWish:
    """Which rows of the audit trail; what is empty is not asked for."""

    event: Annotated[Text, Field(examples=["job.held"])] = ""
    actor: Annotated[Text, Field(examples=["user ada"])] = ""
    subject: Annotated[Text, Field(examples=["series:7"])] = ""
    since: Day = ""
    until: Day = ""
    before: Before = None


@dataclass(frozen=True)
class FeedbackWish:
    """Which opinions of results; counted by week or by month."""

    calling_ae: Annotated[Text, Field(examples=["CT1"])] = ""
    model_digest: Text = ""
    verdict: Annotated[str, *_states([str(item) for item in Verdict])] = ""
    reason: Text = ""
    since: Day = ""
    until: Day = ""
    by: Annotated[str, *_states([str(item) for item in Span])] = ""
    before: Before = None


@dataclass(frozen=True)
class PageWish:
    """Which page."""

    before: Before = None


@dataclass(frozen=True)
class Why:
    """Why, for the audit trail, without a patient's name."""

    reason: Annotated[str, Field(max_length=LONGEST_REASON, pattern=f"^{PLAIN}*$", examples=["a new GPU"])] = ""


@dataclass(frozen=True)
class Reason:
    """Why, for the audit trail, without a patient's name: this deed asks for it."""

    reason: Annotated[
        str, Field(max_length=LONGEST_REASON, pattern=f"^{PLAIN}*{SEEN}{PLAIN}*$", examples=["looked at it"])
    ]


@dataclass(frozen=True, kw_only=True)
class Urgency(Why):
    """How urgent: of two that wait, the higher number goes first."""

    priority: Annotated[int, Field(ge=1, le=MOST_URGENT)] = 1


@dataclass(frozen=True, kw_only=True)
class Network(Why):
    """Which network restores it, and how far apart thin slices are; without, as the settings say."""

    network: Annotated[str, Field(min_length=1, max_length=64, pattern=f"^{PLAIN}*$", examples=["cubic"])]
    target_spacing_mm: Annotated[float | None, Field(gt=0, le=WIDEST_MM)] = None


@dataclass(frozen=True, kw_only=True)
class Destination(Why):
    """Which of the destinations in the settings."""

    to: Annotated[str, Field(min_length=1, max_length=64, pattern=f"^{PLAIN}*$", examples=["main"])]


@dataclass(frozen=True, kw_only=True)
class Process(Why):
    """Which process, by the name that the workers have in this API."""

    owner: Annotated[str, Field(min_length=1, max_length=200, pattern=f"^{PLAIN}*$")]
