"""A worker's sign of life while it works. Apart from the restoration, so that senders and listeners need no torch."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from dicom_node.errors import LedgerError, StaleFence
from worker.wiring import Node


@contextlib.contextmanager
def heartbeat(node: Node, beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat`` every few seconds from a thread until the work ends. A ledger that is away is tried again."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(node.settings.worker.heartbeat_s):
            try:
                beat()
            except StaleFence:
                return  # the verb that ends the work will find out, and drop it
            except LedgerError:
                continue

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
