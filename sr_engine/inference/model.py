"""From settings to a network that is ready to run, and to the identity that a derived series carries."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sr_engine import checkpoint, coverage
from sr_engine.errors import WeightsUnavailable
from sr_engine.inference.dark_lung import depth_hu
from sr_engine.inference.describe import describe
from sr_engine.networks import registry
from sr_engine.networks.contract import SliceNetwork
from sr_engine.settings import EngineSettings
from sr_engine.volume import ModelIdentity, Volume

DISTRIBUTION = "thinslice"


@dataclass(frozen=True)
class _Choice:
    """A registry name and the weights to fill it with; None where it runs without."""

    name: str
    weights: Path | None


def identify(settings: EngineSettings) -> ModelIdentity:
    """Say which network with which weights :func:`restore` would use, without loading weights.

    Raises
    ------
    UnknownNetwork
        ``settings.network`` is neither ``best`` nor a registered name.
    WeightsUnavailable
        The network needs weights that are missing, or their card is not readable or for another network.
    """
    choice = _choose(settings)
    line = registry.entry(choice.name)
    if choice.weights is not None:
        card = checkpoint.read_card(choice.weights, expected=choice.name)
        return ModelIdentity(choice.name, line.title, card.version, card.digest, learned=True)
    digest = hashlib.sha256(f"{choice.name}\n{line.revision}".encode()).hexdigest()
    # An untrained network adds nothing to its base: what it makes is plain interpolation and must say so.
    title = f"{line.title}, untrained (plain interpolation)" if line.learned else line.title
    return ModelIdentity(choice.name, title, _program_version(), digest, learned=False)


def doubts(settings: EngineSettings, thick: Volume, ratio: int) -> tuple[str, ...]:
    """Say in what way a volume is beyond what the network knows by its card; interpolation knows everything."""
    choice = _choose(settings)
    if choice.weights is None:
        return ()
    card = checkpoint.read_card(choice.weights, expected=choice.name)
    if card.coverage is None:
        return ()
    title = registry.entry(choice.name).title
    return coverage.doubts(describe(thick, ratio), card.coverage, card.ratios, title)


def dark_lung_hu(settings: EngineSettings, ratio: int) -> float:
    """How deep dark lung is made after the network's weights, by their card; 0 without weights."""
    choice = _choose(settings)
    if choice.weights is None:
        return 0.0
    return depth_hu(checkpoint.read_card(choice.weights, expected=choice.name).dark_lung_hu, ratio)


def verify(settings: EngineSettings) -> ModelIdentity:
    """Say what :func:`identify` says, after reading the weights and comparing them with their card; raises the same."""
    choice = _choose(settings)
    if choice.weights is not None:
        checkpoint.read_intact(choice.weights, checkpoint.read_card(choice.weights, expected=choice.name))
    return identify(settings)


def load(settings: EngineSettings) -> SliceNetwork:
    """Build the network that :func:`identify` names, in evaluation mode on the CPU; raises what it raises."""
    choice = _choose(settings)
    if choice.weights is not None:
        return checkpoint.load(choice.weights, expected=choice.name)[0]
    return registry.entry(choice.name).build({}).eval()


def _choose(settings: EngineSettings) -> _Choice:
    """Resolve ``best`` and find the weights: those named in the settings, else those that come with the program."""
    name = settings.network
    if name == "best":
        name = checkpoint.read_card(settings.weights).network if settings.weights else registry.best()
    if not registry.entry(name).learned:
        return _Choice(name, None)
    weights = settings.weights or registry.shipped_weights(name)
    if settings.weights is None and not weights.is_file():
        if settings.allow_untrained:
            return _Choice(name, None)
        raise WeightsUnavailable(
            f"network {name} needs weights and there is no file {weights}: name a file under weights, "
            "or set network to best or cubic"
        )
    return _Choice(name, weights)


def _program_version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # the folder is used without being installed
        return "0"
