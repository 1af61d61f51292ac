"""Opening an association to a PACS, and saying in one sentence why it did not open."""

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, DestinationRefused, SettingsError
from dicom_node.send.gate import ReactorGate
from dicom_node.settings import SendSettings
from dicom_node.tls import client_context
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAXIMUM_PDU_BYTES = 131072
Handler = tuple[evt.InterventionEvent | evt.NotificationEvent, Callable[..., object]]

# A-ASSOCIATE-RJ: (source, reason) to what an admin does about it (PS3.8 Table 9-21).
REJECTIONS = {
    (1, 2): "it does not support the DICOM application context",
    (1, 3): "it does not know our AE title {calling}: add it there",
    (1, 7): "its AE title is not {called}: correct its ae_title in the settings",
    (2, 2): "it does not support our DICOM protocol version",
    (3, 1): "it is congested for the moment",
    (3, 2): "it has reached its limit of associations",
}
PERMANENT = 1
LISTEN_S = 1.0  # for the word of a PACS that does not like our certificate


@contextmanager
def association(
    destination: Destination,
    calling_ae: str,
    contexts: Sequence[PresentationContext],
    settings: SendSettings,
    handlers: Sequence[Handler] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An established association with at least one accepted context; released at the end, aborted on an exception.

    Parameters
    ----------
    roles : sequence of SCP_SCU_RoleSelectionNegotiation
        To propose (PS3.7 D.3.3.4); none: we are SCU.

    Raises
    ------
    DestinationError
        The PACS cannot be reached, does not answer in time, or is busy.
    DestinationRefused
        It refuses our AE title, its own, or every presentation context.
    SettingsError
        It is to be called by TLS, and the files for that are not there.
    """
    reached: list[Event] = []
    opened = (reached.append, send_at_once, _guard)
    bound: list[evt.EventHandlerType] = [*((evt.EVT_CONN_OPEN, handler) for handler in opened), *handlers]
    link = _entity(calling_ae, contexts, settings).associate(
        destination.host,
        destination.port,
        ae_title=destination.ae_title,
        evt_handlers=bound,
        max_pdu=MAXIMUM_PDU_BYTES,
        ext_neg=list(roles),
        tls_args=_tls(destination, settings),
    )
    if not link.is_established:
        raise _why_not(link, destination, calling_ae, bool(reached), settings)
    try:
        yield link
    except BaseException:
        link.abort()
        raise
    if link.is_established:
        link.release()


def _tls(destination: Destination, settings: SendSettings) -> tuple[ssl.SSLContext, str] | None:
    """What TLS needs, and the name that the PACS's certificate must bear; None for a plain PACS."""
    if not destination.tls:
        return None
    if settings.tls is None:
        raise SettingsError(f"{destination.title} has tls = true, which needs the files of [send.tls]")
    return client_context(settings.tls), destination.tls_name or destination.host


def _entity(calling_ae: str, contexts: Sequence[PresentationContext], settings: SendSettings) -> AE:
    entity = AE(ae_title=calling_ae)
    entity.requested_contexts = list(contexts)
    entity.connection_timeout = settings.connect_timeout_s
    entity.acse_timeout = settings.connect_timeout_s
    entity.dimse_timeout = settings.response_timeout_s
    entity.network_timeout = settings.response_timeout_s
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return entity


def send_at_once(event: Event) -> None:
    """Send at once: otherwise every message waits 40 ms for the peer's delayed acknowledgement."""
    channel = event.assoc.dul.socket
    if channel is not None and channel.socket is not None:
        channel.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _guard(event: Event) -> None:
    """No answer may be lost to the reactor; see ``gate``."""
    event.assoc._reactor_checkpoint = ReactorGate(event.assoc)


def _why_not(
    link: Association, destination: Destination, calling_ae: str, reached: bool, settings: SendSettings
) -> DestinationError:
    place = f"{destination.title} ({destination.ae_title} at {destination.host}:{destination.port})"
    answer = link.acceptor.primitive
    if link.is_rejected and answer is not None:
        reason = REJECTIONS.get((answer.result_source or 0, answer.diagnostic or 0), "it gives no reason")
        kind = DestinationRefused if answer.result == PERMANENT else DestinationError
        reason = reason.format(calling=calling_ae, called=destination.ae_title)
        return kind(f"{place} rejects the association: {reason}")
    if link.rejected_contexts:
        return refused_contexts(destination, link.rejected_contexts)
    trouble = _handshake_trouble(destination, settings)
    if trouble:
        return DestinationError(f"{place}: {trouble}")
    if not reached:
        return DestinationError(f"{place} cannot be reached: check that it runs, its host and port, and the firewall")
    return DestinationError(f"{place} accepts connections but aborts or does not answer an association request in time")


def _handshake_trouble(destination: Destination, settings: SendSettings) -> str:
    """Why TLS did not come about, which pynetdicom does not tell; empty where it does, or is not wanted."""
    tls = _tls(destination, settings)
    if tls is None:
        return ""
    context, name = tls
    limit_s = settings.connect_timeout_s
    try:
        with (
            socket.create_connection((destination.host, destination.port), limit_s) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            connection.settimeout(min(limit_s, LISTEN_S))
            connection.recv(1)  # in TLS 1.3 a server says only now that it does not like our certificate
    except TimeoutError:
        return ""
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"it does not take our certificate, or speaks another TLS ({error.reason})"
    except OSError:
        return ""
    return ""


def refused_contexts(destination: Destination, contexts: Sequence[PresentationContext]) -> DestinationRefused:
    """The error that says which services a PACS does not offer to us."""
    names = sorted({context.abstract_syntax.name for context in contexts if context.abstract_syntax})
    return DestinationRefused(
        f"{destination.title} does not accept {' or '.join(names)} from us: enable it there for our AE title"
    )
