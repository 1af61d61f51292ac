"""Series by every order and filter, page by page in both directions, on each database."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from dicom_node.ledger import acts, browse, jobs, receipts
from dicom_node.ledger.browse import SeriesFilter
from dicom_node.ledger.database import Database
from dicom_node.ledger.series_search import Key, Order, Sort, key_of
from dicom_node.ledger.states import JobState
from dicom_node.ledger.tables import series
from tests.unit.dicom_node.ledger.rows import claimed, new_job, queue, received, result

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
UIDS = ("1.2.3", "1.2.4", "1.3.1", "2.25.1", "2.25.12")
# By number: 1 took 5 s, 2 took 9 s, 3 is held, 4 and 5 still arrive. All but 2 and 4 come from B.
SENDERS = {1: "B", 2: "A", 3: "B", 4: "A", 5: "B"}


def restored(database: Database, number: int, seconds: float, destination: str = "main") -> None:
    job_id = queue(database, key=str(number), series_uid=UIDS[number - 1])
    jobs.restored(database, claimed(database, job_id), result(), {"seconds": seconds}, [destination])


@pytest.fixture
def ledger(database: Database) -> Database:
    """Five series whose last images came in the order 3, 1, 5, 2, 4, a day apart."""
    restored(database, 1, 5.0)
    restored(database, 2, 9.0, "cloud")
    job_id = queue(database, key="3", series_uid=UIDS[2])
    jobs.end(database, claimed(database, job_id), JobState.HELD, "slice missing")
    for uid in UIDS[3:]:
        receipts.record(database, [received(1, series=uid)], quiet_s=60)
    with database.transaction() as connection:
        for day, number in enumerate((3, 1, 5, 2, 4)):
            values = {"last_heard_at": NOON + timedelta(days=day), "calling_ae": SENDERS[number]}
            connection.execute(update(series).where(series.c.id == number).values(**values, study_uid=f"9.{number}"))
    return database


def numbers(database: Database, order: Order = browse.NEWEST, **wanted: object) -> list[int]:
    found = browse.series_page(database, SeriesFilter(**wanted), order=order)  # type: ignore[arg-type]
    return [item.series.id for item in found]


SORTED = [
    (Order(), [5, 4, 3, 2, 1]),
    (Order(reverse=True), [1, 2, 3, 4, 5]),
    (Order(Sort.LAST_IMAGE), [4, 2, 5, 1, 3]),
    (Order(Sort.LAST_IMAGE, reverse=True), [3, 1, 5, 2, 4]),
    (Order(Sort.DURATION), [2, 1]),
    (Order(Sort.DURATION, reverse=True), [1, 2]),
    (Order(Sort.STATE), [3, 2, 1, 5, 4]),
    (Order(Sort.STATE, reverse=True), [5, 4, 2, 1, 3]),
    (Order(Sort.SCANNER), [4, 2, 5, 3, 1]),
    (Order(Sort.SCANNER, reverse=True), [5, 3, 1, 4, 2]),
]


def test_every_order_is_paged_there_and_back(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "PAGE", 2)
    for order, expected in SORTED:
        there_and_back(ledger, order, expected)


def there_and_back(ledger: Database, order: Order, expected: list[int]) -> None:
    """Follow the links from the first page to the last, and back from each."""
    assert numbers(ledger, order) == expected
    pages, key = [], None
    while True:
        leaf = browse.series_leaf(ledger, SeriesFilter(), order, key)
        pages.append(leaf)
        if leaf.older is None:
            break
        key = key_of(order, str(leaf.older))
    assert [item.series.id for leaf in pages for item in leaf.entries] == expected
    assert pages[0].newer is None
    for earlier, later in pairwise(pages):
        assert later.newer is not None
        back = browse.series_leaf(ledger, SeriesFilter(), order, key_of(order, str(later.newer)), back=True)
        assert [item.series.id for item in back.entries] == [item.series.id for item in earlier.entries]
        assert (back.newer is None) == (earlier is pages[0])
        assert back.older is not None


def test_series_are_found_by_every_filter_and_all_at_once(ledger: Database) -> None:
    assert numbers(ledger, destination="cloud") == [2]
    assert numbers(ledger, destination="elsewhere") == []
    assert numbers(ledger, model="cubic") == [3, 2, 1]
    assert numbers(ledger, model="cubic", state="held") == [3]
    assert numbers(ledger, rule="head") == []
    assert numbers(ledger, since=date(2026, 11, 4)) == [5, 4, 2]
    assert numbers(ledger, since=date(2026, 11, 3), until=date(2026, 11, 4)) == [5, 1]
    assert numbers(ledger, Order(Sort.STATE), calling_ae="B") == [3, 1, 5]
    assert numbers(ledger, Order(Sort.SCANNER), state="restored") == [2, 1]
    assert numbers(ledger, Order(Sort.DURATION), destination="main", text="1.2.", state="restored") == [1]


def test_a_uid_is_found_by_its_beginning_alone(ledger: Database) -> None:
    assert numbers(ledger, text="1.2.") == [2, 1]
    assert numbers(ledger, text="2.25.1") == [5, 4]
    assert numbers(ledger, text="9.3") == [3]
    assert numbers(ledger, text="25.1") == []
    assert numbers(ledger, text="1.2_") == []
    assert numbers(ledger, text="3") == [3]


def test_a_series_stands_once_under_its_most_urgent_job(ledger: Database) -> None:
    assert acts.cancel(ledger, 1, "not wanted")
    with ledger.transaction() as connection:
        connection.execute(update(series).where(series.c.id == 1).values(state="receiving"))
    receipts.record(ledger, [received(9, series=UIDS[0])], quiet_s=0)
    row, _ = receipts.read_series(ledger, 1)
    more = [new_job(ledger, 1, JobState.FAILED, key=key, reason="damaged") for key in "xy"]
    assert jobs.complete(ledger, 1, row.instances, row.revision, more)
    assert numbers(ledger, Order(Sort.STATE)) == [1, 3, 2, 5, 4]
    assert numbers(ledger, Order(Sort.DURATION)) == [2]  # the latest job of 1 has made nothing yet


def test_what_there_is_to_choose_from(ledger: Database) -> None:
    found = browse.series_choices(ledger)
    assert (found.destinations, found.models, found.rules) == (("cloud", "main"), ("cubic",), ())


@pytest.mark.parametrize(
    ("sort", "text"),
    [
        (Sort.NUMBER, "x"), (Sort.NUMBER, ""), (Sort.DURATION, "long_3"), (Sort.LAST_IMAGE, "2026-11-02T12:00_1"),
        (Sort.STATE, "held"), (Sort.NUMBER, "-4"), (Sort.NUMBER, "9" * 16),
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_refused(sort: Sort, text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        key_of(Order(sort), text)


def test_a_key_survives_the_way_through_a_link() -> None:
    for sort, value in ((Sort.LAST_IMAGE, NOON), (Sort.DURATION, 61.52), (Sort.SCANNER, "CT_1"), (Sort.NUMBER, None)):
        assert key_of(Order(sort), str(Key(value, 7))) == Key(value, 7)


def test_a_state_that_is_gone_meanwhile_begins_anew(ledger: Database) -> None:
    assert [
        item.series.id for item in browse.series_page(ledger, SeriesFilter(), Key("gone", 3), 50, Order(Sort.SCANNER))
    ] == [4, 2, 5, 3, 1]
