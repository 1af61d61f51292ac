"""Pages of series and audit rows, and the figures of the first page, on each database."""

from dicom_node.ledger import browse, deliveries, jobs, overview, receipts
from dicom_node.ledger.browse import AuditFilter, SeriesFilter
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import arrive, claimed, new_job, queue, result


def numbers(entries: list[browse.SeriesEntry]) -> list[int]:
    return [item.series.id for item in entries]


def three(database: Database) -> None:
    """Series 1 is restored, 2 held, 3 still arrives."""
    jobs.restored(database, claimed(database, queue(database)), result(), {"seconds": 1}, ["main"])
    second = arrive(database, series="2.25.20")
    row, _ = receipts.read_series(database, second)
    held = new_job(database, second, JobState.HELD, key="h", reason="slice missing")
    assert jobs.complete(database, second, row.instances, row.revision, [held])
    arrive(database, series="2.25.3")


def test_series_are_paged_by_their_number(database: Database) -> None:
    three(database)
    first = browse.series_page(database, SeriesFilter(), limit=2)
    assert numbers(first) == [3, 2]
    assert numbers(browse.series_page(database, SeriesFilter(), before=2, limit=2)) == [1]
    assert [job.reason for job in first[1].jobs] == ["slice missing"]


def test_series_are_found_by_state_sender_number_and_uid(database: Database) -> None:
    three(database)
    find = lambda **wanted: numbers(browse.series_page(database, SeriesFilter(**wanted)))  # noqa: E731
    assert find(state="held") == [2]
    assert find(state="receiving") == [3]
    assert find(state="failed") == []
    assert find(calling_ae="CT1") == [3, 2, 1]
    assert find(calling_ae="CT1", state="restored") == [1]
    assert find(text="2") == [2]
    assert find(text="2.25.2") == [2]
    assert find(text="2.25.") == [3, 2, 1]
    assert find(text="%") == []
    assert numbers(browse.series_page(database, SeriesFilter(state="held"), before=2)) == []


def test_a_series_comes_with_its_deliveries_images_and_history(database: Database) -> None:
    three(database)
    one = browse.entry(database, 1)
    assert one
    ((delivery,),) = one.deliveries.values()
    assert (delivery.destination, delivery.stored, delivery.total) == ("main", 0, 3)
    assert len(browse.instances_of(database, 1)) == 4
    assert len(browse.sources_of(database, one.jobs[0].id)) == 4
    events = [row.event for row in browse.history_of(database, one)]
    assert events[-3:] == ["job.queued", "job.running", "job.restored"]
    assert browse.entry(database, 99) is None


def test_the_audit_is_paged_and_searched(database: Database) -> None:
    three(database)
    rows = browse.audit_page(database, AuditFilter(), limit=3)
    assert [row.seq for row in rows] == sorted((row.seq for row in rows), reverse=True)
    assert browse.audit_page(database, AuditFilter(), before=rows[-1].seq, limit=1)[0].seq == rows[-1].seq - 1
    held = browse.audit_page(database, AuditFilter(event="job.held"))
    assert [row.subject for row in held] == ["job:2"]
    assert browse.audit_page(database, AuditFilter(event="job.held", subject="job:1")) == []


def test_the_overview_says_what_waits_runs_and_ended(database: Database) -> None:
    three(database)
    oldest = overview.oldest(database)
    assert oldest.waiting is None
    assert overview.counts(database) == {"receiving": 1, "restored": 1, "held": 1}
    assert oldest.unverified is not None
    assert oldest.unverified.series_id == 1
    assert [(item.ae_title, item.series_id) for item in overview.scanners(database)] == [("CT1", 3)]
    assert len(overview.finished(database, 60)) == 1
    assert overview.finished(database, 60)[0].seconds >= 0
    claim = deliveries.claim(database, 1, "host/boot/1/1", 60)
    assert claim
    assert overview.oldest(database).unverified is not None


def test_a_running_job_says_since_when(database: Database) -> None:
    claim = claimed(database, queue(database))
    jobs.beat(database, claim, 60, 0.4)
    (running,) = overview.running(database)
    assert (running.job_id, running.progress, running.calling_ae) == (claim.job_id, 0.4, "CT1")
    assert running.started_at <= overview.now(database)
