"""An institution's service products: draft, review, listing (A34-A39, C20-C22). Searching is in product_search, showing in product_pages.

What was reviewed is what is listed: a change after the review goes back to the draft and is reviewed again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from handlers import approvals
from handlers.approvals import Decision, DecisionNotOffered, QueueView
from handlers.context import Context
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.product_search import index_product
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.categories import CATEGORIES
from models.products import PRODUCT_GRAPH, ProductState

REVIEW_WORKING_DAYS = 5
# What the page of a product shows, in this order (E25), and what C21 asks of every text before it may be reviewed.
SECTIONS = {
    "introduction": "服务简介", "guarantee": "服务保障", "process": "服务流程", "details": "服务详情", "time_limit": "服务时限",
    "charges": "收费标准", "price_make_up": "要价构成", "deliverables": "交付结果",
}
MANDATORY = ("introduction", "process", "time_limit", "charges", "price_make_up", "deliverables")


class CategoryUnknown(Refusal):
    kind, code, title = Kind.INVALID, "category_unknown", "没有该服务类型"


class DeductionNotAllowed(Refusal):
    """`reason`: unknown_voucher_type | twice | category_differs | above_price | price_missing."""

    kind, code, title = Kind.INVALID, "deduction_not_allowed", "抵扣设置有误，请核对服务券和金额"


class SectionsIncomplete(Refusal):
    """`missing`: keys and titles of the sections that must be written before a review."""

    kind, code, title = Kind.INVALID, "sections_incomplete", "服务介绍不完整，请补充后再提交"


class ProductStateWrong(Refusal):
    """`state` is what the product is in; it must be another for this."""

    kind, code, title = Kind.CONFLICT, "product_state_wrong", "服务产品当前状态不能进行此操作"


@dataclass(frozen=True, slots=True)
class ProductForm:
    """What an institution writes. `deductions`: (voucher type id, most fen that such vouchers may pay)."""

    name: str
    category: str
    price_fen: int | None  # None = 面议
    sections: Mapping[str, str]
    deductions: Sequence[tuple[int, int]]


class DeductionView(TypedDict):
    voucher_type_id: int
    voucher_type: str
    programme_id: int
    programme: str
    max_fen: int


class ProductView(TypedDict):
    """As its institution and its reviewers see it. `reason` is what the last review said, `queue` where it waits now."""

    id: int
    service_number: str
    name: str
    category: str
    category_title: str
    region_code: str
    price_fen: int | None
    state: ProductState
    sections: dict[str, str]
    deductions: list[DeductionView]
    is_recommended: bool
    version: int
    reason: str | None
    queue: QueueView | None
    listed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ProductRowView(TypedDict):
    """A line of 服务管理 (A36)."""

    id: int
    service_number: str
    name: str
    category_title: str
    price_fen: int | None
    state: ProductState
    created_at: datetime


INSERT = """
INSERT INTO products (service_number, organisation_id, name, category, region_code, price_fen, state, sections, takes_vouchers,
                      is_recommended, terms, version, created_at, updated_at)
