"""A picture for people: the thick series beside the thin one, cut across the slices, where their thickness shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from sr_engine.errors import InvalidVolume
from sr_engine.volume import FloatArray, Volume

PLANES = ("coronal", "sagittal")
WINDOWS = {"lung": (-550.0, 1400.0), "soft tissue": (40.0, 400.0)}  # (centre, width), HU
ERROR_RANGE_HU = 200.0
VIEW_PX, GAP_PX, HEAD_PX, CAPTION_PX, FOOT_PX = 400, 14, 52, 40, 40
ZOOM_MM = 64.0
BACKGROUND, INK, QUIET, ACCENT = (13, 15, 18), (236, 238, 240), (139, 147, 156), (255, 179, 71)
HEAT = np.array([[13, 15, 18], [74, 28, 92], [196, 64, 68], [250, 168, 62], [252, 246, 205]], float)


@dataclass(frozen=True)
class _View:
    """One column of the picture; ``blocks`` shows slices as they are, ``error`` in heat colours from 0 HU up."""

    title: str
    note: str
    volume: Volume
    blocks: bool = False
    error: bool = False


@dataclass(frozen=True)
class _Frame:
    """A rectangle in the coronal plane and how large it is drawn, all relative to the thick volume's first voxel.

    ``left_mm`` runs along the columns, ``top_mm`` along the slice normal; ``px_per_mm`` is equal in both.
    """

    row: int
    left_mm: float
    top_mm: float
    px_per_mm: float
    width_px: int
    height_px: int


def coronal_panel(
    path: Path,
    thick: Volume,
    thin: Volume,
    truth: Volume | None = None,
    baseline: Volume | None = None,
    *,
    window: str = "lung",
    thin_title: str = "TVSRN-V2",
    baseline_title: str = "Cubic",
    title: str = "",
    footer: str = "Not for primary diagnosis",
    row: int | None = None,
    plane: str = "coronal",
) -> Path:
    """Write a PNG of coronal (or sagittal) views side by side at true proportions, and under each an enlarged detail.

    The detail is the square of 64 mm in which the thick and the thin view differ most. Head is up, columns (sagittal:
    rows, front to the left) run as in the axial images. Thick slices are drawn as blocks, to show how thick they are.

    Parameters
    ----------
    path : Path
        Where the PNG goes; its folder is made.
    thick, thin, truth, baseline : Volume
        Volumes of one patient with equal rows and columns; ``truth`` on the grid of ``thin`` adds a view of the
        absolute error of ``thin``.
    window : str
        ``lung`` or ``soft tissue``.
    title, footer : str
        What the volumes are, and what the picture must not be used for.
    row : int or None
        Row of the axial images to cut along (sagittal: column); None takes the middle one.
    plane : str
        ``coronal`` or ``sagittal``.

    Raises
    ------
    InvalidVolume
        Rows and columns differ, or the truth's slices are not those of ``thin``.
    ValueError
        Unknown window or plane.
    """
    if window not in WINDOWS:
        raise ValueError(f"window must be one of {', '.join(WINDOWS)}, not {window}")
    if plane not in PLANES:
        raise ValueError(f"plane must be one of {', '.join(PLANES)}, not {plane}")
    if plane == "sagittal":
        thick, thin = _turned(thick), _turned(thin)
        truth, baseline = truth and _turned(truth), baseline and _turned(baseline)
    views = _views(thick, thin, truth, baseline, thin_title, baseline_title)
    whole = _whole(thick, thick.voxels.shape[1] // 2 if row is None else row)
    detail = _detail(whole, thick, thin, window)
    canvas = _canvas(len(views), whole.height_px)
    for column, view in enumerate(views):
        left = GAP_PX + column * (VIEW_PX + GAP_PX)
        pictures = [_picture(view, thick, frame, window) for frame in (whole, detail)]
        _mark(pictures, whole, detail)
        _place(canvas, left, view, pictures)
    _write(canvas, title, f"{plane.capitalize()}, {window} window", footer)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)
    return path


def _turned(volume: Volume) -> Volume:
    """Swap rows and columns, so that a coronal cut of the result is a sagittal one of ``volume``."""
    slices, rows, columns = volume.spacing_mm
    affine = volume.affine[:, [0, 2, 1, 3]]
    return Volume(volume.voxels.transpose(0, 2, 1), (slices, columns, rows), affine, volume.slice_thickness_mm)


def _views(
    thick: Volume, thin: Volume, truth: Volume | None, baseline: Volume | None, thin_title: str, baseline_title: str
) -> Sequence[_View]:
    views = [_View("Thick", _spacing(thick), thick, blocks=True)]
    if baseline is not None:
        views.append(_View(baseline_title, _spacing(baseline), baseline))
    views.append(_View(thin_title, _spacing(thin), thin))
    if truth is not None:
        views += [_View("Truth", _spacing(truth), truth), _error_view(thin, truth, thin_title)]
    if len({view.volume.voxels.shape[1:] for view in views}) != 1:
        raise InvalidVolume("the volumes of one picture need equal rows and columns")
    return views


def _spacing(volume: Volume) -> str:
    return f"{volume.spacing_mm[0]:.3g} mm"


def _error_view(thin: Volume, truth: Volume, thin_title: str) -> _View:
    if thin.voxels.shape != truth.voxels.shape:
        raise InvalidVolume(f"the truth has shape {truth.voxels.shape}, the restored volume {thin.voxels.shape}")
    error = np.abs(thin.voxels - truth.voxels)
    note = f"mean {error.mean():.1f} HU, scale 0 to {ERROR_RANGE_HU:g}"
    return _View(f"Error of {thin_title}", note, replace(thin, voxels=error), error=True)


def _whole(thick: Volume, row: int) -> _Frame:
    """The frame around the whole thick volume, from the outer face of its first slice to that of its last."""
    slices, _, columns = thick.voxels.shape
    step, _, column_mm = thick.spacing_mm
    px_per_mm = VIEW_PX / (columns * column_mm)
    top = (slices - 0.5) * step
    return _Frame(row, -column_mm / 2, top, px_per_mm, VIEW_PX, max(1, round(slices * step * px_per_mm)))


def _detail(whole: _Frame, thick: Volume, thin: Volume, window: str) -> _Frame:
    """The square in which the windowed thick and thin views differ most."""
    coarse, fine = _cut(thick, thick, whole, 0), _cut(thin, thick, whole, 1)
    difference = np.abs(_grey(coarse, window) - _grey(fine, window))
    difference[np.isnan(fine)] = -1  # keeps the detail off the half slices beyond the thin volume's ends
    side_px = min(round(ZOOM_MM * whole.px_per_mm), whole.width_px, whole.height_px)
    # uniform_filter centres its box; only boxes that lie inside the view are candidates.
    mean = ndimage.uniform_filter(difference, side_px, mode="constant")  # type: ignore[attr-defined]
    half = side_px // 2
    inner = mean[half : whole.height_px - side_px + half + 1, half : whole.width_px - side_px + half + 1]
    top_px, left_px = np.unravel_index(int(inner.argmax()), inner.shape)
    left = whole.left_mm + float(left_px) / whole.px_per_mm
    top = whole.top_mm - float(top_px) / whole.px_per_mm
    return _Frame(whole.row, left, top, VIEW_PX * whole.px_per_mm / side_px, VIEW_PX, VIEW_PX)


def _cut(volume: Volume, thick: Volume, frame: _Frame, order: int) -> FloatArray:
    """Coronal image of ``volume`` in ``frame``, shape (height_px, width_px), HU; NaN where it has no slice."""
    normal = thick.affine[:3, 0] / np.linalg.norm(thick.affine[:3, 0])
    first = float((volume.affine[:3, 3] - thick.affine[:3, 3]) @ normal)
    down = frame.top_mm - (np.arange(frame.height_px) + 0.5) / frame.px_per_mm
    right = frame.left_mm + (np.arange(frame.width_px) + 0.5) / frame.px_per_mm
    at = np.meshgrid((down - first) / volume.spacing_mm[0], right / volume.spacing_mm[2], indexing="ij")
    plane = volume.voxels[:, frame.row]
    image = ndimage.map_coordinates(plane, at, order=order, mode="nearest")  # type: ignore[attr-defined]
    outside = (at[0] < -0.5) | (at[0] > len(volume.voxels) - 0.5)
    return np.asarray(np.where(outside, np.float32(np.nan), image), np.float32)


def _grey(image: FloatArray, window: str) -> FloatArray:
    """Windowed image from 0 to 1; black where there is no slice."""
    centre, width = WINDOWS[window]
    return np.asarray(np.nan_to_num(np.clip((image - centre) / width + 0.5, 0, 1)), np.float32)


def _picture(view: _View, thick: Volume, frame: _Frame, window: str) -> Image.Image:
    image = _cut(view.volume, thick, frame, 0 if view.blocks else 1)
    if not view.error:
        return Image.fromarray(np.uint8(255 * _grey(image, window))).convert("RGB")
    level = np.nan_to_num(np.clip(image / ERROR_RANGE_HU, 0, 1)) * (len(HEAT) - 1)
    colours = [np.interp(level, np.arange(len(HEAT)), HEAT[:, channel]) for channel in range(3)]
    return Image.fromarray(np.uint8(np.stack(colours, axis=-1)))


def _canvas(columns: int, whole_px: int) -> Image.Image:
    width = GAP_PX + columns * (VIEW_PX + GAP_PX)
    return Image.new("RGB", (width, HEAD_PX + CAPTION_PX + whole_px + GAP_PX + VIEW_PX + FOOT_PX), BACKGROUND)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # a scalable font that comes with Pillow


def _mark(pictures: Sequence[Image.Image], whole: _Frame, detail: _Frame) -> None:
    """Outline the detail in the whole view, and give each a scale bar."""
    left = (detail.left_mm - whole.left_mm) * whole.px_per_mm
    top = (whole.top_mm - detail.top_mm) * whole.px_per_mm
    side = detail.width_px / detail.px_per_mm * whole.px_per_mm
    ImageDraw.Draw(pictures[0]).rectangle((left, top, left + side - 1, top + side - 1), outline=ACCENT)
    for picture, frame, bar_mm in zip(pictures, (whole, detail), (50, 10), strict=True):
        draw = ImageDraw.Draw(picture)
        right, bottom = picture.width - 12, picture.height - 12
        draw.line((right - bar_mm * frame.px_per_mm, bottom, right, bottom), fill=INK, width=3)
        draw.text(
            (right, bottom - 6), f"{bar_mm} mm", INK, _font(13), anchor="rs", stroke_width=2, stroke_fill=BACKGROUND
        )


def _place(canvas: Image.Image, left: int, view: _View, pictures: Sequence[Image.Image]) -> None:
    """Caption, whole view and detail of one column."""
    draw = ImageDraw.Draw(canvas)
    baseline = HEAD_PX + CAPTION_PX - 14
    draw.text((left, baseline), view.title, INK, _font(19), anchor="ls")
    after = left + draw.textlength(view.title, _font(19)) + 10
    draw.text((after, baseline), view.note, QUIET, _font(15), anchor="ls")
    top = HEAD_PX + CAPTION_PX
    for picture in pictures:
        canvas.paste(picture, (left, top))
        top += picture.height + GAP_PX


def _write(canvas: Image.Image, title: str, subtitle: str, footer: str) -> None:
    """Title and window above, warning below."""
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP_PX, 36), title or "Thick and thin", INK, _font(24), anchor="ls")
    draw.text((canvas.width - GAP_PX, 36), subtitle, QUIET, _font(17), anchor="rs")
    draw.text((GAP_PX, canvas.height - 14), footer, ACCENT, _font(16), anchor="ls")
