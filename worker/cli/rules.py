"""Commands that show the rules, and try them on files before a scanner does."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.plans import Plan
from dicom_node.records import SliceHeader
from dicom_node.series.headers import Refusals, by_series, read_files, read_folder
from worker import trial
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, find_series, node_from, print_json, settings_from
from worker.console import answers
from worker.settings import Settings
from worker.trial import Tried, action, describe, try_series, whole

app = typer.Typer(no_args_is_help=True, help="Which series are restored, how and where to.")


@app.command("test")
def try_rules(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", help="DICOM files, or folders of them.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    ae_title: Annotated[str, typer.Option(help="The AE title of whoever would send them.")] = "",
    series: Annotated[str, typer.Option(help="Instead of files: number or UID of a series of the ledger.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say which rule decides over each stack of these files, what it does, and why no earlier one does.

    Nothing is sent or entered anywhere. It shows a header's value where a condition does not hold.
    """
    settings = settings_from(config)
    if series:
        node = node_from(config)
        headers, refusals, ae_title = trial.read_series(node, find_series(node, series).id)
    else:
        headers, refusals = _read(paths or [])
    if not headers:
        raise InputError("there is no DICOM image among these files; name others")
    tried = [stack for group in by_series(headers).values() for stack in try_series(group, settings, ae_title)]
    if as_json:
        left_out = [{"file": str(path), "reason": reason} for path, reason in refusals]
        typer.echo(
            json.dumps({"stacks": [trial.as_json(item, settings) for item in tried], "left_out": left_out}, indent=1)
        )
        return
    for path, reason in refusals:
        console.print(f"[yellow]left out[/] {escape(path.name)}: {escape(reason)}")
    for item in tried:
        _show(item, settings)


@app.command("list")
def list_rules(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the rules in the order in which they are asked."""
    settings = settings_from(config)
    if as_json:
        print_json(answers.rules_of(settings.rules))
        return
    table = Table("rule", "for", "does", box=None)
    for rule in settings.rules:
        wanted = rule.model_dump(exclude_defaults=True, exclude={"name", "restore", "priority", *asdict(Plan())})
        conditions = ", ".join(f"{key} {_value(value)}" for key, value in wanted.items())
        table.add_row(escape(rule.name), escape(conditions or "every series"), escape(action(rule, settings)))
    console.print(table if settings.rules else "There are no rules: what can be restored is, and goes everywhere.")


def _read(paths: Sequence[Path]) -> tuple[list[SliceHeader], Refusals]:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} does not exist")
    read = [read_folder(path) if path.is_dir() else read_files([path]) for path in paths]
    return [header for headers, _ in read for header in headers], [item for _, refused in read for item in refused]


def _show(item: Tried, settings: Settings) -> None:
    label = f" {item.verdict.label}" if item.verdict.label else ""
    console.print(f"[bold]series {item.series_uid}[/]{escape(label)}, {len(item.verdict.slices)} slices")
    state, reason = item.outcome
    rule = item.decision.rule if item.decision else None
    if reason:
        console.print(f"  [yellow]{state}[/]: {escape(reason)}")
    elif rule is None:
        console.print(f"  [green]{state}[/] {escape(describe(whole(Plan(), settings)))}: there are no rules")
    else:
        console.print(f"  [green]{state}[/] {escape(action(rule, settings))}: the rule {escape(repr(rule.name))}")
    for passed in item.decision.passed_over if item.decision else ():
        console.print(f"  not {escape(repr(passed.rule))}: {escape(passed.why)}")


def _value(value: object) -> str:
    return " or ".join(value) if isinstance(value, tuple) else str(value).lower()
