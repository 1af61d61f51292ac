"""An admin tries the rules on files, before a scanner does, and sees later which rule decided."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner, Result

from dicom_node.errors import InputError
from dicom_node.ledger import queries
from tests.phantom import chest, write_dicom
from tests.unit.worker.nodes import open_at, settings_file
from tests.unit.worker.rows import enter_series
from tests.unit.worker.test_cli_act import admin
from tests.unit.worker.test_rules import PACS
from worker.cli.main import app
from worker.steps.judge import judge_series
from worker.steps.restore import restore_next

RULES = f"""{PACS}
[[rules]]
name = "head"
body_part = ["HEAD*", "BRAIN"]
kernel = "H*"

[[rules]]
name = "from CT2"
ae_title = "CT2"
network = "linear"
target_spacing_mm = 0.7
priority = "stat"
destinations = ["research"]

[[rules]]
name = "not these"
restore = false
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with rules."""
    return settings_file(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite", blocks=RULES)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A folder with a small series, a short one, and a file that is no DICOM."""
    folder = tmp_path / "scan"
    images = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, folder)
    for path in images:  # as a careless technician might
        image = dcmread(path)
        image.SeriesDescription = "Doe^John [red]"
        image.save_as(path)
    write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, folder / "short", seed=1, missing=[0, 1, 2])
    (folder / "notes.txt").write_text("none")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, ["rules", *map(str, arguments)])


def as_json(*arguments: object) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run(*arguments, "--json").output)
    return shown


def test_each_stack_hears_which_rule_decides_and_why_no_earlier_one_does(config: Path, scan: Path) -> None:
    shown = run("test", scan, "-c", config, "--ae-title", "CT2").output
    assert "left out notes.txt: this is no DICOM file" in shown
    assert "restored with linear, at about 0.7 mm, to research, before others: the rule 'from CT2'" in shown
    assert "not 'head': body_part is CHEST, the rule wants HEAD* or BRAIN" in shown
    assert "skipped: 2 slices only" in shown
    other = run("test", *sorted(scan.glob("*.dcm")), "-c", config).output
    assert "skipped: the rule 'not these' says that it is not restored" in other
    assert "not 'from CT2': ae_title is missing, the rule wants CT2" in other
    assert "Doe" not in shown + other


def test_the_same_as_json(config: Path, scan: Path) -> None:
    shown = as_json("test", scan, "-c", config, "--ae-title", "ct2")
    assert [Path(item["file"]).name for item in shown["left_out"]] == ["notes.txt"]
    (short,) = [item for item in shown["stacks"] if item["slices"] == 2]
    (stack,) = [item for item in shown["stacks"] if item["slices"] == 5]
    assert (short["state"], "rule" in short) == ("skipped", False)
    assert stack.pop("series_uid")
    assert stack == {
        "label": "", "slices": 5, "state": "restored", "reason": "", "rule": "from CT2",
        "passed_over": [{"rule": "head", "why": "body_part is CHEST, the rule wants HEAD* or BRAIN"}],
        "network": "linear", "target_spacing_mm": 0.7, "destinations": ["research"], "priority": "stat",
    }  # fmt: skip


def test_without_rules_it_says_what_the_settings_do(tmp_path: Path, scan: Path) -> None:
    bare = settings_file(tmp_path, "sqlite:///x", blocks=PACS)
    assert (
        "restored with cubic, at about 1 mm, to main, research: there are no rules"
        in run("test", scan, "-c", bare).output
    )
    assert run("list", "-c", bare).output.startswith("There are no rules")


def test_the_list_has_conditions_and_deeds_in_order(config: Path) -> None:
    lines = [" ".join(line.split()) for line in run("list", "-c", config).output.splitlines()[1:]]
    assert lines == [
        "head body_part HEAD* or BRAIN, kernel H* with cubic, at about 1 mm, to main, research",
        "from CT2 ae_title CT2 with linear, at about 0.7 mm, to research, before others",
        "not these every series not restored",
    ]


def test_check_config_names_every_network_and_the_rules(tmp_path: Path) -> None:
    config = settings_file(tmp_path, f"sqlite:///{tmp_path}/x", {"receive": "port = 0"}, RULES)
    arguments = ["check-config", "-c", str(config)]
    shown = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, arguments).output
    assert "network    Cubic interpolation (needs no weights)\nok  network    Linear interpolation" in shown
    assert "rules      head, from CT2, not these\n" in shown


def test_what_is_not_there_is_named(config: Path, tmp_path: Path) -> None:
    assert isinstance(run("test", tmp_path / "nowhere", "-c", config).exception, InputError)
    (tmp_path / "empty").mkdir()
    assert isinstance(run("test", tmp_path / "empty", "-c", config).exception, InputError)


def test_it_needs_neither_torch_nor_a_ledger(config: Path, scan: Path) -> None:
    program = (
        "import sys\nfrom worker.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\nassert 'torch' not in sys.modules, 'torch'"
    )
    command = [sys.executable, "-c", program, "rules", "test", str(scan), "-c", str(config)]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.name for path in config.parent.iterdir()) == ["scan", "settings.toml"]


def test_the_rule_of_a_job_is_shown_and_what_a_person_releases_or_retries_goes_where_it_says(tmp_path: Path) -> None:
    node = open_at(tmp_path, blocks=RULES, worker="maximum_rms_hu = 0.001")
    assert judge_series(node, enter_series(node, tmp_path / "spool", calling_ae="CT2"))
    assert restore_next(node, node.model_digests, lambda _claim: None)
    assert queries.jobs(node.database)[0].state == "held"
    assert "from CT2" in admin(node, "jobs").output
    assert "by the rule 'from CT2' with linear, at about 0.7 mm, to research" in admin(node, "show", "1").output
    assert "job 1 is released" in admin(node, "release", "1", "--reason", "looked at it").output
    assert [item.destination for item in queries.deliveries_of(node.database, 1)] == ["research"]
    assert admin(node, "retry", "1").output == "Series 1 has nothing to retry.\n"
    assert [item.destination for item in queries.deliveries_of(node.database, 1)] == ["research"]
