"""When to stop waiting."""

from dataclasses import replace

import pytest

from dicom_node.records import SliceHeader
from dicom_node.series.completeness import is_complete
from dicom_node.series.judge import judge
from tests.unit.dicom_node.series.samples import SETTINGS, header, stack


def complete(headers: list[SliceHeader], quiet_s: float, released: bool = True) -> bool:
    return is_complete(judge(headers, SETTINGS), quiet_s, released, SETTINGS)


def stating(count: int, headers: list[SliceHeader]) -> list[SliceHeader]:
    """The headers as of an acquisition that says how many images it has."""
    return [replace(made, images_in_acquisition=count) for made in headers]


@pytest.mark.parametrize("headers", [stack(10), stack(3), [], stack(3) + stack(3, start=50.0)])
def test_the_long_quiet_time_ends_every_wait(headers: list[SliceHeader]):
    assert complete(headers, SETTINGS.quiet_s, released=False)


def test_a_proven_series_needs_only_the_short_quiet_time():
    assert complete(stating(10, stack(10)), SETTINGS.quiet_released_s)
    assert not complete(stating(10, stack(10)), SETTINGS.quiet_released_s - 0.1)


def test_an_association_that_was_not_released_may_bring_more():
    assert not complete(stating(10, stack(10)), SETTINGS.quiet_released_s, released=False)


def test_a_gap_is_waited_for():
    headers = stating(9, stack(10))
    assert not complete(headers[:4] + headers[5:], SETTINGS.quiet_released_s)


def test_too_few_slices_may_be_the_start_of_a_series():
    assert not complete(stack(3), SETTINGS.quiet_released_s)


def test_images_in_acquisition_is_waited_for_and_zero_proves_nothing():
    assert not complete(stating(12, stack(10)), SETTINGS.quiet_released_s)
    assert complete(stating(10, stack(10)), SETTINGS.quiet_released_s)
    assert not complete(stating(0, stack(10)), SETTINGS.quiet_released_s)
    assert not complete(stack(10), SETTINGS.quiet_released_s)


def test_images_of_several_acquisitions_in_one_stack_add_up():
    headers = [
        replace(made, acquisition_number=index // 4, images_in_acquisition=4) for index, made in enumerate(stack(12))
    ]
    assert complete(headers, SETTINGS.quiet_released_s)
    assert not complete(headers[:-1], SETTINGS.quiet_released_s)


def test_a_localizer_beside_a_proven_stack_does_not_delay_it():
    scout = header(3.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    assert complete([*stating(10, stack(10)), scout], SETTINGS.quiet_released_s)
