"""What the slices of one derived series must have in common, judged while they stream by."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_node.errors import ConformanceError

# All else must be the same in every slice.
PER_SLICE = frozenset(
    {
        "SOPInstanceUID",
        "InstanceNumber",
        "ImagePositionPatient",
        "SliceLocation",
        "ImageComments",
        "SourceImageSequence",
        "ReferencedSeriesSequence",
        "PixelData",
    }
)
# The source may be this uneven (its own tolerance); a wrong place is off by more.
POSITION_TOLERANCE_MM = 0.1


class SeriesConsistency:
    """Collects slices, then judges the series. Holds numbers and UIDs only, not the slices."""

    def __init__(self) -> None:
        self._shared: Mapping[str, object] | None = None
        self._uids: set[str] = set()
        self._positions: dict[int, tuple[float, ...]] = {}
        self._frame: tuple[npt.NDArray[np.float64], float] | None = None

    def add(self, data_set: Dataset) -> None:
        """Take one slice in.

        Raises
        ------
        ConformanceError
            It does not belong to the slices before it.
        """
        shared = {element.keyword: element.value for element in data_set if element.keyword not in PER_SLICE}
        if self._shared is None:
            self._shared = shared
            row, column = np.reshape([float(value) for value in data_set.ImageOrientationPatient], (2, 3))
            self._frame = (np.cross(row, column), float(data_set.SpacingBetweenSlices))
        for keyword in sorted(self._shared.keys() | shared.keys()):
            if self._shared.get(keyword) != shared.get(keyword):
                raise ConformanceError(f"{keyword} differs between slices of the derived series (PS3.3 A.1.2.3)")
        if data_set.SOPInstanceUID in self._uids:
            raise ConformanceError("SOPInstanceUID is used twice in the derived series (PS3.3 C.12.1)")
        if int(data_set.InstanceNumber) in self._positions:
            raise ConformanceError("InstanceNumber is used twice in the derived series (PS3.3 C.7.6.1)")
        self._uids.add(str(data_set.SOPInstanceUID))
        self._positions[int(data_set.InstanceNumber)] = tuple(float(value) for value in data_set.ImagePositionPatient)

    def finish(self) -> None:
        """Judge numbering and positions.

        Raises
        ------
        ConformanceError
            Instance Numbers are not 1..N, or positions are not one even stack in that order.
        """
        numbers = sorted(self._positions)
        if not numbers or numbers != list(range(1, len(numbers) + 1)) or self._frame is None:
            raise ConformanceError("InstanceNumber does not run from 1 to N in the derived series (PS3.3 C.7.6.1)")
        normal, spacing = self._frame
        positions = np.array([self._positions[number] for number in numbers])
        along = np.diff(positions, axis=0) @ normal
        uneven = np.abs(np.abs(along) - spacing).max(initial=0.0)
        turns = len(along) > 0 and not (np.all(along > 0) or np.all(along < 0))
        if turns or uneven > POSITION_TOLERANCE_MM or _stray(positions) > POSITION_TOLERANCE_MM:
            raise ConformanceError("ImagePositionPatient does not step by SpacingBetweenSlices (PS3.3 C.7.6.2.1.1)")


def _stray(positions: npt.NDArray[np.float64]) -> float:
    """Largest distance in mm from the straight line of even steps; a tilted gantry's line leans against the normal."""
    share = np.linspace(0, 1, len(positions))[:, np.newaxis]
    straight = positions[0] + share * (positions[-1] - positions[0])
    return float(np.linalg.norm(positions - straight, axis=1).max())
