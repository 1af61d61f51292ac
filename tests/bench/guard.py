"""What honest senders keep of their speed while strangers stall, flood and lie: ``make bench-guard``.

Side by side in one run: the same series alone and beside each attack, from another address; prints a table and writes
tests/bench/results/guard.json. ``python -m tests.bench.guard attack KIND PORT`` is one attacker, in its own process.
"""

import argparse
import json
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.unit.dicom_node.receive.harness import ROOT, ct_slice, running_process, send

RESULTS = Path(__file__).with_name("results") / "guard.json"
SLICES, ROWS = 100, 512
STRANGER = ("127.0.0.2", 0)
BETWEEN_S = 0.01  # an attacker's pause: it is to attack the node, not the processor that both run on
STORED = 0x0000


@dataclass(frozen=True)
class Row:
    """One line: slices per second beside an attack, and as a ratio of those just before it."""

    attack: str
    slices_per_s: float
    ratio: float
    memory_mb: float
    threads: int


def main() -> None:
    """Measure, print, write; or attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("attack", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        ATTACKS[options.attack[1]](("127.0.0.1", int(options.attack[2])))
        return
    rows = [_measured(name, options.times) for name in ATTACKS]
    _say(f"{'beside':<34} {'slices/s':>9} {'of alone':>9} {'memory':>9} {'threads':>8}")
    for row in rows:
        _say(f"{row.attack:<34} {row.slices_per_s:9.1f} {row.ratio:9.2f} {row.memory_mb:6.0f} MB {row.threads:8}")
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def _measured(attack: str, times: int) -> Row:
    """Alone and attacked in turn, so that a machine that gets slower slows both."""
    ratios, speeds = [], []
    with tempfile.TemporaryDirectory(prefix="thinslice-guard-") as name, running_process(Path(name)) as (node, port):
        listener = psutil.Process(node.pid)
        before = listener.memory_info().rss
        _speed(port, "warm")
        for turn in range(times):
            alone = _speed(port, f"{turn}-alone")
            with _attacker(attack, port):
                speeds.append(_speed(port, f"{turn}-{attack}"))
                threads = listener.num_threads()
            ratios.append(speeds[-1] / alone)
        grown = (listener.memory_info().rss - before) / 1e6
    return Row(attack, statistics.median(speeds), statistics.median(ratios), grown, threads)


def _speed(port: int, series: str) -> float:
    """Slices per second of one association."""
    slices = [ct_slice(number, series=series, rows=ROWS) for number in range(SLICES)]
    began = time.monotonic()
    if set(send(("127.0.0.1", port), *slices)) != {STORED}:
        raise SystemExit("an honest sender was refused")
    return SLICES / (time.monotonic() - began)


@contextmanager
def _attacker(kind: str, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.guard", "attack", kind, str(port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        time.sleep(2)
        yield
        process.kill()


def _again(act: Callable[[socket.socket], object], address: tuple[str, int], held: int) -> None:
    """Connect and act for ever; ``held`` connections stay open."""
    with ExitStack() as open_ones:
        for number in range(10**9):
            if number % held == 0:
                open_ones.close()
            with suppress(OSError):
                act(open_ones.enter_context(socket.create_connection(address, timeout=1, source_address=STRANGER)))
            time.sleep(BETWEEN_S)


def _header(pdu_type: int, length: int) -> bytes:
    return struct.pack(">BBL", pdu_type, 0, length)


ATTACKS: dict[str, Callable[[tuple[str, int]], None]] = {
    "200 idle connections": lambda address: _again(lambda each: each, address, 200),
    "half headers": lambda address: _again(lambda each: each.sendall(b"\1\0\0"), address, 200),
    "4 GiB claimed, 64 KiB sent": lambda address: _again(
        lambda each: each.sendall(_header(1, 0xFFFFFFFF) + bytes(65536)), address, 10
    ),
    "junk": lambda address: _again(lambda each: each.sendall(bytes(range(256)) * 16), address, 10),
    "broken association requests": lambda address: _again(
        lambda each: each.sendall(_header(1, 200) + bytes(range(200))), address, 10
    ),
}


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 this program's output


if __name__ == "__main__":
    main()
