"""One act on many series: told before what it touches and leaves, bounded, and what cannot be done keeps none back."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_node.errors import DestinationError, InputError, LedgerError
from dicom_node.ledger import jobs, queries, workers
from dicom_node.ledger.browse import SeriesFilter
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_cli_act import admin
from worker import acts, bulk
from worker.acts import Outcome
from worker.deeds import DEEDS, possible
from worker.wiring import Node

WHY = "for the test"


@dataclass(frozen=True)
class OneJob:
    """As much of a job as tells what can be done with it."""

    state: str
    has_result: bool = True


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Three series: the jobs of two failed, that of the third waits."""
    node = open_at(tmp_path)
    for number, key in enumerate("abc", 1):
        job_id = queue(node.database, key, f"2.25.{number}")
        if number < 3:
            jobs.end(node.database, claimed(node.database, job_id), JobState.FAILED, "out of luck")
    return node


def states(node: Node) -> list[str]:
    return [job.state for job in reversed(queries.jobs(node.database))]


def test_it_is_told_before_what_is_touched_and_what_is_left(node: Node) -> None:
    found = bulk.preview(node, "retry", [1, 2, 3, 77])
    assert found.numbers == [1, 2]
    assert [item.why for item in found.left] == ["series 3 has nothing to retry (queued)", "there is no series 77"]
    assert states(node) == ["failed", "failed", "queued"]


def test_what_is_left_is_counted_with_its_reason(node: Node) -> None:
    done = bulk.do(node, acts.retry, [1, 2, 3], WHY)
    assert done.sentence == "2 done, 1 left: Series 3 has nothing to retry"
    assert states(node) == ["queued"] * 3
    assert bulk.do(node, acts.retry, [1], WHY).sentence == "Series 1 has nothing to retry."
    assert bulk.do(node, acts.cancel, [1, 2], WHY).sentence == "2 done"


def test_one_that_fails_keeps_none_of_the_others_back_but_a_ledger_that_is_away_ends_it(node: Node) -> None:
    def odd(_node: Node, number: int, _reason: str) -> Outcome:
        if number == 2:
            raise DestinationError("it is on fire")
        return Outcome(done=True, said="fine")

    assert bulk.do(node, odd, [1, 2, 3], WHY).sentence == "2 done, 1 left: series 2: it is on fire"
    asked: list[int] = []

    def away(_node: Node, number: int, _reason: str) -> Outcome:
        asked.append(number)
        raise LedgerError("the ledger is away")

    assert len(bulk.do(node, away, range(1, 9), WHY).left) == 8
    assert asked == [1]


def test_it_is_bounded(node: Node) -> None:
    with pytest.raises(InputError, match="more than 500 series"):
        bulk.do(node, acts.retry, range(501), WHY)
    with pytest.raises(InputError, match="no series was chosen"):
        bulk.preview(node, "retry", [])
    assert bulk.matching(node, SeriesFilter(state="failed")) == [2, 1]
    left = [bulk.Left(number, f"series {number} is odd.") for number in range(8)]
    assert bulk.named(left).endswith("series 4 is odd; and 3 more")


def test_every_deed_says_what_it_is_and_when_it_can_be_done(node: Node) -> None:
    (job, *_) = queries.jobs_of(node.database, 1)
    assert possible("complete", [job]) == {"retry", "again", "cancel"}
    assert possible("receiving", []) == {"complete"}
    some = {name for state in JobState for name in possible("complete", [OneJob(state)])}
    assert some | {"complete"} == set(DEEDS)
    assert all(deed.title and deed.nothing and (deed.question or not deed.why) for deed in DEEDS.values())


def test_an_admin_acts_on_many_after_a_question(node: Node) -> None:
    asked = admin(node, "retry", "1", "2", "3", answer="n\n")
    assert "touched, 2: series 1, 2" in asked.output
    assert "left, 1: series 3 has nothing to retry (queued)" in asked.output
    assert (asked.exit_code, states(node)) == (1, ["failed", "failed", "queued"])
    assert admin(node, "retry", "--state", "failed", answer="y\n").output.endswith("2 done\n")
    assert states(node) == ["queued"] * 3
    assert admin(node, "cancel", "1", "2", "--yes").output == "2 done\n"
    done = admin(node, "retry", "1", "3", "--yes")
    assert (done.output, done.exit_code) == ("1 done, 1 left: Series 3 has nothing to retry\n", 1)
    assert isinstance(admin(node, "retry").exception, InputError)
    assert isinstance(admin(node, "retry", "1", "--state", "failed").exception, InputError)
    assert admin(node, "retry", "--state", "parked").exception is not None


def test_what_cannot_be_taken_back_asks_even_for_one(node: Node) -> None:
    assert admin(node, "restore-again", "1", "--network", "linear", answer="n\n").exit_code == 1
    assert states(node) == ["failed", "failed", "queued"]
    assert "another derived series" in admin(node, "restore-again", "1", "--network", "linear", answer="y\n").output
    assert states(node) == ["superseded", "failed", "queued", "queued"]
    assert "cannot restore with 'vit'" in str(admin(node, "restore-again", "2", "--network", "vit", "--yes").exception)
    assert "has no result on this node" in admin(node, "resend", "2", "--to", "x").output
    assert isinstance(admin(node, "resend", "2", "--to", "x", "--yes").exception, InputError)
    assert admin(node, "complete", "1", "--reason", WHY, answer="y\n").exit_code == 1


def test_a_worker_is_drained_and_a_destination_paused_by_name(tmp_path: Path) -> None:
    pacs = '[[send.pacs]]\nname = "main"\nae_title = "P"\nhost = "127.0.0.1"\nport = 1'
    node = open_at(tmp_path, blocks=pacs)
    workers.register(node.database, "gpu1/boot/77/1", "restore")
    assert "takes nothing more" in admin(node, "drain", "--worker", "gpu1/77", "--reason", "a new GPU").output
    assert "gpu1/77 is drained already" in admin(node, "drain", "--worker", "gpu1/77").output
    assert "Nothing new is sent to main" in admin(node, "drain", "--to", "main", "--reason", "a new disk").output
    shown = admin(node, "status").output
    assert "restore gpu1/77 is drained" in shown
    assert "a new GPU" in shown
    assert "main is paused" in shown
    assert "drained by admin" in admin(node, "workers").output
    assert admin(node, "resume", "--worker", "gpu1/77", "--to", "main").output == (
        "gpu1/77 takes work again.\nmain is sent to again.\n"
    )
    assert isinstance(admin(node, "drain", "--worker", "gpu2/1").exception, InputError)
    assert isinstance(admin(node, "drain", "--to", "nowhere").exception, InputError)
