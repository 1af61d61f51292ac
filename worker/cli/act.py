"""Commands by which an admin acts on a running node. Each is entered in the audit trail with who and why."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import migrations
from dicom_node.ledger import acts as decisions
from dicom_node.ledger import claims, purging, queries, switches
from dicom_node.ledger.states import SeriesState
from worker import acts, retention
from worker.acts import ASKED
from worker.cli.common import DEFAULT_CONFIG, Config, SeriesKey, console, find_series, node_from, settings_from
from worker.wiring import Node

Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
WhyAsked = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.", prompt="Why")]
LOOK_S = 0.5


def retry(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Try a series again: failed and cancelled jobs go on, parked results are sent, held stacks judged anew."""
    _act(acts.retry, series, config, reason)


def cancel(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Stop the jobs of a series, waiting or running; what a PACS has already stays there. `retry` takes it back."""
    _act(acts.cancel, series, config, reason)


def release(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "") -> None:
    """Send a result that the node holds because it doubts it. `show` says why; look at it first."""
    _act(acts.release, series, config, reason)


def reject(series: SeriesKey, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "") -> None:
    """Decide that a result that the node holds because it doubts it is not sent. `retry` restores it anew."""
    _act(acts.reject, series, config, reason)


def prioritise(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
    priority: Annotated[int, typer.Option(help="A higher one goes first; 0 is usual.", min=0, max=9)] = 1,
    reason: Reason = ASKED,
) -> None:
    """Have a series restored and sent before the others (STAT)."""
    _act(partial(acts.prioritise, priority=priority), series, config, reason)


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


def _act(act: acts.Act, series: str, config: Path, reason: str) -> None:
    node = node_from(config)
    console.print(act(node, find_series(node, series).id, reason))


def _purge(node: Node, series_id: int, job_ids: list[int], reason: str) -> None:
    for job_id in job_ids:
        decisions.cancel(node.database, job_id, reason)
    for item in purging.results_of(node.database, series_id):
        folder = str(retention.result_folder(node, item.job_key))
        purging.purge_result(node.database, item.job_id, folder, reason)
    purging.purge_series(node.database, series_id, reason, by_person=True)
    retention.remove_decided(node)


COMMANDS = {
    "retry": retry, "cancel": cancel, "release": release, "reject": reject, "prioritise": prioritise, "purge": purge,
    "drain": drain, "resume": resume, "migrate": migrate,
}  # fmt: skip
