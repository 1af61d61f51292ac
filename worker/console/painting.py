"""Cuts as PNG: grey by a window, or the difference of two stacks in colours. No text, no metadata."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from sr_engine.volume import FloatArray

LONGEST = 640  # pixels


@dataclass(frozen=True)
class Window:
    """What is black and what is white, HU; ``title`` says it for people."""

    darkest_hu: float
    brightest_hu: float
    title: str


@dataclass(frozen=True)
class Scale:
    """The colours of differences, for a legend: ``stops`` from 0 to 1 with their colour."""

    least: int
    most: int
    stops: tuple[tuple[float, str], ...]


# The lung window hides what slices are restored for elsewhere; the wide one shows both.
WINDOWS: Mapping[str, Window] = {
    "wide": Window(-1100, 300, "-1100 to 300 HU: lung and soft tissue"),
    "lung": Window(-1350, 150, "centre -600, width 1500 HU"),
    "mediastinum": Window(-160, 240, "centre 40, width 400 HU"),
}
# One scale for every series, so that pictures can be compared; beyond it lies what the self-check objects to.
MOST_HU = 200
# Blue below, orange above: told apart by people who see red and green alike. Black between them, as in a reading room.
# Steep near the middle: a tenth of the scale is seen.
STOPS = (
    (0.0, (205, 235, 255)), (0.25, (70, 160, 245)), (0.42, (25, 85, 160)), (0.5, (8, 8, 8)), (0.58, (150, 70, 10)),
    (0.75, (240, 145, 45)), (1.0, (255, 232, 180)),
)  # fmt: skip
SCALE = Scale(-MOST_HU, MOST_HU, tuple((place, f"#{r:02x}{g:02x}{b:02x}") for place, (r, g, b) in STOPS))


def grey(cut: FloatArray, window: Window) -> npt.NDArray[np.uint8]:
    """Grey values of HU."""
    share = (cut - window.darkest_hu) / (window.brightest_hu - window.darkest_hu)
    values: npt.NDArray[np.uint8] = np.clip(share * 255, 0, 255).astype(np.uint8)
    return values


def colours(difference: FloatArray) -> npt.NDArray[np.uint8]:
    """Colours (red, green, blue in the last axis) of differences, HU."""
    share = np.clip((difference + MOST_HU) / (2 * MOST_HU), 0, 1)
    places = [place for place, _ in STOPS]
    channels = [np.interp(share, places, [colour[channel] for _, colour in STOPS]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def upright(image: npt.NDArray[np.uint8], height_mm: float, pixel_mm: float) -> bytes:
    """A coronal or sagittal cut as PNG in true proportions, head upwards.

    Parameters
    ----------
    image : ndarray, uint8, shape (slices, pixels) or (slices, pixels, 3)
        The first slice nearest the feet.
    height_mm : float
        Distance of the first slice's centre from the last one's.
    pixel_mm : float
        Distance of neighbouring pixels along a slice.
    """
    width, height = _size(image.shape[1] * pixel_mm, height_mm)
    # Each row shows the nearest slice as it is: thick slices look as thick as they are.
    nearest = np.rint(np.linspace(len(image) - 1, 0, height)).astype(int)
    return _png(image[nearest], (width, height))


def lying(image: npt.NDArray[np.uint8], pixel_mm: tuple[float, float]) -> bytes:
    """An axial slice as PNG, as it lies in the file: seen from the feet."""
    return _png(image, _size(image.shape[1] * pixel_mm[1], image.shape[0] * pixel_mm[0]))


def _size(width_mm: float, height_mm: float) -> tuple[int, int]:
    scale = LONGEST / max(width_mm, height_mm)
    return max(round(width_mm * scale), 1), max(round(height_mm * scale), 1)


def _png(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(file, "PNG", optimize=True)
    return file.getvalue()
