"""From loose slices to one regular stack, or the reason why not. Positions in mm, LPS frame (PS3.3 C.7.6.2.1.1).

The check is our own because a sentence is owed to a person, and because the usual tolerance (highdicom: 1 - cos of the
tilt below 1e-3) lets a gantry tilt of 2.5 degrees pass: 13 mm of silent shear over 300 mm.

A tilted gantry makes a sheared stack: the table feeds along the body, the slices lean against it. Where the shear is
even, the stack is a regular grid whose axes are not at right angles, and is kept: pixels of equal index lie along the
feed, so anatomy that runs along the body runs along them, and nothing need be resampled.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dicom_node.errors import GeometryError
from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.settings import SeriesSettings

Vector = npt.NDArray[np.float64]

# ImageOrientationPatient is written with 4 to 6 decimals: an honest one is off by far less than this.
DIRECTION_TOLERANCE = 1e-3
# At most this many places are named in one sentence.
NAMED_PLACES = 3


def order_stack(label: str, headers: Sequence[SliceHeader], settings: SeriesSettings) -> ThickSeries:
    """Order slices along their normal and prove that they form one regular stack.

    Parameters
    ----------
    label : str
        Passed on to the record.
    headers : sequence of SliceHeader
        Slices of one stack in any order; InstanceNumber and SliceLocation play no part.
    settings : SeriesSettings
        ``spacing_tolerance_mm`` bounds each slice's distance from the regular grid, along the normal and across it;
        ``maximum_shear_deg`` the angle between normal and stacking direction; below ``shear_tolerance_deg`` it is none.

    Returns
    -------
    ThickSeries
        Position rises along row direction x column direction.

    Raises
    ------
    GeometryError
        One sentence: what is wrong, and where.
    """
    normal = slice_normal(headers)
    if any(header.slice_thickness is None for header in headers):
        raise GeometryError("SliceThickness is missing")
    if len(headers) < 2:
        raise GeometryError("one slice alone has no spacing")
    slices = sorted(headers, key=lambda header: (along(header, normal), header.sop_instance_uid))
    _check_spacing(slices, normal, settings.spacing_tolerance_mm)
    shear_deg = _checked_shear(slices, normal, settings)
    offsets = [along(header, normal) for header in slices]
    return ThickSeries(
        label=label,
        slices=tuple(slices),
        step_mm=(offsets[-1] - offsets[0]) / (len(slices) - 1),
        normal=(float(normal[0]), float(normal[1]), float(normal[2])),
        slice_thickness_mm=float(slices[0].slice_thickness or 0),
        shear_deg=shear_deg,
    )


def slice_normal(headers: Sequence[SliceHeader]) -> Vector:
    """Unit normal that all slices share, shape (3,).

    Raises
    ------
    GeometryError
        A position or orientation is missing, the directions are no unit vectors at a right angle, or they differ.
    """
    lost = sum(header.position is None for header in headers)
    if lost:
        raise GeometryError(f"{lost} of {len(headers)} slices have no usable ImagePositionPatient")
    orientations = [header.orientation for header in headers if header.orientation is not None]
    if not orientations or len(orientations) < len(headers):
        lost = len(headers) - len(orientations)
        raise GeometryError(f"{lost} of {len(headers)} slices have no usable ImageOrientationPatient")
    table = np.array(orientations)
    if np.ptp(table, axis=0).max() > DIRECTION_TOLERANCE:
        raise GeometryError("the slices have different orientations")
    return _normal(table[0])


def along(header: SliceHeader, normal: Vector) -> float:
    """Distance of a slice from the origin along a normal, mm."""
    return float(np.dot(np.asarray(header.position, dtype=float), normal))


def is_uniform(offsets: Sequence[float], tolerance_mm: float) -> bool:
    """Whether sorted offsets (mm) lie on one regular grid with a slice at every point."""
    steps = np.diff(offsets)
    grid = np.linspace(offsets[0], offsets[-1], len(offsets))
    return bool(steps.min() > tolerance_mm and np.abs(np.asarray(offsets) - grid).max() <= tolerance_mm)


def place(header: SliceHeader, normal: Vector) -> str:
    """Where a slice lies, for people: its coordinate on the body axis nearest to the normal, such as ``z=-102.5``."""
    axis = int(np.abs(normal).argmax())
    return f"{'xyz'[axis]}={np.asarray(header.position, dtype=float)[axis]:.10g}"


def _normal(orientation: Vector) -> Vector:
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > DIRECTION_TOLERANCE:
        raise GeometryError("ImageOrientationPatient does not hold unit vectors")
    if abs(np.dot(row, column)) > DIRECTION_TOLERANCE:
        raise GeometryError("row and column direction of ImageOrientationPatient are not at a right angle")
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal), dtype=np.float64)


def _check_spacing(slices: Sequence[SliceHeader], normal: Vector, tolerance: float) -> None:
    offsets = np.array([along(header, normal) for header in slices])
    if offsets[-1] - offsets[0] <= tolerance:
        raise GeometryError(f"all {len(slices)} slices lie at one position, {place(slices[0], normal)}")
    steps = np.diff(offsets)
    repeated = np.flatnonzero(steps <= tolerance).tolist()
    if repeated:
        raise GeometryError(f"more than one slice lies at {_listed(place(slices[i], normal) for i in repeated)}")
    if is_uniform(offsets.tolist(), tolerance):
        return
    step = float(np.median(steps))
    holes = np.flatnonzero(steps > 1.5 * step)
    filled = np.rint(steps / step)
    if holes.size and np.abs(steps - filled * step).max() <= tolerance:
        raise GeometryError(_missing(slices, normal, holes, filled))
    raise GeometryError(_uneven(slices, normal, steps, tolerance))


def _missing(
    slices: Sequence[SliceHeader], normal: Vector, holes: npt.NDArray[np.intp], filled: npt.NDArray[np.float64]
) -> str:
    lost = int(filled[holes].sum()) - holes.size
    places = [f"between {place(slices[i], normal)} and {place(slices[i + 1], normal)[2:]}" for i in holes]
    return f"{'slice' if lost == 1 else f'{lost} slices'} missing {_listed(places)}"


def _uneven(slices: Sequence[SliceHeader], normal: Vector, steps: Vector, tolerance: float) -> str:
    first = int(np.flatnonzero(np.abs(steps - steps[0]) > tolerance)[0]) if np.ptp(steps) > tolerance else 0
    return (
        f"slice spacing is not constant: it lies between {steps.min():.4g} and {steps.max():.4g} mm "
        f"and first changes at {place(slices[first], normal)}"
    )


def _listed(places: Iterable[str]) -> str:
    named = list(places)
    more = len(named) - NAMED_PLACES
    return ", ".join(named[:NAMED_PLACES]) + (f" and {more} more places" if more > 0 else "")


def _checked_shear(slices: Sequence[SliceHeader], normal: Vector, settings: SeriesSettings) -> float:
    """Angle between normal and the line through the corners, degrees; 0 where it is within the tolerance.

    Every corner must lie on that line: only then does one shear describe the stack.
    """
    corners = np.array([header.position for header in slices], dtype=float)
    way = corners[-1] - corners[0]
    height = float(np.dot(way, normal))
    sideways = float(np.linalg.norm(way - height * normal))
    angle = float(np.degrees(np.arctan2(sideways, height)))
    if angle > max(settings.maximum_shear_deg, settings.shear_tolerance_deg):
        limit = f"more than the {settings.maximum_shear_deg:g} degrees of maximum_shear_deg"
        raise GeometryError(f"{_sheared(slices[0], angle, sideways / (len(slices) - 1))}, {limit}")
    straight = corners[0] + np.linspace(0, 1, len(slices))[:, np.newaxis] * way
    stray = np.linalg.norm(corners - straight, axis=1)
    if stray.max() > settings.spacing_tolerance_mm:
        where = place(slices[int(stray.argmax())], normal)
        raise GeometryError(f"slices are displaced sideways, by {stray.max():.2g} mm at {where}")
    return angle if angle > settings.shear_tolerance_deg else 0.0


def _sheared(header: SliceHeader, angle: float, drift: float) -> str:
    if header.gantry_tilt:
        return f"gantry tilt: the stack leans {angle:.1f} degrees against the slice normal ({drift:.2g} mm per slice)"
    return f"the slices drift sideways by {drift:.2g} mm per slice ({angle:.1f} degrees against the slice normal)"
