"""The shop front that everybody may read (A06, D22), and an institution's own overview (A05).

A shop is read far more often than it changes, so each process keeps a page for two seconds and lets browsers keep it for five
(miniapp_api/institutions.py): at most seven seconds pass between a change and the last reader who has not seen it, and nothing has
to be told that anything changed (docs/decisions/0172).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.consultants.views import SpecialityView, specialities_of
from handlers.context import Context
from handlers.demands import AnswerFiguresView, answer_figures
from handlers.institutions import ShopView, get_shop
from handlers.paging import Page, PageView, page_of
from handlers.product_search import CARD, OPEN_SHOP, ProductCardView, view_card
from handlers.reviews_lists import ReviewView, list_reviews
from handlers.score_pages import ScoreView, get_score
from handlers.transactions import row, rows
from models.orders import OrderState

CONSULTANTS_MAX = 100
KEPT_FOR = timedelta(seconds=2)
KEPT_MAX = 1_000  # pages of 10 KB


class ShopConsultantView(TypedDict):
    """Who represents the institution, and in what; the rest is in GET /institutions/{id}/consultants."""

    id: int
    display_name: str
    title: str
    specialities: list[SpecialityView]


class ShopFrontView(TypedDict):
    """`products.next` goes on in GET /institutions/{id}/products, `reviews.next` in GET /institutions/{id}/reviews."""

    institution: ShopView
    products: PageView[ProductCardView]
    consultants: list[ShopConsultantView]
    score: ScoreView
    answers: AnswerFiguresView
    reviews: PageView[ReviewView]


class OrdersOverviewView(TypedDict):
    state: OrderState
    orders: int


class OverviewView(TypedDict):
    """实时概况 (A05). `taken_fen`: vouchers that enterprises paid with and did not get back; `redeemed_fen`: of the money behind
    them, what has been paid out.
    """

    orders: list[OrdersOverviewView]
    taken_fen: int
    redeemed_fen: int
    products_listed: int
    consultants: int
    score: ScoreView


PRODUCTS = f"""
SELECT {CARD} FROM products p
WHERE p.organisation_id = $1 AND p.state = 'listed' AND {OPEN_SHOP} AND p.id < $2 ORDER BY p.id DESC LIMIT $3
"""
CONSULTANTS = f"""
SELECT id, display_name, title, specialities FROM consultants WHERE institution_id = $1 AND state = 'active' ORDER BY id
LIMIT {CONSULTANTS_MAX}
"""
# What is held for a review is not taken yet.
ORDERS = """
SELECT state, count(*) AS orders, coalesce(sum(voucher_fen - returned_fen) FILTER (WHERE state <> 'pay_review'), 0)::bigint AS taken_fen
FROM orders WHERE institution_id = $1 GROUP BY state
"""
COUNTS = """
SELECT (SELECT count(*) FROM products WHERE organisation_id = $1 AND state = 'listed') AS products,
  (SELECT count(*) FROM consultants WHERE institution_id = $1 AND state = 'active') AS consultants,
  (SELECT coalesce(sum(payable_fen), 0)::bigint FROM redemptions WHERE institution_id = $1 AND state = 'redeemed') AS redeemed_fen
"""
_kept: dict[int, tuple[datetime, ShopFrontView]] = {}
_reading: dict[int, asyncio.Lock] = {}


async def get_shop_front(ctx: Context, institution_id: int) -> ShopFrontView:
    """Raises NotFound, also for an institution that is not admitted or is suspended."""
    if (kept := _still_good(ctx, institution_id)) is not None:
        return kept
    # Of many readers of a page that is over, one reads it anew and the others wait for that.
    lock = _reading.setdefault(institution_id, asyncio.Lock())
    try:
        async with lock:
            if (kept := _still_good(ctx, institution_id)) is not None:
                return kept
            page = await _read(ctx, institution_id)
            while len(_kept) >= KEPT_MAX:
                del _kept[next(iter(_kept))]
            _kept[institution_id] = ctx.now, page
            return page
    finally:
        _reading.pop(institution_id, None)


def _still_good(ctx: Context, institution_id: int) -> ShopFrontView | None:
    made_at, page = _kept.get(institution_id, (None, None))
    if made_at is None or page is None:
        return None
    if made_at <= ctx.now < made_at + KEPT_FOR:
        return page
    _kept.pop(institution_id, None)
    return None


async def _read(ctx: Context, institution_id: int) -> ShopFrontView:
    return {
        "institution": await get_shop(ctx, institution_id),
        "products": await list_shop_products(ctx, institution_id, Page()),
        "consultants": [_consultant(each) for each in await rows(CONSULTANTS, institution_id)],
        "score": await get_score(ctx, institution_id),
        "answers": await answer_figures(institution_id),
        "reviews": await list_reviews(ctx, institution_id, None, Page()),
    }


def _consultant(found: Any) -> ShopConsultantView:
    return {
        "id": found.id, "display_name": found.display_name, "title": found.title, "specialities": specialities_of(found.specialities),
    }


async def list_shop_products(_ctx: Context, institution_id: int, page: Page) -> PageView[ProductCardView]:
    """The listed products of one institution, newest first."""
    found = await rows(PRODUCTS, institution_id, (page.key() or [2**63 - 1])[0], page.limit + 1)
    return page_of(found, page, view_card, lambda product: [product["id"]])


async def get_overview(ctx: Context) -> OverviewView:
    """Of one's own institution, as it is now."""
    found: dict[str, Any] = {each.state: each for each in await rows(ORDERS, ctx.organisation_id)}
    counts = await row(COUNTS, ctx.organisation_id)
    return {
        "orders": [{"state": state, "orders": found[state].orders if state in found else 0} for state in OrderState],
        "taken_fen": sum(each.taken_fen for each in found.values()), "redeemed_fen": counts.redeemed_fen,
        "products_listed": counts.products, "consultants": counts.consultants, "score": await get_score(ctx, ctx.organisation_id),
    }
