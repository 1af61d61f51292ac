"""The command that fetches earlier series from a PACS."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dicom_node.retrieve.question import Question, Source
from worker import priors, pulling
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, node_from
from worker.cli.complete import destinations
from worker.log_files import begin
from worker.priors import Planned
from worker.pulling import Outcome
from worker.wiring import Node

INCOMPLETE = 1
said = Console(stderr=True, highlight=False, soft_wrap=True)


def pull(
    pacs: Annotated[
        str, typer.Argument(help="Name of a PACS or DICOMweb service in the settings.", autocompletion=destinations)
    ],
    patient_id: Annotated[str, typer.Option("--patient-id", help="Patient ID; it is neither logged nor kept.")] = "",
    study: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    series: Annotated[str, typer.Option(help="Series Instance UID, beside what names its study.")] = "",
    accession: Annotated[str, typer.Option(help="Accession Number.")] = "",
    date: Annotated[str, typer.Option(help="Study Date: 20240131, or 20240101-20240131.")] = "",
    description: Annotated[
        str, typer.Option(metavar="PATTERN", help="Part of its description; * and ? may stand.")
    ] = "",
    modality: Annotated[str, typer.Option(help="Modality.")] = "CT",
    by: Annotated[
        Literal["get", "move", "dicomweb"] | None,
        typer.Option(help="How; by default a PACS by C-GET where it offers that, else by C-MOVE to this running node."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch also what is here already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what there is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Fetch earlier series from a PACS to restore them. Shows what there is, and asks, before anything is fetched."""
    question = Question(patient_id, study, series, accession, date, modality, description)
    node = node_from(config)
    begin(node.settings.worker, "pull")
    source = priors.source(node, pacs, by or "")
    planned = priors.plan(node, source, question, again=again)
    wanted = [item for item in planned if not item.skip]
    if not as_json:
        _show(planned)
    if dry_run or not wanted or not (yes or _is_agreed(wanted)):
        _tell(as_json, planned, [])
        return
    outcomes = _fetch(node, source, wanted, quiet=as_json)
    _tell(as_json, planned, outcomes)
    if len(outcomes) < len(wanted) or any(item.missing for item in outcomes):
        raise typer.Exit(INCOMPLETE)


def _show(planned: list[Planned]) -> None:
    """A table without names: whose they are, the person at the keyboard has said."""
    if not planned:
        console.print("The PACS has nothing like that.")
        return
    table = Table("study date", "study", "series", "modality", "images", "", box=None)
    for item in planned:
        row = item.series
        images = str(len(item.images) or row.images or "")
        texts = (row.study_date, row.study_description, row.description, row.modality, images, item.skip)
        table.add_row(*map(escape, texts))
    console.print(table)
    if all(item.skip for item in planned):
        console.print("Nothing of it is to be fetched.")


def _is_agreed(wanted: list[Planned]) -> bool:
    images, megabytes = sum(len(item.images) for item in wanted), sum(item.megabytes for item in wanted)
    return typer.confirm(f"Pull {len(wanted)} series, {images} images, about {megabytes:.0f} MB?", err=True)


def _fetch(node: Node, source: Source, wanted: list[Planned], *, quiet: bool) -> list[Outcome]:
    columns = (TextColumn("fetching"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=said, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=sum(len(item.images) for item in wanted))
        return list(pulling.pull(node, source, wanted, lambda count: progress.advance(task, count)))


def _tell(as_json: bool, planned: list[Planned], outcomes: list[Outcome]) -> None:
    if as_json:
        found = [asdict(item.series) | {"asked": len(item.images), "skip": item.skip} for item in planned]
        told = [asdict(item) | {"missing": item.missing} for item in outcomes]
        typer.echo(json.dumps({"found": found, "pulled": told}, indent=2))
        return
    for item in outcomes:
        mark = "[yellow]!![/]" if item.missing else "[green]ok[/]"
        missing = f", {item.missing} missing" if item.missing else ""
        console.print(f"{mark}  series {item.series_uid}: {item.came} of {item.asked} images{missing}")
        for reason in item.reasons:
            console.print(f"    {escape(reason)}")
    wanted = sum(not item.skip for item in planned)
    if outcomes and len(outcomes) < wanted:
        console.print(f"[yellow]!![/]  {wanted - len(outcomes)} more series were not begun: run it again")


COMMANDS = {"pull": pull}
