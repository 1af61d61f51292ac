"""What this program is made of, as far as it is installed here: packages with their licences, and our weights.

CycloneDX 1.6 as JSON, for whoever has to know what runs in a hospital (a software bill of materials).
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import sr_engine

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

WEIGHTS = Path(sr_engine.__file__).parent / "weights"
OWN, OWN_LICENCE = "thinslice", "Apache-2.0"
UNSTATED = "not stated"
LONGEST_LICENCE = 100  # some packages put the whole text where the name belongs
APPROVED = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Package:
    """An installed package; ``licence`` is a name or an SPDX expression as the package states it."""

    name: str
    version: str
    licence: str


@lru_cache(maxsize=1)
def packages() -> tuple[Package, ...]:
    """Every package of this Python, by name."""
    found = {}
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"]
        if name:
            found[name.lower()] = Package(name, item.version, _licence(item.metadata))
    return tuple(found[name] for name in sorted(found))


def bill(weights: Sequence[Path] = ()) -> str:
    """The bill of materials.

    Parameters
    ----------
    weights : sequence of Path
        Other weights than those that come with the program.
    """
    from cyclonedx.contrib.license.factories import LicenseFactory  # half a second that no other command needs
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    licences, bom, parts = LicenseFactory(), Bom(), []
    for package in packages():
        own = package.name == OWN
        part = Component(
            type=ComponentType.APPLICATION if own else ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            bom_ref=f"{package.name}=={package.version}",
            licenses=[] if package.licence == UNSTATED else [licences.make_from_string(package.licence)],
            purl=PackageURL("pypi", None, package.name.lower().replace("_", "-"), package.version),
        )
        if own:
            bom.metadata.component = part
        else:
            parts.append(part)
    parts += [_network(path) for path in [*sorted(WEIGHTS.glob("*.safetensors")), *weights]]
    bom.components.update(parts)
    if bom.metadata.component is not None:
        bom.register_dependency(bom.metadata.component, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _network(path: Path) -> "Component":
    """A file of weights, by its digest."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    card = path.with_suffix(".json")
    known = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=str(known.get("network", path.stem)),
        version=str(known.get("version", "")) or None,
        bom_ref=f"weights:{digest}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseFactory().make_from_string(OWN_LICENCE)] if path.parent == WEIGHTS else [],
    )


def _licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """As the package states it: the expression of newer ones, the classifier or the free text of older ones."""
    said = metadata.json
    classified = [item.removeprefix(APPROVED) for item in said.get("classifier", []) if item.startswith(APPROVED)]
    free = str(said.get("license") or "").strip()
    short = free if free and "\n" not in free and len(free) <= LONGEST_LICENCE else ""
    return str(said.get("license_expression") or short or " and ".join(classified) or UNSTATED)
