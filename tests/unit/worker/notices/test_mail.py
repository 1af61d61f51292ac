"""Notices by e-mail, through a server that asks for TLS and a login; and settings that cannot work."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from dicom_node.ledger import channels
from tests.certificates import Certificates
from tests.receivers import mail_server
from tests.servers import free_port
from tests.unit.worker.nodes import open_at
from tests.unit.worker.notices.callers import PLANTED, SECRET, fail_job, look, mail_block, node_at
from worker.errors import NoticeError
from worker.notices.telling import send_trial

EMAIL = '[[notices.email]]\nname = "m"\nsender = "a@b"\n'
HOOK = '[[notices.webhook]]\nname = "m"\n'


def test_a_mail_server_gets_a_letter_by_starttls_and_login(tmp_path: Path, certificates: Certificates) -> None:
    with mail_server(certificates, "node", SECRET) as box:
        node = node_at(tmp_path, None, "", mail_block(box.port, certificates))
        fail_job(node, "a", PLANTED)
        look(node)
        look(node)
        (letter,) = box.letters
        assert (letter["Subject"], letter["To"]) == ("thinslice THINSLICE: 1 new", "a@example.org, b@example.org")
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["Message-ID"].endswith("@example.org>")
        text = letter.get_content()
        assert "Series that wait for a person: 1 failed." in text
        assert "https://node.example.org/series?state=failed" in text
        box.refused = {"a@example.org"}
        assert "went out" in send_trial(node, "on-call", datetime.now(UTC))
        box.refused = {"a@example.org", "b@example.org"}
        with pytest.raises(NoticeError, match="no mail for the recipients of on-call"):
            send_trial(node, "on-call", datetime.now(UTC))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"username": "somebody"}, "SMTP 535: check username and secret_file"),
        ({"authorities": ""}, "TLS failed"),
        ({"tls": "implicit"}, "TLS failed"),
        ({"tls": "none"}, "refuses us with SMTP 530"),
    ],
)
def test_a_mail_server_that_does_not_let_us_in_is_said_why(
    tmp_path: Path, certificates: Certificates, changes: dict[str, str], said: str
) -> None:
    with mail_server(certificates, "node", SECRET) as box:
        changes = {"username": "", "secret_file": "", **changes} if changes.get("tls") == "none" else changes
        node = node_at(tmp_path, None, "", mail_block(box.port, certificates, **changes))
        with pytest.raises(NoticeError, match=said) as caught:
            send_trial(node, "on-call", datetime.now(UTC))
        assert SECRET not in str(caught.value)
        assert box.letters == []


def test_a_mail_server_that_is_away_is_tried_again(tmp_path: Path, certificates: Certificates) -> None:
    node = node_at(tmp_path, None, "", mail_block(free_port(), certificates))
    fail_job(node, "a")
    look(node)
    assert [item.reason for item in channels.failing(node.database)] == ["127.0.0.1 cannot be reached, or broke off"]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (f'{EMAIL}host = "mail.example.org"\ntls = "none"\nrecipients = ["a@b"]', "this machine alone"),
        (f'{EMAIL}host = "h"\nusername = "u"\nrecipients = ["a@b"]', "belong together"),
        (f'{EMAIL}host = "h"\nrecipients = []', "name at least one"),
        (f'{HOOK}url = "ftp://h"', "begins with https://"),
        (f'{HOOK}url = "https://u:p@h/"', "said by the signature"),
        (f'{HOOK}url = "https://h"\nkinds = ["sunny"]', "job_failed"),
        (f'{HOOK}url = "https://h"\n{HOOK}url = "https://h"', "must differ"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path: Path, block: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_at(tmp_path, blocks=block)
