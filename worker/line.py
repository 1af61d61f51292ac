"""Row numbers that wait for threads of this process."""

import itertools
import threading
from collections.abc import Callable
from queue import PriorityQueue

import structlog

log = structlog.get_logger()


class Line:
    """Numbers that wait for a few threads. The threads end with the process: one may hang on a PACS."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self._work = work
        self._queue: PriorityQueue[tuple[int, int, int]] = PriorityQueue()
        self._order = itertools.count()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()

    def start(self, name: str, threads: int) -> None:
        """Begin to work."""
        for _ in range(threads):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, number: int, priority: int = 0) -> None:
        """Have a number worked on, unless it waits already."""
        with self._lock:
            if number in self._waiting:
                return
            self._waiting.add(number)
        self._queue.put((-priority, next(self._order), number))

    def _run(self) -> None:
        while True:
            _, _, number = self._queue.get()
            try:
                self._work(number)
            except Exception:
                log.exception("worker thread failed", thread=threading.current_thread().name, number=number)
            finally:
                with self._lock:
                    self._waiting.discard(number)
