"""The same facts for programs."""

import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from dicom_node.ledger import jobs
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from worker.console.serving import ConsoleServer
from worker.wiring import Node


def test_now_and_series_are_what_the_pages_show(viewer: Visitor, node: Node) -> None:
    jobs.restored(node.database, claimed(node.database, queue(node.database)), result(), {"seconds": 1}, ["main"])
    now = json.loads(viewer.get("/api/now").text)
    assert now["counts"]["restored"] == 1
    assert now["oldest"]["unverified"]["series_id"] == 1
    (one,) = json.loads(viewer.get("/api/series?state=restored").text)["series"]
    assert (one["state"], one["jobs"][0]["deliveries"][0]["total"]) == ("restored", 3)
    full = json.loads(viewer.get("/api/series/1").text)
    assert [step["name"] for step in full["jobs"][0]["steps"]][:3] == ["first image", "last image", "complete"]
    assert len(full["instances"]) == 4
    assert "/spool" not in json.dumps(full)
    assert json.loads(viewer.get("/api/audit?event=job.restored").text)["rows"][0]["subject"] == "job:1"
    assert viewer.get("/api/series/9").status == 404


def test_metrics_are_for_those_that_the_settings_name(stranger: Visitor, node: Node, tmp_path: Path) -> None:
    queue(node.database)
    answer = stranger.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {sample.labels["state"]: sample.value for sample in families["thinslice_jobs"].samples}["queued"] == 1
    assert families["thinslice_paused"].samples[0].value == 0
    assert families["thinslice_oldest_waiting_seconds"].samples[0].value > 0
    assert families["thinslice_scanner_last_heard_timestamp_seconds"].samples[0].labels == {"ae_title": "CT1"}
    assert stranger.get("/metrics", **{"X-Forwarded-For": "10.0.0.9"}).status == 403
    folder = tmp_path / "other"
    folder.mkdir()
    server = ConsoleServer(open_at(folder, console='port = 0\nmetrics_from = ["10.0.0.0/8"]'))
    server.start()
    assert Visitor(server).get("/metrics").status == 403
    server.stop()


def test_alive_and_ready(stranger: Visitor) -> None:
    assert stranger.get("/healthz").text == "ok\n"
    assert stranger.get("/readyz").text == "ready\n"
