"""Commands that run the node."""

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from worker import log
from worker.app import DELIVER_QUEUE, RESTORE_QUEUE, configure
from worker.cli.common import DEFAULT_CONFIG, Config, console, settings_from
from worker.wiring import open_node, prepare


def up(config: Config = DEFAULT_CONFIG) -> None:
    """Run the node until it is stopped (Ctrl-C or SIGTERM): listen for scanners, restore, send to the PACS."""
    from worker.service import Service  # torch takes seconds, and only the commands that restore need it

    settings = settings_from(config)
    log.configure(settings.worker.log_format)
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    service = Service(settings)
    service.start()
    host, port = service.address
    console.print(
        f"thinslice listens as [bold]{settings.receive.ae_title}[/] on {host}:{port}, "
        f"restores with {service.model_title}",
        soft_wrap=True,
    )
    if not settings.send.pacs:
        console.print("No [[send.pacs]] is configured: results stay on this node.", markup=False)
    stopping.wait()
    console.print("stopping ...")
    service.stop()


def worker(
    config: Config = DEFAULT_CONFIG,
    queues: Annotated[
        str, typer.Option(help="What this worker does: restore, deliver, or both.")
    ] = f"{RESTORE_QUEUE},{DELIVER_QUEUE}",
    concurrency: Annotated[int, typer.Option(help="Jobs at the same time.")] = 1,
) -> None:
    """Run a Celery worker, for wiring = "celery": as many as you like, on hosts that share ledger and folders."""
    settings = settings_from(config)
    log.configure(settings.worker.log_format)
    prepare(settings)
    _ = open_node(settings, "worker").model
    app = configure(settings)
    app.conf.thinslice_settings = settings
    app.worker_main(
        [
            "worker",
            f"--queues={queues}",
            f"--concurrency={concurrency}",
            "--loglevel=WARNING",
            "--without-mingle",
            "--without-gossip",
        ]
    )


COMMANDS = {"up": up, "worker": worker}
