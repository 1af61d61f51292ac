"""Who serves the ledger is known, with the reason of whoever refuses."""

from dicom_node.ledger import queries, workers
from dicom_node.ledger.database import Database
from dicom_node.ledger.workers import WorkerState

OWNER = "host/boot/9/1"


def states(database: Database) -> list[tuple[str, str, str]]:
    return [(item.role, item.state, item.reason) for item in workers.everyone(database)]


def test_a_process_registers_is_seen_refuses_and_is_ready_again(database: Database) -> None:
    workers.register(database, OWNER, "restore")
    assert workers.see(database, OWNER)
    assert workers.declare(database, OWNER, WorkerState.REFUSING, "the weights are damaged")
    assert not workers.declare(database, OWNER, WorkerState.REFUSING, "the weights are damaged")
    assert states(database) == [("restore", "refusing", "the weights are damaged")]
    assert workers.declare(database, OWNER, WorkerState.READY)
    assert states(database) == [("restore", "ready", "")]
    assert [row.event for row in queries.audit_of(database, ["worker"])] == ["worker.refusing", "worker.ready"]


def test_one_that_registers_twice_is_one(database: Database) -> None:
    workers.register(database, OWNER, "restore")
    workers.register(database, OWNER, "deliver")
    assert [item.role for item in workers.everyone(database)] == ["deliver"]


def test_the_silent_and_those_that_ended_are_forgotten(database: Database) -> None:
    workers.register(database, OWNER, "restore")
    workers.register(database, "host/boot/10/1", "clock")
    assert workers.forget_silent(database, 3600) == 0
    workers.forget(database, OWNER)
    assert [item.role for item in workers.everyone(database)] == ["clock"]
    assert workers.forget_silent(database, -1) == 1
    assert not workers.see(database, OWNER)
