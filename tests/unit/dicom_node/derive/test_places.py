"""Where thin slices lie, and their stored values."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_node.derive.pixels import DEFAULT_CENTERS, stored_values, window
from dicom_node.derive.places import decimal, slice_places
from dicom_node.errors import ConformanceError
from dicom_node.records import ThickSeries
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source


@pytest.fixture
def thick(tmp_path: Path):
    return thick_series(write_source(tmp_path / "source"))


def test_thin_slices_at_thick_positions_have_exactly_the_source_position(thick: ThickSeries):
    places = {place.index: place for place in slice_places(thick, thin_volume(thick), None)}
    assert [places[5 * k].position for k in range(4)] == [header.position for header in thick.slices]
    assert [places[5 * k].sources for k in range(4)] == [(0,), (1,), (2,), (3,)]


def test_slices_between_lie_on_the_line_between_their_neighbours(thick: ThickSeries):
    """Tilt and shear of the source are kept: here the table creeps sideways."""
    crept = [dataclasses.replace(header, position=(0.1 * k, 0.0, 5.0 * k)) for k, header in enumerate(thick.slices)]
    places = slice_places(dataclasses.replace(thick, slices=tuple(crept)), thin_volume(thick), None)
    assert places[1].position == pytest.approx((0.02, 0.0, 1.0))
    assert places[1].sources == (0, 1)


@pytest.mark.parametrize("rising", [True, False])
def test_instance_numbers_run_in_the_direction_of_the_source(tmp_path: Path, rising: bool):
    thick = thick_series(write_source(tmp_path / "source", rising=rising))
    places = slice_places(thick, thin_volume(thick), None)
    assert [place.instance_number for place in places] == list(range(1, 17))
    assert (places[0].index == 0) is rising


def test_slice_location_follows_the_source_where_it_has_one(thick: ThickSeries):
    places = slice_places(thick, thin_volume(thick), (0.0, -5.0, -10.0, -15.0))
    assert [place.location for place in places[:6]] == [0.0, -1.0, -2.0, -3.0, -4.0, -5.0]
    assert slice_places(thick, thin_volume(thick), None)[0].location is None


def test_a_thin_volume_of_another_series_is_refused(thick: ThickSeries, tmp_path: Path):
    other = thick_series(write_source(tmp_path / "other", count=5))
    with pytest.raises(ConformanceError, match="make 16 thin slices, not 21"):
        slice_places(thick, thin_volume(other), None)


@given(st.floats(min_value=-1e6, max_value=1e6, allow_nan=False))
def test_decimals_never_need_more_than_16_characters(value: float):
    assert len(str(decimal(value))) <= 16
    assert float(decimal(value)) == pytest.approx(value, abs=1e-8)


@given(st.lists(st.floats(-40000, 40000, width=32), min_size=1, max_size=20))
def test_stored_values_are_rounded_and_clipped_hounsfield_units(values: list[float]):
    stored = stored_values(np.array([values], np.float32))
    assert stored.dtype == np.int16
    np.testing.assert_array_equal(stored, np.clip(np.rint(np.array([values])), -32768, 32767))


def test_values_that_are_not_finite_are_never_written():
    with pytest.raises(ConformanceError, match="finite"):
        stored_values(np.array([[0, np.nan]], np.float32))


def test_the_source_window_is_kept_with_its_explanations():
    source = Dataset()
    source.WindowCenter, source.WindowWidth = [40, -600], [400, 1500]
    source.WindowCenterWidthExplanation = ["MEDIASTINUM", "LUNG"]
    centers, widths, explanations = window(source)
    assert (list(map(float, centers)), list(map(float, widths))) == ([40, -600], [400, 1500])
    assert explanations == ["MEDIASTINUM", "LUNG"]


@pytest.mark.parametrize(("center", "width"), [(None, None), (40, None), (40, 0), ([40, 50], 400)])
def test_an_illegal_window_is_replaced(center: object, width: object):
    source = Dataset()
    source.WindowCenter, source.WindowWidth = center, width
    assert window(source)[0] == DEFAULT_CENTERS
