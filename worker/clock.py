"""The clock: sweeps the ledger for what is due and rings the bell. Two clocks at once do no harm."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from dicom_node.errors import LedgerError, NodeError
from dicom_node.ledger import circuits, claims, commitment_requests, deliveries, jobs, models, receipts, workers
from dicom_node.ledger.claims import Due
from sr_engine.errors import EngineError
from worker import retention
from worker.errors import WorkerError
from worker.line import Line
from worker.notices.watch import Watch
from worker.owner import is_gone, this_owner
from worker.receiving import rescan
from worker.steps.judge import judge_series
from worker.steps.report import report_commitment
from worker.trail_keeper import TrailKeeper
from worker.wiring import Bell, Node

log = structlog.get_logger()

# A series that a clock has in hand is left alone by others for this long; should that clock die, so long is lost.
JUDGING_S = 15.0
# Processes that were not seen for this long leave the registry.
FORGET_S = 3600.0
# Jobs for another model are left alone for this long: two nodes that differ should not take turns with them.
ADOPT_S = 60.0
# Scanners that are told of storage commitment at the same time.
REPORTERS = 2


class Clock:
    """Ticks in a thread until stopped. A tick that fails is logged, and the next one tries again.

    Parameters
    ----------
    role : str
        What the registry of processes calls this one.

    Attributes
    ----------
    last_tick : float
        ``time.monotonic()`` of its last sign of life, for a watchdog.
    """

    def __init__(self, node: Node, bell: Bell, role: str = "clock") -> None:
        self._node, self._bell, self._role = node, bell, role
        # A scanner that does not answer holds up a thread of these, not the clock.
        self._reports = Line(lambda request_id: report_commitment(node, request_id))
        self._notices = Watch(node)
        self._trail = TrailKeeper(node)
        self._rare = self._seen = self.last_tick = time.monotonic()
        self._troubles: dict[str, str] = {}
        self._was_away = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Enter the registry, ring what waits since the last start, and begin to tick."""
        self._trail.begin()
        workers.register(self._node.database, this_owner(), self._role)
        self._trail.start()
        self._adopt(settled_s=0)
        claims.ring_all_again(self._node.database)
        self._reports.start("report", REPORTERS)
        self._notices.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish the tick in hand, stop, and leave the registry."""
        self._stop.set()
        self._thread.join()
        self._notices.stop()
        with contextlib.suppress(NodeError):  # a ledger that is away must not keep the node from stopping
            workers.forget(self._node.database, this_owner())
        self._trail.stop()

    def tick(self) -> None:
        """One sweep: judge, take back, ring. Each part stands alone, so that one's trouble is not another's."""
        sweeps = (self._judge, self._take_back, self._ring_jobs, self._ring_deliveries, self._report, self._be_seen)
        for sweep in sweeps:
            self._guarded(sweep)
        if time.monotonic() - self._rare >= self._node.settings.worker.rescan_s:
            self._rare = time.monotonic()
            for sweep in (self._rescan, self._forget, self._retain, self._adopt):
                self._guarded(sweep)

    def _run(self) -> None:
        while not self._stop.wait(self._node.settings.worker.tick_s):
            with contextlib.suppress(Exception):  # not even a log that cannot be written may end the clock
                self.tick()

    def _guarded(self, sweep: Callable[[], None]) -> None:
        """Run one part. The same trouble is told once, and when it is over."""
        name = sweep.__name__.strip("_")
        self.last_tick = time.monotonic()
        try:
            sweep()
        except (NodeError, EngineError, WorkerError, OSError) as error:
            if self._troubles.get(name) != str(error):
                self._troubles[name] = str(error)
                log.error("sweep failed, trying again", sweep=name, reason=str(error))
        except Exception:
            log.exception("sweep failed unexpectedly", sweep=name)
        else:
            if self._troubles.pop(name, None):
                log.info("sweep works again", sweep=name)

    def _judge(self) -> None:
        for series_id in self._due_series():
            if not receipts.take(self._node.database, series_id, JUDGING_S):
                continue
            self.last_tick = time.monotonic()
            try:
                judge_series(self._node, series_id)
            except Exception as error:
                kind = type(error).__name__
                log.warning("the series could not be judged now, it is tried again", series=series_id, error=kind)
                receipts.look_again(self._node.database, series_id, self._node.settings.series.quiet_s)
                raise

    def _due_series(self) -> list[int]:
        """Series to judge; none at the first look after the ledger was away, when it lacks what came meanwhile."""
        try:
            due = receipts.due_series(self._node.database)
        except LedgerError:
            self._was_away = True
            raise
        if not self._was_away:
            return due
        receipts.listening_again(self._node.database, self._node.settings.series.quiet_s)
        self._was_away = False
        return []

    def _take_back(self) -> None:
        settings = self._node.settings
        jobs.expire(self._node.database, is_gone, settings.worker.deaths_allowed)
        deliveries.expire(self._node.database, is_gone, settings.send.attempts)
        commitment_requests.expire(self._node.database, is_gone, settings.send.attempts)
        if circuits.opened(self._node.database):
            circuits.hold_back(self._node.database)

    def _ring_jobs(self) -> None:
        due = jobs.due_jobs(self._node.database, self._node.settings.worker.ring_again_s)
        _ring(due, self._bell.restore, lambda ids: jobs.unring(self._node.database, ids))

    def _ring_deliveries(self) -> None:
        due = deliveries.due_deliveries(self._node.database, self._node.settings.worker.ring_again_s)
        _ring(due, self._bell.deliver, lambda ids: deliveries.unring(self._node.database, ids))

    def _report(self) -> None:
        for request_id in commitment_requests.due(self._node.database):
            self._reports.put(request_id)

    def _be_seen(self) -> None:
        if time.monotonic() - self._seen >= self._node.settings.worker.heartbeat_s:
            self._seen = time.monotonic()
            if not workers.see(self._node.database, this_owner()):
                workers.register(self._node.database, this_owner(), self._role)

    def _rescan(self) -> None:
        rescan(self._node, datetime.now(UTC))

    def _adopt(self, settled_s: float = ADOPT_S) -> None:
        """Jobs that were queued, or failed and retried, for a model that this node has not become jobs for its own."""
        moved = models.adopt(self._node.database, self._node.choices(), settled_s, self._node.chosen)
        if moved:
            log.warning("queued jobs for another model are jobs for this node's now", jobs=moved)

    def _forget(self) -> None:
        workers.forget_silent(self._node.database, FORGET_S)

    def _retain(self) -> None:
        retention.sweep(self._node, datetime.now(UTC))


def _ring(due: Sequence[Due], ring: Callable[[int, int], None], unring: Callable[[list[int]], None]) -> None:
    """Ring for each; what no bell could be rung for is rung at the next tick, not when it was silent for long."""
    for number, item in enumerate(due):
        try:
            ring(item.id, item.priority)
        except Exception:
            unring([rest.id for rest in due[number:]])
            raise
