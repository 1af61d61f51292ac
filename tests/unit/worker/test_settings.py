"""Settings are read once, refused with a sentence that helps, and overridden by the environment."""

from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from worker.settings import Settings, known_keys, load


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_the_shipped_settings_are_the_defaults(repository: Path, tmp_path: Path) -> None:
    shipped = load(write(tmp_path, (repository / "settings.toml").read_text()))
    # But for a port without encryption, which has to be asked for.
    assert shipped == load(write(tmp_path, f"[receive]\nport = {shipped.receive.port}"))
    assert shipped.receive.model_copy(update={"spool": Settings().receive.spool, "port": None}) == Settings().receive


def test_relative_paths_start_at_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, '[receive]\nspool = "/elsewhere"')
    monkeypatch.chdir("/")
    settings = load(path)
    assert settings.worker.results == tmp_path / "var" / "results"
    assert settings.ledger.url == f"sqlite:///{tmp_path}/var/ledger.sqlite"
    assert settings.receive.spool == Path("/elsewhere")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[recieve]\nport = 1", "unknown key recieve: did you mean receive?"),
        ("[receive]\nprot = 1", "unknown key receive.prot: did you mean receive.port?"),
        ('[[send.pacs]]\nname="a"\nae_title="A"\nhots="h"\nport=1', "did you mean send.pacs.0.host?"),
        ("[receive]\nport = 70000", "receive.port: Input should be less than or equal to 65535"),
        ('[receive]\nae_title = "MUCH TOO LONG A TITLE"', "receive.ae_title"),
        ("[receive\n", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_the_fix(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(write(tmp_path, text))
    assert sentence in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist; name the settings file with --config"):
        load(tmp_path / "nowhere.toml")


def test_two_pacs_of_one_name_are_refused(tmp_path: Path) -> None:
    block = '[[send.pacs]]\nname = "main"\nae_title = "P"\nhost = "h"\nport = 1\n'
    with pytest.raises(SettingsError, match="names must differ: main, main"):
        load(write(tmp_path, block * 2))


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINSLICE_RECEIVE__PORT", "4242")
    assert load(write(tmp_path, "[receive]\nport = 1")).receive.port == 4242


def test_every_table_knows_its_keys() -> None:
    assert "pacs" in known_keys(["send"])
    assert "ae_title" in known_keys(["send", "pacs", "0"])
