"""Derived series on disk: deterministic, durable, marked, and proven when read back."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.derive.attributes import RULES, Action
from dicom_node.derive.conformance import check
from dicom_node.derive.manifest import MANIFEST, load_series
from dicom_node.derive.plan import series_description
from dicom_node.derive.writer import write_series
from dicom_node.errors import ConformanceError, InputError, StorageError
from dicom_node.records import DerivedSeries, ThickSeries
from dicom_node.settings import DeriveSettings
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, instance_uid, series_uid
from sr_engine.volume import ModelIdentity
from tests.unit.dicom_node.derive.samples import CUBIC, NETWORK, thick_series, thin_volume, write_source

NOW = datetime(2026, 11, 21, 7, 30, 15, tzinfo=UTC)


@pytest.fixture
def thick(tmp_path: Path) -> ThickSeries:
    return thick_series(write_source(tmp_path / "source"))


def write(thick: ThickSeries, folder: Path, model: ModelIdentity = NETWORK, now: datetime = NOW) -> DerivedSeries:
    return write_series(thick, thin_volume(thick, model=model), "job", DeriveSettings(), folder, now)


def slices(derived: DerivedSeries) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(instance.path) for instance in derived.instances]


def test_equal_arguments_make_byte_identical_files(thick: ThickSeries, tmp_path: Path) -> None:
    """A retry of the same job sends the same bytes under the same UIDs (promise P4)."""
    first, second = write(thick, tmp_path / "a"), write(thick, tmp_path / "b")
    for one, other in zip(first.instances, second.instances, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
    assert (first.folder / MANIFEST).read_bytes() == (second.folder / MANIFEST).read_bytes()


def test_uids_follow_from_the_job_and_files_from_the_instance_number(thick: ThickSeries, tmp_path: Path) -> None:
    derived = write(thick, tmp_path / "out")
    assert derived.series_instance_uid == series_uid("job")
    assert [one.sop_instance_uid for one in derived.instances] == [instance_uid("job", k) for k in range(16)]
    assert [one.path.name for one in derived.instances] == [f"{number:04d}.dcm" for number in range(1, 17)]
    assert [image.InstanceNumber for image in slices(derived)] == list(range(1, 17))


def test_every_slice_conforms_and_holds_only_what_the_table_lets_out(thick: ThickSeries, tmp_path: Path) -> None:
    images = slices(write(thick, tmp_path / "out"))
    check(images)
    for element in images[1]:
        assert RULES[element.keyword].action is not Action.DROPPED
    assert images[1].file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def test_a_slice_says_that_it_is_derived_how_by_what_and_from_what(thick: ThickSeries, tmp_path: Path) -> None:
    """Promise P9."""
    images = slices(write(thick, tmp_path / "out"))
    on_thick, between = images[5], images[6]
    assert list(between.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert between.SeriesDescription == "THORAX 5.0 TVSRN-V2 1.0mm AI DERIVED"
    assert "artificial intelligence" in between.DerivationDescription
    assert NETWORK.digest in between.DerivationDescription
    assert "Not for primary diagnosis" in between.ImageComments
    assert between.ContentQualification == "RESEARCH"
    scanner, model = between.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.PurposeOfReferenceCodeSequence[0].CodeValue) == ("ACME", "109101")
    assert (model.ManufacturerModelName, model.PurposeOfReferenceCodeSequence[0].CodeValue) == ("TVSRN-V2", "109102")
    named = [item.ReferencedSOPInstanceUID for item in between.SourceImageSequence]
    assert named == [thick.slices[1].sop_instance_uid, thick.slices[2].sop_instance_uid]
    assert [item.ReferencedSOPInstanceUID for item in on_thick.SourceImageSequence] == named[:1]
    assert between.ReferencedSeriesSequence[0].SeriesInstanceUID == thick.slices[0].series_instance_uid


def test_interpolation_is_not_called_ai(thick: ThickSeries, tmp_path: Path) -> None:
    image = slices(write(thick, tmp_path / "out", model=CUBIC))[0]
    assert image.SeriesDescription == "THORAX 5.0 CUBIC 1.0mm DERIVED"
    assert "no learned model" in image.DerivationDescription


def test_the_model_is_told_apart_by_its_weights(thick: ThickSeries, tmp_path: Path) -> None:
    """IHE AIR: DeviceUID changes whenever the model does."""
    other = replace(NETWORK, digest="cd" * 32)
    one = slices(write(thick, tmp_path / "a"))[0].ContributingEquipmentSequence[1].DeviceUID
    two = slices(write(thick, tmp_path / "b", model=other))[0].ContributingEquipmentSequence[1].DeviceUID
    assert one != two


def test_pixels_are_hounsfield_units_in_the_right_slice(thick: ThickSeries, tmp_path: Path) -> None:
    thin = thin_volume(thick)
    images = slices(write(thick, tmp_path / "out"))
    for image, expected in zip(images, thin.volume.voxels, strict=True):
        np.testing.assert_array_equal(image.pixel_array, np.rint(expected))


def test_positions_at_thick_slices_are_those_of_the_source(tmp_path: Path) -> None:
    """Also where the source counts downwards."""
    thick = thick_series(write_source(tmp_path / "source", rising=False))
    images = slices(write(thick, tmp_path / "out"))
    positions = [tuple(map(float, image.ImagePositionPatient)) for image in images]
    assert positions[::5] == [header.position for header in reversed(thick.slices)]


def test_dates_and_times_are_one_moment_in_the_time_zone_of_the_source(tmp_path: Path) -> None:
    """TimezoneOffsetFromUTC governs every date and time of the data set (C.12.1)."""
    thick = thick_series(write_source(tmp_path / "source", TimezoneOffsetFromUTC="-0930"))
    image = slices(write(thick, tmp_path / "out"))[0]
    assert (image.SeriesDate, image.SeriesTime) == ("20261120", "220015.000000")
    assert image.ContentTime == image.InstanceCreationTime == image.SeriesTime
    assert len({one.SeriesTime for one in slices(write(thick, tmp_path / "out"))}) == 1


def test_without_a_zone_in_the_source_the_given_zone_is_kept(thick: ThickSeries, tmp_path: Path) -> None:
    image = slices(write(thick, tmp_path / "out", now=NOW.astimezone(timezone(timedelta(hours=1)))))[0]
    assert (image.SeriesTime, image.get("TimezoneOffsetFromUTC")) == ("083015.000000", None)


def test_names_in_other_scripts_survive(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", SpecificCharacterSet="ISO_IR 144", PatientName="Иванов^Иван")
    image = slices(write(thick_series(source), tmp_path / "out"))[0]
    assert image.PatientName == "Иванов^Иван"
    assert image.SpecificCharacterSet == "ISO_IR 192"


def test_odd_source_values_neither_stop_us_nor_show_up_in_warnings(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """A warning would quote the value (promise P8)."""
    with pydicom.config.disable_value_validation():
        source = write_source(
            tmp_path / "source",
            PatientAge="45",
            PatientSex="Female",
            BodyPartExamined="Thorax_Routine",
            StudyTime="noon",
        )
    folder = tmp_path / "out"
    thick = thick_series(source)
    recwarn.clear()
    write(thick, folder)
    assert [str(warning.message) for warning in recwarn] == []
    image = pydicom.dcmread(folder / "0001.dcm")
    assert (image.BodyPartExamined, image.PatientSex, image.StudyTime) == ("THORAX_ROUTINE", "", "")


def test_an_unusual_name_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Highdicom logs a name without caret when it is given one (promise P8)."""
    source = write_source(tmp_path / "source", PatientName="ODDNAME")
    with caplog.at_level(0):
        write(thick_series(source), tmp_path / "out")
    assert "ODDNAME" not in caplog.text


