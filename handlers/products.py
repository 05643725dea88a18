"""An institution's service products: draft, review, listing (A34-A39, C19-C22). Searching is in product_search, showing in product_pages.

The first text of a product is in its own row from the first draft on; later ones wait as versions while the approved one stays
in force (products_versions.py).
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from handlers import approvals, products_versions, regular_products
from handlers.approvals import Decision, DecisionNotOffered
from handlers.context import Context
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.product_search import index_product
from handlers.products_checks import findings_of, require_in_scope
from handlers.products_content import (
    ContentView,
    ProductForm,
    bring_into_force,
    check_content,
    in_force,
    link_pictures,
    require_pictures,
    set_deductions,
    written,
)
from handlers.products_views import ProductRowView, ProductView, row_view, view, view_in
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.scopes import Finding
from handlers.transactions import Transaction, row, rows, transaction
from models.approvals import ApprovalKind
from models.products import PRODUCT_GRAPH, ProductKind, ProductState, VersionState

IN_FORCE = frozenset({ProductState.APPROVED, ProductState.LISTED})


class ProductStateWrong(Refusal):
    """`state` is what the product is in; it must be another for this."""

    kind, code, title = Kind.CONFLICT, "product_state_wrong", "服务产品当前状态不能进行此操作"


class RegularProduct(Refusal):
    """D12: its text is that of the standard list; price, remark and parameters are changed at once, and nobody reviews them."""

    kind, code, title = Kind.CONFLICT, "regular_product", "常规产品无需审核，请在常规产品中修改"


class FindingsView(TypedDict):
    """What the checker says of the newest text; it may be submitted when nothing in it is `refused`."""

    items: list[Finding]


INSERT = """
INSERT INTO products (service_number, organisation_id, name, category, content, region_code, price_fen, state, sections, is_recommended,
                      terms, version, created_at, updated_at, parameters)
SELECT 'PX-' || region_code || '-' || nextval('service_serials'), id, $2, $3, $4, region_code, $5, 'draft', $6, false, '{}', 1, $7, $7, $8
FROM organisations WHERE id = $1 RETURNING id
"""
LIST = """
SELECT p.*, v.state AS pending_state, a.reason FROM products p
LEFT JOIN LATERAL (
  SELECT state FROM product_versions WHERE product_id = p.id AND number > p.version AND state <> 'superseded' ORDER BY number DESC LIMIT 1
) v ON true
LEFT JOIN LATERAL (
  SELECT reason FROM approvals WHERE subject = 'product' AND subject_id = p.id AND decided_at IS NOT NULL ORDER BY id DESC LIMIT 1
) a ON true
WHERE p.organisation_id = $1 AND p.state <> 'deleted' AND ($2::text IS NULL OR p.state = $2) AND p.id < $3
  AND ($5::text IS NULL OR p.kind = $5) ORDER BY p.id DESC LIMIT $4
"""


# --- writing -------------------------------------------------------------------------------------------------------------------


async def create_product(ctx: Context, form: ProductForm) -> ProductView:
    """A draft with its service number. Raises CategoryUnknown, ParametersWrong, DeductionNotAllowed, PictureUnknown."""
    text = written(form)
    async with transaction(ctx) as tx:
        await check_content(tx, ctx.organisation_id, text)
        product_id = await tx.value(
            INSERT, ctx.organisation_id, text["name"], text["category"], text["content"], text["price_fen"], text["sections"],
            ctx.now, text["parameters"],
        )
        await set_deductions(tx, product_id, text)
        tx.record("product.created", "product", product_id, after=ProductState.DRAFT.value)
        return tx.reply(await view_in(ctx, tx, product_id))


async def edit_product(ctx: Context, product_id: int, version: int, form: ProductForm) -> ProductView:
    """编辑, in every state (C22). What was submitted leaves the queue; what is in force stays in force beside the new text.

    Raises NotFound, RegularProduct, ChangedMeanwhile, CategoryUnknown, ParametersWrong, DeductionNotAllowed, PictureUnknown.
    """
    text = written(form)
    async with transaction(ctx) as tx:
        product = await _lock_featured(ctx, tx, product_id)
        if product.state in IN_FORCE:
            await products_versions.amend(ctx, tx, product, version, text)
        else:
            await _edit_first(ctx, tx, product, version, text)
        return tx.reply(await view_in(ctx, tx, product_id))


async def _edit_first(ctx: Context, tx: Transaction, product: Any, version: int, text: ContentView) -> None:
    """The text of a product that was never approved."""
    if product.version != version:
        raise ChangedMeanwhile(version=product.version)
    await check_content(tx, product.organisation_id, text)
    if product.state == ProductState.IN_REVIEW:
        await move(tx, PRODUCT_GRAPH, product, ProductState.DRAFT, updated_at=ctx.now)
        await approvals.withdraw_approval(tx, "product", product.id)
    else:
        tx.record("product.edited", "product", product.id, version=version + 1)
    await bring_into_force(tx, product.id, text, version + 1)


async def discard_amendment(ctx: Context, product_id: int) -> ProductView:
    """放弃修改: the later text is gone, the one in force stays. Raises NotFound, ProductStateWrong when nothing waits."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        if not await products_versions.discard(tx, product_id):
            raise ProductStateWrong(state=product.state)
        return tx.reply(await view_in(ctx, tx, product_id))


