"""The node as a process of its own, for acceptance tests, fault tests and the demo: `thinslice up` on real settings."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.errors import DestinationError
from dicom_node.ledger.database import Database
from dicom_node.records import Destination
from dicom_node.send.scu import echo
from dicom_node.settings import SendSettings
from tests.servers import HOST, Pacs, ServerError, free_port

AE_TITLE = "THINSLICE"
SCANNER_AE = "SCANNER"
READY_S = 60.0
STOP_S = 60.0


@dataclass
class Node:
    """A node on a folder of its own; it can be started, killed and started again, on the same port and ledger.

    Attributes
    ----------
    extra : dict
        More lines of settings by table, for example ``{"engine": "threads = 1"}``.
    """

    folder: Path
    pacs: Pacs | None
    port: int = field(default_factory=free_port)
    ledger_url: str = ""
    network: str = "cubic"
    extra: dict[str, str] = field(default_factory=dict)
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

    def ledger(self) -> Database:
        """The node's ledger, for reading."""
        return Database(self._url(), "tests")

    def start(self) -> None:
        """Start the node and wait until it answers a C-ECHO."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(self._settings_text(), encoding="utf-8")
        program = Path(sys.executable).with_name("thinslice")
        with self.log.open("ab") as output:
            command = [str(program), "up", "--config", str(self.settings)]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self._wait_until_ready(self.process)

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

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        node = Destination("node", AE_TITLE, HOST, self.port, storage_commitment=False)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                echo(node, SCANNER_AE, SendSettings())
            except DestinationError:
                time.sleep(0.1)
            else:
                return
        raise ServerError(f"the node did not start; see {self.log}:\n{self.log.read_text()[-2000:]}")

    def _url(self) -> str:
        return self.ledger_url or f"sqlite:///{self.folder}/ledger.sqlite"

    def _settings_text(self) -> str:
        tables = {
            "receive": f'ae_title = "{AE_TITLE}"\nhost = "{HOST}"\nport = {self.port}\nspool = "{self.spool}"',
            "series": "quiet_s = 4.0\nquiet_released_s = 1.0",
            "engine": f'network = "{self.network}"',
            "send": "retry_first_s = 1.0\ncommitment_wait_s = 5.0",
            "ledger": f'url = "{self._url()}"',
            "worker": f'results = "{self.folder}/results"\ntick_s = 0.2\nheartbeat_s = 0.5',
        }
        for name, lines in self.extra.items():
            tables[name] = "\n".join([tables.get(name, ""), lines])
        text = "\n\n".join(f"[{name}]\n{lines}" for name, lines in tables.items())
        return text + self._pacs_text()

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


@contextmanager
def running(node: Node) -> Iterator[Node]:
    """The node from start to stop."""
    node.start()
    try:
        yield node
    finally:
        node.stop()
