"""The shell completes names that there are: bash for real, the others as far as their scripts go."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from dicom_node.ledger import users
from dicom_node.ledger.users import Role
from tests.acceptance.command_line import PROGRAM
from tests.unit.worker.nodes import open_at

FOLDER = '[[send.folder]]\nname = "share"\npath = "{0}/share"\n[[send.folder]]\nname = "spare"\npath = "{0}/spare"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with completion installed, and a node's settings in it."""
    node = open_at(tmp_path, blocks=FOLDER.format(tmp_path))
    for name in ("ada", "adele", "bob"):
        users.add(node.database, name, "no password", Role.VIEWER)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(home), "PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def bash(home: Path, script: str) -> str:
    """What a bash with its start-up file says; nothing may come on stderr."""
    command = ["bash", "--rcfile", str(home / ".bashrc"), "-i", "-c", script]
    done = subprocess.run(
        command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=120, check=False,
        start_new_session=True,
    )  # fmt: skip
    own = [line for line in done.stderr.splitlines() if "job control" not in line and "terminal process" not in line]
    assert own == [], done.stderr
    return done.stdout


def completed(home: Path, *lines: str) -> list[list[str]]:
    """What a Tab after each line offers, by bash's own function of the program."""
    asks = []
    for line in lines:
        words = [*shlex.split(line), ""] if line.endswith(" ") else shlex.split(line)
        array = " ".join(map(shlex.quote, words))
        asks.append(f'COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); {FUNCTION} thinslice; '
                    'echo "${COMPREPLY[*]}"')  # fmt: skip
    return [offer.split() for offer in bash(home, "; ".join(asks)).splitlines()]


FUNCTION = "_thinslice_completion"


@pytest.mark.slow
def test_bash_completes_states_destinations_and_users(home: Path) -> None:
    installed = subprocess.run(
        [PROGRAM, "--install-completion", "bash"], cwd=home, env=environment(home), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    (home / "broken.toml").write_text("[receive\n")
    before = sorted(home.iterdir())
    offers = completed(
        home, "thinslice jobs --state s", "thinslice echo s", "thinslice users role ad", "thinslice chec",
        "thinslice echo -c broken.toml s", "thinslice users disable -c nowhere.toml a",
        "thinslice tokens add x --user b",
    )  # fmt: skip
    assert offers == [
        ["sending", "sent", "skipped", "superseded"], ["share", "spare"], ["ada", "adele"], ["check-config"], [], [],
        ["bob"],
    ]  # fmt: skip
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(home: Path, shell: str) -> None:
    done = subprocess.run(
        [PROGRAM, "--show-completion", shell], cwd=home, env=environment(home), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert {"bash": "complete -o default -F", "zsh": "#compdef thinslice", "fish": "complete --command"}[
        shell
    ] in done.stdout
