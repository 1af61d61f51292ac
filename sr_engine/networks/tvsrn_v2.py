"""TVSRN-V2 (Boubnovski Martell et al., arXiv 2507.15340): thin slices from thick ones by windowed attention.

The way of one window, channels last; S = 4 thick slices, D = 16 slots, C = 8 channels::

    HU (B, 4, H, W)  ─ centre, scale ─► 1x1 embedding ─► encoder E: 4 layers on 4C = 32 channels, E(x) + x
      ─► slots: 4 encoded slices + 12 mask tokens, + sin-cos code of z           (B, H, W, 16, C)
      ─► through-plane attention (TAB): one stack, sagittal and coronal view,    T(sag) + T(cor) + z
      ─► in-plane decoder I: 8 layers on 16C = 128 channels, I(z) + z
      ─► + the decoder's input ─► head C -> 16 -> 1 ─► residual in HU over cubic interpolation

Where neither paper decides, this file does:

* **Any ratio with one set of weights.** The slots are the paper's 16 for ratio 5, four between any two thick slices.
  A slot is told by its z code where between the slices it lies, so another ratio only asks for other positions.
  Ratio 2..4: neighbouring slots ask for one position and are averaged. From ratio 6 on: several passes over
  interleaved positions.
* **Margin.** A window carries one more thick slice on either side. Only the cubic base reads it, so that windows
  join into exactly the cubic interpolation of the whole volume; the network sees the paper's 4.
* **Millimetres.** What is fine detail depends on distances, not on counts. The position bias of every window takes
  offsets in mm (Swin V2's own form at 0.75 mm pixels and 1 mm slots), and a small network adds to each slot's z code
  what its distances in mm to the slices below and above, their thickness and the pixels say. Starts at zero. Without
  ``millimetres`` the network counts slices and pixels, as published.
* **Scale.** The network sees (HU - ``centre_hu``) / ``contrast_hu``. With [0, 1] as in the papers it learns nothing in
  the time in which it otherwise halves its error. The centre is fixed, so that a tile does not depend on its cut.
* **Residual.** The head's last layer starts at zero: an untrained network equals cubic interpolation exactly.
* **A convolutional branch** (``local_blocks``; 0 as published): the residual CNN's answer is added to attention's. A
  convolution learns the local part of the task in a thirtieth of the time, attention what lies farther away.

Parameters: 1,927,345 = the 1,926,833 that TVSRN's released geometry gives with Swin V2 layers and a 1x1 embedding,
plus 12 mask tokens of 8 (the released TVSRN code forgot to register its own), plus 416 for millimetres. TVSRN's own
1.73 M cannot be derived from its text nor from its code, and no other count for TVSRN-V2 is known to us.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from sr_engine.intensity import CT_RANGE, IntensityRange
from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.residual_cnn import ResidualCnn, ResidualCnnConfig
from sr_engine.networks.slots import MARGIN, slot_passes
from sr_engine.networks.swin import SwinLayer, initialise
from sr_engine.networks.windows import WindowLayer, pad_to_multiple

PIXEL_MM, SLOT_MM = 0.75, 1.0  # distances at which offsets in mm are Swin V2's own
CODE_WIDTH = 32  # hidden width of the network that reads distances


@dataclass(frozen=True)
class TvsrnV2Config:
    """Size and scale of the network; the defaults are the published geometry.

    Attributes
    ----------
    channels, heads, mlp_ratio : int
        Channels per slice, attention heads, hidden width of an MLP in multiples of its input.
    slices : int
        Thick slices the network sees.
    slots_between : int
        Thin positions asked for between two thick slices in one pass.
    encoder_layers, tab_layers, decoder_groups, decoder_layers : int
        Swin layers in the encoder, in the through-plane stack and in each group of the in-plane decoder. Without
        ``tab_layers`` there is no through-plane attention: Table 1, "w/o TAB".
    window, tab_window, strip : int
        Window in plane, window through plane, columns (rows) folded into channels for the sagittal (coronal) view.
    branch_norm : float
        Starting weight of the norms that end every branch. Swin V2 begins at 0, which with a zero head starves
        attention of gradient. Error on one 32 x 32 crop after 60 steps of AdamW 1e-3, from 27.0 HU:
        20.0 at 0, 11.2 at 0.1, 7.6 at 0.3, 9.3 at 1.
    millimetres : bool
        Whether positions are distances in mm, or counts as published.
    cubic_base : bool
        Whether the network adds to cubic interpolation, or makes the slices alone as published.
    local_blocks : int
        Blocks of the convolutional branch over cubic interpolation.
    centre_hu, contrast_hu : float
        The network sees (HU - centre) / contrast.
    intensity : IntensityRange
        The network sees values clipped to this range; the cubic base does not clip.
    """

    channels: int = 8
    heads: int = 8
    mlp_ratio: int = 4
    slices: int = 4
    slots_between: int = 4
    encoder_layers: int = 4
    tab_layers: int = 4
    decoder_groups: int = 2
    decoder_layers: int = 4
    window: int = 8
    tab_window: int = 4
    strip: int = 8
    branch_norm: float = 0.3
    millimetres: bool = True
    cubic_base: bool = True
    local_blocks: int = 0
    centre_hu: float = -500.0
    contrast_hu: float = 384.0
    intensity: IntensityRange = CT_RANGE

    def __post_init__(self) -> None:
        if self.slots % self.tab_window or self.window % self.tab_window or self.window % self.strip:
            raise ValueError(
                f"{self.slots} slots and window {self.window} must be multiples of the through-plane window "
                f"{self.tab_window}, and the window one of the strip {self.strip}"
            )
        if self.local_blocks and not self.cubic_base:
            raise ValueError("the convolutional branch (local_blocks) adds to cubic interpolation: set cubic_base")

    @property
    def slots(self) -> int:
        """Slices inside the decoder: the thick ones and those between them."""
        return (self.slices - 1) * (self.slots_between + 1) + 1

    def as_published(self) -> Self:
        """Return the same geometry in the papers' form: (HU + 1024) / 3072 in, slices out, no base, no millimetres."""
        low, high = self.intensity.low_hu, self.intensity.high_hu
        own = replace(self, cubic_base=False, local_blocks=0, millimetres=False)
        return replace(own, centre_hu=low, contrast_hu=high - low)

    def local(self) -> ResidualCnnConfig:
        """Return the convolutional branch's configuration: what it sees and where its slots lie is the network's."""
        shared = ("slices", "slots_between", "centre_hu", "contrast_hu", "intensity")
        return ResidualCnnConfig(blocks=self.local_blocks, **{name: getattr(self, name) for name in shared})


