"""How every process logs: one JSON object per line on servers, one tidy line on a developer's screen. No secrets in either."""

import logging
import sys
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


def configure(mode: Mode, process: str) -> None:
    """Once per process, before anything is logged. `process` is its name in each line: web, jobs."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _hide_secrets,
        structlog.processors.TimeStamper(fmt="iso" if mode is Mode.PRODUCTION else "%H:%M:%S", utc=mode is Mode.PRODUCTION),
    ]
    shown = _json(process) if mode is Mode.PRODUCTION else _console(process)
    structlog.configure(
        processors=[*shared, *shown], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr), cache_logger_on_first_use=True,
    )
    # Libraries log through logging: only what they warn of, in the same form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown],
    ))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name in SECRETS & event.keys():
        event[name] = "***"
    return event


def _json(process: str) -> list[Processor]:
    def named(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    # Tracebacks without the values of local variables: those hold what people sent.
    tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    return [named, tracebacks, structlog.processors.JSONRenderer(serializer=_dumps)]


def _dumps(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _console(process: str) -> list[Processor]:
    def tidy(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.pop("request_id", None)
        event["event"] = f"{process:5} {event['event']}"
        return event

    plain = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24,
    )
    return [tidy, plain]
