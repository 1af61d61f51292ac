"""Which program this is: its versions, its weights and what they are worth, its parts, and its settings."""

import importlib.metadata
import json
import platform
import sys
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

import migrations
from dicom_node.ledger.users import Role
from sr_engine.errors import EngineError
from sr_engine.volume import ModelIdentity
from worker import sbom
from worker.console.asked import Asked
from worker.console.office import Console, page, told
from worker.shown_settings import shown
from worker.wiring import Node, engines

# What the card says of how the scans were that the weights have learned from, for people.
COVERAGE = {
    "step_mm": "distance of thick slices, mm", "overlap": "thickness by distance", "pixel_mm": "pixel size, mm",
    "noise_hu": "noise, HU", "darkest_hu": "darkest voxel, HU", "brightest_hu": "brightest voxel, HU",
    "shear_deg": "gantry tilt, degrees",
}  # fmt: skip
Measured = dict[str, dict[str, float]]


@dataclass(frozen=True)
class ModelFact:
    """A network that restores, with the card of its weights; empty for one that needs none."""

    model: ModelIdentity
    card: dict[str, Any]

    @property
    def measured(self) -> Measured:
        """PSNR in dB by volume and network."""
        found: Measured = self.card.get("figures", {}).get("psnr_db", {})
        return found

    @property
    def networks(self) -> list[str]:
        """Those that were measured, in the card's order."""
        return list(dict.fromkeys(name for row in self.measured.values() for name in row))

    @property
    def limits(self) -> list[str]:
        """What the weights' makers warn of."""
        return list(self.card.get("figures", {}).get("limits", []))

    @property
    def data(self) -> list[dict[str, str]]:
        """What it learned from."""
        return list(self.card.get("training", {}).get("data", []))

    @property
    def coverage(self) -> dict[str, str]:
        """What kind of scans it knows."""
        known = self.card.get("coverage", {})
        return {COVERAGE.get(key, key): f"{low:g} to {high:g}" for key, (low, high) in known.items()}


@dataclass(frozen=True)
class About:
    """Which program, which weights, made of what; ``trouble`` says why a network cannot restore."""

    programs: dict[str, str]
    packages: tuple[sbom.Package, ...]
    models: tuple[ModelFact, ...]
    trouble: str


def about(console: Console, asked: Asked) -> Response:
    """Which program, which weights, on what."""
    models, trouble = models_of(console.node)
    settings = shown(console.node.settings) if asked.may(Role.ADMIN) else {}
    return page(
        console, asked, "about.html",
        programs=programs(console.node), packages=sbom.packages(), models=models, trouble=trouble,
        settings=settings,
    )  # fmt: skip


def about_data(console: Console, _asked: Asked) -> Response:
    """Which program, which weights, which packages."""
    models, trouble = models_of(console.node)
    return told(About(programs(console.node), tuple(sbom.packages()), tuple(models), trouble))


def programs(node: Node) -> dict[str, str]:
    """Which program, on what."""
    database = node.database
    return {
        "thinslice": importlib.metadata.version("thinslice"),
        "Python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "ledger": f"{database.engine.dialect.name}, schema {migrations.revision(database.url)}",
    }


def bill(console: Console, _asked: Asked) -> Response:
    """The bill of materials as a file."""
    own = [engine.weights for engine in engines(console.node.settings) if engine.weights and engine.weights.is_file()]
    headers = {"Content-Disposition": 'attachment; filename="thinslice-sbom.json"'}
    return Response(sbom.bill(own), media_type="application/vnd.cyclonedx+json; version=1.6", headers=headers)


def models_of(node: Node) -> tuple[list[ModelFact], str]:
    """The networks that restore, and why one cannot."""
    from sr_engine.networks.registry import shipped_weights  # torch takes seconds: other pages do without

    settings, found = node.settings, []
    try:
        models = node.models
    except EngineError as error:
        return [], str(error)
    for engine in engines(settings):
        model = models[engine.network]
        card = (engine.weights or shipped_weights(model.name)).with_suffix(".json")
        content = json.loads(card.read_text(encoding="utf-8")) if model.learned and card.is_file() else {}
        found.append(ModelFact(model, content))
    return found, ""
