"""The chest as formulas: how deep a point lies inside an organ, and the HU image of one axial slice.

Coordinates are *chest units*: millimetres of an adult in a field of view 400 wide. x points to the patient's left,
y to the back, z to the head (LPS); (0, 0) is the middle of the body, z = 0 under the liver, z = 300 at the neck.
A depth is positive inside and falls off by about 1 per unit, so that an edge can be drawn one voxel soft.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

AIR, FAT, MUSCLE, BLOOD, MYOCARDIUM = -1000.0, -100.0, 52.0, 150.0, 95.0
LIVER, SPLEEN, FLUID, CARTILAGE, MARROW, CORTEX, DISC = 105.0, 115.0, 15.0, 110.0, 190.0, 620.0, 85.0
RIB_STEP, VERTEBRA_STEP = 25.0, 23.0


@dataclass(frozen=True)
class Plane:
    """The points of one axial slice in chest units, and how wide an edge is drawn."""

    x: Array
    y: Array
    z: float
    soft: float


def soft_min(first: Array, second: Array, radius: float) -> Array:
    """Minimum of two depths with the corner between them rounded: the intersection of two bodies."""
    share = np.clip(0.5 + (second - first) / (2 * radius), 0, 1)
    return second + share * (first - second) - radius * share * (1 - share)


def ring(x: Array, y: Array, half: tuple[Array | float, Array | float], power: float = 2.0) -> Array:
    """Depth inside a super-ellipse around the origin, measured along the radius."""
    rho = (np.abs(x / half[0]) ** power + np.abs(y / half[1]) ** power) ** (1 / power) + 1e-4
    return np.hypot(x, y) * (1 - rho) / rho


def _cage_half(z: Array | float) -> tuple[Array | float, Array | float]:
    taper = np.sqrt(np.clip(1 - (np.clip(z - 105, 0, None) / 190) ** 2.3, 0.01, 1))
    return 127 * taper, 84 * (0.25 + 0.75 * taper)


def cage_depth(x: Array, y: Array, z: Array | float) -> Array:
    """Depth inside the pleura-lined rib cage."""
    return ring(x, y, _cage_half(z), 2.35)


def heart_depth(x: Array, y: Array, z: Array | float, shrink: float = 0.0) -> Array:
    """Depth inside the heart with its fat, an ellipsoid that points to the left and front."""
    across, along = 0.82 * (x - 20) - 0.57 * (y + 24), 0.57 * (x - 20) + 0.82 * (y + 24)
    height = (z - 80) + 0.22 * across
    rho = np.sqrt((across / (66 - shrink)) ** 2 + (along / (45 - shrink)) ** 2 + (height / (56 - shrink)) ** 2) + 1e-4
    return np.sqrt(across**2 + along**2 + height**2) * (1 - rho) / rho


def diaphragm_height(x: Array, y: Array) -> Array:
    """Height z of the diaphragm: a right dome and a lower left one, falling off steeply to the back."""
    fall = ((y + 18) / 78) ** 2 * 42
    right = 72 - ((x + 66) / 78) ** 2 * 34
    left = 57 - ((x - 68) / 74) ** 2 * 32
    return -soft_min(-right, -left, 12) - fall


def lung_depth(x: Array, y: Array, z: Array | float) -> Array:
    """Depth inside a lung: in the cage, above the diaphragm, beside heart, mediastinum and spine."""
    middle = 8 + 27 * np.exp(-(((y + 2) / 38) ** 2)) * (1 + 0.25 * np.exp(-(((z - 150) / 45) ** 2)))
    depth = soft_min(cage_depth(x, y, z), np.abs(x - 3) - middle, 9)
    depth = soft_min(depth, -heart_depth(x, y, z), 7)
    depth = soft_min(depth, -ring(x, y - 66, (25.0, 24.0)), 6)
    return soft_min(depth, 0.75 * (z - diaphragm_height(x, y)), 6)


def draw(plane: Plane) -> Array:
    """HU image of everything that is not a tube or a nodule, shape of ``plane.x``."""
    image = np.full(plane.x.shape, AIR, np.float32)
    _draw_wall(image, plane)
    _draw_inside(image, plane)
    _draw_ribs(image, plane)
    _draw_spine(image, plane)
    return image


def lung_tissue(plane: Plane) -> Array:
    """HU of aerated lung: denser towards the back, where blood sinks, with faint fissures."""
    slope = -868 + 0.42 * (plane.y + 80)
    fissure = np.abs(0.55 * (plane.z - 118) - 0.83 * (plane.y - 4) + 6 * np.sin(plane.x / 23))
    return (slope + 95 * np.exp(-((fissure / 0.9) ** 2))).astype(np.float32)


def over(image: Array, hu: Array | float, depth: Array, soft: float) -> None:
    """Lay tissue of ``hu`` over the image wherever ``depth`` is positive, with a soft edge."""
    image += np.clip(depth / soft + 0.5, 0, 1) * (hu - image)


def _draw_wall(image: Array, plane: Plane) -> None:
    """Skin, fat under it, and the muscles of the wall."""
    x, y, z, soft = plane.x, plane.y, plane.z, plane.soft
    shoulder = 1 / (1 + np.exp(-(z - 235) / 14))
    body = ring(x, y, (163.0 + 9 * shoulder, 111.0 - 12 * shoulder), 2.4)
    over(image, 20.0, body, soft)
    over(image, FAT, body - 2.2, soft)
    back = np.exp(-(((y - 75) / 45) ** 2))
    muscle = body - 15 - 5 * np.sin(x / 31 + z / 50) + 7 * back
    over(image, MUSCLE, soft_min(muscle, 34 + 30 * shoulder + cage_depth(x, y, z), 8), soft)
    blade_fat = np.abs(np.hypot(x, y - 6) - 126 + 0.03 * z) - 1.2
    over(image, FAT + 40, soft_min(-blade_fat, muscle - 3, 2), 2 * soft)
    over(image, MUSCLE + 6, ring(np.abs(x) - 29, y - 92, (22.0, 13.0)), soft)


def _draw_inside(image: Array, plane: Plane) -> None:
    """Mediastinal fat, heart and the organs under the diaphragm."""
    x, y, z, soft = plane.x, plane.y, plane.z, plane.soft
    cage = cage_depth(x, y, z)
    over(image, FAT + 8, soft_min(cage, 92 - np.abs(x), 4), soft)
    over(image, MUSCLE, ring(np.abs(x) - 4, y + 8, (17.0, 33.0)) + 3 * np.sin(z / 9), 3 * soft)
    over(image, FAT, heart_depth(x, y, z), soft)
    over(image, MYOCARDIUM, heart_depth(x, y, z, 5.0), soft)
    over(image, BLOOD + 15, soft_min(heart_depth(x, y, z, 16.0), np.abs(x - 34 + 0.9 * (y + 28)) - 3.5, 4), soft)
    under = soft_min(cage, 0.75 * (diaphragm_height(x, y) - z), 4)
    over(image, MUSCLE, under, soft)
    over(image, FAT, under - 3, soft)
    over(image, LIVER, soft_min(under - 4, 32 - x - 0.35 * (y + 20), 14), soft)
    over(image, SPLEEN, soft_min(under - 4, ring(x - 88, y - 38, (30.0, 36.0)), 8), soft)
    stomach = soft_min(under - 6, ring(x - 62, y + 26, (34.0, 34.0)), 8)
    over(image, MUSCLE, stomach, soft)
    over(image, np.where(y < -38, AIR + 20, FLUID).astype(np.float32), stomach - 4, soft)


def _draw_ribs(image: Array, plane: Plane) -> None:
    """Ribs: slanted rings around the cage; cartilage in front, and the sternum."""
    x, y, z, soft = plane.x, plane.y, plane.z, plane.soft
    outside = -cage_depth(x, y, z) - 6.5
    phase = (z - 0.55 * y + 0.06 * np.abs(x)) / RIB_STEP
    along = (phase - np.round(phase)) * RIB_STEP * 0.86
    rho = np.hypot(outside / 4.6, along / 6.4)
    depth = soft_min(4.6 * (1 - rho), np.abs(x) - 16, 3)
    front = np.clip((-y - 48) / 10, 0, 1)
    over(image, CORTEX + front * (CARTILAGE - CORTEX), depth, soft)
    over(image, MARROW + front * (CARTILAGE - MARROW), depth - 1.5, soft)
    chest_front = float(_cage_half(z)[1])
    sternum = ring(x, y + chest_front + 9, (17.0 + 4 * (z > 215), 6.0), 3) - 40 * (z < 95) - 40 * (z > 250)
    over(image, 0.6 * CORTEX, sternum, soft)
    over(image, MARROW - 60, sternum - 1.6, soft)


def _draw_spine(image: Array, plane: Plane) -> None:
    """Vertebral bodies and discs, the canal, and the processes behind it."""
    x, y, z, soft = plane.x, plane.y, plane.z, plane.soft
    level = (z / VERTEBRA_STEP - np.round(z / VERTEBRA_STEP)) * VERTEBRA_STEP  # 0: middle of a body
    waist = 1.6 * np.cos(2 * np.pi * level / VERTEBRA_STEP)
    body = ring(x, y - 62, (17.5 - waist, 14.5 - waist), 2.3)
    plate = 9.3 - abs(level)  # > 0 inside the bone, < 0 in the disc
    over(image, DISC, body, soft)
    over(image, CORTEX, np.minimum(body, np.float32(plate)), soft)
    over(image, MARROW, np.minimum(body - 1.4, np.float32(plate - 1.6)), soft)
    arch = ring(x, y - 83, (14.0, 12.0)) - max(0.0, abs(level) - 6)
    over(image, CORTEX - 120, arch, soft)
    wing = soft_min(
        ring(np.abs(x) - 24, y - 86 + 0.12 * np.abs(x), (15.0, 4.6)), np.float32(6 - abs(level - 3)) + 0 * x, 3
    )
    over(image, 0.6 * CORTEX, wing, soft)
    spine = soft_min(ring(x, y - 99, (3.2, 11.0)), np.float32(7 - abs(level + 3)) + 0 * x, 2)
    over(image, 0.7 * CORTEX, spine, soft)
    over(image, FAT + 60, ring(x, y - 83, (8.8, 8.0)), soft)
    over(image, 38.0, ring(x, y - 83, (5.2, 4.6)), soft)
