"""How every process logs: one JSON object per line on servers, one tidy line on a developer's screen. No secrets in either."""

import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.types import EventDict, Processor

from settings import Mode

# Whoever logs one of these by mistake shows that it was there, not what it was.
SECRETS = frozenset({
    "password", "token", "access_token", "authorization", "secret", "session_key", "js_code", "auth_code", "phone", "id_number",
    "bank_account", "openid", "open_id", "union_id", "body",
})


def configure(mode: Mode, process: str) -> None:
    """Once per process, before anything is logged. `process` is its name in each line: web, jobs; in a family web-1, web-2."""
    shared: list[Processor] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _hide_secrets]
    ours: Processor
    theirs: Processor
    lines: Any
    if mode is Mode.PRODUCTION:
        shared += [_stamp, *_json(process)]
        ours, theirs, lines = _bytes, _text, structlog.BytesLoggerFactory(cast("BinaryIO", _Unfailing(sys.stderr.buffer)))
    else:
        shared += [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), _tidy(process)]
        ours = theirs = _console()
        lines = structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(sys.stderr)))
    structlog.configure(
        processors=[*shared, ours], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), logger_factory=lines,
        cache_logger_on_first_use=True,
    )
    if mode is Mode.PRODUCTION:
        sys.excepthook = _last_words
    # Libraries log through logging: only what they warn of, in the same form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, theirs],
    ))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger("crash").critical("crashed", exc_info=(kind, error, trace))


class _Unfailing:
    """A stream whose reader may be gone, or whose disk may be full: a request is answered though nobody can read of it."""

    def __init__(self, stream: IO[Any]) -> None:
        self._write, self._flush = stream.write, stream.flush

    def write(self, line: Any) -> None:
        with suppress(OSError):
            self._write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._flush()


def _hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name in SECRETS & event.keys():
        event[name] = "***"
    return event


def _stamp(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC)
    return event


def _json(process: str) -> list[Processor]:
    def named(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    # Tracebacks without the values of local variables: those hold what people sent.
    return [named, structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))]


def _bytes(_logger: Any, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


def _text(logger: Any, method: str, event: EventDict) -> str:
    return _bytes(logger, method, event).decode()


def _tidy(process: str) -> Processor:
    def tidy(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.pop("request_id", None)
        event["event"] = f"{process:5} {event['event']}"
        return event

    return tidy


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24,
    )
