"""Figures of the first page, drawings and words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_node.ledger import circuits, jobs, overview, queries, workers
from dicom_node.ledger.overview import Finished
from tests.phantom import chest, write_dicom
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_images, queue_series
from worker.console import facts, series_facts, words
from worker.console.stack_drawing import draw
from worker.steps.judge import judge_series
from worker.wiring import Node

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_pace_counts_by_hour_and_ranks_delays() -> None:
    found = [Finished(AT - timedelta(minutes=20 * number), float(number + 1)) for number in range(20)]
    pace = facts.pace_of(found, AT, 900)
    assert (pace.hour, pace.day) == (3, 20)
    assert pace.by_hour[-3:] == (3, 3, 3)
    assert sum(pace.by_hour) == 20
    assert (pace.median_s, pace.p95_s) == (10, 19)


def test_of_nothing_there_is_no_percentile() -> None:
    pace = facts.pace_of([], AT, 900)
    assert (pace.hour, pace.median_s, pace.p95_s) == (0, None, None)


def test_what_is_left_follows_from_what_is_done(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    claim = claimed(node.database, queue(node.database))
    started = overview.running(node.database)[0].started_at
    assert facts.running_of(node, started + timedelta(seconds=30))[0].left_s is None
    jobs.beat(node.database, claim, 60, 0.25)
    (running,) = facts.running_of(node, started + timedelta(seconds=30))
    assert running.left_s == pytest.approx(90, abs=1)


def test_troubles_come_with_their_reason(tmp_path: Path) -> None:
    pacs = 'name = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
    node = open_at(tmp_path, **{"[send.pacs]": pacs})
    assert [item.sentence for item in facts.now(node).troubles] == [
        "No process works on this ledger: start `thinslice up`."
    ]
    workers.register(node.database, "host/boot/1/1", "node")
    assert facts.now(node).troubles == ()
    circuits.failed(node.database, "main", "nobody listens", 1, lambda _times: 3600)
    (trouble,) = facts.now(node).troubles
    assert (trouble.level, trouble.sentence) == ("bad", "main does not answer: nobody listens")


def test_a_stack_is_drawn_with_its_gap(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    job = queue_series(node, tmp_path / "scan")
    drawing = draw(node, job, 1.0, 21)
    assert (len(drawing.thick), len(drawing.thin), drawing.gaps) == (5, 21, ())
    assert (drawing.thick[0].x, drawing.thick[-1].x, drawing.step_mm) == (0, 1000, 5)
    gapped = _with_gap(node, tmp_path / "gap")
    (gap,) = draw(node, gapped, None, None).gaps
    assert gap.title.startswith("missing between z=")
    assert (gap.x, gap.width) == (250, 500)


def _with_gap(node: Node, folder: Path) -> int:
    images = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, folder, seed=8, missing=(2,))
    number = enter_images(node, images)
    judge_series(node, number)
    (job,) = queries.jobs_of(node.database, number)
    return job.id


def test_a_stack_whose_files_are_gone_says_so(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    job = queue(node.database)
    assert draw(node, job, None, None).trouble == "The received images are no longer on this node."


def test_every_state_has_a_meaning_and_a_shape() -> None:
    states = {*map(str, series_facts.JobState), "receiving", "complete", "pending", "verifying", *workers.WorkerState}
    assert states <= set(words.MEANINGS)
    assert states <= set(words.ICONS)


@pytest.mark.parametrize(
    ("seconds", "read"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float | None, read: str) -> None:
    assert words.duration(seconds) == read
