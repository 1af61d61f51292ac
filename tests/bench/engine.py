"""How fast the engine is beside the plain module, on one real series in one run: ``make bench-engine``.

Every variant runs in a process of its own on one thread, in turn, ``--rounds`` times; the least processor time counts,
since other programs only ever add to it. The plain module runs as one would write it: paper's tiles, the C library's
allocator as it comes. Differences are over what the network adds to cubic interpolation, before data consistency.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sr_engine import checkpoint
from sr_engine.allocator import keep_freed_memory
from sr_engine.inference.restore import _predict, _Run, sampling_of
from sr_engine.networks.tvsrn_v2 import TvsrnV2
from tests.bench.plain import plain
from tests.bench.series import cut, read_series

VARIANTS = ("plain", "float32", "bfloat16")
BFLOAT16_LIMIT_HU = 1.0


def measure(options: argparse.Namespace) -> None:
    """Run one variant; write what it made to ``--output`` and its cost to standard output."""
    torch.set_num_threads(1)
    volume = cut(read_series(options.series), options.slices, options.plane)
    network = checkpoint.load(options.weights, expected="tvsrn_v2")[0]
    if not isinstance(network, TvsrnV2):
        raise TypeError("the bench compares TVSRN-V2 with its plain form")
    if options.variant == "plain":
        network = plain(network)
    else:
        keep_freed_memory()
    run = _Run(network, 5, sampling_of(volume), torch.device("cpu"), 1, options.variant == "bfloat16")
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    restored = _predict(run, volume.voxels, None, progress=None)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    np.save(options.output, restored)
    cost = {
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall_s": wall,
        "page_faults": after.ru_minflt - before.ru_minflt,
        "peak_gb": after.ru_maxrss / 1e6,
    }
    sys.stdout.write(json.dumps(cost) + "\n")


def compare(options: argparse.Namespace) -> None:
    """Run all variants in turn, print the table, write the figures."""
    costs: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for variant in VARIANTS:
                sys.stderr.write(f"round {number + 1} of {options.rounds}: {variant}\n")
                costs[variant].append(_in_process(options, variant, Path(folder) / f"{variant}.npy"))
        made = {variant: np.load(Path(folder) / f"{variant}.npy") for variant in VARIANTS}
    figures = _figures(costs, made, options)
    sys.stdout.write(_table(figures))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1) + "\n")


def _in_process(options: argparse.Namespace, variant: str, output: Path) -> dict[str, float]:
    command = [
        sys.executable, "-m", "tests.bench.engine", str(options.series), "--weights", str(options.weights),
        "--slices", str(options.slices), "--plane", str(options.plane), "--variant", variant, "--output", str(output),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def _figures(
    costs: dict[str, list[dict[str, float]]], made: dict[str, np.ndarray], options: argparse.Namespace
) -> dict[str, object]:
    best = {variant: min(runs, key=lambda cost: cost["cpu_s"]) for variant, runs in costs.items()}
    rmse = float(np.sqrt(np.square(made["bfloat16"] - made["float32"], dtype=np.float64).mean()))
    return {
        "volume": {"slices": options.slices, "plane": options.plane, "ratio": 5, "thin": list(made["plain"].shape)},
        "machine": f"{platform.machine()}, torch {torch.__version__}, one thread each, {options.rounds} rounds",
        "variants": {
            variant: {**cost, "times_plain": best["plain"]["cpu_s"] / cost["cpu_s"]} for variant, cost in best.items()
        },
        "float32_max_difference_hu": float(np.abs(made["float32"] - made["plain"]).max()),
        "float32_max_difference_in_output_units": float(np.abs(made["float32"] - made["plain"]).max()) / 3072,
        "bfloat16_rmse_hu": rmse,
        "bfloat16_max_difference_hu": float(np.abs(made["bfloat16"] - made["float32"]).max()),
        "bfloat16_may_be_default": rmse < BFLOAT16_LIMIT_HU,
    }


def _table(figures: dict) -> str:
    lines = ["| variant | times as fast as plain | CPU s | page faults | peak GB |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {cost['times_plain']:.2f} | {cost['cpu_s']:.1f} | {cost['page_faults']} | {cost['peak_gb']:.2f} |"
        for name, cost in figures["variants"].items()
    ]
    lines.append(
        f"\nfloat32 differs from plain by at most {figures['float32_max_difference_hu']:.2g} HU "
        f"({figures['float32_max_difference_in_output_units']:.1g} of the 3072 HU range); "
        f"bfloat16 from float32 by {figures['bfloat16_rmse_hu']:.2f} HU RMS."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare, or measure one variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("series", type=Path, help="folder of one thick DICOM series")
    parser.add_argument("--weights", type=Path, required=True, help="TVSRN-V2 weights with their card")
    parser.add_argument("--slices", type=int, default=7, help="thick slices in the middle; 7 take two windows")
    parser.add_argument("--plane", type=int, default=256, help="rows and columns in the middle: the paper's tile")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("tests/bench/results/engine.json"))
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    measure(options) if options.variant else compare(options)


if __name__ == "__main__":
    main()
