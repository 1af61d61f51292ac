"""The shell completes names that there are: bash for real, the others as far as their scripts go."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner, Result

from dicom_node.ledger import users
from dicom_node.ledger.users import Role
from tests.acceptance.command_line import PROGRAM
from tests.unit.worker.nodes import open_at, settings_file
from worker.cli.complete import destinations, user_names
from worker.cli.main import app

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
    assert asked(home, "--install-completion", "bash").exit_code == 0
    before = sorted(home.iterdir())
    offers = completed(home, "thinslice jobs --state s", "thinslice echo s", "thinslice users role ad")
    assert offers == [["sending", "sent", "skipped", "superseded"], ["share", "spare"], ["ada", "adele"]]
    assert sorted(home.iterdir()) == before


def test_what_cannot_be_read_offers_nothing_and_is_not_made(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "broken.toml").write_text("[receive\n")
    (home / "other").mkdir()
    settings_file(home / "other", f"sqlite:///{home}/other/ledger.sqlite")
    before = sorted(home.rglob("*"))
    for config in ("broken.toml", "nowhere.toml", "other/settings.toml"):
        context = typer.Context(typer.main.get_command(app))
        context.params["config"] = home / config
        assert (destinations(context, ""), user_names(context, "")) == ([], [])
    assert sorted(home.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(home: Path, shell: str) -> None:
    done = asked(home, "--show-completion", shell)
    marks = {"bash": "complete -o default -F", "zsh": "#compdef thinslice", "fish": "complete --command"}
    assert (done.exit_code, marks[shell] in done.stdout) == (0, True)


def asked(home: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home).items():
            patch.setenv(name, value)
        return CliRunner().invoke(app, arguments, prog_name="thinslice")
