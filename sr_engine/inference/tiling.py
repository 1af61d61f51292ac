"""Where windows and tiles lie. Choosing is here, joining is in ``blending``; both work on plain indices.

Along z a window follows from the network's :class:`SliceContract`. Example, TVSRN-V2's 4 slices at ratio 5
(without its margin: ``SliceContract(4, 16, 5)``) on 6 thick slices::

    thick         0    1    2    3    4    5
    window 0      x    x    x    x                 thin  0..15
    window 1                x    x    x    x       thin 10..25: the last window is moved back so that it is full

Every thin slice from the first thick position to the last lies in a window. Slices a window would read beyond
the volume are replaced by the nearest one inside (TVSRN-V2: "repeat the last slice").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sr_engine.networks.contract import SliceContract


@dataclass(frozen=True)
class Window:
    """One step along z.

    Attributes
    ----------
    thick : tuple of int
        Thick slices to read, in order; the nearest one inside stands in where a slice is missing.
    missing : tuple of bool
        Which of them are such stand-ins.
    outputs : slice
        Which of the network's predictions lie inside the volume.
    thin : slice
        Where on the thin grid they belong; as long as ``outputs``.
    """

    thick: tuple[int, ...]
    missing: tuple[bool, ...]
    outputs: slice
    thin: slice


@dataclass(frozen=True)
class Joins:
    """Where pieces meet that were restored apart: a border lies between each index and the next, on the thin grid."""

    slices: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()


def thin_count(thick_slices: int, ratio: int) -> int:
    """Thin slices from the first thick position to the last, both included."""
    return (thick_slices - 1) * ratio + 1


def windows(thick_slices: int, contract: SliceContract, shared: int = 1) -> list[Window]:
    """Choose the windows of a volume.

    Parameters
    ----------
    thick_slices : int
        Slices of the volume, >= 1.
    contract : SliceContract
        Geometry of one window.
    shared : int
        Predicted thick positions that neighbouring windows have in common, >= 1: 1 as in TVSRN-V2. More of them, as
        far as windows are long enough, average more predictions and cost as many more windows.

    Returns
    -------
    list of Window
        In rising order; together they predict every thin slice, neighbours share at least one.
    """
    first = -math.ceil(contract.first_out / contract.ratio)
    end_out = contract.first_out + contract.slices_out - 1
    last = math.ceil((thin_count(thick_slices, contract.ratio) - 1 - end_out) / contract.ratio)
    starts = [*range(first, last, max(1, contract.stride + 1 - shared)), max(first, last)]
    return [_window(start, thick_slices, contract) for start in starts]


def _window(start: int, thick_slices: int, contract: SliceContract) -> Window:
    thin_start = start * contract.ratio + contract.first_out
    inside = range(max(0, -thin_start), min(contract.slices_out, thin_count(thick_slices, contract.ratio) - thin_start))
    asked = range(start, start + contract.slices_in)
    return Window(
        thick=tuple(min(max(index, 0), thick_slices - 1) for index in asked),
        missing=tuple(not 0 <= index < thick_slices for index in asked),
        outputs=slice(inside.start, inside.stop),
        thin=slice(thin_start + inside.start, thin_start + inside.stop),
    )


def edge_slices(thick_slices: int, contract: SliceContract) -> npt.NDArray[np.bool_]:
    """Tell which thin slices rest on a repeated thick slice.

    A thin slice does where, among the two thick slices below and the two above it that its window reads, one stands in
    for a missing one: with cubic or TVSRN-V2 those between the first two and between the last two thick slices.

    Returns
    -------
    ndarray, bool, shape (thin slices,)
    """
    edge = np.zeros(thin_count(thick_slices, contract.ratio), dtype=np.bool_)
    for window in windows(thick_slices, contract):
        stand_ins = [slot for slot, missing in enumerate(window.missing) if missing]
        for offset in range(window.thin.stop - window.thin.start):
            place = (contract.first_out + window.outputs.start + offset) / contract.ratio  # in slots of the window
            edge[window.thin.start + offset] |= any(abs(slot - place) < 2 for slot in stand_ins)
    return edge


def spans(size: int, limit: int | None, overlap: int = 32, multiple: int = 8) -> list[slice]:
    """Cut one in-plane axis into equal tiles.

    Parameters
    ----------
    size : int
        Rows or columns.
    limit : int or None
        Longest tile; None for no cut.
    overlap : int
        Least number of voxels that neighbouring tiles share, < ``limit``.
    multiple : int
        Tiles are whole multiples of this where the axis is cut, so that networks need not pad.

    Returns
    -------
    list of slice
        Equally long tiles in rising order that cover the axis.
    """
    if limit is None or size <= limit:
        return [slice(0, size)]
    count = math.ceil((size - overlap) / (limit - overlap))
    length = math.ceil((size + (count - 1) * overlap) / count / multiple) * multiple
    return [
        slice(start, start + length) for start in ((size - length) * index // (count - 1) for index in range(count))
    ]


def borders(pieces: Sequence[slice]) -> tuple[int, ...]:
    """Where pieces that cover an axis begin or end inside it: between each index returned and the next."""
    end = max(piece.stop for piece in pieces)
    places = {place for piece in pieces for place in (piece.start, piece.stop) if 0 < place < end}
    return tuple(sorted(place - 1 for place in places))


def joins(thick: tuple[int, ...], contract: SliceContract, shared: int, limit: int | None) -> Joins:
    """Where windows and tiles meet in the restored volume of thick slices of shape (slices, rows, columns)."""
    slices, rows, columns = thick
    parts = [window.thin for window in windows(slices, contract, shared)]
    return Joins(borders(parts), borders(spans(rows, limit)), borders(spans(columns, limit)))
