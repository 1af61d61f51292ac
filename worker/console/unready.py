"""Whether the console can serve: what a readiness probe asks."""

import migrations
from dicom_node.errors import LedgerError, SettingsError
from worker.wiring import Node


def unready(node: Node) -> list[str]:
    """Why not, a sentence for each reason, or nothing where it can. Whoever asks is unknown: no names, no addresses."""
    reasons = []
    try:
        if migrations.is_behind(node.database.url):
            reasons.append("ledger: its schema is older than this program: `thinslice migrate`, or start the node anew")
    except LedgerError:
        reasons.append("ledger: the database does not answer")
    except SettingsError:
        reasons.append("ledger: it is of a newer program: install that version here too")
    if not node.settings.worker.results.is_dir():
        reasons.append("results: the folder is not there; is its disk mounted?")
    return reasons
