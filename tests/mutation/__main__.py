"""Remove one safeguard at a time from a copy of the program and show that a test fails: ``make mutation``.

Words on the command line choose the safeguards whose name has one of them. Prints a table, safeguard and what became of
the test; exit code 1 when a safeguard can go unnoticed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutation.safeguards import SAFEGUARDS, Safeguard

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "dicom_node",
    "sr_engine",
    "worker",
    "migrations",
    "deploy",
    "tests",
    "docs",
    "pyproject.toml",
    "settings.toml",
)
LIMIT_S = 420.0
PASSED, FAILED = 0, 1  # pytest's exit codes; others mean that the test could not even run


class Vanished(Exception):
    """The text of a safeguard does not stand in the program as the list says."""


def main() -> int:
    """Run the check."""
    words = sys.argv[1:]
    chosen = [item for item in SAFEGUARDS if not words or any(word in item.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="thinslice-mutation-") as folder:
        tree = Path(folder) / "tree"
        _copy(tree)
        intact = _run(tree, *dict.fromkeys(item.test for item in chosen))
        if intact != PASSED:
            _say("the tests do not pass while every safeguard stands: mend that first")
            return 1
        unnoticed = [item.name for item in chosen if not _is_noticed(tree, item)]
    _say(f"{len(chosen) - len(unnoticed)} of {len(chosen)} removals noticed")
    return 1 if unnoticed else 0


def _is_noticed(tree: Path, item: Safeguard) -> bool:
    file = tree / item.file
    intact = file.read_text(encoding="utf-8")
    if intact.count(item.text) != 1:
        raise Vanished(f"{item.file} holds the text of {item.name!r} {intact.count(item.text)} times: mend the list")
    file.write_text(intact.replace(item.text, item.without), encoding="utf-8")
    try:
        code = _run(tree, item.test)
    finally:
        file.write_text(intact, encoding="utf-8")
    verdict = {PASSED: "UNNOTICED", FAILED: "noticed"}.get(code, f"UNCLEAR (pytest ended with {code})")
    _say(f"{verdict:<10} without {item.name}: {item.test}")
    return code == FAILED


def _copy(tree: Path) -> None:
    tree.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__", "checkpoints", "results"))
        else:
            shutil.copy(source, tree / part)


def _run(tree: Path, *tests: str) -> int:
    """Exit code of pytest in the copy, whose packages come before the installed ones."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=tree, env=environment, check=False, capture_output=True, timeout=LIMIT_S * max(len(tests) / 2, 1)
    )
    return done.returncode


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
