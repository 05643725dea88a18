"""服务券金额及使用方向 (C24): an enterprise applies for an amount and what it is for; what is granted becomes one lot of vouchers.

The application runs on the one engine (handlers/applications.py); the decision carries the amount, which may be less than was asked.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, TypedDict

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from handlers import applications, approvals, wallet
from handlers.application_forms import AMOUNT_MAX_FEN, Form, LongText, ProblemView
from handlers.application_kinds import Case, KindRules, Requalify, register
from handlers.application_views import ApplicationView
from handlers.approvals import ApprovalView, Decision, DecisionIncomplete
from handlers.context import Context
from handlers.orders.rules import ProgrammeNotOpen
from handlers.paging import Page, PageView, page_of
from handlers.programmes import rules_of
from handlers.qualifications import PROGRAMME, nothing_more, only_certified
from handlers.refusals import Kind, NotFound, Refusal
from handlers.texts import LINE
from handlers.transactions import Transaction, row, rows
from models.accounts import Role
from models.approvals import ApplicationKind
from models.categories import CATEGORIES
from models.programmes import ProgrammeState

VALID_DAYS_MAX = 3 * 366  # no programme's money waits longer; a later date is a slip of the pen
DIRECTIONS_MAX = 10


class AmountsNotApproved(Refusal):
    kind, code, title = Kind.CONFLICT, "amounts_not_approved_here", "该项目不采用审批额度方式发放服务券"


class GrantTermsWrong(Refusal):
    """`data.items`: amount_fen (above what was applied for) | directions (not among the applied ones) | valid_until."""

    kind, code, title = Kind.INVALID, "grant_terms_wrong", "批准的金额、方向或有效期不正确"


class BudgetExhausted(Refusal):
    """`data.left_fen`: what the programme can still grant."""

    kind, code, title = Kind.CONFLICT, "budget_exhausted", "项目预算余额不足"


class GrantView(TypedDict):
    """`awarded_on`: contracts signed before it are not supported (C44). `available_fen` … of all that is left of it."""

    id: int
    programme_id: int
    programme: str
    voucher_type: str
    applied_fen: int
    amount_fen: int
    available_fen: int
    held_fen: int
    spent_fen: int
    directions: list[wallet.DirectionView]
    awarded_on: date
    valid_until: date


def _known_category(code: str) -> str:
    if code not in CATEGORIES:
        raise PydanticCustomError("category", "没有该服务大类")
    return code


def _once(directions: list["DirectionForm"]) -> list["DirectionForm"]:
    if len(set(directions)) != len(directions):
        raise PydanticCustomError("repeated", "不能重复选择")
    return directions


class DirectionForm(Form):
    category: Annotated[str, AfterValidator(_known_category)] = Field(title="服务大类")
    content: Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=64), LINE] = Field(title="服务小类")


def _asked(title: str) -> dict[str, Any]:
    return {"title": title, "json_schema_extra": {"x-page": "申请信息"}}


class ApprovedAmountForm(Form):
    amount_fen: Annotated[int, Field(ge=1, le=AMOUNT_MAX_FEN)] = Field(**_asked("申请服务券金额"))
    directions: Annotated[list[DirectionForm], Field(min_length=1, max_length=DIRECTIONS_MAX), AfterValidator(_once)] = Field(
        **_asked("使用方向")
    )
    reason: LongText = Field(**_asked("申请理由"))


# --- the applicant ----------------------------------------------------------------------------------------------------


async def save_application(
    ctx: Context, programme_id: int, form: Mapping[str, Any], files: Mapping[str, list[int]]
) -> ApplicationView:
    """A draft for a published programme that grants amounts. Raises NotFound, AmountsNotApproved, what applications.save_draft raises."""
    programme = await row(PROGRAMME, programme_id)
    if programme is None or programme.state != ProgrammeState.PUBLISHED:
        raise NotFound
    _require_allocation(programme)
    return await applications.save_draft(ctx, ApplicationKind.APPROVED_AMOUNT, programme_id, form, files)


def _require_allocation(programme: Any) -> None:
    if programme.rules is None or rules_of(programme).allocation != "approved_amount":
        raise AmountsNotApproved


async def list_grants(ctx: Context, page: Page) -> PageView[GrantView]:
    """What the acting enterprise was granted, newest first."""
    after = page.key()
    found = await rows(GRANTS, ctx.organisation_id, after[0] if after else 2**63 - 1, page.limit + 1)
    return page_of(found, page, grant_view, lambda grant: [grant.id])


GRANTS = """
SELECT g.*, p.name AS programme, t.name AS voucher_type, left_of.* FROM grants g
JOIN programmes p ON p.id = g.programme_id JOIN voucher_types t ON t.id = g.voucher_type_id
CROSS JOIN LATERAL (
  SELECT sum(available_fen)::bigint AS available_fen, sum(held_fen)::bigint AS held_fen, sum(spent_fen)::bigint AS spent_fen
  FROM lots WHERE grant_id = g.id
) left_of
WHERE g.organisation_id = $1 AND g.id < $2 ORDER BY g.id DESC LIMIT $3
"""


def grant_view(grant: Any) -> GrantView:
    return {
        "id": grant.id, "programme_id": grant.programme_id, "programme": grant.programme, "voucher_type": grant.voucher_type,
        "applied_fen": grant.applied_fen, "amount_fen": grant.amount_fen, "available_fen": grant.available_fen,
        "held_fen": grant.held_fen, "spent_fen": grant.spent_fen, "directions": grant.directions, "awarded_on": grant.awarded_on,
        "valid_until": grant.valid_until,
    }


# --- the kind ---------------------------------------------------------------------------------------------------------


async def only_where_amounts_are_approved(tx: Transaction, case: Case) -> None:
    """Certified, in the programme's division, and the programme's policy grants amounts."""
    await only_certified(tx, case)
    _require_allocation(await tx.row(PROGRAMME, case.application.programme_id))


async def nothing_to_compare(_tx: Transaction, _case: Case) -> list[ProblemView]:
    """Nothing in the form is known from elsewhere."""
    return []


async def always(_tx: Transaction, _application: Any) -> Requalify:
    """An amendment asks for a further amount (追加): it is decided like the first."""
    return Requalify.ALWAYS


# --- the reviewer -----------------------------------------------------------------------------------------------------

OF_AN_AMOUNT = """
SELECT 1 FROM approvals a JOIN applications p ON p.id = a.subject_id
WHERE a.id = $1 AND a.subject = 'application' AND p.kind = 'approved_amount'
"""
TERMS = ("amount_fen", "directions", "valid_until")
GRANT = """
INSERT INTO grants (application_id, programme_id, organisation_id, voucher_type_id, applied_fen, amount_fen, directions, awarded_on,
                    valid_until, granted_by_id, created_at)
