"""What an objection (异议) of the enterprise means to each step of its filing; objecting.py is the enterprise's side.

Whoever changes an objection has locked its filing.
"""

from datetime import timedelta
from typing import Any

from handlers import approvals, enterprises
from handlers.moves import move
from handlers.transactions import Transaction
from handlers.working_days import due_after
from models.filings import OBJECTION_GRAPH, ObjectionState

WORKING_DAYS = 5  # after being told
COUNTS_FOR = timedelta(days=365)  # what was approved earlier raises no rank any more (docs/scores.md)

CERTIFIED = "SELECT certified_at IS NOT NULL FROM organisations WHERE id = $1"
NAME = "SELECT name FROM organisations WHERE id = $1"
# Of whom nobody was told yet. Drafts concern nobody, and what is returned is told of when it is submitted again.
NAMING_NEWCOMER = """
SELECT f.* FROM filings f JOIN organisations o ON o.credit_code = f.enterprise_code
WHERE o.id = $1 AND f.object_by IS NULL AND coalesce(f.enterprise_id, o.id) = o.id
  AND (f.state = 'in_review' OR f.state = 'approved' AND f.decided_at > $2)
ORDER BY f.id FOR UPDATE OF f
"""
LINK = "UPDATE filings SET enterprise_id = $2, object_by = $3 WHERE id = $1"
IN_STATE = "SELECT * FROM filing_objections WHERE filing_id = $1 AND state = $2 ORDER BY id FOR UPDATE"


async def tell_named(tx: Transaction, filing: Any) -> None:
    """The enterprise of a locked filing hears of it, and its days begin. Only who is certified is who it says it is."""
    if filing.enterprise_id is None or not await tx.value(CERTIFIED, filing.enterprise_id):
        return
    await _tell(tx, filing, filing.enterprise_id)


async def tell_newcomer(tx: Transaction, enterprise_id: int) -> None:
    """Just certified, it hears of what was filed about it before, as long as that counts, and has its days from now on.

    What is approved at this very moment is told of here or there, not twice: both hold the filing.
    """
    for filing in await tx.rows(NAMING_NEWCOMER, enterprise_id, tx.ctx.now - COUNTS_FOR):
        await _tell(tx, filing, enterprise_id)


async def _tell(tx: Transaction, filing: Any, enterprise_id: int) -> None:
    object_by = due_after(tx.ctx.now, WORKING_DAYS)
    await tx.run(LINK, filing.id, enterprise_id, object_by)
    tx.announce(
        "filing_named", "filing", filing.id, organisation_id=enterprise_id, amount_fen=filing.amount_fen,
        institution=await tx.value(NAME, filing.institution_id),
        happened_on=filing.happened_on.isoformat(), object_by=object_by.isoformat(),
    )


enterprises.ON_CERTIFIED.append(tell_newcomer)


async def settle(tx: Transaction, filing: Any, to: ObjectionState, said: str | None = None) -> None:
    """With the decision on its locked filing, the open objection is answered, and nobody else needs to."""
    for objection in await tx.rows(IN_STATE, filing.id, ObjectionState.OPEN):
        await approvals.withdraw_approval(tx, "filing_objection", objection.id)
        await answer(tx, filing, objection, to, said)


async def lapse_of_others(tx: Transaction, filing: Any) -> None:
    """The filing was corrected and names somebody else now."""
    for objection in await tx.rows(IN_STATE, filing.id, ObjectionState.OPEN):
        if objection.enterprise_id != filing.enterprise_id:
            await answer(tx, filing, objection, ObjectionState.LAPSED, None)


async def reopen_upheld(tx: Transaction, filing_id: int) -> None:
    """What followed from it was appealed against with success: what was objected is looked at again."""
    for objection in await tx.rows(IN_STATE, filing_id, ObjectionState.UPHELD):
        await move(tx, OBJECTION_GRAPH, objection, ObjectionState.OPEN, decided_by_id=None, decided_at=None, answer=None)


async def answer(tx: Transaction, filing: Any, objection: Any, to: ObjectionState, said: str | None) -> None:
    """The enterprise hears what was found."""
    decider = None if to is ObjectionState.LAPSED else tx.ctx.person_id
    await move(tx, OBJECTION_GRAPH, objection, to, decided_by_id=decider, decided_at=tx.ctx.now, answer=said)
    tx.announce(
        "filing_objection_result", "filing", filing.id, organisation_id=objection.enterprise_id, finding=to, reason=said,
        institution=await tx.value(NAME, filing.institution_id),
    )
