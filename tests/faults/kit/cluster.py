"""The production wiring as processes that a test may kill one by one: listeners, clocks and workers."""

import signal
import subprocess
from dataclasses import dataclass, field

import psutil

from tests.nodes import Node, PacsAddress
from tests.waiting import until

PART_STOP_S = 120.0
BOTH_QUEUES = "restore,deliver"


@dataclass
class Cluster(Node):
    """A node on PostgreSQL and Redis: ``start`` runs listener and clock in one process, other parts run beside it.

    Attributes
    ----------
    broker_url : str
        The Redis.
    parts : dict
        Processes beside the node's own by name; what stands before the dash is the command.
    wrapped : set of str
        Those of them that another program (``faketime``) runs.
    """

    broker_url: str = ""
    parts: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    wrapped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        lines = f'wiring = "celery"\nbroker_url = "{self.broker_url}"'
        self.extra = {**self.extra, "worker": "\n".join([lines, self.extra.get("worker", "")])}

    def start_part(self, name: str, *prefix: str) -> int:
        """Start ``listen-1``, ``clock-1``, ``worker-1``, ..., by ``prefix`` where one is given; its process id."""
        self.write_settings()
        command = name.partition("-")[0]
        options = ("--queues", BOTH_QUEUES) if command == "worker" else ()
        if prefix:
            self.wrapped.add(name)
        self.parts[name] = self.run(command, *options, log=self.folder / f"{name}.log", prefix=prefix)
        return self.parts[name].pid

    def wait_for_worker(self, name: str) -> None:
        """Wait until a worker listens."""
        log = self.folder / f"{name}.log"
        until(f"{name} listens", lambda: "listens to the broker" in log.read_text(errors="replace"))

    def end_part(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a part and give its exit code."""
        part = self.parts.pop(name)
        # A wrapper would end alone.
        program = psutil.Process(part.pid).children()[0] if name in self.wrapped else part
        program.send_signal(signal.SIGCONT)  # a frozen one hears nothing
        program.send_signal(how)
        return part.wait(PART_STOP_S)

    def kill_part(self, name: str) -> None:
        """End a part as a power cut would."""
        self.end_part(name, signal.SIGKILL)

    def kill_all(self) -> None:
        """End every process."""
        for name in list(self.parts):
            self.kill_part(name)
        self.kill()


@dataclass(frozen=True)
class PacsAt:
    """A PACS under another port, for example a proxy's."""

    name: str
    ae_title: str
    host: str
    port: int
    node_port: int


def through(port: int, pacs: PacsAddress) -> PacsAt:
    """The same PACS, reached through ``port``."""
    return PacsAt(pacs.name, pacs.ae_title, pacs.host, port, pacs.node_port)
