"""How long each page of the console takes with a million series in PostgreSQL, beside an empty ledger.

``python -m tests.bench.console_rows tests/bench/results/console.json``; ``ROWS`` in the environment for fewer.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from dicom_node.ledger.users import Role
from tests import servers
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from worker.console.serving import ConsoleServer
from worker.wiring import Node

PATHS = (
    "/", "/series", "/series?state=verified", "/series?state=failed", "/series?calling_ae=CT3", "/series?before=5000",
    "/series?state=verified&calling_ae=CT3", "/series/4999", "/held", "/workers", "/partners", "/audit",
    "/audit?event=job.failed", "/notices", "/api/now", "/api/series", "/metrics",
)  # fmt: skip
TIMES = 20
# One series every 30 s; one job each, most of them verified; one of 2,000 failed or held; three audit rows each.
FILL = """
INSERT INTO series (id, series_uid, study_uid, calling_ae, state, revision, instances, released, first_heard_at,
                    last_heard_at, due_at)
SELECT n, '1.2.826.0.1.3680043.8.498.' || n, '2.25.' || n, 'CT' || n % 7, 'complete', 1, 60, true, at, at, at
FROM (SELECT n, now() - make_interval(secs => ({rows} - n) * 30) AS at FROM generate_series(1, {rows}) AS n) AS numbers;
INSERT INTO job (id, job_key, series_id, revision, label, state, reason, slices, model_name, model_digest, progress,
                 result, thin_slices, figures, priority, created_at, updated_at, fence, attempt, deaths, due_at)
SELECT id, md5(id::text) || md5(id::text), id, 1, '',
       CASE WHEN id % 2000 = 0 THEN 'failed' WHEN id % 2000 = 1 THEN 'held' WHEN id > {rows} - 20 THEN 'queued'
            ELSE 'verified' END,
       '', 60, 'tvsrn_v2', md5(''), 1, '/results/' || id, 296, '{{"seconds": 60}}', 0, last_heard_at,
       last_heard_at + interval '3 minutes', 1, 1, 0, last_heard_at FROM series;
INSERT INTO delivery (id, job_id, destination, state, reason, verified_by, updated_at, fence, attempt, deaths, due_at)
SELECT id, id, 'main', 'verified', '', 'C-FIND', updated_at, 1, 1, 0, updated_at FROM job WHERE state = 'verified';
INSERT INTO delivery_instance (delivery_id, sop_uid, stored) SELECT id, '2.25.' || id, true FROM delivery;
INSERT INTO audit (at, actor, event, subject, detail, previous_hash, hash)
SELECT updated_at, 'worker', 'job.' || e, 'job:' || id, '{{}}', md5(''), md5(id::text) || e
FROM job, unnest(ARRAY['running', 'restored', 'verified']) AS e;
SELECT setval(pg_get_serial_sequence('series', 'id'), {rows});
"""


def fill(node: Node, rows: int) -> None:
    """Enter so many series."""
    with node.database.transaction() as connection:
        for statement in FILL.format(rows=rows).strip().split(";\n"):
            connection.execute(text(statement))
    with node.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def milliseconds(visitor: Visitor) -> dict[str, float]:
    """95th percentile of each page, in ms, after one look that fills the caches."""
    found = {}
    for path in PATHS:
        taken = []
        for _ in range(TIMES + 1):
            started = time.perf_counter()
            answer = visitor.get(path)
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status != 200 and "4999" not in path:
                raise RuntimeError(f"{path}: {answer.status} {answer.text[-300:]}")
        found[path] = round(statistics.quantiles(taken[1:], n=20)[-1], 1)
    return found


def main(output: Path, rows: int) -> None:
    """Measure both, and say so."""
    with tempfile.TemporaryDirectory() as folder, servers.postgres(Path(folder) / "pg") as postgres:
        node = open_at(Path(folder), postgres.url, console="port = 0")
        server = ConsoleServer(node)
        server.start()
        visitor = enter(node, server, Role.VIEWER)
        empty = milliseconds(visitor)
        fill(node, rows)
        full = milliseconds(visitor)
        server.stop()
        node.database.close()
    pages = {path: {"empty_p95_ms": empty[path], "full_p95_ms": full[path]} for path in PATHS}
    output.write_text(json.dumps({"rows": rows, "requests": TIMES, "pages": pages}, indent=1) + "\n")
    print(output.read_text())  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(os.environ.get("ROWS", "1000000")))
