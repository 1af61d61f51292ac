"""Strangers who stall, flood or lie, on real sockets: they are let go, and honest senders do not notice."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from dicom_node.receive.connections import Connections
from dicom_node.receive.pdus import INTRODUCTION_S
from tests.fuzz.targets import seeds
from tests.unit.dicom_node.receive.harness import (
    Recorder,
    associate,
    ct_slice,
    running,
    running_process,
    send,
)

STORED = 0x0000
STRANGER = "127.0.0.2"
DATA_TF, ASSOCIATE_RQ = 0x04, 0x01


@contextmanager
def stranger(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A TCP connection from another address than the honest senders'."""
    with socket.create_connection(address, timeout=15, source_address=(STRANGER, 0)) as connection:
        yield connection


def is_let_go(connection: socket.socket) -> bool:
    """Whether the listener ends the connection, in order or not, before the socket's timeout."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize(
    ("pdu_type", "reason"),
    [
        (ASSOCIATE_RQ, "a PDU claims more bytes than it may"),
        (DATA_TF, "its first message is no association request"),
        (0x47, "its first message is no association request"),  # "GET / HTTP"
    ],
)
def test_a_first_message_that_cannot_be_ends_the_connection_at_once(tmp_path: Path, pdu_type: int, reason: str):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener, stranger(listener.address) as liar:
        liar.sendall(struct.pack(">BBL", pdu_type, 0, 0xFFFFFFFF))
        began = time.monotonic()
        assert is_let_go(liar)
        assert time.monotonic() - began < INTRODUCTION_S
        assert send(listener.address, ct_slice()) == [STORED]
    assert [(each.peer_ip, each.reason) for each in told.refused] == [(STRANGER, reason)]


@pytest.mark.parametrize("pdu_type", [DATA_TF, 0x05, 0x07])
def test_a_pdu_that_claims_too_much_ends_the_association_at_once(tmp_path: Path, pdu_type: int):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        liar = associate(listener.address, bind_address=(STRANGER, 0))
        liar.dul.socket.socket.sendall(struct.pack(">BBL", pdu_type, 0, 0xFFFFFFFF))
        deadline = time.monotonic() + INTRODUCTION_S
        while liar.is_established and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not liar.is_established
        assert send(listener.address, ct_slice()) == [STORED]
    assert [each.reason for each in told.refused] == ["a PDU claims more bytes than it may"]


def test_a_pdu_that_trickles_is_let_go_at_its_deadline(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks(), network_timeout_s=2) as listener, stranger(listener.address) as slow:
        slow.sendall(struct.pack(">BBL", ASSOCIATE_RQ, 0, 200))
        began = time.monotonic()
        while select.select([slow], [], [], 0.2)[0] == [] and time.monotonic() - began < 8:
            slow.sendall(b"\0")
        assert is_let_go(slow)
        assert time.monotonic() - began < 8
    assert told.refused[0].reason == "a PDU was not whole in time"


def test_an_image_that_trickles_is_let_go_and_others_are_not_kept_waiting(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks(), maximum_instance_s=1) as listener:
        slow = associate(listener.address, bind_address=(STRANGER, 0))
        parts = [bytes(1024)] * 100
        for part in parts:
            if not slow.is_established:
                break
            slow.dul.socket.socket.sendall(fragment(slow.accepted_contexts[0].context_id, part))
            time.sleep(0.05)
        assert not slow.is_established
        assert send(listener.address, ct_slice()) == [STORED]
    assert told.refused[0].reason == "an image took longer than [receive].maximum_instance_s"


def fragment(context_id: int, content: bytes) -> bytes:
    """A P-DATA-TF PDU with one part of a data set, never the last (PS3.8 9.3.5, E.2)."""
    value = struct.pack(">LBB", len(content) + 2, context_id, 0x00) + content
    return struct.pack(">BBL", DATA_TF, 0, len(value)) + value


def test_a_peer_that_breaks_the_protocol_ends_its_own_connection_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without the guard the answer to a request that is followed by junk kills pynetdicom's thread now and then."""
    fallen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", fallen.append)
    request = next(iter(seeds("pdu")))
    with running(tmp_path) as listener:
        for _ in range(40):
            with stranger(listener.address) as rude, suppress(ConnectionError):
                rude.sendall(request + struct.pack(">BBL", 0x09, 0, 4) + request)
                rude.recv(4096)
        assert send(listener.address, ct_slice()) == [STORED]
    assert fallen == []


