"""Out of memory: smaller tiles, then the CPU, then a sentence; a lost GPU is told from a full one."""

import resource
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sr_engine.errors import DeviceLost, OutOfMemory
from sr_engine.inference.memory import CPU, Rung, first_that_fits, rungs
from sr_engine.inference.restore import restore
from sr_engine.networks import registry
from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import LinearInterpolation
from sr_engine.networks.registry import NetworkEntry
from tests.unit.sr_engine.inference.test_restore import scan, settings

GPU = torch.device("cuda:1")
CPU_ALLOCATOR = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"


class Hungry(LinearInterpolation):
    """Linear interpolation that runs out of memory above a size, and remembers what it was given."""

    tile_limit = 256

    def __init__(self, fits: int, error: Callable[[], Exception]) -> None:
        super().__init__()
        self.fits, self.error, self.seen = fits, error, list[int]()

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        self.seen.append(max(thick.shape[-2:]))
        if self.seen[-1] > self.fits:
            raise self.error()
        return super().forward(thick, ratio, sampling)


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Hungry], None]]:
    """Registers a network as ``hungry``."""

    def register(network: Hungry) -> None:
        line = NetworkEntry("Hungry", False, "1", lambda _config: network)
        monkeypatch.setattr(registry, "NETWORKS", {**registry.NETWORKS, "hungry": line})

    return register


def test_tiles_shrink_to_the_smallest_and_then_the_cpu_tries_the_same():
    tries = [(str(rung.device), rung.tile) for rung in rungs(GPU, 512, 300)]
    assert tries == [
        ("cuda:1", 512), ("cuda:1", 144), ("cuda:1", 72), ("cuda:1", 64),
        ("cpu", 512), ("cpu", 144), ("cpu", 72), ("cpu", 64),
    ]  # fmt: skip
    assert list(rungs(CPU, None, 64)) == [Rung(CPU, None)]


@pytest.mark.parametrize(
    "error",
    [MemoryError, lambda: torch.OutOfMemoryError("CUDA out of memory."), lambda: RuntimeError(CPU_ALLOCATOR)],
    ids=["python", "cuda", "cpu"],
)
def test_a_series_that_does_not_fit_is_restored_in_smaller_tiles_and_says_so(
    hungry: Callable[[Hungry], None], error: Callable[[], Exception]
):
    source = scan(3, 200, 200)
    hungry(Hungry(130, error))
    thin = restore(source, settings("hungry"))
    assert np.allclose(thin.volume.voxels, restore(source, settings("linear")).volume.voxels, atol=1e-2)
    assert (thin.device, thin.tile) == ("cpu", 96)


def test_a_gpu_that_is_too_small_leaves_the_work_to_the_cpu():
    def predict(rung: Rung) -> np.ndarray:
        if rung.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return np.zeros(1, dtype=np.float32)

    assert first_that_fits(predict, GPU, 512, 512)[1] == Rung(CPU, 512)


def test_a_machine_that_is_too_small_is_named_and_not_tried_for_ever(hungry: Callable[[Hungry], None]):
    network = Hungry(10, MemoryError)
    hungry(network)
    with pytest.raises(OutOfMemory, match="too little memory for a tile of 64 x 64") as caught:
        restore(scan(3, 100, 100), settings("hungry"))
    assert not caught.value.retryable
    assert min(network.seen) <= 64


def test_a_lost_gpu_is_not_taken_for_a_full_one():
    def predict(_: Rung) -> np.ndarray:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be ...")

    with pytest.raises(DeviceLost, match=r"cuda:1 does not answer .*illegal memory access.*restart the worker"):
        first_that_fits(predict, GPU, 512, 512)


def test_a_bug_is_not_taken_for_lack_of_memory():
    def predict(_: Rung) -> np.ndarray:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        first_that_fits(predict, GPU, 512, 512)


class Greedy(LinearInterpolation):
    """Linear interpolation that asks for 4 kB of real memory per pixel."""

    tile_limit = 512

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        torch.empty(4096 * thick.shape[-2] * thick.shape[-1], dtype=torch.uint8)
        return super().forward(thick, ratio, sampling)


def restore_under_a_cap(headroom_mb: int, answer: Path) -> None:
    """In a process of its own: at most ``headroom_mb`` more memory than it has."""
    line = NetworkEntry("Greedy", False, "1", lambda _config: Greedy())
    registry.NETWORKS = {**registry.NETWORKS, "greedy": line}
    restore(scan(2, 8, 8), settings("greedy", threads=1))  # threads and caches are made before the cap
    status = Path("/proc/self/status").read_text().splitlines()
    used_kb = int(next(item for item in status if item.startswith("VmData")).split()[1])
    cap = (used_kb << 10) + (headroom_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (cap, cap))
    answer.write_text(str(restore(scan(2, 512, 512), settings("greedy", threads=1)).tile))


def test_a_real_limit_on_memory_makes_tiles_smaller(tmp_path: Path):
    child = get_context("spawn").Process(target=restore_under_a_cap, args=(600, tmp_path / "answer"))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    # How far it has to go depends on the machine's threads and allocator.
    assert (tmp_path / "answer").read_text() in ("256", "128", "64")
