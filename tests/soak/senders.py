"""Scanners of a soak: they push phantoms, and real series where there are any, and try again until all is taken."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread

from sr_engine.volume import Volume
from tests.faults.kit.scanner import Scanner
from tests.phantom import chest, write_dicom
from tests.soak.plan import Delivery, deliveries

PATIENT = "SECRET^PERSON"
SIZE = {"shape": (21, 64, 64), "pixel_mm": 5.4}
# Longer than any bounce, and than the node's start on a busy machine.
PATIENCE_S = 240.0
ANSWER_S = 20.0
CATCH_UP_S = 2.0


@dataclass
class Tally:
    """What all senders did."""

    series: int = 0
    acknowledged: dict[str, Path] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self) -> str:
        """All of it, in short."""
        return f"{self.series} series in, {len(self.acknowledged)} instances acknowledged"

    def details(self) -> list[str]:
        """Series that a sender could not bring in for good, if any."""
        return [f"senders gave up: {self.given_up}"] if self.given_up else []


class Sender(threading.Thread):
    """One scanner; sends the deliveries of its plan until stopped, then finishes the one in hand.

    Parameters
    ----------
    is_behind : callable
        True while so many jobs wait that more would only lengthen the queue: blows should fall on every stage.
    """

    def __init__(
        self,
        number: int,
        seed: int,
        port: int,
        folder: Path,
        tally: Tally,
        real: list[Path],
        is_behind: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"CT{number}", daemon=True)
        self._plan: Iterator[Delivery] = deliveries(seed, number)
        self._port, self._folder, self._tally = port, folder / f"CT{number}", tally
        self._real, self._is_behind = real, is_behind
        self._volume: Volume = chest(**SIZE).thick
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin no more."""
        self._stopping.set()

    def run(self) -> None:
        """Send real series first, then one phantom after another."""
        for source in self._real:
            self._send(sorted(source.glob("*.dcm")), "whole", source.name)
        for delivery in self._plan:
            if self._stopping.wait(delivery.pause_s):
                return
            while self._is_behind():
                if self._stopping.wait(CATCH_UP_S):
                    return
            self._send(self._phantom(delivery.seed), delivery.how, str(delivery.seed))

    def _phantom(self, seed: int) -> list[Path]:
        return write_dicom(self._volume, self._folder / str(seed), seed=seed, patient=PATIENT)

    def _send(self, images: list[Path], how: str, name: str) -> None:
        scanner = Scanner(self._port, self.name, answer_s=ANSWER_S)
        try:
            HOW[how](scanner, images)
        except AssertionError:  # it gave up; what was acknowledged must be kept all the same
            self._tally.given_up.append(name)
        with self._tally.lock:
            self._tally.series += 1
            self._tally.acknowledged.update(scanner.acknowledged)


def whole(scanner: Scanner, images: list[Path]) -> None:
    """All in one association."""
    scanner.push_until_stored(images, PATIENCE_S, again_s=2)


def two_associations(scanner: Scanner, images: list[Path]) -> None:
    """Half in one, half in another, at the same time."""
    other = Scanner(scanner.port, scanner.ae_title, scanner.answer_s)
    thread = threading.Thread(target=_quietly, args=(whole, other, images[1::2]), daemon=True)
    thread.start()
    _quietly(whole, scanner, images[::2])
    thread.join()
    scanner.acknowledged.update(other.acknowledged)


def twice(scanner: Scanner, images: list[Path]) -> None:
    """All, and all again."""
    whole(scanner, images)
    whole(scanner, images)


def interrupted(scanner: Scanner, images: list[Path]) -> None:
    """Some, a pause, then all."""
    whole(scanner, images[:2])
    time.sleep(1)
    whole(scanner, images)


def interleaved(scanner: Scanner, images: list[Path]) -> None:
    """In no order."""
    shuffled = list(images)
    random.Random(str(dcmread(images[0], stop_before_pixels=True).SeriesInstanceUID)).shuffle(shuffled)
    whole(scanner, shuffled)


def _quietly(send: Callable[[Scanner, list[Path]], None], scanner: Scanner, images: list[Path]) -> None:
    try:
        send(scanner, images)
    except AssertionError:
        return


HOW: dict[str, Callable[[Scanner, list[Path]], None]] = {
    "whole": whole,
    "two associations": two_associations,
    "twice": twice,
    "interrupted": interrupted,
    "interleaved": interleaved,
}
