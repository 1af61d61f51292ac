"""A result made once more takes the place of the old one; sent once more, it is answered for anew. One person wins."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select, update

from dicom_node.ledger import acts, again, chain, deliveries, entries, jobs, models, purging, queries, receipts
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.entries import NewJob
from dicom_node.ledger.models import ModelChoice
from dicom_node.ledger.states import JobState
from dicom_node.ledger.tables import job
from dicom_node.plans import Plan
from dicom_node.records import InstanceOutcome
from tests.unit.dicom_node.ledger.rows import arrive, claimed, new_job, queue, received, result
from tests.unit.dicom_node.ledger.test_acts import OWNER, restored, state_of

UIDS = [item.sop_instance_uid for item in result().instances]


def verified(database: Database, key: str = "k", series: str = "2.25.1") -> int:
    """A job whose one PACS has confirmed everything."""
    job_id = restored(database, key, series)
    confirm(database, queries.deliveries_of(database, job_id)[0].id)
    return job_id


def confirm(database: Database, delivery_id: int) -> None:
    claim = deliveries.claim(database, delivery_id, OWNER, 60)
    assert claim
    deliveries.answered(database, claim, [InstanceOutcome(uid, 0) for uid in sorted(claim.unsent)])
    deliveries.sent(database, claim, None, 0)
    asking = deliveries.claim(database, delivery_id, OWNER, 60)
    assert asking
    deliveries.verified(database, asking, "C-FIND")


def other(database: Database, job_id: int, key: str = "o") -> NewJob:
    """The job of the same images with another network."""
    ids = tuple(number for number, _, _ in again.sources_of(database, job_id))
    plan = Plan("linear", again=again.times_made(database, 1, ""))
    return NewJob(key * 64, "", JobState.QUEUED, "", ids, "linear", "e" * 64, plan=plan)


def states(database: Database) -> list[str]:
    return [item.state for item in queries.jobs_of(database, 1)]


def whole(database: Database) -> bool:
    with database.reading() as connection:
        return chain.first_bad_row(connection) is None


def test_another_network_takes_the_place_and_is_what_the_pacs_is_told_to_replace(database: Database) -> None:
    first = verified(database)
    assert again.restore_again(database, first, other(database, first), "too blurred") == ""
    assert states(database) == ["superseded", "queued"]
    assert [item.job_key for item in queries.replaced_by(database, 2)] == ["k" * 64]
    (row,) = [row for row in queries.audit_of(database, ["job:1"]) if row.event == "job.again"]
    assert "too blurred" in row.detail
    assert again.chosen_plans(database, 1) == {"": Plan("linear", again=1)}
    assert whole(database)


def test_of_two_people_at_once_one_wins_and_the_other_is_told(database: Database) -> None:
    first = verified(database)
    new = other(database, first)
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda _: again.restore_again(database, first, new, "why"), range(2)))
    assert sorted(said) == ["", "job 1 is superseded now"]
    assert states(database) == ["superseded", "queued"]
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda _: acts.cancel(database, 2, "no"), range(2)))
    assert sorted(done) == [False, True]
    assert whole(database)


def test_nothing_is_made_of_images_that_still_come_or_are_gone(database: Database) -> None:
    first = verified(database)
    new = other(database, first)
    receipts.reopen(database, 1, "why")
    assert "still arrive" in again.restore_again(database, first, new, "why")
    jobs.complete(database, 1, 4, 1, [new_job(database, 1)])
    assert purging.purge_series(database, 1, "old", by_person=True)
    assert "have the series sent again" in again.restore_again(database, first, new, "why")
    assert states(database) == ["verified"]


def test_a_held_stack_cannot_be_made_again_but_a_doubted_result_can(database: Database) -> None:
    series = arrive(database)
    jobs.complete(database, series, 4, 1, [new_job(database, series, JobState.HELD, reason="a gap")])
    assert again.restore_again(database, 1, other(database, 1), "why") == "job 1 is held now"
    doubted = queue(database, "d", "2.25.2")
    jobs.restored(database, claimed(database, doubted), result(), {}, ["main"], "a stripe")
    assert again.restore_again(database, doubted, other(database, doubted, "p"), "why") == ""


def test_a_job_that_a_person_chose_does_not_follow_the_node_to_its_own_model(database: Database) -> None:
    first = verified(database)
    again.restore_again(database, first, other(database, first), "why")
    rule = {"": ModelChoice("cubic", "d" * 64, "config", Plan())}
    linear = ModelChoice("linear", "e" * 64, "config", Plan("linear", again=1))
    assert models.adopt(database, rule, 0, lambda _plan: linear) == 0
    lost = ModelChoice("cubic", "d" * 64, "config again", Plan(again=1))
    assert models.adopt(database, rule, 0, lambda _plan: lost) == 1
    assert queries.jobs_of(database, 1)[-1].plan == Plan(again=1)
    assert states(database) == ["superseded", "queued"]


def test_a_verified_result_is_sent_again_and_every_instance_answered_for_anew(database: Database) -> None:
    first = verified(database)
    assert again.resend(database, first, "main", UIDS, "the archive lost it") == ""
    (found,) = queries.deliveries_of(database, first)
    assert (found.state, found.stored, found.total) == ("pending", 0, 3)
    assert state_of(database, first) == JobState.RESTORED
    assert not purging.purge_result(database, first, "/results", "retention, at the same time")
    assert again.resend(database, first, "main", UIDS, "me too") == "job 1 is being sent to main already"
    confirm(database, found.id)
    assert state_of(database, first) == JobState.VERIFIED
    assert whole(database)


def test_one_more_destination_leaves_the_others_as_they_are(database: Database) -> None:
    first = verified(database)
    assert again.resend(database, first, "research", UIDS, "a study") == ""
    assert [(item.destination, item.state) for item in queries.deliveries_of(database, first)] == [
        ("main", "verified"), ("research", "pending"),
    ]  # fmt: skip
    assert state_of(database, first) == JobState.SENDING
    confirm(database, 2)
    assert state_of(database, first) == JobState.VERIFIED


def test_two_people_who_send_again_at_once_make_one_delivery(database: Database) -> None:
    first = verified(database)
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda _: again.resend(database, first, "research", UIDS, "why"), range(2)))
    assert sorted(said) == ["", "job 1 is being sent to research already"]
    assert len(queries.deliveries_of(database, first)) == 2


def test_what_is_gone_replaced_or_cancelled_is_not_sent_again(database: Database) -> None:
    gone, replaced, cancelled = (verified(database, key, f"2.25.{key}") for key in ("1", "2", "3"))
    purging.purge_result(database, gone, "/results", "old")
    assert "no longer on this node" in again.resend(database, gone, "main", UIDS, "why")
    with database.transaction() as connection:
        entries.replace(connection, "tests", database_now(connection), job.c.id == replaced, "newer images")
        connection.execute(update(job).where(job.c.id == cancelled).values(state=JobState.CANCELLED))
    for number in (replaced, cancelled):
        assert "only a result that was meant to be sent" in again.resend(database, number, "main", UIDS, "why")
    with database.reading() as connection:
        assert connection.execute(select(func.count()).where(job.c.state == "verified")).scalar_one() == 1


def test_a_series_is_judged_as_it_is_once_and_late_images_make_a_revision(database: Database) -> None:
    receipts.record(database, [received(number) for number in range(4)], quiet_s=3600)
    assert receipts.due_series(database) == []
    assert receipts.force(database, 1, "the scanner broke down")
    assert not receipts.force(database, 1, "me too")
    receipts.listening_again(database, quiet_s=3600)
    receipts.record(database, [received(4)], quiet_s=3600)
    assert receipts.due_series(database) == [1]
    row, _ = receipts.read_series(database, 1)
    assert (row.forced, row.instances, row.revision) == (True, 5, 1)
    assert jobs.complete(database, 1, 5, 1, [new_job(database, 1)])
    assert not receipts.force(database, 1, "too late")
    receipts.record(database, [received(5)], quiet_s=3600)
    row, _ = receipts.read_series(database, 1)
    assert (row.forced, row.revision, receipts.due_series(database)) == (False, 2, [])
    events = [row.event for row in queries.audit_of(database, ["series:1"])]
    assert events.count("series.forced") == 1
