"""When memory does not suffice: smaller tiles, then the CPU, then one sentence. And telling a lost GPU from a full one.

Every rung gives the same voxels but for the rounding and the seams of tiles, which fade into each other.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from sr_engine.errors import DeviceLost, OutOfMemory
from sr_engine.volume import FloatArray

log = logging.getLogger(__name__)

SMALLEST_TILE = 64
TILE_MULTIPLE = 8  # window of the transformers
CPU = torch.device("cpu")
# What torch and the C library say where they raise a plain RuntimeError.
FULL = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED", "start new thread")
LOST = ("CUDA error", "CUDA driver", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error", "NVML")


@dataclass(frozen=True)
class Rung:
    """One try: where, and with tiles of at most how many rows and columns (None: the whole plane)."""

    device: torch.device
    tile: int | None


def rungs(device: torch.device, tile: int | None, plane: int) -> Iterator[Rung]:
    """Tries in order: tiles halved down to SMALLEST_TILE on the device, then the same on the CPU."""
    for place in [device] if device.type == "cpu" else [device, CPU]:
        yield Rung(place, tile)
        size = min(tile or plane, plane)
        while size > SMALLEST_TILE:
            size = max(SMALLEST_TILE, size // 2 // TILE_MULTIPLE * TILE_MULTIPLE)
            yield Rung(place, size)


def first_that_fits(
    predict: Callable[[Rung], FloatArray], device: torch.device, tile: int | None, plane: int
) -> tuple[FloatArray, Rung]:
    """Predict on the first rung whose memory suffices.

    Parameters
    ----------
    tile : int or None
        Largest tile to begin with; None for the whole plane.
    plane : int
        The longer side of the plane.

    Raises
    ------
    OutOfMemory
        Not even the smallest tile fits the CPU.
    DeviceLost
        The GPU does not answer.
    """
    for rung in rungs(device, tile, plane):
        try:
            return predict(rung), rung
        except (MemoryError, RuntimeError) as error:
            _refuse_others(error, rung)
            log.warning("out of memory on %s with tiles of %s: trying less", rung.device, rung.tile or plane)
        if rung.device.type == "cuda":
            torch.cuda.empty_cache()
    raise OutOfMemory(
        f"the machine has too little memory for a tile of {SMALLEST_TILE} x {SMALLEST_TILE} voxels, or for the thin "
        "volume: free memory, raise the memory limit, or restore on another machine"
    )


def _refuse_others(error: MemoryError | RuntimeError, rung: Rung) -> None:
    """Raise what no smaller tile can help."""
    sentence = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in sentence for word in FULL):
        return
    if rung.device.type != "cpu" and any(word in sentence for word in LOST):
        first_line = sentence.splitlines()[0]
        raise DeviceLost(f"{rung.device} does not answer ({first_line}): restart the worker, or the machine") from error
    raise error
