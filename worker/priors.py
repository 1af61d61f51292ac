"""What a PACS has of earlier series, and what of it is worth fetching. Asks, and changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dicom_node.destinations import Destination, WebDestination
from dicom_node.errors import InputError, SettingsError
from dicom_node.ledger import pulls, receipts
from dicom_node.retrieve.dimse import Get, Move
from dicom_node.retrieve.find import Peer
from dicom_node.retrieve.question import FoundImage, FoundSeries, Question, Source, find_images, find_series
from dicom_node.retrieve.web import Web
from dicom_node.series.eligibility import GAP_RATIO
from worker.wiring import Node


@dataclass(frozen=True)
class Planned:
    """A series of a PACS and what of it is to be fetched; ``skip`` says why nothing is.

    Attributes
    ----------
    proven : bool
        The PACS tells that the images are originals; else one is fetched first, and looked at.
    others : frozenset of str
        SOP Instance UIDs of the series that are not fetched.
    """

    series: FoundSeries
    images: tuple[FoundImage, ...]
    others: frozenset[str]
    proven: bool
    skip: str = ""

    @property
    def megabytes(self) -> float:
        """About how much will come, before compression."""
        return sum(item.size for item in self.images) / 1e6


def source(node: Node, name: str, way: str) -> Source:
    """A PACS or DICOMweb service of the settings.

    Parameters
    ----------
    way : str
        get, move, dicomweb; or empty: a PACS by C-GET where it offers that, else by C-MOVE.

    Raises
    ------
    SettingsError
        There is none of that name, or not for that way.
    """
    found = node.destinations.get(name)
    pull = node.settings.pull
    limits = node.settings.send.model_copy(update={"response_timeout_s": pull.response_timeout_s})
    if isinstance(found, WebDestination) and way in ("", "dicomweb"):
        return Web(found, limits)
    if not isinstance(found, Destination) or way == "dicomweb":
        known = ", ".join(node.destinations) or "none"
        raise SettingsError(
            f"the settings name nothing to pull from as {name!r} by {way or 'any way'}; they name: {known}"
        )
    peer = Peer(found, node.settings.receive.ae_title, limits)
    by_get = Get(peer, pull.instances_at_once, node.settings.receive.maximum_instance_s)
    if way == "get" or (not way and by_get.is_offered()):
        return by_get
    return Move(peer, pull.instances_at_once)


def plan(node: Node, source: Source, question: Question, *, again: bool = False) -> list[Planned]:
    """Ask what there is. InputError where it is more than [pull] allows; nothing is fetched or written.

    Parameters
    ----------
    again : bool
        Fetch also what is here already.
    """
    pull = node.settings.pull
    with source.asking() as ask:
        planned = []
        for series in find_series(ask, question, pull.maximum_series):
            if (series.images or 0) > pull.maximum_instances:
                planned.append(Planned(series, (), frozenset(), False, "larger than [pull].maximum_instances"))
                continue
            images = find_images(ask, series, pull.maximum_instances)
            planned.append(_planned(node, series, images, again=again))
    wanted = sum(len(item.images) for item in planned)
    if wanted > pull.maximum_instances:
        raise InputError(
            f"{wanted} images are more than [pull].maximum_instances = {pull.maximum_instances}: "
            "ask more narrowly, or raise it"
        )
    return planned


def _planned(node: Node, series: FoundSeries, images: Sequence[FoundImage], *, again: bool) -> Planned:
    wanted = [item for item in images if item.is_wanted]
    thin = [item for item in wanted if _is_thin(item, node.settings.series.minimum_step_mm)]
    here = pulls.holding(node.database, series.series_uid)
    known = {item.sop_uid for item in wanted} <= here.known
    skip = ""
    if receipts.made_here(node.database, series.series_uid):
        skip = "made by this node"
    elif not images:
        skip = "the PACS lists no image"
    elif not wanted:
        skip = "derived, or no CT images"
    elif len(thin) == len(wanted):
        skip = f"already thin, below {node.settings.series.minimum_step_mm:g} mm"
    elif known and not again:
        skip = "here already"
    asked = [] if skip else [item for item in wanted if again or item.sop_uid not in here.kept]
    others = {item.sop_uid for item in images} - {item.sop_uid for item in asked}
    series = replace(series, images=len(images))
    return Planned(series, tuple(asked), frozenset(others), all(item.image_type for item in asked), skip)


def _is_thin(image: FoundImage, minimum_mm: float) -> bool:
    """So thin that its stack is not restored, whatever its step: it would be thin, or have gaps."""
    return image.thickness_mm is not None and image.thickness_mm * GAP_RATIO < minimum_mm
