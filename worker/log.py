"""Logging for people (text) or machines (JSON lines). Never a patient's name or ID: log our row numbers instead."""

import logging
import sys
import warnings
from typing import Literal

import structlog

QUIET = (
    "pynetdicom", "pydicom", "openjpeg", "highdicom", "dicomweb_client", "authlib", "urllib3", "alembic", "sqlalchemy",
    "PIL", "celery", "kombu", "amqp",
)  # fmt: skip


def configure(style: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Set up structlog and quieten the libraries, which may log what they read."""
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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")  # pydicom's warnings quote element values
    engine = logging.getLogger("sr_engine")  # which knows no structlog
    engine.handlers, engine.propagate = [_ToStructlog()], False


class _ToStructlog(logging.Handler):
    """Passes on what the engine says, in the style of everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage())