class Backbone(nn.Module):
    """Norm, groups of Swin layers each with its own skip, norm (TVSRN, released code); shift in every second layer."""

    layer: ClassVar[Callable[..., WindowLayer]] = SwinLayer

    def __init__(self, config: TvsrnV2Config, channels: int, groups: int, layers: int, window: int) -> None:
        super().__init__()
        self.entry_norm = nn.LayerNorm(channels)
        self.groups = nn.ModuleList(
            nn.ModuleList(
                self.layer(channels, config.heads, (window, window), index % 2 == 1, config.mlp_ratio)
                for index in range(layers)
            )
            for _ in range(groups)
        )
        self.exit_norm = nn.LayerNorm(channels)

    def forward(self, grid: Tensor, stretch: Tensor) -> Tensor:
        """Map a grid (B, H, W, C) to one of the same shape; ``stretch`` as in :class:`SwinLayer`."""
        grid = self.entry_norm(grid)
        for group in self.groups:
            mixed = grid
            for layer in cast("nn.ModuleList", group):
                mixed = layer(mixed, stretch)
            grid = mixed + grid
        output: Tensor = self.exit_norm(grid)
        return output


class TvsrnV2(SliceNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 512  # the plane of nearly all CT, whole: the paper's tiles of 256 cost an eighth more for overlap
    bytes_per_pixel = 7500  # measured at ratio 5, float32, 512 x 512
    backbone: ClassVar[type[Backbone]] = Backbone

    def __init__(self, config: TvsrnV2Config | None = None) -> None:
        super().__init__()
        self.config = config = config or TvsrnV2Config()
        channels = config.channels
        self.embed: nn.Module = nn.Linear(1, channels)
        self.encoder = self.backbone(config, config.slices * channels, 1, config.encoder_layers, config.window)
        self.mask_tokens = nn.Parameter(torch.empty(config.slots - config.slices, channels))
        if config.tab_layers:
            self.through_plane = self.backbone(config, config.strip * channels, 1, config.tab_layers, config.tab_window)
        self.in_plane = self.backbone(
            config, config.slots * channels, config.decoder_groups, config.decoder_layers, config.window
        )
        if config.millimetres:
            self.distance_code = nn.Sequential(
                nn.Linear(4, CODE_WIDTH), nn.ReLU(), nn.Linear(CODE_WIDTH, channels, bias=False)
            )
        self.head = nn.Sequential(nn.Linear(channels, 2 * channels), nn.LeakyReLU(0.01), nn.Linear(2 * channels, 1))
        self._initialise()
        if config.local_blocks:
            self.local = ResidualCnn(config.local())

    def contract(self, ratio: int) -> SliceContract:
        """The paper's window and a margin that only the cubic base reads: 6 in, 16 out at ratio 5."""
        spacings = self.config.slices - 1
        return SliceContract(self.config.slices + 2 * MARGIN, spacings * ratio + 1, ratio, MARGIN * ratio)

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        """Cubic interpolation plus what the network has learned to add; without the base, the network alone."""
        return self._base(thick, ratio, sampling) + self._residual(thick[:, MARGIN:-MARGIN], ratio, sampling)

    def _base(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor | float:
        if self.config.local_blocks:
            return cast("Tensor", self.local(thick, ratio, sampling))
        return cubic(thick, ratio) if self.config.cubic_base else self.config.centre_hu

    def _residual(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        """What is added to the base, in HU, (B, 3 * ratio + 1, H, W), from thick slices (B, 4, H, W)."""
        config = self.config
        height, width = thick.shape[-2:]
        seen = (config.intensity.clip(thick) - config.centre_hu) / config.contrast_hu
        encoded = self._encode(
            pad_to_multiple(seen, config.window), stretch_in_plane(sampling, self.config.millimetres)
        )
        total = thick.new_zeros(thick.shape[0], (config.slices - 1) * ratio + 1, height, width)
        times = thick.new_zeros(total.shape[1])
        for slots in slot_passes(config.slices, config.slots_between, ratio):
            index = torch.tensor(slots, device=thick.device)
            predicted = self._decode(encoded, index / ratio, sampling)[..., :height, :width].to(total)
            total = total.index_add(1, index, predicted)
            times = times.index_add(0, index, torch.ones_like(index, dtype=times.dtype))
        return total * (config.contrast_hu / times[:, None, None])

    def _encode(self, seen: Tensor, stretch: Tensor) -> Tensor:
        """(B, S, H, W) scaled values -> (B, H, W, S, C) features."""
        embedded = self.embed(seen.permute(0, 2, 3, 1).unsqueeze(-1))  # (B, H, W, S, C)
        folded = embedded.flatten(-2)  # (B, H, W, S * C), slice-major
        encoded: Tensor = self.encoder(folded, stretch) + folded
        return encoded.view(embedded.shape)

    def _decode(self, encoded: Tensor, positions: Tensor, sampling: Sampling) -> Tensor:
        """Predict the slots at ``positions`` (D,), in thick spacings: (B, H, W, S, C) -> (B, D, H, W)."""
        entry = self._fill_slots(encoded) + self._z_code(positions, sampling)[:, None, None]  # (B, H, W, D, C)
        through = entry
        if self.config.tab_layers:
            through = self._sagittal(entry, sampling) + self._coronal(entry, sampling) + entry
        folded = through.flatten(-2)  # (B, H, W, D * C)
        volume = (self.in_plane(folded, stretch_in_plane(sampling, self.config.millimetres)) + folded).view(
            entry.shape
        ) + entry
        residual: Tensor = self.head(volume).squeeze(-1)  # (B, H, W, D)
        return residual.permute(0, 3, 1, 2)

    def _fill_slots(self, encoded: Tensor) -> Tensor:
        """Put the mask tokens, one vector each for the whole plane, between the encoded slices."""
        grid = encoded.shape[:3]
        parts = [encoded[..., :1, :]]
        for index, tokens in enumerate(torch.split(self.mask_tokens, self.config.slots_between), start=1):
            parts += [tokens.expand(*grid, *tokens.shape), encoded[..., index : index + 1, :]]
        return torch.cat(parts, dim=3)

    def _z_code(self, positions: Tensor, sampling: Sampling) -> Tensor:
        """Code of z (D,) in thick spacings -> (n, D, C): sine and cosine of the slot index, as published, and mm."""
        place = positions * (self.config.slots_between + 1)
        rates = 10000.0 ** (-torch.arange(0, self.config.channels, 2, device=place.device) / self.config.channels)
        angles = place[:, None] * rates
        code = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).unsqueeze(0)
        if not self.config.millimetres:
            return code
        below = (positions - positions.floor()) * sampling.step_mm[:, None]  # (n, D), mm above the slice below
        above = (positions.ceil() - positions) * sampling.step_mm[:, None]
        known = [value[:, None].expand_as(below) for value in (sampling.thickness_mm, sampling.pixel_mm)]
        distances = torch.log2(torch.stack((below, above, *known), dim=-1) + 1) / math.log2(8)
        return code + self.distance_code(distances)  # type: ignore[no-any-return]

    def _stretch_z(self, sampling: Sampling) -> Tensor:
        """As :func:`stretch_in_plane`, along slots and rows."""
        if not self.config.millimetres:
            return sampling.pixel_mm.new_ones(1, 2)
        slot_mm = sampling.step_mm / (self.config.slots_between + 1)
        return torch.stack((slot_mm / SLOT_MM, sampling.pixel_mm / PIXEL_MM), dim=1)

    def _sagittal(self, volume: Tensor, sampling: Sampling) -> Tensor:
        """Attend over (z, row): strips of columns become channels. (B, H, W, D, C) -> same."""
        batch, height, width, depth, channels = volume.shape
        strip = self.config.strip
        split = volume.view(batch, height, width // strip, strip, depth, channels).permute(0, 2, 4, 1, 3, 5)
        seen = self.through_plane(split.reshape(-1, depth, height, strip * channels), self._stretch_z(sampling))
        return seen.view(split.shape).permute(0, 3, 1, 4, 2, 5).reshape(volume.shape)  # type: ignore[no-any-return]

    def _coronal(self, volume: Tensor, sampling: Sampling) -> Tensor:
        """Attend over (z, column): the sagittal view of the plane turned over."""
        return self._sagittal(volume.transpose(1, 2).contiguous(), sampling).transpose(1, 2)

    def _initialise(self) -> None:
        """Swin's initial values; the last layer at zero so that an untrained network adds nothing."""
        initialise(self, self.config.branch_norm)
        nn.init.trunc_normal_(self.mask_tokens, std=0.02)
        if self.config.millimetres:
            nn.init.zeros_(self.distance_code[-1].weight)  # type: ignore[arg-type]
        if self.config.cubic_base:
            nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]


def stretch_in_plane(sampling: Sampling, millimetres: bool) -> Tensor:
    """How far apart pixels lie, compared with :data:`PIXEL_MM`, along rows and columns, (n, 2); else 1."""
    if not millimetres:
        return sampling.pixel_mm.new_ones(1, 2)
    return (sampling.pixel_mm / PIXEL_MM)[:, None].expand(-1, 2)
