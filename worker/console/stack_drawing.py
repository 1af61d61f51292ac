"""Where the slices of a job lie along their normal, and where one is missing: a drawing, as data for a template."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dicom_node.errors import GeometryError, InputError
from dicom_node.ledger import browse
from dicom_node.records import SliceHeader
from dicom_node.series.geometry import along, place, slice_normal
from dicom_node.series.headers import read_header
from worker.wiring import Node

MOST_SLICES = 1500
# A step this much longer than the usual one has room for a slice.
GAP = 1.5


@dataclass(frozen=True)
class Mark:
    """One slice: its place along the drawing (0 to 1000), and what it is, for people."""

    x: float
    title: str


@dataclass(frozen=True)
class Gap:
    """A place where slices are missing: from and how far, in the drawing's units."""

    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Drawing:
    """A stack from one end to the other; ``trouble`` says why it cannot be drawn."""

    thick: tuple[Mark, ...] = ()
    thin: tuple[float, ...] = ()
    gaps: tuple[Gap, ...] = ()
    step_mm: float = 0.0
    thickness_mm: float = 0.0
    first: str = ""
    last: str = ""
    trouble: str = ""


def draw(node: Node, job_id: int, thin_step_mm: float | None, thin_slices: int | None) -> Drawing:
    """The slices of a job, read from the spool."""
    sources = tuple(browse.sources_of(node.database, job_id))
    if len(sources) > MOST_SLICES:
        return Drawing(trouble=f"{len(sources)} slices are too many to draw.")
    if not all(Path(path).exists() for path, _ in sources[:1]):
        return Drawing(trouble="The received images are no longer on this node.")
    try:
        return _drawn(_positions(sources), thin_step_mm, thin_slices)
    except GeometryError as error:
        return Drawing(trouble=f"The slices form no stack: {error}.")
    except (InputError, OSError):
        return Drawing(trouble="The received images cannot be read.")


@lru_cache(maxsize=64)
def _positions(sources: tuple[tuple[str, str], ...]) -> tuple[SliceHeader, ...]:
    return tuple(read_header(Path(path), sha256) for path, sha256 in sources)


def _drawn(headers: tuple[SliceHeader, ...], thin_step_mm: float | None, thin_slices: int | None) -> Drawing:
    normal = slice_normal(headers)
    ordered = sorted(headers, key=lambda header: along(header, normal))
    offsets = np.array([along(header, normal) for header in ordered])
    length = float(offsets[-1] - offsets[0])
    if length <= 0:
        return Drawing(trouble="All slices lie at one position.")
    xs = [round(float(value), 2) for value in (offsets - offsets[0]) / length * 1000]
    names = [place(header, normal) for header in ordered]
    step = float(np.median(np.diff(offsets)))
    thin = np.arange(thin_slices or 0) * (thin_step_mm or 0.0) / length * 1000
    return Drawing(
        thick=tuple(
            Mark(x, f"slice {index} of {len(xs)}, {name} mm")
            for index, (x, name) in enumerate(zip(xs, names, strict=True), 1)
        ),
        thin=tuple(round(float(value), 2) for value in thin if value <= 1000.5),
        gaps=tuple(
            Gap(
                xs[index],
                round(xs[index + 1] - xs[index], 2),
                f"missing between {names[index]} and {names[index + 1]} mm",
            )
            for index in range(len(xs) - 1)
            if offsets[index + 1] - offsets[index] > GAP * step
        ),
        step_mm=round(step, 3),
        thickness_mm=float(ordered[0].slice_thickness or 0.0),
        first=names[0],
        last=names[-1],
    )
