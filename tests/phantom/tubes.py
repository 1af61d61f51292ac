"""Tubes: vessels that branch until they fill a lung, airways, the great vessels, and bones shaped like rods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.phantom.anatomy import Array, Plane

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tubes:
    """Tapering rods: ``start`` and ``end`` of shape (n, 3) as (x, y, z), radii of shape (n,), all in chest units."""

    start: Points
    end: Points
    start_radius: Points
    end_radius: Points

    def wider(self, margin: float, factor: float = 1.0) -> "Tubes":
        """The same rods with thicker radii: a wall around a lumen."""
        return Tubes(self.start, self.end, self.start_radius * factor + margin, self.end_radius * factor + margin)

    def near(self, z: float, reach: float) -> npt.NDArray[np.intp]:
        """Indices of the rods that a slice at ``z`` may cut."""
        radius = np.maximum(self.start_radius, self.end_radius) + reach
        low = np.minimum(self.start[:, 2], self.end[:, 2]) - radius
        high = np.maximum(self.start[:, 2], self.end[:, 2]) + radius
        return np.flatnonzero((low <= z) & (z <= high))


def joined(parts: Sequence[Tubes]) -> Tubes:
    """All rods of several sets."""
    names = ("start", "end", "start_radius", "end_radius")
    return Tubes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def chain(points: Sequence[tuple[float, float, float]], radii: Sequence[float]) -> Tubes:
    """A smooth pipe through ``points``."""
    # Four straight pieces between two points of a Catmull-Rom curve look round at CT resolution.
    nodes = np.array([points[0], *points, points[-1]], float)
    steps = np.arange(0, len(points) - 1 + 1e-9, 0.25)
    index = np.minimum(steps.astype(int), len(points) - 2)
    t = (steps - index)[:, None]
    a, b, c, d = (nodes[index + offset] for offset in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    radius = np.interp(steps, np.arange(len(points)), radii)
    return Tubes(curve[:-1], curve[1:], radius[:-1], radius[1:])


def tree(root: Points, targets: Points, radius: float, rng: np.random.Generator, smallest: float = 0.55) -> Tubes:
    """A tree from ``root`` to every target: each branch heads for the middle of its targets, then splits them.

    Radii follow Murray's law: the cube of a branch's radius is shared out with its targets.
    """
    rods: list[tuple[Points, Points, float, float]] = []

    def thickness(count: int) -> float:
        return max(smallest, radius * (count / len(targets)) ** 0.38)

    def grow(origin: Points, mine: Points) -> None:
        share = 1.0 if len(mine) == 1 else rng.uniform(0.38, 0.55)
        tip = origin + share * (mine.mean(axis=0) - origin)
        bend = (origin + tip) / 2 + rng.normal(0, 0.07, 3) * float(np.linalg.norm(tip - origin))
        wide, narrow = thickness(len(mine)), thickness(max(1, len(mine) // 2))
        rods.append((origin, bend, wide, (wide + narrow) / 2))
        rods.append((bend, tip, (wide + narrow) / 2, narrow))
        if len(mine) > 1:
            for half in _halves(mine):
                grow(tip, half)

    grow(root, targets)
    start, end, first, last = zip(*rods, strict=True)
    return Tubes(np.array(start), np.array(end), np.array(first), np.array(last))


def points_inside(
    depth: Callable[[Array, Array, Array], Array], box: Points, count: int, rng: np.random.Generator, margin: float
) -> Points:
    """``count`` random points that lie deeper than ``margin``, shape (count, 3); ``box`` is ((low xyz), (high xyz))."""
    found: list[Points] = []
    while sum(map(len, found)) < count:
        batch = rng.uniform(box[0], box[1], (4 * count, 3))
        x, y, z = batch.T.astype(np.float32)
        found.append(batch[depth(x, y, z) > margin])
    return np.concatenate(found)[:count]


def coverage(tubes: Tubes, plane: Plane) -> Array:
    """How much of each pixel the rods fill, 0 to 1, shape of ``plane.x``."""
    filled = np.zeros(plane.x.shape, np.float32)
    columns, rows = plane.x[0], plane.y[:, 0]
    for index in tubes.near(plane.z, plane.soft):
        a, b = tubes.start[index], tubes.end[index]
        reach = max(tubes.start_radius[index], tubes.end_radius[index]) + plane.soft
        left, right = np.searchsorted(columns, (min(a[0], b[0]) - reach, max(a[0], b[0]) + reach))
        top, bottom = np.searchsorted(rows, (min(a[1], b[1]) - reach, max(a[1], b[1]) + reach))
        if left == right or top == bottom:
            continue
        block = filled[top:bottom, left:right]
        part = _rod(tubes, int(index), columns[left:right], rows[top:bottom, None], plane)
        np.maximum(block, part, out=block)
    return filled


def _rod(tubes: Tubes, index: int, x: Array, y: Array, plane: Plane) -> Array:
    a, b = tubes.start[index], tubes.end[index]
    run = b - a
    dx, dy, dz = x - a[0], y - a[1], plane.z - a[2]
    t = np.clip((dx * run[0] + dy * run[1] + dz * run[2]) / max(float(run @ run), 1e-9), 0, 1)
    away = np.sqrt((dx - t * run[0]) ** 2 + (dy - t * run[1]) ** 2 + (dz - t * run[2]) ** 2)
    radius = tubes.start_radius[index] + t * (tubes.end_radius[index] - tubes.start_radius[index])
    # A rod thinner than a pixel fills only part of it.
    return np.clip((radius - away) / plane.soft + 0.5, 0, 1) * np.minimum(1, 2 * radius / plane.soft)


def _halves(points: Points) -> tuple[Points, Points]:
    """Two equal halves of a cloud, parted across its longest direction."""
    centred = points - points.mean(axis=0)
    longest = np.linalg.svd(centred, full_matrices=False)[2][0]
    order = np.argsort(centred @ longest)
    middle = len(points) // 2
    return points[order[:middle]], points[order[middle:]]
