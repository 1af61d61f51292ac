"""A TCP proxy that cuts, delays, stalls and refuses what passes through it, between a sender and the node or a PACS."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.processes import HOST

CHUNK = 4096
P_DATA = 4  # PDU type (PS3.8 9.3.5)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends a reset, as a cut line or a dying host does


@dataclass(frozen=True)
class Fault:
    """What befalls connections.

    Attributes
    ----------
    cut_after_bytes : int or None
        Reset all connections once this many bytes went to the server.
    cut_after_answers : int or None
        Reset them once this many P-DATA PDUs came back, the last of them withheld: the server has it, the sender is
        not told.
    half_close : bool
        Instead of a reset, close the way to the server alone.
    delay_s : float
        Hold every piece for so long.
    stalled : bool
        Pass nothing more, and keep the connections open.
    refused : bool
        Reset every new connection.
    """

    cut_after_bytes: int | None = None
    cut_after_answers: int | None = None
    half_close: bool = False
    delay_s: float = 0.0
    stalled: bool = False
    refused: bool = False


FAIR = Fault()


@dataclass
class _Answers:
    """Counts the P-DATA PDUs in a stream of bytes."""

    rest: bytes = b""
    count: int = 0

    def add(self, piece: bytes) -> int:
        """How many ended in this piece, in all."""
        self.rest += piece
        while len(self.rest) >= 6:
            end = 6 + int.from_bytes(self.rest[2:6], "big")
            if len(self.rest) < end:
                break
            self.count += self.rest[0] == P_DATA
            self.rest = self.rest[end:]
        return self.count


@dataclass
class Proxy:
    """Listens on ``port`` and passes everything to the server's port, as far as its fault allows."""

    server_port: int
    port: int = 0
    fault: Fault = FAIR
    cuts: int = 0
    _links: list[socket.socket] = field(default_factory=list)
    _sent: int = 0
    _answered: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def set(self, fault: Fault) -> None:
        """Let this happen from now on; bytes and answers are counted anew."""
        with self._lock:
            self.fault, self._sent, self._answered = fault, 0, 0

    def heal(self) -> None:
        """Behave from now on."""
        self.set(FAIR)

    def cut(self) -> None:
        """Reset every connection now."""
        with self._lock:
            links, self._links = self._links, []
            self.cuts += bool(links)
        for link in links:
            _reset(link)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until stopped."""
        while not self._stopping.is_set():
            with suppress(TimeoutError, OSError):
                client, _ = listener.accept()
                self._connect(client)

    def stop(self) -> None:
        """Cut everything and stop."""
        self._stopping.set()
        self.cut()

    def _connect(self, client: socket.socket) -> None:
        if self.fault.refused:
            _reset(client)
            return
        try:
            server = socket.create_connection((HOST, self.server_port), timeout=5)
        except OSError:
            _reset(client)
            return
        for link in (client, server):
            link.settimeout(None)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._links += [client, server]
        for source, sink, is_up in ((client, server, True), (server, client, False)):
            threading.Thread(target=self._pump, args=(source, sink, is_up), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        answers = _Answers()
        with suppress(OSError):
            while piece := source.recv(CHUNK):
                before = answers.count
                self._wait()
                if not self._passes(sink, piece, is_up, answers.add(piece) - before):
                    return
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        time.sleep(self.fault.delay_s)
        while self.fault.stalled and not self._stopping.is_set():
            time.sleep(0.05)

    def _passes(self, sink: socket.socket, piece: bytes, is_up: bool, answers: int) -> bool:
        with self._lock:
            fault = self.fault
            if is_up:
                self._sent += len(piece)
                due = fault.cut_after_bytes is not None and self._sent > fault.cut_after_bytes
            else:
                self._answered += answers
                due = fault.cut_after_answers is not None and self._answered >= fault.cut_after_answers
            if not due:
                return True
            self.set(Fault(refused=fault.refused, delay_s=fault.delay_s))
        if fault.half_close:
            self.cuts += 1
            sink.shutdown(socket.SHUT_WR)
        else:
            self.cut()
        return False


@contextmanager
def proxy(server_port: int) -> Iterator[Proxy]:
    """A proxy before a server on this machine."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.2)
        between = Proxy(server_port, listener.getsockname()[1])
        thread = threading.Thread(target=between.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield between
        finally:
            between.stop()
            thread.join()


def _reset(link: socket.socket) -> None:
    with suppress(OSError):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        link.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    with suppress(OSError):
        link.close()
