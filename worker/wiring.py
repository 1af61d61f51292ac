"""What every part of the node is handed: the settings, the ledger, the spool, and the bell that wakes workers."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import migrations
from dicom_node import crash
from dicom_node.destinations import AnyDestination, Destination, FolderDestination, WebDestination
from dicom_node.ledger.database import Database
from dicom_node.receive.spool import Spool
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

    @cached_property
    def model(self) -> ModelIdentity:
        """The network that restores. WeightsUnavailable or UnknownNetwork where the settings name none that can."""
        from sr_engine.inference.model import identify  # torch takes seconds: commands that only look do without

        return identify(self.settings.engine)

    @cached_property
    def destinations(self) -> dict[str, AnyDestination]:
        """Everything that results go to, by name."""
        send = self.settings.send
        found: list[AnyDestination] = [Destination(**pacs.model_dump()) for pacs in send.pacs]
        found += [WebDestination(**service.model_dump()) for service in send.dicomweb]
        found += [FolderDestination(**folder.model_dump()) for folder in send.folder]
        return {item.name: item for item in found}

    @cached_property
    def config_digest(self) -> str:
        """Digest of every setting that changes the result: other settings, other job."""
        decisive = {"network", "target_spacing_mm", "data_consistency", "precision", "tile", "shared_slices"}
        engine = self.settings.engine.model_dump(mode="json", include=decisive)
        content = [engine, self.settings.derive.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
