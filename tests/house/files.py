"""Which files the house rules are about."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dicom_node", "sr_engine", "worker", "migrations")


@cache
def modules() -> tuple[Path, ...]:
    """Every Python module that is shipped."""
    return tuple(sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git keeps or would keep, so that a new file is judged before it is added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


@cache
def parsed(path: Path) -> ast.Module:
    """Syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path, line: int = 0) -> str:
    """``path`` from the root, with a line where one is given."""
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))
