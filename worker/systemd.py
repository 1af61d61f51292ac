"""Telling systemd how the service is, over the socket that it names. Without systemd nothing is told.

sd_notify(3): one datagram of ``KEY=value`` lines to $NOTIFY_SOCKET. With ``WatchdogSec=`` systemd restarts a service
that does not say WATCHDOG=1 within $WATCHDOG_USEC.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

READY, STOPPING, WATCHDOG = "READY=1", "STOPPING=1", "WATCHDOG=1"
# A service that shows no sign of life for this long is no longer told to systemd as alive.
STALE_S = 60.0


def notify(message: str) -> None:
    """Tell systemd, where it listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)


def watch(is_alive: Callable[[], bool]) -> None:
    """Say WATCHDOG=1 twice in each period that systemd asks for, as long as ``is_alive`` says so."""
    period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    if not period_s or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    waiting = threading.Event()

    def run() -> None:
        while not waiting.wait(period_s / 2):
            if is_alive():
                notify(WATCHDOG)

    threading.Thread(target=run, name="watchdog", daemon=True).start()


def watch_beat(beat_at: Callable[[], float]) -> None:
    """As ``watch``, for a service that gives ``time.monotonic()`` of its last sign of life."""
    watch(lambda: time.monotonic() - beat_at() < STALE_S)
