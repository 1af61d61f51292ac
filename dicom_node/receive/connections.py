"""How many connections are open, from where, and which must give way: counted before a byte of theirs is read."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pynetdicom.association import Association

from dicom_node.receive.callers import Network, is_within

Address = tuple[str, int]  # the peer's, as the kernel gives it; of IPv6 the first two of four
FORGET_AT = 1000  # addresses whose rate is remembered


@dataclass
class _Place:
    """One open connection. ``association`` is None while it shakes hands."""

    peer: str
    connection: socket.socket
    association: Association | None = None
    since: float = field(default_factory=time.monotonic)
    gave_way: bool = False

    @property
    def is_open(self) -> bool:
        if self.gave_way or self.association is None:
            return not self.gave_way
        return self.association.ident is None or self.association.is_alive()  # about to start, or running

    @property
    def is_stranger(self) -> bool:
        """It has not been let in yet."""
        return not self.gave_way and (self.association is None or not self.association.is_established)


class Connections:
    """Open connections to one node, over all its ports.

    Where all places are taken, the stranger that came first gives way: idle connections keep nobody out.

    Parameters
    ----------
    networks : sequence of networks
        Where peers may come from; empty: from anywhere.
    at_once, per_peer : int
        Connections open at the same time, and of those from one address.
    per_second : float
        New connections from one address, averaged over two seconds.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        networks: tuple[Network, ...],
        at_once: int,
        per_peer: int,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks, self._at_once, self._per_peer = networks, at_once, per_peer
        self._rate = _Rate(per_second, clock)
        self._places: dict[Address, _Place] = {}
        self._lock = threading.Lock()

    def refusal(self, connection: socket.socket, address: Address, peer: str) -> str:
        """Why a connection is not taken; empty when it is, and counts until it ends."""
        if self._networks and not is_within(peer, self._networks):
            return "its address is in no [[receive.peers]].addresses"
        with self._lock:
            self._places = {where: place for where, place in self._places.items() if place.is_open}
            theirs = [place for place in self._places.values() if place.peer == peer]
            if not self._rate.allows(peer):
                return "it connects more often than [receive].connections_per_second_per_peer"
            if len(theirs) >= self._per_peer and not _give_way(theirs):
                return "it holds as many connections as one address may"
            if len(self._places) >= self._at_once and not _give_way(list(self._places.values())):
                return "as many connections are open as [receive].maximum_associations lets in"
            self._places[address] = _Place(peer, connection)
            return ""

    def carried_by(self, address: Address, connection: socket.socket) -> None:
        """A connection goes on by another socket, wrapped in TLS."""
        if place := self._places.get(address):  # else it gave way meanwhile
            place.connection = connection

    def serves(self, address: Address, association: Association) -> None:
        """A connection has an association, with which it ends."""
        if place := self._places.get(address):
            place.association = association

    def ended(self, address: Address) -> None:
        """A connection ended before it had an association."""
        with self._lock:
            self._places.pop(address, None)


class _Rate:
    """A bucket of two seconds' worth for each address."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second, self._clock = per_second, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, peer: str) -> bool:
        now, full = self._clock(), 2 * self._per_second
        left, at = self._buckets.get(peer, (full, now))
        left = min(full, left + (now - at) * self._per_second)
        if len(self._buckets) > FORGET_AT:
            self._buckets.clear()
        self._buckets[peer] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def _give_way(places: list[_Place]) -> bool:
    """End the oldest connection of a stranger; False where all have been let in."""
    oldest = min((place for place in places if place.is_stranger), key=lambda place: place.since, default=None)
    if oldest is None:
        return False
    oldest.gave_way = True
    with suppress(OSError):  # it may have hung up
        oldest.connection.shutdown(socket.SHUT_RDWR)
    return True
