"""The real `thinslice` program, run to its end."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("thinslice")
# Wide, so that no sentence is broken into lines.
ENVIRONMENT = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
LIMIT_S = 120.0


@dataclass(frozen=True)
class Done:
    """Exit code and words of a finished command."""

    code: int
    out: str
    err: str


def thinslice(folder: Path, *arguments: str | Path, said: str = "") -> Done:
    """Run a command in ``folder``, where no settings file lies unless a test wrote one; ``said`` is typed in."""
    command = [str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=LIMIT_S, input=said
    )
    return Done(done.returncode, done.stdout, done.stderr)
