"""Which run a checkpoint belongs to."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sr_engine.training.config import Table, TrainingConfig

# Options that came after the first runs: where not used they are no part of what tells one run from another.
LATER, LATER_DATA = ("perceptual",), ("layout", "real_share", "cap_mm", "least_slices")


def fingerprint(config: TrainingConfig) -> str:
    """Digest of what must not change between the parts of one run; its length and how often it saves may."""
    fixed = config.model_dump(mode="json", exclude={"save_every", "score_every", "device", "threads", "loaders"})
    del fixed["optimiser"]["steps"], fixed["optimiser"]["rate"]
    _forget_defaults(fixed, config, LATER)
    _forget_defaults(fixed["data"], config.data, LATER_DATA)
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def _forget_defaults(fixed: dict[str, Any], table: Table, names: Sequence[str]) -> None:
    """Leave out later options that are not used."""
    for name in names:
        if getattr(table, name) == type(table).model_fields[name].default:
            del fixed[name]
