"""The only writer of `state` columns: a move along the graph, its audit row and its version, or nothing."""

from typing import Any

from handlers.refusals import ChangedMeanwhile
from handlers.transactions import Transaction
from models.states import Graph

# The state it was read in: whoever came in between, past the lock, has not been seen, and then nothing moves.
MOVE = "UPDATE {table} SET {sets} WHERE id = $1 AND state = $2 RETURNING *"


async def move(tx: Transaction, graph: Graph, row: Any, to: str, *, note: dict[str, object] | None = None, **changes: object) -> Any:
    """Move a locked row to another state, set `changes` with it, and record who did it. Returns the row as it is now.

    `note` goes into the audit row beside the changes. Raises IllegalMoveError for an edge that the graph does not have.
    """
    event = graph.event(row.state, to)
    columns = {"state": str(to), **changes}
    sets = ", ".join(f"{name} = ${position}" for position, name in enumerate(columns, start=3))
    moved = await tx.row(MOVE.format(table=graph.table, sets=sets), row.id, row.state, *columns.values())
    if moved is None:  # the row was not locked, or another table of rules moved it
        raise ChangedMeanwhile
    tx.record(event, graph.word, row.id, before=row.state, after=str(to), **(note or {}))
    return moved
