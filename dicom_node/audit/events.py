"""Which rows of the audit trail become which audit message (PS3.15 A.5.3). Rows that are not named here stay here."""

from collections.abc import Callable, Mapping

from dicom_node.audit import codes, transfers
from dicom_node.audit.codes import Code
from dicom_node.audit.facts import Happening
from dicom_node.audit.message import Message, Object, Outcome, Participant

Make = Callable[[Happening], Message | None]

SECURITY_RESOURCE = "13"
TRAIL_URI = "thinslice:audit"


def message_of(it: Happening) -> Message | None:
    """The message that a row becomes; None for one that is of this node alone."""
    event = it.row.event
    make = MAKERS.get(event) or MAKERS.get(event.rpartition(".")[0])  # user.role.viewer is a user.role
    return make(it) if make else None


def _activity(kind: Code) -> Make:
    def make(it: Happening) -> Message:
        """A.5.3.1: one of our processes began or ended; named as leases and logs name it, with its process id."""
        title = f"AETITLES={it.here.ae_title}"
        host = it.text("owner").partition("/")[0] or it.here.host
        process = Participant(
            it.text("owner") or it.row.actor, False, (codes.APPLICATION,), title, f"thinslice {it.text('role')}", host
        )
        return Message(codes.APPLICATION_ACTIVITY, "E", it.row.at, (process,), (kind,))

    return make


def _login(kind: Code, outcome: Outcome = Outcome.SUCCESS) -> Make:
    def make(it: Happening) -> Message:
        """A.5.3.12: somebody came in, was refused, or left."""
        address = it.text("peer_ip") or it.here.host
        by_themselves = it.person in ("", it.login(it.named))
        person = Participant(it.login(it.named), by_themselves, name=it.named, address=address)
        others = (it.process(),) if by_themselves else it.actors()
        return Message(
            codes.USER_AUTHENTICATION, "E", it.row.at, (person, *others), (kind,), outcome=outcome,
            description=it.text("reason"),
        )  # fmt: skip

    return make


def _log_used(it: Happening) -> Message:
    """A.5.3.2: somebody followed the trail, or took a copy of it."""
    return Message(codes.AUDIT_LOG_USED, "R", it.row.at, it.actors(), objects=(_trail(),))


def _alert(kind: Code, outcome: Outcome, told: str, about: Callable[[Happening], Object]) -> Make:
    """A.5.3.11; ``told`` is the nature of the alert."""

    def make(it: Happening) -> Message:
        words = ": ".join(filter(None, [told, it.text("reason") or it.row.event.partition("user.role.")[2]]))
        words += f" ({it.text('times')} times)" if (it.count("times") or 0) > 1 else ""
        subject = about(it)
        described = Object(
            subject.id, subject.id_type, SECURITY_RESOURCE, subject.name, details=(("Alert Description", words),)
        )
        participants = (*it.actors(), *_performing(it))
        return Message(
            codes.SECURITY_ALERT, "E", it.row.at, participants, (kind,), (described,), outcome, description=words
        )

    return make


def _performing(it: Happening) -> tuple[Participant, ...]:
    """Who did what the alert is about, where that is somebody outside."""
    if it.row.event not in ("association.refused", "session.throttled"):
        return ()
    title = it.text("ae_title")
    return (Participant(title or it.named, False, (), f"AETITLES={title}" if title else "", address=it.named),)


def _node(it: Happening) -> Object:
    return Object(it.named, codes.NODE_ID, SECURITY_RESOURCE)


def _user(it: Happening) -> Object:
    name = it.text("user") or it.named
    return Object(it.login(name), codes.USER_IDENTIFIER, SECURITY_RESOURCE, name)


def _trail(_it: Happening | None = None) -> Object:
    return Object(TRAIL_URI, codes.URI, SECURITY_RESOURCE, "Security Audit Log")


def _user_alert(kind: Code, told: str) -> Make:
    return _alert(kind, Outcome.SUCCESS, told, _user)


MAKERS: Mapping[str, Make] = {
    "process.started": _activity(codes.APPLICATION_START),
    "process.stopped": _activity(codes.APPLICATION_STOP),
    "instances.received": transfers.received,
    "instances.duplicate": transfers.received,
    "pull.begun": transfers.asked_for,
    "delivery.sending": transfers.sending,
    "delivery.sent": transfers.sent,
    "delivery.pending": transfers.not_sent,
    "delivery.expired": transfers.not_sent,
    "delivery.parked": transfers.not_sent,
    "job.restored": transfers.made,
    "job.released": transfers.decided,
    "job.rejected": transfers.decided,
    "job.purged": transfers.removed,
    "series.purged": transfers.removed,
    "images.viewed": transfers.seen,
    "patient.viewed": transfers.seen,
    "feedback": transfers.decided,
    "result.downloaded": transfers.exported,
    "quarantine.exported": transfers.exported,
    "session.opened": _login(codes.LOGIN),
    "session.closed": _login(codes.LOGOUT),
    "session.ended": _login(codes.LOGOUT),
    "session.refused": _login(codes.LOGIN, Outcome.MINOR),
    "session.throttled": _alert(
        codes.AUTHENTICATION_DECISION, Outcome.SERIOUS, "logins are refused for a while", _node
    ),
    "association.refused": _alert(codes.NODE_AUTHENTICATION, Outcome.MINOR, "an association was refused", _node),
    "user.added": _user_alert(codes.USER_CHANGED, "a user was added"),
    "user.password": _user_alert(codes.USER_CHANGED, "a password was changed"),
    "user.disabled": _user_alert(codes.USER_CHANGED, "a user is not let in any more"),
    "user.enabled": _user_alert(codes.USER_CHANGED, "a user is let in again"),
    "user.role": _user_alert(codes.ROLES_CHANGED, "a user's role was changed"),
    "token.added": _user_alert(codes.USER_CHANGED, "a token for programs was made"),
    "token.revoked": _user_alert(codes.USER_CHANGED, "a token for programs was revoked"),
    "audit.verified": _log_used,
    "audit.exported": _log_used,
    "audit.broken": _alert(codes.RESTRICTED_FUNCTION, Outcome.MAJOR, "the audit trail is broken", _trail),
}
