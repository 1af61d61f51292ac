"""Ordering and proving one regular stack."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dicom_node.errors import GeometryError
from dicom_node.records import SliceHeader
from dicom_node.series.geometry import order_stack
from tests.unit.dicom_node.series.samples import SETTINGS, header, stack


def refusal(headers: list[SliceHeader]) -> str:
    with pytest.raises(GeometryError) as caught:
        order_stack("", headers, SETTINGS)
    return str(caught.value)


@given(order=st.permutations(stack(9, 2.5)))
def test_order_of_arrival_changes_nothing(order: list[SliceHeader]):
    """Slices come sorted by position, however they arrived."""
    ordered = order_stack("", order, SETTINGS)
    assert [made.position for made in ordered.slices] == [made.position for made in stack(9, 2.5)]
    assert ordered.step_mm == pytest.approx(2.5)


@given(
    count=st.integers(5, 30),
    step=st.floats(1.0, 10.0),
    start=st.floats(-1000, 1000),
    data=st.data(),
)
def test_a_missing_slice_is_named_by_its_neighbours(count: int, step: float, start: float, data: st.DataObject):
    """Whatever the spacing and place, the sentence names the two slices beside the hole."""
    lost = data.draw(st.integers(1, count - 2))
    headers = stack(count, step, start)
    below, above = (headers[index].position for index in (lost - 1, lost + 1))
    sentence = refusal(headers[:lost] + headers[lost + 1 :])
    assert sentence == f"slice missing between z={below[2]:.10g} and {above[2]:.10g}"


@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), step=st.floats(1.0, 10.0))
def test_a_stack_along_its_own_normal_is_regular_in_any_direction(angles: tuple[float, float, float], step: float):
    """Geometry has no favourite axis; whether a direction is wanted is not its question."""
    turn = Rotation.from_euler("xyz", angles, degrees=True)
    headers = [
        replace(
            made,
            position=tuple(turn.apply(made.position)),
            orientation=(*turn.apply(made.orientation[:3]), *turn.apply(made.orientation[3:])),
        )
        for made in stack(6, step)
    ]
    ordered = order_stack("", headers[::-1], SETTINGS)
    assert ordered.step_mm == pytest.approx(step)
    np.testing.assert_allclose(ordered.normal, turn.apply([0, 0, 1]), atol=1e-9)
    assert [made.sop_instance_uid for made in ordered.slices] == [made.sop_instance_uid for made in headers]


def leaning(angle: float, azimuth: float) -> list[SliceHeader]:
    """Ten slices of upright orientation whose corners move sideways."""
    drift, way = 5 * np.tan(np.radians(angle)), np.radians(azimuth)
    return [
        replace(made, position=(-112 + index * drift * np.cos(way), -112 + index * drift * np.sin(way), 5.0 * index))
        for index, made in enumerate(stack(10))
    ]


@given(angle=st.floats(0.2, 29.9), azimuth=st.floats(0, 360))
def test_an_even_shear_is_kept_and_told(angle: float, azimuth: float):
    """Also the small ones that pass unseen elsewhere: 0.2 degrees are 1 mm over a 300 mm chest."""
    ordered = order_stack("", leaning(angle, azimuth), SETTINGS)
    assert ordered.shear_deg == pytest.approx(angle, abs=1e-6)
    assert ordered.step_mm == pytest.approx(5)


@given(angle=st.floats(30.1, 80.0), azimuth=st.floats(0, 360))
def test_a_shear_above_the_limit_is_refused(angle: float, azimuth: float):
    sentence = refusal(leaning(angle, azimuth))
    told = re.search(r"\(([0-9.]+) degrees against the slice normal\)", sentence)
    assert told is not None
    assert float(told[1]) == pytest.approx(angle, abs=0.051)
    assert sentence.endswith(", more than the 30 degrees of maximum_shear_deg")


def test_a_limit_of_zero_refuses_every_tilt_but_no_upright_stack():
    upright = SETTINGS.model_copy(update={"maximum_shear_deg": 0.0})
    with pytest.raises(GeometryError, match="drift sideways"):
        order_stack("", leaning(0.2, 90), upright)
    assert order_stack("", leaning(0.05, 90), upright).shear_deg == 0


def test_several_missing_slices_are_counted_and_the_first_places_named():
    headers = [header(5.0 * k) for k in range(20) if k not in (2, 5, 6, 9, 14)]
    assert refusal(headers) == (
        "5 slices missing between z=5 and 15, between z=20 and 35, between z=40 and 50 and 1 more places"
    )


def test_a_repeated_position_is_named():
    assert refusal([*stack(6), header(10.0, sop_instance_uid="1.2.3")]) == "more than one slice lies at z=10"


def test_changing_spacing_is_told_with_its_range_and_place():
    headers = stack(5) + [header(20 + 7.0 * k, sop_instance_uid=f"1.9.{k}") for k in range(1, 5)]
    assert refusal(headers) == "slice spacing is not constant: it lies between 5 and 7 mm and first changes at z=20"


def test_spacing_within_the_tolerance_is_regular():
    """Scanners write positions with one decimal or two."""
    headers = [header(round(4.25 * k, 1)) for k in range(40)]
    assert order_stack("", headers, SETTINGS).step_mm == pytest.approx(4.25, abs=0.01)


def test_one_slice_moved_sideways_is_named():
    headers = stack(10)
    headers[4] = replace(headers[4], position=(-111.0, -112.0, 20.0))
    assert refusal(headers) == "slices are displaced sideways, by 1 mm at z=20"


def tilted(angle: float) -> list[SliceHeader]:
    """Slices 5 mm apart along the feed, which is the body's axis, under a tilted gantry."""
    lean = np.radians(angle)
    orientation = (1, 0, 0, 0, float(np.cos(lean)), float(np.sin(lean)))
    return [replace(made, orientation=orientation, gantry_tilt=angle) for made in stack(6)]