SELECT 'PX-' || region_code || '-' || nextval('service_serials'), id, $2, $3, region_code, $4, 'draft', $5, $6, false, '{}', 1, $7, $7
FROM organisations WHERE id = $1 RETURNING id
"""
DEDUCTIONS = """
SELECT d.voucher_type_id, t.name AS voucher_type, t.programme_id, g.name AS programme, d.max_fen
FROM deductions d JOIN voucher_types t ON t.id = d.voucher_type_id JOIN programmes g ON g.id = t.programme_id
WHERE d.product_id = $1 ORDER BY t.programme_id, d.voucher_type_id
"""
REVIEWED = """
SELECT reason FROM approvals WHERE subject = 'product' AND subject_id = $1 AND decided_at IS NOT NULL ORDER BY id DESC LIMIT 1
"""


# --- writing -------------------------------------------------------------------------------------------------------------------


async def create_product(ctx: Context, form: ProductForm) -> ProductView:
    """A draft with its service number. Raises CategoryUnknown, DeductionNotAllowed."""
    async with transaction(ctx) as tx:
        await _check(tx, form)
        product_id = await tx.value(
            INSERT, ctx.organisation_id, form.name, form.category, form.price_fen, dict(form.sections), bool(form.deductions), ctx.now
        )
        await _set_deductions(tx, product_id, form)
        tx.record("product.created", "product", product_id, after=ProductState.DRAFT.value)
        return tx.reply(await _view_in(ctx, tx, product_id))


async def edit_product(ctx: Context, product_id: int, version: int, form: ProductForm) -> ProductView:
    """Replace what is written. An approved product becomes a draft again; a listed one is unlisted first.

    Raises NotFound, ProductStateWrong, ChangedMeanwhile, CategoryUnknown, DeductionNotAllowed.
    """
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.DRAFT, ProductState.REJECTED, ProductState.APPROVED)
        if product.version != version:
            raise ChangedMeanwhile(version=product.version)
        await _check(tx, form)
        if product.state == ProductState.APPROVED:
            await move(tx, PRODUCT_GRAPH, product, ProductState.DRAFT)
        else:
            tx.record("product.edited", "product", product_id, version=version + 1)
        await tx.run(
            "UPDATE products SET name = $2, category = $3, price_fen = $4, sections = $5, takes_vouchers = $6, version = version + 1,"
            " updated_at = $7 WHERE id = $1",
            product_id, form.name, form.category, form.price_fen, dict(form.sections), bool(form.deductions), ctx.now,
        )
        await _set_deductions(tx, product_id, form)
        return tx.reply(await _view_in(ctx, tx, product_id))


async def _check(tx: Transaction, form: ProductForm) -> None:
    if form.category not in CATEGORIES:
        raise CategoryUnknown
    type_ids = [type_id for type_id, _ in form.deductions]
    found = await tx.rows("SELECT id, is_universal, categories FROM voucher_types WHERE id = ANY($1::bigint[])", type_ids)
    types = {voucher_type.id: voucher_type for voucher_type in found}
    for type_id, max_fen in form.deductions:
        if reason := "twice" if type_ids.count(type_id) > 1 else _why_not(form, types.get(type_id), max_fen):
            raise DeductionNotAllowed(voucher_type_id=type_id, reason=reason)


def _why_not(form: ProductForm, voucher_type: Any, max_fen: int) -> str | None:
    if voucher_type is None:
        return "unknown_voucher_type"
    if not voucher_type.is_universal and form.category not in voucher_type.categories:
        return "category_differs"
    if form.price_fen is None:
        return "price_missing"
    return "above_price" if max_fen > form.price_fen else None


async def _set_deductions(tx: Transaction, product_id: int, form: ProductForm) -> None:
    await tx.run("DELETE FROM deductions WHERE product_id = $1", product_id)
    await tx.run(
        "INSERT INTO deductions (product_id, voucher_type_id, max_fen) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])",
        product_id, [type_id for type_id, _ in form.deductions], [max_fen for _, max_fen in form.deductions],
    )
    await index_product(tx, product_id)


# --- the review ----------------------------------------------------------------------------------------------------------------


async def submit_product(ctx: Context, product_id: int) -> ProductView:
    """Into the queue of the region's reviewers. Raises NotFound, ProductStateWrong, SectionsIncomplete, InstitutionNotCertified,
    InstitutionSuspended.
    """
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.DRAFT, ProductState.REJECTED)
        await require_open_shop(tx, ctx.organisation_id)
        if missing := [key for key in MANDATORY if not product.sections.get(key, "").strip()]:
            raise SectionsIncomplete(missing=[{"field": key, "title": SECTIONS[key]} for key in missing])
        await move(tx, PRODUCT_GRAPH, product, ProductState.IN_REVIEW, updated_at=ctx.now)
        await approvals.open_approval(
            tx, kind=ApprovalKind.PRODUCT, title=f"服务产品审核：{product.name}"[:100], subject="product", subject_id=product_id,
            organisation_id=ctx.organisation_id, role=Role.REVIEWER, region_code=product.region_code, park_id=None,
            submitted_by=ctx.person_id, due_at=due_after(ctx.now, REVIEW_WORKING_DAYS), data={"version": product.version},
        )
        return tx.reply(await _view_in(ctx, tx, product_id))


async def withdraw_product(ctx: Context, product_id: int) -> ProductView:
    """Out of the queue, back to the draft. Raises NotFound, ProductStateWrong."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.IN_REVIEW)
        await move(tx, PRODUCT_GRAPH, product, ProductState.DRAFT, updated_at=ctx.now)
        await approvals.withdraw_approval(tx, "product", product_id)
        return tx.reply(await _view_in(ctx, tx, product_id))


