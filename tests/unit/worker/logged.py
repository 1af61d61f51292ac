"""Lines in a node's log, as its processes write them."""

import json
import logging
from datetime import UTC, datetime

from worker.log_files import LogFile
from worker.wiring import Node


def say(node: Node, event: str, level: str = "info", process: str = "node", **numbers: object) -> None:
    """Have a process say something."""
    assert node.settings.worker.logs
    line = {"event": event, "level": level, "timestamp": datetime.now(UTC).isoformat(), "process": process, **numbers}
    file = LogFile(node.settings.worker.logs, process, 1_000_000, 2)
    file.handle(logging.makeLogRecord({"msg": json.dumps(line)}))
    file.close()
