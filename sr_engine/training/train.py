"""The training loop: draw pairs, predict, compare, step; look at volumes never trained on; save; go on after a kill."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from sr_engine.allocator import keep_freed_memory
from sr_engine.errors import EngineError, WeightsUnavailable
from sr_engine.networks import registry
from sr_engine.networks.contract import SliceNetwork
from sr_engine.training import state as states
from sr_engine.training.batches import batches
from sr_engine.training.config import OptimiserConfig, TrainingConfig
from sr_engine.training.fingerprint import fingerprint
from sr_engine.training.heldout import look
from sr_engine.training.pairs import Batch
from sr_engine.training.perceptual import PerceptualLoss, load_perceptual, second_stage
from sr_engine.training.progress import LOG, Progress, Report, log
from sr_engine.training.state import State
from sr_engine.training.subjects import Subject
from sr_engine.training.teachers import require_teachers

CHECKPOINT = "checkpoint.safetensors"
SEED_STRIDE = 1_000_003
LOSS_UNIT_HU = 100.0  # brings losses near 1; AdamW does not care, the gradient's clip does


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
        The folder holds the checkpoint of another run, or weights to begin from or of the U-Net cannot be read.
    InvalidVolume
        No volume can teach one of the ratios, or one is too small for the crop.
    EngineError
        There is no GPU and one is asked for, or the second stage is asked for and MONAI is missing.
    """
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    folder.mkdir(parents=True, exist_ok=True)
    state = _start(config, folder / CHECKPOINT)
    contracts = {ratio: state.network.contract(ratio) for ratio in config.data.ratios}
    require_teachers(subjects, config.data, contracts)
    perceptual = load_perceptual(config.perceptual, torch.device(config.device)) if config.perceptual else None
    for batch in batches(subjects, config, contracts, state.step):
        progress = _advance(state, batch, config, perceptual)
        last = state.step == config.optimiser.steps
        if scored and (last or state.step % config.score_every == 0):
            network = averaged(state)
            progress = replace(progress, looks=tuple(look(network, subject) for subject in scored))
        if last or state.step % config.save_every == 0:
            states.save(folder / CHECKPOINT, state, fingerprint(config))
        log(folder / LOG, progress)
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
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(f"device {config.device} is asked for, but torch finds no CUDA GPU: set device to cpu")
    torch.manual_seed(config.seed)
    network = _first(config).to(config.device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.optimiser.rate, betas=(0.9, 0.99), weight_decay=config.optimiser.weight_decay
    )
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    state = State(network, average, optimiser)
    if checkpoint.is_file():
        states.restore(checkpoint, state, fingerprint(config))
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


def _advance(state: State, batch: Batch, config: TrainingConfig, perceptual: PerceptualLoss | None) -> Progress:
    """One step of AdamW; moves ``state`` on."""
    options, device = config.optimiser, torch.device(config.device)
    rate = learning_rate(options, state.step)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.network.train()
    torch.manual_seed(config.seed + SEED_STRIDE * (state.step + 1))  # so that what a network drops can be dropped again
    truth = batch.thin.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
        predicted = state.network(batch.thick.to(device), batch.ratio, batch.sampling.to(device))
    state.optimiser.zero_grad()
    _total_loss(predicted.float(), truth, config, perceptual).backward()  # type: ignore[no-untyped-call]
    gradient = torch.nn.utils.clip_grad_norm_(state.network.parameters(), options.clip_norm)
    state.optimiser.step()
    state.step += 1
    _average(state, options.ema_decay)
    error = (predicted.detach() - truth).abs().mean()
    return Progress(state.step, options.steps, float(error), float(gradient), rate)


def _total_loss(predicted: Tensor, truth: Tensor, config: TrainingConfig, perceptual: PerceptualLoss | None) -> Tensor:
    error = loss(predicted, truth, config.optimiser.knee_hu)
    if perceptual is None:
        return error
    return second_stage(error, perceptual(predicted, truth), perceptual.config, LOSS_UNIT_HU)


@torch.no_grad()
def _average(state: State, decay: float) -> None:
    """Move the average towards the weights; faster in the first steps, where the first weights say nothing."""
    keep = min(decay, state.step / (state.step + 10))
    for name, value in state.network.state_dict().items():
        if value.is_floating_point():
            state.average[name].lerp_(value, 1 - keep)
        else:  # tables of places, counters
            state.average[name].copy_(value)
