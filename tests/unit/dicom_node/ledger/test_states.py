"""The table of legal moves is whole, and the docs are drawn from it."""

from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from dicom_node.ledger.states import (
    DELIVERY_MOVES,
    JOB_MOVES,
    SERIES_MOVES,
    DeliveryState,
    JobState,
    job_state_of,
    state_page,
)


@pytest.mark.parametrize("moves", [SERIES_MOVES, JOB_MOVES, DELIVERY_MOVES])
def test_every_state_has_its_row_and_can_be_reached(moves: dict) -> None:
    kinds = type(next(iter(moves)))
    first = next(iter(kinds))
    reached = {target for targets in moves.values() for target in targets}
    assert set(moves) == set(kinds)
    assert set(kinds) - reached <= {first, JobState.SKIPPED, JobState.HELD}


def test_only_superseded_ends_a_job_for_ever() -> None:
    assert [state for state, targets in JOB_MOVES.items() if not targets] == [JobState.SUPERSEDED]


def test_every_mixture_of_deliveries_gives_a_state_that_the_job_may_take() -> None:
    for mixture in combinations_with_replacement(DeliveryState, 3):
        state = job_state_of(list(mixture))
        assert state in {JobState.RESTORED, JobState.SENDING, JobState.SENT, JobState.VERIFIED, JobState.PARKED}
        if state is JobState.VERIFIED:
            assert set(mixture) == {DeliveryState.VERIFIED}


def test_the_docs_show_the_moves_as_they_are(repository: Path) -> None:
    page = repository / "docs" / "states.md"
    assert page.read_text() == state_page(), "run: .venv/bin/python -m dicom_node.ledger.states > docs/states.md"
