"""Every kind of audit message: the schema of PS3.15 A.5.1, the tables of A.5.3, and the codes of PS3.16."""

import base64
import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from pydicom import Dataset, dcmread
from pydicom.sr._concepts_dict import concepts

from dicom_node.audit import codes, events
from dicom_node.audit.codes import Code
from dicom_node.audit.facts import Happening, Here, Place
from dicom_node.audit.message import to_xml
from dicom_node.ledger.chain import AuditRow
from dicom_node.ledger.subjects import Subject
from tests.judges import schema_errors

AT = datetime(2026, 11, 21, 23, 59, 58, 123456, tzinfo=UTC)
PLACES = {
    "main": Place("pacs", "PACS", "10.0.0.9"),
    "web": Place("dicomweb", "https://pacs.example.org/dicom-web", "https://pacs.example.org/dicom-web"),
    "share": Place("folder", "file:///mnt/research", "file:///mnt/research"),
}
HERE = Here("THINSLICE", "node7", PLACES)
STUDY = Subject("1.2.3", "1.2.3.4", "CT1", "10.0.0.7", "2.25.99", "main", 13)
UGLY = "<script>\x00\x1b ]]> \ud800 ünïcode " + "long " * 2000

Detail = dict[str, Any]
OWNER = "node7/boot/4711/1.00"
# Of each event: what its row says besides, its subject, and who acted.
ROWS: dict[str, tuple[Detail, str, str]] = {
    "process.started": ({"owner": OWNER, "role": "node"}, "process", "node"),
    "process.stopped": ({"owner": OWNER, "role": "clock"}, "process", "clock"),
    "instances.received": ({"count": 13, "new": 13, "calling_ae": ["CT1"]}, "series:1", "node"),
    "instances.duplicate": ({"count": 13, "new": 0, "calling_ae": ["CT1", "CT2"]}, "series:1", "node"),
    "pull.begun": ({"source": "main", "way": "get", "images": 13}, "1.2.3.4", "admin root"),
    "delivery.sending": ({"destination": "main"}, "delivery:1", "node"),
    "delivery.sent": ({"destination": "web", "reason": ""}, "delivery:1", "worker"),
    "delivery.pending": ({"destination": "main", "reason": UGLY}, "delivery:1", "node"),
    "delivery.expired": ({"reason": "the sender died", "owner": OWNER}, "delivery:1", "clock"),
    "delivery.parked": ({"destination": "share", "reason": "the PACS refused"}, "delivery:1", "node"),
    "job.restored": ({"reason": "", "fence": 1}, "job:1", "node"),
    "job.released": ({"reason": "looked at it"}, "job:1", "user ada"),
    "job.rejected": ({"reason": UGLY}, "job:1", "admin root"),
    "job.purged": ({"reason": "kept long enough"}, "job:1", "clock"),
    "series.purged": ({"reason": "kept long enough"}, "series:1", "clock"),
    "images.viewed": ({"peer_ip": "10.0.0.5"}, "series:1", "user ada"),
    "patient.viewed": ({"reason": "asked by the ward"}, "series:1", "user ada"),
    "feedback.accepted": ({"reason": ""}, "job:1", "user ada"),
    "result.downloaded": ({"instances": 13, "to": "a file", "reason": "for a second look"}, "job:1", "user ada"),
    "quarantine.exported": ({"digest": "ab", "reason": "what is it"}, "quarantine:ab", "admin root"),
    "session.ended": ({"peer_ip": "10.0.0.5"}, "user:vera", "user ada"),
    "token.added": ({"user": "vera", "name": "script"}, "token:1", "user ada"),
    "token.revoked": ({"user": "vera", "name": "script"}, "token:1", "user ada"),
    "session.opened": ({"peer_ip": "10.0.0.5"}, "user:ada", "console"),
    "session.closed": ({"peer_ip": "::1"}, "user:ada", "console"),
    "session.refused": ({"peer_ip": "10.0.0.5", "reason": "wrong password"}, "user:unknown", "console"),
    "session.throttled": ({"reason": "too many failed logins"}, "address:10.0.0.5", "console"),
    "association.refused": ({"ae_title": UGLY, "reason": "unknown AE title", "times": 7}, "10.0.0.66", "node"),
    "user.added": ({"role": "viewer"}, "user:vera", "admin root"),
    "user.password": ({}, "user:vera", "user ada"),
    "user.disabled": ({}, "user:vera", "user ada"),
    "user.enabled": ({}, "user:vera", "user ada"),
    "user.role.operator": ({}, "user:vera", "user ada"),
    "audit.verified": ({"rows": 7}, "audit", "user ada"),
    "audit.exported": ({"first": 1, "last": 7}, "audit", "admin root"),
    "audit.broken": ({"row": 3, "reason": "row 3 was changed"}, "audit", "admin root"),
}
SOURCE, DESTINATION = "110153", "110152"
# PS3.15 A.5.3: actions that an event may have, and the roles of its active participants that must be there.
TABLES: dict[Code, tuple[str, set[str]]] = {
    codes.APPLICATION_ACTIVITY: ("E", {"110150"}),
    codes.AUDIT_LOG_USED: ("R", set()),
    codes.BEGIN_TRANSFERRING: ("E", {SOURCE, DESTINATION}),
    codes.EXPORT: ("R", {SOURCE}),
    codes.INSTANCES_ACCESSED: ("CRUD", set()),
    codes.INSTANCES_TRANSFERRED: ("CRU", {SOURCE, DESTINATION}),
    codes.QUERY: ("E", {SOURCE, DESTINATION}),
    codes.SECURITY_ALERT: ("E", set()),
    codes.USER_AUTHENTICATION: ("E", set()),
}
TYPED = (codes.APPLICATION_ACTIVITY, codes.SECURITY_ALERT, codes.USER_AUTHENTICATION)
ABOUT_A_STUDY = (codes.BEGIN_TRANSFERRING, codes.INSTANCES_ACCESSED, codes.INSTANCES_TRANSFERRED, codes.EXPORT)


