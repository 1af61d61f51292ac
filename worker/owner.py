"""Names of processes that hold leases, and whether such a process is certainly gone."""

import os
import socket
from pathlib import Path

import psutil


def this_owner() -> str:
    """``host/boot/pid/start`` of this process: no other process ever has the same."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{_boot()}/{os.getpid()}/{process.create_time():.2f}"


def is_gone(owner: str) -> bool:
    """True only where this host can tell that the process ended; of other hosts nothing is known but the lease."""
    host, boot, pid, start = owner.rsplit("/", 3)
    if host != socket.gethostname():
        return False
    if boot != _boot():
        return True
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != start or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _boot() -> str:
    """Changes with every boot, and differs between containers that share a host name."""
    marker = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    boot = marker.read_text().strip() if marker.exists() else f"{psutil.boot_time():.0f}"
    return f"{boot}-{namespace.stat().st_ino}" if namespace.exists() else boot
