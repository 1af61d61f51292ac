"""An audit message and its XML, by the schema of PS3.15 A.5.1."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from xml.etree import ElementTree as Xml

from dicom_node.audit.codes import Code

# What XML 1.0 cannot hold (2.2), however it is written.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Words of others, as a PACS's reason, are cut: a message stays far below the 32 KiB that every receiver takes (A.6).
LONGEST_TEXT = 1000
APPLICATION_SERVER = "4"  # A.5.1.2.1


class Outcome(StrEnum):
    """A.5.2: how it ended."""

    SUCCESS = "0"
    MINOR = "4"
    SERIOUS = "8"
    MAJOR = "12"


@dataclass(frozen=True)
class Participant:
    """Who took part: a person, a process, or a medium.

    Attributes
    ----------
    address : str
        IP address, name or URI of where it is.
    media : Code or None
        What kind of medium it is.
    """

    user_id: str
    is_requestor: bool = False
    roles: tuple[Code, ...] = ()
    alternative_id: str = ""
    name: str = ""
    address: str = ""
    media: Code | None = None


@dataclass(frozen=True)
class Object:
    """What it was about.

    Attributes
    ----------
    role : str
        ParticipantObjectTypeCodeRole (A.5.1.2.2).
    name : str
        The schema wants a name or a query of every object.
    details : tuple of pairs
        Type and value.
    instances : int or None
        How many images, of the class ``sop_class`` where that is known.
    """

    id: str
    id_type: Code
    role: str
    name: str = ""
    query: bytes = b""
    details: tuple[tuple[str, str], ...] = ()
    instances: int | None = None
    sop_class: str = ""


@dataclass(frozen=True)
class Message:
    """One audit message; ``types`` are of its event, ``action`` is C, R, U, D or E."""

    event: Code
    action: str
    at: datetime
    participants: tuple[Participant, ...]
    types: tuple[Code, ...] = ()
    objects: tuple[Object, ...] = ()
    outcome: Outcome = Outcome.SUCCESS
    description: str = ""


def to_xml(message: Message, source_id: str, site: str = "") -> bytes:
    """The message in UTF-8 on one line, without an XML declaration."""
    root = Xml.Element("AuditMessage")
    moment = message.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = _add(
        root, "EventIdentification", EventActionCode=message.action, EventDateTime=moment,
        EventOutcomeIndicator=message.outcome.value,
    )  # fmt: skip
    _add_code(event, "EventID", message.event)
    for code in message.types:
        _add_code(event, "EventTypeCode", code)
    if message.description:
        _add(event, "EventOutcomeDescription").text = _plain(message.description)
    for participant in message.participants:
        _add_participant(root, participant)
    source = _add(root, "AuditSourceIdentification", AuditEnterpriseSiteID=site, AuditSourceID=source_id)
    _add(source, "AuditSourceTypeCode", **{"csd-code": APPLICATION_SERVER})
    for one in message.objects:
        _add_object(root, one)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=False))


def _add(parent: Xml.Element, name: str, **attributes: str) -> Xml.Element:
    """A child with those attributes that are not empty."""
    return Xml.SubElement(parent, name, {key: _plain(value) for key, value in attributes.items() if value})


def _add_code(parent: Xml.Element, name: str, code: Code) -> None:
    _add(parent, name, **{"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _add_participant(root: Xml.Element, participant: Participant) -> None:
    child = _add(
        root, "ActiveParticipant", UserID=participant.user_id, AlternativeUserID=participant.alternative_id,
        UserName=participant.name, UserIsRequestor=str(participant.is_requestor).lower(),
        NetworkAccessPointID=participant.address, NetworkAccessPointTypeCode=_kind(participant.address),
    )  # fmt: skip
    for role in participant.roles:
        _add_code(child, "RoleIDCode", role)
    if participant.media:
        _add_code(_add(child, "MediaIdentifier"), "MediaType", participant.media)


def _add_object(root: Xml.Element, one: Object) -> None:
    child = _add(
        root, "ParticipantObjectIdentification", ParticipantObjectID=one.id, ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole=one.role,
    )  # fmt: skip
    _add_code(child, "ParticipantObjectIDTypeCode", one.id_type)
    if one.query:
        _add(child, "ParticipantObjectQuery").text = base64.b64encode(one.query).decode()
    else:
        _add(child, "ParticipantObjectName").text = _plain(one.name or one.id)
    for kind, value in one.details:
        _add(child, "ParticipantObjectDetail", type=kind, value=base64.b64encode(_plain(value).encode()).decode())
    if one.instances is not None:
        description = _add(child, "ParticipantObjectDescription")
        _add(description, "SOPClass", UID=one.sop_class, NumberOfInstances=str(one.instances))


def _plain(text: str) -> str:
    """Text that XML can hold, on one line, and not too long."""
    return UNWRITABLE.sub("\ufffd", " ".join(text.split()))[:LONGEST_TEXT]


def _kind(address: str) -> str:
    """NetworkAccessPointTypeCode: 1 for a name, 2 for an IP address, 5 for a URI."""
    if not address or "://" in address:
        return "5" if address else ""
    try:
        ip_address(address)
    except ValueError:
        return "1"
    return "2"
