"""The training loop: draw pairs, predict, compare, step; look at volumes never trained on; save; go on after a kill."""

import copy
import csv
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from sr_engine.allocator import keep_freed_memory
from sr_engine.errors import WeightsUnavailable
from sr_engine.networks import registry
from sr_engine.networks.contract import SliceNetwork
from sr_engine.training import state as states
from sr_engine.training.config import OptimiserConfig, TrainingConfig
from sr_engine.training.heldout import gains_db
from sr_engine.training.pairs import Batch, Subject, draw
from sr_engine.training.state import State

CHECKPOINT, LOG = "checkpoint.safetensors", "log.csv"
LOSS_UNIT_HU = 100.0  # brings losses near 1; AdamW does not care, the gradient's clip does


@dataclass(frozen=True)
class Progress:
    """One step, for whoever watches.

    Attributes
    ----------
    step, steps : int
        Steps done and in all.
    error_hu : float
        Mean absolute error of this step's predictions.
    gradient : float
        Gradient norm before clipping.
    rate : float
        Learning rate of this step.
    gains_db : dict
        PSNR over cubic interpolation of each held-out volume, where this step looked at them.
    """

    step: int
    steps: int
    error_hu: float
    gradient: float
    rate: float
    gains_db: dict[str, float]


Report = Callable[[Progress], None]


def train(
    config: TrainingConfig,
    subjects: Sequence[Subject],
    scored: Sequence[Subject],
    folder: Path,
    report: Report | None = None,
) -> SliceNetwork:
    """Fit a network, or go on with the run whose checkpoint lies in ``folder``.

    A run that was cut gives exactly the weights of one that was not, on the same machine with the same threads.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    subjects, scored : sequence of Subject
        Volumes that teach, and held-out volumes that are only looked at.
    folder : Path
        Where checkpoint and log go.
    report : callable, optional
        Called after every step.

    Returns
    -------
    SliceNetwork
        With the moving average of the weights, in evaluation mode.

    Raises
    ------
    UnknownNetwork
        The configuration names a network that is not registered.
    WeightsUnavailable
        The folder holds the checkpoint of another run.
    """
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    folder.mkdir(parents=True, exist_ok=True)
    state = _start(config, folder / CHECKPOINT)
    contracts = {ratio: state.network.contract(ratio) for ratio in config.data.ratios}
    while state.step < config.optimiser.steps:
        batch = draw(subjects, config.data, contracts, config.optimiser.batch, (config.seed, state.step))
        progress = _advance(state, batch, config)
        last = state.step == config.optimiser.steps
        if scored and (last or state.step % config.score_every == 0):
            progress.gains_db.update(gains_db(averaged(state), scored))
        if last or state.step % config.save_every == 0:
            states.save(folder / CHECKPOINT, state, _fingerprint(config))
        _log(folder / LOG, progress)
        if report is not None:
            report(progress)
    return averaged(state)


def averaged(state: State) -> SliceNetwork:
    """Return a copy of the network with the moving average of its weights, in evaluation mode."""
    network = copy.deepcopy(state.network)
    network.load_state_dict(state.average)
    return network.eval()


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """Rate of step 0, 1, ...: rising in a straight line, then falling along half a cosine to nearly 0."""
    if step < config.warm_up:
        return config.rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.rate * 0.5 * (1 + math.cos(math.pi * done))


def loss(predicted: Tensor, truth: Tensor, knee_hu: float) -> Tensor:
    """Mean error in units of 100 HU: absolute, or Huber's with a knee, see :class:`OptimiserConfig`."""
    if knee_hu == 0:
        return functional.l1_loss(predicted, truth) / LOSS_UNIT_HU
    return functional.huber_loss(predicted, truth, delta=knee_hu) / (knee_hu * LOSS_UNIT_HU)


def _start(config: TrainingConfig, checkpoint: Path) -> State:
    torch.manual_seed(config.seed)
    network = _first(config).to(config.device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.optimiser.rate, betas=(0.9, 0.99), weight_decay=config.optimiser.weight_decay
    )
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    state = State(network, average, optimiser)
    if checkpoint.is_file():
        states.restore(checkpoint, state, _fingerprint(config))
    return state


def _first(config: TrainingConfig) -> SliceNetwork:
    network = registry.entry(config.network).build(config.network_config)
    if config.start is not None:
        try:
            odd = network.load_state_dict(safetensors.torch.load_file(config.start), strict=False).unexpected_keys
        except (SafetensorError, OSError, RuntimeError) as error:
            raise WeightsUnavailable(f"{config.start} cannot be where {config.network} begins: {error}") from error
        if odd:
            raise WeightsUnavailable(f"{config.start} has parameters that {config.network} lacks, as {odd[0]}")
    return network


def _fingerprint(config: TrainingConfig) -> str:
    """What must not change between the parts of one run; its length and how often it saves may."""
    fixed = config.model_dump(mode="json", exclude={"save_every", "score_every", "device", "threads"})
    del fixed["optimiser"]["steps"], fixed["optimiser"]["rate"]
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def _advance(state: State, batch: Batch, config: TrainingConfig) -> Progress:
    """One step of AdamW; moves ``state`` on."""
    options, device = config.optimiser, torch.device(config.device)
    rate = learning_rate(options, state.step)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.network.train()
    truth = batch.thin.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
        predicted = state.network(batch.thick.to(device), batch.ratio, batch.sampling.to(device))
    state.optimiser.zero_grad()
    loss(predicted.float(), truth, options.knee_hu).backward()  # type: ignore[no-untyped-call]
    gradient = torch.nn.utils.clip_grad_norm_(state.network.parameters(), options.clip_norm)
    state.optimiser.step()
    state.step += 1
    _average(state, options.ema_decay)
    error = (predicted.detach() - truth).abs().mean()
    return Progress(state.step, options.steps, float(error), float(gradient), rate, {})


@torch.no_grad()
def _average(state: State, decay: float) -> None:
    """Move the average towards the weights; faster in the first steps, where the first weights say nothing."""
    keep = min(decay, state.step / (state.step + 10))
    for name, value in state.network.state_dict().items():
        state.average[name].lerp_(value, 1 - keep)


def _log(path: Path, progress: Progress) -> None:
    """Append a line; a step that is done again after a kill stands there twice, the later one counts."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        lines = csv.writer(file)
        if fresh:
            lines.writerow(("step", "error_hu", "gradient", "rate", "gains_db"))
        gains = " ".join(f"{name}={gain:+.3f}" for name, gain in progress.gains_db.items())
        lines.writerow(
            (progress.step, f"{progress.error_hu:.3f}", f"{progress.gradient:.4f}", f"{progress.rate:.3e}", gains)
        )
