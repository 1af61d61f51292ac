"""A result taken out of the node: whole, in pieces, under neutral names, and in the audit trail."""

import io
import json
import os
import tracemalloc
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from dicom_node.derive.manifest import write_manifest
from dicom_node.errors import InputError, StorageError
from dicom_node.ledger import jobs, queries
from dicom_node.records import DerivedInstance, DerivedSeries
from sr_engine.volume import ModelIdentity
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_cli_act import admin
from worker import exporting
from worker.wiring import Node

WHY = "for the test"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with one result."""
    node = open_at(tmp_path)
    kept = one_result(tmp_path / "kept")
    jobs.restored(node.database, claimed(node.database, queue(node.database)), kept, {}, [])
    return node


def one_result(folder: Path) -> DerivedSeries:
    """Three files and their manifest."""
    folder.mkdir()
    named = replace(result(), folder=folder, instances=tuple(map(partial(large, folder), result().instances)))
    write_manifest(named, ModelIdentity("cubic", "cubic", "1", "0" * 64, learned=False))
    return named


def large(folder: Path, instance: DerivedInstance) -> DerivedInstance:
    """The same with a file that is larger than a piece."""
    content = os.urandom(3 * exporting.CHUNK)
    path = folder / f"{instance.sop_instance_uid}.dcm"
    path.write_bytes(content)
    return replace(instance, path=path, sha256=sha256(content).hexdigest())


def told(node: Node) -> list[dict[str, object]]:
    rows = queries.audit_of(node.database, ["job:1"])
    return [json.loads(row.detail) for row in rows if row.event == "result.downloaded"]


def test_a_zip_holds_every_file_byte_by_byte_and_is_never_whole_in_memory(node: Node) -> None:
    (job,) = exporting.results_of(node, 1)
    kept = exporting.taken_out(node, job, "a browser", WHY)
    assert told(node) == [{"instances": 3, "to": "a browser", "reason": WHY}]
    tracemalloc.start()
    pieces = [len(piece) for piece in exporting.zipped(kept)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(pieces) < 2 * exporting.CHUNK
    assert peak < sum(pieces) / 2
    with ZipFile(io.BytesIO(b"".join(exporting.zipped(kept)))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            item.path.name: item.path.read_bytes() for item in kept.instances
        }


def test_a_folder_gets_a_copy_once(node: Node, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = admin(node, "export", "1", str(out), "--reason", WHY).output
    assert said.startswith("3 files are in")
    assert len(list(out.iterdir())) == 3
    assert out.stat().st_mode & 0o777 == 0o700
    assert told(node)[0]["to"] == "a folder"
    again = admin(node, "export", "1", str(out), "--reason", WHY)
    assert isinstance(again.exception, InputError)
    assert len(told(node)) == 1


def test_what_is_damaged_or_gone_is_not_given_out(node: Node, tmp_path: Path) -> None:
    (job,) = exporting.results_of(node, 1)
    damaged = sorted((tmp_path / "kept").glob("*.dcm"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-2])
    with pytest.raises(StorageError, match="not what was written"):
        exporting.taken_out(node, job, "a browser", WHY)
    assert told(node) == []
    with pytest.raises(InputError, match="no result"):
        exporting.results_of(node, 2)