async def set_pictures(ctx: Context, product_id: int, picture_ids: list[int]) -> ProductView:
    """The pictures beside the texts, at once (decision 0070). Raises NotFound, PictureUnknown."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        await require_pictures(tx, ctx.organisation_id, picture_ids)
        await link_pictures(tx, product, list(dict.fromkeys(picture_ids)), in_text=False)
        tx.record("product.pictures_replaced", "product", product_id, picture_ids=picture_ids)
        return tx.reply(await view_in(ctx, tx, product_id))


# --- the review ----------------------------------------------------------------------------------------------------------------


async def submit_product(ctx: Context, product_id: int) -> ProductView:
    """Into the queue of the coordination centre: the first text, or the later one that waits.

    Raises NotFound, RegularProduct, ProductStateWrong, InstitutionNotCertified, InstitutionSuspended, SectionsIncomplete,
    OutsideScopes, ScopeUnsupported, ProductDuplicate, and what a draft is refused for.
    """
    async with transaction(ctx) as tx:
        product = await _lock_featured(ctx, tx, product_id)
        waiting = await products_versions.waiting_version(tx, product_id)
        state = waiting.state if waiting is not None else product.state
        if state not in {ProductState.DRAFT, ProductState.REJECTED}:
            raise ProductStateWrong(state=state)
        await require_open_shop(tx, ctx.organisation_id)
        if waiting is not None:
            await products_versions.submit(ctx, tx, product, waiting)
        else:
            text = await in_force(tx, product)
            await check_content(tx, product.organisation_id, text)
            await move(tx, PRODUCT_GRAPH, product, ProductState.IN_REVIEW, updated_at=ctx.now)
            await products_versions.put_before_reviewers(ctx, tx, product, text, product.version)
        return tx.reply(await view_in(ctx, tx, product_id))


async def withdraw_product(ctx: Context, product_id: int) -> ProductView:
    """Out of the queue, back to the draft. Raises NotFound, ProductStateWrong."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        waiting = await products_versions.waiting_version(tx, product_id)
        if waiting is not None and waiting.state == VersionState.IN_REVIEW:
            await products_versions.withdraw(tx, product_id, waiting)
        else:
            _require(product, ProductState.IN_REVIEW)
            await move(tx, PRODUCT_GRAPH, product, ProductState.DRAFT, updated_at=ctx.now)
            await approvals.withdraw_approval(tx, "product", product_id)
        return tx.reply(await view_in(ctx, tx, product_id))


