"""A result goes to a PACS, a DICOMweb service and a folder, each with its own state, whatever happens to the node."""

from collections import Counter
from pathlib import Path

import pytest

from dicom_node.ledger import queries
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until
from tests.web_service import Answer, web_service

pytestmark = [pytest.mark.faults, pytest.mark.slow]

THIN, BATCH = 101, 25


@pytest.mark.row(
    18,
    "STOW-RS the same: after a kill -9 in the middle of a batch that one batch comes twice, what went before does not",
)
def test_row_18_the_node_is_killed_while_a_service_takes_a_batch(
    node: Node, pacs: ScriptedPacs, tall_images: list[Path]
) -> None:
    place = node.folder / "watched"
    place.mkdir(parents=True)
    killed: list[int] = []
    with web_service() as service:

        def kill_at_the_third(uids: list[str]) -> Answer:
            if len(service.batches) == 3 and not killed:
                node.kill()
                killed.append(len(uids))
            return Answer()

        service.on_store = kill_at_the_third
        node.extra["send"] += f'\ndicomweb = [{{name = "cloud", url = "{service.url}"}}]'
        node.extra["send"] += f'\nfolder = [{{name = "research", path = "{place}"}}]'
        node.start()
        scanner = Scanner(node.port)
        scanner.push_until_stored(tall_images)
        until("the node is killed", lambda: killed)
        node.start()
        (job,) = check(node, scanner.acknowledged, service)
        assert Counter(service.came.values()) == {1: THIN - BATCH, 2: BATCH}
    assert job.state == "verified"
    assert pacs.holdings() == {job.derived_series_uid: THIN}
    assert len(list(place.rglob("*.dcm"))) == THIN
    ledger = node.ledger()
    confirmed = {item.destination: item.verified_by for item in queries.deliveries_of(ledger, job.id)}
    ledger.close()
    assert confirmed == {"scripted": "storage commitment", "cloud": "QIDO-RS", "research": "read back"}
