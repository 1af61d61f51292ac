"""Which superseded results a PACS has something of, and whose job has to say so."""

from sqlalchemy import update

from dicom_node.ledger import deliveries, jobs, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.jobs import NewJob
from dicom_node.ledger.tables import job
from dicom_node.records import InstanceOutcome, ReplacedResult
from tests.unit.dicom_node.ledger.rows import claimed, new_job, queue, received, result

UIDS = tuple(item.sop_instance_uid for item in result().instances)
OLD = ReplacedResult("k" * 64, 3, UIDS)


def delivered(database: Database, *statuses: int | None) -> int:
    """A job whose instances a PACS answered so; returns its id."""
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main"])
    claim = deliveries.claim(database, 1, "host/boot/1/1", 60)
    assert claim is not None
    answers = [InstanceOutcome(uid, status) for uid, status in zip(UIDS, statuses, strict=False)]
    deliveries.answered(database, claim, answers)
    return job_id


def relabel(database: Database, job_id: int, label: str) -> None:
    """Make a job that of another stack."""
    with database.transaction() as connection:
        connection.execute(update(job).where(job.c.id == job_id).values(label=label))


def late_images(database: Database, *labels: str) -> list[int]:
    """Images came late: the series is judged anew, into a queued job of each label; returns their ids."""
    receipts.record(database, [received(99)], quiet_s=0)
    row, _ = receipts.read_series(database, 1)
    plain = new_job(database, 1)
    new = [
        NewJob(str(number) * 64, label, plain.state, "", plain.instance_ids, "cubic", "d" * 64)
        for number, label in enumerate(labels)
    ]
    assert jobs.complete(database, 1, row.instances, row.revision, new)
    return [view.id for view in queries.jobs_of(database, 1)][-len(labels) :]


def test_what_a_pacs_has_is_replaced_whole(database: Database) -> None:
    """One stored instance is enough: the answers of the last ones may not have been written any more."""
    delivered(database, 0x0000)
    (new,) = late_images(database, "")
    assert queries.replaced_by(database, new) == (OLD,)


def test_what_no_pacs_has_needs_no_note(database: Database) -> None:
    delivered(database, 0xA700, None)
    (new,) = late_images(database, "")
    assert queries.replaced_by(database, new) == ()


def test_a_job_that_stands_is_replaced_by_nothing(database: Database) -> None:
    first = delivered(database, 0x0000)
    assert queries.replaced_by(database, first) == ()


def test_each_stack_tells_of_its_own(database: Database) -> None:
    """The other stack's new result may never come: its old one is not hidden before."""
    relabel(database, delivered(database, 0x0000), "sharp")
    soft, sharp = late_images(database, "soft", "sharp")
    assert queries.replaced_by(database, soft) == ()
    assert queries.replaced_by(database, sharp) == (OLD,)


def test_a_stack_that_is_no_more_is_told_of_by_the_others(database: Database) -> None:
    delivered(database, 0x0000)
    new = late_images(database, "soft", "sharp")
    assert [queries.replaced_by(database, job_id) for job_id in new] == [(OLD,), (OLD,)]


def test_results_of_other_series_are_none_of_its_business(database: Database) -> None:
    delivered(database, 0x0000)
    late_images(database, "")
    other = queue(database, "o", "2.25.2")
    assert queries.replaced_by(database, other) == ()
