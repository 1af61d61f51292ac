"""What people think of derived series, week by week: by scanner and model, for the console and the command line."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise

from dicom_node.ledger import feedback, overview
from dicom_node.ledger.database import Database
from dicom_node.ledger.feedback import Fault, Tally, Verdict

# What each reason is called.
FAULTS: Mapping[Fault, str] = {
    Fault.ARTEFACT: "artefact",
    Fault.ANATOMY: "wrong anatomy",
    Fault.DENSITY: "wrong density",
    Fault.MISREGISTRATION: "misregistration",
    Fault.NOISE: "noise or smoothing",
    Fault.OTHER: "other",
}


class Span(StrEnum):
    """What opinions are counted by."""

    WEEK = "week"
    MONTH = "month"


PERIODS: Mapping[Span, int] = {Span.WEEK: 26, Span.MONTH: 12}


@dataclass(frozen=True)
class Count:
    """How many results were accepted and rejected; ``reasons`` in the words for people, the most frequent first."""

    accepted: int
    rejected: int
    reasons: dict[str, int]

    @property
    def total(self) -> int:
        """How many were looked at."""
        return self.accepted + self.rejected

    @property
    def rejected_percent(self) -> float | None:
        """Share of those that were looked at; None where none was."""
        return 100 * self.rejected / self.total if self.total else None


@dataclass(frozen=True)
class Period:
    """A week or a month: from a day until before another, ISO 8601, in UTC."""

    since: str
    until: str
    count: Count


@dataclass(frozen=True)
class Line:
    """One scanner with one model; ``model_digest`` tells versions of its weights apart."""

    calling_ae: str
    model_name: str
    model_digest: str
    count: Count
    periods: tuple[Period, ...]


@dataclass(frozen=True)
class Summary:
    """Every scanner and model of which somebody thought something within these periods, those most looked at first."""

    span: Span
    since: str
    lines: tuple[Line, ...]


def summary(database: Database, span: Span = Span.WEEK) -> Summary:
    """Count the opinions of the last half year by weeks, or of the last year by months."""
    starts = starts_of(overview.now(database).date(), span)
    groups: dict[tuple[str, str, str], list[Tally]] = {}
    for item in feedback.tally(database, starts[0].isoformat()):
        groups.setdefault((item.calling_ae, item.model_name, item.model_digest), []).append(item)
    lines = [Line(*key, count=_count(items), periods=_periods(starts, items)) for key, items in groups.items()]
    lines.sort(key=lambda line: line.count.total, reverse=True)
    return Summary(span, starts[0].isoformat(), tuple(lines))


def starts_of(today: date, span: Span) -> list[date]:
    """First days of the periods, the present one's last, and that of the one to come."""
    if span is Span.WEEK:
        monday = today - timedelta(days=today.weekday())
        return [monday - timedelta(weeks=back) for back in range(PERIODS[span] - 1, -2, -1)]
    months = [today.year * 12 + today.month - 1 - back for back in range(PERIODS[span] - 1, -2, -1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def _periods(starts: Sequence[date], items: Sequence[Tally]) -> tuple[Period, ...]:
    days = [start.isoformat() for start in starts]
    return tuple(
        Period(since, until, _count(item for item in items if since <= item.day < until))
        for since, until in pairwise(days)
    )


def _count(items: Iterable[Tally]) -> Count:
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for item in items:
        verdicts[item.verdict] += item.number
        if item.reason:
            reasons[FAULTS[Fault(item.reason)]] += item.number
    return Count(verdicts[Verdict.ACCEPTED], verdicts[Verdict.REJECTED], dict(reasons.most_common()))
