"""What the page of the audit trail is asked for."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from dicom_node.errors import InputError
from dicom_node.ledger.browse import AuditFilter

LONGEST = 160


def audit_filter(given: Mapping[str, str]) -> AuditFilter:
    """What a form or an address asks for; days and moments are in UTC, and a last day is meant whole. InputError."""
    event, actor, subject = (given.get(key, "").strip()[:LONGEST] for key in ("event", "actor", "subject"))
    return AuditFilter(event, actor, subject, _moment(given, "since"), _moment(given, "until"))


def as_query(given: Mapping[str, str], **more: object) -> str:
    """The same question again, as the end of an address."""
    keys = ("event", "actor", "subject", "since", "until")
    return urlencode({**{key: given[key].strip() for key in keys if given.get(key, "").strip()}, **more})


def _moment(given: Mapping[str, str], key: str) -> datetime | None:
    text = given.get(key, "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment + timedelta(days=1) if key == "until" and len(text) == len("2026-11-21") else moment
    except (ValueError, OverflowError) as error:
        raise InputError(f"{key} is a day or a moment in UTC: 2026-11-21 or 2026-11-21T14:30") from error
