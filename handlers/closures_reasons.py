"""Why an account cannot be closed yet: what nobody else could bring to its end (PIPL 47; docs/decisions/0241)."""

from enum import StrEnum
from typing import Any, TypedDict

from handlers.accounts.officials import FIRST_ADMIN_LOCK
from handlers.approvals import REACH
from handlers.regions import prefix_of
from handlers.transactions import Transaction
from models.accounts import Role

NUMBERS_MAX = 20


class ClosureReason(StrEnum):
    OPEN_ORDERS = "open_orders"
    USABLE_VOUCHERS = "usable_vouchers"
    MONEY_IN_FLIGHT = "money_in_flight"
    OPEN_CASES = "open_cases"
    LAST_ADMIN = "last_admin"


TEXTS = {
    ClosureReason.OPEN_ORDERS: "单位还有未完结的订单，请先办结，或将单位移交给另一名负责人",
    ClosureReason.USABLE_VOUCHERS: "单位还有可用的服务券，请先使用，或将单位移交给另一名负责人",
    ClosureReason.MONEY_IN_FLIGHT: "单位还有未到账的兑付，请等待到账，或将单位移交给另一名负责人",
    ClosureReason.OPEN_CASES: "您的岗位还有待审核的事项，且没有其他工作人员可以办理，请先办结或由系统管理员另行任命",
    ClosureReason.LAST_ADMIN: "您是唯一的系统管理员，请先任命另一名系统管理员",
}

SOLE_OWNED = """
SELECT o.id, o.name FROM memberships m JOIN organisations o ON o.id = m.organisation_id
WHERE m.person_id = $1 AND m.role = 'owner' AND m.state = 'active' AND NOT EXISTS (
  SELECT 1 FROM memberships c WHERE c.organisation_id = o.id AND c.role = 'owner' AND c.state = 'active' AND c.person_id <> $1)
ORDER BY o.id
"""
OPEN_ORDERS = f"""
SELECT count(*) AS count, NULL::bigint AS fen, coalesce((array_agg(number ORDER BY id))[1:{NUMBERS_MAX}], '{{}}') AS numbers
FROM orders WHERE (enterprise_id = $1 OR institution_id = $1) AND state NOT IN ('completed', 'closed') AND $2::timestamptz IS NOT NULL
"""
USABLE_VOUCHERS = """
SELECT count(*) AS count, sum(available_fen + held_fen)::bigint AS fen, '{}'::text[] AS numbers FROM lots
WHERE organisation_id = $1 AND (available_fen > 0 AND expires_at > $2 OR held_fen > 0)
"""
MONEY_IN_FLIGHT = f"""
SELECT count(*) AS count, sum(payable_fen)::bigint AS fen, coalesce((array_agg(number ORDER BY id))[1:{NUMBERS_MAX}], '{{}}') AS numbers
FROM redemptions WHERE institution_id = $1 AND state NOT IN ('redeemed', 'rejected') AND $2::timestamptz IS NOT NULL
"""
OF_ORGANISATION = (
    (ClosureReason.OPEN_ORDERS, OPEN_ORDERS), (ClosureReason.USABLE_VOUCHERS, USABLE_VOUCHERS),
    (ClosureReason.MONEY_IN_FLIGHT, MONEY_IN_FLIGHT),
)
OFFICES = """
SELECT m.role, m.region_code, m.park_id, o.id AS office_id, o.name AS office_name, m.person_id FROM memberships m
JOIN organisations o ON o.id = m.organisation_id AND o.kind = 'office'
WHERE m.state = 'active' AND m.role IN (SELECT role FROM memberships WHERE person_id = $1 AND state = 'active') ORDER BY m.id
"""
WAITING = f"SELECT a.region_code, a.park_id, count(*) AS count FROM approvals a WHERE {REACH} AND a.state = 'open' GROUP BY 1, 2"


class OpenMatterView(TypedDict):
    """`numbers`: of at most twenty orders or claims; `fen` where it is about money. `text` is for the person."""

    reason: ClosureReason
    text: str
    organisation_id: int
    organisation_name: str
    count: int
    fen: int | None
    numbers: list[str]


async def open_matters(tx: Transaction) -> list[OpenMatterView]:
    """The caller holds the person's memberships and the organisations that they own."""
    return [*await _of_organisations(tx), *await _of_offices(tx)]


async def _of_organisations(tx: Transaction) -> list[OpenMatterView]:
    found: list[OpenMatterView] = []
    for one in await tx.rows(SOLE_OWNED, tx.ctx.person_id):
        for reason, statement in OF_ORGANISATION:
            open_now = await tx.row(statement, one.id, tx.ctx.now)
            if open_now.count:
                found.append(_matter(reason, one.id, one.name, open_now.count, open_now.fen, list(open_now.numbers)))
    return found


async def _of_offices(tx: Transaction) -> list[OpenMatterView]:
    found: list[OpenMatterView] = []
    officials = await tx.rows(OFFICES, tx.ctx.person_id)
    for mine in (one for one in officials if one.person_id == tx.ctx.person_id):
        others = [one for one in officials if one.role == mine.role and one.person_id != tx.ctx.person_id]
        waiting = await tx.rows(WAITING, mine.role, prefix_of(mine.region_code) if mine.region_code else None, mine.park_id)
        left = sum(case.count for case in waiting if not any(_reaches(one, case) for one in others))
        if left:
            found.append(_matter(ClosureReason.OPEN_CASES, mine.office_id, mine.office_name, left))
        if mine.role == Role.ADMIN and not others:
            found.append(_matter(ClosureReason.LAST_ADMIN, mine.office_id, mine.office_name, 1))
    return found


def _reaches(official: Any, case: Any) -> bool:
    """`approvals.REACH`, for somebody else's membership."""
    if official.park_id is not None:
        return bool(case.park_id == official.park_id)
    return official.region_code is None or (case.region_code or "").startswith(prefix_of(official.region_code))


def _matter(
    reason: ClosureReason, organisation_id: int, name: str, count: int, fen: int | None = None, numbers: list[str] | None = None
) -> OpenMatterView:
    return {
        "reason": reason, "text": TEXTS[reason], "organisation_id": organisation_id, "organisation_name": name, "count": count,
        "fen": fen, "numbers": numbers or [],
    }


async def lock_admins(tx: Transaction) -> None:
    """Two administrators who close their accounts at once do not leave the platform without one."""
    await tx.value("SELECT pg_advisory_xact_lock($1)", FIRST_ADMIN_LOCK)
