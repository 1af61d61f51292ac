"""A process that tells what there is to tell: ``python -m tests.unit.worker.notices.one_teller <settings>``."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from worker.notices.telling import tell
from worker.settings import load
from worker.wiring import open_node


def main(settings: Path) -> None:
    node = open_node(load(settings), "clock")
    for channel in node.settings.notices.channels:
        tell(node, channel, datetime.now(UTC))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
