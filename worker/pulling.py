"""Fetching earlier series from a PACS.

Everything that comes goes to the spool and the ledger as if it had been sent, so that a running node, or the next one
to start, judges and restores it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dicom_node.errors import NodeError, UnreadableInstance
from dicom_node.ledger import pulls, receipts
from dicom_node.receive.spool import Spool
from dicom_node.retrieve.intake import Intake, Pace
from dicom_node.retrieve.question import FoundSeries, Source
from dicom_node.series.eligibility import not_ours
from dicom_node.series.headers import read_header
from worker.owner import this_owner
from worker.priors import Planned
from worker.receiving import enter
from worker.wiring import Node

LOOK_S = 0.2
Report = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one series; ``reasons`` says why images are missing, or why it was given up."""

    series_uid: str
    asked: int
    came: int
    reasons: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Images that were asked for and are not here."""
        return self.asked - self.came


def pull(node: Node, source: Source, planned: Sequence[Planned], report: Report) -> Iterator[Outcome]:
    """Fetch series after series; gives what became of each, and stops at the first that breaks off.

    Parameters
    ----------
    report : callable
        Told how many more images have come.
    """
    receive = node.settings.receive
    spool = Spool(receive.spool, receive.disk_full_percent, this_owner())
    pace = Pace(node.settings.pull.instances_per_second)
    for item in planned:
        if item.skip:
            continue
        work = _Pull(node, source, spool, pace, report)
        yield work.run(item)
        if work.broken:
            return


class _Pull:
    """One series on its way in."""

    def __init__(self, node: Node, source: Source, spool: Spool, pace: Pace, report: Report) -> None:
        self._node, self._source, self._spool, self._pace, self._report = node, source, spool, pace, report
        self._came: set[str] = set()
        self._reasons: list[str] = []
        self.broken = False

    def run(self, item: Planned) -> Outcome:
        """Fetch, enter, and say how it ended. What came before a fault stays."""
        uid, asked = item.series.series_uid, [image.sop_uid for image in item.images]
        pulls.begun(self._node.database, uid, self._source.name, self._source.way, len(asked))
        try:
            asked = self._fetch_originals(item, asked)
        except NodeError as error:
            self.broken = True
            self._reasons.append(str(error))
        except KeyboardInterrupt:
            self._end(uid, asked, ["stopped by a person"])
            raise
        return self._end(uid, asked, self._reasons)

    def _end(self, series_uid: str, asked: Sequence[str], reasons: Sequence[str]) -> Outcome:
        database = self._node.database
        outcome = Outcome(series_uid, len(asked), len(self._came), tuple(reasons))
        if not outcome.missing:
            receipts.released(database, [series_uid], self._node.settings.series.quiet_released_s)
        pulls.ended(database, series_uid, outcome.came, outcome.missing, outcome.reasons)
        return outcome

    def _fetch_originals(self, item: Planned, asked: list[str]) -> list[str]:
        """Fetch images; where the PACS does not tell what they are, look at one first. Returns what was asked for."""
        if item.proven:
            self._fetch(item, asked)
            return asked
        first = asked[len(asked) // 2]
        self._fetch(item, [first])
        reason = self._not_ours(item.series, first)
        if reason:
            self._reasons.append(reason)
            return [first]
        self._fetch(item, [uid for uid in asked if uid != first])
        return asked

    def _not_ours(self, series: FoundSeries, sop_uid: str) -> str:
        """Why a series is not restored, by one image of it; empty where it may be, or where the image did not come."""
        path = pulls.holding(self._node.database, series.series_uid).kept.get(sop_uid)
        if path is None:
            return ""
        try:
            return not_ours(read_header(Path(path), "")) or ""
        except UnreadableInstance:  # the series room holds it, and says why
            return ""

    def _fetch(self, item: Planned, uids: list[str]) -> None:
        asked, done = frozenset(uids), 0
        intake = Intake(
            self._spool,
            item.series.series_uid,
            asked,
            others=item.others | self._came,
            maximum_bytes=int(self._node.settings.receive.maximum_instance_mb * 1e6),
            pace=self._pace,
            now=lambda: datetime.now(UTC),
        )
        try:
            for count in self._source.fetch(item.series, intake) if uids else ():
                self._report(count - done)
                done = count
                self._enter(intake, self._node.settings.pull.instances_at_once)
        finally:
            self._enter(intake, 1)
            self._reasons += [f"{reason} ({count} times)" for reason, count in intake.refused.items()]
            self._came |= self._arrived(item.series, intake, done)

    def _enter(self, intake: Intake, at_least: int) -> None:
        if len(intake.kept) >= at_least:
            enter(self._node, intake.take())

    def _arrived(self, series: FoundSeries, intake: Intake, sent: int) -> set[str]:
        """What came. By C-MOVE that is the listener's: what the ledger has, once it has as many as were sent."""
        if self._source.way != "move":
            return intake.came
        deadline = time.monotonic() + self._node.settings.pull.arrival_s
        while True:
            here = pulls.holding(self._node.database, series.series_uid).kept
            arrived = {uid for uid in intake.asked if uid in here}
            if len(arrived) >= sent or time.monotonic() > deadline:
                return arrived
            time.sleep(LOOK_S)
