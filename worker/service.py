"""The node as a service: a listener, a clock, and whatever bell the settings ask for."""

from worker.clock import Clock
from worker.embedded import LocalBell
from worker.receiving import Receiver
from worker.settings import Settings
from worker.tasks import CeleryBell
from worker.wiring import open_node, prepare


class Service:
    """Listener and clock of one node, and in the embedded wiring its workers too."""

    def __init__(self, settings: Settings) -> None:
        prepare(settings)
        self._node = open_node(settings, "node")
        _ = self._node.model  # a network that cannot run is told now, not at the first series
        self._local = LocalBell(settings, self._node) if settings.worker.wiring == "embedded" else None
        self._receiver = Receiver(self._node)
        self._clock = Clock(self._node, self._local or CeleryBell(settings))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that scanners send to."""
        return self._receiver.listener.address

    @property
    def model_title(self) -> str:
        """Which network restores, for people."""
        return self._node.model.title

    def start(self) -> None:
        """Heal what an earlier death left, listen, and begin to work. Returns when the node receives."""
        self._receiver.start()
        self._clock.start()

    def stop(self) -> None:
        """Stop receiving, then working. What was not finished is taken up at the next start."""
        self._receiver.stop()
        self._clock.stop()
        if self._local is not None:
            self._local.stop()
        self._node.database.close()
