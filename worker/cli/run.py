"""Commands that run the node."""

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from dicom_node.errors import LedgerError, SettingsError
from dicom_node.ledger import workers
from sr_engine.settings import EngineSettings
from worker import systemd
from worker.app import DELIVER_QUEUE, RESTORE_QUEUE
from worker.cli.common import DEFAULT_CONFIG, Config, console, settings_from
from worker.log_files import begin
from worker.owner import this_owner
from worker.receiving import Receiver
from worker.settings import Settings
from worker.wiring import Node, open_node, prepare

if TYPE_CHECKING:
    from worker.console.serving import ConsoleServer


def up(config: Config = DEFAULT_CONFIG) -> None:
    """Run the node until it is stopped (Ctrl-C or SIGTERM): listen for scanners, restore, send to the PACS."""
    from worker.service import Service  # torch takes seconds, and only the commands that restore need it

    settings = settings_from(config)
    begin(settings.worker, "node")
    stopping = _Stopping()
    service = Service(settings)
    stopping.again = service.hurry
    service.start()
    systemd.notify(systemd.READY)
    systemd.watch_beat(lambda: service.last_tick)
    console.print(
        f"thinslice listens as [bold]{settings.receive.ae_title}[/] on {_places(service.addresses)}, "
        f"restores with {service.model_title}",
        soft_wrap=True,
    )
    if not settings.send.pacs:
        console.print("No [[send.pacs]] is configured: results stay on this node.", markup=False)
    if service.console is not None:
        _tell_of_console(service.console)
    stopping.wait()
    service.stop()


def console_alone(config: Config = DEFAULT_CONFIG) -> None:
    """Run the web console alone, on the [console] port; `thinslice up` runs it too where that is set."""
    from worker.console.serving import ConsoleServer

    stopping = _Stopping()
    node = _open_part(config, "console")
    server = ConsoleServer(node)
    server.start()
    workers.note_start(node.database, this_owner(), "console")
    _tell_of_console(server)
    systemd.notify(systemd.READY)
    systemd.watch(server.is_alive)
    stopping.wait()
    server.stop()
    _note_stop(node, "console")
    node.database.close()


def listen(config: Config = DEFAULT_CONFIG) -> None:
    """Run a listener alone, beside `thinslice clock`: with [receive] share_port several of them on one port."""
    stopping = _Stopping()
    node = _open_part(config, "listener")
    settings = node.settings
    receiver = Receiver(node)
    receiver.start()
    workers.note_start(node.database, this_owner(), "listener")
    places = _places(receiver.listener.addresses)
    console.print(f"thinslice listens as [bold]{settings.receive.ae_title}[/] on {places}", soft_wrap=True)
    systemd.notify(systemd.READY)
    stopping.wait()
    receiver.stop()
    _note_stop(node, "listener")
    node.database.close()


def clock(config: Config = DEFAULT_CONFIG) -> None:
    """Run the clock alone, beside `thinslice listen`: judge series and ring for workers. Two do no harm."""
    from worker.service import Clockwork

    stopping = _Stopping()
    node = _open_part(config, "clock")
    clockwork = Clockwork(node)
    stopping.again = clockwork.hurry
    clockwork.start()
    systemd.notify(systemd.READY)
    systemd.watch_beat(lambda: clockwork.last_tick)
    console.print(f"thinslice's clock runs, for {clockwork.model_title}", soft_wrap=True)
    stopping.wait()
    clockwork.close()
    clockwork.stop()
    node.database.close()


def worker(
    config: Config = DEFAULT_CONFIG,
    queues: Annotated[
        str, typer.Option(help="What this worker does: restore, deliver, or both.")
    ] = f"{RESTORE_QUEUE},{DELIVER_QUEUE}",
    concurrency: Annotated[int, typer.Option(help="Jobs at the same time.")] = 1,
    device: Annotated[
        str, typer.Option(help="Where this worker restores, instead of [engine].device: cpu, cuda:0, cuda:1 ...")
    ] = "",
) -> None:
    """Run a Celery worker, for wiring = "celery": one for each GPU, on hosts that share ledger and folders."""
    from worker.serve import serve

    settings = _on_device(settings_from(config), device)
    begin(settings.worker, "worker")
    prepare(settings)
    serve(settings, queues, concurrency)


def _tell_of_console(server: "ConsoleServer") -> None:
    """Where the console is; while nobody may use it yet, how the first one gets in."""
    console.print(f"The console is on {server.url}", markup=False)
    if server.first_url:
        console.print(f"Nobody may use it yet. Make the first user: {server.first_url}", markup=False)


def _places(addresses: dict[str, tuple[str, int]]) -> str:
    """Where the node listens, for people."""
    return " and ".join(f"{host}:{port} ({kind})" for kind, (host, port) in addresses.items())


def _open_part(config: Path, actor: str) -> Node:
    """The node as one part of it that runs alone."""
    settings = settings_from(config)
    begin(settings.worker, actor)
    prepare(settings)
    return open_node(settings, actor)


def _note_stop(node: Node, role: str) -> None:
    """Enter the end of a part that runs alone; a ledger that is away must not keep it from ending."""
    with contextlib.suppress(LedgerError):
        workers.note_stop(node.database, this_owner(), role)


def _on_device(settings: Settings, device: str) -> Settings:
    """The settings with another device; SettingsError where there is none of that name."""
    if not device:
        return settings
    try:
        engine = EngineSettings.model_validate({**settings.engine.model_dump(), "device": device})
    except ValidationError as error:
        raise SettingsError(f"there is no device {device!r}: --device takes cpu, cuda, cuda:0 and so on") from error
    return settings.model_copy(update={"engine": engine})


class _Stopping:
    """SIGTERM and Ctrl-C: the first ends ``wait``, every further one calls ``again``."""

    def __init__(self) -> None:
        self.again: Callable[[], None] = lambda: None
        self._told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def wait(self) -> None:
        """Until told to stop."""
        self._told.wait()
        systemd.notify(systemd.STOPPING)
        console.print("stopping ...")

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        if self._told.is_set():
            self.again()
        self._told.set()


COMMANDS = {"up": up, "console": console_alone, "listen": listen, "clock": clock, "worker": worker}
