"""The promise of receipt under kills, failing disks and full disks: what was answered 0x0000 is on disk for good."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.receive.spool import Spool
from tests.phantom import chest, write_dicom
from tests.unit.dicom_node.receive.harness import (
    associate,
    ct_slice,
    encoded,
    now,
    running,
    running_process,
    send,
    store,
)

STORED, OUT_OF_RESOURCES = 0x0000, 0xA700

pytestmark = pytest.mark.faults

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt install strace")
needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")


def in_spool(root: Path) -> set[str]:
    """What a restarted node finds."""
    spool = Spool(root, 100)
    spool.clean(lambda _owner: True, now() + timedelta(hours=2))  # the listener is dead, and had no name
    assert list(root.rglob("*.part")) == []
    return {each.sop_instance_uid for each in spool.scan()}


def acknowledged(address: tuple[str, int], slices: list[Dataset]) -> set[str]:
    """Send until the listener dies; the UIDs that it answered 0x0000."""
    association = associate(address)
    association.dimse_timeout = 5
    stored = set()
    for each in slices:
        if not association.is_established or store(association, encoded(each), each.SOPInstanceUID) != STORED:
            break
        stored.add(each.SOPInstanceUID)
    association.abort()
    return stored


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.2])
def test_a_kill_in_the_middle_of_an_association_loses_nothing_acknowledged(tmp_path: Path, delay_s: float) -> None:
    slices = [ct_slice(number, rows=256) for number in range(1, 400)]
    with running_process(tmp_path) as (process, port):
        killer = subprocess.Popen(["/bin/sh", "-c", f"sleep {delay_s}; kill -9 {process.pid}"])
        stored = acknowledged(("127.0.0.1", port), slices)
        killer.wait()
        assert process.wait(timeout=5) == -signal.SIGKILL
    assert stored <= in_spool(tmp_path)
    assert len(stored) < len(slices)
    with running_process(tmp_path) as (_, port):
        assert set(send(("127.0.0.1", port), *slices[:20])) == {STORED}


# The system calls of one C-STORE, in order; the listener dies on entering the n-th of its kind after its start.
@needs_strace
@pytest.mark.parametrize(
    ("call", "nth", "on_disk"),
    [("fsync", 1, 0), ("fsync", 2, 0), ("rename", 1, 0), ("fsync", 3, 1), ("fsync", 4, 1), ("rename", 2, 1)],
)
def test_a_kill_at_each_durable_step_leaves_a_whole_file_or_none(
    tmp_path: Path, call: str, nth: int, on_disk: int
) -> None:
    with running_process(tmp_path) as (process, port):
        tracer = traced(process.pid, f"inject={call}:signal=KILL:when={nth}", tmp_path / "trace")
        stored = acknowledged(("127.0.0.1", port), [ct_slice(1), ct_slice(2)])
        process.wait(timeout=10)
        tracer.wait(timeout=10)
    found = in_spool(tmp_path)
    assert stored <= found
    assert len(found) == on_disk


@needs_strace
def test_the_answer_leaves_after_file_rename_and_folders_are_synced(tmp_path: Path) -> None:
    root, log = tmp_path / "spool", tmp_path / "trace"
    with running_process(root) as (process, port):
        tracer = traced(process.pid, "trace=fsync,rename,sendto", log)
        assert send(("127.0.0.1", port), ct_slice()) == [STORED]
        process.kill()
        tracer.wait(timeout=10)
    steps = []
    for line in log.read_text().splitlines():
        if made := re.search(r"fsync\(\d+<(.*)>\)", line):
            steps.append("fsync " + re.sub(r"[0-9a-f]{32}", "*", str(Path(made[1]).relative_to(root))))
        elif "rename(" in line:
            steps.append("rename")
        elif re.search(r'sendto\(\d+<[^>]*>, "\\4\\0', line):  # a P-DATA-TF PDU (PS3.8 9.3.5): the answer
            steps.append("answer")
    assert steps == ["fsync series", "fsync incoming/*.part", "rename", "fsync series/*", "answer"]


@needs_strace
@pytest.mark.parametrize("call", ["fsync", "rename", "write"])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_a_failing_disk_is_answered_with_out_of_resources_until_it_heals(tmp_path: Path, call: str, fault: str) -> None:
    first, second = ct_slice(1), ct_slice(2)
    with running_process(tmp_path) as (process, port):
        assert send(("127.0.0.1", port), first) == [STORED]
        tracer = traced(process.pid, f"inject={call}:error={fault}:when=1", tmp_path / "trace")
        association = associate(("127.0.0.1", port))  # strace counts calls per thread, and this one has its own
        assert store(association, encoded(second), second.SOPInstanceUID) == OUT_OF_RESOURCES
        assert list(tmp_path.rglob("*.part")) == []
        assert store(association, encoded(second), second.SOPInstanceUID) == STORED
        association.release()
        process.kill()
        tracer.wait(timeout=10)
    assert in_spool(tmp_path) == {first.SOPInstanceUID, second.SOPInstanceUID}


@needs_strace
@pytest.mark.parametrize("nth", [1, 2, 3], ids=["folder above", "file", "folder"])
def test_no_failing_sync_is_acknowledged(tmp_path: Path, nth: int) -> None:
    """Row 9: EIO at each fsync of one C-STORE. A file whose folder cannot be synced may be there, but is no promise."""
    slice_ = ct_slice(1)
    with running_process(tmp_path) as (process, port):
        tracer = traced(process.pid, f"inject=fsync:error=EIO:when={nth}", tmp_path / "trace")
        association = associate(("127.0.0.1", port))
        assert store(association, encoded(slice_), slice_.SOPInstanceUID) == OUT_OF_RESOURCES
        assert list(tmp_path.rglob("*.part")) == []
        assert store(association, encoded(slice_), slice_.SOPInstanceUID) == STORED
        association.release()
        process.kill()
        tracer.wait(timeout=10)
    assert in_spool(tmp_path) == {slice_.SOPInstanceUID}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@needs_mount
@pytest.mark.parametrize("disk_full_percent", [100, 80])
def test_a_full_disk_refuses_loses_nothing_and_recovers_by_itself(small_disk: Path, disk_full_percent: float) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    slices = [ct_slice(number, rows=512) for number in range(1, 9)]  # 0.5 MiB each
    with running(small_disk / "spool", disk_full_percent=disk_full_percent) as listener:
        statuses = send(listener.address, *slices)
        assert set(statuses) == {STORED, OUT_OF_RESOURCES}
        stored = {each.SOPInstanceUID for each, status in zip(slices, statuses, strict=True) if status == STORED}
        used = shutil.disk_usage(small_disk)
        assert 100 * used.used / used.total <= disk_full_percent
        assert stored == {each.sop_instance_uid for each in Spool(small_disk / "spool", 100).scan()}
        ballast.unlink()
        refused = next(each for each in slices if each.SOPInstanceUID not in stored)
        assert send(listener.address, refused) == [STORED]
    assert in_spool(small_disk / "spool") == stored | {refused.SOPInstanceUID}


@needs_mount
def test_a_disk_that_fills_in_the_middle_of_a_series_is_told_to_dcmtk_and_the_repeat_completes_it(
    small_disk: Path, tmp_path: Path
) -> None:
    """Row 7: storescu ends at the first 0xA700; once there is room, sending the whole series again loses nothing."""
    images = write_dicom(chest(shape=(36, 128, 128), pixel_mm=2.7).thick, tmp_path / "input")  # 8 slices of 32 KiB
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((4 << 20) - (150 << 10)))
    with running(small_disk / "spool") as listener:
        host, port = listener.address
        command = ["/usr/bin/storescu", "-R", "-xe", "-v", "-aec", "THINSLICE", host, str(port), *map(str, images)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert told.returncode != 0
        output = told.stdout + told.stderr
        assert re.search(r"(?i)out ?of ?resources", output)
        acknowledged_ = len(re.findall(r"Received Store Response \(Success\)", output))
        assert 0 < acknowledged_ < len(images)
        assert len(list(Spool(small_disk / "spool", 100).scan())) == acknowledged_
        ballast.unlink()
        assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    assert len(in_spool(small_disk / "spool")) == len(images)


def test_two_series_from_four_senders_at_once_arrive_whole(tmp_path: Path) -> None:
    with running_process(tmp_path) as (_, port), ThreadPoolExecutor(4) as senders:
        batches = [[ct_slice(number, series=series) for number in range(1, 11)] for series in "abab"]
        for statuses in senders.map(lambda batch: send(("127.0.0.1", port), *batch), batches):
            assert statuses == [STORED] * 10
    assert in_spool(tmp_path) == {each.SOPInstanceUID for batch in batches for each in batch}


def traced(pid: int, expression: str, log: Path) -> subprocess.Popen[str]:
    """Strace, attached to all threads of a listener, with a fault to inject or calls to write down."""
    command = ["strace", "-f", "-y", "-p", str(pid), "-e", expression, "-o", str(log)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    while "attached" not in (line := tracer.stderr.readline()):
        assert line, "strace could not attach"
    time.sleep(0.2)
    return tracer
