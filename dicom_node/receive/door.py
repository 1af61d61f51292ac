"""What every instance passes, however it came: it is read, compared with what was said of it, and kept in the spool."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from dicom_node.errors import InputError, UnreadableInstance
from dicom_node.receive.limits import Overlong
from dicom_node.receive.part10 import Identity, encode_file, read_identity
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance


@dataclass(frozen=True)
class Arrival:
    """One instance as it came, with what was said of it.

    Attributes
    ----------
    data_set : bytes
        As sent, in ``transfer_syntax_uid``.
    context_class_uid : str
        Abstract syntax of the presentation context that it came in; where there is none, ``sop_class_uid``.
    sop_class_uid, sop_instance_uid : str
        Those of the C-STORE request, or of the File Meta Information.
    calling_ae, peer_ip : str
        Who sent it.
    """

    data_set: bytes
    transfer_syntax_uid: str
    context_class_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae: str
    peer_ip: str


def arrived(event: Event, maximum_bytes: int, *, calling_ae: str, peer_ip: str) -> Arrival:
    """What a C-STORE brought. UnreadableInstance where it brought no data set, or one past the limit."""
    request = cast("C_STORE", event.request)
    if isinstance(request.DataSet, Overlong):
        raise too_large(maximum_bytes)
    data_set = event.encoded_dataset(include_meta=False)
    if not data_set:
        raise UnreadableInstance("the request came without a data set: the sender must mend it")
    return Arrival(
        data_set,
        transfer_syntax_uid=event.context.transfer_syntax,
        context_class_uid=event.context.abstract_syntax,
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        calling_ae=calling_ae,
        peer_ip=peer_ip,
    )


def too_large(maximum_bytes: int) -> UnreadableInstance:
    """The error about a data set that is larger than the settings allow."""
    return UnreadableInstance(
        f"the data set is larger than [receive].maximum_instance_mb = {maximum_bytes / 1e6:g} allows: "
        "raise it, or have the sender send single images"
    )


def keep(
    spool: Spool, arrival: Arrival, now: datetime, check: Callable[[Identity], None] = lambda _: None
) -> ReceivedInstance:
    """Put an instance on disk for good; what cannot be read goes to quarantine.

    Parameters
    ----------
    check : callable
        Raises where this instance is not to be kept.

    Raises
    ------
    UnreadableInstance
        It cannot be read; its bytes are in quarantine.
    InputError
        It is not what was said of it (PS3.4 B.2.2).
    StorageError
        The spool cannot be written.
    """
    try:
        identity = read_identity(arrival.data_set, arrival.transfer_syntax_uid)
    except UnreadableInstance as error:
        _quarantine(spool, arrival, str(error), now)
        raise
    _compare(identity, arrival)
    check(identity)
    return _store(spool, arrival, identity, now)


def try_again(spool: Spool, arrival: Arrival, now: datetime) -> ReceivedInstance:
    """Keep what came before and could not be read; raises as `keep`, and puts nothing into quarantine."""
    identity = read_identity(arrival.data_set, arrival.transfer_syntax_uid)
    _compare(identity, arrival)
    return _store(spool, arrival, identity, now)


def _store(spool: Spool, arrival: Arrival, identity: Identity, now: datetime) -> ReceivedInstance:
    return spool.store(arrival.data_set, identity, calling_ae=arrival.calling_ae, peer_ip=arrival.peer_ip, now=now)


def _compare(identity: Identity, arrival: Arrival) -> None:
    """The data set is what the request and the presentation context say (PS3.4 B.2.2, status 0xA9xx)."""
    if identity.sop_class_uid != arrival.context_class_uid:
        raise InputError("the data set's SOPClassUID is not that of its presentation context: the sender must mend it")
    if identity.sop_class_uid != arrival.sop_class_uid:
        raise InputError("the data set's SOPClassUID is not the AffectedSOPClassUID: the sender must mend it")
    if identity.sop_instance_uid != arrival.sop_instance_uid:
        raise InputError("the data set's SOPInstanceUID is not the AffectedSOPInstanceUID: the sender must mend it")


def _quarantine(spool: Spool, arrival: Arrival, reason: str, now: datetime) -> None:
    content = encode_file(
        arrival.data_set,
        sop_class_uid=arrival.sop_class_uid,
        sop_instance_uid=arrival.sop_instance_uid,
        transfer_syntax_uid=arrival.transfer_syntax_uid,
        calling_ae=arrival.calling_ae,
    )
    spool.quarantine(
        content,
        reason,
        calling_ae=arrival.calling_ae,
        peer_ip=arrival.peer_ip,
        transfer_syntax_uid=arrival.transfer_syntax_uid,
        now=now,
    )
