"""systemd hears that the service is ready, that it lives and that it stops; its unit files are sound."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.unit.worker.nodes import settings_file
from worker import systemd

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LIMIT_S = 240.0  # on a loaded machine torch alone takes a minute


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of the socket that systemd listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(LIMIT_S)
        yield channel


def until_heard(channel: socket.socket, message: str) -> list[str]:
    """What came, up to and with ``message``."""
    heard: list[str] = []
    while message not in heard:
        heard.append(channel.recv(4096).decode())
    return heard


@pytest.mark.parametrize("command", ["up", "clock", "listen", "worker", "console"])
def test_each_service_says_that_it_is_ready_lives_and_stops(
    tmp_path: Path, notified: socket.socket, command: str
) -> None:
    broker = f'wiring = "celery"\nbroker_url = "redis://127.0.0.1:{free_port()}/0"'  # nothing listens there
    lines = {"receive": f"port = {free_port()}", "worker": "tick_s = 0.1" if command == "up" else broker}
    lines["console"] = f"port = {free_port()}"
    settings = settings_file(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite", lines)
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    program = [str(Path(sys.executable).with_name("thinslice")), command, "--config", str(settings)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
        try:
            assert until_heard(notified, systemd.READY) == [systemd.READY]
            if command != "listen":
                until_heard(notified, systemd.WATCHDOG)
            process.send_signal(signal.SIGTERM)
            until_heard(notified, systemd.STOPPING)
            assert process.wait(LIMIT_S) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()


def test_a_service_that_stands_still_is_not_told_as_alive(
    tmp_path: Path, notified: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    looks: list[bool] = []

    def lives_twice() -> bool:
        looks.append(len(looks) < 2)
        return looks[-1]

    systemd.watch(lives_twice)
    assert [notified.recv(4096).decode() for _ in range(2)] == [systemd.WATCHDOG] * 2
    notified.settimeout(0.5)
    with pytest.raises(TimeoutError):
        notified.recv(4096)
    assert len(looks) > 2


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify(systemd.READY)


@pytest.mark.parametrize(
    "unit",
    ["thinslice", "thinslice-listen@", "thinslice-clock", "thinslice-worker@", "thinslice-sender", "thinslice-console"],
)
def test_unit_files_are_sound(repository: Path, tmp_path: Path, unit: str) -> None:
    text = (repository / "deploy" / "systemd" / f"{unit}.service").read_text(encoding="utf-8")
    copy = tmp_path / f"{unit}.service"
    copy.write_text(text.replace("/opt/thinslice/.venv/bin/thinslice", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
