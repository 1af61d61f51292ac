"""What could not be read is listed, tried again, taken out and removed; no name leads out of its folder."""

import json
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from dicom_node.errors import InputError
from dicom_node.ledger import queries
from dicom_node.receive import quarantine as folder_of
from dicom_node.receive.quarantine import by_prefix, find, newest
from tests.unit.dicom_node.receive.harness import ROOT
from tests.unit.worker.nodes import open_at
from tests.unit.worker.quarantined import NOON, REASON, set_aside
from tests.unit.worker.test_cli_act import admin
from worker import quarantine
from worker.wiring import Node

WHY = "for the test"
# A program that dies in the middle of an act.
DYING = """
import sys
from itertools import product
from pathlib import Path
from dicom_node.receive.quarantine import find
from worker import quarantine
from worker.settings import load
from worker.wiring import open_node
node = open_node(load(Path(sys.argv[1])), "tests")
getattr(quarantine, sys.argv[2])(node, find(node.settings.receive.spool, sys.argv[3]), "why")
"""
OUTSIDE = ("..", "../../settings.toml", "../series", "a" * 63, "A" * 64, "a" * 64 + "/..", "", "a" * 64 + "\0", "~")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return open_at(tmp_path)


def left(node: Node) -> list[str]:
    return sorted(path.name for path in (node.settings.receive.spool / "quarantine").iterdir())


def told(node: Node, digest: str) -> list[str]:
    return [row.event for row in queries.audit_of(node.database, [f"quarantine:{digest[:32]}"])]


def test_the_newest_come_first_with_who_when_why_and_how_large(node: Node) -> None:
    digests = [set_aside(node, number) for number in range(3)]
    for age, digest in enumerate(digests):
        path = node.settings.receive.spool / "quarantine" / f"{digest}.json"
        os.utime(path, (NOON.timestamp() - age, NOON.timestamp() - age))
    items, count = newest(node.settings.receive.spool, 2)
    assert ([item.name for item in items], count) == (digests[:2], 3)
    first = items[0]
    assert (first.calling_ae, first.peer_ip, first.reason, first.received_at) == ("CT1", "10.0.0.1", REASON, NOON)
    assert first.size == (node.settings.receive.spool / "quarantine" / f"{first.name}.dcm").stat().st_size


def test_a_damaged_note_and_what_is_none_of_ours_do_no_harm(node: Node) -> None:
    digest = set_aside(node)
    kept = node.settings.receive.spool / "quarantine"
    (kept / f"{digest}.json").write_bytes(b"\xff{")
    (kept / "notes.json").write_text("{}")
    (kept / f"{'e' * 64}.json").write_text("[1]")
    items, count = newest(node.settings.receive.spool, 9)
    assert {item.name: item.reason for item in items} == {digest: folder_of.DAMAGED, "e" * 64: folder_of.DAMAGED}
    assert count == 2


def test_no_name_leads_out_of_the_folder(node: Node) -> None:
    set_aside(node)
    for look, name in product((find, by_prefix), OUTSIDE):
        with pytest.raises(InputError):
            look(node.settings.receive.spool, name)


def test_what_can_be_read_now_goes_the_way_of_every_image(node: Node) -> None:
    digest = set_aside(node)
    item = find(node.settings.receive.spool, digest)
    assert quarantine.retry(node, item, WHY).done
    assert left(node) == []
    assert told(node, digest) == ["quarantine.retried"]
    (series,) = queries.find_series(node.database, "1")
    assert (series.instances, series.calling_ae) == (1, "CT1")
    with pytest.raises(InputError, match="there is no such file"):
        find(node.settings.receive.spool, digest)


def test_what_cannot_be_read_still_stays_as_it_is(node: Node) -> None:
    digest = set_aside(node, cut=True)
    before = left(node)
    outcome = quarantine.retry(node, find(node.settings.receive.spool, digest), WHY)
    assert (outcome.done, "PixelData is cut short" in outcome.said) == (False, True)
    assert left(node) == before
    assert told(node, digest) == []


@pytest.mark.parametrize("place", ["quarantine.stored", "quarantine.entered", "quarantine.noted"])
def test_killed_in_the_middle_it_is_done_again_without_loss(node: Node, tmp_path: Path, place: str) -> None:
    digest = set_aside(node)
    act = "remove" if place == "quarantine.noted" else "retry"
    command = [sys.executable, "-c", DYING, str(tmp_path / "settings.toml"), act, digest]
    environment = os.environ | {"THINSLICE_CRASH": f"{place}:{tmp_path}/died"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert left(node) == [f"{digest}.dcm", f"{digest}.json"]
    getattr(quarantine, act)(node, find(node.settings.receive.spool, digest), WHY)
    assert left(node) == []
    assert len(list((node.settings.receive.spool / "series").rglob("*.dcm"))) == (act == "retry")
    assert [item.instances for item in queries.find_series(node.database, "1")] == ([1] if act == "retry" else [])


def test_an_admin_lists_takes_out_and_removes(node: Node, tmp_path: Path) -> None:
    digest = set_aside(node)
    assert digest[:16] in admin(node, "quarantine", "list").output
    assert json.loads(admin(node, "quarantine", "list", "--json").output)["files"][0]["name"] == digest
    out = tmp_path / "out.dcm"
    assert "may name a patient" in admin(node, "quarantine", "export", digest[:8], str(out), "--reason", WHY).output
    assert out.read_bytes()[128:132] == b"DICM"
    assert out.stat().st_mode & 0o777 == 0o600
    again = admin(node, "quarantine", "export", digest[:8], str(out), "--reason", WHY)
    assert isinstance(again.exception, InputError)
    assert admin(node, "quarantine", "remove", digest[:8], "--reason", WHY, answer="n\n").exit_code == 1
    assert left(node)
    assert "removed" in admin(node, "quarantine", "remove", digest[:8], "--reason", WHY, "--yes").output
    assert left(node) == []
    assert told(node, digest) == ["quarantine.exported", "quarantine.removed"]
    assert admin(node, "quarantine", "list").output == "Quarantine is empty.\n"


def test_a_conflict_has_no_file_of_its_own(node: Node) -> None:
    name = f"{'a' * 64}-{'b' * 64}"
    (node.settings.receive.spool / "quarantine" / f"{name}.json").write_text('{"reason": "conflict: two contents"}')
    item = find(node.settings.receive.spool, name)
    assert (item.is_conflict, item.size) == (True, None)
    with pytest.raises(InputError, match="no file of its own"):
        quarantine.taken_out(node, item, WHY)
    assert quarantine.remove(node, item, WHY).done
    assert left(node) == []
