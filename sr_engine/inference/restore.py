"""The one door of the engine: a thick volume in, a thin volume with its provenance and self-check out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sr_engine.allocator import keep_freed_memory, memory_bytes
from sr_engine.errors import DeviceLost, ImplausibleResult, InvalidVolume
from sr_engine.inference import model, tiling
from sr_engine.inference.blending import Blender
from sr_engine.inference.consistency import make_consistent
from sr_engine.inference.dark_lung import deepen
from sr_engine.inference.memory import Rung, first_that_fits
from sr_engine.inference.model import identify
from sr_engine.inference.selfcheck import check
from sr_engine.networks.contract import Sampling, SliceNetwork
from sr_engine.settings import EngineSettings
from sr_engine.volume import FloatArray, ModelIdentity, SliceOrigin, ThinVolume, Volume

__all__ = ["identify", "predict", "ready", "restore", "thin_ratio"]

Progress = Callable[[int, int], None]
Tile = tuple[tiling.Window, slice, slice]

MEMORY_SHARE = 0.5  # of the machine's memory, for tiles that are worked on at the same time
AIR_FLOOR_HU = -1024.0  # what scanners store for the darkest air
OVERSHOOT = 0.1  # of the source's range


def thin_ratio(step_mm: float, target_mm: float) -> int:
    """Thin slices per thick spacing: the whole number, at least 1, whose thin spacing is nearest to the target.

    A whole number makes the thin grid contain every thick position. Halves go up, so that 2.5 mm at a target of 1 mm
    gives 3 slices of 0.83 mm.
    """
    return max(1, int(step_mm / target_mm + 0.5))


def ready(settings: EngineSettings) -> ModelIdentity:
    """Say which network :func:`restore` would use now, having read its weights and looked for its device.

    Raises
    ------
    UnknownNetwork, WeightsUnavailable, DeviceLost
        It would not run: no such network, weights missing or damaged, no such GPU.
    """
    identity = model.verify(settings)
    _device(settings)
    return identity


def restore(volume: Volume, settings: EngineSettings, progress: Progress | None = None) -> ThinVolume:
    """Restore a thin-slice volume from a thick one.

    Parameters
    ----------
    volume : Volume
        Thick slices, one or more, finite HU.
    settings : EngineSettings
        Network, weights, target spacing, device, precision, largest tile, overlap of windows.
    progress : callable, optional
        Called with (tiles done, tiles in all) after every tile; begins anew if a tile did not fit the device.

    Returns
    -------
    ThinVolume
        ``(slices - 1) * ratio + 1`` thin slices, the first on the first thick slice, the last on the last, spacing and
        thickness ``step / ratio``. Values reach at most a tenth of the source's range beyond its own values, and below
        -1024 HU only where the source does: thin slices may be brighter than their average, but no air is darker.
        A network's slices average back to the thick ones, unless ``settings.data_consistency`` is off.

    Raises
    ------
    InvalidVolume
        Not finite, or already thin.
    UnknownNetwork, WeightsUnavailable
        As :func:`identify`.
    OutOfMemory
        Not even the smallest tile fits, be it on the CPU.
    DeviceLost
        The device does not exist or does not answer.
    ImplausibleResult
        The network's output is not finite.
    """
    ratio = _checked_ratio(volume, settings)
    identity = identify(settings)
    device = _device(settings)
    keep_freed_memory()
    network = model.load(settings)
    bfloat16 = settings.precision == "bfloat16"
    run = _Run(network, ratio, sampling_of(volume), device, settings.threads or 1, bfloat16, settings.shared_slices)
    voxels, rung = _predict_where_it_fits(run, volume, settings, progress)
    network_rms_hu = None
    if identity.learned and settings.data_consistency:
        width = volume.slice_thickness_mm / volume.spacing_mm[0]
        network_rms_hu = make_consistent(voxels, volume.voxels, ratio, width)
        deepen(voxels, volume.voxels, ratio, width, model.dark_lung_hu(settings, ratio))
    _limit(voxels, volume.voxels)
    thin = _thin_geometry(voxels, volume, ratio)
    origins = _origins(len(volume.voxels), network, ratio)
    joins = tiling.joins(volume.voxels.shape, network.contract(ratio), settings.shared_slices, rung.tile)
    found = replace(check(thin, volume, ratio, joins), network_rms_hu=network_rms_hu)
    doubts = model.doubts(settings, volume, ratio)
    return ThinVolume(thin, ratio, identity, origins, found, str(rung.device), rung.tile, doubts)


def _predict_where_it_fits(
    run: "_Run", volume: Volume, settings: EngineSettings, progress: Progress | None
) -> tuple[FloatArray, Rung]:
    limit = run.network.tile_limit and min(run.network.tile_limit, settings.tile)

    def predict_on(rung: Rung) -> FloatArray:
        network = run.network.to(rung.device)
        threads = settings.threads or _threads_that_fit(network, volume, rung.tile)
        return _predict(replace(run, device=rung.device, threads=threads), volume.voxels, rung.tile, progress)

    return first_that_fits(predict_on, run.device, limit, max(volume.voxels.shape[1:]))


def _checked_ratio(volume: Volume, settings: EngineSettings) -> int:
    if volume.voxels.size == 0:
        raise InvalidVolume(f"the volume has no voxels, its shape is {volume.voxels.shape}")
    if not np.isfinite(volume.voxels).all():
        raise InvalidVolume("the volume has values that are not numbers: replace NaN and infinity by HU, air by -1024")
    step, target = volume.spacing_mm[0], settings.target_spacing_mm
    ratio = thin_ratio(step, target)
    if ratio == 1:
        raise InvalidVolume(
            f"already thin: slices lie {step:g} mm apart, which is as near to the target of {target:g} mm "
            "as a whole number of thin slices can come"
        )
    return ratio


def _device(settings: EngineSettings) -> torch.device:
    available = torch.cuda.is_available()
    if settings.device == "auto":
        return torch.device("cuda" if available else "cpu")
    if settings.device.startswith("cuda") and not available:
        raise DeviceLost(f"device {settings.device} is asked for, but torch finds no CUDA GPU: set device to auto")
    return torch.device(settings.device)


def _threads_that_fit(network: SliceNetwork, volume: Volume, limit: int | None) -> int:
    """Tiles the CPU can work on at a time: one a core, but no more than half of the machine's memory holds.

    Memory decides how many run at a time and not how large they are, so results do not depend on the machine.
    """
    rows, columns = (tiling.spans(size, limit)[0].stop for size in volume.voxels.shape[1:])
    needed = max(1, network.bytes_per_pixel * rows * columns)
    return max(1, min(torch.get_num_threads(), int(MEMORY_SHARE * memory_bytes() / needed)))


@dataclass(frozen=True)
class _Run:
    """What stays the same from tile to tile; ``bfloat16`` is for matrix products alone (autocast)."""

    network: SliceNetwork
    ratio: int
    sampling: Sampling
    device: torch.device
    threads: int
    bfloat16: bool = False
    shared_slices: int = 1


def sampling_of(volume: Volume) -> Sampling:
    """Distances in a thick volume; pixels that are not square count with their mean."""
    step, row, column = volume.spacing_mm
    return Sampling.of(step, volume.slice_thickness_mm, (row + column) / 2)


def predict(network: SliceNetwork, thick: Volume, ratio: int, shared_slices: int = 1) -> FloatArray:
    """Thin slices by a network in hand, unchecked and unlimited; for training and evaluation.

    Parameters
    ----------
    network : SliceNetwork
        In evaluation mode, on any device.
    thick : Volume
        Thick slices, HU.
    ratio : int
        Thin slices per thick spacing.
    shared_slices : int
        Thick slices that neighbouring windows share.

    Returns
    -------
    ndarray, float32, shape ((slices - 1) * ratio + 1, rows, columns)
    """
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    limit = network.tile_limit
    threads = _threads_that_fit(network, thick, limit)
    run = _Run(network, ratio, sampling_of(thick), device, threads, shared_slices=shared_slices)
    return _predict(run, thick.voxels, limit, None)


def _predict(run: _Run, voxels: FloatArray, limit: int | None, progress: Progress | None) -> FloatArray:
    """Predict every tile of every window and blend; (slices, rows, columns) -> (thin slices, rows, columns)."""
    slices, height, width = voxels.shape
    windows = tiling.windows(slices, run.network.contract(run.ratio), run.shared_slices)
    rows, columns = tiling.spans(height, limit), tiling.spans(width, limit)
    blender = Blender((tiling.thin_count(slices, run.ratio), height, width), windows, rows, columns)
    tiles = [(window, row, column) for window in windows for row in rows for column in columns]
    predictions = _on_threads(lambda tile: _predict_tile(run, voxels, tile), tiles, run)
    for done, (tile, predicted) in enumerate(zip(tiles, predictions, strict=True), start=1):
        blender.add(*tile, predicted)
        if progress is not None:
            progress(done, len(tiles))
    if not np.isfinite(blender.voxels).all():
        raise ImplausibleResult("the network's output is not finite: do not trust its weights or this device")
    return blender.voxels


@torch.inference_mode()
def _predict_tile(run: _Run, voxels: FloatArray, tile: Tile) -> Tensor:
    """Thin slices of one tile that lie inside the volume, on the CPU."""
    window, rows, columns = tile
    thick = torch.from_numpy(voxels[list(window.thick), rows, columns]).unsqueeze(0)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.bfloat16):
        predicted: Tensor = run.network(thick.to(run.device), run.ratio, run.sampling.to(run.device))
    return predicted[0, window.outputs].cpu()


def _on_threads(predict: Callable[[Tile], Tensor], tiles: Sequence[Tile], run: _Run) -> Iterator[Tensor]:
    """Predict tiles in order: on the CPU several at a time, each on one core.

    Sharing one tile among cores is no faster on quiet ones, and four times slower where another program takes a share
    of one: threads wait for each other after every small step. It also makes results depend on the number of cores.
    """
    if run.device.type != "cpu":
        yield from map(predict, tiles)
        return
    with ThreadPoolExecutor(run.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(predict, tiles)


def _limit(thin: FloatArray, thick: FloatArray) -> None:
    """Clip in place to the source's range and a margin, see :func:`restore`."""
    low, high = float(thick.min()), float(thick.max())
    margin = OVERSHOOT * (high - low)
    np.clip(thin, min(low, max(low - margin, AIR_FLOOR_HU)), high + margin, out=thin)


def _thin_geometry(voxels: FloatArray, source: Volume, ratio: int) -> Volume:
    """Place thin voxels: thin slice 0 exactly on thick slice 0, the step divided by the ratio."""
    affine = source.affine.copy()
    affine[:, 0] /= ratio
    step = source.spacing_mm[0] / ratio
    return Volume(voxels, (step, *source.spacing_mm[1:]), affine, slice_thickness_mm=step)


def _origins(thick_slices: int, network: SliceNetwork, ratio: int) -> tuple[SliceOrigin, ...]:
    edge = tiling.edge_slices(thick_slices, network.contract(ratio))
    return tuple(
        SliceOrigin(thin // ratio, -(-thin // ratio), edge=bool(edge[thin]))
        for thin in range(tiling.thin_count(thick_slices, ratio))
    )