def test_gantry_tilt_is_called_by_its_name():
    assert refusal(tilted(33.3)).startswith("gantry tilt: the stack leans 33.3 degrees")


def test_the_step_of_a_tilted_stack_is_measured_along_its_normal():
    """SpacingBetweenSlices and SliceThickness are; the feed is longer."""
    ordered = order_stack("", tilted(20), SETTINGS)
    assert ordered.shear_deg == pytest.approx(20)
    assert ordered.step_mm == pytest.approx(5 * np.cos(np.radians(20)))


def test_a_tilted_stack_with_a_slice_off_its_line_is_refused():
    headers = tilted(20)
    headers[3] = replace(headers[3], position=(-111.0, -112.0, 15.0))
    assert refusal(headers) == "slices are displaced sideways, by 1 mm at z=15"


@pytest.mark.parametrize(
    ("orientation", "reason"),
    [
        ((0, 0, 0, 0, 0, 0), "unit vectors"),
        ((2, 0, 0, 0, 2, 0), "unit vectors"),
        ((1, 0, 0, 0.70710678, 0.70710678, 0), "right angle"),
    ],
)
def test_an_impossible_orientation_is_refused(orientation: tuple[float, ...], reason: str):
    assert reason in refusal(stack(5, orientation=orientation))


def test_missing_values_are_counted():
    headers = stack(5)
    assert refusal([replace(headers[0], position=None), *headers[1:]]) == (
        "1 of 5 slices have no usable ImagePositionPatient"
    )
    assert "ImageOrientationPatient" in refusal([replace(headers[0], orientation=None), *headers[1:]])
    assert refusal([replace(made, slice_thickness=None) for made in headers]) == "SliceThickness is missing"


def test_one_slice_has_no_spacing():
    assert refusal(stack(1)) == "one slice alone has no spacing"
