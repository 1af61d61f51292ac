"""Splitting one series into stacks: what was reconstructed together stays together, and nothing is halved silently.

Three things are told apart:

* **Another stack.** The same region acquired or reconstructed more than once inside one series (two acquisitions that
  overlap, two kernels over the same lungs, axial and coronal sets): each becomes a stack of its own.
* **A stray.** A few slices with another matrix, orientation, frame of reference, … among many: something went wrong
  before us, and the whole series is held.
* **A change along the body.** The kernel or matrix changes from one level on: two half stacks would each look complete,
  so the series is held.

AcquisitionNumber alone proves nothing: step-and-shoot scanners count it up with every table position. It splits a
series only where acquisitions overlap along the body.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise

import numpy as np

from dicom_node.errors import GeometryError
from dicom_node.records import SliceHeader
from dicom_node.series.elements import readable
from dicom_node.series.geometry import DIRECTION_TOLERANCE, Vector, along, is_uniform, slice_normal
from dicom_node.settings import SeriesSettings

# Differences of pixel spacing and thickness below this are rounding, mm.
SIZE_TOLERANCE_MM = 1e-3
# No scanner puts more reconstructions into one series; a forged series must not cost quadratic time.
MOST_KINDS = 16

Key = tuple[Hashable, ...]


@dataclass(frozen=True)
class Stack:
    """Slices that belong together, in no particular order; ``label`` says what sets them apart in their series."""

    label: str
    slices: tuple[SliceHeader, ...]


def split(headers: Sequence[SliceHeader], settings: SeriesSettings) -> tuple[Stack, ...]:
    """Split the usable slices of one series into stacks.

    Parameters
    ----------
    headers : sequence of SliceHeader
        Slices of one patient and study without problems: position, orientation and pixel spacing are present.
    settings : SeriesSettings
        ``minimum_slices`` tells a stray from a stack; ``spacing_tolerance_mm`` what one grid is.

    Returns
    -------
    tuple of Stack
        Every header in exactly one of them.

    Raises
    ------
    GeometryError
        The series is mixed in a way that a person must look at: strays, or a change along the body.
    """
    groups = _grouped(headers)
    _refuse_strays(groups, settings)
    _refuse_change_along_body(groups, settings)
    labelled = [(_describe(key, [other for other in groups if other != key]), groups[key]) for key in groups]
    stacks = [
        stack
        for label, members in sorted(labelled, key=lambda group: group[0])
        for stack in _split_acquisitions(label, members, settings)
    ]
    return tuple(_distinctly_labelled(stacks))


def _distinctly_labelled(stacks: Sequence[Stack]) -> list[Stack]:
    """Number equal labels: texts that differ in the data set may read alike once made safe for people."""
    seen: Counter[str] = Counter()
    distinct = []
    for stack in stacks:
        seen[stack.label] += 1
        label = stack.label if seen[stack.label] == 1 else f"{stack.label} ({seen[stack.label]})"
        distinct.append(Stack(label, stack.slices))
    return distinct


def _image_type(key: Key) -> str:
    return f"image type {readable('/'.join(map(str, key)), 48)}"


def _orientation(key: Key) -> str:
    return f"orientation {'/'.join(f'{number:.3g}' for number in map(float, map(str, key)))}"


def _frame_of_reference(key: Key) -> str:
    """Told apart by the end of the UID; a whole one says no more to a person."""
    return f"frame of reference ending {str(key[0])[-6:]}"


# What one reconstruction has in common: name, reader, tolerance for numbers, wording.
@dataclass(frozen=True)
class _Trait:
    name: str
    read: Callable[[SliceHeader], tuple[Hashable, ...]]
    word: Callable[[Key], str]
    tolerance: float = 0.0


TRAITS = (
    _Trait("orientation", lambda h: h.orientation or (), _orientation, DIRECTION_TOLERANCE),
    _Trait("matrix", lambda h: (h.rows, h.columns), lambda k: f"matrix {k[0]} x {k[1]}"),
    _Trait(
        "pixel spacing", lambda h: h.pixel_spacing or (), lambda k: f"pixel spacing {k[0]:.5g} mm", SIZE_TOLERANCE_MM
    ),
    _Trait("thickness", lambda h: (h.slice_thickness or 0.0,), lambda k: f"thickness {k[0]:.4g} mm", SIZE_TOLERANCE_MM),
    _Trait(
        "kernel", lambda h: h.convolution_kernel, lambda k: f"kernel {readable('/'.join(map(str, k))) or 'not named'}"
    ),
    _Trait("image type", lambda h: h.image_type, _image_type),
    _Trait("frame of reference", lambda h: (h.frame_of_reference_uid,), _frame_of_reference),
)


def _grouped(headers: Sequence[SliceHeader]) -> dict[Key, list[SliceHeader]]:
    known: list[list[Key]] = [[] for _ in TRAITS]
    groups: dict[Key, list[SliceHeader]] = {}
    for header in headers:
        key = tuple(
            _representative(trait.read(header), values, trait.tolerance)
            for trait, values in zip(TRAITS, known, strict=True)
        )
        groups.setdefault(key, []).append(header)
        if len(groups) > MOST_KINDS:
            raise GeometryError(f"the series mixes more than {MOST_KINDS} kinds of slices")
    return groups


def _representative(value: Key, known: list[Key], tolerance: float) -> Key:
    """The first known value that equals this one within the tolerance; rounding would cut at its edges."""
    for other in known:
        if value == other or (tolerance and len(value) == len(other) and _close(value, other, tolerance)):
            return other
    known.append(value)
    return value


def _close(value: Key, other: Key, tolerance: float) -> bool:
    return bool(np.abs(np.asarray(value, dtype=float) - np.asarray(other, dtype=float)).max() <= tolerance)


def _differing(key: Key, other: Key) -> list[int]:
    return [index for index, (one, two) in enumerate(zip(key, other, strict=True)) if one != two]


def _describe(key: Key, others: Sequence[Key]) -> str:
    indices = sorted({index for other in others for index in _differing(key, other)})
    return ", ".join(TRAITS[index].word(key[index]) for index in indices)  # type: ignore[arg-type]


def _refuse_strays(groups: dict[Key, list[SliceHeader]], settings: SeriesSettings) -> None:
    main = max(groups, key=lambda key: len(groups[key]))
    for key, members in groups.items():
        if key != main and len(members) < settings.minimum_slices:
            total = sum(map(len, groups.values()))
            raise GeometryError(
                f"{len(members)} of {total} slices do not belong to the rest: "
                f"{_describe(key, [main])}, the rest {_describe(main, [key])}"
            )


def _refuse_change_along_body(groups: dict[Key, list[SliceHeader]], settings: SeriesSettings) -> None:
    for one, two in combinations(groups, 2):
        if one[0] != two[0]:  # different orientations cannot continue each other
            continue
        normal = slice_normal(groups[one])
        first, second = (sorted(along(header, normal) for header in groups[key]) for key in (one, two))
        if not _mostly_overlap(first, second) or is_uniform(sorted(first + second), settings.spacing_tolerance_mm):
            raise GeometryError(
                f"the series changes along the body: {_describe(one, [two])} in {len(first)} slices, "
                f"{_describe(two, [one])} in {len(second)}"
            )


def _mostly_overlap(first: list[float], second: list[float]) -> bool:
    """Whether two extents share at least half of the shorter one."""
    shared = min(first[-1], second[-1]) - max(first[0], second[0])
    return shared >= 0 and shared >= 0.5 * min(first[-1] - first[0], second[-1] - second[0])


def _split_acquisitions(label: str, members: Sequence[SliceHeader], settings: SeriesSettings) -> list[Stack]:
    acquisitions: dict[int | None, list[SliceHeader]] = {}
    for header in members:
        acquisitions.setdefault(header.acquisition_number, []).append(header)
    enough = max(map(len, acquisitions.values())) >= settings.minimum_slices
    if not enough or not _some_overlap(list(acquisitions.values()), slice_normal(members), settings):
        return [Stack(label, tuple(members))]
    return [
        Stack(
            ", ".join(filter(None, [label, f"acquisition {number if number is not None else 'not numbered'}"])),
            tuple(slices),
        )
        for number, slices in sorted(acquisitions.items(), key=lambda item: (item[0] is None, item[0] or 0))
    ]


def _some_overlap(acquisitions: list[list[SliceHeader]], normal: Vector, settings: SeriesSettings) -> bool:
    """Whether acquisitions cover the same place: then they are scans of their own. One uniform grid never is."""
    offsets = [sorted(along(header, normal) for header in slices) for slices in acquisitions]
    if len(offsets) < 2 or is_uniform(sorted(chain(*offsets)), settings.spacing_tolerance_mm):
        return False
    extents = sorted((some[0], some[-1]) for some in offsets)
    return any(after[0] <= before[1] + settings.spacing_tolerance_mm for before, after in pairwise(extents))
