"""Named places between durable steps where a fault test can have the process killed; in service nothing is armed.

``python -m pytest tests/faults`` arms one place after the other: the process that reaches it dies by SIGKILL as in a
power cut, is started again, and the promises must still hold.
"""

import os
import signal
from pathlib import Path

POINTS = (
    "spool.part-written",  # the bytes are synced under their temporary name
    "spool.renamed",  # the final name is there, its folder not yet synced
    "spool.stored",  # on disk for good, the sender not yet answered
    "receipts.taken",  # taken from the queue, not yet in the ledger
    "receipts.entered",  # in the ledger
    "judge.decided",  # verdicts are made, the ledger does not know
    "judge.entered",  # jobs are in the ledger, no bell has rung
    "restore.claimed",
    "restore.computed",  # thin slices are in memory alone
    "restore.part-written",  # the result is synced under its temporary name
    "restore.renamed",  # under its final name, the ledger does not know
    "restore.recorded",
    "deliver.claimed",
    "deliver.one-stored",  # the PACS has an instance more than the ledger knows
    "deliver.all-stored",  # the PACS has everything, the delivery is not yet sent
    "deliver.transaction-kept",  # the ledger knows the commitment transaction, the PACS does not
    "deliver.commitment-asked",
    "commitment.reported",  # the PACS has reported, the ledger does not know
    "commitment.entered",
    "commitment.asked",  # the ledger has a scanner's request, the scanner is not answered
    "commitment.decided",  # the ledger knows what the node commits to, the scanner does not
    "commitment.told",  # the scanner knows, the ledger does not know that it does
    "verify.answered",  # the PACS was asked by query, the ledger does not know
    "retention.decided",  # the ledger says purged, the files are there
    "retention.removed",
    "quarantine.stored",  # a file of the quarantine was tried again and is in the spool, the ledger does not know
    "quarantine.entered",  # the ledger knows, the file is in quarantine still
    "quarantine.noted",  # the audit trail says removed, the file is in quarantine still
)

_armed: tuple[str, Path] | None = None


def arm(place: str, mark: Path) -> None:
    """Die at ``place``, once: ``mark`` is made first, and where it exists nothing happens.

    Raises
    ------
    ValueError
        No place has that name.
    """
    global _armed
    if place not in POINTS:
        raise ValueError(f"no crash point {place!r}: one of {', '.join(POINTS)}")
    _armed = place, mark


def point(place: str) -> None:
    """Die here if armed for this place."""
    if _armed is None or _armed[0] != place:
        return
    try:
        _armed[1].touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
