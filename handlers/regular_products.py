"""常规产品 (D12): an institution picks a service from its supermarket's standard list and offers it at once, without a review.

The words are the list's; price, parameters and a remark are the institution's own, and change at once. Its way is
draft -> listed -> draft: there is nothing that a reviewer would have approved.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from handlers.context import Context
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.product_search import index_product
from handlers.products_content import ParametersWrong, ParameterView
from handlers.products_views import ProductView, view_in
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.supermarkets import supermarket_of
from handlers.transactions import Transaction, transaction
from models.products import PRODUCT_GRAPH, ProductState


class NotOfThisSupermarket(Refusal):
    """D03: what stands in a supermarket's standard list is offered by the institutions that it has certified."""

    kind, code, title = Kind.CONFLICT, "not_of_this_supermarket", "请先通过该超市的服务机构认证"


class StandardWithdrawn(Refusal):
    """What is listed stays listed; it is neither changed nor listed anew."""

    kind, code, title = Kind.CONFLICT, "standard_withdrawn", "该服务已移出常规产品目录，不能上架或修改"


class RegularProductExists(Refusal):
    kind, code, title = Kind.CONFLICT, "regular_product_exists", "本机构已有该常规产品，请直接修改或上架"


STANDARD = "SELECT * FROM standard_products WHERE id = $1 FOR SHARE"
INSERT = """
INSERT INTO products (service_number, organisation_id, kind, standard_id, name, category, region_code, price_fen, state, sections,
                      parameters, is_recommended, terms, version, created_at, updated_at)
SELECT 'PX-' || region_code || '-' || nextval('service_serials'), id, 'regular', $2, $3, $4, region_code, $5, 'draft', $6, $7, false,
       '{}', 1, $8, $8
FROM organisations WHERE id = $1 RETURNING *
"""
OWN = """
SELECT * FROM products WHERE id = $1 AND organisation_id = $2 AND kind = 'regular' AND state <> 'deleted' FOR NO KEY UPDATE
"""
CHANGE = """
UPDATE products SET price_fen = $2, sections = $3, parameters = $4, version = version + 1, updated_at = $5 WHERE id = $1
"""


async def offer(
    ctx: Context, standard_id: int, price_fen: int | None, remark: str, parameters: Sequence[ParameterView]
) -> ProductView:
    """常规产品上架: listed at once. `price_fen` None is 面议.

    Raises NotFound, NotOfThisSupermarket, InstitutionNotCertified, InstitutionSuspended, StandardWithdrawn, RegularProductExists,
    ParametersWrong.
    """
    async with transaction(ctx) as tx:
        standard = await _standard_in_force(tx, standard_id)
        await _require_certified(ctx, tx, standard)
        sections = _sections(standard, remark)
        try:
            product = await tx.row(
                INSERT, ctx.organisation_id, standard.id, standard.name, standard.category, price_fen, sections,
                _checked(standard, parameters), ctx.now,
            )
        except asyncpg.UniqueViolationError as error:
            raise RegularProductExists from error
        tx.record("product.created", "product", product.id, after=ProductState.DRAFT.value, standard_id=standard.id)
        await _list(ctx, tx, product)
        return tx.reply(await view_in(ctx, tx, product.id))


async def change(
    ctx: Context, product_id: int, version: int, price_fen: int | None, remark: str, parameters: Sequence[ParameterView]
) -> ProductView:
    """修改, in force at once. Raises NotFound, ChangedMeanwhile, StandardWithdrawn, ParametersWrong."""
    async with transaction(ctx) as tx:
        product = await tx.row(OWN, product_id, ctx.organisation_id)
        if product is None:
            raise NotFound
        if product.version != version:
            raise ChangedMeanwhile(version=product.version)
        standard = await _standard_in_force(tx, product.standard_id)
        await tx.run(CHANGE, product.id, price_fen, _sections(standard, remark), _checked(standard, parameters), ctx.now)
        tx.record("product.edited", "product", product.id, version=version + 1)
        return tx.reply(await view_in(ctx, tx, product.id))


async def list_again(ctx: Context, tx: Transaction, product: Any) -> None:
    """上架 of one that was taken down. Raises StandardWithdrawn, NotOfThisSupermarket and what closes an institution."""
    await _require_certified(ctx, tx, await _standard_in_force(tx, product.standard_id))
    await _list(ctx, tx, product)


async def _list(ctx: Context, tx: Transaction, product: Any) -> None:
    await move(tx, PRODUCT_GRAPH, product, ProductState.LISTED, listed_at=ctx.now, updated_at=ctx.now)
    await index_product(tx, product.id)


async def _standard_in_force(tx: Transaction, standard_id: int) -> Any:
    """Locked against being withdrawn in the same moment."""
    standard = await tx.row(STANDARD, standard_id)
    if standard is None:
        raise NotFound
    if standard.withdrawn_at is not None:
        raise StandardWithdrawn
    return standard


async def _require_certified(ctx: Context, tx: Transaction, standard: Any) -> None:
    await require_open_shop(tx, ctx.organisation_id)
    if await supermarket_of(tx, ctx.organisation_id, standard.programme_id) is None:
        raise NotOfThisSupermarket


def _sections(standard: Any, remark: str) -> dict[str, str]:
    """The list's text, and the own remark: words and lines, whatever tags somebody types, because nobody reviews them."""
    return {"introduction": standard.introduction, "details": html.escape(remark, quote=False).replace("\n", "<br>")}


def _checked(standard: Any, given: Sequence[ParameterView]) -> list[ParameterView]:
    """In the order of the list, with its units. Raises ParametersWrong."""
    values: Mapping[str, str] = {parameter["name"]: parameter["value"] for parameter in given}
    asked = {parameter["name"]: parameter for parameter in standard.parameters}
    wrong = {name for name, value in values.items() if name not in asked or value not in (asked[name]["choices"] or (value,))}
    wrong |= {name for name, parameter in asked.items() if parameter["required"] and name not in values}
    if wrong or len(values) != len(given):
        raise ParametersWrong(names=sorted(wrong))
    return [{"name": name, "value": values[name], "unit": str(asked[name]["unit"])} for name in asked if name in values]
