"""Waiting for what a running node does, with a limit and a sentence when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

from dicom_node.ledger import queries
from dicom_node.ledger.queries import JobView
from tests.nodes import Node

Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found | None], limit_s: float = 240.0, every_s: float = 0.02) -> Found:
    """Look until there is something to see; AssertionError naming ``what`` after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {limit_s:.0f} s")


def until_state(node: Node, *states: str, limit_s: float = 300.0) -> JobView:
    """Until the node's newest job is in one of these states."""
    ledger = node.ledger()

    def look() -> JobView | None:
        return next((job for job in queries.jobs(ledger, limit=1) if job.state in states), None)

    try:
        return until(f"a job that is {' or '.join(states)}", look, limit_s)
    except AssertionError as error:
        seen = [(job.state, job.reason) for job in queries.jobs(ledger)]
        raise AssertionError(f"{error}; jobs: {seen}; log:\n{node.said()}") from None
