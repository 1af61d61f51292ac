"""Killed at every named place between two durable steps, one after the other, and started again: nothing is lost."""

from pathlib import Path

import pytest

from dicom_node import crash
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until

# Places of the child that restores: it dies alone, and the node goes on by itself.
IN_CHILD = tuple(place for place in crash.POINTS if place.startswith("restore."))
BY_QUERY = ("verify.answered",)
# Storage commitment that a scanner asks for: see test_commitment.py.
ASKED = ("commitment.asked", "commitment.decided", "commitment.told")
RETENTION = tuple(place for place in crash.POINTS if place.startswith("retention."))
# A person's acts on the quarantine: see tests/unit/worker/test_quarantine.py.
BY_HAND = tuple(place for place in crash.POINTS if place.startswith("quarantine."))
EVERYDAY = tuple(place for place in crash.POINTS if place not in (*RETENTION, *ASKED, *BY_HAND))
# One place of each kind, for `make test`.
FEW = ("spool.stored", "restore.renamed", "deliver.one-stored")

PLACES = [pytest.param(place, marks=[] if place in FEW else [pytest.mark.slow]) for place in EVERYDAY]


@pytest.mark.faults
@pytest.mark.row(3, "the step is done again or found done; the PACS ends with one series under the same UIDs")
@pytest.mark.parametrize("place", PLACES)
def test_row_3_killed_between_two_durable_steps(
    place: str, node: Node, pacs: ScriptedPacs, images: list[Path], tmp_path: Path
) -> None:
    pacs.script.commitment = "never" if place in BY_QUERY else "prompt"
    mark = tmp_path / "died"
    node.environment["THINSLICE_CRASH"] = f"{place}:{mark}"
    node.start()
    scanner = Scanner(node.port)
    scanner.push(images)
    until(f"a process died at {place}", mark.exists)
    node.environment.clear()
    if place not in IN_CHILD:
        assert node.process is not None
        assert node.process.wait(30) == -9
        node.start()
    scanner.push_until_stored(images)
    jobs = check(node, scanner.acknowledged, pacs)
    assert [job.state for job in jobs] == ["verified"]
    assert pacs.holdings() == {jobs[0].derived_series_uid: 21}
