"""Commands by which an admin has the node, one worker or one destination rest, and go on."""

import time
from typing import Annotated

import typer

from dicom_node.errors import InputError
from dicom_node.ledger import claims, switches, workers
from worker.acts import ASKED
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, Reason, console, node_from, print_json
from worker.console import answers
from worker.wiring import Node

LOOK_S = 0.5
Worker = Annotated[str, typer.Option(metavar="HOST/PID", help="Only this process; `thinslice workers` lists them.")]
To = Annotated[str, typer.Option("--to", metavar="NAME", help="Only deliveries to this destination.")]


def drain(
    config: Config = DEFAULT_CONFIG,
    reason: Reason = ASKED,
    worker: Worker = "",
    to: To = "",
    wait: Annotated[bool, typer.Option("--wait", help="Return once nothing is under way any more.")] = False,
) -> None:
    """Begin no new job and no new delivery, for maintenance; images are still received. `resume` goes on."""
    node = node_from(config)
    if worker or to:
        if wait:
            raise InputError("--wait is for the whole node")
        _drain_part(node, worker, to, reason)
        return
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


def resume(config: Config = DEFAULT_CONFIG, reason: Reason = ASKED, worker: Worker = "", to: To = "") -> None:
    """Go on after `drain`."""
    node = node_from(config)
    if worker or to:
        _resume_part(node, worker, to, reason)
        return
    console.print("The node works again." if switches.resume(node.database, reason) else "The node was not paused.")


def list_workers(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the processes that work on this ledger, what each restores, and who drained one and why."""
    found = answers.workers_of(node_from(config))
    if as_json:
        print_json(found)
        return
    for item in found.processes:
        at = [
            f"restores series {one.series_id}, {one.progress:.0%}" for one in found.running if one.owner == item.owner
        ]
        drained = [f"drained by {item.drained_by}: {item.drain_reason}"] if item.drained_by else []
        reason = f" ({item.reason})" if item.reason else ""
        seen = f"seen {item.silent_s:.0f} s ago"
        line = f"{item.name}  {item.role}  {item.state}{reason}, {'; '.join([seen, *at, *drained])}"
        console.print(line, markup=False)
    if not found.processes:
        console.print("No process works on this ledger.")


def _drain_part(node: Node, worker: str, to: str, reason: str) -> None:
    if worker:
        done = workers.drain(node.database, _owner(node, worker), reason)
        said = f"{worker} finishes what it has in hand, and takes nothing more before it is resumed."
        console.print(said if done else f"{worker} is drained already.")
    if to:
        if to not in node.destinations:
            known = ", ".join(node.destinations) or "none"
            raise InputError(f"the settings name no destination {to!r}; they name: {known}")
        done = switches.pause_destination(node.database, to, reason)
        said = f"Nothing new is sent to {to} before it is resumed; what is under way goes on."
        console.print(said if done else f"{to} is paused already.")


def _resume_part(node: Node, worker: str, to: str, reason: str) -> None:
    if worker:
        done = workers.undrain(node.database, _owner(node, worker), reason)
        console.print(f"{worker} takes work again." if done else f"{worker} was not drained.")
    if to:
        done = switches.resume_destination(node.database, to, reason)
        console.print(f"{to} is sent to again." if done else f"{to} was not paused.")


def _owner(node: Node, name: str) -> str:
    """The process that a person means. InputError where there is none, or more than one."""
    found = [item.owner for item in workers.everyone(node.database) if name in (item.name, item.owner)]
    if len(found) != 1:
        raise InputError(f"{len(found) or 'no'} processes are called {name!r}; `thinslice workers` lists them")
    return found[0]


COMMANDS = {"drain": drain, "resume": resume, "workers": list_workers}
