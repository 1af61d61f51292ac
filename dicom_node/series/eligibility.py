"""Which slices and stacks are restored. Each rule is a pure function that answers with the reason, or None.

Skipped: none of our business, nobody needs to look. Held: it should have been restorable, so a person must look.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydicom.uid import CTImageStorage

from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.series.elements import readable
from dicom_node.series.geometry import Vector, along
from dicom_node.settings import SeriesSettings

# Beyond this a stack was never meant as axial, and its geometry need not be judged.
CERTAINLY_NOT_AXIAL_DEG = 45.0
# Scanners round thickness and spacing apart; 5 mm slices every 5.4 mm still touch, 5 mm every 6 mm do not.
GAP_RATIO = 1.1


def not_ours(header: SliceHeader) -> str | None:
    """Why a single slice is skipped whatever surrounds it."""
    if header.modality not in ("CT", ""):
        return f"Modality is {readable(header.modality)}, not CT"
    if header.sop_class_uid != CTImageStorage:
        return "not CT Image Storage: enhanced, secondary capture and other classes are not restored"
    if header.frames != 1:
        return "a multi-frame image is not restored"
    if header.derived_by_us:
        return "made by thinslice itself"
    if "LOCALIZER" in header.image_type:
        return "a localizer"
    if is_derived(header.image_type):
        return "a derived image (reformat or processed series), not an original reconstruction"
    if header.resampled:
        return "a resampled image by its DerivationCodeSequence, not an original reconstruction"
    return None


def is_derived(image_type: tuple[str, ...]) -> bool:
    """Whether ImageType (PS3.3 C.7.6.1.1.2) says that pixels were made of other pixels, or after the examination."""
    return image_type[:1] == ("DERIVED",) or image_type[1:2] == ("SECONDARY",)


def too_few(headers: Sequence[SliceHeader], settings: SeriesSettings) -> str | None:
    """Why a short stack is skipped."""
    if len(headers) < settings.minimum_slices:
        return f"{counted(len(headers))} only; at least {settings.minimum_slices} are needed to restore between them"
    return None


def unusable(headers: Sequence[SliceHeader], settings: SeriesSettings) -> str | None:
    """Why headers cannot be trusted: held."""
    found = Counter(problem for header in headers for problem in header.problems)
    found.update(
        f"{header.rows} x {header.columns} pixels exceed the limit of {settings.maximum_pixels}"
        for header in headers
        if header.rows * header.columns > settings.maximum_pixels
    )
    if not found:
        return None
    problem, count = found.most_common(1)[0]
    more = f", and {len(found) - 1} more problems" if len(found) > 1 else ""
    return f"{problem} (in {count} of {counted(len(headers))}{more})"


def certainly_not_axial(normal: Vector) -> str | None:
    """Why a coronal or sagittal stack is skipped before its geometry is judged."""
    return _angled(normal) if axial_angle_deg(normal) > CERTAINLY_NOT_AXIAL_DEG else None


def one_position(headers: Sequence[SliceHeader], normal: Vector, settings: SeriesSettings) -> str | None:
    """Why repeated images of one place are skipped: every contrast study has such a series, and it is no stack."""
    offsets = [along(header, normal) for header in headers]
    if max(offsets) - min(offsets) > settings.spacing_tolerance_mm:
        return None
    return f"all {counted(len(headers))} lie at one position, as in bolus tracking or perfusion: there is no stack"


def out_of_scope(stack: ThickSeries, settings: SeriesSettings) -> str | None:
    """Why a regular stack is skipped.

    Axial means that slices follow each other along the body. A tilted gantry leans them, and leaves that as it is.
    """
    angle = axial_angle_deg(_way(stack))
    if angle > settings.maximum_axial_angle_deg and stack.shear_deg:
        return f"not axial: the slices follow each other {angle:.0f} degrees off the body's axis"
    if angle > settings.maximum_axial_angle_deg:
        return _angled(stack.normal)
    # A hair of rounding must not turn 2 mm away.
    if stack.step_mm < settings.minimum_step_mm - settings.spacing_tolerance_mm / 10:
        return f"already thin: slices are {stack.step_mm:.4g} mm apart, below {settings.minimum_step_mm:g} mm"
    if stack.step_mm > settings.maximum_step_mm + settings.spacing_tolerance_mm / 10:
        return f"slices are {stack.step_mm:.4g} mm apart, above {settings.maximum_step_mm:g} mm"
    return None


def unseen_between(stack: ThickSeries) -> str | None:
    """Why a stack with gaps is held: what no slice covers was never measured, and must not be invented."""
    if stack.step_mm <= GAP_RATIO * stack.slice_thickness_mm:
        return None
    return (
        f"slices of {stack.slice_thickness_mm:.4g} mm every {stack.step_mm:.4g} mm leave gaps where nothing was "
        "measured (or SliceThickness is wrong)"
    )


def axial_angle_deg(normal: Sequence[float] | Vector) -> float:
    """Angle between a unit direction and the body's long axis, 0 to 90 degrees; head or feet first alike."""
    return math.degrees(math.acos(min(1.0, abs(float(normal[2])))))


def counted(slices: int) -> str:
    """``1 slice``, ``2 slices``."""
    return f"{slices} slice{'' if slices == 1 else 's'}"


def _way(stack: ThickSeries) -> Vector:
    """Unit direction from the first slice's corner to the last one's: the normal, but in a sheared stack."""
    first, last = (np.asarray(header.position, dtype=float) for header in (stack.slices[0], stack.slices[-1]))
    return np.asarray((last - first) / np.linalg.norm(last - first))


def _angled(normal: Sequence[float] | Vector) -> str:
    return f"not axial: the slices stand {axial_angle_deg(normal):.0f} degrees from axial"
