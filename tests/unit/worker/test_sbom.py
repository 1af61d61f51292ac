"""What is installed is told as CycloneDX, and the settings in force are shown without secrets."""

import hashlib
import importlib.metadata
import json
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from dicom_node.settings import LedgerSettings
from tests.unit.worker.nodes import settings_file
from worker import sbom
from worker.cli.main import app
from worker.settings import Settings, WorkerSettings
from worker.shown_settings import HIDDEN, shown

SCHEMAS = ("bom-1.6", "spdx", "jsf-0.82")


@pytest.fixture(scope="module")
def bill() -> dict:
    return json.loads(sbom.bill())


def test_it_is_valid_by_the_standards_own_schema(bill: dict) -> None:
    folder = resources.files("cyclonedx.schema._res")
    files = {name: f"{name}.SNAPSHOT.schema.json" for name in SCHEMAS}
    schemas = {name: json.loads((folder / file).read_text()) for name, file in files.items()}
    # they name each other by their files
    registry = jsonschema_rs.Registry(
        [(f"http://cyclonedx.org/schema/{files[name]}", schemas[name]) for name in SCHEMAS]
    )
    validator = jsonschema_rs.Draft7Validator(schemas["bom-1.6"], registry=registry)
    assert [error.message for error in validator.iter_errors(bill)] == []
    broken = {**bill, "components": [{"name": "no type"}]}
    assert not validator.is_valid(broken)


def test_it_names_what_is_installed_and_the_digest_of_the_weights(bill: dict) -> None:
    own = bill["metadata"]["component"]
    assert (own["name"], own["licenses"][0]["license"]["id"]) == ("thinslice", "Apache-2.0")
    parts = {item["name"]: item for item in bill["components"]}
    assert parts["pydicom"]["purl"] == f"pkg:pypi/pydicom@{importlib.metadata.version('pydicom')}"
    assert all(parts["torch"][key] for key in ("version", "licenses"))
    installed = {item.metadata["Name"].lower() for item in importlib.metadata.distributions()}
    assert installed <= {name.lower() for name in parts} | {"thinslice"}
    (weights,) = sbom.WEIGHTS.glob("*.safetensors")
    assert parts["tvsrn_v2"]["type"] == "machine-learning-model"
    assert parts["tvsrn_v2"]["hashes"][0]["content"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_it_is_printed_or_written(tmp_path: Path) -> None:
    target = tmp_path / "bill.json"
    assert "packages: " in CliRunner().invoke(app, ["sbom", "--output", str(target)]).output
    assert json.loads(target.read_text())["bomFormat"] == "CycloneDX"
    assert CliRunner().invoke(app, ["sbom", "-o", str(tmp_path / "no" / "bill.json")]).exception is not None


def test_settings_are_shown_and_secrets_are_not(tmp_path: Path) -> None:
    settings = Settings(
        ledger=LedgerSettings(url="postgresql://node:hunter2@db/x?password=hunter3&sslmode=require"),
        worker=WorkerSettings(broker_url="redis://:hunter4@broker:6379/0"),
    )
    tables = shown(settings)
    assert tables["ledger"]["url"] == f"postgresql://{HIDDEN}@db/x?password={HIDDEN}&sslmode=require"
    assert tables["worker"]["broker_url"] == f"redis://{HIDDEN}@broker:6379/0"
    assert tables["receive"]["ae_title"] == "THINSLICE"
    assert "hunter" not in json.dumps(tables)
    config = settings_file(tmp_path, "sqlite:///x", blocks='[[rules]]\nname = "chest"\nbody_part = "CHEST"')
    printed = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, ["settings", "-c", str(config)]).output
    assert "engine.network = cubic\n" in printed
    assert "rules 1.body_part = CHEST\n" in printed
