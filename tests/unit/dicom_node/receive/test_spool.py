"""The spool keeps what it takes, under names of its own, and finds it again."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.errors import SettingsError, StorageError
from dicom_node.receive.part10 import read_identity
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance
from tests.unit.dicom_node.receive.harness import ROOT, ct_slice, encoded
from worker.owner import is_gone

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def stored(spool: Spool, number: int = 1, **changes: object) -> ReceivedInstance:
    data_set = encoded(ct_slice(number, **changes))
    identity = read_identity(data_set, ExplicitVRLittleEndian)
    return spool.store(data_set, identity, calling_ae="SCANNER", peer_ip="10.0.0.1", now=NOON)


def files(root: Path, pattern: str) -> list[Path]:
    return sorted(root.rglob(pattern))


def test_the_bytes_lie_in_the_file_as_they_were_sent(tmp_path: Path):
    instance = stored(Spool(tmp_path, 100))
    assert instance.path.read_bytes().endswith(encoded(ct_slice()))
    assert instance.size == instance.path.stat().st_size
    assert instance.received_at == NOON
    assert files(tmp_path, "*.part") == []


def test_names_are_hashes_and_open_to_the_owner_alone(tmp_path: Path):
    instance = stored(Spool(tmp_path, 100))
    relative = instance.path.relative_to(tmp_path).as_posix()
    assert set(relative.removeprefix("series/").removesuffix(".dcm")) <= set("0123456789abcdef/-")
    assert ct_slice().SOPInstanceUID not in relative
    assert "SECRET" not in relative
    assert instance.path.stat().st_mode & 0o777 == 0o600
    assert instance.path.parent.stat().st_mode & 0o777 == 0o700


def test_sending_again_changes_nothing(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    assert stored(spool) == stored(spool)
    assert len(files(tmp_path, "*.dcm")) == 1


def test_other_bytes_under_the_same_uid_are_kept_beside(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    first, second = stored(spool), stored(spool, Rows=4)
    assert first.sop_instance_uid == second.sop_instance_uid
    assert first.path.parent == second.path.parent
    assert {each.sha256 for each in spool.scan()} == {first.sha256, second.sha256}


def test_a_scan_rebuilds_every_instance_but_the_peers_address(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    instances = [stored(spool, number, series=series) for number in (1, 2) for series in ("a", "b")]
    found = {each.path: each for each in Spool(tmp_path, 100).scan()}
    assert set(found) == {each.path for each in instances}
    for each in instances:
        assert found[each.path].peer_ip == ""
        assert vars(found[each.path]) | {"peer_ip": "10.0.0.1"} == vars(each)


def test_a_scan_moves_a_damaged_file_to_quarantine_and_goes_on(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    damaged, whole = stored(spool, 1), stored(spool, 2)
    damaged.path.write_bytes(bytes(1000))
    assert [each.path for each in spool.scan()] == [whole.path]
    assert not damaged.path.exists()
    (kept,) = files(tmp_path / "quarantine", "*.dcm")
    assert kept.read_bytes() == bytes(1000)


def test_a_scan_leaves_a_file_alone_that_is_not_ours(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    foreign = stored(spool).path.with_name("notes.dcm")
    foreign.write_text("hello")
    assert len(list(spool.scan())) == 1
    assert foreign.exists()


def test_cleaning_removes_what_a_crash_left_and_nothing_else(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    kept = stored(spool).path
    parts = {name: tmp_path / "incoming" / f"{name}~ab12.part" for name in ("host~boot~1~2.5", "host~boot~2~3.5", "")}
    for part in parts.values():
        part.write_bytes(b"half")
    now = datetime.now(UTC)
    assert spool.clean(lambda owner: owner == "host/boot/1/2.5", now) == 1
    assert files(tmp_path, "*.part") == sorted([parts["host~boot~2~3.5"], parts[""]])
    assert spool.clean(lambda _owner: False, now + timedelta(hours=2)) == 2
    assert files(tmp_path, "*.part") == []
    assert kept.exists()


WRITER_THAT_DIES = """
import sys
from pathlib import Path
from dicom_node import crash
from dicom_node.receive.spool import Spool
from tests.unit.dicom_node.receive.test_spool import stored
from worker.owner import this_owner

root = Path(sys.argv[1])
crash.arm("spool.part-written", root / "mark")
stored(Spool(root, 100, this_owner()))
"""


def test_what_a_killed_writer_left_is_cleaned_at_once_by_its_name(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", WRITER_THAT_DIES, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(files(tmp_path, "*.part")) == 1
    spool = Spool(tmp_path, 100)
    assert spool.clean(lambda _owner: False, datetime.now(UTC)) == 0
    assert spool.clean(is_gone, datetime.now(UTC)) == 1
    assert files(tmp_path, "*.part") == []
    assert list(spool.scan()) == []


def test_quarantine_keeps_the_bytes_once_with_the_reason_beside_them(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    for _ in range(2):
        path = spool.quarantine(
            b"noise", "it is noise", calling_ae="SCANNER", peer_ip="10.0.0.1", transfer_syntax_uid="1.2", now=NOON
        )
    assert path.read_bytes() == b"noise"
    assert json.loads(path.with_suffix(".json").read_text())["reason"] == "it is noise"
    assert len(files(tmp_path / "quarantine", "*")) == 2


def test_past_the_watermark_nothing_is_written(tmp_path: Path):
    with pytest.raises(StorageError, match=r"\[receive\]\.disk_full_percent"):
        stored(Spool(tmp_path, disk_full_percent=1e-6))
    assert files(tmp_path, "*.*") == []


def test_a_spool_that_cannot_be_made_names_its_setting(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"\[receive\]\.spool"):
        Spool(tmp_path / "file" / "spool", 95)


def test_a_folder_in_the_way_is_a_storage_error_and_leaves_no_part(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    shutil.rmtree(tmp_path / "series")
    (tmp_path / "series").touch()
    with pytest.raises(StorageError):
        stored(spool)
    assert files(tmp_path, "*.part") == []
