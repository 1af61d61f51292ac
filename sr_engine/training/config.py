"""What a training run can be told; the keys of its TOML file. Values are passed in, nothing here reads a file."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Table):
    """[data]: which volumes teach, which are only looked at, and how pairs are drawn from them.

    Attributes
    ----------
    folder : Path
        NIfTI volumes in HU; every file that is not held out teaches.
    held_out : tuple of str
        Beginnings of file names that are never trained on. Name every volume of a patient.
    scored : tuple of str
        Those of ``held_out`` that are scored while training; empty for all.
    ratios, ratio_weights : tuple
        Thin slices per thick spacing, and how often each is drawn relative to the others.
    crop : int
        Rows and columns of a training crop; a multiple of the network's window saves padding.
    thin_mm : float
        Slices up to this far apart are a thin target along z; volumes beyond it mostly teach along x and y, where
        their pixels are fine (the idea of SMORE).
    thin_share, coarse_share : float
        How often z is the through-plane axis for thin and for coarser volumes; x and y share the rest.
    odd_profile_share : float
        How often the slice profile is not a box as wide as the spacing but a wider or narrower box or a Gaussian.
    noise_share, noise_hu : float
        How often thick slices get Gaussian noise, and its largest standard deviation.
    edge_share : float
        How often the outer slice at either end repeats its neighbour, as at a volume's ends.
    least_contrast_hu : float
        Crops flatter than this standard deviation are drawn again, a few times.
    """

    folder: Path
    held_out: tuple[str, ...]
    scored: tuple[str, ...] = ()
    ratios: tuple[Annotated[int, Field(ge=2)], ...] = (2, 3, 4, 5, 6)
    ratio_weights: tuple[Annotated[float, Field(ge=0)], ...] = (1, 1.5, 1.5, 4, 1)
    crop: Annotated[int, Field(ge=8)] = 32
    thin_mm: Annotated[float, Field(gt=0)] = 2.5
    thin_share: Share = 0.5
    coarse_share: Share = 0.2
    odd_profile_share: Share = 0.3
    noise_share: Share = 0.2
    noise_hu: Annotated[float, Field(ge=0)] = 8.0
    edge_share: Share = 0.1
    least_contrast_hu: Annotated[float, Field(ge=0)] = 120.0


class OptimiserConfig(_Table):
    """[optimiser]: how long and how fast.

    Attributes
    ----------
    steps, batch : int
        Length of the run, crops per step.
    rate : float
        Highest learning rate of AdamW; linear warm-up over ``warm_up`` steps, then half a cosine to 0.
    weight_decay, clip_norm, ema_decay : float
        AdamW's decay; largest gradient norm; share of the old weights in their moving average.
    knee_hu : float
        Errors below count squared, above by size (Huber's loss): the squared part aims at the mean, which keeps the
        density of lung, where L1 aims at the median. 0 gives plain L1, as in the papers.
    bfloat16 : bool
        Matrix products in bfloat16 (autocast); weights, norms and residuals stay float32.
    """

    steps: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)] = 4
    rate: Annotated[float, Field(gt=0)] = 8e-4
    warm_up: Annotated[int, Field(ge=0)] = 60
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    knee_hu: Annotated[float, Field(ge=0)] = 0.0
    bfloat16: bool = False


class TrainingConfig(_Table):
    """One training run.

    Attributes
    ----------
    network : str
        Registry name.
    network_config : dict
        What the network is built from; empty for the published form.
    start : Path, optional
        Weights to begin from, to go on with or to fine-tune; parameters they lack keep their first values.
    seed : int
        Decides the first weights and, with the step's number, every pair.
    save_every, score_every : int
        Steps between checkpoints, and between looks at the held-out volumes.
    device, threads
        As torch names it; 0 threads leaves torch's own number.
    """

    network: str = "tvsrn_v2"
    network_config: dict[str, Any] = Field(default_factory=dict)
    start: Path | None = None
    seed: int = 1
    save_every: Annotated[int, Field(ge=1)] = 100
    score_every: Annotated[int, Field(ge=1)] = 250
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    optimiser: OptimiserConfig
