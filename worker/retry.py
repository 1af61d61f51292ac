"""What happens after an error: retry is data, decided here and nowhere else."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dicom_node.errors import InputError, NodeError
from dicom_node.settings import SendSettings
from sr_engine.errors import EngineError, ImplausibleResult, InvalidVolume, OutOfMemory


class Fate(Enum):
    """Where a job or delivery goes after an error."""

    AGAIN = "again"
    HOLD = "hold"
    FAIL = "fail"
    PARK = "park"


@dataclass(frozen=True)
class Decision:
    """A fate, and for ``AGAIN`` the wait."""

    fate: Fate
    wait_s: float = 0.0


def after_restore_error(error: Exception, attempt: int, attempts: int, settings: SendSettings) -> Decision:
    """What an error makes of a job.

    The input's fault and a result that cannot be right hold it, a machine that is too small parks it, our fault fails
    it, and what may pass is tried again up to ``attempts`` times.
    """
    if isinstance(error, InputError | InvalidVolume | ImplausibleResult):
        return Decision(Fate.HOLD)
    if isinstance(error, OutOfMemory):
        return Decision(Fate.PARK)
    may_pass = isinstance(error, NodeError | EngineError) and error.retryable
    if may_pass and attempt < attempts:
        return Decision(Fate.AGAIN, backoff(attempt, settings))
    return Decision(Fate.FAIL)


def after_send_error(error: NodeError, attempt: int, settings: SendSettings) -> Decision:
    """What a PACS refuses for good, or for too long, is parked; the rest is sent again later."""
    if error.retryable and attempt < settings.attempts:
        return Decision(Fate.AGAIN, backoff(attempt, settings))
    return Decision(Fate.PARK)


def circuit_pause(settings: SendSettings) -> Callable[[int], float]:
    """Seconds to leave a PACS alone, by how often in a row its circuit has opened."""
    return lambda times: backoff(times, settings)


def backoff(attempt: int, settings: SendSettings) -> float:
    """Seconds to wait before the next try: doubling, capped, with up to a quarter of jitter so that retries spread."""
    wait = min(settings.retry_first_s * 2.0 ** min(attempt - 1, 30), settings.retry_longest_s)
    return wait * random.uniform(0.75, 1.0)  # noqa: S311
