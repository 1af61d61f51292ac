"""Where each thin slice lies and which thick slices it comes from. Values in, values out."""

from dataclasses import dataclass

from pydicom.valuerep import DSfloat

from dicom_node.errors import ConformanceError
from dicom_node.records import ThickSeries
from sr_engine.volume import ThinVolume


@dataclass(frozen=True)
class SlicePlace:
    """The place of one thin slice.

    Attributes
    ----------
    index : int
        Index in the thin volume, 0-based, rising along the slice normal.
    instance_number : int
        1..N in the direction in which the source counts.
    position : tuple of 3 float
        ImagePositionPatient, mm, LPS.
    location : float or None
        SliceLocation in the source's own convention, mm; None where the source has none.
    sources : tuple of int
        Indices of the thick slices on either side; one where the slice lies on a thick position.
    edge : bool
        True where the network saw repeated slices in place of missing ones.
    """

    index: int
    instance_number: int
    position: tuple[float, float, float]
    location: float | None
    sources: tuple[int, ...]
    edge: bool


def slice_places(thick: ThickSeries, thin: ThinVolume, locations: tuple[float, ...] | None) -> tuple[SlicePlace, ...]:
    """Places of all thin slices, by Instance Number.

    At thick positions the source's own coordinates are used as they are; between them they lie on the straight line
    between the neighbours, so tilt and shear of the source are kept.

    Parameters
    ----------
    locations : tuple of float or None
        SliceLocation of each thick slice, or None where they are not all known.

    Raises
    ------
    ConformanceError
        The thin volume does not belong to this series.
    """
    _check_pair(thick, thin)
    count = len(thin.origins)
    falling = _counts_downwards(thick)
    places = [_place(thick, thin, locations, index, count - index if falling else index + 1) for index in range(count)]
    return tuple(reversed(places) if falling else places)


def decimal(value: float) -> DSfloat:
    """A Decimal String of at most 16 characters (PS3.5 6.2)."""
    return DSfloat(float(value), auto_format=True)


def _place(
    thick: ThickSeries, thin: ThinVolume, locations: tuple[float, ...] | None, index: int, number: int
) -> SlicePlace:
    origin = thin.origins[index]
    below, above = thick.slices[origin.thick_below].position, thick.slices[origin.thick_above].position
    if below is None or above is None:
        raise ConformanceError("A source slice has no ImagePositionPatient: the series cannot be derived")
    weight = index / thin.ratio - origin.thick_below
    x, y, z = (_between(start, stop, weight) for start, stop in zip(below, above, strict=True))
    location = None
    if locations is not None:
        location = _between(locations[origin.thick_below], locations[origin.thick_above], weight)
    sources = tuple(sorted({origin.thick_below, origin.thick_above}))
    return SlicePlace(index, number, (x, y, z), location, sources, origin.edge)


def _between(start: float, stop: float, weight: float) -> float:
    # Rounded to a nanometre, or 0.1 + 0.2 would need more digits than a Decimal String has.
    return round(start + (stop - start) * weight, 6) if weight else start


def _counts_downwards(thick: ThickSeries) -> bool:
    first, last = thick.slices[0].instance_number, thick.slices[-1].instance_number
    return first is not None and last is not None and last < first


def _check_pair(thick: ThickSeries, thin: ThinVolume) -> None:
    expected = (len(thick.slices) - 1) * thin.ratio + 1
    if len(thin.origins) != expected:
        raise ConformanceError(
            f"{len(thick.slices)} thick slices at ratio {thin.ratio} make {expected} thin slices, "
            f"not {len(thin.origins)}"
        )
    matrix = (thick.slices[0].rows, thick.slices[0].columns)
    if thin.volume.voxels.shape[1:] != matrix:
        raise ConformanceError(f"The thin volume's matrix {thin.volume.voxels.shape[1:]} is not the source's {matrix}")
    for index, origin in enumerate(thin.origins):
        if (origin.thick_below, origin.thick_above) != (index // thin.ratio, -(-index // thin.ratio)):
            raise ConformanceError(f"Thin slice {index} does not lie between the thick slices that it names")
