"""Weights on disk: ``name.safetensors`` and beside it ``name.json``, the model card that says what they are.

Neither is pickle, so neither can run code. The card carries the sha256 of the weights; a file that does not match is
refused.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError

from sr_engine.coverage import Coverage
from sr_engine.errors import WeightsUnavailable
from sr_engine.intensity import IntensityRange
from sr_engine.networks.contract import SliceContract, SliceNetwork
from sr_engine.networks.registry import NETWORKS

REMEDY = "put the weights and their card back from the release, or set network to cubic"


class ModelCard(BaseModel):
    """What a weights file is.

    Attributes
    ----------
    network, version : str
        Registry name, and version of these weights.
    config : dict
        Configuration the network is built from; empty for the published one.
    contract : SliceContract
        Window at the ratio the weights were mainly trained for; checked against the network when loaded.
    intensity : IntensityRange
        Range of HU the weights were trained on.
    ratios : tuple of int
        Ratios seen in training.
    coverage : Coverage or None
        What scans the weights know; None where nobody has said, then no scan is unfamiliar.
    dark_lung_hu : dict
        How deep dark lung is made after these weights, in HU by ratio, see ``sr_engine/inference/dark_lung.py``; empty
        for not at all. No more than 50, where two values would become one.
    training, figures : dict
        Data, length and settings of the training; what was measured afterwards, with its protocol.
    sha256 : str
        Digest of the weights file; written by :func:`save`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    version: str
    config: dict[str, Any] = Field(default_factory=dict)
    contract: SliceContract
    intensity: IntensityRange
    ratios: tuple[int, ...]
    coverage: Coverage | None = None
    dark_lung_hu: dict[int, Annotated[float, Field(ge=0, le=50)]] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    figures: dict[str, Any] = Field(default_factory=dict)
    sha256: str = ""

    @property
    def digest(self) -> str:
        """Sha256 of weights, configuration, revision and depth of dark lung: equal digest, equal output."""
        parts = [self.network, NETWORKS[self.network].revision, self.sha256, json.dumps(self.config, sort_keys=True)]
        if self.dark_lung_hu:
            parts.append(json.dumps(self.dark_lung_hu, sort_keys=True))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def card_path(weights: Path) -> Path:
    """Path of the model card of a weights file."""
    return weights.with_suffix(".json")


def save(weights: Path, network: SliceNetwork, card: ModelCard) -> ModelCard:
    """Write weights and card; return the card with the weights' sha256.

    The card goes last: a crash in between leaves weights that do not match their card, which :func:`load` refuses.
    """
    content = safetensors.torch.save({name: value.contiguous() for name, value in network.state_dict().items()})
    complete = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    weights.write_bytes(content)
    card_path(weights).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return complete


def read_card(weights: Path, expected: str | None = None) -> ModelCard:
    """Read the model card of a weights file without touching the weights.

    Parameters
    ----------
    weights : Path
        The ``.safetensors`` file; its card lies beside it.
    expected : str, optional
        Registry name the weights must be for.

    Raises
    ------
    WeightsUnavailable
        Weights or card are missing, the card does not say what a card must, or it is for another network.
    """
    for path in (weights, card_path(weights)):
        if not path.is_file():
            raise WeightsUnavailable(f"there is no file {path}: {REMEDY}")
    try:
        card = ModelCard.model_validate_json(card_path(weights).read_bytes())
    except (ValidationError, OSError) as error:
        raise WeightsUnavailable(
            f"{card_path(weights)} is not a model card ({_first_line(error)}): {REMEDY}"
        ) from error
    if card.network not in NETWORKS:
        raise WeightsUnavailable(
            f"{weights} holds weights for {card.network!r}, which this program does not know: update the program"
        )
    if expected is not None and card.network != expected:
        raise WeightsUnavailable(
            f"{weights} holds weights for {card.network}, not for {expected}: name the right file or the right network"
        )
    return card


def load(weights: Path, expected: str | None = None) -> tuple[SliceNetwork, ModelCard]:
    """Build the network that a weights file is for, on the CPU and in evaluation mode; parameters as in read_card.

    Raises
    ------
    WeightsUnavailable
        Missing, damaged, or for another network.
    """
    card = read_card(weights, expected)
    content = read_intact(weights, card)
    return _fill(_build(card, weights), content, weights).eval(), card


def read_intact(weights: Path, card: ModelCard) -> bytes:
    """Read a weights file; WeightsUnavailable unless its bytes are those that its card was written for."""
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise WeightsUnavailable(f"{weights} cannot be read ({error.strerror}): {REMEDY}") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise WeightsUnavailable(f"{weights} is damaged, its sha256 is not the one in its card: {REMEDY}")
    return content


def _build(card: ModelCard, weights: Path) -> SliceNetwork:
    try:
        network = NETWORKS[card.network].build(card.config)
    except (TypeError, ValueError) as error:
        raise WeightsUnavailable(f"the card of {weights} has a configuration {card.network} lacks ({error})") from error
    contract = network.contract(card.contract.ratio)
    if contract != card.contract:
        raise WeightsUnavailable(f"the card of {weights} states {card.contract}, but its network has {contract}")
    return network


def _fill(network: SliceNetwork, content: bytes, weights: Path) -> SliceNetwork:
    try:
        network.load_state_dict(safetensors.torch.load(content))
    except (SafetensorError, RuntimeError) as error:
        raise WeightsUnavailable(f"{weights} does not fit its network ({_first_line(error)}): {REMEDY}") from error
    return network


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
