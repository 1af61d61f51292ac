"""What messages are made of: a row of the trail with what it is about, and where this node and its partners are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dicom_node.audit.codes import STUDY_UID, Code
from dicom_node.audit.message import Object, Participant
from dicom_node.ledger.chain import AuditRow
from dicom_node.ledger.subjects import Subject

# Who acts begins with one of these where it is a person: on the console, or at the command line.
PERSONS = ("user ", "admin ")
REPORT = "3"  # ParticipantObjectTypeCodeRole of a study


@dataclass(frozen=True)
class Place:
    """A destination or a source of the settings: ``way`` is pacs, dicomweb or folder."""

    way: str
    user_id: str
    address: str


@dataclass(frozen=True)
class Here:
    """This node: its AE title, this machine's name, and the places it sends to and pulls from, by name."""

    ae_title: str
    host: str
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Happening:
    """A row of the trail, what it is about, and where it happened."""

    row: AuditRow
    subject: Subject
    here: Here

    @cached_property
    def detail(self) -> Mapping[str, Any]:
        """What the row says besides."""
        found = json.loads(self.row.detail)
        return found if isinstance(found, dict) else {}

    def text(self, key: str) -> str:
        """A part of the detail as text; empty where it says nothing of it."""
        value = self.detail.get(key, "")
        return ";".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")

    def count(self, key: str) -> int | None:
        """A part of the detail as a count; None where it says nothing of it."""
        value = self.detail.get(key)
        return value if isinstance(value, int) else None

    @property
    def named(self) -> str:
        """What the row is about, without the kind of it: the name of a user, the address of a caller."""
        return self.row.subject.partition(":")[2] or self.row.subject

    @property
    def person(self) -> str:
        """The person who acted, as UserID (A.5.2.1); empty where it was a process alone."""
        actor = self.row.actor
        return next((self.login(actor.removeprefix(kind)) for kind in PERSONS if actor.startswith(kind)), "")

    def login(self, name: str) -> str:
        """A user of this node as UserID."""
        return f"{name}@{self.here.host}"

    def process(self, *roles: Code, requests: bool = False) -> Participant:
        """The process of ours that acted, as its rows call it."""
        name = "thinslice" if self.person else self.row.actor
        return Participant(
            self.login(name or "thinslice"),
            requests,
            roles,
            f"AETITLES={self.here.ae_title}",
            "thinslice",
            self.here.host,
        )

    def actors(self, *roles: Code) -> tuple[Participant, ...]:
        """Who acted: the person where it was one, and the process."""
        if not self.person:
            return (self.process(*roles, requests=True),)
        name = self.person.partition("@")[0]
        person = Participant(self.person, True, roles, name=name, address=self.text("peer_ip"))
        return (person, self.process(*roles))

    def study(self, instances: int | None = None, sop_class: str = "") -> tuple[Object, ...]:
        """The study it was about, with the series of it; none where the ledger has forgotten it."""
        known = self.subject
        if not known.study_uid:
            return ()
        uids = (("SeriesInstanceUID", known.series_uid), ("DerivedSeriesInstanceUID", known.derived_series_uid))
        details = tuple((kind, uid) for kind, uid in uids if uid)
        return (
            Object(
                known.study_uid, STUDY_UID, REPORT, self.row.subject, details=details, instances=instances,
                sop_class=sop_class,
            ),
        )  # fmt: skip
