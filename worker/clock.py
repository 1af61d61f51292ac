"""The clock: sweeps the ledger for what is due and rings the bell. Two clocks at once do no harm."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from dicom_node.errors import NodeError
from dicom_node.ledger import claims, deliveries, jobs, receipts
from sr_engine.errors import EngineError
from worker.errors import WorkerError
from worker.owner import is_gone
from worker.receiving import rescan
from worker.steps.judge import judge_series
from worker.wiring import Bell, Node

log = structlog.get_logger()


class Clock:
    """Ticks in a thread until stopped. A tick that fails is logged, and the next one tries again."""

    def __init__(self, node: Node, bell: Bell) -> None:
        self._node, self._bell = node, bell
        self._scanned = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Ring what waits since the last start, and begin to tick."""
        claims.ring_all_again(self._node.database)
        self._thread.start()

    def stop(self) -> None:
        """Finish the tick in hand and stop."""
        self._stop.set()
        self._thread.join()

    def tick(self) -> None:
        """One sweep: heal, judge, take back, ring. Each part stands alone, so that one's trouble is not another's."""
        for sweep in (self._rescan, self._judge, self._take_back, self._ring):
            self._guarded(sweep)

    def _run(self) -> None:
        while not self._stop.wait(self._node.settings.worker.tick_s):
            self.tick()

    def _guarded(self, sweep: Callable[[], None]) -> None:
        try:
            sweep()
        except (NodeError, EngineError, WorkerError, OSError) as error:
            log.error("sweep failed, trying again", sweep=sweep.__name__.strip("_"), reason=str(error))
        except Exception:
            log.exception("sweep failed unexpectedly", sweep=sweep.__name__.strip("_"))

    def _rescan(self) -> None:
        if time.monotonic() - self._scanned >= self._node.settings.worker.rescan_s:
            self._scanned = time.monotonic()
            rescan(self._node, datetime.now(UTC))

    def _judge(self) -> None:
        for series_id in receipts.due_series(self._node.database):
            try:
                judge_series(self._node, series_id)
            except Exception:
                receipts.look_again(self._node.database, series_id, self._node.settings.series.quiet_s)
                raise

    def _take_back(self) -> None:
        jobs.expire(self._node.database, is_gone, self._node.settings.worker.deaths_allowed)
        deliveries.expire(self._node.database, is_gone)

    def _ring(self) -> None:
        for job_id in jobs.due_jobs(self._node.database):
            self._bell.restore(job_id)
        for delivery_id in deliveries.due_deliveries(self._node.database):
            self._bell.deliver(delivery_id)
