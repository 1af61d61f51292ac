"""Retention: what is settled goes after its time, or early where a disk fills up.

First the ledger says so, then files go. A power cut between the two is made good by the next sweep; nothing is removed
that the ledger has not given up.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from dicom_node import crash, durable
from dicom_node.ledger import purging
from worker.wiring import Node

log = structlog.get_logger()

DAY_S = 86400.0
# What was settled just now stays a while even where a disk is full: late images of the series may be on their way.
EARLY_S = 600.0
AT_ONCE = 20


def sweep(node: Node, now: datetime) -> None:
    """Remove what was decided before, what is past its time, and what a full disk cannot keep."""
    remove_decided(node)
    keep = node.settings.retention
    if keep.results_days:
        reason = f"settled for {keep.results_days:g} days"
        _purge_results(node, keep.results_days * DAY_S, reason)
        _early(node, node.settings.worker.results, lambda: _purge_results(node, EARLY_S, "the disk is filling up"))
    if keep.spool_days:
        reason = f"settled for {keep.spool_days:g} days"
        _purge_series(node, keep.spool_days * DAY_S, reason)
        filling = "the disk is filling up"
        _early(node, node.settings.receive.spool, lambda: _purge_series(node, EARLY_S, filling, early=True))
    if keep.quarantine_days:
        _empty_quarantine(node.settings.receive.spool / "quarantine", now - timedelta(days=keep.quarantine_days))


def remove_decided(node: Node) -> None:
    """Remove the files that the ledger has given up.

    Raises
    ------
    OSError
        A file cannot be removed; the next sweep tries again.
    """
    for job_id, folder in purging.results_to_remove(node.database).items():
        if Path(folder).exists():
            shutil.rmtree(folder)
        crash.point("retention.removed")
        purging.result_removed(node.database, job_id)
    for series_id, paths in purging.files_to_remove(node.database).items():
        _unlink(Path(path) for path in paths)
        crash.point("retention.removed")
        purging.files_removed(node.database, series_id)


def result_folder(node: Node, job_key: str) -> Path:
    """Where every worker of a job writes."""
    return node.settings.worker.results / job_key[:32]


def _purge_results(node: Node, settled_for_s: float, reason: str) -> int:
    """Let one batch of results go; returns how many."""
    due = purging.results_due(node.database, settled_for_s, AT_ONCE)
    done = [
        item.job_id
        for item in due
        if purging.purge_result(node.database, item.job_id, str(result_folder(node, item.job_key)), reason)
    ]
    _remove(node, "results", len(done), reason)
    return len(done)


def _purge_series(node: Node, settled_for_s: float, reason: str, *, early: bool = False) -> int:
    """Let the images of one batch of series go; returns how many series."""
    due = purging.series_due(node.database, settled_for_s, AT_ONCE, early=early)
    done = [series_id for series_id in due if purging.purge_series(node.database, series_id, reason, early=early)]
    _remove(node, "series", len(done), reason)
    return len(done)


def _remove(node: Node, what: str, count: int, reason: str) -> None:
    if count:
        crash.point("retention.decided")
        remove_decided(node)
        log.info("removed after its time", what=what, count=count, reason=reason)


def _early(node: Node, folder: Path, purge: Callable[[], int]) -> None:
    """Purge batch after batch until the disk has room, or nothing is left that may go."""
    keep = node.settings.retention
    allowed = node.settings.receive.disk_full_percent - keep.early_percent
    while keep.early_percent and filled_percent(folder) > allowed:
        if not purge():
            return


def filled_percent(folder: Path) -> float:
    """How full a folder's disk is, as df says: blocks reserved for root are neither used nor free."""
    disk = shutil.disk_usage(folder)
    return 100 * disk.used / (disk.used + disk.free)


def _empty_quarantine(folder: Path, before: datetime) -> None:
    old = [path for path in folder.glob("*") if durable.modified_at(path.stat()) < before]
    _unlink(old)
    if old:
        log.info("removed from quarantine after its time", count=len(old))


def _unlink(paths: Iterable[Path]) -> None:
    folders = set()
    for path in paths:
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in folders:
        with contextlib.suppress(OSError):  # other files are in it, or it is gone
            folder.rmdir()
