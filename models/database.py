"""Connecting to PostgreSQL, and bringing its schema up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
from tortoise import Tortoise
from tortoise.exceptions import DBConnectionError
from tortoise.migrations.api import migrate as tortoise_migrate

import models
from models.engine import ALIAS, client

MIGRATION_LOCK = 0x51465143  # "QFQC": one migration at a time, whatever the number of machines
MAY_MIGRATE = """
SELECT has_schema_privilege('public', 'CREATE')
   AND NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'tortoise_migrations'
                   AND NOT pg_has_role(tableowner, 'USAGE'))
"""
# What keeps a process from having a connection at all: nobody there, no such role, password or database, no room, a wrong URL.
NO_CONNECTION = (
    OSError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError, asyncpg.ClientConfigurationError, DBConnectionError,
)
APPEND_ONLY = ("audit_entries", "ledger_entries", "seals")


class NotTheOwnerError(Exception):
    """Whoever was to bring the schema up to date may not change it."""


@dataclass(frozen=True)
class Limits:
    """Seconds and sizes of a process's database connections."""

    pool_max: int = 8
    statement_timeout_ms: int = 5_000
    lock_timeout_ms: int = 2_000
    idle_in_transaction_timeout_ms: int = 5_000


def configuration(url: str, limits: Limits | None = None, application: str = "qifuquan") -> dict[str, Any]:
    """Tortoise's configuration for a URL of libpq's, which asyncpg reads by itself: what is left out here, like `sslmode`, would
    not be missed by anybody who connects.
    """
    limits = limits or Limits()
    credentials: dict[str, Any] = {
        "dsn": url, "minsize": 1, "maxsize": limits.pool_max,
        "command_timeout": limits.statement_timeout_ms / 1000 + 5,
        "server_settings": {
            "application_name": application,
            "statement_timeout": str(limits.statement_timeout_ms),
            "lock_timeout": str(limits.lock_timeout_ms),
            "idle_in_transaction_session_timeout": str(limits.idle_in_transaction_timeout_ms),
            "timezone": "UTC",
            "jit": "off",  # our statements are short; compiling them costs more than running them
        },
    }
    return {
        "connections": {ALIAS: {"engine": "models.engine", "credentials": credentials}},
        "apps": {"models": {"models": models.ALL, "default_connection": ALIAS, "migrations": "models.migrations"}},
        "use_tz": True,
        "timezone": "UTC",
    }


async def connect(url: str, limits: Limits | None = None, application: str = "qifuquan") -> None:
    """Open the pool of this process. One per process; its event loop is the only one that may use it."""
    await Tortoise.init(config=configuration(url, limits, application), _enable_global_fallback=True)


def user_of(url: str) -> str | None:
    """The role that a URL names."""
    parts = urlsplit(url)
    return unquote(parts.username) if parts.username else dict(parse_qsl(parts.query)).get("user")


def place_of(url: str, env: Mapping[str, str]) -> str:
    """host:port as the driver understands a URL, which the environment completes. For people to read: nothing of who connects."""
    parts = urlsplit(url)
    given, named = dict(parse_qsl(parts.query)), parts.netloc.rpartition("@")[2]
    host = named or given.get("host") or env.get("PGHOST") or "localhost"
    if "," in host or host.rpartition("]")[2].count(":") or host.startswith("/"):
        return host
    return f"{host}:{given.get('port') or env.get('PGPORT') or 5432}"


async def disconnect() -> None:
    await Tortoise.close_connections()


async def migrate(owner_url: str, application_role: str | None = None) -> None:
    """Apply what is missing, under an advisory lock: two machines that start together do not collide.

    `lock_timeout` keeps a migration from queueing behind a long report and stalling everybody behind itself.
    `application_role`, when it is not the owner, gets its grants: everything but changing the append-only tables.
    Raises NotTheOwnerError before anything has been done.
    """
    guard = await asyncpg.connect(owner_url)
    try:
        if not await guard.fetchval(MAY_MIGRATE):
            raise NotTheOwnerError
        await guard.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        limits = Limits(pool_max=2, statement_timeout_ms=0, lock_timeout_ms=5_000, idle_in_transaction_timeout_ms=0)
        await tortoise_migrate(config=configuration(owner_url, limits, "qifuquan-migrate"))
        await Tortoise.close_connections()
        if application_role:
            await grant(guard, application_role)
    finally:
        await guard.close()


async def grant(owner: asyncpg.Connection, role: str) -> None:
    """What the application may do. It cannot change or remove a row of the audit trail or the ledger."""
    quoted = '"' + role.replace('"', '""') + '"'
    append_only = ", ".join(APPEND_ONLY)
    await owner.execute(
        f"GRANT USAGE ON SCHEMA public TO {quoted};"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted};"
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {quoted};"
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {append_only} FROM {quoted};"
    )


async def server_is_durable() -> None:
    """Refuse a server that forgets: an acknowledged payment is kept only with these three on."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        value = (await client().execute_query_dict(f"SHOW {setting}"))[0][setting]
        if value not in ("on", "remote_apply", "remote_write", "local"):
            raise RuntimeError(f"PostgreSQL runs with {setting}={value}: acknowledged payments could be lost")
