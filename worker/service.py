"""The node as services: a listener, a clock with whatever bell the settings ask for, or both in one process."""

from worker.clock import Clock
from worker.console.serving import ConsoleServer
from worker.embedded import LocalBell
from worker.receiving import Receiver
from worker.settings import Settings
from worker.tasks import CeleryBell
from worker.wiring import Node, open_node, prepare


class Clockwork:
    """The clock of a node, and in the embedded wiring its workers too. Two at once do no harm.

    ``role`` is what the registry of processes calls this one.
    """

    def __init__(self, node: Node, role: str = "clock") -> None:
        self._node = node
        _ = node.models  # a network that cannot run is told now, not at the first series
        self._local = LocalBell(node) if node.settings.worker.wiring == "embedded" else None
        self._clock = Clock(node, self._local or CeleryBell(node.settings), role)

    @property
    def model_title(self) -> str:
        """Which networks restore, for people."""
        return ", ".join(dict.fromkeys(model.title for model in self._node.models.values()))

    @property
    def last_tick(self) -> float:
        """``time.monotonic()`` of the clock's last sign of life, for a watchdog."""
        return self._clock.last_tick

    def start(self) -> None:
        """Begin to work."""
        if self._local is not None:
            self._local.start()
        self._clock.start()

    def close(self) -> None:
        """Claim nothing more; what is in hand goes on."""
        if self._local is not None:
            self._local.close()

    def hurry(self) -> None:
        """Let ``stop`` wait no longer for what is in hand. Safe in a signal handler."""
        if self._local is not None:
            self._local.hurry()

    def stop(self) -> None:
        """Finish what is in hand or give it back. What was not finished is taken up at the next start."""
        if self._local is not None:
            self._local.stop()
        self._clock.stop()


class Service:
    """Listener and clockwork of one node in one process, and its console where the settings give it a port.

    Attributes
    ----------
    console : ConsoleServer or None
        The console.
    """

    def __init__(self, settings: Settings) -> None:
        prepare(settings)
        self._node = open_node(settings, "node")
        self._clockwork = Clockwork(self._node, "node")
        self._receiver = Receiver(self._node)
        self.console = None if settings.console.port is None else ConsoleServer(open_node(settings, "console"))

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Host and port that scanners send to, "plain" or "tls" or both."""
        return self._receiver.listener.addresses

    @property
    def model_title(self) -> str:
        """Which networks restore, for people."""
        return self._clockwork.model_title

    @property
    def last_tick(self) -> float:
        """``time.monotonic()`` of the clock's last sign of life, for a watchdog."""
        return self._clockwork.last_tick

    def start(self) -> None:
        """Heal what an earlier death left, listen, and begin to work. Returns when the node receives."""
        self._receiver.start()
        self._clockwork.start()
        if self.console is not None:
            self.console.start()

    def hurry(self) -> None:
        """Let ``stop`` wait no longer for what is in hand. Safe in a signal handler."""
        self._clockwork.hurry()

    def stop(self) -> None:
        """Claim nothing more, stop receiving, then working. What was not finished is taken up at the next start."""
        self._clockwork.close()
        self._receiver.stop()
        self._clockwork.stop()
        if self.console is not None:
            self.console.stop()
        self._node.database.close()
