"""From a run's checkpoint to weights that :mod:`sr_engine.checkpoint` loads: the moving average and its card."""

from pathlib import Path
from typing import Any

import safetensors.torch

from sr_engine import checkpoint
from sr_engine.checkpoint import ModelCard
from sr_engine.intensity import CT_RANGE
from sr_engine.networks import registry
from sr_engine.training.config import TrainingConfig

MAIN_RATIO = 5


def export(
    run: Path,
    weights: Path,
    config: TrainingConfig,
    version: str,
    training: dict[str, Any],
    figures: dict[str, Any] | None = None,
) -> ModelCard:
    """Write weights and card of a run.

    Parameters
    ----------
    run : Path
        The run's ``checkpoint.safetensors``.
    weights : Path
        The ``.safetensors`` file to write; its card goes beside it.
    config : TrainingConfig
        The run's settings.
    version : str
        Version of these weights.
    training, figures : dict
        What the card says of data and course, and of what was measured.

    Returns
    -------
    ModelCard
        With the sha256 of the weights.
    """
    network = registry.entry(config.network).build(config.network_config)
    tensors = safetensors.torch.load_file(run)
    network.load_state_dict(
        {name.removeprefix("average."): value for name, value in tensors.items() if name.startswith("average.")}
    )
    card = ModelCard(
        network=config.network,
        version=version,
        config=config.network_config,
        contract=network.contract(MAIN_RATIO),
        intensity=CT_RANGE,
        ratios=config.data.ratios,
        training=training,
        figures=figures or {},
    )
    return checkpoint.save(weights, network, card)
