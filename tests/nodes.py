"""The node as a process of its own, for acceptance tests, fault tests and the demo: `thinslice up` on real settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError
from dicom_node.ledger.database import Database
from dicom_node.send.scu import echo
from dicom_node.settings import SendSettings
from tests.servers import HOST, ServerError, free_port

AE_TITLE = "THINSLICE"
SCANNER_AE = "SCANNER"
# Generous: machines that run tests are busy.
READY_S = 240.0
STOP_S = 120.0


class PacsAddress(Protocol):
    """What a node is told of a PACS; ``node_port`` is 0 where the PACS could not report a commitment."""

    name: str
    ae_title: str
    host: str
    port: int
    node_port: int


@dataclass
class Node:
    """A node on a folder of its own; it can be started, killed and started again, on the same port and ledger.

    Attributes
    ----------
    extra : dict
        More lines of settings by table, for example ``{"engine": "threads = 1"}``.
    environment : dict
        More environment for its processes.
    blocks : str
        More tables, for example of ``[[rules]]``.
    """

    folder: Path
    pacs: PacsAddress | None
    port: int = field(default_factory=free_port)
    ledger_url: str = ""
    network: str = "cubic"
    extra: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    blocks: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.folder / "settings.toml"

    @property
    def log(self) -> Path:
        """What the node says."""
        return self.folder / "node.log"

    @property
    def spool(self) -> Path:
        """Where received images are kept."""
        return self.folder / "spool"

    def said(self) -> str:
        """The end of what its processes logged."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in logs)

    def ledger(self) -> Database:
        """The node's ledger, for reading."""
        return Database(self._url(), "tests")

    def start(self) -> None:
        """Start the node and wait until it answers a C-ECHO."""
        self.write_settings()
        self.process = self.run("up", log=self.log)
        self.wait_until_ready(self.process)

    def write_settings(self) -> None:
        """Make the folder and the settings file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(self._settings_text(), encoding="utf-8")

    def run(self, *arguments: str, log: Path, prefix: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start a command of the node's, by another program (``faketime``) where ``prefix`` names one."""
        program = Path(sys.executable).with_name("thinslice")
        command = [*prefix, str(program), *arguments, "--config", str(self.settings)]
        with log.open("ab") as output:
            environment = os.environ | self.environment
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)

    def stop(self) -> int:
        """End the node in order (SIGTERM) and give its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(timeout=STOP_S)
        self.process = None
        return code

    def wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until something answers a C-ECHO at the node's port; ServerError when ``process`` ends before."""
        node = Destination("node", AE_TITLE, HOST, self.port, storage_commitment=False)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                echo(node, SCANNER_AE, SendSettings())
            except DestinationError:
                time.sleep(0.1)
            else:
                return
        raise ServerError(f"the node did not start; see {self.folder}:\n{self.said()}")

    def _url(self) -> str:
        return self.ledger_url or f"sqlite:///{self.folder}/ledger.sqlite"

    def _settings_text(self) -> str:
        tables = {
            "receive": f'ae_title = "{AE_TITLE}"\nhost = "{HOST}"\nport = {self.port}\nspool = "{self.spool}"',
            "series": "quiet_s = 4.0\nquiet_released_s = 1.0",
            "engine": f'network = "{self.network}"',
            "send": "retry_first_s = 1.0\ncommitment_wait_s = 5.0",
            "ledger": f'url = "{self._url()}"',
            "worker": f'results = "{self.folder}/results"\ntick_s = 0.2\nheartbeat_s = 0.5\n'
            "hold_unfamiliar = false",  # phantoms have pixels of several mm
        }
        for name, lines in self.extra.items():
            tables[name] = _overridden(tables.get(name, ""), lines)
        text = "\n\n".join(f"[{name}]\n{lines}" for name, lines in tables.items())
        return text + self._pacs_text() + self.blocks

    def _pacs_text(self) -> str:
        if self.pacs is None:
            return "\n"
        commitment = str(self.pacs.node_port > 0).lower()
        return f"""

[[send.pacs]]
name = "{self.pacs.name}"
ae_title = "{self.pacs.ae_title}"
host = "{self.pacs.host}"
port = {self.pacs.port}
storage_commitment = {commitment}
"""


def _overridden(lines: str, others: str) -> str:
    """Lines of a settings table; where both have a key, the other's counts."""
    by_key = {line.partition("=")[0].strip(): line for line in [*lines.splitlines(), *others.splitlines()]}
    return "\n".join(by_key.values())


@contextmanager
def running(node: Node) -> Iterator[Node]:
    """The node from start to stop."""
    node.start()
    try:
        yield node
    finally:
        node.stop()