def happening(event: str, subject: Subject = STUDY, **more: Any) -> Happening:
    detail, about, actor = ROWS[event]
    text = json.dumps({**detail, **more})
    return Happening(AuditRow(17, AT, actor, event, about, text, "", ""), subject, HERE)


def xml_of(event: str, subject: Subject = STUDY, **more: Any) -> Xml.Element:
    message = events.message_of(happening(event, subject, **more))
    assert message
    return Xml.fromstring(to_xml(message, "THINSLICE", "site"))  # noqa: S314 # our own


def only(root: Xml.Element, path: str) -> Xml.Element:
    (found,) = root.findall(path)
    return found


def test_every_kind_is_by_the_schema() -> None:
    assert {name if name in events.MAKERS else name.rpartition(".")[0] for name in ROWS} == set(events.MAKERS)
    written = [to_xml(message, "THINSLICE") for name in ROWS if (message := events.message_of(happening(name)))]
    assert len(written) == len(ROWS)
    assert schema_errors(written) == []
    assert all(len(one) < 16_000 and b"\n" not in one for one in written)


def test_the_schema_faults_what_is_not_by_it() -> None:
    good = to_xml(events.message_of(happening("job.released")), "THINSLICE")  # type: ignore[arg-type]
    for old, new in ((b"UserID=", b"UserId="), (b'csd-code="110103"', b'code="110103"'), (b'="U"', b'="X"')):
        assert old in good
        assert schema_errors([good.replace(old, new, 1)])


@pytest.mark.parametrize("event", ROWS)
def test_it_is_by_the_tables_of_its_event(event: str) -> None:
    message = events.message_of(happening(event))
    assert message
    actions, roles = TABLES[message.event]
    assert message.action in actions
    assert roles <= {role.value for participant in message.participants for role in participant.roles}
    assert sum(participant.is_requestor for participant in message.participants) <= 1
    assert bool(message.types) == (message.event in TYPED)
    if message.event in ABOUT_A_STUDY:
        assert [item.id_type for item in message.objects] == [codes.STUDY_UID]
    if message.event == codes.SECURITY_ALERT:
        assert [kind for item in message.objects for kind, _ in item.details] == ["Alert Description"]
    if message.event == codes.USER_AUTHENTICATION:
        assert message.participants[0].address


