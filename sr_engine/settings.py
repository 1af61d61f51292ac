"""What the engine can be told. Values are passed in; nothing here reads a file or the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Of sr_engine/networks/registry.py, for those who only check a name: that module imports torch.
NETWORK_NAMES = (
    "linear", "cubic", "lanczos", "residual_cnn", "resvox_like", "saint_like", "rdst_e_through_plane",
    "rdst_through_plane", "vit", "encoder_only", "tvsrn_v2_without_tab", "tvsrn", "tvsrn_v2",
)  # fmt: skip


class EngineSettings(BaseModel):
    """[engine]: which network restores, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = "best"
    weights: Path | None = None
    allow_untrained: bool = False
    target_spacing_mm: float = Field(default=1.0, gt=0)
    data_consistency: bool = True
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    threads: int = Field(default=0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    tile: int = Field(default=512, ge=64)
    shared_slices: int = Field(default=1, ge=1)
