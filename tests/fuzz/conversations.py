"""Whole conversations with a real listener, mutated: afterwards it must answer an honest sender, and be no larger."""

import random
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.fuzz.targets import seeds
from tests.unit.dicom_node.receive.harness import ct_slice, running_process, send

HONEST_EVERY = 200
GROWTH_MB = 100
SETTLING_S = 15.0  # longer than the listener waits for an introduction
STORED = 0x0000


def converse(seconds: int, seed: int = 1) -> tuple[int, int, str]:
    """Send mutated conversations for so long.

    Returns
    -------
    tuple of int, int, str
        How many, the listener's memory in MB at the end, and what broke, or nothing.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="thinslice-fuzz-") as name, running_process(Path(name)) as (node, port):
        listener, address = psutil.Process(node.pid), ("127.0.0.1", port)
        _is_honest_served(address, 0)
        before = listener.memory_info().rss
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            _speak(address, _mutated(chance, _conversation(chance)))
            if number % HONEST_EVERY == 0 and not _is_honest_served(address, number):
                return number, 0, "an honest sender was refused"
        time.sleep(SETTLING_S)
        grown = (listener.memory_info().rss - before) / 1e6
        broke = f"memory grew by {grown:.0f} MB" if grown > GROWTH_MB else ""
        if listener.num_threads() > 20:
            broke = f"{listener.num_threads()} threads are left"
        return number, listener.memory_info().rss // 1_000_000, broke


def _conversation(chance: random.Random) -> bytes:
    request, data, abort = seeds("pdu")
    return request + b"".join(chance.choice((data, data, abort, request)) for _ in range(chance.randrange(4)))


def _mutated(chance: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut, doubled or put in, in a few places."""
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.randrange(1, 40))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at:end] = chance.randbytes(end - at)
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end]
        else:
            changed[at:at] = chance.randbytes(chance.randrange(1, 20))
    return bytes(changed)


def _speak(address: tuple[str, int], content: bytes) -> None:
    with suppress(OSError), socket.create_connection(address, timeout=2, source_address=("127.0.0.2", 0)) as peer:
        peer.sendall(content)
        peer.settimeout(0.01)
        peer.recv(4096)


def _is_honest_served(address: tuple[str, int], number: int) -> bool:
    return send(address, ct_slice(number)) == [STORED]
