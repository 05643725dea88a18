"""What everybody sees of a listed product, what else is recommended there, and favourites (E25, E26)."""

from typing import Any, TypedDict

from handlers.context import Context
from handlers.institutions import SHOP, ShopView, view_shop
from handlers.paging import Page, PageView, page_of
from handlers.product_search import CARD, OPEN_SHOP, ProductCardView, view_card
from handlers.products_content import DEDUCTIONS, SECTIONS, DeductionView, ParameterView
from handlers.refusals import NotFound
from handlers.regions import OutsideJurisdiction, reaches
from handlers.rich_text import plain
from handlers.transactions import Transaction, row, rows, transaction

RECOMMENDED_MAX = 6


class SectionView(TypedDict):
    """`html` is safe to draw: made by handlers/rich_text.py; `text` says the same in words."""

    key: str
    title: str
    text: str
    html: str


class GradesView(TypedDict):
    """Reviews by people; `system` are the orders that nobody reviewed, which count for nothing (F18)."""

    good: int
    medium: int
    bad: int
    system: int


class ProductPageView(TypedDict):
    """`picture_ids`: shown beside the texts, by GET /pictures/{id}."""

    product: ProductCardView
    content: str
    parameters: list[ParameterView]
    picture_ids: list[int]
    sections: list[SectionView]
    vouchers: list[DeductionView]
    institution: ShopView
    reviews: GradesView
    recommended: list[ProductCardView]


class FavouriteView(TypedDict):
    product_id: int
    is_favourite: bool


PICTURES = "SELECT attachment_id FROM pictures WHERE product_id = $1 AND NOT in_text ORDER BY position"
SHOWN = f"SELECT {CARD}, p.sections, p.content, p.parameters FROM products p WHERE p.state = 'listed'"
GRADES = """
SELECT count(*) FILTER (WHERE grade = 'good' AND NOT is_system) AS good,
  count(*) FILTER (WHERE grade = 'medium' AND NOT is_system) AS medium,
  count(*) FILTER (WHERE grade = 'bad' AND NOT is_system) AS bad, count(*) FILTER (WHERE is_system) AS system
FROM reviews WHERE product_id = $1 AND NOT is_blind
"""
# The recommended of its kind first, then the newest: each part reads an index from its front and stops.
OTHERS = f"""
WITH others AS (
  (SELECT 1 AS part, p.id, p.listed_at FROM products p WHERE p.state = 'listed' AND p.is_recommended AND p.category = $2 AND p.id <> $1
   AND {OPEN_SHOP} ORDER BY p.listed_at DESC LIMIT {RECOMMENDED_MAX})
  UNION ALL
  (SELECT 2, p.id, p.listed_at FROM products p WHERE p.state = 'listed' AND NOT p.is_recommended AND p.category = $2 AND p.id <> $1
   AND {OPEN_SHOP} ORDER BY p.listed_at DESC, p.id DESC LIMIT {RECOMMENDED_MAX})
)
SELECT {CARD} FROM others JOIN products p ON p.id = others.id
ORDER BY others.part, others.listed_at DESC, p.id DESC LIMIT {RECOMMENDED_MAX}
"""


async def get_product(ctx: Context, product_id: int) -> ProductPageView:
    """Raises NotFound, also for what is not listed and for an institution that is not open."""
    product = await row(f"{SHOWN} AND p.id = $1", product_id)
    shop = await row(f"{SHOP} AND o.id = $1", product.organisation_id) if product else None
    if shop is None:
        raise NotFound
    grades = await row(GRADES, product_id)
    return {
        "product": view_card(product),
        "content": product.content, "parameters": product.parameters,
        "picture_ids": [picture.attachment_id for picture in await rows(PICTURES, product_id)],
        "sections": [{"key": key, "title": title, "text": plain(product.sections[key]), "html": product.sections[key]}
                     for key, title in SECTIONS.items() if product.sections.get(key)],
        "vouchers": [_deduction(deduction) for deduction in await rows(DEDUCTIONS, product_id)],
        "institution": view_shop(ctx, shop),
        "reviews": {"good": grades.good, "medium": grades.medium, "bad": grades.bad, "system": grades.system},
        "recommended": [view_card(other) for other in await rows(OTHERS, product_id, product.category)],
    }


