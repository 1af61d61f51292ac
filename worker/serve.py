"""A Celery worker process: threads that wait, each for a child that restores or on a PACS.

The pool is of threads: they only wait. A job's process is a child of ours, with limits of ours, as in the embedded
wiring; Celery's own forked pool would add a process in between that may have no children and whose death loses bells.
"""

import math
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import structlog
from celery import bootsteps
from celery.signals import worker_ready, worker_shutting_down

from worker import systemd
from worker.app import RESTORE_QUEUE, configure, queues_of
from worker.hands import Hands
from worker.settings import Settings
from worker.wiring import open_node

log = structlog.get_logger()


class Pulse(bootsteps.StartStopStep):
    """Beats in Celery's own loop while there is a broker: a loop that stands still is a worker that hears nothing.

    Attributes
    ----------
    beat_at : float
        ``time.monotonic()`` of the last beat; infinite while there is no broker, and so none can be expected.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)  # type: ignore[assignment]  # typed as empty there
    beat_at = math.inf

    def start(self, consumer: Any) -> None:
        """The broker answers."""
        log.info("listens to the broker")
        self._beat()
        consumer.timer.call_repeatedly(1.0, self._beat)

    def stop(self, _consumer: Any) -> None:
        """The broker is lost, or the worker stops."""
        Pulse.beat_at = math.inf

    def _beat(self) -> None:
        Pulse.beat_at = time.monotonic()


class _Shutdown:
    """SIGTERM drains: claim nothing, finish what is in hand within the limit. A second one gives it back at once."""

    def __init__(self, hands: Hands, limit_s: float) -> None:
        self._hands, self._limit_s = hands, limit_s
        self._thread = threading.Thread(target=self._drain, name="drain", daemon=True)

    def told(self, **_: Any) -> None:
        """A signal came; this runs in its handler."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._hands.hurry()

    def wait(self) -> None:
        """Until everything is finished or given back."""
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join()

    def _drain(self) -> None:
        systemd.notify(systemd.STOPPING)
        if not self._hands.finish(self._limit_s):
            log.warning("a PACS did not answer in time, its delivery goes on elsewhere")
            os._exit(0)  # the thread that waits for it cannot be ended otherwise


def serve(settings: Settings, queues: str, concurrency: int) -> None:
    """Work for the broker until told to stop."""
    hands = Hands(open_node(settings, "worker"), role=queues, restores=RESTORE_QUEUE in queues)
    app = configure(settings)
    app.conf.thinslice_hands = hands
    app.steps["consumer"].add(Pulse)
    shutdown = _Shutdown(hands, settings.worker.drain_s)
    worker_ready.connect(_stop_alike, weak=False)
    worker_shutting_down.connect(shutdown.told, weak=False)
    signal.signal(signal.SIGTERM, _exit)  # until Celery has its own
    hands.start()
    systemd.notify(systemd.READY)
    systemd.watch_beat(lambda: Pulse.beat_at)
    arguments = ["--pool=threads", f"--queues={queues_of(queues)}", f"--concurrency={concurrency}"]
    try:
        app.worker_main(["worker", *arguments, "--loglevel=WARNING", "--without-mingle", "--without-gossip"])
    finally:
        shutdown.wait()


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _stop_alike(**_: Any) -> None:
    """Ctrl-C is SIGTERM."""
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))
