"""What every part of the node is handed: the settings, the ledger, the spool, and the bell that wakes workers."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import migrations
from dicom_node import crash
from dicom_node.destinations import AnyDestination, Destination, FolderDestination, WebDestination
from dicom_node.ledger.database import Database
from dicom_node.ledger.models import ModelChoice
from dicom_node.plans import Plan
from dicom_node.receive.spool import Spool
from dicom_node.series.rules import plan_of
from sr_engine.errors import WeightsUnavailable
from sr_engine.settings import EngineSettings
from sr_engine.volume import ModelIdentity
from worker.settings import Settings


class Bell(Protocol):
    """Wakes a worker. It may ring twice or not at all: the ledger decides what is due and who has it.

    ``priority`` is 1 for STAT: such a row goes before those that wait already. BrokerError where no bell can be rung.
    """

    def restore(self, job_id: int, priority: int = 0) -> None:
        """Tell a worker that a job is queued."""

    def deliver(self, delivery_id: int, priority: int = 0) -> None:
        """Tell a worker that a delivery is due."""


@dataclass(frozen=True)
class Node:
    """One process's hold on the node."""

    settings: Settings
    database: Database
    spool: Spool

    @property
    def model(self) -> ModelIdentity:
        """The network that restores where no rule names another. Raises as `models`."""
        return self.models[self.settings.engine.network]

    @cached_property
    def models(self) -> dict[str, ModelIdentity]:
        """By the name in the settings, the networks that restore: that of [engine], and those of rules.

        Raises
        ------
        WeightsUnavailable, UnknownNetwork
            One of them cannot run.
        """
        from sr_engine.inference.model import identify  # torch takes seconds: commands that only look do without

        return {engine.network: identify(engine) for engine in engines(self.settings)}

    @cached_property
    def spares(self) -> dict[str, ModelIdentity]:
        """What this node can run beside those if a person wants it: interpolations, and networks with weights here.

        Raises as `models`.
        """
        from sr_engine.inference.model import identify
        from sr_engine.networks.registry import NETWORKS, shipped_weights

        found = {}
        for name, line in NETWORKS.items():
            if name not in self.models and (not line.learned or shipped_weights(name).is_file()):
                with suppress(WeightsUnavailable):  # nobody needs it
                    found[name] = identify(engine_of(self.settings, Plan(network=name)))
        return found

    @property
    def runnable(self) -> dict[str, ModelIdentity]:
        """All of them by name. Raises as `models`."""
        return self.models | self.spares

    @property
    def model_digests(self) -> frozenset[str]:
        """What jobs this node can restore."""
        return frozenset(model.digest for model in self.runnable.values())

    def choice(self, plan: Plan) -> ModelChoice:
        """What a job of such a plan is restored with."""
        model = self.runnable[plan.network or self.settings.engine.network]
        return ModelChoice(model.name, model.digest, self._config_digest(plan), plan)

    def choices(self) -> dict[str, ModelChoice]:
        """The same by the name of the rule; under an empty name, for jobs of no rule."""
        return {"": self.choice(Plan())} | {rule.name: self.choice(plan_of(rule)) for rule in self.settings.rules}

    def chosen(self, plan: Plan) -> ModelChoice:
        """The same for a plan of a person's; with the network of [engine] where this node lost the one they chose."""
        return self.choice(plan if plan.network in self.runnable else replace(plan, network=None))

    @cached_property
    def destinations(self) -> dict[str, AnyDestination]:
        """Everything that results go to, by name."""
        send = self.settings.send
        found: list[AnyDestination] = [Destination(**pacs.model_dump()) for pacs in send.pacs]
        found += [WebDestination(**service.model_dump()) for service in send.dicomweb]
        found += [FolderDestination(**folder.model_dump()) for folder in send.folder]
        return {item.name: item for item in found}

    def goes_to(self, plan: Plan) -> list[str]:
        """Names of the destinations of a job: all, unless its rule named some."""
        return list(self.destinations if plan.destinations is None else dict.fromkeys(plan.destinations))

    def _config_digest(self, plan: Plan) -> str:
        """Digest of every setting that changes the result: other settings, other job."""
        decisive = {"network", "target_spacing_mm", "data_consistency", "precision", "tile", "shared_slices"}
        engine = engine_of(self.settings, plan).model_dump(mode="json", include=decisive)
        content = [engine, self.settings.derive.model_dump(mode="json"), *([plan.again] if plan.again else [])]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def engine_of(settings: Settings, plan: Plan) -> EngineSettings:
    """[engine] as a plan changes it. The weights that it names are of the network that it names."""
    own = settings.engine
    network = plan.network or own.network
    changes = {
        "network": network,
        "weights": own.weights if network == own.network else None,
        "target_spacing_mm": plan.target_spacing_mm or own.target_spacing_mm,
    }
    return own.model_copy(update=changes)


def engines(settings: Settings) -> list[EngineSettings]:
    """[engine], and what it becomes for each other network that a rule names."""
    named = [settings.engine.network, *(rule.network for rule in settings.rules if rule.network)]
    return [engine_of(settings, Plan(network=name)) for name in dict.fromkeys(named)]


def open_node(settings: Settings, actor: str) -> Node:
    """Open the ledger and the spool as they are. Call ``prepare`` once before, at the node's start."""
    _arm_crash_point()
    return Node(
        settings,
        Database(settings.ledger.url, actor),
        Spool(settings.receive.spool, settings.receive.disk_full_percent),
    )


def prepare(settings: Settings) -> None:
    """Bring the ledger's schema up to date and make the folders."""
    migrations.upgrade(settings.ledger.url)
    settings.worker.results.mkdir(parents=True, exist_ok=True, mode=0o700)


def _arm_crash_point() -> None:
    """For fault tests: THINSLICE_CRASH=place:mark has this process killed at that place, see ``dicom_node.crash``."""
    place, _, mark = os.environ.get("THINSLICE_CRASH", "").partition(":")
    if place:
        crash.arm(place, Path(mark))
