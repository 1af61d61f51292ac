"""What a message says: a few notices, for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from dicom_node.ledger.notices import Telling

VERSION = 1
SAID = {"new": "new", "again": "again", "still": "still so", "over": "over", "trial": "trial"}


@dataclass(frozen=True)
class Told:
    """One notice as it is told. ``phase``: new, again (it happened anew), still (it lasts), over, or trial."""

    id: str
    kind: str
    phase: str
    level: str
    subject: str
    sentence: str
    since: datetime
    over_at: datetime | None
    link: str | None


@dataclass(frozen=True)
class Message:
    """Notices that are sent together."""

    node: str
    at: datetime
    told: tuple[Told, ...]

    @property
    def summary(self) -> str:
        """How many of which phase: ``2 new, 1 over``."""
        counts = Counter(SAID[item.phase] for item in self.told)
        return ", ".join(f"{counts[words]} {words}" for words in SAID.values() if counts[words])

    @property
    def about(self) -> str:
        """The kinds by phase: ``new: job failed, disk full; over: paused``."""
        kinds = {phase: [item.kind for item in self.told if item.phase == phase] for phase in SAID}
        return "; ".join(
            f"{SAID[phase]}: {', '.join(dict.fromkeys(found)).replace('_', ' ')}"
            for phase, found in kinds.items()
            if found
        )

    @property
    def title(self) -> str:
        """One line."""
        return f"thinslice {self.node}: {self.summary}"

    @property
    def text(self) -> str:
        """For people: a line for each notice, and what follows."""
        return "\n".join([self.title, *(_line(item) for item in self.told)])

    def as_json(self) -> dict[str, Any]:
        """For programs; chat systems show ``text``."""
        told = [{**vars(item), "since": _stamp(item.since), "over_at": _stamp(item.over_at)} for item in self.told]
        return {
            "version": VERSION, "node": self.node, "sent_at": _stamp(self.at), "text": self.text, "notices": told,
        }  # fmt: skip


def message(node: str, public_url: str, at: datetime, tellings: Sequence[Telling]) -> Message:
    """What is to be told, with links where people can reach the console by a URL."""
    return Message(node, at, tuple(_told(item, public_url) for item in tellings))


def trial(node: str, public_url: str, at: datetime) -> Message:
    """A message that tells of nothing."""
    sentence = "This is a trial: nothing is amiss."
    link = urljoin(public_url, "/") if public_url else None
    return Message(node, at, (Told("trial", "trial", "trial", "warn", "", sentence, at, None, link),))


def _told(item: Telling, public_url: str) -> Told:
    notice = item.notice
    link = urljoin(public_url, notice.link) if public_url else None
    words = (notice.kind, item.phase, notice.level, notice.subject, notice.sentence)
    return Told(item.id, *words, notice.since, notice.over_at, link)


def _line(item: Told) -> str:
    since = "" if item.phase == "trial" else f" (since {_plain(item.since)})"
    if item.over_at is not None:
        since = f" (from {_plain(item.since)} to {_plain(item.over_at)})"
    return f"- {SAID[item.phase]}: {item.sentence}{since}{f' {item.link}' if item.link else ''}"


def _plain(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
