"""After a key rotation: seal every stored personal value anew, so that the old key can be thrown away (docs/decisions/0020)."""

from handlers.context import Context
from handlers.personal import current_header, open_sealed, seal
from handlers.transactions import Transaction, transaction
from models.personal import REGISTRY, Kept, PersonalColumn

# A value says in its first bytes which key and cipher sealed it, so what is left is found without opening anything.
STALE = """
SELECT id, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, $1) <> $2
ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
"""
REPLACE = """
UPDATE {table} t SET {column} = n.sealed FROM unnest($1::bigint[], $2::bytea[]) AS n (id, sealed) WHERE t.id = n.id
"""


async def reseal_due(ctx: Context, limit: int = 500) -> int:
    """Sweep: up to `limit` values of one column; the number done, 0 when the old keys are no longer needed.

    Raises SealBrokenError when a value does not open: the old key must come back before anything else.
    """
    for entry in REGISTRY:
        if entry.kept is Kept.SEALED:
            async with transaction(ctx) as tx:
                if done := await _reseal(tx, entry, limit):
                    return done
    return 0


async def _reseal(tx: Transaction, entry: PersonalColumn, limit: int) -> int:
    settings, names = tx.ctx.settings, {"table": entry.table, "column": entry.column}
    header = current_header(settings)
    found = await tx.rows(STALE.format(**names), len(header), header, limit)
    if found:
        anew = [seal(settings, open_sealed(settings, one.sealed)) for one in found]
        await tx.run(REPLACE.format(**names), [one.id for one in found], anew)
        tx.record("personal.resealed", entry.table, found[0].id, column=entry.column, count=len(found))
    return len(found)
