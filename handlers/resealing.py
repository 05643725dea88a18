"""After a key rotation: seal every stored personal value anew, so that the old key can be thrown away (docs/decisions/0020)."""

from collections.abc import Sequence
from typing import Any

import structlog

from handlers.context import Context
from handlers.personal import SealBrokenError, current_header, open_sealed, seal
from handlers.transactions import Transaction, transaction
from models.personal import REGISTRY, Kept, PersonalColumn

log = structlog.get_logger(__name__)

# A value says in its first bytes which key and cipher sealed it, so what is left is found without opening anything.
STALE = """
SELECT id, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, $1) <> $2 AND id > $4
ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
"""
REPLACE = """
UPDATE {table} t SET {column} = n.sealed FROM unnest($1::bigint[], $2::bytea[]) AS n (id, sealed) WHERE t.id = n.id
"""


async def reseal_due(ctx: Context, limit: int = 500) -> int:
    """Sweep: up to `limit` values of one column; the number done, 0 when the old keys are no longer needed.

    Values that do not open are passed by. When nothing else is left, raises SealBrokenError for as long as there is one of them: their
    old key must come back, and no key may go.
    """
    broken: list[SealBrokenError] = []
    for entry in REGISTRY:
        if entry.kept is Kept.SEALED and (done := await _reseal(ctx, entry, limit, broken)):
            return done
    if broken:
        raise broken[0]
    return 0


async def _reseal(ctx: Context, entry: PersonalColumn, limit: int, broken: list[SealBrokenError]) -> int:
    """The first batch of the column with anything that opens."""
    after, done = 0, 0
    while not done:
        async with transaction(ctx) as tx:
            header = current_header(ctx.settings)
            found = await tx.rows(STALE.format(table=entry.table, column=entry.column), len(header), header, limit, after)
            if not found:
                break
            after, done = found[-1].id, await _replace(tx, entry, found, broken)
    return done


async def _replace(tx: Transaction, entry: PersonalColumn, found: Sequence[Any], broken: list[SealBrokenError]) -> int:
    settings, anew = tx.ctx.settings, dict[int, bytes]()
    for one in found:
        try:
            anew[one.id] = seal(settings, open_sealed(settings, one.sealed))
        except SealBrokenError as error:
            broken.append(error)
    if closed := [one.id for one in found if one.id not in anew]:
        log.error("seal_broken", what=f"{entry.table}.{entry.column}", id=closed[0], count=len(closed))
    if anew:
        await tx.run(REPLACE.format(table=entry.table, column=entry.column), list(anew), list(anew.values()))
        tx.record("personal.resealed", entry.table, next(iter(anew)), column=entry.column, count=len(anew))
    return len(anew)
