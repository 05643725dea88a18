"""Can this process do its work: asked by probes, from every edge."""

from handlers.transactions import row
from models.engine import client


async def database_takes_writes() -> None:
    """Write one record to PostgreSQL's log and flush it: needs no table, and fails on a full disk or a replica.

    Raises Busy if there is no connection, and PostgreSQL's error as it is if it refuses the write.
    """
    await row("SELECT pg_logical_emit_message(true, 'readyz', '')")


def pool_use() -> tuple[int, int]:
    """Database connections of this process: (open, idle of them)."""
    pool = client()._pool  # noqa: SLF001 - Tortoise has no other name for it
    return (pool.get_size(), pool.get_idle_size()) if pool is not None else (0, 0)
