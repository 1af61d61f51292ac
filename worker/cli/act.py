"""Commands by which an admin removes what the node holds, or changes its schema."""

from typing import Annotated

import typer

import migrations
from dicom_node.ledger import acts as decisions
from dicom_node.ledger import purging, queries
from dicom_node.ledger.states import SeriesState
from worker import retention
from worker.cli.common import (
    DEFAULT_CONFIG,
    Config,
    SeriesKey,
    WhyAsked,
    Yes,
    console,
    find_series,
    node_from,
    settings_from,
)
from worker.wiring import Node


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


def _purge(node: Node, series_id: int, job_ids: list[int], reason: str) -> None:
    for job_id in job_ids:
        decisions.cancel(node.database, job_id, reason)
    for item in purging.results_of(node.database, series_id):
        folder = str(retention.result_folder(node, item.job_key))
        purging.purge_result(node.database, item.job_id, folder, reason)
    purging.purge_series(node.database, series_id, reason, by_person=True)
    retention.remove_decided(node)


COMMANDS = {"purge": purge, "migrate": migrate}
