"""Structured logs: one event a line, JSON in production, readable in development, never a secret.

An event has a stable dotted name (`job.claimed`) and values beside it. What holds for a whole request, lane or
turn (`request_id`, `lane`, `bot`) is bound once with `bound` and stands on every line meanwhile.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, cast

import structlog
from structlog.contextvars import bound_contextvars as bound

from common.ids import new_ulid
from common.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import TextIO

    from structlog.typing import FilteringBoundLogger, Processor

    from common.settings import Settings

__all__ = ["accept_request_id", "bound", "configure_logging", "get_logger"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
# Libraries that log every call they make, some of them with headers and bodies.
_CHATTY = ("pymongo", "urllib3", "requests", "openai", "httpx", "httpx2", "httpcore", "httpcore2", "werkzeug")


def get_logger() -> FilteringBoundLogger:
    """The logger that a module keeps as `log`; an event reads `log.info("job.claimed", lanes=3)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def accept_request_id(given: str | None) -> str:
    """The caller's request id if it is one (8 to 64 letters, digits, `_`, `-`), else a fresh one."""
    return given if given and _REQUEST_ID.fullmatch(given) else new_ulid()


def configure_logging(settings: Settings, process: str, stream: TextIO | None = None) -> None:
    """Send this process's logs, ours and those of the libraries, to `stream` (stderr)."""
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.log_level]
    render = _rendering(settings, process)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=settings.app_env != "test",  # a test configures more than once
    )
    _route_standard_logging(level, render, stream)


def _rendering(settings: Settings, process: str) -> list[Processor]:
    is_json = settings.log_format == "json" or (settings.log_format == "auto" and settings.is_production)
    secrets = (
        settings.jwt_secret,
        settings.meta_app_secret,
        settings.webhook_verify_token,
        settings.mongodb_uri,
        *(entry.partition(":")[2] for entry in settings.encryption_keys.split(",")),
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
        )
    )
    return [
        structlog.processors.TimeStamper(fmt="iso" if is_json else "%H:%M:%S", utc=is_json, key="timestamp"),
        structlog.processors.format_exc_info,
        _Arrange(process if is_json else None),
        Redaction(secrets, shows_texts=not settings.is_production),
        renderer,
    ]


class _Arrange:
    """Put what every line has in front, in one order."""

    def __init__(self, process: str | None) -> None:
        self._process = {"process": process} if process else {}

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
        front = {"timestamp": line.pop("timestamp"), "level": line.pop("level"), "event": line.pop("event")}
        return {**front, **self._process, **line}


def _route_standard_logging(level: int, render: list[Processor], stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)  # of an earlier call
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
