"""Begin TVSRN-V2 with a convolutional branch from two networks that were trained apart.

``python -m sr_engine.training.join ATTENTION.safetensors CNN.safetensors START.safetensors``
``python -m sr_engine.training.join --mean START.safetensors END.safetensors MEAN.safetensors``

Each branch's last layer is halved, so that the joined network begins as the mean of the two. Their errors differ, so
the mean is better than either before a single step; training goes on from there (``start`` in the run's file).
With ``--mean`` each parameter becomes the mean of its first and last value in such a run: what a short, noisy run has
unlearned and what it has learned are both kept (Wortsman et al. 2022, arXiv 2109.01903).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import safetensors.torch
from torch import Tensor

from sr_engine import checkpoint
from sr_engine.errors import WeightsUnavailable
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.residual_cnn import ResidualCnn
from sr_engine.networks.tvsrn_v2 import TvsrnV2

LAST = ("head.2.weight", "head.2.bias", "local.exit.weight", "local.exit.bias")


def join(attention: SliceNetwork, cnn: SliceNetwork) -> dict[str, Tensor]:
    """Parameters of TVSRN-V2 with ``cnn`` as its branch: it predicts the mean of what the two predict.

    Raises
    ------
    WeightsUnavailable
        They are no TVSRN-V2 without a branch and no residual CNN, or do not see the same slices on the same scale.
    """
    if not isinstance(attention, TvsrnV2) or not isinstance(cnn, ResidualCnn) or attention.config.local_blocks:
        raise WeightsUnavailable("name weights of TVSRN-V2 without a branch, then weights of the residual CNN")
    if replace(attention.config, local_blocks=cnn.config.blocks).local() != cnn.config:
        raise WeightsUnavailable("the two do not see the same slices on the same scale: train them alike")
    parts = attention.state_dict() | {f"local.{name}": value for name, value in cnn.state_dict().items()}
    return {name: value / 2 if name in LAST else value for name, value in parts.items()}


def mean(first: dict[str, Tensor], last: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters halfway between two sets of the same network; tables of places stay as they are.

    Raises
    ------
    WeightsUnavailable
        They are not of the same network.
    """
    if {name: value.shape for name, value in first.items()} != {name: value.shape for name, value in last.items()}:
        raise WeightsUnavailable("a mean is taken of two sets of parameters of one network: name its start and its end")
    return {name: first[name].lerp(value, 0.5) if value.is_floating_point() else value for name, value in last.items()}


def main() -> None:
    """Read two files, write what the third begins with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mean", action="store_true", help="of two sets of parameters of one network")
    for name in ("one", "other", "result"):
        parser.add_argument(name, type=Path)
    chosen = parser.parse_args()
    if chosen.mean:
        made = mean(safetensors.torch.load_file(chosen.one), safetensors.torch.load_file(chosen.other))
    else:
        made = join(checkpoint.load(chosen.one)[0], checkpoint.load(chosen.other)[0])
    safetensors.torch.save_file(made, chosen.result)


if __name__ == "__main__":
    main()
