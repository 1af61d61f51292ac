"""Several listeners on one port with one PostgreSQL ledger, and the clock apart from them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, SettingsError
from dicom_node.ledger import queries, receipts
from dicom_node.send.scu import echo
from dicom_node.settings import SendSettings
from tests.nodes import AE_TITLE, HOST, SCANNER_AE, Node
from tests.phantom import chest, write_dicom
from tests.processes import free_port
from tests.servers import Pacs
from tests.unit.dicom_node.receive.harness import associate, running
from tests.waiting import until, until_state
from worker.settings import load

# By its full path: pynetdicom brings another program of the same name.
STORESCU = "/usr/bin/storescu"


def answers(port: int) -> bool:
    """A listener on this port answers a C-ECHO."""
    try:
        echo(Destination("node", AE_TITLE, HOST, port, storage_commitment=False), SCANNER_AE, SendSettings())
    except DestinationError:
        return False
    return True


def connections(process: "subprocess.Popen[bytes]", port: int) -> int:
    """How many senders a listener serves."""
    found = psutil.Process(process.pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in found)


def storescu(port: int, images: list[Path]) -> bool:
    """Send with DCMTK; False where an image was not acknowledged."""
    command = [STORESCU, "-R", "-xe", "-aec", AE_TITLE, "-aet", "CT1", HOST, str(port), *map(str, images)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False).returncode == 0


@pytest.fixture
def node(tmp_path: Path, postgres_url: str, qrscp_server: Pacs) -> Node:
    """Settings for listeners that share a port; started by the test."""
    # What a killed listener had not entered yet, the clock's scan finds before the series counts as complete.
    extra = {"receive": "share_port = true", "series": "quiet_s = 40.0", "worker": "rescan_s = 2.0"}
    node = Node(tmp_path / "node", qrscp_server, ledger_url=postgres_url, extra=extra)
    node.write_settings()
    return node


@pytest.fixture
def parts(node: Node) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Two listeners and a clock."""
    parts = {name: node.run(name.split("-")[0], log=node.log) for name in ("listen-1", "listen-2", "clock")}
    try:
        listening = [name for name in parts if name.startswith("listen")]
        until("a listener answers", lambda: answers(node.port))
        until("both listen", lambda: node.log.read_text().count("thinslice listens") == len(listening))
        yield parts
    finally:
        for part in parts.values():
            part.terminate()
        assert {name: part.wait(60) for name, part in parts.items() if name != "listen-1"} == {
            "listen-2": 0,
            "clock": 0,
        }
        parts["listen-1"].wait(60)


@pytest.mark.faults
@pytest.mark.slow
def test_one_series_from_four_senders_through_two_listeners_of_which_one_is_killed(
    node: Node, parts: dict[str, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Row 26 with DCMTK, and row 5 with a listener that lives on: one job of all slices, nothing lost or doubled."""
    images = write_dicom(chest(shape=(61, 96, 96), pixel_mm=3.6).thick, tmp_path / "input", seed=26)
    served = [associate((HOST, node.port)) for _ in range(8)]
    assert all(each.is_established for each in served)
    assert connections(parts["listen-1"], node.port)
    assert connections(parts["listen-2"], node.port)
    for each in served:
        each.release()
    with ThreadPoolExecutor(4) as senders:
        sent = [senders.submit(storescu, node.port, images[start::4]) for start in range(4)]
        until("something has arrived", lambda: len(list(node.spool.glob("series/*/*.dcm"))))
        parts["listen-1"].kill()
        failed = [start for start, each in enumerate(sent) if not each.result()]
    for start in failed:
        assert storescu(node.port, images[start::4])
    job = until_state(node, "verified")
    ledger = node.ledger()
    assert (job.slices, [view.state for view in queries.jobs(ledger)]) == (len(images), ["verified"])
    assert receipts.known_paths(ledger) == {str(path) for path in node.spool.glob("series/*/*.dcm")}
    ledger.close()


def test_a_listener_alone_takes_images_without_a_clock_or_a_network(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", None, network="best", extra={"engine": f'weights = "{tmp_path}/absent"'})
    node.write_settings()
    images = write_dicom(chest(shape=(21, 48, 48), pixel_mm=7.2).thick, tmp_path / "input")
    listener = node.run("listen", log=node.log)
    try:
        until("the listener answers", lambda: answers(node.port))
        assert storescu(node.port, images)
        ledger = node.ledger()
        until("the ledger has them", lambda: len(receipts.known_paths(ledger)) == len(images))
        ledger.close()
    finally:
        listener.terminate()
        assert listener.wait(60) == 0


def test_sharing_a_port_is_refused_on_sqlite(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[receive]\nshare_port = true\n")
    with pytest.raises(SettingsError, match=r"\[receive\].share_port .* need one PostgreSQL ledger"):
        load(settings)


def test_sharing_a_port_needs_a_port(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[receive\].share_port needs a port of its own"):
        running(tmp_path, share_port=True, port=0).__enter__()


@pytest.mark.skipif(sys.platform != "linux", reason="SO_REUSEPORT deals out connections on Linux")
def test_only_listeners_that_say_so_share_a_port(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path / "a", share_port=True, port=port):
        with running(tmp_path / "b", share_port=True, port=port):
            pass
        with pytest.raises(SettingsError, match=f"port {port} is in use"):
            running(tmp_path / "c", port=port).__enter__()
    with running(tmp_path / "d", port=port), pytest.raises(SettingsError, match=f"port {port} is in use"):
        running(tmp_path / "e", share_port=True, port=port).__enter__()