async def decide_product(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Called by `approvals.decide`, which has locked the product. Raises DecisionNotOffered: what is to be mended is rejected."""
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    product = await tx.row("SELECT * FROM products WHERE id = $1", approval.subject_id)
    approved = decision is Decision.APPROVE
    await move(
        tx, PRODUCT_GRAPH, product, ProductState.APPROVED if approved else ProductState.REJECTED, note={"reason": reason},
        updated_at=ctx.now,
    )
    tx.announce(
        "approval_result", "product", product.id, organisation_id=product.organisation_id, title=f"服务产品 {product.name}",
        result=decision.value, reason=reason,
    )


async def _facts(ctx: Context, approval: Any) -> dict[str, Any]:
    return dict(await _view(ctx, await row("SELECT * FROM products WHERE id = $1", approval.subject_id)))


approvals.DECIDERS[ApprovalKind.PRODUCT] = decide_product
approvals.DETAILS[ApprovalKind.PRODUCT] = _facts
approvals.SUBJECTS["product"] = "products"


# --- listing -------------------------------------------------------------------------------------------------------------------


async def list_product(ctx: Context, product_id: int) -> ProductView:
    """上架. Raises NotFound, ProductStateWrong, InstitutionNotCertified, InstitutionSuspended."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.APPROVED)
        await require_open_shop(tx, ctx.organisation_id)
        await move(tx, PRODUCT_GRAPH, product, ProductState.LISTED, listed_at=ctx.now, updated_at=ctx.now)
        await index_product(tx, product_id)  # the institution may have another name since it was written
        return tx.reply(await _view_in(ctx, tx, product_id))


async def unlist_product(ctx: Context, product_id: int) -> ProductView:
    """下架. Orders that were placed go on. Raises NotFound, ProductStateWrong."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.LISTED)
        await move(tx, PRODUCT_GRAPH, product, ProductState.APPROVED, listed_at=None, updated_at=ctx.now)
        return tx.reply(await _view_in(ctx, tx, product_id))


async def delete_product(ctx: Context, product_id: int) -> ProductView:
    """For the people; the row stays for the orders that name it. Raises NotFound."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        await move(tx, PRODUCT_GRAPH, product, ProductState.DELETED, listed_at=None, updated_at=ctx.now)
        await approvals.withdraw_approval(tx, "product", product_id)
        return tx.reply(await _view_in(ctx, tx, product_id))


# --- looking -------------------------------------------------------------------------------------------------------------------


async def list_own_products(ctx: Context, state: ProductState | None, page: Page) -> PageView[ProductRowView]:
    """Newest first, without the deleted ones."""
    after = page.key()
    found = await rows(
        "SELECT * FROM products WHERE organisation_id = $1 AND state <> 'deleted' AND ($2::text IS NULL OR state = $2) AND id < $3"
        " ORDER BY id DESC LIMIT $4", ctx.organisation_id, state, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, _row_view, lambda product: [product.id])


async def get_own_product(ctx: Context, product_id: int) -> ProductView:
    product = await row(
        "SELECT * FROM products WHERE id = $1 AND organisation_id = $2 AND state <> 'deleted'", product_id, ctx.organisation_id
    )
    if product is None:
        raise NotFound
    return await _view(ctx, product)


async def _lock_own(ctx: Context, tx: Transaction, product_id: int) -> Any:
    product = await tx.row(
        "SELECT * FROM products WHERE id = $1 AND organisation_id = $2 AND state <> 'deleted' FOR NO KEY UPDATE",
        product_id, ctx.organisation_id,
    )
    if product is None:
        raise NotFound
    return product


def _require(product: Any, *states: ProductState) -> None:
    if product.state not in states:
        raise ProductStateWrong(state=product.state)


def _row_view(product: Any) -> ProductRowView:
    return {
        "id": product.id, "service_number": product.service_number, "name": product.name,
        "category_title": CATEGORIES.get(product.category, product.category), "price_fen": product.price_fen,
        "state": ProductState(product.state), "created_at": product.created_at,
    }


async def _view_in(ctx: Context, tx: Transaction, product_id: int) -> ProductView:
    return await _view(ctx, await tx.row("SELECT * FROM products WHERE id = $1", product_id))


async def _view(ctx: Context, product: Any) -> ProductView:
    """Inside a transaction the reads go through its connection."""
    deductions = [dict(deduction) for deduction in await rows(DEDUCTIONS, product.id)]
    reviewed = await row(REVIEWED, product.id)
    return {
        "id": product.id, "service_number": product.service_number, "name": product.name, "category": product.category,
        "category_title": CATEGORIES.get(product.category, product.category), "region_code": product.region_code,
        "price_fen": product.price_fen, "state": ProductState(product.state), "sections": product.sections,
        "deductions": deductions, "is_recommended": product.is_recommended, "version": product.version,  # type: ignore[typeddict-item]
        "reason": reviewed.reason if reviewed else None,
        "queue": await approvals.queue_place(ctx.now, "product", product.id),
        "listed_at": product.listed_at, "created_at": product.created_at, "updated_at": product.updated_at,
    }
