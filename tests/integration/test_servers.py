"""The servers that other tests rely on start, answer and stop."""

import os
from pathlib import Path

import psycopg
import pytest
import redis
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests import servers


def _echo(pacs: servers.Pacs, calling_ae: str) -> int | None:
    ae = AE(calling_ae)
    ae.add_requested_context(Verification)
    association = ae.associate(pacs.host, pacs.port, ae_title=pacs.ae_title)
    if not association.is_established:
        return None
    try:
        return association.send_c_echo().Status
    finally:
        association.release()


def test_orthanc_answers_our_node_and_nobody_else(orthanc_server: servers.Pacs):
    assert _echo(orthanc_server, orthanc_server.node_ae) == 0x0000
    assert _echo(orthanc_server, "STRANGER") is None


def test_qrscp_answers(qrscp_server: servers.Pacs):
    assert _echo(qrscp_server, "ANYONE") == 0x0000


def test_storescp_answers(storescp_server: servers.Pacs):
    assert _echo(storescp_server, "ANYONE") == 0x0000


def test_redis_keeps_a_value(redis_url: str):
    client = redis.Redis.from_url(redis_url)
    client.set("bell", "rung")
    assert client.get("bell") == b"rung"


def test_postgres_gives_each_test_an_empty_database(postgres_url: str):
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_a_server_is_gone_after_its_block(tmp_path: Path):
    with servers.storescp(tmp_path) as pacs:
        number = pacs.pid
        os.kill(number, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_missing_program_says_how_to_install_it():
    with pytest.raises(servers.ServerError, match="make system"):
        servers.find_program("no-such-server")


def test_a_taken_port_is_refused(tmp_path: Path, storescp_server: servers.Pacs):
    taken = storescp_server.port
    with pytest.raises(servers.ServerError, match=f"port {taken} is in use"), servers.storescp(tmp_path, port=taken):
        pass


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path):
    title = "LONGER-THAN-SIXTEEN-LETTERS"
    with pytest.raises(servers.ServerError, match="qrscp ended with"), servers.qrscp(tmp_path, ae_title=title):
        pass
