"""Can this process do its work: asked by probes, from every edge."""

import asyncpg

from handlers.transactions import row
from models.engine import client


async def database_takes_writes() -> bool:
    """Write one record to PostgreSQL's log and flush it: needs no table, and fails on a full disk or a replica.

    Hosted servers answer a nearly full disk by making every transaction read-only; that lets the record through.
    Raises Busy if there is no connection.
    """
    try:
        probe = await row("SELECT current_setting('transaction_read_only') AS read_only, pg_logical_emit_message(true, 'readyz', '')")
    except asyncpg.PostgresError:
        return False
    return bool(probe.read_only == "off")


def pool_use() -> tuple[int, int]:
    """Database connections of this process: (open, idle of them)."""
    used: tuple[int, int] = client().connections()
    return used
