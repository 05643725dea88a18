"""常规产品目录 (D12): what its administrator lets every institution of a supermarket offer without a review."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

import asyncpg

from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.products_content import CategoryUnknown, ParametersWrong
from handlers.programmes import lock_programme, rules_of
from handlers.refusals import Kind, NotFound, Refusal
from handlers.rich_text import plain, rich_text
from handlers.transactions import row, rows, transaction
from handlers.zones import PUBLISHED
from models.categories import CATEGORIES


class StandardExists(Refusal):
    kind, code, title = Kind.CONFLICT, "standard_exists", "目录中已有同名服务"


class ParameterAskedView(TypedDict):
    """What an institution says of its own offer. `choices` empty: any text."""

    name: str
    unit: str
    required: bool
    choices: list[str]


class StandardProductView(TypedDict):
    """`introduction` is safe HTML, `text` the same in words. `withdrawn_at`: nobody offers it anew."""

    id: int
    programme_id: int
    category: str
    category_title: str
    name: str
    introduction: str
    text: str
    parameters: list[ParameterAskedView]
    created_at: datetime
    withdrawn_at: datetime | None


LIST = """
SELECT s.* FROM standard_products s JOIN programmes p ON p.id = s.programme_id
WHERE s.programme_id = $1 AND p.state = 'published' AND s.withdrawn_at IS NULL AND ($2::text IS NULL OR s.category = $2) AND s.id > $3
ORDER BY s.id LIMIT $4
"""


async def add_standard_product(
    ctx: Context, programme_id: int, category: str, name: str, introduction: str, parameters: Sequence[ParameterAskedView]
) -> StandardProductView:
    """Raises NotFound, CategoryUnknown, ParametersWrong, StandardExists."""
    async with transaction(ctx) as tx:
        await lock_programme(ctx, tx, programme_id)
        supermarket = await tx.row(PUBLISHED, programme_id)
        if supermarket is None or not rules_of(supermarket).supermarket:
            raise NotFound
        if category not in CATEGORIES:
            raise CategoryUnknown
        names = [parameter["name"] for parameter in parameters]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ParametersWrong(names=twice)
        try:
            made = await tx.row(
                "INSERT INTO standard_products (programme_id, category, name, introduction, parameters, made_by_id, created_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
                programme_id, category, name, rich_text(introduction).html, list(parameters), ctx.person_id, ctx.now,
            )
        except asyncpg.UniqueViolationError as error:
            raise StandardExists from error
        tx.record("standard_product.added", "standard_product", made.id, programme_id=programme_id, name=name)
        return tx.reply(_view(made))


async def withdraw_standard_product(ctx: Context, programme_id: int, standard_id: int) -> StandardProductView:
    """移出目录; twice is once. Products that are listed stay until their institutions take them down. Raises NotFound."""
    async with transaction(ctx) as tx:
        await lock_programme(ctx, tx, programme_id)
        found = await tx.row("SELECT * FROM standard_products WHERE id = $1 AND programme_id = $2 FOR UPDATE", standard_id, programme_id)
        if found is None:
            raise NotFound
        if found.withdrawn_at is None:
            found = await tx.row("UPDATE standard_products SET withdrawn_at = $2 WHERE id = $1 RETURNING *", standard_id, ctx.now)
            tx.record("standard_product.withdrawn", "standard_product", standard_id)
        return tx.reply(_view(found))


async def list_standard_products(programme_id: int, category: str | None, page: Page) -> PageView[StandardProductView]:
    """What may be offered, in the order it was written. Raises NotFound for no published programme."""
    if await row(PUBLISHED, programme_id) is None:
        raise NotFound
    found = await rows(LIST, programme_id, category, (page.key() or [0])[0], page.limit + 1)
    return page_of(found, page, _view, lambda one: [one.id])


def _view(standard: Any) -> StandardProductView:
    return {
        "id": standard.id, "programme_id": standard.programme_id, "category": standard.category,
        "category_title": CATEGORIES.get(standard.category, standard.category), "name": standard.name,
        "introduction": standard.introduction, "text": plain(standard.introduction), "parameters": standard.parameters,
        "created_at": standard.created_at, "withdrawn_at": standard.withdrawn_at,
    }
