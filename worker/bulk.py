"""One act on one or many series: first what it would touch and leave, then what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicom_node.errors import InputError, LedgerError, NodeError
from dicom_node.ledger import browse
from dicom_node.ledger.browse import SeriesEntry, SeriesFilter
from worker.acts import Act
from worker.deeds import DEEDS, possible
from worker.wiring import Node

# So many transactions take seconds; who has more does it in turns.
MOST = 500
NAMED = 5


@dataclass(frozen=True)
class Left:
    """A series that an act leaves as it is, and why."""

    series_id: int
    why: str


@dataclass(frozen=True)
class Preview:
    """What an act would touch and leave."""

    touched: tuple[SeriesEntry, ...]
    left: tuple[Left, ...]

    @property
    def numbers(self) -> list[int]:
        """Of the series that would be touched."""
        return [item.series.id for item in self.touched]


@dataclass(frozen=True)
class Done:
    """What came of it."""

    said: tuple[str, ...]
    left: tuple[Left, ...]

    @property
    def sentence(self) -> str:
        """For people: ``12 done, 3 left: ...``; of a single series what it said itself."""
        if len(self.said) + len(self.left) == 1:
            return (*self.said, *(item.why for item in self.left))[0]
        counted = f"{len(self.said)} done"
        return f"{counted}, {len(self.left)} left: {named(self.left)}" if self.left else counted


def named(left: Sequence[Left]) -> str:
    """The first few and why, the others counted."""
    more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return "; ".join(item.why.removesuffix(".") for item in left[:NAMED]) + more


def matching(node: Node, wanted: SeriesFilter) -> list[int]:
    """Numbers of the series that are asked for. InputError where they are more than can be done at once."""
    found = [item.series.id for item in browse.series_page(node.database, wanted, limit=MOST + 1)]
    return checked(found)


def checked(series_ids: Sequence[int]) -> list[int]:
    """The numbers, each once. InputError where they are too many or none."""
    found = list(dict.fromkeys(series_ids))
    if len(found) > MOST:
        raise InputError(f"that is more than {MOST} series: choose fewer, and do the others after them")
    if not found:
        raise InputError("no series was chosen")
    return found


def preview(node: Node, name: str, series_ids: Sequence[int]) -> Preview:
    """What an act would do. InputError where there is no such act, or too many series."""
    if name not in DEEDS:
        raise InputError("nothing of that kind can be done with a series")
    asked = checked(series_ids)
    found = browse.entries(node.database, asked)
    fits = {item.series.id for item in found if name in possible(item.series.state, item.jobs)}
    missing = sorted(set(asked) - {item.series.id for item in found})
    left = [Left(item.series.id, _why_left(item, name)) for item in found if item.series.id not in fits]
    left += [Left(number, f"there is no series {number}") for number in missing]
    return Preview(tuple(item for item in found if item.series.id in fits), tuple(left))


def do(node: Node, act: Act, series_ids: Sequence[int], reason: str) -> Done:
    """Do it to one after the other; what cannot be done is told, and keeps none of the others from it.

    Of a single series an error is raised.
    """
    numbers = checked(series_ids)
    if len(numbers) == 1:
        outcome = act(node, numbers[0], reason)
        return Done((outcome.said,), ()) if outcome.done else Done((), (Left(numbers[0], outcome.said),))
    outcomes = list(_outcomes(node, act, numbers, reason))
    said = tuple(item for item in outcomes if isinstance(item, str))
    return Done(said, tuple(item for item in outcomes if isinstance(item, Left)))


def _outcomes(node: Node, act: Act, series_ids: Sequence[int], reason: str) -> Iterator[str | Left]:
    for number in series_ids:
        try:
            outcome = act(node, number, reason)
        except LedgerError as error:
            yield from (Left(rest, f"series {rest}: {error}") for rest in series_ids[series_ids.index(number) :])
            return
        except NodeError as error:
            yield Left(number, f"series {number}: {error}")
        else:
            yield outcome.said if outcome.done else Left(number, outcome.said)


def _why_left(entry: SeriesEntry, name: str) -> str:
    states = sorted({job.state for job in entry.jobs if job.state != "superseded"}) or [entry.series.state]
    return f"series {entry.series.id} {DEEDS[name].nothing} ({', '.join(states)})"
