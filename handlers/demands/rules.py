"""What the use-cases of demands share: whom a demand may reach, how its rows are locked, who hears of its changes."""

from datetime import timedelta
from typing import Any

from handlers import zones
from handlers.context import Context
from handlers.refusals import Kind, NotFound, Refusal
from handlers.supermarkets import supermarket_of
from handlers.transactions import Transaction
from models.accounts import Role
from models.categories import CATEGORIES

OPEN_FOR = timedelta(days=30)
REMIND_WORKING_DAYS, ALTERNATIVES_WORKING_DAYS = 2, 4


class DemandClosed(Refusal):
    """`data.reason`: why it was closed."""

    kind, code, title = Kind.CONFLICT, "demand_closed", "该需求已关闭"


class DemandTaken(Refusal):
    kind, code, title = Kind.CONFLICT, "demand_taken", "该需求已有机构接单"


class DemandHeld(Refusal):
    """The enterprise has changed its words, which have not passed."""

    kind, code, title = Kind.CONFLICT, "demand_held", "企业修改了该需求，内容审核通过后方可办理"


class AddresseeNotAvailable(Refusal):
    """The same for an institution that is not there, not admitted or suspended, an ended consultant, an unlisted product."""

    kind, code, title = Kind.CONFLICT, "addressee_not_available", "所选机构、顾问或产品当前不能接收需求"


class RelatedAddressee(Refusal):
    """Somebody is a member of both, or they are the same company."""

    kind, code, title = Kind.FORBIDDEN, "addressee_related", "不能与本人任职或关联的单位对接需求"


# Who may never answer a demand: where somebody of the enterprise ($1) is a member too, and its own other half.
RELATED = """
SELECT b.organisation_id AS id FROM memberships a JOIN memberships b ON b.person_id = a.person_id AND b.state = 'active'
WHERE a.organisation_id = $1 AND a.state = 'active'
UNION SELECT o.id FROM organisations o JOIN organisations e ON e.credit_code = o.credit_code WHERE e.id = $1
"""
# Institutions `o` that serve category $2: open for trade, with a listed product or an approved scope of it.
SERVES = """
o.kind = 'institution' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL AND (
  EXISTS (SELECT 1 FROM products p WHERE p.organisation_id = o.id AND p.state = 'listed' AND p.category = $2)
  OR EXISTS (SELECT 1 FROM institution_scopes s WHERE s.organisation_id = o.id AND s.category = $2)
)
"""
# Institutions `o` that the enterprise may turn to, though it lies outside the zones of the programmes {closed} (D02): whoever another
# programme has admitted, or no supermarket, or one that is open to it, is there for enterprises of everywhere.
WITHIN_REACH = """
NOT EXISTS (SELECT 1 FROM certified c WHERE c.organisation_id = o.id AND c.programme_id = ANY({closed}::bigint[]))
  OR EXISTS (SELECT 1 FROM certified c WHERE c.organisation_id = o.id AND NOT c.programme_id = ANY({closed}::bigint[]))
"""
CERTIFIED = """
SELECT a.organisation_id, CASE a.kind WHEN 'supermarket_certification' THEN a.programme_id ELSE 0 END AS programme_id FROM applications a
WHERE a.kind IN ('supermarket_certification', 'institution_admission') AND EXISTS (
  SELECT 1 FROM approvals v WHERE v.subject = 'application' AND v.subject_id = a.id AND v.state = 'approved')
"""
REACHED = f"WITH certified AS NOT MATERIALIZED ({CERTIFIED}) SELECT {WITHIN_REACH.format(closed='$2')} FROM organisations o WHERE o.id = $1"
PLACE = "SELECT region_code FROM organisations WHERE id = $1"
# One by one: the demand is locked before its answers, so that the places of an open one are counted one after the other.
LOCK_POSTED = "SELECT * FROM demands WHERE id = $1 AND enterprise_id = $2 FOR NO KEY UPDATE"
LOCK_RECEIVED = """
SELECT d.* FROM demands d
WHERE d.id = $1 AND EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = d.id AND r.institution_id = $2)
FOR NO KEY UPDATE OF d
"""
# $3: the membership of a consultant, who has only what is addressed to them, and nothing once they are unlinked.
RESPONSE = """
SELECT r.* FROM demand_responses r JOIN demands d ON d.id = r.demand_id LEFT JOIN consultants c ON c.id = d.consultant_id
WHERE r.demand_id = $1 AND r.institution_id = $2
  AND ($3::bigint IS NULL OR (c.institution_id = $2 AND c.membership_id = $3 AND c.state = 'active'))
FOR UPDATE OF r
"""
# Institutions that were chosen or have looked; who was only told of an open demand reads its text as it then is.
TELL = """
INSERT INTO events (kind, organisation_id, person_id, subject, subject_id, data, created_at)
SELECT $2, r.institution_id, c.person_id, 'demand', d.id, $3::jsonb, $4
FROM demands d JOIN demand_responses r ON r.demand_id = d.id
LEFT JOIN consultants c ON c.id = d.consultant_id AND c.institution_id = r.institution_id AND c.state = 'active'
WHERE d.id = $1 AND r.state <> 'passed' AND (r.is_chosen OR r.state <> 'notified')
"""
# An institution that knows a demand reads this in the place of a title that has not passed.
UNCHECKED = "（内容未公布）"
KNOWN = """
SELECT name, NOT EXISTS (SELECT 1 FROM content_checks WHERE subject = 'demand' AND subject_id = $2 AND state <> 'passed') AS is_passed
FROM organisations WHERE id = $1
"""


