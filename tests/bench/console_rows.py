"""How long each page of the console takes with a million series in PostgreSQL, beside an empty ledger.

``python -m tests.bench.console_rows tests/bench/results/console.json``; ``ROWS`` in the environment for fewer, and
``TIMES`` for more or fewer requests to each.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from dicom_node.ledger.users import Role
from tests import servers
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from worker.console.serving import ConsoleServer
from worker.wiring import Node

RULES = '[[rules]]\nname = "sharp"\nkernel = "B7*"\n\n[[rules]]\nname = "chest"\nbody_part = "CHEST*"'
SORTS = ("number", "-number", "last", "-last", "duration", "-duration", "state", "-state", "scanner", "-scanner")
FILTERS = (
    "state=verified", "state=failed", "state=queued", "state=cancelled", "calling_ae=CT3", "destination=main",
    "destination=cloud", "model=tvsrn_v2", "model=cubic", "rule=head", "feedback=rejected", "since={day}",
    "until={day}", "since={day}&until={day}", "text=4999", "text=1.2.826.0.1.3680043.8.498.4999", "text=2.25.4999",
    "text=1.2.", "text=9.9", "state=verified&calling_ae=CT3", "state=failed&calling_ae=CT3&destination=main",
    "model=cubic&calling_ae=CT3&since={day}",
)  # fmt: skip
PATHS = (
    "/", "/series", "/series?before=5000", "/series?after=5000", "/series/4999", "/held", "/workers", "/partners",
    "/audit", "/audit?event=job.failed", "/notices", "/feedback", "/rules", "/tokens", "/me", "/api", "/api/now",
    "/api/series", "/metrics",
)  # fmt: skip
TIMES = int(os.environ.get("TIMES", "20"))
# One series every 30 s; one job each, most of them verified; one of 2,000 failed or held; three audit rows each. One of
# 5,000 was restored by interpolation, for a rule of its own, and sent elsewhere.
# Somebody said what they think of one in fifty.
FILL = """
INSERT INTO series (id, series_uid, study_uid, calling_ae, state, revision, instances, released, first_heard_at,
                    last_heard_at, due_at)
SELECT n, '1.2.826.0.1.3680043.8.498.' || n, '2.25.' || n, 'CT' || n % 7, 'complete', 1, 60, true, at, at, at
FROM (SELECT n, now() - make_interval(secs => ({rows} - n) * 30) AS at FROM generate_series(1, {rows}) AS n) AS numbers;
INSERT INTO job (id, job_key, series_id, revision, label, state, reason, slices, model_name, rule, model_digest,
                 progress, result, thin_slices, figures, seconds, priority, created_at, updated_at, fence, attempt,
                 deaths, due_at)
SELECT id, md5(id::text) || md5(id::text), id, 1, '',
       CASE WHEN id % 2000 = 0 THEN 'failed' WHEN id % 2000 = 1 THEN 'held' WHEN id > {rows} - 20 THEN 'queued'
            ELSE 'verified' END,
       '', 60, CASE WHEN id % 5000 = 7 THEN 'cubic' ELSE 'tvsrn_v2' END,
       CASE WHEN id % 5000 = 7 THEN 'head' WHEN id % 10 = 0 THEN 'sharp' ELSE 'chest' END,
       md5(''), 1, '/results/' || id, 296, '{{"seconds": 60}}', id::bigint * 7919 % 60000 / 1000.0, 0, last_heard_at,
       last_heard_at + interval '3 minutes', 1, 1, 0, last_heard_at FROM series;
INSERT INTO delivery (id, job_id, destination, state, reason, verified_by, updated_at, fence, attempt, deaths, due_at)
SELECT id, id, CASE WHEN model_name = 'cubic' THEN 'cloud' ELSE 'main' END, 'verified',
       '', 'C-FIND', updated_at, 1, 1, 0, updated_at FROM job WHERE state = 'verified';
INSERT INTO delivery_instance (delivery_id, sop_uid, stored) SELECT id, '2.25.' || id, true FROM delivery;
INSERT INTO audit (at, actor, event, subject, detail, previous_hash, hash)
SELECT updated_at, 'worker', 'job.' || e, 'job:' || id, '{{}}', md5(''), md5(id::text) || e
FROM job, unnest(ARRAY['running', 'restored', 'verified']) AS e;
INSERT INTO feedback (job_id, series_id, at, day, actor, verdict, reason, remark, calling_ae, model_name, model_digest,
                      latest)
SELECT job.id, series_id, job.updated_at, to_char(job.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'user ada',
       CASE WHEN job.id % 500 = 3 THEN 'rejected' ELSE 'accepted' END,
       CASE WHEN job.id % 500 = 3 THEN 'noise' ELSE '' END, '', calling_ae, model_name, model_digest, true
FROM job JOIN series ON series.id = series_id WHERE job.id % 50 = 3;
SELECT setval(pg_get_serial_sequence('series', 'id'), {rows});
"""


def fill(node: Node, rows: int) -> None:
    """Enter so many series."""
    with node.database.transaction() as connection:
        for statement in FILL.format(rows=rows).strip().split(";\n"):
            connection.execute(text(statement))
    with node.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))  # else the filling is still being written while pages are measured


def paths(rows: int) -> list[str]:
    """Every page, and that of series by every order and filter, also far from its beginning."""
    day = datetime.now(UTC).date() - timedelta(seconds=rows * 30 // 2)
    narrowed = [item.format(day=day) for item in FILTERS]
    deep = [f"sort=last&before={day}T12:00:00%2B00:00_{rows // 2}", f"sort=duration&before=30.0_{rows // 2}",
            f"sort=state&before=verified_{rows // 2}", f"sort=scanner&before=CT3_{rows // 2}",
            f"sort=state&after=skipped_{rows // 2}"]  # fmt: skip
    crossed = [f"sort={order}&{item}" for order in ("last", "duration", "state", "scanner") for item in narrowed]
    asked = [*(f"sort={order}" for order in SORTS), *deep, *narrowed, *crossed]
    return [*PATHS, *(f"/series?{item}" for item in asked), *(f"/api/series?{item}" for item in deep)]


def milliseconds(visitor: Visitor, asked: list[str]) -> dict[str, float]:
    """95th percentile of each page, in ms, after one look that fills the caches."""
    found = {}
    for path in asked:
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
        node = open_at(Path(folder), postgres.url, RULES, console="port = 0")
        server = ConsoleServer(node)
        server.start()
        visitor = enter(node, server, Role.VIEWER)
        asked = paths(rows)
        empty = milliseconds(visitor, asked)
        fill(node, rows)
        full = milliseconds(visitor, asked)
        server.stop()
        node.database.close()
    pages = {path: {"empty_p95_ms": empty[path], "full_p95_ms": full[path]} for path in asked}
    output.write_text(json.dumps({"rows": rows, "requests": TIMES, "pages": pages}, indent=1) + "\n")
    for path, taken in sorted(pages.items(), key=lambda item: -item[1]["full_p95_ms"]):
        print(f"{taken['empty_p95_ms']:8.1f} {taken['full_p95_ms']:8.1f} ms  {path}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(os.environ.get("ROWS", "1000000")))
