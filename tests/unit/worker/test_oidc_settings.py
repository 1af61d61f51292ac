"""[console.oidc]: what of it cannot be is said before the start."""

from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from tests.unit.worker.nodes import settings_file
from worker.settings import Settings, load

PUBLIC = 'public_url = "https://thinslice.example.org"'
OIDC = 'issuer = "https://login.example.org"\nclient_id = "thinslice"\nclient_secret_file = "secret.txt"'
ROLES = 'viewer = ["ct-staff"]'


def read(folder: Path, console: str = PUBLIC, oidc: str = OIDC, roles: str = ROLES) -> Settings:
    lines = {"console": console} | ({"console.oidc": oidc} if oidc else {})
    lines |= {"console.oidc.roles": roles} if roles else {}
    return load(settings_file(folder, f"sqlite:///{folder / 'ledger.sqlite'}", lines))


def test_files_are_taken_from_the_settings_files_folder(tmp_path: Path) -> None:
    oidc = read(tmp_path).console.oidc
    assert oidc
    assert oidc.client_secret_file == tmp_path / "secret.txt"
    assert oidc.authorities is None


@pytest.mark.parametrize(
    ("console", "oidc", "roles", "sentence"),
    [
        ("passwords = false", "", "", "leaves no way in"),
        ("", OIDC, ROLES, "needs public_url"),
        ('public_url = "http://thinslice.example.org"', OIDC, ROLES, "needs public_url, with https"),
        (PUBLIC, OIDC.replace("https", "http"), ROLES, "use https"),
        (PUBLIC, OIDC, "viewer = []", "lets anybody in"),
        (PUBLIC, OIDC, 'emperor = ["all"]', "did you mean"),
        (PUBLIC, f'{OIDC}\nscopes = ["profile"]', ROLES, "openid"),
        ('patient_data = "everybody"', "", "", "patient_data"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(tmp_path: Path, console: str, oidc: str, roles: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read(tmp_path, console, oidc, roles)
