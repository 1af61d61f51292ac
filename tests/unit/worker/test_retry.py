"""Whose fault an error is decides what happens next."""

import pytest

from dicom_node.errors import ConformanceError, DestinationError, DestinationRefused, StorageError, UnreadableInstance
from dicom_node.settings import SendSettings
from sr_engine.errors import ImplausibleResult, InvalidVolume, OutOfMemory, UnknownNetwork, WeightsUnavailable
from worker.retry import Fate, after_restore_error, after_send_error, backoff

SETTINGS = SendSettings()


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (UnreadableInstance("cut"), Fate.HOLD),
        (InvalidVolume("empty"), Fate.HOLD),
        (StorageError("full"), Fate.AGAIN),
        (WeightsUnavailable("none"), Fate.AGAIN),
        (OutOfMemory("small"), Fate.PARK),
        (ImplausibleResult("NaN"), Fate.HOLD),
        (UnknownNetwork("typo"), Fate.FAIL),
        (ConformanceError("ours"), Fate.FAIL),
        (ZeroDivisionError(), Fate.FAIL),
    ],
)
def test_a_restoration_that_raised(error: Exception, fate: Fate) -> None:
    assert after_restore_error(error, attempt=1, attempts=5, settings=SETTINGS).fate is fate


def test_what_may_pass_is_not_tried_for_ever() -> None:
    assert after_restore_error(StorageError("full"), attempt=5, attempts=5, settings=SETTINGS).fate is Fate.FAIL
    assert after_send_error(DestinationError("away"), SETTINGS.attempts, SETTINGS).fate is Fate.PARK


def test_a_pacs_that_refuses_for_good_is_not_asked_again() -> None:
    assert after_send_error(DestinationRefused("AE title"), 1, SETTINGS).fate is Fate.PARK
    assert after_send_error(DestinationError("away"), 1, SETTINGS).fate is Fate.AGAIN


def test_waits_grow_to_a_limit_and_spread() -> None:
    waits = [backoff(attempt, SETTINGS) for attempt in (1, 2, 3, 50)]
    for wait, full in zip(waits, (30, 60, 120, SETTINGS.retry_longest_s), strict=True):
        assert 0.75 * full <= wait <= full
    assert len({backoff(1, SETTINGS) for _ in range(10)}) > 1
