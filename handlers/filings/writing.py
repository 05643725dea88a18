"""What an institution or its consultant does with a filing: draft, evidence, submission, withdrawal (D17, D21)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import asyncpg

from handlers import approvals
from handlers.accounts.organisations import credit_code_of
from handlers.application_forms import ProblemView
from handlers.context import Context
from handlers.filings import flags, objections
from handlers.filings.views import SHOWN, FilingView, view, view_of
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.supermarkets import supermarket_of
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import SHANGHAI, due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.filings import FILING_GRAPH, ActivityPart, FilingKind, FilingState, ObjectionState

REVIEW_WORKING_DAYS = 5
EVIDENCE_MAX = 10
AGE_MAX = timedelta(days=730)  # what is older says nothing of how active an institution is
EVIDENCE_SLOT = "filing_evidence"
EDITABLE = frozenset({FilingState.DRAFT, FilingState.RETURNED})
TITLES = {
    "enterprise_code": "企业统一社会信用代码", "enterprise_name": "企业名称", "amount_fen": "交易金额", "happened_on": "日期",
    "consultant_id": "服务顾问", "product_id": "服务产品", "order_id": "订单", "attachment_ids": "证明材料", "title": "活动名称",
    "place": "活动地点", "partner": "合作政府部门", "part": "承担角色", "participants": "参与人数", "is_public_benefit": "纯公益性声明",
    "summary": "说明",
}


class FilingWrong(Refusal):
    """`data.items`: [{field, title, problem}]."""

    kind, code, title = Kind.INVALID, "filing_wrong", "备案信息有误，请核对"


class FilingStateWrong(Refusal):
    """`data.state`: only a draft or a returned filing is edited and submitted, only an undecided one withdrawn."""

    kind, code, title = Kind.CONFLICT, "filing_state_wrong", "备案当前状态不能进行此操作"


class OrderFiled(Refusal):
    kind, code, title = Kind.CONFLICT, "order_filed", "该订单的交易已备案，请勿重复备案"


@dataclass(frozen=True, slots=True)
class TransactionForm:
    """With an order, the other side and the amount are the order's, and are not given."""

    happened_on: date
    enterprise_code: str | None
    enterprise_name: str | None
    amount_fen: int | None
    order_id: int | None
    product_id: int | None
    consultant_id: int | None
    summary: str
    attachment_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class ActivityForm:
    happened_on: date
    title: str
    place: str
    partner: str
    part: ActivityPart
    participants: int
    is_public_benefit: bool
    consultant_id: int | None
    summary: str
    attachment_ids: Sequence[int]


COLUMNS = (
    "happened_on", "consultant_id", "summary", "enterprise_id", "enterprise_code", "enterprise_name", "product_id", "order_id",
    "amount_fen", "title", "place", "partner", "part", "participants", "is_public_benefit",
)
INSERT = f"""
INSERT INTO filings (institution_id, kind, filed_by_id, created_at, updated_at, state, version, {", ".join(COLUMNS)})
VALUES ($1, $2, $3, $4, $4, 'draft', 1, {", ".join(f"${number}" for number in range(5, 5 + len(COLUMNS)))}) RETURNING *
"""
WRITE = f"""
UPDATE filings SET updated_at = $2, version = version + 1, object_by = NULL,
  {", ".join(f"{name} = ${number}" for number, name in enumerate(COLUMNS, 3))}
WHERE id = $1 RETURNING *
"""
# $2: the consultant who acts, whom only the own filings concern; null for the institution's staff.
OWN = "f.institution_id = $1 AND ($2::bigint IS NULL OR f.consultant_id = $2)"
LOCK_OWN = f"SELECT f.* FROM filings f WHERE {OWN} AND f.id = $3 FOR UPDATE"
LIST = f"""
{SHOWN} WHERE {OWN} AND ($3::text IS NULL OR f.kind = $3) AND ($4::text IS NULL OR f.state = $4) AND f.id < $5 ORDER BY f.id DESC LIMIT $6
"""
CONSULTANT = "SELECT id FROM consultants WHERE id = $1 AND institution_id = $2 AND state = 'active'"
ACTING = "SELECT id FROM consultants WHERE membership_id = $1 AND state = 'active'"
PRODUCT = "SELECT id FROM products WHERE id = $1 AND organisation_id = $2"
ORDER = """
SELECT o.id, o.order_fen, o.product_id, o.enterprise_id, e.credit_code, e.name FROM orders o JOIN organisations e ON e.id = o.enterprise_id
WHERE o.id = $1 AND o.institution_id = $2 AND o.paid_at IS NOT NULL
"""
KNOWN = "SELECT id FROM organisations WHERE kind = 'enterprise' AND credit_code = $1"
LINK = """
UPDATE filings f SET enterprise_id = o.id FROM organisations o
WHERE f.id = $1 AND f.enterprise_id IS NULL AND o.kind = 'enterprise' AND o.credit_code = f.enterprise_code
"""
INSTITUTION = "SELECT id, credit_code, region_code, park_id FROM organisations WHERE id = $1"
# $4: a consultant, who links what they uploaded or what is linked already; null for the institution's staff.
OWN_FILES = """
SELECT id, sha256 FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = $3 AND state = 'stored'
  AND ($4::bigint IS NULL OR uploaded_by_id = $4 OR id IN (SELECT attachment_id FROM filing_files WHERE filing_id = $5)) FOR KEY SHARE
"""
PUT_FILES = """
WITH gone AS (DELETE FROM filing_files WHERE filing_id = $1 AND NOT (attachment_id = ANY($2::bigint[])))
INSERT INTO filing_files (filing_id, attachment_id, sha256) SELECT $1, * FROM unnest($2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING
"""


