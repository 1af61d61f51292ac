"""Inputs that once broke something, once more; `make fuzz` looks for new ones."""

import logging
from pathlib import Path

import pytest

from tests.fuzz.conversations import converse
from tests.fuzz.targets import TARGETS, seeds

FOUND = Path(__file__).parents[1] / "fuzz" / "found"


@pytest.mark.filterwarnings("ignore")  # pydicom's, of the values that are wrong
@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_before_breaks_nothing(name: str):
    logging.disable(logging.CRITICAL)
    kept = [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]
    for content in [*seeds(name), *kept]:
        TARGETS[name](content)
    logging.disable(logging.NOTSET)


def test_mutated_conversations_leave_the_listener_as_it_was():
    conversations, _, broke = converse(seconds=5)
    assert conversations > 0
    assert broke == ""
