"""A PACS that does not answer is left alone, then tried by one delivery at a time."""

from collections.abc import Callable

import pytest

from dicom_node.ledger import circuits, deliveries, jobs, queries
from dicom_node.ledger.database import Database
from dicom_node.ledger.deliveries import DeliveryClaim
from tests.unit.dicom_node.ledger.rows import AGAIN_S, claimed, queue, result

OWNER = "host/boot/9/1"
AWAY = "PACS main cannot be reached"
SOON, LATER = (lambda _times: -1.0), (lambda _times: 3600.0)


@pytest.fixture
def waiting(database: Database) -> list[int]:
    """Deliveries of three jobs to one PACS."""
    for number in range(3):
        job_id = queue(database, "abc"[number], f"2.25.{number}")
        jobs.restored(database, claimed(database, job_id), result(), {}, ["main"])
    return [1, 2, 3]


def take(database: Database, delivery_id: int) -> DeliveryClaim | None:
    return deliveries.claim(database, delivery_id, OWNER, 60)


def fail(database: Database, times: int = 3, open_s: Callable[[int], float] = LATER) -> bool:
    return [circuits.failed(database, "main", AWAY, 3, open_s) for _ in range(times)][-1]


def reason_of(database: Database, job_id: int) -> str:
    view = queries.job_by_id(database, job_id)
    assert view is not None
    return view.reason


def test_it_opens_after_failures_in_a_row_and_then_nothing_is_claimed(database: Database, waiting: list[int]) -> None:
    assert not fail(database, 2)
    circuits.worked(database, "main")
    assert not fail(database, 2)
    assert circuits.opened(database) == []
    assert fail(database, 1)
    assert [item.reason for item in circuits.opened(database)] == [AWAY]
    assert [take(database, number) for number in waiting] == [None, None, None]
    assert deliveries.due_deliveries(database, AGAIN_S) == []


def test_waiting_behind_it_costs_no_attempt_and_says_why(database: Database, waiting: list[int]) -> None:
    fail(database)
    assert circuits.hold_back(database) == 3
    assert circuits.hold_back(database) == 0
    assert AWAY in reason_of(database, 1)
    circuits.worked(database, "main")
    claim = take(database, waiting[0])
    assert claim is not None
    assert claim.attempt == 1


def test_one_delivery_alone_tries_whether_the_pacs_is_back(database: Database, waiting: list[int]) -> None:
    fail(database, open_s=SOON)
    assert take(database, waiting[0]) is not None
    assert [take(database, number) for number in waiting[1:]] == [None, None]


def test_the_probe_that_fails_keeps_the_others_waiting(database: Database, waiting: list[int]) -> None:
    fail(database, open_s=SOON)
    probe = take(database, waiting[0])
    assert probe is not None
    assert circuits.failed(database, "main", AWAY, 3, LATER)
    deliveries.postpone(database, probe, AWAY, 0)
    assert [take(database, number) for number in waiting] == [None, None, None]


def test_the_probe_that_works_lets_the_others_go_at_once(database: Database, waiting: list[int]) -> None:
    fail(database, open_s=SOON)
    assert take(database, waiting[0]) is not None
    circuits.hold_back(database)
    assert circuits.worked(database, "main")
    assert not circuits.worked(database, "main")
    assert {due.id for due in deliveries.due_deliveries(database, AGAIN_S)} == {2, 3}
    assert all(take(database, number) for number in waiting[1:])


def test_the_pause_grows_with_every_failure(database: Database) -> None:
    asked: list[int] = []

    def wait(times: int) -> float:
        asked.append(times)
        return 1.0

    fail(database, 5, wait)
    assert asked == [1, 2, 3]


def test_another_pacs_is_not_concerned(database: Database) -> None:
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main", "other"])
    fail(database)
    assert [take(database, number) is None for number in (1, 2)] == [True, False]


def test_opening_and_closing_are_in_the_audit_trail(database: Database) -> None:
    fail(database)
    circuits.worked(database, "main")
    assert [row.event for row in queries.audit_of(database, ["pacs:main"])] == ["circuit.opened", "circuit.closed"]
