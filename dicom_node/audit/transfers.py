"""Messages about images: received, sent, exported, asked for, seen and changed (PS3.15 A.5.3.3, 4, 6, 7 and 10)."""

from io import BytesIO

from pydicom import Dataset, dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined] # made at import

from dicom_node.audit import codes
from dicom_node.audit.facts import REPORT, Happening, Place
from dicom_node.audit.message import Message, Object, Outcome, Participant


def received(it: Happening) -> Message | None:
    """Images came from a scanner or a PACS; A.5.3.7: C where we had none of them before, R where we had all."""
    titles = it.text("calling_ae") or it.subject.calling_ae
    who = titles or it.subject.peer_ip or "unknown"
    sender = Participant(who, True, (codes.SOURCE,), f"AETITLES={titles}" if titles else "", address=it.subject.peer_ip)
    return Message(
        codes.INSTANCES_TRANSFERRED, "C" if it.count("new") else "R", it.row.at,
        (sender, it.process(codes.DESTINATION)), objects=it.study(it.count("count"), CTImageStorage),
    )  # fmt: skip


def sending(it: Happening) -> Message | None:
    """A result begins to go to a PACS."""
    place = _place(it)
    if place.way == "folder":
        return None  # it is told as an export, once the files are there
    return Message(codes.BEGIN_TRANSFERRING, "E", it.row.at, _both_ends(it, place), objects=it.study(it.subject.images))


def sent(it: Happening) -> Message | None:
    """A result is at its destination. What the receiver had before we do not know: R (A.5.3.7)."""
    place, objects = _place(it), it.study(it.subject.images)
    if place.way != "folder":
        return Message(codes.INSTANCES_TRANSFERRED, "R", it.row.at, _both_ends(it, place), objects=objects)
    medium = Participant(place.user_id, False, (codes.DESTINATION_MEDIA,), address=place.address, media=codes.MEDIA_URI)
    exporter = it.process(codes.SOURCE, requests=True)
    return Message(codes.EXPORT, "R", it.row.at, (exporter, medium), objects=objects)


def not_sent(it: Happening) -> Message | None:
    """A result did not get to its destination: it is tried again, or given up until a person acts."""
    reason = it.text("reason")
    if not reason:
        return None  # it is only queued
    outcome = Outcome.SERIOUS if it.row.event == "delivery.parked" else Outcome.MINOR
    place = _place(it)
    event = codes.EXPORT if place.way == "folder" else codes.INSTANCES_TRANSFERRED
    return Message(
        event, "R", it.row.at, _both_ends(it, place), objects=it.study(it.subject.images), outcome=outcome,
        description=reason,
    )  # fmt: skip


def asked_for(it: Happening) -> Message | None:
    """A person had a PACS asked for a series. Of the keys only its UIDs are told, none of the patient's."""
    source = it.here.places.get(it.text("source")) or Place("pacs", it.text("source") or "unknown", "")
    responder = Participant(source.user_id, False, (codes.DESTINATION,), address=source.address)
    asking = it.process(codes.SOURCE, requests=not it.person)
    others = (Participant(it.person, True),) if it.person else ()
    return Message(codes.QUERY, "E", it.row.at, (asking, responder, *others), objects=(_query(it, source),))


def seen(it: Happening) -> Message | None:
    """Somebody looked at images, or at whose they are."""
    return _accessed(it, "R")


def made(it: Happening) -> Message | None:
    """Thin slices were made of a study's."""
    return _accessed(it, "C")


def decided(it: Happening) -> Message | None:
    """Somebody decided about a result."""
    return _accessed(it, "U")


def removed(it: Happening) -> Message | None:
    """Files of a study were removed from this node; the study as such is not this node's to delete (A.5.3.8)."""
    return _accessed(it, "D")


def exported(it: Happening) -> Message | None:
    """Somebody took files along; those that could not be read are of no study that we know."""
    medium = Participant(it.text("to") or "download", False, (codes.DESTINATION_MEDIA,), media=codes.MEDIA_URI)
    return Message(
        codes.EXPORT, "R", it.row.at, (*it.actors(codes.SOURCE), medium), objects=it.study(it.count("instances")),
        description=it.text("reason"),
    )  # fmt: skip


def _accessed(it: Happening, action: str) -> Message | None:
    objects = it.study()
    if not objects:
        return None
    return Message(
        codes.INSTANCES_ACCESSED, action, it.row.at, it.actors(), objects=objects, description=it.text("reason")
    )


def _place(it: Happening) -> Place:
    name = it.text("destination") or it.subject.destination
    return it.here.places.get(name) or Place("pacs", name or "unknown", "")


def _both_ends(it: Happening, place: Place) -> tuple[Participant, ...]:
    receiver = Participant(place.user_id, False, (codes.DESTINATION,), address=place.address)
    return (it.process(codes.SOURCE, requests=True), receiver)


def _query(it: Happening, source: Place) -> Object:
    """A.5.3.10: the identifier of a C-FIND as it is encoded, or the address that QIDO-RS asks."""
    if source.way == "dicomweb":
        asked = f"/series?SeriesInstanceUID={it.row.subject}"
        return Object(f"{source.address}{asked}", codes.URI, REPORT, query=asked.encode())
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.SeriesInstanceUID = "SERIES", it.row.subject
    keys.StudyInstanceUID = it.subject.study_uid
    encoded = BytesIO()
    dcmwrite(encoded, keys, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return Object(
        StudyRootQueryRetrieveInformationModelFind, codes.SOP_CLASS_UID, REPORT, query=encoded.getvalue(),
        details=(("TransferSyntax", ExplicitVRLittleEndian),),
    )  # fmt: skip
