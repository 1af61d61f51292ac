"""Commands by which an admin acts on a running node. Each is entered in the audit trail with who and why."""

import time
from pathlib import Path
from typing import Annotated

import typer

import migrations
from dicom_node.derive.manifest import load_series
from dicom_node.ledger import acts, claims, deliveries, purging, queries, receipts, switches
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState, SeriesState
from worker import retention
from worker.cli.common import DEFAULT_CONFIG, Config, SeriesKey, console, find_series, node_from, settings_from
from worker.wiring import Node

Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
WhyAsked = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.", prompt="Why")]
ASKED = "an admin asked for it"
LOOK_S = 0.5
SEND_AGAIN = (JobState.RESTORED, JobState.SENT, JobState.PARKED)


def retry(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Try a series again: failed and cancelled jobs go on, parked results are sent, held stacks judged anew."""
    node = node_from(config)
    view = find_series(node, series)
    found = queries.jobs_of(node.database, view.id)
    acted = [sentence for job in found for sentence in _retry_job(node, job, reason)]
    if any(job.state in (JobState.HELD, JobState.SKIPPED) for job in found):
        receipts.reopen(node.database, view.id, reason)
        acted.append("its held and skipped stacks are judged anew")
    console.print("; ".join(acted) if acted else f"Series {view.id} has nothing to retry.")


def cancel(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Stop the jobs of a series, waiting or running; what a PACS has already stays there. `retry` takes it back."""
    node = node_from(config)
    view = find_series(node, series)
    done = [job.id for job in queries.jobs_of(node.database, view.id) if acts.cancel(node.database, job.id, reason)]
    console.print(
        "; ".join(f"job {number} is cancelled" for number in done) or f"Series {view.id} has nothing to stop."
    )


def release(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "") -> None:
    """Send a result that the node holds because it doubts it. `show` says why; look at it first."""
    node = node_from(config)
    view = find_series(node, series)
    done = [job.id for job in _doubted(node, view.id) if _release(node, job, reason)]
    sentences = [f"job {number} is released" for number in done]
    console.print("; ".join(sentences) or f"Series {view.id} has no result that is held.")


def reject(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "") -> None:
    """Decide that a result that the node holds because it doubts it is not sent. `retry` restores it anew."""
    node = node_from(config)
    view = find_series(node, series)
    done = [job.id for job in _doubted(node, view.id) if acts.reject(node.database, job.id, reason)]
    sentences = [f"job {number} is rejected" for number in done]
    console.print("; ".join(sentences) or f"Series {view.id} has no result that is held.")


def prioritise(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
    priority: Annotated[int, typer.Option(help="A higher one goes first; 0 is usual.", min=0, max=9)] = 1,
    reason: Reason = ASKED,
) -> None:
    """Have a series restored and sent before the others (STAT)."""
    node = node_from(config)
    view = find_series(node, series)
    found = queries.jobs_of(node.database, view.id)
    done = [job.id for job in found if acts.prioritise(node.database, job.id, priority, reason)]
    sentences = [f"job {number} has priority {priority}" for number in done]
    console.print("; ".join(sentences) or f"Series {view.id} has no job that waits.")


def purge(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
    reason: WhyAsked = "",
    yes: Yes = False,
) -> None:
    """Remove a series' images and results from this node, confirmed by a PACS or not; its jobs are cancelled."""
    node = node_from(config)
    view = find_series(node, series)
    if view.state == SeriesState.RECEIVING:
        console.print(f"Images of series {view.id} still arrive: purge it once it is complete.")
        raise typer.Exit(1)
    found = queries.jobs_of(node.database, view.id)
    for job in found:
        console.print(f"job {job.id}: {job.state}, {job.slices} slices", highlight=False)
    if not yes:
        typer.confirm(f"Remove {view.instances} received images and what was made of them?", abort=True)
    _purge(node, view.id, [job.id for job in found], reason)
    console.print(f"Series {view.id} is removed from this node.")


def drain(
    config: Config = DEFAULT_CONFIG,
    reason: Reason = ASKED,
    wait: Annotated[bool, typer.Option("--wait", help="Return once nothing is under way any more.")] = False,
) -> None:
    """Begin no new job and no new delivery, for maintenance; images are still received. `resume` goes on."""
    node = node_from(config)
    if not switches.pause(node.database, reason):
        console.print("The node is paused already.")
    under_way = claims.under_way(node.database)
    if wait and not under_way.nothing:
        with console.status("") as line:
            while not (under_way := claims.under_way(node.database)).nothing:
                line.update(f"waiting for {under_way.jobs} jobs and {under_way.deliveries} deliveries to end")
                time.sleep(LOOK_S)
    console.print(
        "Nothing is under way, and nothing new begins before `thinslice resume`."
        if under_way.nothing
        else f"{under_way.jobs} jobs and {under_way.deliveries} deliveries are under way; nothing new begins."
    )


def resume(config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Go on after `drain`."""
    resumed = switches.resume(node_from(config).database, reason)
    console.print("The node works again." if resumed else "The node was not paused.")


def migrate(
    config: Config = DEFAULT_CONFIG,
    to: Annotated[str, typer.Option("--to", help="Revision, for example 0001; the newest by default.")] = "head",
    yes: Yes = False,
) -> None:
    """Bring the ledger's schema to this program's, or back to an older program's: stop the node first."""
    settings = settings_from(config)
    if migrations.is_back(settings.ledger.url, to):
        if not yes:
            typer.confirm(f"Go back to {to}? What only newer programs keep is lost; take a backup first.", abort=True)
        migrations.downgrade(settings.ledger.url, to)
    else:
        migrations.upgrade(settings.ledger.url, to)
    console.print(f"The ledger's schema is at revision {migrations.revision(settings.ledger.url) or 'none'}.")


def _doubted(node: Node, series_id: int) -> list[JobView]:
    """Jobs of a series whose result is held."""
    return [job for job in queries.jobs_of(node.database, series_id) if job.state == JobState.HELD and job.result]


def _release(node: Node, job: JobView, reason: str) -> bool:
    uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
    return acts.release(node.database, job.id, uids, node.goes_to(job.plan), reason)


def _retry_job(node: Node, job: JobView, reason: str) -> list[str]:
    if acts.retry(node.database, job.id, reason):
        return [f"job {job.id} goes on" if job.result else f"job {job.id} is queued again"]
    if job.state not in SEND_AGAIN:
        return []
    known = queries.deliveries_of(node.database, job.id)
    acted = [
        f"job {job.id} is sent to {item.destination} again"
        if item.state == "parked"
        else f"{item.destination} is asked"
        for item in known
        if deliveries.retry(node.database, item.id, reason)
    ]
    new = sorted(set(node.goes_to(job.plan)) - {item.destination for item in known})
    if new:
        uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
        deliveries.add(node.database, job.id, new, uids)
    return acted + [f"job {job.id} is sent to {name}" for name in new]


def _purge(node: Node, series_id: int, job_ids: list[int], reason: str) -> None:
    for job_id in job_ids:
        acts.cancel(node.database, job_id, reason)
    for item in purging.results_of(node.database, series_id):
        folder = str(retention.result_folder(node, item.job_key))
        purging.purge_result(node.database, item.job_id, folder, reason)
    purging.purge_series(node.database, series_id, reason, by_person=True)
    retention.remove_decided(node)


COMMANDS = {
    "retry": retry, "cancel": cancel, "release": release, "reject": reject, "prioritise": prioritise, "purge": purge,
    "drain": drain, "resume": resume, "migrate": migrate,
}  # fmt: skip
