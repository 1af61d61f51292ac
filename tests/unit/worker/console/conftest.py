"""A console in this process, on a free port, over a ledger of the test's own."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from dicom_node.ledger import sessions, users
from dicom_node.ledger.users import Role
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from worker.console.serving import ConsoleServer
from worker.wiring import Node

As = Callable[[Role], Visitor]


def enter(node: Node, server: ConsoleServer, role: Role) -> Visitor:
    """Somebody of a role, logged in without the cost of a password."""
    users.add(node.database, f"the-{role}", "no password", role)
    known = users.credentials(node.database, f"the-{role}")
    assert known
    digest = hashlib.sha256(f"token-{role}".encode()).hexdigest()
    sessions.enter(node.database, known.user_id, digest, f"secret-{role}", "127.0.0.1", 1)
    return Visitor(server, {"thinslice": f"token-{role}"})


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with nothing in its ledger."""
    return open_at(tmp_path, console=f'port = 0\npreviews = "{tmp_path}/previews"')


@pytest.fixture
def server(node: Node) -> Iterator[ConsoleServer]:
    """Its console."""
    server = ConsoleServer(node)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stranger(server: ConsoleServer) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(server)


@pytest.fixture
def as_(node: Node, server: ConsoleServer) -> As:
    """Somebody of a role."""
    return partial(enter, node, server)


@pytest.fixture
def viewer(as_: As) -> Visitor:
    """Somebody who looks."""
    return as_(Role.VIEWER)


@pytest.fixture
def operator(as_: As) -> Visitor:
    """Somebody who acts."""
    return as_(Role.OPERATOR)


@pytest.fixture
def admin(as_: As) -> Visitor:
    """Somebody who sees to users."""
    return as_(Role.ADMIN)
