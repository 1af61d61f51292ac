"""What counts as amiss, and since when; one list for the console, the command line and notices."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.ledger import chain, jobs, notices, switches, workers
from dicom_node.ledger.database import database_now
from dicom_node.ledger.workers import WorkerView
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.nodes import open_at
from worker.around import Around, Disk, look_around
from worker.notice_settings import Kind
from worker.troubles import Trouble, troubles_of
from worker.wiring import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node that works and has nothing amiss."""
    node = open_at(tmp_path, notices="unverified_minutes = 1e-9")
    workers.register(node.database, "host/boot/1/1", "node")
    return node


def amiss(node: Node, **changes: object) -> list[Trouble]:
    """What is amiss, in a world that differs in this."""
    return list(troubles_of(node, replace(look_around(node), **changes)))  # type: ignore[arg-type]


def process(number: int, age_s: float, silent_s: float, around: Around, role: str = "restore") -> WorkerView:
    started = around.at - timedelta(seconds=age_s)
    return WorkerView(f"gpu1/boot/{number}/1", role, "ready", "", started, silent_s)


def test_a_disk_is_told_before_images_are_refused(node: Node) -> None:
    assert amiss(node, disks=(Disk("results", 89.9, 95.0),)) == []
    (trouble,) = amiss(node, disks=(Disk("results", 90.0, 95.0),))
    assert (trouble.kind, trouble.subject, trouble.told) == (
        Kind.DISK_FULL, "results", "The disk of the results is 90 % full.",
    )  # fmt: skip


def test_a_silent_process_is_told_unless_another_came_in_its_place(node: Node) -> None:
    around = look_around(node)
    dead, successor = process(1, 600, 120, around), process(2, 60, 1, around)
    (trouble,) = amiss(node, processes=(*around.processes, dead))
    assert (trouble.kind, trouble.told) == (Kind.PROCESS_SILENT, "restore gpu1/1 is not seen any more.")
    assert amiss(node, processes=(*around.processes, dead, successor)) == []
    for other in (process(2, 900, 1, around), process(2, 60, 1, around, "deliver")):  # older; does something else
        assert [item.kind for item in amiss(node, processes=(*around.processes, dead, other))] == [Kind.PROCESS_SILENT]


@pytest.mark.parametrize(
    ("watched", "hours", "kinds"),
    [
        ("", 23, []),
        ("", 25, [Kind.SCANNER_SILENT]),
        ("", 31 * 24, []),
        ('scanners = ["CT1"]', 31 * 24, [Kind.SCANNER_SILENT]),
        ('scanners = ["CT2"]', 25, []),
    ],
)
def test_a_scanner_is_told_that_is_expected_and_silent(
    tmp_path: Path, watched: str, hours: float, kinds: list[Kind]
) -> None:
    node = open_at(tmp_path, notices=f"waiting_minutes = 0\n{watched}")
    workers.register(node.database, "host/boot/1/1", "node")
    queue(node.database)
    (scanner,) = look_around(node).scanners
    silent = replace(scanner, silent_s=hours * 3600, is_silent=hours > 24)
    assert [item.kind for item in amiss(node, scanners=(silent,))] == kinds


def test_a_pause_is_seen_at_once_and_told_after_a_while(node: Node) -> None:
    switches.pause(node.database, "a new GPU")
    around = look_around(node)
    (trouble,) = troubles_of(node, around)
    assert (trouble.is_told, trouble.since) == (False, around.pause and around.pause.since)
    (later,) = troubles_of(node, replace(around, at=around.at + timedelta(hours=2)))
    assert later.is_told


def test_a_result_that_nobody_confirms_is_told(node: Node) -> None:
    jobs.restored(node.database, claimed(node.database, queue(node.database)), result(), {}, ["main"])
    assert [item.kind for item in amiss(node)] == [Kind.UNVERIFIED_LONG]


def test_a_broken_audit_trail_is_told_until_it_is_verified(node: Node) -> None:
    for event, kinds in (
        ("audit.broken", [Kind.AUDIT_BROKEN]),
        ("audit.verified", []),
        ("audit.broken", [Kind.AUDIT_BROKEN]),
    ):
        with node.database.transaction() as connection:
            chain.append(connection, database_now(connection), "tests", event, "audit")
        assert [item.kind for item in amiss(node)] == kinds


def test_since_when_is_what_the_ledger_noted_first(node: Node) -> None:
    full = (Disk("results", 97.0, 95.0),)
    (trouble,) = amiss(node, disks=full)
    assert trouble.since is None
    notices.note(node.database, [trouble.amiss])
    (trouble,) = amiss(node, disks=full)
    assert trouble.since == notices.lasting(node.database)[0].since
