"""找服务 in a sentence: a district is told from the words for a service, and each product says how it was rated and how long it took."""

import re
from typing import TypedDict

from handlers.context import Context
from handlers.paging import Page
from handlers.product_search import ProductCardView, Wanted, search_products
from handlers.transactions import row, rows

WORD = re.compile(r"[^\s,，。、;；]+")
SHOWN = 3
# In the sentence as it is (市中区审计): the longest name that stands in it, the enterprise's own city and province first.
DISTRICT = """
SELECT r.code, r.name FROM regions r LEFT JOIN organisations o ON o.id = $2
WHERE r.level IN ('county', 'city') AND length(r.name) > 1 AND strpos($1, r.name) > 0
ORDER BY left(r.code, 4) = left(o.region_code, 4) DESC NULLS LAST, left(r.code, 2) = left(o.region_code, 2) DESC NULLS LAST,
  length(r.name) DESC, r.code LIMIT 1
"""
# Of the last orders that were delivered: enough to say, few enough to read.
EXPERIENCE = """
SELECT p.id, t.median_days, v.good, v.rated
FROM unnest($1::bigint[]) AS p (id)
CROSS JOIN LATERAL (
  SELECT CASE WHEN count(*) > 0 THEN greatest(1, ceil(extract(epoch FROM
    percentile_cont(0.5) WITHIN GROUP (ORDER BY d.delivered_at - d.accepted_at)) / 86400)::int) END AS median_days
  FROM (SELECT delivered_at, accepted_at FROM orders WHERE product_id = p.id AND delivered_at IS NOT NULL AND accepted_at IS NOT NULL
        ORDER BY id DESC LIMIT 100) d) t
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE grade = 'good') AS good, count(*) AS rated
  FROM (SELECT grade FROM reviews WHERE product_id = p.id AND NOT is_system ORDER BY id DESC LIMIT 100) g) v
"""


class FoundServiceView(TypedDict):
    """`median_days` from acceptance to delivery; null where nothing was delivered. `good` of `rated` people's reviews."""

    product: ProductCardView
    median_days: int | None
    good: int
    rated: int


class FoundServicesView(TypedDict):
    """`region`: the district that was understood; `total` counts all that match."""

    words: str
    region: str | None
    total: int
    items: list[FoundServiceView]


async def own_region(ctx: Context) -> str | None:
    """The county where the acting organisation is registered."""
    found = await row("SELECT region_code FROM organisations WHERE id = $1", ctx.organisation_id)
    return found.region_code if found else None


async def find_services(ctx: Context, text: str) -> FoundServicesView:
    """What takes vouchers and matches the words, in the district that the text names, if it names one."""
    district = await row(DISTRICT, text, ctx.actor.organisation_id)
    words = " ".join(WORD.findall(text.replace(district.name, " ") if district else text))
    wanted = Wanted(words=words, region_code=district.code if district else None, vouchers_only=True)
    found = await search_products(wanted, Page(limit=SHOWN))
    known = {each.id: each for each in await rows(EXPERIENCE, [product["id"] for product in found["items"]])}
    return {
        "words": words, "region": district.name if district else None, "total": found["total"],
        "items": [
            {"product": product, "median_days": known[product["id"]].median_days, "good": known[product["id"]].good,
             "rated": known[product["id"]].rated}
            for product in found["items"]
        ],
    }
