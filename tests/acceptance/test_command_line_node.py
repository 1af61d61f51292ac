"""`thinslice up`, and an admin beside it: status, jobs, show and retry, on a verified, a held and a parked series."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo.sender import send
from dicom_node.ledger import queries
from tests import servers
from tests.acceptance.command_line import thinslice
from tests.nodes import AE_TITLE, HOST, Node
from tests.phantom import chest, write_dicom
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = "1.2.826.0.1.3680043.8.498.77"
GOOD, GAP, PARKED = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
UNREACHABLE = "cannot be reached"
MISSING = "slice missing between"


@dataclass(frozen=True)
class Place:
    """A node beside a PACS; ``admin`` runs a command as an admin would, while the node runs."""

    node: Node
    folder: Path

    def admin(self, *arguments: str) -> str:
        """What a command prints."""
        done = thinslice(self.folder, *arguments, "--config", str(self.node.settings))
        assert (done.code, done.err) == (0, "")
        return done.out

    def scan(self, series_uid: str, missing: tuple[int, ...] = ()) -> None:
        """Send a small chest of nine slices, some of them missing."""
        thick = chest(shape=(41, 64, 64), pixel_mm=5.4).thick
        seed = int(series_uid.rpartition(".")[2])
        images = write_dicom(thick, self.folder / series_uid, series_uid=series_uid, seed=seed, missing=missing)
        assert send(images, HOST, self.node.port, AE_TITLE, lambda _: None) == []

    def until(self, series_uid: str, *states: str) -> None:
        """Wait until the jobs of a series, oldest first, are in these states."""

        def look() -> bool:
            return self.states(series_uid) == list(states)

        until(f"series {series_uid} {states}", look)

    def states(self, series_uid: str) -> list[str]:
        ledger = self.node.ledger()
        return [
            job.state for view in queries.find_series(ledger, series_uid) for job in queries.jobs_of(ledger, view.id)
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One series is verified, one held for a gap, and one parked because the PACS went away; it is back at the end."""
    folder = tmp_path_factory.mktemp("place")
    with ExitStack() as stack:
        with servers.qrscp(folder / "pacs") as pacs:
            place = Place(Node(folder / "node", pacs, extra={"send": "attempts = 1"}), folder)
            stack.callback(place.node.kill)
            place.node.start()
            place.scan(GOOD)
            place.scan(GAP, missing=(6,))
            place.until(GOOD, "verified")
            place.until(GAP, "held")
        place.scan(PARKED)
        place.until(PARKED, "parked")
        yield place


def row_of(table: str, word: str) -> str:
    """The one line of a printed table that holds a word."""
    (line,) = [line for line in table.splitlines() if word in line.split()]
    return line


def test_up_tells_where_it_listens_and_what_restores(place: Place) -> None:
    line = f"thinslice listens as {AE_TITLE} on {HOST}:{place.node.port} (plain), restores with Cubic interpolation\n"
    assert line in place.node.log.read_text()


def test_status_counts_the_jobs_of_each_state(place: Place) -> None:
    table = place.admin("status")
    assert [row_of(table, state).split()[-1] for state in ("verified", "held", "parked")] == ["1", "1", "1"]


def test_jobs_lists_state_and_reason(place: Place) -> None:
    table = place.admin("jobs")
    assert "9 → 41" in row_of(table, "verified")
    assert MISSING in row_of(table, "held")
    assert UNREACHABLE in row_of(table, "parked")


def test_jobs_of_one_state(place: Place) -> None:
    table = place.admin("jobs", "--state", "held")
    assert MISSING in table
    assert "parked" not in table


@pytest.mark.parametrize(
    ("series_uid", "words"),
    [
        (GOOD, ["verified by C-FIND, 41 of 41 stored", "Cubic interpolation", "9 thick → 41 thin", "job.restored"]),
        (GAP, ["held", MISSING, "8 images, complete, revision 1"]),
        (PARKED, ["parked, 0 of 41 stored", UNREACHABLE, "delivery.parked"]),
    ],
)
def test_show_tells_what_became_of_a_series_and_why(place: Place, series_uid: str, words: list[str]) -> None:
    shown = place.admin("show", series_uid)
    assert [word for word in words if word not in shown] == [], shown


def test_nothing_shown_names_the_patient(place: Place) -> None:
    """P8: the phantom is called PHANTOM^CHEST."""
    said = place.admin("show", PARKED) + place.node.log.read_text()
    assert "PHANTOM" not in said.upper()


def test_a_verified_series_has_nothing_to_retry(place: Place) -> None:
    assert "has nothing to retry" in place.admin("retry", GOOD)
    assert place.states(GOOD) == ["verified"]


def test_a_held_series_stays_held_while_its_cause_stays(place: Place) -> None:
    assert "judged anew" in place.admin("retry", GAP)
    until("it is judged anew", lambda: "series.reopened" in place.admin("show", GAP), every_s=1)
    place.until(GAP, "held")


def test_a_parked_series_is_verified_by_a_retry_once_the_pacs_is_back(place: Place) -> None:
    assert place.node.pacs
    with servers.qrscp(place.folder / "pacs", port=place.node.pacs.port):
        assert "is sent to qrscp again" in place.admin("retry", PARKED)
        place.until(PARKED, "verified")
        assert "delivery.retry" in place.admin("show", PARKED)


def test_a_held_series_is_restored_once_the_missing_slice_comes(place: Place) -> None:
    assert place.node.pacs
    with servers.qrscp(place.folder / "pacs", port=place.node.pacs.port):
        place.scan(GAP)
        place.until(GAP, "superseded", "verified")


def test_up_ends_in_order(place: Place) -> None:
    assert place.node.stop() == 0
    assert "stopping" in place.node.log.read_text()
