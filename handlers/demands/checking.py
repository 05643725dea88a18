"""A demand's words are for strangers: no institution hears of it before they have passed (docs/decisions/0200).

What institutions write to the enterprise beside an answer waits in the same way; the answer itself does not.
"""

from typing import Any

from handlers import approvals, content_checks
from handlers.content_checks import Subject
from handlers.demands.posting import ask_institution
from handlers.demands.rules import ALTERNATIVES_WORKING_DAYS, OPEN_FOR, REMIND_WORKING_DAYS, tell_institutions
from handlers.moves import move
from handlers.transactions import Transaction
from handlers.working_days import due_after
from models.content_checks import CheckState
from models.demands import DEMAND_GRAPH, DemandState, DemandTarget

PARTIES = "SELECT unnest(ARRAY[enterprise_id, institution_id]) FROM demands WHERE id = $1"
REMARK_PARTIES = """
SELECT unnest(ARRAY[d.enterprise_id, r.institution_id]) FROM demand_responses r JOIN demands d ON d.id = r.demand_id WHERE r.id = $1
"""
# Whoever judges the words holds the demand, as whoever withdraws or changes it does: only then may it be released.
LOCK_JUDGED = """
SELECT d.id FROM demands d JOIN content_checks k ON k.subject = 'demand' AND k.subject_id = d.id WHERE k.id = $1 FOR NO KEY UPDATE OF d
"""
# Read, not locked: who is suspended at this very moment got it a moment before, and goes on with what they have.
ADDRESSEE = """
SELECT o.name, o.certified_at IS NOT NULL AND o.suspended_at IS NULL AS is_open,
  EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = $2 AND r.institution_id = o.id) AS has_it
FROM organisations o WHERE o.id = $1
"""
REMIND_ANEW = "UPDATE demand_responses SET remind_at = $2 WHERE demand_id = $1 AND is_chosen AND state = 'notified'"


async def _settled(tx: Transaction, demand_id: int, state: CheckState) -> None:
    if state is CheckState.PASSED:
        await release(tx, await tx.row("SELECT * FROM demands WHERE id = $1", demand_id))


async def release(tx: Transaction, demand: Any) -> None:
    """The words of a locked demand have passed. Its days begin now; after a change those of answering begin anew, the thirty do not.

    Whom it is addressed to and who may not trade by now does not get it: others are looked for at once.
    """
    now, is_first = tx.ctx.now, demand.released_at is None
    addressee = await tx.row(ADDRESSEE, demand.institution_id, demand.id)
    is_undelivered = addressee is not None and not addressee.has_it and not addressee.is_open
    demand = await move(
        tx, DEMAND_GRAPH, demand, DemandState.OPEN, released_at=now if is_first else demand.released_at,
        expires_at=now + OPEN_FOR if is_first else demand.expires_at, spread_at=now if demand.target == DemandTarget.OPEN else None,
        alternatives_at=now if is_undelivered else due_after(now, ALTERNATIVES_WORKING_DAYS),
    )
    if not is_first:
        await tx.run(REMIND_ANEW, demand.id, due_after(now, REMIND_WORKING_DAYS))
        await tell_institutions(tx, "demand_posted", demand, reason="changed")
    if is_undelivered:
        tx.record("demand.undelivered", "demand", demand.id, institution_id=demand.institution_id)
        tx.announce(
            "demand_undelivered", "demand", demand.id, organisation_id=demand.enterprise_id, title=demand.title, institution=addressee.name
        )
    elif addressee is not None and not addressee.has_it:
        await ask_institution(tx, demand, demand.institution_id)


async def _tell_enterprise(tx: Transaction, check: Any, title: str) -> None:
    """Everybody there who may change it, and it leads to the demand: it waits for other words, or is withdrawn."""
    tx.announce(
        "text_hidden", "demand", check.subject_id, organisation_id=check.organisation_id, title=title, reason=check.reason
    )


content_checks.SUBJECTS["demand"] = Subject("服务需求", PARTIES, _settled, _tell_enterprise)
content_checks.SUBJECTS["demand_response"] = Subject("需求答复备注", REMARK_PARTIES)
approvals.LOCKED_BEFORE["content_check"] = LOCK_JUDGED
