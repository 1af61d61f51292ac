"""Commands for the audit trail: who did what, whether it is whole, and a copy that proves itself."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dicom_node.audit.check import Verdict
from dicom_node.audit.export import Form, verify_file
from dicom_node.errors import InputError
from dicom_node.ledger import browse, trail
from dicom_node.ledger.browse import AuditEntry, AuditFilter
from worker import trail_acts
from worker.cli.common import DEFAULT_CONFIG, Config, console, local, node_from

app = typer.Typer(help="The audit trail: who did what, and whether it is whole.", no_args_is_help=True)

BROKEN = 1
SHOWN = 500

Since = Annotated[str, typer.Option(help="From this moment on: 2026-11-21, or 2026-11-21T14:30, in local time.")]
Until = Annotated[str, typer.Option(help="Up to this moment.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("verify")
def verify(
    config: Config = DEFAULT_CONFIG,
    file: Annotated[Path | None, typer.Option(help="An export, instead of this node's trail.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the trail from its first row, and compare it with its anchors. Exit code 1 names the first bad row."""
    with _progress() as told:
        verdict = verify_file(file, told) if file else trail_acts.verify(node_from(config), told)
    _print_verdict(verdict, as_json)
    if verdict.fault:
        raise typer.Exit(BROKEN)


@app.command("list")
def list_rows(
    config: Config = DEFAULT_CONFIG,
    event: Annotated[str, typer.Option(help="What, for example job.held.")] = "",
    actor: Annotated[str, typer.Option(help='Who, for example "user ada".')] = "",
    subject: Annotated[str, typer.Option(help="About what, for example series:7.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """Show rows of the audit trail, newest first."""
    wanted = AuditFilter(event, actor, subject, _moment(since), _moment(until))
    found = _newest(config, wanted, limit)
    if as_json:
        for row in found:
            typer.echo(json.dumps({**vars(row), "at": row.at.isoformat(), "detail": json.loads(row.detail)}))
        return
    table = Table("row", "when", "what", "about", "who", "more", box=None)
    for row in found:
        more = ", ".join(f"{key} {value}" for key, value in json.loads(row.detail).items() if value not in ("", None))
        table.add_row(str(row.seq), local(row.at), row.event, escape(row.subject), escape(row.actor), escape(more))
    console.print(table if table.row_count else "No row like that.")


@app.command("export")
def export(
    config: Config = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option(help="A new file; without it, standard output.")] = None,
    form: Annotated[Form, typer.Option("--format", help="JSON lines or CSV.")] = Form.JSONL,
    since: Since = "",
    until: Until = "",
) -> None:
    """Write rows with their hashes, oldest first: `thinslice audit verify --file` follows them anywhere."""
    node = node_from(config)
    span = trail.span_of(node.database, _moment(since), _moment(until))
    lines = trail_acts.export_rows(node, span, form)
    if output is None:
        for line in lines:
            sys.stdout.write(line)
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from error
    console.print(f"Rows {span.first} to {span.last} are in {output}.", markup=False)


def _newest(config: Path, wanted: AuditFilter, limit: int) -> Iterator[AuditEntry]:
    """Rows page by page."""
    database, before = node_from(config).database, None
    while limit > 0 and (page := browse.audit_page(database, wanted, before, min(limit, SHOWN))):
        yield from page
        before, limit = page[-1].seq, limit - len(page)


def _print_verdict(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        fault: Any = verdict.fault and vars(verdict.fault)
        typer.echo(json.dumps({**vars(verdict), "whole": fault is None, "fault": fault}))
        return
    colour = "red" if verdict.fault else "green"
    sentence = verdict.sentence[:1].upper() + verdict.sentence[1:]
    console.print(f"[bold {colour}]{'✕' if verdict.fault else '✓'}[/] {escape(sentence)}.")


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Shows the row in hand on a terminal, and nothing elsewhere."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("following the trail", total=None)
        yield lambda seq: shown.update(task, completed=seq, description=f"row {seq}")


def _moment(text: str) -> datetime | None:
    """A moment in local time, unless it says in which. InputError where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except ValueError as error:
        raise InputError(f"{text!r} is no moment: write 2026-11-21 or 2026-11-21T14:30") from error
