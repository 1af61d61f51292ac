"""Small volumes and short runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from sr_engine.training.config import DataConfig, OptimiserConfig, TrainingConfig
from sr_engine.training.subjects import RealThick, Subject


class Cut(Exception):
    """Stands for a kill."""


def subject(seed: int = 0, shape: tuple[int, int, int] = (40, 44, 48), slice_mm: float = 2.0) -> Subject:
    """Smooth noise between air and bone, as fine along every axis."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 1.2)
    return Subject(f"noise_{seed}", np.int16(smooth / smooth.std() * 300 - 300), (slice_mm, 1.0, 1.0))


def paired(seed: int = 0, ratio: int = 3, first: int = 2, slices: int = 11) -> Subject:
    """The same with real thick slices, which are the thin ones at their places less 100 HU: easy to tell."""
    thin = subject(seed)
    places = first + ratio * np.arange(slices)
    return replace(thin, real=RealThick(thin.voxels[places] - np.int16(100), ratio, first, thickness_mm=7.5))


def data(folder: Path = Path("unused"), **changes: object) -> DataConfig:
    """Ratios small enough for the volumes above."""
    fields: dict[str, object] = {"ratios": (2, 3), "ratio_weights": (1, 1), "crop": 16, "held_out": ()}
    return DataConfig.model_validate({"folder": folder, **fields, **changes})


def run(steps: int, **changes: object) -> TrainingConfig:
    """A run of a tiny residual CNN."""
    optimiser = OptimiserConfig(steps=steps, batch=2, rate=3e-3, warm_up=2)
    fields: dict[str, object] = {"network": "residual_cnn", "network_config": {"channels": 8, "blocks": 1}}
    return TrainingConfig.model_validate({"data": data(), "optimiser": optimiser, "save_every": 3, **fields, **changes})
