"""What the engine says comes out like everything else."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from worker.log import QUIET, configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was before the test."""
    engine = logging.getLogger("sr_engine")
    before = engine.handlers, engine.propagate
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    engine.handlers, engine.propagate = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def test_a_warning_of_the_engine_is_a_json_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    logging.getLogger("sr_engine.inference.memory").warning("out of memory on %s", "cuda:0")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("out of memory on cuda:0", "warning")