def test_synthetic_data_stay_synthetic(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", SyntheticData="YES")
    assert slices(write(thick_series(source), tmp_path / "out"))[0].SyntheticData == "YES"


def test_a_source_without_frame_of_reference_is_refused(tmp_path: Path) -> None:
    thick = thick_series(write_source(tmp_path / "source"))
    for header in thick.slices:
        source = pydicom.dcmread(header.path)
        source.FrameOfReferenceUID = ""
        source.save_as(header.path)
    with pytest.raises(InputError, match="FrameOfReferenceUID"):
        write(thick, tmp_path / "out")


def test_a_source_file_that_vanished_is_a_storage_error(thick: ThickSeries, tmp_path: Path) -> None:
    thin = thin_volume(thick)
    thick.slices[2].path.unlink()
    with pytest.raises(StorageError, match="Source slice 3"):
        write_series(thick, thin, "job", DeriveSettings(), tmp_path / "out", NOW)


def test_a_broken_volume_leaves_no_manifest(thick: ThickSeries, tmp_path: Path) -> None:
    """Without manifest the folder is no result."""
    thin = thin_volume(thick)
    thin.volume.voxels[7, 0, 0] = np.nan
    with pytest.raises(ConformanceError):
        write_series(thick, thin, "job", DeriveSettings(), tmp_path / "out", NOW)
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_progress_counts_every_slice(thick: ThickSeries, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_series(
        thick, thin_volume(thick), "job", DeriveSettings(), tmp_path / "out", NOW, lambda *step: seen.append(step)
    )
    assert seen == [(number, 16) for number in range(1, 17)]


def test_a_series_read_back_equals_the_one_written_after_its_folder_was_renamed(
    thick: ThickSeries, tmp_path: Path
) -> None:
    written = write(thick, tmp_path / "1.part")
    (tmp_path / "1.part").rename(tmp_path / "1")
    read = load_series(tmp_path / "1")
    assert read.check == written.check
    assert [one.sha256 for one in read.instances] == [one.sha256 for one in written.instances]
    assert all(hashlib.sha256(one.path.read_bytes()).hexdigest() == one.sha256 for one in read.instances)


@pytest.mark.parametrize("damage", ["flip", "delete", "manifest", "no manifest"])
def test_a_damaged_series_is_not_read_back(thick: ThickSeries, tmp_path: Path, damage: str) -> None:
    derived = write(thick, tmp_path / "out")
    victim = derived.instances[3].path
    if damage == "flip":
        content = bytearray(victim.read_bytes())
        content[-1] ^= 1
        victim.write_bytes(content)
    elif damage == "delete":
        victim.unlink()
    elif damage == "manifest":
        (derived.folder / MANIFEST).write_text("{", encoding="utf-8")
    else:
        (derived.folder / MANIFEST).unlink()
    with pytest.raises(StorageError, match="restore the series again"):
        load_series(derived.folder)


def test_the_manifest_names_nobody(thick: ThickSeries, tmp_path: Path) -> None:
    """Promise P8."""
    derived = write(thick, tmp_path / "out")
    content = (derived.folder / MANIFEST).read_text(encoding="utf-8")
    assert "SAMPLE" not in content
    assert json.loads(content)["model"]["title"] == "TVSRN-V2"


@pytest.mark.parametrize("source", ["", "x" * 64, "ü" * 64, "THORAX 5.0"])
@pytest.mark.parametrize("model", [NETWORK, CUBIC, replace(NETWORK, title="A very long name of a network" * 3)])
def test_the_description_never_loses_its_marking(source: str, model: ModelIdentity) -> None:
    text = series_description(source, model, 0.625, "AI DERIVED")
    assert len(text) <= 64
    assert text.endswith("DERIVED")
    assert model.title.upper()[:24] in text