async def lock_posted(ctx: Context, tx: Transaction, demand_id: int) -> Any:
    """One's own demand, locked. Raises NotFound."""
    demand = await tx.row(LOCK_POSTED, demand_id, ctx.organisation_id)
    if demand is None:
        raise NotFound
    return demand


async def lock_received(ctx: Context, tx: Transaction, demand_id: int) -> tuple[Any, Any]:
    """(demand, our response), both locked; for a consultant only what is addressed to them. Raises NotFound."""
    demand = await tx.row(LOCK_RECEIVED, demand_id, ctx.organisation_id)
    response = await tx.row(RESPONSE, demand_id, ctx.organisation_id, consultants_membership(ctx)) if demand else None
    if response is None:
        raise NotFound
    return demand, response


def consultants_membership(ctx: Context) -> int | None:
    """What narrows an institution's demands down to those of the acting consultant; None for its own people."""
    return ctx.membership_id if ctx.actor.role is Role.CONSULTANT else None


async def refuse_related(tx: Transaction, enterprise_id: int, institution_id: int) -> None:
    """Raises RelatedAddressee."""
    if await tx.value(f"SELECT true FROM ({RELATED}) related WHERE id = $2", enterprise_id, institution_id):
        raise RelatedAddressee


async def closed_to(tx: Transaction, enterprise_id: int) -> list[int]:
    """The programmes whose zone does not hold the enterprise: what WITHIN_REACH wants to know."""
    return await zones.closed_to(tx, await tx.value(PLACE, enterprise_id))


async def require_within_reach(tx: Transaction, enterprise_id: int, institution_id: int) -> None:
    """区外企业 are no enterprise users of a supermarket: they ask nobody there, and nobody there answers them (D02). Raises OutsideZone."""
    closed = await closed_to(tx, enterprise_id)
    if closed and not await tx.value(REACHED, institution_id, closed):
        supermarket = await supermarket_of(tx, institution_id)
        await zones.require_inside(tx, supermarket.id, await tx.value(PLACE, enterprise_id))


async def tell_institutions(tx: Transaction, kind: str, demand: Any, **data: object) -> None:
    """Whoever was chosen, or has looked and not passed; a consultant with their institution."""
    await tx.run(TELL, demand.id, kind, await facts(tx, demand) | data, tx.ctx.now)


def mask_company(name: str) -> str:
    """济南****公司: of which place and kind it is, not which one."""
    return f"{name[:2]}****{name[-2:]}" if len(name) > 6 else f"{name[:1]}****"


async def facts(tx: Transaction, demand: Any) -> dict[str, Any]:
    """What a notice says of a demand to institutions. Who asks stays masked until somebody takes it up; so do words that did not pass."""
    known = await tx.row(KNOWN, demand.enterprise_id, demand.id)
    return {
        "title": demand.title if known.is_passed else UNCHECKED, "category": CATEGORIES[demand.category],
        "enterprise": mask_company(known.name),
        "reply_by": demand.expires_at.isoformat(),
    }
