"""From a queued job to a stored result: load the voxels, restore, derive, and keep the files before anyone is told."""

import contextlib
import shutil
import time
from collections.abc import Callable, Set
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from dicom_node import crash, durable
from dicom_node.derive.writer import write_series
from dicom_node.errors import GeometryError, LedgerError, NodeError, StaleFence, StorageError, UnreadableInstance
from dicom_node.ledger import jobs, models, queries
from dicom_node.ledger.jobs import Claim
from dicom_node.ledger.states import JobState
from dicom_node.plans import Plan
from dicom_node.records import DerivedSeries, SeriesHeld, SeriesSkipped, SliceHeader, ThickSeries
from dicom_node.series.headers import data_set_digest, read_header
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from sr_engine.errors import DeviceLost, EngineError, WeightsUnavailable
from sr_engine.inference.restore import restore
from sr_engine.settings import EngineSettings
from sr_engine.volume import ThinVolume
from worker.doubt import why_held
from worker.owner import this_owner
from worker.retry import Fate, after_restore_error
from worker.steps.heartbeat import heartbeat
from worker.wiring import Node, engine_of

log = structlog.get_logger()

# Where the minutes of a job go, for its progress bar: reading, restoring, writing.
READ_SHARE, RESTORE_SHARE = 0.05, 0.7
REPLACED = "the weights were replaced during this restoration: restart the node and its workers"
ENDS = {Fate.HOLD: JobState.HELD, Fate.FAIL: JobState.FAILED, Fate.PARK: JobState.PARKED}


class Progress:
    """How far a job is, 0 to 1; written by the work, read by the heartbeat."""

    def __init__(self) -> None:
        self.value = 0.0

    def between(self, start: float, end: float) -> Callable[[int, int], None]:
        """A callback ``(done, total)`` that moves from ``start`` to ``end``."""

        def report(done: int, total: int) -> None:
            self.value = start + (end - start) * done / max(total, 1)

        return report


def restore_next(node: Node, model_digests: Set[str], on_claim: Callable[[Claim], None]) -> bool:
    """Claim the most urgent due job for one of these models and bring it to ``restored``.

    Parameters
    ----------
    on_claim : callable
        Told of the claim before the work begins.

    Returns
    -------
    bool
        False when there was nothing to claim or the job did not get there.

    Raises
    ------
    DeviceLost
        The GPU does not answer: the job is settled, this process can do no more.
    """
    claim = _claim(node, model_digests)
    if claim is None:
        return False
    on_claim(claim)
    structlog.contextvars.bind_contextvars(job=claim.job_id, series=claim.series_id)
    crash.point("restore.claimed")
    progress = Progress()
    try:
        with heartbeat(node, lambda: jobs.beat(node.database, claim, node.settings.ledger.lease_s, progress.value)):
            _restore(node, claim, progress)
    except StaleFence:
        log.warning("job was taken over, its work is dropped", job=claim.job_id, fence=claim.fence)
        shutil.rmtree(_part(node, claim), ignore_errors=True)
        return False
    except Exception as error:  # whatever it is must end in a named state
        _settle(node, claim, error)
        if isinstance(error, DeviceLost):
            raise
        return False
    log.info("job restored", job=claim.job_id, fence=claim.fence)
    return True


def _claim(node: Node, model_digests: Set[str]) -> Claim | None:
    """The most urgent job that no other worker was quicker to claim."""
    while (job_id := models.most_urgent(node.database, model_digests)) is not None:
        claim = jobs.claim(node.database, job_id, this_owner(), node.settings.ledger.lease_s)
        if claim is not None:
            return claim
    return None


def _restore(node: Node, claim: Claim, progress: Progress) -> None:
    started = time.monotonic()
    thick = _thick_series(node, claim)
    volume = load_volume(thick, node.settings.series, progress.between(0, READ_SHARE))
    thin = restore(volume, _engine(node, claim), progress.between(READ_SHARE, RESTORE_SHARE))
    crash.point("restore.computed")
    if thin.model.digest != claim.model_digest:
        raise WeightsUnavailable(REPLACED)
    result = _store(node, claim, thick, thin, progress.between(RESTORE_SHARE, 1))
    figures = _figures(thin, time.monotonic() - started)
    doubt = why_held(thin, node.settings.worker)
    jobs.restored(node.database, claim, result, figures, node.goes_to(claim.plan), doubt)
    crash.point("restore.recorded")


