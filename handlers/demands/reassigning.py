"""A consultant has been unlinked: what was addressed to them is their institution's now (D11)."""

from handlers.demands.rules import tell_institutions
from handlers.transactions import Transaction
from models.demands import DemandTarget

LOCK_THEIRS = "SELECT * FROM demands WHERE consultant_id = $1 AND state <> 'closed' ORDER BY id FOR NO KEY UPDATE"
REASSIGN = "UPDATE demands SET target = $2, consultant_id = NULL, updated_at = $3 WHERE id = $1 RETURNING *"


async def reassign_of_consultant(tx: Transaction, consultant_id: int) -> int:
    """In the transaction that ends the link, after it: their demands that are not closed go to the institution, which hears of each.

    Whether or not this is called, an ended consultant finds none of them (rules.RESPONSE). Returns how many.
    """
    theirs = await tx.rows(LOCK_THEIRS, consultant_id)
    for demand in theirs:
        moved = await tx.row(REASSIGN, demand.id, DemandTarget.INSTITUTION, tx.ctx.now)
        tx.record("demand.reassigned", "demand", demand.id, consultant_id=consultant_id)
        await tell_institutions(tx, "demand_posted", moved, reason="reassigned")
    return len(theirs)