def test_codes_are_those_of_the_standard() -> None:
    known = {value: meaning for found in concepts["DCM"].values() for value, (meaning, _) in found.items()}
    ours = [code for code in vars(codes).values() if isinstance(code, Code) and code.scheme == "DCM"]
    assert {code.value: code.meaning for code in ours} == {code.value: known[code.value] for code in ours}


def test_a_message_says_who_when_and_of_which_study() -> None:
    root = xml_of("job.released")
    event = only(root, "EventIdentification")
    assert event.attrib["EventDateTime"] == "2026-11-21T23:59:58.123Z"
    person, process = root.findall("ActiveParticipant")
    assert (person.attrib["UserID"], person.attrib["UserIsRequestor"]) == ("ada@node7", "true")
    assert process.attrib["AlternativeUserID"] == "AETITLES=THINSLICE"
    study = only(root, "ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == "1.2.3"
    details = {
        item.attrib["type"]: base64.b64decode(item.attrib["value"]) for item in study.iter("ParticipantObjectDetail")
    }
    assert details == {"SeriesInstanceUID": b"1.2.3.4", "DerivedSeriesInstanceUID": b"2.25.99"}
    source = only(root, "AuditSourceIdentification")
    assert source.attrib == {"AuditEnterpriseSiteID": "site", "AuditSourceID": "THINSLICE"}


def test_what_came_counts_its_images() -> None:
    root = xml_of("instances.received")
    (sop_class,) = root.iter("SOPClass")
    assert sop_class.attrib == {"UID": "1.2.840.10008.5.1.4.1.1.2", "NumberOfInstances": "13"}
    assert only(root, "EventIdentification").attrib["EventActionCode"] == "C"
    again = xml_of("instances.duplicate")
    assert only(again, "EventIdentification").attrib["EventActionCode"] == "R"
    assert again.findall("ActiveParticipant")[0].attrib["AlternativeUserID"] == "AETITLES=CT1;CT2"


def test_a_folder_is_an_export_to_a_medium() -> None:
    assert events.message_of(happening("delivery.sending", destination="share")) is None
    root = xml_of("delivery.sent", destination="share")
    assert only(root, "EventIdentification/EventID").attrib["csd-code"] == "110106"
    medium = only(root, "ActiveParticipant/MediaIdentifier/..")
    assert (medium.attrib["UserID"], medium.attrib["NetworkAccessPointTypeCode"]) == ("file:///mnt/research", "5")


def test_a_failure_says_how_bad_and_why() -> None:
    parked = only(xml_of("delivery.parked"), "EventIdentification")
    assert (parked.attrib["EventOutcomeIndicator"], parked.findtext("EventOutcomeDescription")) == (
        "8",
        "the PACS refused",
    )
    assert only(xml_of("audit.broken"), "EventIdentification").attrib["EventOutcomeIndicator"] == "12"
    assert events.message_of(happening("delivery.pending", reason="")) is None


def test_a_query_holds_its_keys_as_they_are_sent() -> None:
    root = xml_of("pull.begun")
    query = base64.b64decode(root.findtext(".//ParticipantObjectQuery") or "")
    keys: Dataset = dcmread(BytesIO(query), force=True)
    assert (keys.QueryRetrieveLevel, keys.SeriesInstanceUID) == ("SERIES", "1.2.3.4")
    web = xml_of("pull.begun", source="web")
    assert base64.b64decode(web.findtext(".//ParticipantObjectQuery") or "") == b"/series?SeriesInstanceUID=1.2.3.4"


def test_a_process_is_named_as_its_leases_name_it() -> None:
    participant = only(xml_of("process.started"), "ActiveParticipant")
    assert participant.attrib["UserID"] == OWNER
    assert participant.attrib["NetworkAccessPointID"] == "node7"


def test_of_a_study_that_the_ledger_forgot_nothing_is_said_but_the_rest() -> None:
    assert events.message_of(happening("job.released", Subject())) is None
    message = events.message_of(happening("instances.received", Subject()))
    assert message
    assert schema_errors([to_xml(message, "THINSLICE")]) == []
    assert events.message_of(Happening(AuditRow(1, AT, "a", "job.queued", "job:1", "{}", "", ""), STUDY, HERE)) is None
