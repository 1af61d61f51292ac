"""/metrics, its alert rules and its dashboard, judged by promtool and read by a real Prometheus."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from dicom_node.ledger import circuits, jobs, notices, refusals, workers
from dicom_node.ledger.notices import Amiss
from dicom_node.ledger.states import JobState
from dicom_node.records import Refusal
from tests.house.files import ROOT
from tests.processes import HOST, answers, find_program, free_port, running
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from tests.waiting import until
from worker.console.facts import now
from worker.console.metrics import exposed
from worker.console.serving import ConsoleServer
from worker.console.tally import Tally
from worker.wiring import Node

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "thinslice.json"
NAME = re.compile(r"thinslice_[a-z_]+")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def busy(tmp_path: Path) -> Node:
    """A node with something of everything."""
    pacs = '[[send.pacs]]\nname = "main"\nae_title = "P"\nhost = "127.0.0.1"\nport = 1'
    node = open_at(tmp_path, console='port = 0\nmetrics_from = ["127.0.0.1"]', send=pacs)
    workers.register(node.database, "host/boot/1/1", "node")
    jobs.restored(node.database, claimed(node.database, queue(node.database)), result(), {}, ["main"])
    circuits.failed(node.database, "main", "away", 1, lambda _times: 3600)
    return node


def samples(node: Node, tally: Tally) -> dict[str, float]:
    """Every sample of /metrics, by its name and labels as they are written."""
    content, _ = exposed(now(node), tally.count(node.database))
    lines = [line for line in content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def promtool(*arguments: str, given: bytes = b"") -> str:
    """What promtool says; AssertionError where it finds fault."""
    done = subprocess.run([find_program("promtool"), *arguments], input=given, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def test_promtool_and_openmetrics_find_no_fault_with_it(busy: Node) -> None:
    content, kind = exposed(now(busy), Tally().count(busy.database))
    assert kind.startswith("text/plain; version=0.0.4")
    assert promtool("check", "metrics", given=content).strip() == ""
    content, kind = exposed(now(busy), Tally().count(busy.database), OPENMETRICS)
    assert kind.startswith(OPENMETRICS)
    families = {family.name: family for family in parse_openmetrics(content.decode())}
    assert families["thinslice_destination_up"].samples[0].value == 0
    assert families["thinslice_time_to_derived_last_day_seconds"].type == "gaugehistogram"
    assert families["thinslice_disk_used_ratio"].unit == "ratio"


def test_counters_go_on_and_are_the_same_after_a_restart(busy: Node) -> None:
    tally = Tally()
    before = samples(busy, tally)
    claim = claimed(busy.database, queue(busy.database, "b", "2.25.2"))
    jobs.end(busy.database, claim, JobState.FAILED, "our mistake")
    refusals.record(busy.database, [Refusal("10.0.0.1", "X", "unknown", 3)])
    after = samples(busy, tally)
    counters = [name for name in before if name.partition("{")[0].endswith("_total")]
    assert [name for name in counters if after[name] < before[name]] == []
    assert after['thinslice_job_moves_total{state="failed"}'] == 1
    assert after["thinslice_associations_refused_total"] == 3
    assert after["thinslice_series_received_total"] == before["thinslice_series_received_total"] + 1
    again = samples(busy, Tally())
    assert {name: again[name] for name in counters} == {name: after[name] for name in counters}


def test_times_are_counted_in_buckets(busy: Node) -> None:
    found = samples(busy, Tally())
    name = "thinslice_time_to_derived_last_day_seconds"
    assert found[f'{name}_bucket{{le="30.0"}}'] == found[f'{name}_bucket{{le="+Inf"}}'] == found[f"{name}_gcount"] == 1
    assert 0 <= found[f"{name}_gsum"] < 30


def test_the_rules_are_well_formed_and_do_what_their_tests_say() -> None:
    assert "20 rules found" in promtool("check", "rules", str(RULES / "thinslice.rules.yml"))
    promtool("check", "config", str(RULES / "prometheus.yml"))
    promtool("test", "rules", str(RULES / "thinslice.test.yml"))


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    rules, tests = ((RULES / f"thinslice.{name}.yml").read_text(encoding="utf-8") for name in ("rules", "test"))
    alerts = re.findall(r"alert: (\w+)", rules)
    fired = re.findall(r"alertname: (\w+)\n\s+exp_alerts", tests)
    assert set(alerts) == set(fired)
    assert len(re.findall("summary: ", rules)) == len(re.findall("action: ", rules)) == len(alerts)


def expressions() -> list[str]:
    """Every query of the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [query.replace("$instance", ".*") for query in queries]


def test_rules_and_dashboard_name_only_what_there_is(busy: Node) -> None:
    content, _ = exposed(now(busy), Tally().count(busy.database))
    there = {sample.name for family in parse_text(content.decode()) for sample in family.samples}
    texts = [*expressions(), *re.findall(r"expr: (.*(?:\n {10,}.*)*)", (RULES / "thinslice.rules.yml").read_text())]
    named = {name for text in texts for name in NAME.findall(text)}
    assert len(named) > 20
    assert named - there == set()


def test_prometheus_reads_the_console_and_an_alert_fires(busy: Node, tmp_path: Path) -> None:
    notices.note(busy.database, [Amiss("audit_broken", "", "bad", "The audit trail is broken.", "/audit")])
    server, port, folder = ConsoleServer(busy), free_port(), tmp_path / "prometheus"
    folder.mkdir()
    config = (RULES / "prometheus.yml").read_text(encoding="utf-8").replace("30s", "1s")
    config = config.replace("127.0.0.1:8042", server.local_url.removeprefix("http://"))
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    (folder / "thinslice.rules.yml").write_bytes((RULES / "thinslice.rules.yml").read_bytes())
    url = f"http://{HOST}:{port}"
    command = [
        find_program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={HOST}:{port}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]  # fmt: skip
    server.start()
    try:
        with running(command, folder, lambda: answers(f"{url}/-/ready")):
            target = until("a target that is up", lambda: asked(url, "targets", "activeTargets", "health", "up"), 60)
            assert target["labels"]["job"] == "thinslice"
            alert = until("an alert", lambda: asked(url, "alerts", "alerts", "state", "firing"), 60)
            assert alert["labels"]["alertname"] == "ThinsliceAuditBroken"
            assert [query for query in expressions() if not understood(url, query)] == []
    finally:
        server.stop()


def asked(url: str, what: str, key: str, name: str, wanted: str) -> dict[str, Any] | None:
    """The first thing that Prometheus tells of which something is so."""
    with urllib.request.urlopen(f"{url}/api/v1/{what}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"][key]
    return next((item for item in found if item[name] == wanted), None)


def understood(url: str, query: str) -> bool:
    """Whether Prometheus can answer a query."""
    body = f"query={urllib.parse.quote(query)}".encode()
    with urllib.request.urlopen(f"{url}/api/v1/query", body, timeout=10) as answer:
        return bool(json.load(answer)["status"] == "success")


def test_a_console_that_is_not_ready_says_why(stranger: Visitor, node: Node) -> None:
    assert (stranger.get("/readyz").status, stranger.get("/readyz").text) == (200, "ready\n")
    node.settings.worker.results.rmdir()
    answer = stranger.get("/readyz")
    assert (answer.status, answer.text) == (503, "not ready\nresults: the folder is not there; is its disk mounted?\n")
    node.settings.worker.results.mkdir()
    with node.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert "its schema is older than this program" in stranger.get("/readyz").text
    with node.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    answer = stranger.get("/readyz")
    assert (answer.status, "of a newer program" in answer.text) == (503, True)
    assert stranger.get("/healthz").status == 200
