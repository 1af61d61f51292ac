"""What the node has of a series, and what of a pull is on record."""

import json

from dicom_node.ledger import chain, jobs, pulls, purging, queries
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import SERIES, arrive, new_job


def test_what_is_kept_has_its_path_and_what_is_purged_is_known(database: Database) -> None:
    assert pulls.holding(database, SERIES) == pulls.Holding(frozenset(), {})
    series = arrive(database, 2)
    uids = {f"{SERIES}.0", f"{SERIES}.1"}
    here = pulls.holding(database, SERIES)
    assert (here.known, here.kept) == (
        uids,
        {f"{SERIES}.0": f"/spool/{SERIES}/0-a", f"{SERIES}.1": f"/spool/{SERIES}/1-a"},
    )
    jobs.complete(database, series, 2, 1, [new_job(database, series, JobState.SKIPPED)])
    assert purging.purge_series(database, series, "an admin asked for it", by_person=True)
    purging.files_removed(database, series)
    gone = pulls.holding(database, SERIES)
    assert (gone.known, gone.kept) == (uids, {})


def test_a_pull_is_on_record_from_its_begin_to_its_end(database: Database) -> None:
    pulls.begun(database, SERIES, "archive", "get", 3)
    pulls.ended(database, SERIES, 2, 1, ["it broke off", "one was cut short"])
    begun, ended = queries.audit_of(database, [SERIES])
    assert (begun.actor, begun.event, json.loads(begun.detail)) == (
        "tests", "pull.begun", {"source": "archive", "way": "get", "images": 3},
    )  # fmt: skip
    assert (ended.event, json.loads(ended.detail)) == (
        "pull.ended", {"came": 2, "missing": 1, "reason": "it broke off; one was cut short"},
    )  # fmt: skip
    with database.reading() as connection:
        assert chain.first_bad_row(connection) is None
