"""A node that calls somebody, and what it takes to make something amiss."""

from datetime import UTC, datetime
from pathlib import Path

from dicom_node.ledger import jobs, notices, workers
from dicom_node.ledger.states import JobState
from tests.certificates import Certificates
from tests.receivers import Hook
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.nodes import open_at
from worker.around import look_around
from worker.notices.telling import tell
from worker.troubles import troubles_of
from worker.wiring import Node

SECRET = "the secret of the hook"
PLANTED = "DOE^JOHN"
OWN = "host/boot/1/1"


def node_at(folder: Path, hook: Hook | None, more: str = "", blocks: str = "", **lines: str) -> Node:
    """A node that works, calls a webhook, and has nothing amiss."""
    (folder / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    block = f'[[notices.webhook]]\nname = "chat"\nurl = "{hook.url}"\nsecret_file = "secret"' if hook else ""
    lines["notices"] = f"look_s = 0.05\n{more}"
    lines.setdefault("console", 'public_url = "https://node.example.org"')
    node = open_at(folder, "", f"{block}\n{blocks}", **lines)
    workers.register(node.database, OWN, "node")
    return node


def note(node: Node) -> None:
    """Note what is amiss."""
    notices.note(node.database, [item.amiss for item in troubles_of(node, look_around(node)) if item.is_told])


def look(node: Node) -> None:
    """Note what is amiss and have every channel tell it."""
    note(node)
    for channel in node.settings.notices.channels:
        tell(node, channel, datetime.now(UTC))


def fail_job(node: Node, key: str, reason: str = "our mistake") -> None:
    """A job of a series of its own that failed."""
    claim = claimed(node.database, queue(node.database, key, f"2.25.{ord(key)}"))
    jobs.end(node.database, claim, JobState.FAILED, reason)


def mail_block(port: int, certificates: Certificates, **changes: str) -> str:
    """Settings of an e-mail channel."""
    given = {
        "name": "on-call", "host": "127.0.0.1", "tls": "starttls", "username": "node", "secret_file": "secret",
        "sender": "node@example.org", "authorities": str(certificates.of("PACS").authorities), **changes,
    }  # fmt: skip
    lines = "\n".join(f'{key} = "{value}"' for key, value in given.items() if value)
    return f'[[notices.email]]\n{lines}\nport = {port}\nrecipients = ["a@example.org", "b@example.org"]'
