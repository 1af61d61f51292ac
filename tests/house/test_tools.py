"""The tools of ``make check`` find nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.files import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--output-format=concise", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    ],
    ids=lambda command: " ".join(command),
)
def test_tool_finds_nothing(command: tuple[str, ...]):
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
