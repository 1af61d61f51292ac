"""A synthetic chest CT whose thin truth is known: ``chest()`` makes volumes, ``write_dicom()`` a CT series."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sr_engine.volume import FloatArray, Volume
from tests.phantom import scene
from tests.phantom.anatomy import AIR, Plane, ring
from tests.phantom.dicom import write_dicom

__all__ = ["Phantom", "chest", "write_dicom"]

CHEST_WIDTH, CHEST_HEIGHT = 400.0, 290.0


@dataclass(frozen=True)
class Phantom:
    """One chest twice on the same grid: thick slice k is centred on thin slice ``k * ratio``."""

    thin: Volume
    thick: Volume
    ratio: int


def chest(
    *,
    shape: tuple[int, int, int] = (181, 256, 256),
    thin_mm: float = 1.0,
    ratio: int = 5,
    pixel_mm: float = 1.35,
    noise_hu: float = 14.0,
    seed: int = 0,
) -> Phantom:
    """A chest scanned once and reconstructed twice, as a scanner does: thin truth, and thick slices of the same data.

    A thick slice is the mean of the thin truth, noise included, over a box of ``ratio * thin_mm`` around its centre.
    The chest fills the field of view, whatever its size in mm, and as much of the height as keeps it human.
    Equal arguments give equal volumes.

    Parameters
    ----------
    shape : tuple of int
        (slices, rows, columns) of the thin volume; ``slices - 1`` must be a multiple of ``ratio``.
    noise_hu : float
        Standard deviation of the thin slices' noise inside the body; 0 gives a clean truth.

    Returns
    -------
    Phantom
        Volumes in whole HU (float32), LPS, head first supine, slice 0 nearest the feet.

    Raises
    ------
    ValueError
        ``slices - 1`` is no multiple of ``ratio``.
    """
    if (shape[0] - 1) % ratio:
        raise ValueError(f"{shape[0]} thin slices do not end on a thick one: take a multiple of {ratio}, plus 1")
    beyond = ratio // 2  # the outermost thick slices reach past the first and the last thin one
    truth = _truth(shape, beyond, (thin_mm, pixel_mm), noise_hu, seed)
    thick = np.rint(_over_profile(truth, ratio)[beyond : beyond + shape[0] : ratio])
    thin = np.rint(truth[beyond : beyond + shape[0]])
    return Phantom(_volume(thin, thin_mm, pixel_mm), _volume(thick, thin_mm * ratio, pixel_mm), ratio)


def _truth(shape: tuple[int, int, int], beyond: int, mm: tuple[float, float], noise_hu: float, seed: int) -> FloatArray:
    thin_mm, pixel_mm = mm
    wide = pixel_mm * min(shape[1:]) / CHEST_WIDTH  # mm per chest unit, in plane
    high = float(np.clip(shape[0] * thin_mm / CHEST_HEIGHT, 0.7 * wide, 1.25 * wide))  # and along z
    patient = scene.build(np.random.default_rng((seed, 0)), (wide, high))
    axes = ((np.arange(count, dtype=np.float32) - (count - 1) / 2) * np.float32(pixel_mm / wide) for count in shape[1:])
    y, x = np.meshgrid(*axes, indexing="ij")
    slices = []
    for index in range(-beyond, shape[0] + beyond):
        z = 146 + (index - (shape[0] - 1) / 2) * thin_mm / high
        image = scene.draw(patient, Plane(x, y, z, pixel_mm / wide))
        _draw_table(image, Plane(x, y, z, pixel_mm / wide))
        noise = _noise(x.shape, np.random.default_rng((seed, 1, index + beyond)))
        slices.append(image + noise_hu * noise * _noise_share(x, y))
    return np.clip(np.stack(slices), -1024, 3071).astype(np.float32)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Grainy noise of unit deviation, as filtered back projection leaves it: little power at low frequencies."""
    white = rng.standard_normal(shape).astype(np.float32)
    grain = ndimage.gaussian_filter(white, 0.65) - ndimage.gaussian_filter(white, 2.2)
    return grain / grain.std()


def _noise_share(x: FloatArray, y: FloatArray) -> FloatArray:
    """Noise is strongest where rays cross most tissue, and weak outside the body."""
    inside = np.clip(ring(x, y, (165.0, 113.0)) / 60 + 0.5, 0.25, 1)
    return inside.astype(np.float32)


def _draw_table(image: FloatArray, plane: Plane) -> None:
    """A curved couch top of carbon fibre around foam, under the back."""
    below = plane.y - 113 + (plane.x / 62) ** 2
    inside = (np.abs(plane.x) < 185) & (image < AIR + 60)
    image[inside & (below > 0) & (below < 22)] = AIR + 45
    skin = np.minimum(np.abs(below), np.abs(below - 22)) < 0.9
    image[inside & skin] = -420


def _over_profile(truth: FloatArray, ratio: int) -> FloatArray:
    """Mean over a box of ``ratio`` slices centred on each slice, (slices, rows, columns) as given."""
    weights = np.ones(ratio if ratio % 2 else ratio + 1)
    if ratio % 2 == 0:
        weights[[0, -1]] = 0.5  # the box ends in the middle of its outermost slices
    return ndimage.correlate1d(truth, weights / weights.sum(), axis=0)


def _volume(voxels: npt.NDArray[np.float32], step_mm: float, pixel_mm: float) -> Volume:
    rows, columns = voxels.shape[1:]
    affine = np.zeros((4, 4))
    affine[:, 0], affine[:, 1], affine[:, 2] = (0, 0, step_mm, 0), (0, pixel_mm, 0, 0), (pixel_mm, 0, 0, 0)
    affine[:, 3] = -(columns - 1) / 2 * pixel_mm, -(rows - 1) / 2 * pixel_mm, -350.0, 1
    return Volume(voxels.astype(np.float32), (step_mm, pixel_mm, pixel_mm), affine, step_mm)