# --- writing --------------------------------------------------------------------------------------------------------------------


async def draft_transaction(ctx: Context, form: TransactionForm) -> FilingView:
    """交易备案 -> 新增. Raises FilingWrong, OrderFiled."""
    async with transaction(ctx) as tx:
        return tx.reply(await _insert(ctx, tx, FilingKind.TRANSACTION, await _of_transaction(ctx, tx, form), form.attachment_ids))


async def draft_activity(ctx: Context, form: ActivityForm) -> FilingView:
    """活动备案 -> 新增. Raises FilingWrong."""
    async with transaction(ctx) as tx:
        return tx.reply(await _insert(ctx, tx, FilingKind.ACTIVITY, await _of_activity(ctx, tx, form), form.attachment_ids))


async def edit_transaction(ctx: Context, filing_id: int, version: int, form: TransactionForm) -> FilingView:
    """Raises NotFound, FilingStateWrong, ChangedMeanwhile, FilingWrong, OrderFiled."""
    async with transaction(ctx) as tx:
        filing = await _lock_editable(ctx, tx, filing_id, FilingKind.TRANSACTION, version)
        return tx.reply(await _write(ctx, tx, filing, await _of_transaction(ctx, tx, form), form.attachment_ids))


async def edit_activity(ctx: Context, filing_id: int, version: int, form: ActivityForm) -> FilingView:
    """Raises NotFound, FilingStateWrong, ChangedMeanwhile, FilingWrong."""
    async with transaction(ctx) as tx:
        filing = await _lock_editable(ctx, tx, filing_id, FilingKind.ACTIVITY, version)
        return tx.reply(await _write(ctx, tx, filing, await _of_activity(ctx, tx, form), form.attachment_ids))


async def submit_filing(ctx: Context, filing_id: int) -> FilingView:
    """Before the administrator, with what is odd about it; the enterprise that it names hears of it.

    Raises NotFound, FilingStateWrong, FilingWrong without evidence or the declaration, InstitutionNotCertified, InstitutionSuspended.
    """
    async with transaction(ctx) as tx:
        filing = await _lock_own(ctx, tx, filing_id)
        if filing.state not in EDITABLE:
            raise FilingStateWrong(state=filing.state)
        await require_open_shop(tx, filing.institution_id)
        await link_enterprise(tx, filing.id)
        files = await tx.rows("SELECT attachment_id FROM filing_files WHERE filing_id = $1 ORDER BY attachment_id", filing.id)
        _refuse_if([
            *([] if files else [_problem("attachment_ids", "请上传证明材料")]),
            *([_problem("is_public_benefit", "只有纯公益性活动可以备案")] if filing.is_public_benefit is False else []),
        ])
        filing = await move(tx, FILING_GRAPH, filing, FilingState.IN_REVIEW, submitted_at=ctx.now, updated_at=ctx.now, reason=None)
        await objections.lapse_of_others(tx, filing)
        await objections.tell_named(tx, filing)
        await flags.keep(tx, filing.id, await flags.look_at(tx, filing))
        await _queue(ctx, tx, filing, [file.attachment_id for file in files])
        return tx.reply(await view_of(ctx, filing.id))


