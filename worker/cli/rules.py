"""Commands that show the rules, and try them on files before a scanner does."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.plans import Plan
from dicom_node.records import SeriesHeld, SeriesSkipped, SliceHeader, StackVerdict, ThickSeries
from dicom_node.series.headers import Refusals, by_series, read_files, read_folder
from dicom_node.series.judge import judge
from dicom_node.series.rules import Decision, decide, plan_of
from dicom_node.settings import RuleSettings
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, describe, print_json, settings_from
from worker.console import answers
from worker.settings import Settings, destination_names
from worker.wiring import engine_of

app = typer.Typer(no_args_is_help=True, help="Which series are restored, how and where to.")


@dataclass(frozen=True)
class Tried:
    """What would become of one stack; without a decision where rules are not asked, because of its verdict."""

    series_uid: str
    verdict: StackVerdict
    decision: Decision | None


@app.command("test")
def try_rules(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files, or folders of them.")],
    config: Config = DEFAULT_CONFIG,
    ae_title: Annotated[str, typer.Option(help="The AE title of whoever would send them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which rule decides over each stack of these files, what it does, and why no earlier one does.

    Nothing is sent or entered anywhere. It shows a header's value where a condition does not hold.
    """
    settings = settings_from(config)
    headers, refusals = _read(paths)
    if not headers:
        raise InputError("there is no DICOM image among these files; name others")
    tried = [stack for group in by_series(headers).values() for stack in _try(group, settings, ae_title)]
    if as_json:
        left_out = [{"file": str(path), "reason": reason} for path, reason in refusals]
        typer.echo(json.dumps({"stacks": [_as_json(item, settings) for item in tried], "left_out": left_out}, indent=1))
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
        table.add_row(escape(rule.name), escape(conditions or "every series"), escape(_action(rule, settings)))
    console.print(table if settings.rules else "There are no rules: what can be restored is, and goes everywhere.")


def _read(paths: Sequence[Path]) -> tuple[list[SliceHeader], Refusals]:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} does not exist")
    read = [read_folder(path) if path.is_dir() else read_files([path]) for path in paths]
    return [header for headers, _ in read for header in headers], [item for _, refused in read for item in refused]


def _try(group: Sequence[SliceHeader], settings: Settings, ae_title: str) -> Iterator[Tried]:
    """The stacks of one series."""
    for verdict in judge(group, settings.series):
        decision = decide(settings.rules, verdict, ae_title) if isinstance(verdict, ThickSeries) else None
        yield Tried(group[0].series_instance_uid, verdict, decision)


def _outcome(item: Tried) -> tuple[str, str]:
    """State of the job and the reason."""
    match item.verdict:
        case SeriesHeld(reason=reason):
            return "held", reason
        case SeriesSkipped(reason=reason):
            return "skipped", reason
    reason = item.decision.reason if item.decision else ""
    return "skipped" if reason else "restored", reason


def _show(item: Tried, settings: Settings) -> None:
    label = f" {item.verdict.label}" if item.verdict.label else ""
    console.print(f"[bold]series {item.series_uid}[/]{escape(label)}, {len(item.verdict.slices)} slices")
    state, reason = _outcome(item)
    rule = item.decision.rule if item.decision else None
    if reason:
        console.print(f"  [yellow]{state}[/]: {escape(reason)}")
    elif rule is None:
        console.print(f"  [green]{state}[/] {escape(describe(_whole(Plan(), settings)))}: there are no rules")
    else:
        console.print(f"  [green]{state}[/] {escape(_action(rule, settings))}: the rule {escape(repr(rule.name))}")
    for passed in item.decision.passed_over if item.decision else ():
        console.print(f"  not {escape(repr(passed.rule))}: {escape(passed.why)}")


def _as_json(item: Tried, settings: Settings) -> dict[str, Any]:
    state, reason = _outcome(item)
    shown = {"series_uid": item.series_uid, "label": item.verdict.label, "slices": len(item.verdict.slices)}
    shown |= {"state": state, "reason": reason}
    if item.decision is not None:
        shown["rule"] = item.decision.name
        shown["passed_over"] = [asdict(passed) for passed in item.decision.passed_over]
    if item.decision is not None and state == "restored":
        rule = item.decision.rule
        shown |= asdict(_whole(item.decision.plan, settings)) | {"priority": rule.priority if rule else "normal"}
    return shown


def _action(rule: RuleSettings, settings: Settings) -> str:
    if not rule.restore:
        return "not restored"
    return describe(_whole(plan_of(rule), settings)) + (", before others" if rule.priority == "stat" else "")


def _whole(plan: Plan, settings: Settings) -> Plan:
    """The plan with what it leaves to the settings."""
    engine = engine_of(settings, plan)
    names = destination_names(settings) if plan.destinations is None else plan.destinations
    return Plan(engine.network, engine.target_spacing_mm, names)


def _value(value: object) -> str:
    return " or ".join(value) if isinstance(value, tuple) else str(value).lower()
