"""A process that a person has drained claims nothing, and goes on once it is resumed."""

from pathlib import Path

from dicom_node.ledger import queries, workers
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_retention import arrive, restore
from worker.hands import Hands
from worker.owner import this_owner


def test_a_drained_process_heeds_no_bell(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    restore(node, arrive(node))
    workers.register(node.database, this_owner(), "deliver")
    hands = Hands(node, restores=False)
    assert workers.drain(node.database, this_owner(), "a new network card")
    hands.deliver(1)
    hands.restore(1)
    assert [item.state for item in queries.deliveries_of(node.database, 1)] == ["pending"]
    workers.undrain(node.database, this_owner(), "it is in")
    hands.deliver(1)  # the settings name no such destination
    assert [item.state for item in queries.deliveries_of(node.database, 1)] == ["parked"]
