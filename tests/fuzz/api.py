"""Ask the console's API what nobody would ask, by its own description: ``make fuzz-api SECONDS=300``.

schemathesis reads the description and sends what it allows and what it forbids, as a viewer, an operator, an admin and
nobody, to a real console over a ledger with rows. It complains of answers with status 5xx, of those that are not as
described, of what is wrong and taken, and of what is right and refused. Exit code 1 when it found something.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.ledger import circuits, commitment_requests, jobs, refusals, users, workers
from dicom_node.ledger.users import Role
from dicom_node.records import Refusal
from tests.unit.dicom_node.ledger.rows import arrive, claimed, queue, result
from tests.unit.worker.nodes import open_at
from worker.console import accounts, openapi
from worker.console.accounts import make_token
from worker.console.api_doors import API
from worker.console.serving import ConsoleServer
from worker.wiring import Node

ST = Path(sys.executable).with_name("st")
WHO = ("viewer", "operator", "admin", "nobody")


@contextmanager
def console(folder: Path) -> Iterator[tuple[Node, ConsoleServer]]:
    """A console over a ledger with a row of each kind."""
    pacs = '[[send.pacs]]\nname = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1'
    node = open_at(folder, console=f'port = 0\npreviews = "{folder}/previews"', blocks=pacs)
    fill(node)
    with patch.object(accounts, "ALLOWED_OF_ADDRESS", 10**9):  # wrong tokens are among what is tried
        server = ConsoleServer(node)
        server.start()
        yield node, server
        server.stop()


def fill(node: Node) -> None:
    """Rows of each kind: a result that is being sent, a queued job, a series that arrives, and what partners did."""
    database = node.database
    jobs.restored(database, claimed(database, queue(database)), result(), {"seconds": 1}, ["main"])
    queue(database, "q", "2.25.30")
    arrive(database, series="2.25.20")
    circuits.failed(database, "main", "away", 1, lambda _times: 3600)
    refusals.record(database, [Refusal("10.0.0.9", "CT9", "nobody knows it", 1)])
    workers.register(database, "host/boot/1/1", "node")
    commitment_requests.enter(database, CommitmentRequest("2.25.5", "CT1", (Reference("2.25.6", "2.25.7"),)), 60)


def token(node: Node, role: str) -> str:
    """A token of a new user of this role; empty for nobody."""
    if role == "nobody":
        return ""
    users.add(node.database, f"the-{role}", "no password", Role(role))
    return make_token(node.database, f"the-{role}", "fuzz", Role(role), 1)[0]


def described(folder: Path) -> Path:
    """The API's description as a file, because nobody is not shown it."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(openapi.document(API)), encoding="utf-8")
    return path


def asks(server: ConsoleServer, schema: Path, key: str, *options: str) -> tuple[int, str]:
    """Exit code and words of one run in the name of a token."""
    command = [ST, "run", schema, "--url", server.local_url, "--no-color", "--suppress-health-check", "all", *options]
    if key:
        command += ["--header", f"Authorization: Bearer {key}"]
    else:  # the description says that a token is needed, and would have one made up
        command += ["--exclude-checks", "ignored_auth"]
    done = subprocess.run(list(map(str, command)), cwd=schema.parent, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Each in turn for their share of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    share = max(parser.parse_args().seconds // len(WHO), 1)
    worst = 0
    with TemporaryDirectory() as name, console(Path(name)) as (node, server):
        schema = described(Path(name))
        for role in WHO:
            code, said = asks(server, schema, token(node, role), "--max-time", str(share), "--continue-on-failure")
            print(f"as {role}: {'nothing found' if code == 0 else said}", flush=True)  # noqa: T201 its output
            worst = max(worst, code)
    return int(worst > 0)


if __name__ == "__main__":
    sys.exit(main())
