"""A body with oblique rods under a tilted gantry: every place in it is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sr_engine.volume import Volume

Points = npt.NDArray[np.float64]
AIR, BODY, ROD = -1000.0, 40.0, 900.0
ROD_MM = 6.0  # radius
OVER_THICKNESS = 11  # samples along the normal, averaged as a scanner does


@dataclass(frozen=True)
class Rod:
    """A straight rod: a point on its axis and the axis' direction, mm, LPS."""

    point: Points
    direction: Points

    def distance(self, places: Points) -> Points:
        """Distance of places (..., 3) from the axis."""
        along = self.direction / np.linalg.norm(self.direction)
        return np.linalg.norm(np.cross(places - self.point, along), axis=-1)

    def crossing(self, corner: Points, normal: Points) -> Points:
        """Where the axis meets a plane."""
        share = np.dot(corner - self.point, normal) / np.dot(self.direction, normal)
        return self.point + share * self.direction


RODS = (
    Rod(np.array([-25.0, -20.0, 0.0]), np.array([0.0, 0.0, 1.0])),  # along the body
    Rod(np.array([20.0, -15.0, 0.0]), np.array([0.25, -0.3, 1.0])),
    Rod(np.array([0.0, 22.0, 0.0]), np.array([-0.4, 0.1, 1.0])),
)


def tilted(degrees: float, *, slices: int = 9, feed_mm: float = 5.0, plane: int = 96, pixel_mm: float = 1.2) -> Volume:
    """Thick slices whose columns lean towards the head by ``degrees``; the table feeds along z. Whole HU."""
    lean = np.radians(degrees)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(lean), np.sin(lean)])
    normal, step = np.cross(row, column), feed_mm * float(np.cos(lean))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (0, 0, feed_mm), column * pixel_mm, row * pixel_mm
    affine[:3, 3] = -affine[:3, :3] @ np.array([slices - 1, plane - 1, plane - 1]) / 2
    indices = np.stack(np.meshgrid(*map(np.arange, (slices, plane, plane)), indexing="ij"), axis=-1)
    places = indices @ affine[:3, :3].T + affine[:3, 3]
    offsets = (np.arange(OVER_THICKNESS) + 0.5) / OVER_THICKNESS - 0.5
    mean = np.mean([_hounsfield(places + offset * step * normal, pixel_mm) for offset in offsets], axis=0)
    return Volume(np.rint(mean).astype(np.float32), (step, pixel_mm, pixel_mm), affine, step)


def _hounsfield(places: Points, soft_mm: float) -> Points:
    """HU at places (..., 3), edges ``soft_mm`` wide."""
    image = np.where(np.hypot(places[..., 0] / 56, places[..., 1] / 54) < 1, BODY, AIR)
    for rod in RODS:
        image += np.clip((ROD_MM - rod.distance(places)) / soft_mm + 0.5, 0, 1) * (ROD - image)
    return image
