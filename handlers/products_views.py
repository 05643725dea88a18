"""How a product is shown to its own institution: whole, and as a line of its list (A36, C22)."""

from datetime import datetime
from typing import Any, TypedDict

from handlers import approvals, products_versions
from handlers.approvals import QueueView
from handlers.context import Context
from handlers.products_content import DEDUCTIONS, DeductionView, ParameterView
from handlers.products_versions import VersionView
from handlers.transactions import Transaction, row, rows
from models.categories import CATEGORIES
from models.products import ProductKind, ProductState, VersionState


class ProductView(TypedDict):
    """As its institution sees it: the text in force, or the first draft. `sections` are safe HTML.

    `version` is what an edit must name. `pending` is a later text that is not in force. `reason` is what the last review said,
    `queue` where the product waits now, `picture_ids` what is shown beside the texts.
    """

    id: int
    kind: ProductKind
    standard_id: int | None
    service_number: str
    name: str
    category: str
    category_title: str
    content: str
    region_code: str
    price_fen: int | None
    state: ProductState
    sections: dict[str, str]
    parameters: list[ParameterView]
    deductions: list[DeductionView]
    picture_ids: list[int]
    is_recommended: bool
    version: int
    pending: VersionView | None
    reason: str | None
    queue: QueueView | None
    listed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ProductRowView(TypedDict):
    """A line of 服务管理 (A36, C22). `pending_state` of a later text; `reason` is the 备注 of the last review."""

    id: int
    kind: ProductKind
    service_number: str
    name: str
    category_title: str
    content: str
    price_fen: int | None
    state: ProductState
    pending_state: VersionState | None
    reason: str | None
    created_at: datetime


PICTURES = "SELECT attachment_id FROM pictures WHERE product_id = $1 AND NOT in_text ORDER BY position"
REVIEWED = """
SELECT reason FROM approvals WHERE subject = 'product' AND subject_id = $1 AND decided_at IS NOT NULL ORDER BY id DESC LIMIT 1
"""


def row_view(product: Any) -> ProductRowView:
    return {
        "id": product.id, "kind": ProductKind(product.kind), "service_number": product.service_number, "name": product.name,
        "category_title": CATEGORIES.get(product.category, product.category), "content": product.content,
        "price_fen": product.price_fen, "state": ProductState(product.state),
        "pending_state": VersionState(product.pending_state) if product.pending_state else None, "reason": product.reason,
        "created_at": product.created_at,
    }


async def view_in(ctx: Context, tx: Transaction, product_id: int) -> ProductView:
    return await view(ctx, await tx.row("SELECT * FROM products WHERE id = $1", product_id))


async def view(ctx: Context, product: Any) -> ProductView:
    """Inside a transaction the reads go through its connection."""
    reviewed, pending = await row(REVIEWED, product.id), await products_versions.newest_view(product)
    return {
        "id": product.id, "kind": ProductKind(product.kind), "standard_id": product.standard_id,
        "service_number": product.service_number, "name": product.name, "category": product.category,
        "category_title": CATEGORIES.get(product.category, product.category), "content": product.content,
        "region_code": product.region_code, "price_fen": product.price_fen, "state": ProductState(product.state),
        "sections": product.sections, "parameters": product.parameters,
        "deductions": [dict(deduction) for deduction in await rows(DEDUCTIONS, product.id)],  # type: ignore[misc]
        "picture_ids": [picture.attachment_id for picture in await rows(PICTURES, product.id)],
        "is_recommended": product.is_recommended, "version": pending["number"] if pending else product.version, "pending": pending,
        "reason": reviewed.reason if reviewed else None,
        "queue": await approvals.queue_place(ctx.now, "product", product.id),
        "listed_at": product.listed_at, "created_at": product.created_at, "updated_at": product.updated_at,
    }
