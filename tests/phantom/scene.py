"""One patient: vessel trees, airways, great vessels and nodules around the organs, drawn slice by slice."""

from dataclasses import dataclass

import numpy as np

from tests.phantom import anatomy
from tests.phantom.anatomy import Array, Plane, over
from tests.phantom.tubes import Points, Tubes, chain, coverage, joined, points_inside, tree

RIGHT_HILUM, LEFT_HILUM = (-30.0, 6.0, 150.0), (36.0, 8.0, 158.0)
CARINA = (2.0, 12.0, 182.0)
# Diameter in mm, HU: solid, calcified and ground-glass nodules as a radiologist would list them.
NODULES = ((4.0, 30.0), (6.0, 40.0), (10.0, 45.0), (3.0, 320.0), (7.0, -620.0), (9.0, -560.0))


@dataclass(frozen=True)
class Scene:
    """What lies over organs. Rows of ``nodules``: x, y, z, HU; of ``nodule_half``: half axes in plane and along z."""

    vessels: Tubes
    great: Tubes
    airway: Tubes
    wall: Tubes
    trachea: Tubes
    bones: Tubes
    nodules: Points
    nodule_half: Points


def build(rng: np.random.Generator, unit_mm: tuple[float, float]) -> Scene:
    """The patient that ``rng`` draws; ``unit_mm`` is the length of a chest unit in plane and along z."""
    airway, trachea = _airway(rng)
    half = np.array([[mm / 2 / unit_mm[0], mm / 2 / unit_mm[1]] for mm, _ in NODULES])
    places = points_inside(anatomy.lung_depth, _box(0), len(NODULES), rng, float(half.max()) + 3)
    nodules = np.column_stack([places, [hu for _, hu in NODULES]])
    bones = joined(
        [_mirrored(_CLAVICLE, side) for side in (-1, 1)] + [_mirrored(rod, s) for rod in _BLADE for s in (-1, 1)]
    )
    return Scene(_vessels(rng), _GREAT, airway, airway.wider(0.45, 1.22), trachea, bones, nodules, half)


def draw(scene: Scene, plane: Plane) -> Array:
    """HU image of one axial slice, float32, shape of ``plane.x``."""
    image = anatomy.draw(plane)
    lung = anatomy.lung_depth(plane.x, plane.y, plane.z)
    _mix(image, 480.0, coverage(scene.bones, plane))
    over(image, anatomy.lung_tissue(plane), lung, plane.soft)
    _mix(image, anatomy.BLOOD, coverage(scene.great, plane))
    _mix(image, 60.0, coverage(scene.vessels, plane))
    _mix(image, 20.0, coverage(scene.wall, plane) * 0.8)
    _mix(image, 35.0, coverage(scene.trachea.wider(1.6), plane))
    _mix(image, -990.0, coverage(scene.airway, plane))
    _mix(image, -990.0, coverage(scene.trachea, plane))
    for place, half in zip(scene.nodules, scene.nodule_half, strict=True):
        _draw_nodule(image, plane, place, half)
    return image


def _mix(image: Array, hu: float, share: Array) -> None:
    image += share * (hu - image)


def _draw_nodule(image: Array, plane: Plane, place: Points, half: Points) -> None:
    height = (plane.z - place[2]) / half[1]
    if abs(height) > 2:
        return
    dx, dy = plane.x - np.float32(place[0]), plane.y - np.float32(place[1])
    bumps = 1 + 0.12 * np.sin(3 * np.arctan2(dy, dx) + 5 * height)
    rho = np.sqrt((dx**2 + dy**2) / half[0] ** 2 + height**2) / bumps
    over(image, float(place[3]), half[0] * (1 - rho), plane.soft)


def _box(side: int) -> Points:
    """Corners around the right (-1), left (1) or both lungs (0)."""
    return np.array([[-125.0 if side <= 0 else 5, -85, 5], [125.0 if side >= 0 else -5, 90, 285]])


def _vessels(rng: np.random.Generator) -> Tubes:
    """Arteries and veins of both lungs."""
    trees = []
    for side, hilum in ((-1, RIGHT_HILUM), (1, LEFT_HILUM)):
        for shift, count, radius in (((0, -3, 6), 560, 8.0), ((-4 * side, -12, -14), 400, 7.0)):
            targets = points_inside(anatomy.lung_depth, _box(side), count, rng, 2.5)
            trees.append(tree(np.add(hilum, shift), targets, radius, rng))
    return joined(trees)


def _airway(rng: np.random.Generator) -> tuple[Tubes, Tubes]:
    """Bronchial trees, and trachea with main bronchi."""
    trees = []
    for side, hilum in ((-1, RIGHT_HILUM), (1, LEFT_HILUM)):
        targets = points_inside(anatomy.lung_depth, _box(side), 36, rng, 16)
        trees.append(tree(np.add(hilum, (0, 6, 4)), targets, 4.6, rng, smallest=0.9))
    main = [chain((CARINA, (-14, 12, 166), np.add(RIGHT_HILUM, (0, 6, 4))), (7, 6.5, 5))]
    main.append(chain((CARINA, (18, 13, 172), np.add(LEFT_HILUM, (0, 6, 4))), (6.5, 5.8, 4.8)))
    main.append(chain(((0, -6, 330), (1, 2, 250), CARINA), (8.5, 8.5, 8.5)))
    return joined(trees), joined(main)


def _mirrored(rod: Tubes, side: int) -> Tubes:
    flip = np.array([side, 1, 1])
    return Tubes(rod.start * flip, rod.end * flip, rod.start_radius, rod.end_radius)


_CLAVICLE = chain(((20, -58, 238), (58, -66, 246), (96, -46, 258), (132, -20, 262)), (6.5, 5, 5, 6))
_BLADE = tuple(
    chain(
        ((72 + 0.1 * k, 84 - 0.06 * k, 150 + 4.2 * k), (100, 72, 152 + 4.2 * k), (122, 44, 156 + 4.2 * k)),
        (2.6, 2.2, 3.4),
    )
    for k in range(25)
)
_GREAT = joined(
    [
        chain(((30, 50, -30), (28, 50, 60), (26, 48, 150), (24, 44, 196), (16, 22, 214), (-2, -8, 214), (-12, -26, 190),
               (-10, -24, 150), (4, -14, 112)), (11.5, 11.5, 12, 12.5, 13, 14, 15.5, 16, 15)),  # aorta
        chain(((18, -44, 118), (22, -36, 150), (26, -14, 168), (30, 2, 164)), (14, 14, 13, 10)),  # pulmonary trunk
        chain(((22, -22, 163), (0, -8, 160), (-24, 0, 156)), (11, 10.5, 8.5)),  # right pulmonary artery
        chain(((-26, -22, 108), (-28, -20, 160), (-24, -24, 215), (-30, -30, 250)), (10.5, 9.5, 9, 7.5)),  # vena cava
        chain(((-24, -24, 215), (10, -38, 226), (40, -30, 244)), (6.5, 6.5, 6)),  # left brachiocephalic vein
        chain(((0, -4, 216), (-14, -10, 250), (-26, -12, 310)), (6.5, 6, 5)),  # brachiocephalic artery
        chain(((12, 12, 216), (22, 2, 255), (26, -4, 310)), (4.5, 4.5, 4)),  # left carotid artery
        chain(((18, 26, 214), (32, 20, 250), (64, -4, 266)), (5.2, 5, 4.6)),  # left subclavian artery
        chain(((-12, 50, 0), (-10, 50, 170), (-14, 34, 192), (-24, -12, 196)), (3.2, 3.5, 3.8, 4)),  # azygos vein
    ]
)  # fmt: skip
