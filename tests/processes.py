"""Child processes that are waited for until they answer and stopped by their own process id; and free ports."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
READY_S = 60.0
STOP_S = 10.0
# DCMTK and Orthanc lose 40 ms per message to Nagle's algorithm without this.
DICOM_ENVIRONMENT = {"TCP_NODELAY": "1"}


class ServerError(Exception):
    """A server is not installed, did not start, or did not answer in time."""


def free_port() -> int:
    """A TCP port nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        if not listens(port) and _can_bind(port):
            return port


def find_program(name: str) -> str:
    """Full path of an installed program; ServerError says how to install it."""
    path = shutil.which(name)
    if path is None:
        raise ServerError(f"{name} is not installed: run `make system`, which installs what tests talk to")
    return path


@dataclass
class Daemon:
    """A server that a test may kill, freeze and start again, on the same folder and port.

    Attributes
    ----------
    ready : callable
        Whether it answers.
    stop_signal : Signals
        What ends it in good order.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int:
        """Process id; ServerError while it does not run."""
        if self.process is None:
            raise ServerError(f"{self.name} does not run")
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it, in a session of its own so that Ctrl-C reaches us first, and wait until it answers."""
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=os.environ | DICOM_ENVIRONMENT,
                start_new_session=True,
            )
        if wait:
            self._wait_until_ready(self.process)

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it with a signal, by default in good order; what does not obey within STOP_S is killed."""
        child, self.process = self.process, None
        if child is None:
            return
        child.send_signal(how or self.stop_signal)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stop(signal.SIGKILL)

    def _wait_until_ready(self, child: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + READY_S
        while not self.ready():
            ended = child.poll()
            if ended is not None or time.monotonic() > deadline:
                state = f"ended with {ended}" if ended is not None else f"did not answer within {READY_S:g} s"
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise ServerError(f"{self.name} {state}; its log {self.log} ends:\n{tail}")
            time.sleep(0.05)


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    *,
    name: str = "",
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Daemon]:
    """A server from start to stop."""
    name = name or Path(command[0]).name.lower()
    daemon = Daemon(name, command, folder / f"{name}.log", ready, stop)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def listens(port: int) -> bool:
    """Something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def answers(url: str) -> bool:
    """A web server answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def pongs(port: int) -> bool:
    """A redis-server answers."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def succeeds(command: Sequence[str]) -> bool:
    """A program ends with 0."""
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def call(command: Sequence[str]) -> None:
    """Run a program to its end; ServerError says what it complained about."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise ServerError(f"{command[0]} failed: {done.stderr.strip()[-1000:]}")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
