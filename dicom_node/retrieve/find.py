"""Asking a PACS what it has by C-FIND, Study Root (PS3.4 C.4.1, C.6.2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined] # made at import

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, InputError
from dicom_node.retrieve.question import Ask
from dicom_node.send.association import association
from dicom_node.send.query import PENDING
from dicom_node.settings import SendSettings
from dicom_node.status import SUCCESS

Answers = Iterator[tuple[Dataset, Dataset | None]]


@dataclass(frozen=True)
class Peer:
    """A PACS, and as whom we call it with which time limits."""

    pacs: Destination
    our_ae: str
    settings: SendSettings


@contextmanager
def asking(peer: Peer) -> Iterator[Ask]:
    """One association for several questions.

    Raises
    ------
    DestinationError
        The PACS cannot be reached, breaks off, or answers with a failure; DestinationRefused: it offers us no query.
    InputError
        It has more answers than allowed; the association is aborted, because some PACSs never stop.
    """
    contexts = [build_context(StudyRootQueryRetrieveInformationModelFind)]
    with association(peer.pacs, peer.our_ae, contexts, peer.settings) as link:
        yield lambda keys, maximum: _ask(link, peer.pacs.name, keys, maximum)


def _ask(link: Association, name: str, keys: Dataset, maximum: int) -> list[Dataset]:
    answers: list[Dataset] = []
    level, final = keys.QueryRetrieveLevel, None
    for status, answer in sent(name, lambda: link.send_c_find(keys, StudyRootQueryRetrieveInformationModelFind)):
        final = status.get("Status")
        if final in PENDING and answer is not None:
            answers.append(answer)
        if len(answers) > maximum:
            raise too_many(name, maximum, level)
    if final != SUCCESS:
        reason = "broke off" if final is None else f"answered 0x{final:04X}"
        raise DestinationError(f"PACS {name} {reason} when asked what it has (level {level})")
    return answers


def sent(name: str, send: Callable[[], Answers]) -> Answers:
    """The answers to a request. DestinationError where the association ended before it was sent."""
    try:
        return send()
    except RuntimeError as error:
        raise DestinationError(f"PACS {name} broke off between two requests") from error


def too_many(name: str, maximum: int, level: str) -> InputError:
    """The error about a PACS that has more answers than are wanted."""
    return InputError(f"PACS {name} has more than {maximum} answers at level {level}: ask more narrowly")