async def withdraw_filing(ctx: Context, filing_id: int) -> FilingView:
    """Raises NotFound, FilingStateWrong once it is decided."""
    async with transaction(ctx) as tx:
        filing = await _lock_own(ctx, tx, filing_id)
        if filing.state not in {*EDITABLE, FilingState.IN_REVIEW}:
            raise FilingStateWrong(state=filing.state)
        await approvals.withdraw_approval(tx, "filing", filing.id)
        await move(tx, FILING_GRAPH, filing, FilingState.WITHDRAWN, updated_at=ctx.now)
        await objections.settle(tx, filing, ObjectionState.LAPSED)
        return tx.reply(await view_of(ctx, filing.id))


# --- looking --------------------------------------------------------------------------------------------------------------------


async def list_filings(ctx: Context, kind: FilingKind | None, state: FilingState | None, page: Page) -> PageView[FilingView]:
    """The institution's own, newest first; a consultant's own for a consultant."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(LIST, ctx.organisation_id, await acting(ctx), kind, state, before, page.limit + 1)
    return page_of(found, page, view, lambda filing: [filing.id])


async def get_filing(ctx: Context, filing_id: int) -> FilingView:
    """Raises NotFound."""
    if await row(f"SELECT f.id FROM filings f WHERE {OWN} AND f.id = $3", ctx.organisation_id, await acting(ctx), filing_id) is None:
        raise NotFound
    return await view_of(ctx, filing_id)


# --- steps ----------------------------------------------------------------------------------------------------------------------


async def acting(ctx: Context) -> int | None:
    """The consultant who acts; 0, who has filed nothing, where the link has just ended."""
    if ctx.actor.role is not Role.CONSULTANT:
        return None
    found = await row(ACTING, ctx.membership_id)
    return int(found.id) if found is not None else 0


async def _lock_own(ctx: Context, tx: Transaction, filing_id: int) -> Any:
    filing = await tx.row(LOCK_OWN, ctx.organisation_id, await acting(ctx), filing_id)
    if filing is None:
        raise NotFound
    return filing


async def link_enterprise(tx: Transaction, filing_id: int) -> None:
    """The other side may have come to the platform since it was written down."""
    await tx.run(LINK, filing_id)


async def _lock_editable(ctx: Context, tx: Transaction, filing_id: int, kind: FilingKind, version: int) -> Any:
    filing = await _lock_own(ctx, tx, filing_id)
    if filing.kind != kind:
        raise NotFound
    if filing.state not in EDITABLE:
        raise FilingStateWrong(state=filing.state)
    if filing.version != version:
        raise ChangedMeanwhile(version=filing.version)
    return filing


async def _insert(ctx: Context, tx: Transaction, kind: FilingKind, values: dict[str, Any], files: Sequence[int]) -> FilingView:
    try:
        filing = await tx.row(INSERT, ctx.organisation_id, kind, ctx.person_id, ctx.now, *(values.get(name) for name in COLUMNS))
    except asyncpg.UniqueViolationError as error:
        raise OrderFiled from error
    tx.record("filing.drafted", "filing", filing.id, after=filing.state, kind=kind)
    await _link_files(ctx, tx, filing, files)
    return await view_of(ctx, filing.id)


async def _write(ctx: Context, tx: Transaction, filing: Any, values: dict[str, Any], files: Sequence[int]) -> FilingView:
    try:
        await tx.row(WRITE, filing.id, ctx.now, *(values.get(name) for name in COLUMNS))
    except asyncpg.UniqueViolationError as error:
        raise OrderFiled from error
    tx.record("filing.edited", "filing", filing.id, version=filing.version + 1)
    await _link_files(ctx, tx, filing, files)
    return await view_of(ctx, filing.id)


async def _of_transaction(ctx: Context, tx: Transaction, form: TransactionForm) -> dict[str, Any]:
    """The columns. Raises FilingWrong."""
    values, problems = await _in_common(ctx, tx, form)
    institution = await tx.row(INSTITUTION, ctx.organisation_id)
    values["product_id"] = form.product_id
    if form.product_id is not None and await tx.value(PRODUCT, form.product_id, ctx.organisation_id) is None:
        problems.append(_problem("product_id", "不是本机构的服务产品"))
    if form.order_id is not None:
        order = await tx.row(ORDER, form.order_id, ctx.organisation_id)
        problems += _beside_an_order(form) if order is not None else [_problem("order_id", "不是本机构已支付的订单")]
        _refuse_if(problems)
        return values | {
            "order_id": order.id, "enterprise_id": order.enterprise_id, "enterprise_code": order.credit_code,
            "enterprise_name": order.name, "amount_fen": order.order_fen, "product_id": form.product_id or order.product_id,
        }
    code = credit_code_of(form.enterprise_code or "")
    missing = ("enterprise_name", "amount_fen")
    problems += [_problem(name, "必填") for name in missing if getattr(form, name) is None]
    if code is None:
        problems.append(_problem("enterprise_code", "统一社会信用代码不正确"))
    elif code == institution.credit_code:
        problems.append(_problem("enterprise_code", "不能与本单位自己交易"))
    _refuse_if(problems)
    return values | {
        "enterprise_id": await tx.value(KNOWN, code), "enterprise_code": code, "enterprise_name": form.enterprise_name,
        "amount_fen": form.amount_fen,
    }


def _beside_an_order(form: TransactionForm) -> list[ProblemView]:
    names = ("enterprise_code", "enterprise_name", "amount_fen")
    return [_problem(name, "以订单为准，无需填写") for name in names if getattr(form, name) is not None]


async def _of_activity(ctx: Context, tx: Transaction, form: ActivityForm) -> dict[str, Any]:
    values, problems = await _in_common(ctx, tx, form)
    _refuse_if(problems)
    names = ("title", "place", "partner", "part", "participants", "is_public_benefit")
    return values | {name: getattr(form, name) for name in names}


async def _in_common(ctx: Context, tx: Transaction, form: TransactionForm | ActivityForm) -> tuple[dict[str, Any], list[ProblemView]]:
    """A consultant files for nobody else."""
    own_id = await acting(ctx)
    consultant_id = form.consultant_id if own_id is None else own_id
    problems = []
    if consultant_id is not None and await tx.value(CONSULTANT, consultant_id, ctx.organisation_id) is None:
        problems.append(_problem("consultant_id", "不是本机构的服务顾问"))
    elif own_id is not None and form.consultant_id not in {None, own_id}:
        problems.append(_problem("consultant_id", "服务顾问只能为自己备案"))
    today = ctx.now.astimezone(SHANGHAI).date()
    if not today - AGE_MAX <= form.happened_on <= today:
        problems.append(_problem("happened_on", "应在最近两年内，且不晚于今天"))
    return {"happened_on": form.happened_on, "consultant_id": consultant_id, "summary": form.summary}, problems


async def _link_files(ctx: Context, tx: Transaction, filing: Any, attachment_ids: Sequence[int]) -> None:
    wanted = sorted(set(attachment_ids))
    uploader = ctx.person_id if ctx.actor.role is Role.CONSULTANT else None
    found = await tx.rows(OWN_FILES, wanted, ctx.organisation_id, EVIDENCE_SLOT, uploader, filing.id)
    own = {file.id: file.sha256 for file in found}
    if len(own) != len(wanted) or len(wanted) > EVIDENCE_MAX:
        raise FilingWrong(items=[_problem("attachment_ids", f"附件不存在或不属于此项，最多 {EVIDENCE_MAX} 个")])
    await tx.run(PUT_FILES, filing.id, wanted, [own[number] for number in wanted])


async def place_of(tx: Transaction, institution_id: int) -> tuple[str | None, int | None]:
    """(region, park) whose administrator looks at it: of the supermarket that certified the institution; where none did, its own."""
    supermarket = await supermarket_of(tx, institution_id)
    if supermarket is not None:
        return supermarket.region_code, None
    institution = await tx.row(INSTITUTION, institution_id)
    return institution.region_code, institution.park_id


async def _queue(ctx: Context, tx: Transaction, filing: Any, attachment_ids: list[int]) -> None:
    region_code, park_id = await place_of(tx, filing.institution_id)
    what = f"交易备案：{filing.enterprise_name}" if filing.kind == FilingKind.TRANSACTION else f"活动备案：{filing.title}"
    await approvals.open_approval(
        tx, kind=ApprovalKind.FILING, title=what[:100], subject="filing", subject_id=filing.id, organisation_id=filing.institution_id,
        role=Role.ADMIN, region_code=region_code, park_id=park_id, submitted_by=ctx.person_id,
        due_at=due_after(ctx.now, REVIEW_WORKING_DAYS), data={"attachment_ids": attachment_ids, "version": filing.version},
    )


def _problem(field: str, problem: str) -> ProblemView:
    return {"field": field, "title": TITLES[field], "problem": problem}


def _refuse_if(problems: list[ProblemView]) -> None:
    if problems:
        raise FilingWrong(items=problems)
