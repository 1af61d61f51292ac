"""What a run is made of, and its checkpoint: one safetensors file, replaced in one move, never pickle."""

import os
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sr_engine.errors import WeightsUnavailable
from sr_engine.networks.contract import SliceNetwork

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW keeps for each parameter


@dataclass
class State:
    """A run between two steps.

    Attributes
    ----------
    network : SliceNetwork
        Being fitted.
    average : dict of Tensor
        Moving average of its weights, by name: what is scored and shipped.
    optimiser : AdamW
        With its moments.
    step : int
        Steps done.
    """

    network: SliceNetwork
    average: dict[str, Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0


def save(path: Path, state: State, fingerprint: str) -> None:
    """Write a checkpoint; a crash leaves the old one or the new one. ``fingerprint`` tells which run it belongs to."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for name, parameter in state.network.named_parameters():
        moments = state.optimiser.state.get(parameter, {})
        tensors |= {f"{moment}.{name}": moments[moment] for moment in MOMENTS if moment in moments}
    content = safetensors.torch.save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        {"step": str(state.step), "fingerprint": fingerprint},
    )
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def restore(path: Path, state: State, fingerprint: str) -> None:
    """Fill ``state`` from a checkpoint.

    Raises
    ------
    WeightsUnavailable
        The file is damaged, or of a run with another network, seed, data or batch.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            notes = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
    except (SafetensorError, OSError) as error:
        raise WeightsUnavailable(f"{path} is no checkpoint ({error}): remove it to start anew") from error
    if notes.get("fingerprint") != fingerprint:
        raise WeightsUnavailable(f"{path} belongs to a run with other settings: use another folder or remove it")
    state.step = int(notes["step"])
    state.network.load_state_dict(_part(tensors, "network"))
    for name, value in _part(tensors, "average").items():
        state.average[name].copy_(value)
    parts = {moment: _part(tensors, moment) for moment in MOMENTS}
    for name, parameter in state.network.named_parameters():
        moments = {moment: values[name] for moment, values in parts.items() if name in values}
        state.optimiser.state[parameter] = {
            moment: value if moment == "step" else value.to(parameter.device) for moment, value in moments.items()
        }


def _part(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{kind}."): value for name, value in tensors.items() if name.startswith(f"{kind}.")}
