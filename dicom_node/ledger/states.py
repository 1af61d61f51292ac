"""Which moves are legal. Everything that affects the states of a series, a job or a delivery lives in this file.

A *series* is what the scanner sends. It is ``receiving`` until it was quiet long enough (PS3.4 has no end mark), then
``complete``. A late image makes it ``receiving`` again under the next revision.

A complete series holds one or more stacks; each becomes a *job*, which ends in a named state with a reason:

- A stack that is none of our business is ``skipped``; one that a person must look at is ``held``; the others are
  ``queued``. Looking again (a retry, new settings) may move ``skipped`` and ``held``.
- A worker's claim makes it ``running``. It goes back to ``queued`` when the worker dies or the cause may pass, to
  ``held`` when the input is at fault, to ``failed`` when we are, or when workers died on it repeatedly.
- ``restored`` means that the result is on disk with its manifest. A result that contradicts its source is kept and
  ``held``: a person releases it to its PACSs, or rejects it.
- From there the job mirrors its deliveries: ``sending``, ``sent`` (every PACS answered for every instance),
  ``verified`` (every PACS confirmed them). A PACS that confirms and later loses moves it back to ``sending``, and a
  person who has it sent again to ``restored`` or ``sending``.
- ``parked`` means that a PACS refused or stayed away too long, or that this machine lacks what the job needs: visible,
  never dropped; a retry goes on where it stopped.
- ``cancelled`` by a person, who may take that back; ``superseded`` when a later revision of the series replaced it, or
  a person had it restored again with another network.

A *delivery* is one job to one PACS. ``pending`` and ``sent`` wait for their due time; ``sending`` and ``verifying``
are claimed; ``verified`` and ``parked`` end it until a person or the PACS says otherwise.

A *commitment request* is a scanner's wish that this node commit to instances (PS3.4 J). It is ``waiting`` for instances
that are on their way, or for the next try; ``reporting`` is claimed; ``reported`` means that the scanner took the
report, ``parked`` that it did not, for good or for too long. A retry, or the scanner asking again, begins anew.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar


class SeriesState(StrEnum):
    """States of a series."""

    RECEIVING = "receiving"
    COMPLETE = "complete"


class JobState(StrEnum):
    """States of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    RESTORED = "restored"
    SENDING = "sending"
    SENT = "sent"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"
    PARKED = "parked"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """States of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    PARKED = "parked"


class CommitmentState(StrEnum):
    """States of a scanner's storage commitment request."""

    WAITING = "waiting"
    REPORTING = "reporting"
    REPORTED = "reported"
    PARKED = "parked"


State = TypeVar("State", bound=StrEnum)
J = JobState
D = DeliveryState
C = CommitmentState

SERIES_MOVES: dict[SeriesState, frozenset[SeriesState]] = {
    SeriesState.RECEIVING: frozenset({SeriesState.COMPLETE}),
    SeriesState.COMPLETE: frozenset({SeriesState.RECEIVING}),
}

JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    J.QUEUED: frozenset({J.RUNNING, J.CANCELLED, J.SUPERSEDED}),
    J.RUNNING: frozenset({J.QUEUED, J.RESTORED, J.HELD, J.FAILED, J.PARKED, J.CANCELLED, J.SUPERSEDED}),
    J.RESTORED: frozenset({J.SENDING, J.SENT, J.VERIFIED, J.PARKED, J.HELD, J.CANCELLED, J.SUPERSEDED}),
    J.SENDING: frozenset({J.RESTORED, J.SENT, J.VERIFIED, J.PARKED, J.CANCELLED, J.SUPERSEDED}),
    J.SENT: frozenset({J.RESTORED, J.SENDING, J.VERIFIED, J.PARKED, J.CANCELLED, J.SUPERSEDED}),
    J.VERIFIED: frozenset({J.RESTORED, J.SENDING, J.PARKED, J.SUPERSEDED}),
    J.SKIPPED: frozenset({J.QUEUED, J.HELD, J.SUPERSEDED}),
    J.HELD: frozenset({J.QUEUED, J.SKIPPED, J.RESTORED, J.CANCELLED, J.SUPERSEDED}),
    J.FAILED: frozenset({J.QUEUED, J.CANCELLED, J.SUPERSEDED}),
    J.PARKED: frozenset({J.QUEUED, J.RESTORED, J.SENDING, J.SENT, J.VERIFIED, J.CANCELLED, J.SUPERSEDED}),
    J.CANCELLED: frozenset({J.QUEUED, J.RESTORED, J.SUPERSEDED}),
    J.SUPERSEDED: frozenset(),
}

DELIVERY_MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    D.PENDING: frozenset({D.SENDING, D.PARKED}),
    D.SENDING: frozenset({D.PENDING, D.SENT, D.PARKED}),
    D.SENT: frozenset({D.VERIFYING, D.VERIFIED, D.PENDING, D.PARKED}),
    D.VERIFYING: frozenset({D.SENT, D.VERIFIED, D.PENDING, D.PARKED}),
    D.VERIFIED: frozenset({D.PENDING, D.PARKED}),
    D.PARKED: frozenset({D.PENDING, D.VERIFIED}),
}

COMMITMENT_MOVES: dict[CommitmentState, frozenset[CommitmentState]] = {
    C.WAITING: frozenset({C.REPORTING}),
    C.REPORTING: frozenset({C.WAITING, C.REPORTED, C.PARKED}),
    C.REPORTED: frozenset({C.WAITING}),
    C.PARKED: frozenset({C.WAITING}),
}


def sources(moves: Mapping[State, frozenset[State]], target: State) -> list[str]:
    """States from which ``target`` may be reached: the condition of every UPDATE."""
    return [str(state) for state, targets in moves.items() if target in targets]


def job_state_of(deliveries: list[DeliveryState]) -> JobState:
    """State of a restored job as its deliveries make it.

    The least advanced delivery that still moves decides; a parked one shows once nothing else moves.
    """
    if not deliveries:
        return J.RESTORED
    if D.SENDING in deliveries:
        return J.SENDING
    if D.PENDING in deliveries:
        return J.RESTORED if set(deliveries) == {D.PENDING} else J.SENDING
    if D.PARKED in deliveries:
        return J.PARKED
    return J.VERIFIED if set(deliveries) == {D.VERIFIED} else J.SENT


def state_page() -> str:
    """docs/states.md: the prose above and a Mermaid diagram of each table of moves."""
    parts = ["# States\n", "Generated from `dicom_node/ledger/states.py`; do not edit.\n", (__doc__ or "").strip()]
    tables: dict[str, Mapping[Any, frozenset[Any]]] = {
        "Series": SERIES_MOVES, "Job": JOB_MOVES, "Delivery": DELIVERY_MOVES, "Commitment request": COMMITMENT_MOVES,
    }  # fmt: skip
    for title, moves in tables.items():
        arrows = [f"    {source} --> {target}" for source, targets in moves.items() for target in sorted(targets)]
        parts.append("\n".join([f"\n## {title}\n", "```mermaid", "stateDiagram-v2", *arrows, "```"]))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(state_page(), end="")  # noqa: T201
