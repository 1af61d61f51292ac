"""C-ECHO and C-STORE to a PACS (PS3.4 A, B). What is sent are the stored bytes, or their pixels compressed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config as network_config
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined] # made at import

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, DestinationRefused, StorageError
from dicom_node.records import DerivedInstance, InstanceOutcome
from dicom_node.send.association import association, refused_contexts
from dicom_node.send.compression import SYNTAXES, compressed, has_pixels
from dicom_node.settings import SendSettings
from dicom_node.status import SUCCESS

# pynetdicom knows no other way to send a file's bytes as they are; it affects sending by path alone.
network_config.STORE_SEND_CHUNKED_DATASET = True

SOP_CLASS_NOT_SUPPORTED = 0x0122
# 01xx failures that no repetition heals (PS3.7 C): no such SOP class, not authorised, class-instance conflict.
PERMANENT_01XX = frozenset({0x0117, 0x0118, 0x0119, 0x0122, 0x0124})


def echo(destination: Destination, calling_ae: str, settings: SendSettings) -> None:
    """C-ECHO: the PACS is there and knows us.

    Raises
    ------
    DestinationError
        It cannot be reached or does not answer; DestinationRefused: it does not want us. The sentence says why.
    """
    with association(destination, calling_ae, [build_context(Verification)], settings) as link:
        status = link.send_c_echo().get("Status")
    if status is None:
        raise DestinationError(f"PACS {destination.name} did not answer C-ECHO in time")
    if status != SUCCESS:
        raise DestinationRefused(f"PACS {destination.name} answered C-ECHO with status 0x{status:04X}")


def store(
    destination: Destination,
    calling_ae: str,
    instances: Sequence[DerivedInstance],
    settings: SendSettings,
    on_outcome: Callable[[InstanceOutcome], None],
) -> None:
    """C-STORE instances over one association.

    Parameters
    ----------
    on_outcome : callable
        Called for every instance that was tried, as its answer comes. What it raises aborts the association.

    Raises
    ------
    DestinationError
        The association did not open or died: outcomes so far were reported, the rest can be sent later.
    DestinationRefused
        The PACS refuses us or everything that is to be sent.
    StorageError
        A stored file cannot be read.
    """
    if not instances:
        return
    wanted = _wanted(destination, instances)
    # One context each, so that the PACS says for each syntax whether it takes it.
    contexts = [build_context(kind, syntax) for kind, syntaxes in wanted.items() for syntax in syntaxes]
    with association(destination, calling_ae, contexts, settings) as link:
        taken = {(context.abstract_syntax, context.transfer_syntax[0]) for context in link.accepted_contexts}
        if not taken:
            raise refused_contexts(destination, link.rejected_contexts)
        accepted = {
            kind: [syntax for syntax in syntaxes if (kind, syntax) in taken] for kind, syntaxes in wanted.items()
        }
        for number, instance in enumerate(instances, 1):
            status = _store_one(link, instance, accepted)
            on_outcome(InstanceOutcome(instance.sop_instance_uid, status))
            if status is None:
                raise DestinationError(
                    f"PACS {destination.name} broke off while slice {number} of {len(instances)} was being sent"
                )


def failure_is_permanent(status: int | None) -> bool:
    """Whether sending the same instance again is pointless (PS3.4 Table B.2-1, PS3.7 C).

    A7xx (out of resources), most of 01xx (processing failure) and no answer may pass; A9xx (data set does not match
    SOP class), Cxxx (cannot understand) and the 01xx of PERMANENT_01XX do not. Success and warnings are no failures.
    """
    if status is None:
        return False
    return status & 0xF000 == 0xC000 or status & 0xFF00 == 0xA900 or status in PERMANENT_01XX


def _wanted(destination: Destination, instances: Sequence[DerivedInstance]) -> dict[str, list[str]]:
    """Transfer syntaxes by SOP class, the one we like best first; Implicit is every SCP's duty.

    Only images are offered compressed; the first instance of a class tells whether it is one of images.
    """
    firsts = {item.sop_class_uid: item for item in reversed(instances)}
    plain: list[str] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    best = SYNTAXES.get(destination.compression)
    try:
        return {
            kind: [best, *plain] if best is not None and has_pixels(item.path) else plain
            for kind, item in firsts.items()
        }
    except OSError as error:
        raise _unreadable(error) from error


def _store_one(link: Association, instance: DerivedInstance, accepted: Mapping[str, Sequence[str]]) -> int | None:
    """Status of one C-STORE; None where no answer came. A class that the PACS does not take needs no asking."""
    if not link.is_established:
        return None
    syntaxes = accepted[instance.sop_class_uid]
    if not syntaxes:
        return SOP_CLASS_NOT_SUPPORTED
    try:
        subject = _encoded(instance.path, syntaxes)
        answer = link.send_c_store(subject)
    except OSError as error:
        raise _unreadable(error) from error
    except RuntimeError:
        # The association ended between the question above and the request.
        return None
    status = answer.get("Status")
    return None if status is None else int(status)


def _encoded(path: Path, syntaxes: Sequence[str]) -> Path | Dataset:
    """A stored instance for the first of the transfer syntaxes that it can have: its file where it is stored so."""
    best, *others = syntaxes
    if best == ExplicitVRLittleEndian:
        return path
    if best == ImplicitVRLittleEndian:
        return dcmread(path)
    try:
        return compressed(path, best)
    except (RuntimeError, ValueError) as error:  # openjpeg, for example, makes nothing of 16 pixels
        if others:
            return _encoded(path, others)
        raise DestinationRefused(
            "the PACS takes images only compressed, which one of these cannot be: have it take Explicit VR Little "
            "Endian, or choose another compression in [[send.pacs]]"
        ) from error


def _unreadable(error: OSError) -> StorageError:
    return StorageError(f"{error.filename} cannot be read: {error.strerror}")
