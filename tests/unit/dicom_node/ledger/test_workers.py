"""Who serves the ledger is known, with the reason of whoever refuses."""

from dicom_node.ledger import deliveries, jobs, queries, switches, workers
from dicom_node.ledger.database import Database
from dicom_node.ledger.workers import WorkerState
from tests.unit.dicom_node.ledger.rows import AGAIN_S, claimed, queue, result

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


def test_one_that_is_drained_is_until_it_is_resumed_or_starts_anew(database: Database) -> None:
    workers.register(database, OWNER, "restore")
    assert workers.drain(database, OWNER, "a new GPU")
    assert not workers.drain(database, OWNER, "me too")
    assert workers.is_drained(database, OWNER)
    (item,) = workers.everyone(database)
    assert (item.name, item.drained_by, item.drain_reason) == ("host/9", "tests", "a new GPU")
    assert workers.undrain(database, OWNER, "it is in")
    assert not workers.undrain(database, OWNER, "me too")
    assert not workers.is_drained(database, OWNER)
    assert not workers.drain(database, "host/boot/10/1", "who is that")
    workers.drain(database, OWNER, "again")
    workers.register(database, OWNER, "restore")
    assert not workers.is_drained(database, OWNER)
    assert [row.event for row in queries.audit_of(database, ["worker"])] == [
        "worker.drained", "worker.resumed", "worker.drained",
    ]  # fmt: skip


def test_a_paused_destination_gets_nothing_and_the_others_do(database: Database) -> None:
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main", "research"])
    assert switches.pause_destination(database, "main", "a new disk")
    assert not switches.pause_destination(database, "main", "me too")
    assert [item.id for item in deliveries.due_deliveries(database, AGAIN_S)] == [2]
    assert deliveries.claim(database, 1, OWNER, 60) is None
    assert deliveries.claim(database, 2, OWNER, 60)
    paused = switches.paused_destinations(database)
    assert {name: (item.reason, item.by) for name, item in paused.items()} == {"main": ("a new disk", "tests")}
    assert switches.resume_destination(database, "main", "done")
    assert not switches.resume_destination(database, "main", "me too")
    assert [item.id for item in deliveries.due_deliveries(database, AGAIN_S)] == [1]
    assert deliveries.claim(database, 1, OWNER, 60)
    events = [row.event for row in queries.audit_of(database, ["pacs:main"])]
    assert events == ["destination.paused", "destination.resumed"]
