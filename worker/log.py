"""Logging for people (text) or machines (JSON lines), to standard error and to a folder for the console.

Never a patient's name or ID: log our row numbers instead.
"""

import logging
import os
import socket
import sys
import warnings
from typing import Literal

import structlog

QUIET = (
    "pynetdicom", "pydicom", "openjpeg", "highdicom", "dicomweb_client", "authlib", "urllib3", "alembic", "sqlalchemy",
    "PIL", "celery", "kombu", "amqp",
)  # fmt: skip


def configure(style: Literal["text", "json"], level: int = logging.INFO, kept: logging.Handler | None = None) -> None:
    """Set up structlog and quieten the libraries, which may log what they read.

    Parameters
    ----------
    kept : logging.Handler or None
        Is handed every line too, as JSON; its name is that of this process.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([] if kept is None else [_Keep(kept)]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")  # pydicom's warnings quote element values
    for name in ("sr_engine", "dicom_node"):  # which know no structlog
        room = logging.getLogger(name)
        room.handlers, room.propagate = [_ToStructlog()], False


class _ToStructlog(logging.Handler):
    """Passes on what the engine and the node's rooms say, in the style of everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage(), exc_info=record.exc_info)


class _Keep:
    """Hands each line to a handler, with the process that says it."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler, self._json = handler, structlog.processors.JSONRenderer()
        self._who = {"process": handler.name or "", "host": socket.gethostname(), "pid": os.getpid()}

    def __call__(
        self, logger: structlog.typing.WrappedLogger, name: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        text = str(self._json(logger, name, {**line, **self._who}))
        self._handler.handle(logging.makeLogRecord({"msg": text}))
        return line