def _deduction(found: Any) -> DeductionView:
    return {"voucher_type_id": found.voucher_type_id, "voucher_type": found.voucher_type, "programme_id": found.programme_id,
            "programme": found.programme, "max_fen": found.max_fen}


async def recommend(ctx: Context, product_id: int) -> ProductCardView:
    """推荐 a listed product of the administrator's jurisdiction. Raises NotFound, OutsideJurisdiction."""
    return await _set_recommended(ctx, product_id, "product.recommended", "true")


async def withdraw_recommendation(ctx: Context, product_id: int) -> ProductCardView:
    """取消推荐. Raises NotFound, OutsideJurisdiction."""
    return await _set_recommended(ctx, product_id, "product.recommendation_withdrawn", "false")


async def _set_recommended(ctx: Context, product_id: int, action: str, value: str) -> ProductCardView:
    async with transaction(ctx) as tx:
        product = await _lock_listed(tx, product_id)
        if not reaches(ctx.actor, product.region_code):
            raise OutsideJurisdiction
        if await tx.run(f"UPDATE products SET is_recommended = {value} WHERE id = $1 AND is_recommended <> {value}", product_id):
            tx.record(action, "product", product_id)
        return tx.reply(view_card(await tx.row(f"{SHOWN} AND p.id = $1", product_id)))


async def _lock_listed(tx: Transaction, product_id: int) -> Any:
    product = await tx.row("SELECT id, region_code FROM products WHERE id = $1 AND state = 'listed' FOR NO KEY UPDATE", product_id)
    if product is None:
        raise NotFound
    return product


# --- favourites ------------------------------------------------------------------------------------------------------------------


async def add_favourite(ctx: Context, product_id: int) -> FavouriteView:
    """收藏; twice is once. Raises NotFound for what is not listed."""
    async with transaction(ctx) as tx:
        await _lock_listed(tx, product_id)
        made = await tx.value(
            "INSERT INTO favourites (person_id, product_id, created_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (person_id, product_id) DO NOTHING RETURNING id", ctx.person_id, product_id, ctx.now,
        )
        if made is not None:
            tx.record("favourite.added", "product", product_id)
        return tx.reply(FavouriteView(product_id=product_id, is_favourite=True))


async def remove_favourite(ctx: Context, product_id: int) -> FavouriteView:
    """No refusal if it was none: afterwards it is none."""
    async with transaction(ctx) as tx:
        if await tx.run("DELETE FROM favourites WHERE person_id = $1 AND product_id = $2", ctx.person_id, product_id):
            tx.record("favourite.removed", "product", product_id)
        return tx.reply(FavouriteView(product_id=product_id, is_favourite=False))


async def get_favourite(ctx: Context, product_id: int) -> FavouriteView:
    found = await row("SELECT 1 FROM favourites WHERE person_id = $1 AND product_id = $2", ctx.person_id, product_id)
    return {"product_id": product_id, "is_favourite": found is not None}


async def list_favourites(ctx: Context, page: Page) -> PageView[ProductCardView]:
    """The person's, newest first; what is not listed any more is not shown, and comes back with its listing."""
    after = page.key()
    found = await rows(
        f"SELECT f.id AS favourite_id, {CARD} FROM favourites f JOIN products p ON p.id = f.product_id"
        f" WHERE f.person_id = $1 AND p.state = 'listed' AND {OPEN_SHOP} AND f.id < $2 ORDER BY f.id DESC LIMIT $3",
        ctx.person_id, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, view_card, lambda favourite: [favourite.favourite_id])
