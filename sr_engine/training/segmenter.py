"""The segmentation U-Net whose features judge restored slices in the second stage (RDST, arXiv 2302.11184, III-D).

MONAI's BasicUNet, a 2-D U-Net with two convolutions, batch norm and LeakyReLU per level, in place of the paper's
ResNet34 encoder begun from ImageNet: half a million parameters, learned from CT alone. Level ``i`` counts halvings, so
``E(1)`` is at half scale as in the paper. Weights are ``name.safetensors`` with a card ``name.json`` beside it.
"""

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from sr_engine.errors import EngineError, WeightsUnavailable
from sr_engine.intensity import CT_RANGE
from sr_engine.training.tissue import TISSUES

LEVELS = 5


class SegmenterCard(BaseModel):
    """What a segmenter's weights are.

    Attributes
    ----------
    channels : tuple of int
        Of the five levels, and of the last decoder stage.
    classes : tuple of str
        Names of the output channels.
    training, dice : dict
        How it was trained; Dice per held-out volume and class.
    sha256 : str
        Digest of the weights file; written by :func:`save`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, int, int, int, int, int] = (16, 16, 32, 64, 128, 16)
    classes: tuple[str, ...] = TISSUES
    training: dict[str, Any] = Field(default_factory=dict)
    dice: dict[str, dict[str, float]] = Field(default_factory=dict)
    sha256: str = ""


class Segmenter(nn.Module):
    """The U-Net. Slices are float32, HU, shape (N, H, W), H and W >= 16; -1024..2048 HU is mapped to 0..1 for all."""

    def __init__(self, card: SegmenterCard) -> None:
        super().__init__()
        try:
            from monai.networks.nets.basic_unet import BasicUNet  # only training needs MONAI, and it takes seconds
        except ImportError as error:
            raise EngineError("the second stage needs MONAI: pip install -r requirements/training.txt") from error
        self.unet = BasicUNet(2, 1, len(card.classes), features=card.channels, norm="batch")

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits, shape (N, classes, H, W)."""
        logits: Tensor = self.unet.final_conv(self.decoder(slices)[0])
        return logits

    def encoder(self, slices: Tensor, deepest: int = LEVELS - 1) -> list[Tensor]:
        """Features E(0)..E(deepest), shape (N, channels, H / 2**level, W / 2**level)."""
        scaled = (CT_RANGE.clip(slices) - CT_RANGE.low_hu) / (CT_RANGE.high_hu - CT_RANGE.low_hu)
        features = [self.unet.conv_0(scaled.unsqueeze(1))]
        for down in (self.unet.down_1, self.unet.down_2, self.unet.down_3, self.unet.down_4)[:deepest]:
            features.append(down(features[-1]))
        return features

    def decoder(self, slices: Tensor) -> list[Tensor]:
        """Features D(0)..D(3), finest first, shapes as the encoder's of the same level."""
        *skips, deepest = self.encoder(slices)
        ups = (self.unet.upcat_4, self.unet.upcat_3, self.unet.upcat_2, self.unet.upcat_1)
        features = [deepest]
        for up, skip in zip(ups, reversed(skips), strict=True):
            features.append(up(features[-1], skip))
        return features[:0:-1]


def save(weights: Path, segmenter: Segmenter, card: SegmenterCard) -> SegmenterCard:
    """Write weights and card; return the card with the weights' sha256."""
    tensors = {name: value.cpu().contiguous() for name, value in segmenter.state_dict().items()}
    content = safetensors.torch.save(tensors)
    complete = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    weights.write_bytes(content)
    weights.with_suffix(".json").write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return complete


def load(weights: Path) -> tuple[Segmenter, SegmenterCard]:
    """Read a segmenter: on the CPU, in evaluation mode, its parameters frozen.

    Raises
    ------
    WeightsUnavailable
        Weights or card are missing, damaged or do not fit each other.
    EngineError
        MONAI is not installed.
    """
    try:
        card = SegmenterCard.model_validate_json(weights.with_suffix(".json").read_bytes())
        content = weights.read_bytes()
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise WeightsUnavailable(f"{weights} is damaged, its sha256 is not the one in its card: train it anew")
        segmenter = Segmenter(card)
        segmenter.load_state_dict(safetensors.torch.load(content))
    except (OSError, ValidationError, SafetensorError, RuntimeError) as error:
        raise WeightsUnavailable(f"{weights} is no segmenter ({str(error).splitlines()[0]}): train one") from error
    return segmenter.eval().requires_grad_(False), card
