"""What is amiss reaches a webhook, once, again after a failure, and without a word that somebody wrote."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.errors import SettingsError
from dicom_node.ledger import channels, circuits, commitment_requests, jobs, notices, switches, workers
from dicom_node.ledger.states import JobState
from tests.certificates import Certificates
from tests.receivers import Hook, hook_receiver, mail_server
from tests.servers import Pacs, free_port
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.notices.callers import OWN, PLANTED, SECRET, fail_job, look, mail_block, node_at, note
from tests.unit.worker.test_deliver import stored_result
from worker.around import look_around
from worker.errors import NoticeError
from worker.notice_settings import Kind
from worker.notices.telling import send_trial, tell
from worker.notices.watch import WATCH, Watch
from worker.steps.deliver import deliver
from worker.troubles import troubles_of
from worker.wiring import Node


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_receiver(SECRET) as hook:
        yield hook


def due_at_once(node: Node) -> None:
    with node.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE notice_channel SET due_at = '2020-01-01'")


def test_a_failed_job_is_told_signed_and_with_a_link(tmp_path: Path, hook: Hook) -> None:
    node = node_at(tmp_path, hook)
    look(node)
    assert hook.came == []
    fail_job(node, "a")
    look(node)
    look(node)
    (body,) = hook.came
    (told,) = body["notices"]
    assert (body["version"], body["node"], told["kind"], told["phase"]) == (1, "THINSLICE", "job_failed", "new")
    assert told["link"] == "https://node.example.org/series?state=failed"
    assert told["sentence"] in body["text"]
    fail_job(node, "b")
    look(node)
    assert hook.sentences()[1:] == ["again: Series that wait for a person: 2 failed."]
    assert hook.refused == 0


@pytest.mark.timeout(120)
def test_a_pacs_that_is_down_is_told_and_that_it_is_back(tmp_path: Path, hook: Hook, storescp_server: Pacs) -> None:
    kept = stored_result(tmp_path / "kept")
    pacs = '[[send.pacs]]\nname = "main"\nae_title = "{}"\nhost = "127.0.0.1"\nport = {}'
    send = f"connect_timeout_s = 2\nretry_first_s = 0.001\ncircuit_failures = 1\n{pacs}"
    node = node_at(tmp_path, hook, send=send.format("AWAY", free_port()))
    job_id = queue(node.database)
    jobs.restored(node.database, claimed(node.database, job_id), kept, {}, ["main"])
    assert deliver(node, 1)
    look(node)
    assert hook.sentences() == ["new: main does not answer; results for it wait."]
    circuits.failed(node.database, "main", "its time is over", 1, lambda _times: -1)
    back = node_at(tmp_path, hook, send=send.format(storescp_server.ae_title, storescp_server.port))
    assert deliver(back, 1)
    look(back)
    look(back)
    assert hook.sentences()[1:] == ["over: main does not answer; results for it wait."]
    assert hook.came[1]["notices"][0]["over_at"]


def test_a_receiver_that_is_down_hears_all_in_one_when_it_is_back(tmp_path: Path, hook: Hook) -> None:
    node = node_at(tmp_path, hook)
    hook.status = 503
    fail_job(node, "a")
    look(node)
    (failing,) = channels.failing(node.database)
    assert (failing.name, failing.reason) == ("chat", "127.0.0.1 answered HTTP 503")
    switches.pause(node.database, "a new GPU")
    look(node)
    assert len(hook.came) == 1  # it waits before the next try
    hook.status, hook.came = 200, []
    due_at_once(node)
    look(node)
    assert [item["kind"] for body in hook.came for item in body["notices"]] == ["job_failed"]
    assert channels.failing(node.database) == []


def test_more_than_so_many_an_hour_are_collected_into_one(tmp_path: Path, hook: Hook) -> None:
    node = node_at(tmp_path, hook, "per_hour = 1\npaused_minutes = 0\nbacklog = 1")
    queue(node.database)
    look(node)
    fail_job(node, "b")
    look(node)
    switches.pause(node.database, "a new GPU")
    look(node)
    assert len(hook.came) == 1
    with node.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE notice_message SET at = '2020-01-01'")
    look(node)
    assert [[item["kind"] for item in body["notices"]] for body in hook.came] == [["backlog"], ["job_failed", "paused"]]
    assert hook.came[1]["text"].startswith("thinslice THINSLICE: 2 new\n- new: ")


def test_a_process_that_is_killed_after_it_sent_repeats_one_message_under_the_same_ids(
    tmp_path: Path, hook: Hook
) -> None:
    node = node_at(tmp_path, hook)
    fail_job(node, "a")
    note(node)
    command = [sys.executable, "-m", "tests.unit.worker.notices.one_teller", str(tmp_path / "settings.toml")]
    children: list[subprocess.Popen[bytes]] = []
    started = threading.Event()

    def kill(_body: object) -> None:
        started.wait(30)
        os.kill(children[0].pid, signal.SIGKILL)
        children[0].wait()

    hook.before = kill
    children.append(subprocess.Popen(command))
    started.set()
    assert children[0].wait(60) == -signal.SIGKILL
    assert channels.messages(node.database) == []
    hook.before = lambda _body: None
    look(node)
    look(node)
    first, second = hook.came
    assert [item["id"] for item in first["notices"]] == [item["id"] for item in second["notices"]] == ["1-1"]
    assert len(channels.messages(node.database)) == 1


def test_clocks_that_tell_at_once_send_one_message(tmp_path: Path, hook: Hook) -> None:
    node = node_at(tmp_path, hook)
    fail_job(node, "a")
    note(node)
    (channel,) = node.settings.notices.channels
    all_here = threading.Barrier(4, timeout=30)

    def at_once() -> None:
        all_here.wait()
        tell(node, channel, datetime.now(UTC))

    clocks = [threading.Thread(target=at_once) for _ in range(4)]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()
    assert len(hook.came) == 1


def test_a_watch_tells_by_itself_and_one_watches_at_a_time(tmp_path: Path, hook: Hook) -> None:
    node, told = node_at(tmp_path, hook), threading.Event()
    hook.before = lambda _body: told.set()
    fail_job(node, "a")
    watch = Watch(node)
    watch.start()
    assert told.wait(30)
    assert not channels.hold(node.database, WATCH, "elsewhere/boot/1/1", 60, lambda _owner: False)
    watch.stop()
    assert channels.hold(node.database, WATCH, "elsewhere/boot/1/1", 60, lambda _owner: False)


def test_a_receiver_that_does_not_answer_holds_up_itself_alone(tmp_path: Path, hook: Hook) -> None:
    with hook_receiver() as other:
        node = node_at(tmp_path, hook, "", f'[[notices.webhook]]\nname = "other"\nurl = "{other.url}"')
        hung, released, told = threading.Event(), threading.Event(), threading.Event()

        def hang(_body: object) -> None:
            hung.set()
            released.wait(30)

        hook.before, other.before = hang, lambda _body: told.set() if hung.wait(30) else None
        fail_job(node, "a")
        watch = Watch(node)
        watch.start()
        assert told.wait(30)
        told.clear()
        fail_job(node, "b")
        assert told.wait(30)  # it looks and tells on
        watch.stop()
        released.set()
        assert len(hook.came) == 1


def test_redirects_are_not_followed_and_nothing_secret_is_told(tmp_path: Path, hook: Hook) -> None:
    with hook_receiver() as other:
        hook.status, hook.headers = 307, {"Location": other.url}
        node = node_at(tmp_path, hook)
        with pytest.raises(NoticeError, match="HTTP 307") as caught:
            send_trial(node, "chat", datetime.now(UTC))
        assert other.came == []
    assert "secret" not in str(caught.value)
    (tmp_path / "secret").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"secret is empty"):
        send_trial(node, "chat", datetime.now(UTC))
    with pytest.raises(SettingsError, match="no webhook or email 'mail'; it names: chat"):
        send_trial(node, "mail", datetime.now(UTC))


@pytest.mark.parametrize(("name", "believed"), [("PACS", True), ("foreign", False), ("expired", False)])
def test_a_webhook_by_tls_must_show_a_certificate_of_our_authorities(
    tmp_path: Path, certificates: Certificates, name: str, believed: bool
) -> None:
    authority = certificates.of("PACS").authorities
    with hook_receiver(SECRET, certificates, name) as receiver:
        block = f'[[notices.webhook]]\nname = "tls"\nurl = "{receiver.url}"\nauthorities = "{authority}"'
        node = node_at(tmp_path, None, "", f'{block}\nsecret_file = "secret"')
        if believed:
            assert "went out" in send_trial(node, "tls", datetime.now(UTC))
            assert receiver.sentences() == ["trial: This is a trial: nothing is amiss."]
            return
        with pytest.raises(NoticeError, match="TLS failed; check authorities"):
            send_trial(node, "tls", datetime.now(UTC))
        assert receiver.came == []


def test_nothing_that_somebody_wrote_leaves_the_node(
    tmp_path: Path,
    hook: Hook,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A patient's name in every text that a person, a PACS, a scanner or a worker can have written."""
    caplog.set_level(logging.DEBUG)
    pacs = 'name = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
    with mail_server(certificates, "node", SECRET) as box:
        mail = mail_block(box.port, certificates)
        node = node_at(
            tmp_path, hook, "paused_minutes = 0\nbacklog = 1\nwaiting_minutes = 1e-9", mail, **{"[send.pacs]": pacs}
        )
        database = node.database
        plant(node)
        look(node)
        letter = box.letters[0].as_string()
    kinds = {item["kind"] for body in hook.came for item in body["notices"]}
    assert kinds >= {
        Kind.JOB_FAILED, Kind.RESULT_HELD, Kind.DELIVERY_PARKED, Kind.DESTINATION_DOWN, Kind.PAUSED, Kind.BACKLOG,
        Kind.PROCESS_REFUSING, Kind.COMMITMENT_UNTOLD, Kind.WAITING_LONG,
    }  # fmt: skip
    assert PLANTED in "".join(item.sentence for item in troubles_of(node, look_around(node)))  # it is there to be seen
    told = [*map(json.dumps, hook.came), letter, *(str(item) for item in notices.lasting(database))]
    said = capfd.readouterr()
    assert [text for text in [*told, caplog.text, said.out, said.err] if PLANTED in text] == []


def plant(node: Node) -> None:
    """A patient's name wherever a reason can come from."""
    database = node.database.acting_as(f"user {PLANTED}")
    fail_job(node, "a", PLANTED)
    for key, state in (("b", JobState.HELD), ("c", JobState.PARKED)):
        claim = claimed(database, queue(database, key, f"2.25.{ord(key)}"))
        jobs.end(database, claim, state, PLANTED)
    queue(database, "d", "2.25.1000")
    circuits.failed(database, "main", f"it answered {PLANTED}", 1, lambda _times: 3600)
    switches.pause(database, f"for {PLANTED}")
    workers.register(database, "gpu1/boot/77/1", "restore")
    workers.declare(database, "gpu1/boot/77/1", workers.WorkerState.REFUSING, PLANTED)
    request = commitment_requests.enter(database, CommitmentRequest("2.25.5", "CT1", (Reference("1.2", "2.25.7"),)), 0)
    switches.resume(database, PLANTED)
    taken = commitment_requests.claim(database, request, OWN, 60)
    assert taken
    commitment_requests.park(database, taken, PLANTED)
    switches.pause(database, f"for {PLANTED}")
