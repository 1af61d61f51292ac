"""A scanner's storage commitment request is kept, decided, and reported once, whatever dies or comes late."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_node.commitment import CommitmentRequest, CommitmentVerdict, Reference
from dicom_node.errors import RequestRefused, StaleFence
from dicom_node.ledger import commitment_requests, commitment_verdicts, jobs, purging, queries, receipts, switches
from dicom_node.ledger.commitment_requests import RequestClaim
from dicom_node.ledger.commitment_verdicts import Kept
from dicom_node.ledger.database import Database
from dicom_node.ledger.queries import CommitmentRequestView
from dicom_node.ledger.states import CommitmentState, JobState
from tests.unit.dicom_node.ledger.rows import (
    EVERYBODY_IS_GONE,
    NOBODY_IS_GONE,
    arrive,
    new_job,
    received,
)

OWNER = "host/boot/9/1"
ANY_AGE = -1.0
UNKNOWN = 0x0112


def reference(number: int) -> Reference:
    item = received(number)
    return Reference(item.sop_class_uid, item.sop_instance_uid)


def request(*numbers: int, transaction: str = "2.25.50", calling_ae: str = "CT1") -> CommitmentRequest:
    return CommitmentRequest(transaction, calling_ae, tuple(reference(number) for number in numbers or range(4)))


def claimed(database: Database, request_id: int = 1, lease_s: float = 60) -> RequestClaim:
    claim = commitment_requests.claim(database, request_id, OWNER, lease_s)
    assert claim is not None
    return claim


def decide_all(database: Database, claim: RequestClaim) -> None:
    found = commitment_verdicts.undecided(database, claim)
    verdicts = [CommitmentVerdict(item, UNKNOWN if kept is None else 0) for item, kept in found.items()]
    commitment_verdicts.decide(database, claim, verdicts)


def view(database: Database) -> CommitmentRequestView:
    (found,) = queries.commitment_requests(database)
    return found


def skipped(database: Database) -> int:
    """A series that retention may take."""
    series = arrive(database)
    jobs.complete(database, series, 4, 1, [new_job(database, series, JobState.SKIPPED)])
    return series


def test_it_waits_for_its_instances_and_is_due_when_the_last_is_there(database: Database) -> None:
    commitment_requests.enter(database, request(), wait_s=3600)
    assert commitment_requests.due(database) == []
    receipts.record(database, [received(number) for number in range(3)], quiet_s=0)
    assert commitment_requests.due(database) == []
    assert commitment_requests.claim(database, 1, OWNER, 60) is None
    receipts.record(database, [received(3)], quiet_s=0)
    assert commitment_requests.due(database) == [1]
    claimed(database)
    assert commitment_requests.due(database) == []


def test_once_their_time_is_over_it_is_due_without_them(database: Database) -> None:
    arrive(database, 2)
    commitment_requests.enter(database, request(), wait_s=0)
    claim = claimed(database)
    found = commitment_verdicts.undecided(database, claim)
    path = str(received(0).path)
    assert found == {
        reference(0): Kept(received(0).sop_class_uid, path, contradicted=False),
        reference(1): Kept(received(1).sop_class_uid, str(received(1).path), contradicted=False),
        reference(2): None,
        reference(3): None,
    }
    decide_all(database, claim)
    assert {item.reference: item.failure for item in commitment_verdicts.decided(database, claim)} == {
        reference(0): 0, reference(1): 0, reference(2): UNKNOWN, reference(3): UNKNOWN,
    }  # fmt: skip
    commitment_requests.reported(database, claim)
    told = view(database)
    assert (told.state, told.committed, told.failed, told.total) == ("reported", 2, 2, 4)
    events = [row.event for row in queries.audit_of(database, ["commitment:1"])]
    assert events == ["commitment.asked", "commitment.reporting", "commitment.decided", "commitment.reported"]


def test_two_contents_under_one_uid_are_not_committed_to(database: Database) -> None:
    arrive(database)
    receipts.record(database, [received(1, digest="b")], quiet_s=0)
    commitment_requests.enter(database, request(), wait_s=0)
    found = commitment_verdicts.undecided(database, claimed(database))
    assert [kept.contradicted for kept in found.values() if kept] == [False, True, False, False]


def test_what_retention_decided_on_is_not_here_any_more(database: Database) -> None:
    purging.purge_series(database, skipped(database), "old")
    commitment_requests.enter(database, request(), wait_s=0)
    assert set(commitment_verdicts.undecided(database, claimed(database)).values()) == {None}


def test_the_same_request_again_is_one_request(database: Database) -> None:
    arrive(database)
    assert commitment_requests.enter(database, request(), 60) == commitment_requests.enter(database, request(), 60) == 1
    claim = claimed(database)
    commitment_requests.enter(database, request(), 60)
    decide_all(database, claim)
    commitment_requests.reported(database, claim)
    assert view(database).state == CommitmentState.REPORTED


def test_a_scanner_that_asks_again_after_the_report_is_told_again_what_holds_now(database: Database) -> None:
    arrive(database, 3)
    commitment_requests.enter(database, request(), wait_s=0)
    claim = claimed(database)
    decide_all(database, claim)
    commitment_requests.reported(database, claim)
    receipts.record(database, [received(3)], quiet_s=0)
    commitment_requests.enter(database, request(), wait_s=0)
    again = claimed(database)
    decide_all(database, again)
    assert {item.failure for item in commitment_verdicts.decided(database, again)} == {0}
    assert again.attempt == 1


def test_one_transaction_for_other_instances_is_refused_and_changes_nothing(database: Database) -> None:
    commitment_requests.enter(database, request(0, 1), wait_s=60)
    with pytest.raises(RequestRefused, match="Transaction UID was used for other instances") as caught:
        commitment_requests.enter(database, request(0, 2), wait_s=60)
    assert caught.value.status == 0x0115
    assert view(database).total == 2


def test_two_scanners_may_use_the_same_transaction_uid(database: Database) -> None:
    assert commitment_requests.enter(database, request(), wait_s=0) == 1
    assert commitment_requests.enter(database, request(0, calling_ae="CT2"), wait_s=0) == 2


def test_a_claim_that_was_lost_may_not_finish_and_the_next_one_does(database: Database) -> None:
    arrive(database)
    commitment_requests.enter(database, request(), wait_s=0)
    late = claimed(database)
    assert commitment_requests.expire(database, NOBODY_IS_GONE, 3) == 0
    assert commitment_requests.expire(database, EVERYBODY_IS_GONE, 3) == 1
    claim = claimed(database)
    acts: list[Callable[[], object]] = [
        lambda: commitment_requests.beat(database, late, 60),
        lambda: decide_all(database, late),
        lambda: commitment_requests.reported(database, late),
        lambda: commitment_requests.postpone(database, late, "away", 0),
        lambda: commitment_requests.park(database, late, "away"),
    ]
    for act in acts:
        with pytest.raises(StaleFence):
            act()
    decide_all(database, claim)
    commitment_requests.reported(database, claim)


def test_a_lease_that_ends_is_taken_back(database: Database) -> None:
    arrive(database)
    commitment_requests.enter(database, request(), wait_s=0)
    claim = claimed(database, lease_s=-1)
    commitment_requests.beat(database, claim, 60)
    assert commitment_requests.expire(database, NOBODY_IS_GONE, 3) == 0
    commitment_requests.beat(database, claim, -1)
    assert commitment_requests.expire(database, NOBODY_IS_GONE, 3) == 1


def test_one_that_kills_its_processes_is_parked_and_a_person_may_retry_it(database: Database) -> None:
    arrive(database)
    commitment_requests.enter(database, request(), wait_s=0)
    for _ in range(2):
        claimed(database)
        commitment_requests.expire(database, EVERYBODY_IS_GONE, 2)
    assert (view(database).state, view(database).reason) == ("parked", "the process died 2 times on this report")
    assert commitment_requests.due(database) == []
    assert commitment_requests.retry(database, 1, "mended")
    assert not commitment_requests.retry(database, 1, "mended")
    assert not commitment_requests.retry(database, 99, "there is none")
    assert claimed(database).attempt == 1


def test_what_could_not_be_told_waits_keeps_its_verdicts_and_says_why(database: Database) -> None:
    arrive(database)
    commitment_requests.enter(database, request(), wait_s=0)
    claim = claimed(database)
    decide_all(database, claim)
    commitment_requests.postpone(database, claim, "scanner CT1 cannot be reached", 3600)
    assert commitment_requests.due(database) == []
    assert view(database).reason == "scanner CT1 cannot be reached"
    commitment_requests.enter(database, request(), wait_s=0)
    assert commitment_requests.due(database) == []  # asking again does not hurry it


def test_nothing_is_reported_while_the_node_is_paused(database: Database) -> None:
    arrive(database)
    commitment_requests.enter(database, request(), wait_s=0)
    switches.pause(database, "maintenance")
    assert commitment_requests.due(database) == []
    assert commitment_requests.claim(database, 1, OWNER, 60) is None


def test_retention_leaves_what_a_scanner_waits_to_hear_about(database: Database) -> None:
    series = skipped(database)
    assert purging.series_due(database, ANY_AGE) == [series]
    commitment_requests.enter(database, request(0), wait_s=0)
    assert purging.series_due(database, ANY_AGE) == []
    assert not purging.purge_series(database, series, "old")
    claim = claimed(database)
    assert not purging.purge_series(database, series, "old")
    decide_all(database, claim)
    commitment_requests.reported(database, claim)
    assert purging.series_due(database, ANY_AGE) == [series]


def test_what_was_committed_to_goes_in_its_time_and_never_early(database: Database) -> None:
    series = skipped(database)
    commitment_requests.enter(database, request(0), wait_s=0)
    claim = claimed(database)
    decide_all(database, claim)
    commitment_requests.reported(database, claim)
    assert purging.series_due(database, ANY_AGE, early=True) == []
    assert not purging.purge_series(database, series, "the disk is filling up", early=True)
    assert purging.purge_series(database, series, "old")


def test_a_person_may_purge_what_was_committed_to(database: Database) -> None:
    series = skipped(database)
    commitment_requests.enter(database, request(0), wait_s=3600)
    assert purging.purge_series(database, series, "wrong patient", by_person=True)


def test_files_and_paths_are_no_part_of_a_request(database: Database) -> None:
    """Where a file is now is read when it is decided: a spool may move."""
    arrive(database)
    commitment_requests.enter(database, request(0), wait_s=0)
    moved = received(0)
    receipts.record(database, [type(moved)(**{**vars(moved), "path": Path("/elsewhere/0")})], quiet_s=0)
    (kept,) = commitment_verdicts.undecided(database, claimed(database)).values()
    assert kept is not None
    assert kept.path == "/elsewhere/0"
