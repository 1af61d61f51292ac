"""What the engine can be told. Values are passed in; nothing here reads a file or the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


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