def test_two_hundred_idle_connections_keep_nobody_out(tmp_path: Path):
    with running(tmp_path) as listener, ExitStack() as idle:
        for _ in range(200):
            idle.enter_context(stranger(listener.address))
        began = time.monotonic()
        assert send(listener.address, *(ct_slice(number) for number in range(5))) == [STORED] * 5
        assert time.monotonic() - began < INTRODUCTION_S  # it did not wait for them to be let go


def test_idle_connections_from_everywhere_give_way_to_whoever_asks(tmp_path: Path):
    with (
        running(tmp_path, maximum_associations=4, connections_per_second_per_peer=1000) as listener,
        ExitStack() as idle,
    ):
        for number in range(60):
            source = (f"127.0.1.{number + 1}", 0)
            idle.enter_context(socket.create_connection(listener.address, timeout=5, source_address=source))
        assert send(listener.address, ct_slice()) == [STORED]


def test_memory_stays_flat_under_attack(tmp_path: Path):
    with running_process(tmp_path) as (process, port):
        listener, address = psutil.Process(process.pid), ("127.0.0.1", port)
        assert send(address, ct_slice()) == [STORED]
        before = listener.memory_info().rss
        for _ in range(300):
            with stranger(address) as liar, suppress(ConnectionError):
                liar.sendall(struct.pack(">BBL", ASSOCIATE_RQ, 0, 0xFFFFFF) + bytes(65536))
        assert send(address, ct_slice(2)) == [STORED]
        assert listener.memory_info().rss - before < 30e6
        assert listener.num_threads() < 60


def test_an_address_of_no_peer_is_closed_unread(tmp_path: Path):
    told = Recorder()
    peers = ({"ae_title": "SCANNER", "addresses": ("127.0.0.1",)},)
    with running(tmp_path, told.callbacks(), peers=peers) as listener:
        with stranger(listener.address) as other:
            assert is_let_go(other)
        assert send(listener.address, ct_slice()) == [STORED]
    assert [(each.peer_ip, each.reason) for each in told.refused] == [
        (STRANGER, "its address is in no [[receive.peers]].addresses")
    ]


def test_an_ae_title_from_another_address_is_rejected(tmp_path: Path):
    told = Recorder()
    peers = ({"ae_title": "SCANNER", "addresses": ("127.0.0.1",)}, {"ae_title": "OTHER"})
    with running(tmp_path, told.callbacks(), peers=peers) as listener:
        rejected = associate(listener.address, bind_address=(STRANGER, 0))
        assert rejected.is_rejected
        assert rejected.acceptor.primitive.diagnostic == 3
        other = associate(listener.address, calling="OTHER", bind_address=(STRANGER, 0))
        assert other.is_established
        other.release()
    assert [(each.ae_title, each.reason) for each in told.refused] == [
        ("SCANNER", "[[receive.peers]] says that SCANNER has other addresses")
    ]


def test_a_flood_of_refusals_is_told_once(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks(), peers=({"ae_title": "CT1"},)) as listener:
        for _ in range(5):
            assert associate(listener.address).is_rejected
    assert [each.times for each in told.refused] == [1]


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_of_connections_from_one_address_is_slowed_and_another_is_not():
    clock = Clock()
    connections = Connections((), 1000, 1000, per_second=5, clock=clock)
    refused = [connections.refusal(socket.socket(), ("10.0.0.1", port), "10.0.0.1") for port in range(12)]
    assert [bool(reason) for reason in refused] == [False] * 10 + [True] * 2
    assert not connections.refusal(socket.socket(), ("10.0.0.2", 1), "10.0.0.2")
    clock.now = 1.0
    again = [connections.refusal(socket.socket(), ("10.0.0.1", port), "10.0.0.1") for port in range(20, 26)]
    assert [bool(reason) for reason in again] == [False] * 5 + [True]
