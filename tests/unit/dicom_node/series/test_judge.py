"""Splitting, eligibility and conflicts, seen from the one door."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import EnhancedCTImageStorage

from dicom_node.records import SeriesHeld, SeriesSkipped, SliceHeader, ThickSeries
from dicom_node.series.judge import judge
from tests.unit.dicom_node.series.samples import SETTINGS, header, stack

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def told(headers: list[SliceHeader]) -> list[tuple[type, str, int]]:
    return [(type(verdict), verdict.label, len(verdict.slices)) for verdict in judge(headers, SETTINGS)]


def reason(headers: list[SliceHeader]) -> str:
    (verdict,) = judge(headers, SETTINGS)
    assert not isinstance(verdict, ThickSeries)
    return verdict.reason


def held(headers: list[SliceHeader]) -> str:
    assert [kind for kind, _, _ in told(headers)] == [SeriesHeld]
    return reason(headers)


def skipped(headers: list[SliceHeader]) -> str:
    assert [kind for kind, _, _ in told(headers)] == [SeriesSkipped]
    return reason(headers)


def two(first: dict[str, object], second: dict[str, object], **where: float) -> list[SliceHeader]:
    return stack(6, **first) + stack(6, **where, **second)


@given(
    flaws=st.lists(
        st.sampled_from(
            [
                {},
                {"modality": "MR"},
                {"rows": 32},
                {"orientation": CORONAL},
                {"convolution_kernel": ("LUNG",)},
                {"acquisition_number": 2},
                {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
                {"image_type": ("DERIVED", "SECONDARY", "AXIAL")},
                {"problems": ("Rows or Columns is missing or zero",)},
                {"slice_thickness": None, "problems": ("SliceThickness is missing",)},
                {"position": None, "problems": ("ImagePositionPatient is missing",)},
                {"frames": 7},
                {"study_instance_uid": "1.2.3"},
            ]
        ),
        min_size=1,
        max_size=24,
    ),
    data=st.data(),
)
def test_every_slice_ends_in_exactly_one_verdict_whatever_the_order(flaws: list[dict], data: st.DataObject):
    """P3: nothing is dropped silently; equal input gives equal verdicts."""
    headers = [header(5.0 * index, **flaw) for index, flaw in enumerate(flaws)]
    verdicts = judge(headers, SETTINGS)
    judged = [made.sop_instance_uid for verdict in verdicts for made in verdict.slices]
    assert sorted(judged) == sorted(made.sop_instance_uid for made in headers)
    assert judge(data.draw(st.permutations(headers)), SETTINGS) == verdicts


def test_a_good_series_is_one_stack_without_a_label():
    assert told(stack(10)) == [(ThickSeries, "", 10)]


def test_the_same_instance_twice_counts_once():
    assert told([*stack(10), stack(10)[3]]) == [(ThickSeries, "", 10)]


def test_one_uid_with_two_contents_is_held():
    headers = stack(10)
    assert "two different contents" in held([*headers, replace(headers[3], sha256="another")])


@pytest.mark.parametrize(("field", "word"), [("patient_key", "patient"), ("study_instance_uid", "study")])
def test_two_patients_or_studies_in_one_series_are_held(field: str, word: str):
    headers = stack(10)
    assert f"more than one {word}" in held([*headers[:9], replace(headers[9], **{field: "1.2.3"})])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"rows": 32, "columns": 32}, "matrix 32 x 32, the rest matrix 64 x 64"),
        ({"pixel_spacing": (3.0, 3.0)}, "pixel spacing 3 mm, the rest pixel spacing 3.5 mm"),
        ({"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)}, "orientation"),
        ({"frame_of_reference_uid": "1.2.3"}, "frame of reference"),
        ({"convolution_kernel": ("LUNG",)}, "kernel LUNG, the rest kernel STANDARD"),
        ({"slice_thickness": 2.5}, "thickness 2.5 mm, the rest thickness 5 mm"),
    ],
)
@pytest.mark.parametrize("where", [0, 5, 9])
def test_a_stray_slice_holds_the_series(change: dict[str, object], word: str, where: int):
    """Also at an end, where the rest would look whole without it."""
    headers = stack(10)
    headers[where] = replace(headers[where], **change)
    sentence = held(headers)
    assert sentence.startswith("1 of 10 slices do not belong to the rest")
    assert word in sentence


def test_two_kernels_over_the_same_lungs_are_two_stacks():
    assert told(two({"convolution_kernel": ("STANDARD",)}, {"convolution_kernel": ("LUNG",)})) == [
        (ThickSeries, "kernel LUNG", 6),
        (ThickSeries, "kernel STANDARD", 6),
    ]


def test_labels_are_distinct_even_where_texts_read_alike():
    both = two({"convolution_kernel": ("A<",)}, {"convolution_kernel": ("A>",)})
    assert told(both) == [(ThickSeries, "kernel A", 6), (ThickSeries, "kernel A (2)", 6)]


def test_a_kernel_that_changes_along_the_body_holds_the_series():
    """Two half lungs would each look like a whole stack."""
    assert "changes along the body" in held(two({}, {"convolution_kernel": ("LUNG",)}, start=30.0))


def test_kernels_that_alternate_hold_the_series():
    both = stack(6, 10.0) + stack(6, 10.0, 5.0, convolution_kernel=("LUNG",))
    assert "changes along the body" in held(both)


def test_axial_and_coronal_sets_are_judged_apart():
    both = stack(10) + [
        replace(made, orientation=CORONAL, position=(-112.0, 5.0 * index, 112.0))
        for index, made in enumerate(stack(10, convolution_kernel=("STANDARD",)))
    ]
    assert sorted((kind.__name__, size) for kind, _, size in told(both)) == [("SeriesSkipped", 10), ("ThickSeries", 10)]


def test_a_localizer_is_set_aside():
    both = [*stack(10), header(3.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), orientation=CORONAL)]
    assert told(both) == [(SeriesSkipped, "set aside: a localizer", 1), (ThickSeries, "", 10)]


def test_step_and_shoot_acquisitions_stay_one_stack():
    """Such a scanner counts AcquisitionNumber up with every table position."""
    assert told([replace(made, acquisition_number=index // 2) for index, made in enumerate(stack(12))]) == [
        (ThickSeries, "", 12)
    ]


def test_a_gap_in_step_and_shoot_is_held_and_not_split_away():
    headers = [replace(made, acquisition_number=index // 4) for index, made in enumerate(stack(16))]
    assert held(headers[:6] + headers[7:]) == "slice missing between z=25 and 35"


def test_overlapping_acquisitions_are_split_and_never_blended():
    both = two({"acquisition_number": 1}, {"acquisition_number": 2}, start=22.5)
    assert told(both) == [(ThickSeries, "acquisition 1", 6), (ThickSeries, "acquisition 2", 6)]


def test_a_series_of_many_kinds_is_held_at_once():
    headers = [header(5.0 * k, pixel_spacing=(1.0 + k, 1.0)) for k in range(100)]
    assert held(headers) == "the series mixes more than 16 kinds of slices"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"modality": "MR"}, "Modality is MR, not CT"),
        ({"sop_class_uid": EnhancedCTImageStorage}, "not CT Image Storage"),
        ({"frames": 2}, "multi-frame"),
        ({"image_type": ("DERIVED", "PRIMARY", "AXIAL")}, "derived image"),
        ({"image_type": ("ORIGINAL", "SECONDARY", "AXIAL")}, "derived image"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localizer"),
        ({"derived_by_us": True}, "made by thinslice itself"),
        ({"resampled": True}, "a resampled image by its DerivationCodeSequence, not an original reconstruction"),
        ({"orientation": CORONAL}, "90 degrees from axial"),
        ({"position": (0.0, 0.0, 0.0)}, "at one position"),
    ],
)
def test_what_is_not_ours_is_skipped(change: dict[str, object], word: str):
    assert word in skipped(stack(10, **change))


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        (stack(3), "3 slices only; at least 4"),
        (stack(1), "1 slice only"),
        (stack(20, 1.0, slice_thickness=1.0), "already thin: slices are 1 mm apart"),
        (stack(20, 1.5), "already thin"),
        (stack(10, 12.0, slice_thickness=12.0), "slices are 12 mm apart, above 10 mm"),
    ],
)
def test_spacing_and_number_decide_what_is_skipped(headers: list[SliceHeader], word: str):
    assert word in skipped(headers)


@pytest.mark.parametrize("step", [2.0, 2.5, 5.0, 10.0])
def test_the_limits_themselves_are_restored(step: float):
    assert told(stack(10, step, slice_thickness=step)) == [(ThickSeries, "", 10)]


@pytest.mark.parametrize(("thickness", "step"), [(1.0, 10.0), (1.0, 5.0), (5.0, 6.0)])
def test_gaps_between_slices_are_held(thickness: float, step: float):
    """What no slice covers was never measured."""
    assert "leave gaps where nothing was measured" in held(stack(10, step, slice_thickness=thickness))


def test_overlapping_slices_are_restored():
    assert told(stack(12, 4.0, slice_thickness=5.0)) == [(ThickSeries, "", 12)]


def test_a_header_problem_holds_the_series_and_is_counted():
    headers = stack(10)
    headers[2] = replace(headers[2], problems=("RescaleSlope is missing",))
    assert held(headers) == "RescaleSlope is missing (in 1 of 10 slices)"


def test_slices_too_large_to_decode_are_held():
    assert "65535 x 65535 pixels exceed the limit" in held(stack(10, rows=65535, columns=65535))


def test_hostile_text_does_not_reach_the_reason():
    """A kernel name is free text from outside; the reason goes to logs and pages."""
    headers = stack(10)
    headers[5] = replace(headers[5], convolution_kernel=("<script>\r\n\x1b[31m" + "A" * 500,))
    sentence = held(headers)
    assert not set(sentence) & set("<>\r\n\x1b")
    assert len(sentence) < 200


def test_a_stack_under_a_tilted_gantry_is_axial_though_its_slices_lean():
    """18 degrees are beyond maximum_axial_angle_deg; the table still feeds along the body."""
    lean = math.radians(18)
    assert told(stack(10, orientation=(1, 0, 0, 0, math.cos(lean), math.sin(lean)))) == [(ThickSeries, "", 10)]


def test_slices_that_follow_each_other_off_the_body_are_not_axial_however_they_stand():
    headers = [
        replace(made, position=(-112.0, -112 + 5 * index * math.tan(math.radians(20)), 5.0 * index))
        for index, made in enumerate(stack(10))
    ]
    assert skipped(headers) == "not axial: the slices follow each other 20 degrees off the body's axis"
