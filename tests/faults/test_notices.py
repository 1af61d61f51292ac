"""Somebody is told that a PACS is down, once, also by a node that was killed meanwhile, and that it is back."""

from pathlib import Path

import pytest

from dicom_node.ledger import channels, notices
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.receivers import hook_receiver
from tests.waiting import until, until_state

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DOWN = "scripted does not answer; results for it wait."


def looks(node: Node) -> str:
    """Who watches; each process of the node under a name of its own."""
    with node.ledger().reading() as connection:
        return str(connection.exec_driver_sql("SELECT owner FROM notice_channel WHERE name = '(watch)'").scalar())


@pytest.mark.row(
    16, "who is to be called hears of it once, also where the node is killed meanwhile, and when it is over"
)
def test_a_pacs_goes_down_and_comes_back_and_somebody_is_told_of_both_once(
    node: Node, pacs: ScriptedPacs, images: list[Path]
) -> None:
    with hook_receiver() as hook:
        node.extra["notices"] = f'look_s = 0.1\n[[notices.webhook]]\nname = "chat"\nurl = "{hook.url}"'
        node.extra["send"] = "retry_first_s = 0.3\nretry_longest_s = 0.5\ncommitment_wait_s = 1.0\nattempts = 1000"
        pacs.stop()
        node.start()
        Scanner(node.port).push_until_stored(images)
        until("word that it is down", lambda: f"new: {DOWN}" in hook.sentences())
        until("the mark that it was told", lambda: channels.messages(node.ledger()))
        before = looks(node)
        node.kill()
        node.start()
        until("the new process looks", lambda: looks(node) not in (before, "None"))
        pacs.start()
        until_state(node, "verified")
        until("word that it is back", lambda: f"over: {DOWN}" in hook.sentences())
        about = [sentence for sentence in hook.sentences() if DOWN in sentence]
        assert about == [f"new: {DOWN}", f"over: {DOWN}"]
        until("the end of it", lambda: not notices.lasting(node.ledger()))
