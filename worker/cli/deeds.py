"""Commands by which an admin acts on series, one or many. Each is entered in the audit trail with who and why."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.errors import InputError
from dicom_node.ledger.browse import SeriesFilter
from dicom_node.ledger.states import JobState
from worker import acts, again, bulk, exporting
from worker.acts import ASKED, Act
from worker.cli.common import (
    DEFAULT_CONFIG,
    Config,
    Reason,
    SeriesKey,
    WhyAsked,
    Yes,
    console,
    find_series,
    node_from,
)
from worker.deeds import DEEDS, MOST_URGENT, WIDEST_MM
from worker.wiring import Node

LEFT = 1
Keys = Annotated[
    list[str] | None, typer.Argument(metavar="[SERIES]...", help="Numbers of series, or beginnings of their UIDs.")
]
State = Annotated[
    JobState | None, typer.Option(help=f"Every series with a job in this state, {bulk.MOST} at the most; asks first.")
]


def retry(
    series: Keys = None, state: State = None, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED, yes: Yes = False
) -> None:
    """Try series again: failed and cancelled jobs go on, parked results are sent, held stacks judged anew."""
    _act("retry", acts.retry, series, state, config, reason, yes=yes)


def cancel(
    series: Keys = None, state: State = None, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED, yes: Yes = False
) -> None:
    """Stop the jobs of series, waiting or running; what a PACS has already stays there. `retry` takes it back."""
    _act("cancel", acts.cancel, series, state, config, reason, yes=yes)


def release(
    series: Keys = None, state: State = None, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "", yes: Yes = False
) -> None:
    """Send results that the node holds because it doubts them. `show` says why; look at them first."""
    _act("release", acts.release, series, state, config, reason, yes=yes)


def reject(
    series: Keys = None, state: State = None, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "", yes: Yes = False
) -> None:
    """Decide that results that the node holds because it doubts them are not sent. `retry` restores them anew."""
    _act("reject", acts.reject, series, state, config, reason, yes=yes)


def prioritise(
    series: Keys = None,
    state: State = None,
    config: Config = DEFAULT_CONFIG,
    priority: Annotated[int, typer.Option(help="A higher one goes first; 0 is usual.", min=0, max=MOST_URGENT)] = 1,
    reason: Reason = ASKED,
    yes: Yes = False,
) -> None:
    """Have series restored and sent before the others (STAT)."""
    _act("prioritise", partial(acts.prioritise, priority=priority), series, state, config, reason, yes=yes)


def complete(series: Keys = None, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "", yes: Yes = False) -> None:
    """Wait for no more images of series that still arrive: judge them now as they are. Later images are judged anew."""
    _act("complete", acts.complete, series, None, config, reason, yes=yes, asks=True)


def restore_again(
    network: Annotated[str, typer.Option(help="Name of the network; `thinslice check` lists those of the settings.")],
    series: Keys = None,
    state: State = None,
    config: Config = DEFAULT_CONFIG,
    target_spacing: Annotated[
        float | None, typer.Option(metavar="MM", min=0.05, max=WIDEST_MM, help="Wanted distance of thin slices.")
    ] = None,
    reason: Reason = ASKED,
    yes: Yes = False,
) -> None:
    """Restore series with another network: another derived series, which takes the place of the one that is there."""
    act = partial(again.restore_again, network=network, target_spacing_mm=target_spacing)
    _act("again", act, series, state, config, reason, yes=yes, asks=True)


def resend(
    to: Annotated[str, typer.Option("--to", help="Name of the destination in the settings.")],
    series: Keys = None,
    state: State = None,
    config: Config = DEFAULT_CONFIG,
    reason: Reason = ASKED,
    yes: Yes = False,
) -> None:
    """Send results to one destination, once more or for the first time; the same images under the same UIDs."""
    _act("resend", partial(again.resend, to=to), series, state, config, reason, yes=yes, asks=True)


def export(
    series: SeriesKey,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    config: Config = DEFAULT_CONFIG,
    reason: WhyAsked = "",
) -> None:
    """Copy what was made of a series to a folder. The files name the patient: keep them as you keep the images."""
    node = node_from(config)
    found = exporting.results_of(node, find_series(node, series).id)
    count = exporting.copy_to(node, found, folder, reason)
    console.print(f"{count} files are in {escape(str(folder))}. They name the patient: keep them accordingly.")


def _act(
    name: str,
    act: Act,
    keys: Sequence[str] | None,
    state: JobState | None,
    config: Path,
    reason: str,
    *,
    yes: bool,
    asks: bool = False,
) -> None:
    """Do it to one series; ask before many, and before what cannot be taken back. Exit code 1 where any is left."""
    node = node_from(config)
    numbers = _numbers(node, keys or [], state)
    if (len(numbers) > 1 or asks) and not yes:
        _ask(node, name, numbers)
    done = bulk.do(node, act, numbers, reason)
    console.print(done.sentence, markup=False)
    if done.left and len(numbers) > 1:
        raise typer.Exit(LEFT)


def _numbers(node: Node, keys: Sequence[str], state: JobState | None) -> list[int]:
    if bool(keys) == (state is not None):
        raise InputError("name the series, or give their state by --state; `thinslice jobs` lists them")
    if state is not None:
        return bulk.matching(node, SeriesFilter(state=str(state)))
    return bulk.checked([find_series(node, key).id for key in keys])


def _ask(node: Node, name: str, numbers: Sequence[int]) -> None:
    """Show what would be touched and what would be left, and why; then ask."""
    deed, preview = DEEDS[name], bulk.preview(node, name, numbers)
    if preview.touched:
        console.print(f"touched, {len(preview.touched)}: series {', '.join(map(str, preview.numbers))}")
    if preview.left:
        console.print(f"left, {len(preview.left)}: {bulk.named(preview.left)}", markup=False)
    if not preview.touched:
        raise typer.Exit(LEFT)
    question = deed.question or f"{deed.title}?"
    typer.confirm(question, abort=True)


COMMANDS = {
    "retry": retry, "cancel": cancel, "release": release, "reject": reject, "prioritise": prioritise,
    "complete": complete, "restore-again": restore_again, "resend": resend, "export": export,
}  # fmt: skip