VALUES ($1, $2, $3, (SELECT min(id) FROM voucher_types WHERE programme_id = $2), $4, $5, $6, $7, $8, $9, $10) RETURNING *
"""
# Two decisions of one programme meet at its row; the CHECK would refuse what this condition overlooked.
TAKE_BUDGET = """
UPDATE programmes SET granted_fen = granted_fen + $2 WHERE id = $1 AND (budget_fen IS NULL OR granted_fen + $2 <= budget_fen)
"""


async def approve_amount(
    ctx: Context, approval_id: int, *, amount_fen: int, directions: list[dict[str, str]], valid_until: date, remark: str | None
) -> ApprovalView:
    """Grant at most what was applied for, for all or some of the directions.

    Raises NotFound, GrantTermsWrong, BudgetExhausted, ProgrammeNotOpen, and what `approvals.decide` raises.
    """
    if await row(OF_AN_AMOUNT, approval_id) is None:
        raise NotFound
    terms = {"amount_fen": amount_fen, "directions": directions, "valid_until": valid_until}
    return await approvals.decide(ctx, approval_id, Decision.APPROVE, reason=remark, data=terms)


async def award(ctx: Context, tx: Transaction, application: Any, terms: Mapping[str, Any]) -> None:
    """The grant, its lot, and its part of the budget, in the transaction of the decision."""
    if missing := [name for name in TERMS if name not in terms]:
        raise DecisionIncomplete(items=missing)
    today = wallet.shanghai_date(ctx.now)
    if wrong := _wrong_terms(application.form, terms, today):
        raise GrantTermsWrong(items=wrong)
    await _take_budget(tx, application.programme_id, terms["amount_fen"])
    grant = await tx.row(
        GRANT, application.id, application.programme_id, application.organisation_id, application.form["amount_fen"],
        terms["amount_fen"], terms["directions"], today, terms["valid_until"], ctx.person_id, ctx.now,
    )
    lot_id = await wallet.issue_grant(ctx, tx, grant)
    tx.record("grant.made", "grant", grant.id, amount_fen=grant.amount_fen, applied_fen=grant.applied_fen, lot_id=lot_id,
              directions=grant.directions)
    tx.announce(
        "voucher_issued", "lot", lot_id, organisation_id=grant.organisation_id, face_fen=grant.amount_fen,
        voucher_type=await tx.value("SELECT name FROM voucher_types WHERE id = $1", grant.voucher_type_id),
        valid_until=grant.valid_until.isoformat(),
    )


def _wrong_terms(form: Mapping[str, Any], terms: Mapping[str, Any], today: date) -> list[str]:
    directions = terms["directions"]
    right = {
        "amount_fen": 0 < terms["amount_fen"] <= form["amount_fen"],
        "directions": bool(directions) and all(each in form["directions"] and directions.count(each) == 1 for each in directions),
        "valid_until": today <= terms["valid_until"] <= today + timedelta(days=VALID_DAYS_MAX),
    }
    return [name for name, is_right in right.items() if not is_right]


async def _take_budget(tx: Transaction, programme_id: int, fen: int) -> None:
    if not await tx.run(TAKE_BUDGET, programme_id, fen):
        left = await tx.value("SELECT budget_fen - granted_fen FROM programmes WHERE id = $1", programme_id)
        raise BudgetExhausted(left_fen=left)
    if await tx.value("SELECT state FROM programmes WHERE id = $1", programme_id) != ProgrammeState.PUBLISHED:
        raise ProgrammeNotOpen


APPROVED_AMOUNT = register(KindRules(
    kind=ApplicationKind.APPROVED_AMOUNT, title="服务券额度及使用方向申请", forms={1: ApprovedAmountForm}, required_files=(),
    optional_files=(), role=Role.REVIEWER, working_days=5, sensitive=frozenset({"amount_fen", "directions"}),
    guard=only_where_amounts_are_approved, compare=nothing_to_compare, requalify=always, on_approved=nothing_more, award=award,
))