async def decide_product(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Called by `approvals.decide`, which has locked the product. Raises DecisionNotOffered: what is to be mended is rejected."""
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    product = await tx.row("SELECT * FROM products WHERE id = $1", approval.subject_id)
    if product.state == ProductState.IN_REVIEW:
        approved, name = decision is Decision.APPROVE, product.name
        await move(
            tx, PRODUCT_GRAPH, product, ProductState.APPROVED if approved else ProductState.REJECTED, note={"reason": reason},
            updated_at=ctx.now,
        )
        if approved:
            await products_versions.keep_first(ctx, tx, product, approval.submitted_by_id)
    else:
        name = await products_versions.decide(ctx, tx, product, decision, reason)
    tx.announce(
        "approval_result", "product", product.id, organisation_id=product.organisation_id, title=f"服务产品 {name}",
        result=decision.value, reason=reason,
    )


async def _facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """The text that was submitted, the one in force then (null for a first text), and what the checker found."""
    product = await view(ctx, await row("SELECT * FROM products WHERE id = $1", approval.subject_id))
    text, before = approval.data.get("content"), approval.data.get("before")
    changed = [field for field in text or () if before is not None and text[field] != before[field]]
    return {
        **product, "submitted": text, "before": before, "changed": changed, "findings": approval.data.get("findings", []),
        "attachment_ids": approval.data.get("attachment_ids", []),
    }


approvals.DECIDERS[ApprovalKind.PRODUCT] = decide_product
approvals.DETAILS[ApprovalKind.PRODUCT] = _facts
approvals.SUBJECTS["product"] = "products"


# --- listing -------------------------------------------------------------------------------------------------------------------


async def list_product(ctx: Context, product_id: int) -> ProductView:
    """上架. Raises NotFound, ProductStateWrong, InstitutionNotCertified, InstitutionSuspended, OutsideScopes, StandardWithdrawn."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        if product.kind == ProductKind.REGULAR:
            _require(product, ProductState.DRAFT)
            await regular_products.list_again(ctx, tx, product)
            return tx.reply(await view_in(ctx, tx, product_id))
        _require(product, ProductState.APPROVED)
        await require_open_shop(tx, ctx.organisation_id)
        await require_in_scope(tx, product.organisation_id, await in_force(tx, product))  # the scopes may be others since the review
        await move(tx, PRODUCT_GRAPH, product, ProductState.LISTED, listed_at=ctx.now, updated_at=ctx.now)
        await index_product(tx, product_id)  # the institution may have another name since it was written
        return tx.reply(await view_in(ctx, tx, product_id))


async def unlist_product(ctx: Context, product_id: int) -> ProductView:
    """下架. Orders that were placed go on. Raises NotFound, ProductStateWrong."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        _require(product, ProductState.LISTED)
        back = ProductState.DRAFT if product.kind == ProductKind.REGULAR else ProductState.APPROVED
        await move(tx, PRODUCT_GRAPH, product, back, listed_at=None, updated_at=ctx.now)
        return tx.reply(await view_in(ctx, tx, product_id))


async def delete_product(ctx: Context, product_id: int) -> ProductView:
    """For the people; the row stays for the orders that name it. Raises NotFound."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        await products_versions.discard(tx, product_id)
        await move(tx, PRODUCT_GRAPH, product, ProductState.DELETED, listed_at=None, updated_at=ctx.now)
        await approvals.withdraw_approval(tx, "product", product_id)
        return tx.reply(await view_in(ctx, tx, product_id))


# --- looking -------------------------------------------------------------------------------------------------------------------


async def list_own_products(
    ctx: Context, state: ProductState | None, kind: ProductKind | None, page: Page
) -> PageView[ProductRowView]:
    """Newest first, without the deleted ones."""
    after = page.key()
    found = await rows(LIST, ctx.organisation_id, state, after[0] if after else 2**63 - 1, page.limit + 1, kind)
    return page_of(found, page, row_view, lambda product: [product.id])


async def get_own_product(ctx: Context, product_id: int) -> ProductView:
    product = await row(
        "SELECT * FROM products WHERE id = $1 AND organisation_id = $2 AND state <> 'deleted'", product_id, ctx.organisation_id
    )
    if product is None:
        raise NotFound
    return await view(ctx, product)


async def get_findings(ctx: Context, product_id: int) -> FindingsView:
    """The checker, before anybody submits. Raises NotFound."""
    async with transaction(ctx) as tx:
        product = await _lock_own(ctx, tx, product_id)
        waiting = await products_versions.waiting_version(tx, product_id)
        text = waiting.content if waiting is not None else await in_force(tx, product)
        return {"items": await findings_of(tx, product, text)}


async def _lock_own(ctx: Context, tx: Transaction, product_id: int) -> Any:
    product = await tx.row(
        "SELECT * FROM products WHERE id = $1 AND organisation_id = $2 AND state <> 'deleted' FOR NO KEY UPDATE",
        product_id, ctx.organisation_id,
    )
    if product is None:
        raise NotFound
    return product


async def _lock_featured(ctx: Context, tx: Transaction, product_id: int) -> Any:
    product = await _lock_own(ctx, tx, product_id)
    if product.kind == ProductKind.REGULAR:
        raise RegularProduct
    return product


def _require(product: Any, *states: ProductState) -> None:
    if product.state not in states:
        raise ProductStateWrong(state=product.state)
