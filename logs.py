"""How every process logs: one JSON object per line on servers, one tidy line on a developer's screen. No secrets in either."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, Processor

from settings import Mode

# Whoever logs one of these by mistake shows that it was there, not what it was.
SECRETS = frozenset({
    "password", "token", "access_token", "authorization", "secret", "session_key", "js_code", "auth_code", "phone", "id_number",
    "bank_account", "openid", "open_id", "union_id", "body",
})


class Lines:
    """Where lines go: structlog's logger and the stream of logging's handler in one. Writing never raises.

    A full disk or a reader that has gone must cost lines, not the answers to requests whose work is done. Unbuffered, one system
    call per line: a buffer that cannot be emptied would keep old lines, and fail once more at the end of the process.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False
        self.lost = 0

    def write(self, line: str | bytes) -> None:
        data = line.encode("utf-8", "backslashreplace") if isinstance(line, str) else line
        try:
            if self._torn:
                os.write(self._descriptor, b"\n")  # what is left of a lost line shall not spoil this one
                self._torn = False
            while len(data) > (written := os.write(self._descriptor, data)):
                data, self._torn = data[written:], True
            self._torn = False
        except OSError:
            self.lost += 1

    def flush(self) -> None:
        """Nothing is kept back."""

    def msg(self, line: str | bytes) -> None:
        self.write(line + "\n" if isinstance(line, str) else line + b"\n")

    debug = info = warning = error = critical = exception = msg


_lines = Lines(-1)


def lines_lost() -> int:
    """Since this process began to log."""
    return _lines.lost


def configure(mode: Mode, process: str) -> None:
    """Once per process, before anything is logged. `process` is its name in each line: web, jobs; in a family web-1, web-2."""
    global _lines  # noqa: PLW0603 - a process has one standard error
    # Whoever started us may have closed it; then the descriptor is somebody else's.
    lines = _lines = Lines(sys.stderr.fileno() if sys.stderr else -1)
    shared: list[Processor] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _hide_secrets]
    ours: Processor
    theirs: Processor
    if mode is Mode.PRODUCTION:
        shared += [_stamp, *_json(process)]
        ours, theirs = _bytes, _text
    else:
        shared += [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), _tidy(process)]
        ours = theirs = _console()
    structlog.configure(
        processors=[*shared, ours], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines, cache_logger_on_first_use=True,
    )
    if mode is Mode.PRODUCTION:
        sys.excepthook = _last_words
    # Libraries log through logging: only what they warn of, in the same form.
    handler = logging.StreamHandler(lines)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, theirs],
    ))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger("crash").critical("crashed", exc_info=(kind, error, trace))


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
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)
    except TypeError:  # half a surrogate pair, a number beyond 64 bits: in what somebody sent, and in what is said about it
        return json.dumps(event, default=str, skipkeys=True).encode()


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
        colors=bool(sys.stderr) and sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24,
    )
