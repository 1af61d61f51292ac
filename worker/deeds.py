"""The list of what people may do with series: which asks first and in which words, and to which series it can be done.

The console's buttons and the command line's commands are made from it; `worker.acts` and `worker.again` do the work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from dicom_node.errors import InputError
from dicom_node.ledger.acts import WAITING
from dicom_node.ledger.again import RESTORABLE
from dicom_node.ledger.mirror import DELIVERABLE
from dicom_node.ledger.states import JOB_MOVES, JobState, SeriesState, sources
from worker import acts, again
from worker.acts import Act

CANCELLABLE = frozenset(sources(JOB_MOVES, JobState.CANCELLED))
RETRIED = frozenset(
    {JobState.FAILED, JobState.CANCELLED, JobState.PARKED, JobState.HELD, JobState.SKIPPED, JobState.SENT,
     JobState.RESTORED}
)  # fmt: skip
MOST_URGENT = 9
WIDEST_MM = 10.0


class OneJob(Protocol):
    """As much of a job as tells what can be done with it."""

    @property
    def state(self) -> str:
        """Its state."""

    @property
    def has_result(self) -> bool:
        """Whether its result is still on this node."""


@dataclass(frozen=True)
class Deed:
    """One of them.

    Attributes
    ----------
    button : str
        What the button says.
    title : str
        What it does, on hover.
    act : callable
        Does it to one series: node, number, reason, and its wishes by keyword.
    nothing : str
        What is said of a series that it cannot be done to.
    question : str
        It cannot be taken back, or asks for wishes: these words come first.
    why : bool
        A reason is demanded.
    kind : str
        How its button looks: good, bad or plain.
    wishes : mapping of str to callable
        What a person chooses beside the reason, with what reads it.
    """

    button: str
    title: str
    act: Callable[..., acts.Outcome]
    nothing: str
    question: str = ""
    why: bool = False
    kind: str = ""
    wishes: Mapping[str, Callable[[str], Any]] | None = None

    def wanting(self, words: Mapping[str, str]) -> Act:
        """The act with the wishes among these words. InputError where one cannot be meant."""
        read = self.wishes or {}
        return partial(self.act, **{name: read[name](words[name]) for name in read if words.get(name)})

    def lacks(self, words: Mapping[str, str]) -> bool:
        """Whether a wish that has no default is missing."""
        return any(not words.get(name) for name in self.wishes or {} if name in ("network", "to"))


def priority_of(text: str) -> int:
    """A priority. InputError where it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) == 1):
        raise InputError(f"a priority is a number from 0 to {MOST_URGENT}; a higher one goes first")
    return int(text)


def spacing_of(text: str) -> float:
    """A distance of thin slices in mm. InputError where it is none."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= WIDEST_MM:
        raise InputError(f"the distance of thin slices is a number of mm up to {WIDEST_MM:g}")
    return found


DEEDS: Mapping[str, Deed] = {
    "release": Deed(
        "Release", "Send the result that is held", acts.release, "has no result that is held",
        "Send what is held to every PACS? What a PACS has received cannot be called back from here.",
        why=True, kind="good",
    ),
    "reject": Deed(
        "Reject", "Do not send the result that is held", acts.reject, "has no result that is held",
        "Decide that what is held is not sent? A retry restores it anew.", why=True, kind="bad",
    ),
    "retry": Deed("Retry", "Go on where it stopped, or judge it anew", acts.retry, "has nothing to retry"),
    "prioritise": Deed(
        "First", "Restore and send it before the others (STAT)", acts.prioritise, "has no job that waits",
        wishes={"priority": priority_of},
    ),
    "complete": Deed(
        "Complete", "Wait for no more images: judge it now, as it is", acts.complete, "does not wait for images",
        "Wait no longer, and judge what is here as the whole series? Images that come later make a new result, which "
        "takes the place of this one.", why=True,
    ),
    "again": Deed(
        "Restore again", "Restore it with another network", again.restore_again, "has nothing that was restored",
        "Restore it with another network? The new result is another derived series, and goes where its rule says; the "
        "old one counts as replaced, and what a PACS has of it stays there.",
        wishes={"network": str, "target_spacing_mm": spacing_of},
    ),
    "resend": Deed(
        "Send to", "Send its result to one destination, also once more", again.resend, "has no result on this node",
        "Send the result there, also if it has been sent before? The same images go, under the same UIDs; what a PACS "
        "has received cannot be called back from here.", wishes={"to": str},
    ),
    "cancel": Deed(
        "Cancel", "Stop it", acts.cancel, "has nothing to stop",
        "Stop it? What a PACS has already stays there. A retry takes it up again.", kind="bad",
    ),
}  # fmt: skip


def possible(series_state: str, jobs: Sequence[OneJob]) -> frozenset[str]:
    """Names of what can be done with a series, by its own state and its jobs'."""
    states = {job.state for job in jobs}
    doubted = any(job.state == JobState.HELD and job.has_result for job in jobs)
    arriving = series_state == SeriesState.RECEIVING
    found = {
        "release": doubted,
        "reject": doubted,
        "retry": bool(states & RETRIED),
        "prioritise": bool(states & set(WAITING)),
        "complete": arriving,
        "again": not arriving and (doubted or bool(states & set(RESTORABLE))),
        "resend": any(job.state in DELIVERABLE and job.has_result for job in jobs),
        "cancel": bool(states & CANCELLABLE),
    }
    return frozenset(name for name, can in found.items() if can)
