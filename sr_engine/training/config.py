"""What a training run can be told; the keys of its TOML file. Values are passed in, nothing here reads a file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """One table of a run's file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Table):
    """[data]: which volumes teach, which are only looked at, and how pairs are drawn from them.

    Attributes
    ----------
    folder : Path
        Where the volumes lie.
    layout : str
        ``thin``: thin NIfTI volumes in HU. ``paired``: folders thin and thick with files of equal names.
        ``rplhr``: the RPLHR-CT release. See :mod:`sr_engine.training.readers`.
    held_out : tuple of str
        Beginnings of file names that are never trained on. Name every volume of a patient.
    scored : tuple of str
        Those of ``held_out`` that are scored while training; empty for all.
    ratios, ratio_weights : tuple
        Thin slices per thick spacing, and how often each is drawn relative to the others.
    crop : int
        Rows and columns of a training crop; a multiple of the network's window saves padding.
    thin_mm : float
        Volumes whose slices lie up to this far apart are thin.
    thin_often : float
        How often a thin volume is drawn for every time that a coarser one is.
    thin_share, coarse_share : float
        How often z is the through-plane axis for thin and for coarser volumes; x and y, where pixels are fine, share
        the rest (the idea of SMORE). What each is worth: docs/training.md.
    odd_profile_share : float
        How often the slice profile is not a box as wide as the spacing but a wider or narrower box or a Gaussian.
    noise_share, noise_hu : float
        How often thick slices get Gaussian noise, and its largest standard deviation.
    edge_share : float
        How often the outer slice at either end repeats its neighbour, as at a volume's ends.
    least_contrast_hu : float
        Crops flatter than this standard deviation are drawn again, a few times.
    real_share : float
        How often a volume that has a real thick reconstruction teaches with it, at that one's ratio; else with
        simulated slices.
    cap_mm : float, optional
        TVSRN-V2's bound on simulated slices along z: spacing at most this (3 mm in the paper).
    least_slices : int
        The same paper's other bound: at least so many thick slices from the whole volume (130); 0 for no bound.
    """

    folder: Path
    layout: Literal["thin", "paired", "rplhr"] = "thin"
    held_out: tuple[str, ...]
    scored: tuple[str, ...] = ()
    ratios: tuple[Annotated[int, Field(ge=2)], ...] = (2, 3, 4, 5, 6)
    ratio_weights: tuple[Annotated[float, Field(ge=0)], ...] = (1, 1.5, 1.5, 4, 1)
    crop: Annotated[int, Field(ge=8)] = 32
    thin_mm: Annotated[float, Field(gt=0)] = 2.5
    thin_often: Annotated[float, Field(gt=0)] = 2.5
    thin_share: Share = 0.5
    coarse_share: Share = 0.35
    odd_profile_share: Share = 0.3
    noise_share: Share = 0.2
    noise_hu: Annotated[float, Field(ge=0)] = 8.0
    edge_share: Share = 0.1
    least_contrast_hu: Annotated[float, Field(ge=0)] = 120.0
    real_share: Share = 0.5
    cap_mm: Annotated[float, Field(gt=0)] | None = None
    least_slices: Annotated[int, Field(ge=0)] = 0


class OptimiserConfig(Table):
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


class PerceptualConfig(Table):
    """[perceptual]: the second stage of RDST (arXiv 2302.11184, III-D), off where the table is absent.

    The loss is alpha * L + lambda * L_U, L as in ``optimiser.knee_hu`` and L_U from a frozen segmentation U-Net.

    Attributes
    ----------
    weights : Path
        The U-Net, see :mod:`sr_engine.training.segmenter`.
    kind : str
        ``encoder``: L_E, features of the encoder; ``decoder``: L_D, of the decoder; ``segmentation``: L_HRL, soft Dice
        against the U-Net's own segmentation of the truth.
    layers : tuple of int
        Levels whose features are compared, 0 at full scale, 1 at half; the paper's best is E(1).
    alpha, lambda : float
        The paper's 1 and 10.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    weights: Path
    kind: Literal["encoder", "decoder", "segmentation"] = "encoder"
    layers: Annotated[tuple[Annotated[int, Field(ge=0, le=3)], ...], Field(min_length=1)] = (1,)
    alpha: Annotated[float, Field(ge=0)] = 1.0
    lambda_: Annotated[float, Field(ge=0, alias="lambda")] = 10.0


class TrainingConfig(Table):
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
    loaders : int
        Threads that draw pairs ahead of the fit; 0 draws them in between. A GPU needs some; results do not change.
    """

    network: str = "tvsrn_v2"
    network_config: dict[str, Any] = Field(default_factory=dict)
    start: Path | None = None
    seed: int = 1
    save_every: Annotated[int, Field(ge=1)] = 100
    score_every: Annotated[int, Field(ge=1)] = 250
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    loaders: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    optimiser: OptimiserConfig
    perceptual: PerceptualConfig | None = None
