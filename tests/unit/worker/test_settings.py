"""Settings are read once, refused with a sentence that helps, and overridden by the environment."""

from pathlib import Path

import pytest

from dicom_node.destinations import Destination, FolderDestination, WebDestination
from dicom_node.errors import SettingsError
from worker.settings import Settings, destination_names, known_keys, load
from worker.wiring import open_node


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
        ("[receive]\nstorage_commitment = true", "needs a [[receive.peers]] with host and port"),
        ('[[receive.peers]]\nae_title = "CT1"\nhost = "h"', "host and port of a peer go together"),
        ('[[receive.peers]]\nae_title = "CT1"\nhost = "h"\nport = 1\ntls = true', "needs the files of [send.tls]"),
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


PACS = '[[send.pacs]]\nname = "main"\nae_title = "P"\nhost = "h"\nport = 1\n'
SERVICE = '[[send.dicomweb]]\nname = "{}"\nurl = "{}"\n'
FOLDER = '[[send.folder]]\nname = "{}"\npath = "there"\n'


def test_names_differ_over_all_kinds_of_destinations(tmp_path: Path) -> None:
    several = PACS + SERVICE.format("cloud", "https://h/d") + FOLDER.format("research")
    assert destination_names(load(write(tmp_path, several))) == ("main", "cloud", "research")
    for other in (SERVICE.format("main", "https://h/d"), FOLDER.format("main")):
        with pytest.raises(SettingsError, match="names must differ: main, main"):
            load(write(tmp_path, PACS + other))


def test_a_node_has_every_kind_of_destination(tmp_path: Path) -> None:
    files = 'secret_file = "s"\nauthorities = "a"\ncertificate = "c"\nkey = "/k"\nauth = "bearer"\n'
    settings = load(write(tmp_path, PACS + SERVICE.format("cloud", "https://h/d/") + files + FOLDER.format("research")))
    found = open_node(settings, "tests").destinations
    here = {"secret_file": tmp_path / "s", "authorities": tmp_path / "a", "certificate": tmp_path / "c"}
    assert found == {
        "main": Destination("main", "P", "h", 1, storage_commitment=False),
        "cloud": WebDestination("cloud", "https://h/d", "bearer", key=Path("/k"), **here),
        "research": FolderDestination("research", tmp_path / "there"),
    }


@pytest.mark.parametrize(
    ("url", "lines", "sentence"),
    [
        ("ftp://h", "", "it begins with https:// and a host"),
        ("https://", "", "it begins with https:// and a host"),
        ("https://u:p@h/d", "", "no user, password, ? or # belongs here"),
        ("https://h/d?key=1", "", "no user, password, ? or # belongs here"),
        ("https://h", 'auth = "digest"', "send.dicomweb.0.auth"),
        ("https://h", 'auth = "basic"\nusername = "u"', 'auth = "basic" needs secret_file'),
        ("https://h", 'auth = "oauth"\nsecret_file = "s"', 'auth = "oauth" needs token_url and client_id'),
        ("https://h", 'certificate = "c"', "certificate and key belong together"),
        ("http://h", 'auth = "bearer"\nsecret_file = "s"', "a secret without encryption: use https"),
        (
            "https://h",
            'auth = "oauth"\nsecret_file = "s"\nclient_id = "c"\ntoken_url = "http://10.0.0.1/t"',
            "a secret without encryption: use https",
        ),
    ],
)
def test_a_service_that_cannot_be_called_is_refused(tmp_path: Path, url: str, lines: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(write(tmp_path, SERVICE.format("cloud", url) + lines))
    assert sentence in str(error.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_secret_may_stay_on_this_machine_without_encryption(tmp_path: Path, host: str) -> None:
    load(write(tmp_path, SERVICE.format("cloud", f"http://{host}:8042/d") + 'auth = "bearer"\nsecret_file = "s"'))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "a"\n[[rules]]\nname = "a"', "[[rules]] names must differ: a, a"),
        (
            'name = "a"\nnetwork = "tvsrn-v2"',
            "[[rules]] 'a': there is no network 'tvsrn-v2': choose best, linear, cubic",
        ),
        ('name = "a"\ndestinations = ["man"]', "[[rules]] 'a': [send] names no destination 'man'; it names: main"),
        ('kernel = "B*"', "rules.0.name: Field required"),
        ('name = "a"\nkernal = "B*"', "unknown key rules.0.kernal: did you mean rules.0.kernel?"),
        ('name = "a"\nminimum_step_mm = 0', "rules.0.minimum_step_mm: Input should be greater than 0"),
        ('name = "a"\npriority = "urgent"', "rules.0.priority: Input should be 'normal' or 'stat'"),
        ('name = "a"\nrestore = false\nnetwork = "cubic"', "restore = false leaves nothing for network to say"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(write(tmp_path, f"{PACS}[[rules]]\n{text}"))
    assert sentence in str(error.value)


def test_rules_are_read_in_their_order_and_one_pattern_needs_no_brackets(tmp_path: Path) -> None:
    text = '[[rules]]\nname = "b"\nkernel = "B*"\ndestinations = ["main"]\n[[rules]]\nname = "a"\nnetwork = "best"'
    first, second = load(write(tmp_path, f"{PACS}{text}")).rules
    assert (first.name, first.kernel, first.destinations) == ("b", ("B*",), ("main",))
    assert (second.name, second.kernel, second.destinations) == ("a", (), None)


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINSLICE_RECEIVE__PORT", "4242")
    assert load(write(tmp_path, "[receive]\nport = 1")).receive.port == 4242


def test_every_table_knows_its_keys() -> None:
    assert "pacs" in known_keys(["send"])
    assert "ae_title" in known_keys(["send", "pacs", "0"])
