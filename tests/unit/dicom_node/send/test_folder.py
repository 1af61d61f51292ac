"""A folder as a destination: whole files or none, read back."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_node.destinations import FolderDestination
from dicom_node.errors import DestinationError, StorageError
from dicom_node.records import DerivedSeries, InstanceOutcome
from dicom_node.send import folder
from dicom_node.settings import SendSettings
from tests.unit.dicom_node.send.slices import result_of, uids_of


@pytest.fixture
def result(tmp_path: Path) -> DerivedSeries:
    return result_of(tmp_path / "slices")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "watched"
    path.mkdir()
    return path


def store(place: Path, result: DerivedSeries) -> list[InstanceOutcome]:
    outcomes: list[InstanceOutcome] = []
    folder.store(FolderDestination("research", place), "NODE", result.instances, SendSettings(), outcomes.append)
    return outcomes


def held(place: Path, result: DerivedSeries) -> frozenset[str]:
    return folder.held(FolderDestination("research", place), "NODE", result, SendSettings())


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk is to who writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_instance_is_a_file_named_by_its_uids(place: Path, result: DerivedSeries) -> None:
    for _ in range(2):  # however often
        assert store(place, result) == [InstanceOutcome(uid, 0) for uid in uids_of(result)]
    expected = {place / result.series_instance_uid / f"{uid}.dcm" for uid in uids_of(result)}
    assert {path for path in place.rglob("*") if path.is_file()} == expected
    for item in result.instances:
        written = place / item.series_instance_uid / f"{item.sop_instance_uid}.dcm"
        assert written.read_bytes() == item.path.read_bytes()


def test_what_is_damaged_or_gone_is_not_held(place: Path, result: DerivedSeries) -> None:
    assert held(place, result) == frozenset()
    store(place, result)
    assert held(place, result) == set(uids_of(result))
    first, second, *rest = uids_of(result)
    (place / result.series_instance_uid / f"{first}.dcm").unlink()
    with (place / result.series_instance_uid / f"{second}.dcm").open("ab") as file:
        file.write(b"\0")
    assert held(place, result) == set(rest)


def test_a_full_disk_leaves_whole_files_alone(place: Path, result: DerivedSeries) -> None:
    small, large = result.instances[0], result.instances[1]
    large.path.write_bytes(large.path.read_bytes() + bytes(20_000))
    outcomes: list[InstanceOutcome] = []
    destination = FolderDestination("research", place)
    with (
        files_no_larger_than(10_000),
        pytest.raises(DestinationError, match=r"research: .* cannot be written") as error,
    ):
        folder.store(destination, "NODE", result.instances, SendSettings(), outcomes.append)
    assert error.value.retryable
    assert outcomes == [InstanceOutcome(small.sop_instance_uid, 0)]
    assert [path.name for path in place.rglob("*.*") if path.is_file()] == [f"{small.sop_instance_uid}.dcm"]


def test_what_a_killed_writer_left_is_overwritten(place: Path, result: DerivedSeries) -> None:
    series = place / result.series_instance_uid
    series.mkdir()
    (series / f"{uids_of(result)[0]}.part").write_bytes(b"half")
    store(place, result)
    assert list(series.glob("*.part")) == []


def test_a_folder_that_cannot_be_written_says_so() -> None:
    """Nobody, not even root, may write there."""
    destination = FolderDestination("research", Path("/sys"))
    with pytest.raises(DestinationError, match=r"/sys cannot be written \(.+\): give this node's user"):
        folder.echo(destination, "NODE", SendSettings())


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, result: DerivedSeries) -> None:
    """It may be a disk that is not mounted."""
    nowhere = tmp_path / "nowhere"
    for act in (store, held):
        with pytest.raises(DestinationError, match="is not there: mount it, or make it") as error:
            act(nowhere, result)
        assert error.value.retryable
    with pytest.raises(DestinationError, match="is not there"):
        folder.echo(FolderDestination("research", nowhere), "NODE", SendSettings())
    assert not nowhere.exists()


def test_echo_leaves_nothing(place: Path) -> None:
    folder.echo(FolderDestination("research", place), "NODE", SendSettings())
    assert list(place.iterdir()) == []


def test_a_lost_file_of_ours_is_a_storage_error(place: Path, result: DerivedSeries) -> None:
    result.instances[0].path.unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        store(place, result)
