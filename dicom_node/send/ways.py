"""The ways to deliver, one for each kind of destination: store, ask what is held, and try whether it is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_node.destinations import AnyDestination, Destination, FolderDestination, WebDestination
from dicom_node.records import DerivedInstance, DerivedSeries, InstanceOutcome
from dicom_node.send import folder, qido, query, scu, stow
from dicom_node.settings import SendSettings

Store = Callable[[Any, str, Sequence[DerivedInstance], SendSettings, Callable[[InstanceOutcome], None]], None]
Held = Callable[[Any, str, DerivedSeries, SendSettings], frozenset[str]]
Echo = Callable[[Any, str, SendSettings], None]


@dataclass(frozen=True)
class Way:
    """How one kind of destination is spoken to; every function takes the destination and our AE title first.

    Attributes
    ----------
    kind : str
        The table of its settings, ``[[send.kind]]``.
    store : callable
        Hands instances over and reports an `InstanceOutcome` for each that was answered.
    held : callable
        Which SOP Instance UIDs of a result it holds, by its own word.
    echo : callable
        Returns where it answers and knows us.
    confirms_by : str
        What ``held`` asks by.
    place : callable
        Where it is, for people.
    """

    kind: str
    store: Store
    held: Held
    echo: Echo
    confirms_by: str
    place: Callable[[Any], str]


_WAYS: dict[type[AnyDestination], Way] = {
    Destination: Way(
        "pacs", scu.store, query.held, scu.echo, "C-FIND", lambda pacs: f"{pacs.ae_title} on {pacs.host}:{pacs.port}"
    ),
    WebDestination: Way("dicomweb", stow.store, qido.held, qido.echo, "QIDO-RS", lambda service: service.url),
    FolderDestination: Way(
        "folder", folder.store, folder.held, folder.echo, "read back", lambda place: str(place.path)
    ),
}


def way_to(destination: AnyDestination) -> Way:
    """How a destination is spoken to."""
    return _WAYS[type(destination)]