def _engine(node: Node, claim: Claim) -> EngineSettings:
    """The settings of the model that the job is for, whichever name leads to it now."""
    network = next((name for name, model in node.runnable.items() if model.digest == claim.model_digest), None)
    if network is None:
        raise WeightsUnavailable(REPLACED)
    return engine_of(node.settings, Plan(network, claim.plan.target_spacing_mm))


def _thick_series(node: Node, claim: Claim) -> ThickSeries:
    """The stack of this job, judged again from its own files."""
    match judge([_read(Path(path), sha256) for path, sha256 in claim.source_paths], node.settings.series):
        case (ThickSeries() as thick,):
            return thick
        case (SeriesHeld(reason=reason) | SeriesSkipped(reason=reason), *_):
            raise GeometryError(reason)
        case verdicts:
            raise GeometryError(f"the images of this job form {len(verdicts)} stacks, not one")


def _read(path: Path, sha256: str) -> SliceHeader:
    """Header of a received file, whose bytes must still be those that were acknowledged."""
    try:
        intact = data_set_digest(path) == sha256
    except FileNotFoundError as error:
        raise StorageError(f"{path} is gone from the spool; have the series sent again") from error
    if not intact:
        raise UnreadableInstance(f"{path.name} was damaged on disk since it was received; have the series sent again")
    return read_header(path, sha256)


def _store(
    node: Node, claim: Claim, thick: ThickSeries, thin: ThinVolume, progress: Callable[[int, int], None]
) -> DerivedSeries:
    """Write under ``<fence>.part``, then rename: a result folder without that ending is whole."""
    part = _part(node, claim)
    _remove_older(part.parent, claim.fence)
    try:
        part.mkdir(parents=True, mode=0o700)
        now = datetime.now().astimezone()  # the hospital's wall clock, as scanners write it
        settings = node.settings.derive
        replaced = queries.replaced_by(node.database, claim.job_id) if settings.reject_superseded else ()
        written = write_series(thick, thin, claim.job_key, settings, part, now, progress, replaced)
        crash.point("restore.part-written")
        final = part.with_suffix("")
        part.rename(final)
        durable.sync_folder(final.parent)
        crash.point("restore.renamed")
    except OSError as error:
        raise StorageError(f"the result could not be written: {error.strerror or error}") from error
    return replace(written, folder=final)


def _remove_older(folder: Path, fence: int) -> None:
    """Remove what earlier claims left; never a later one's, should this worker have been asleep."""
    for result in folder.glob("*"):
        if int(result.name.partition(".")[0]) <= fence:
            shutil.rmtree(result, ignore_errors=True)


def _part(node: Node, claim: Claim) -> Path:
    return node.settings.worker.results / claim.job_key[:32] / f"{claim.fence}.part"


def _figures(thin: ThinVolume, seconds: float) -> dict[str, Any]:
    spacing = thin.volume.spacing_mm[0]
    return {
        "ratio": thin.ratio, "spacing_mm": round(spacing, 4), "model": thin.model.title, "learned": thin.model.learned,
        "seconds": round(seconds, 2), "check": asdict(thin.check), "device": thin.device, "tile": thin.tile,
        "doubts": list(thin.doubts),
    }  # fmt: skip


def _settle(node: Node, claim: Claim, error: Exception) -> None:
    """Put a job whose work raised into the state that the error asks for."""
    decision = after_restore_error(error, claim.attempt, node.settings.worker.attempts, node.settings.send)
    expected = isinstance(error, NodeError | EngineError)
    log.warning(
        "job not restored",
        job=claim.job_id,
        fate=decision.fate.value,
        error=type(error).__name__,
        exc_info=not expected,
    )
    reason = str(error) if expected else f"unexpected {type(error).__name__}: see the log of job {claim.job_id}"
    with contextlib.suppress(LedgerError):  # the lease ends by itself if the ledger is away
        if decision.fate is Fate.AGAIN:
            jobs.give_back(node.database, claim, reason, decision.wait_s)
        else:
            jobs.end(node.database, claim, ENDS[decision.fate], reason)
