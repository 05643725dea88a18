"""Finding listed products by any Chinese substring, kind, price and district, sorted, with the exact total (E24, W4).

One GIN index answers words (docs/decisions/0060-product-search.md): `terms` of a product holds every letter and every two to four
neighbouring letters of its texts, a marker for its category, and one for each division that it is in, for those who want no words.
Markers start with `=` and have more than four letters, so no text can pretend to be one. One to four letters are thereby found exactly;
a longer word is the conjunction of its fours, and `haystack` proves that they stand together.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict

from handlers.paging import CursorUnknown, Page, page_of
from handlers.regions import prefix_of
from handlers.transactions import Transaction, rows
from models.categories import CATEGORIES
from models.products import ProductKind

NEVER = 2**63 - 1  # sorts 面议 behind every price
LONGEST = 4  # letters of a term; more than four are seldom a word in Chinese
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Sort(StrEnum):
    NEWEST = "newest"
    CHEAPEST = "price_asc"
    DEAREST = "price_desc"


class ProductCardView(TypedDict):
    """`price_fen` null is 面议. `max_voucher_fen` 抵扣金额, at most; `offline_fen` is what then remains to be paid (E26)."""

    id: int
    kind: ProductKind
    service_number: str
    name: str
    category: str
    category_title: str
    region_code: str
    price_fen: int | None
    max_voucher_fen: int
    offline_fen: int | None
    is_recommended: bool
    institution_id: int
    institution_name: str


class ProductsPageView(TypedDict):
    """`total` counts all that match, on every page."""

    items: list[ProductCardView]
    next: str | None
    total: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for; an absent part asks nothing. `region_code` means that division and all below it."""

    words: str = ""
    category: str | None = None
    region_code: str | None = None
    vouchers_only: bool = False
    from_fen: int | None = None
    to_fen: int | None = None
    sort: Sort = Sort.NEWEST
    kind: ProductKind | None = None


# --- one spelling -----------------------------------------------------------------------------------------------------------


def folded(text: str) -> str:
    """Half width, lower case, no blanks: `ＩＳＯ 9001` and `iso9001` are the same."""
    narrow = unicodedata.normalize("NFKC", text).casefold()
    return "".join(unicodedata.normalize("NFKC", narrow).split())


def _literal(word: str) -> str:
    """For LIKE, where these three mean something."""
    return re.sub(r"([\\%_])", r"\\\1", word)


def _parts(text: str, letters: int) -> set[str]:
    """All that stands together in it, of so many letters."""
    return {text[at:at + letters] for at in range(len(text) - letters + 1)}


def _category_marker(category: str) -> str:
    return f"=category:{category}"


def indexed(*, name: str, institution: str, category: str, region_code: str) -> tuple[str, list[str]]:
    """(`haystack`, `terms`) of a product. No term spans two texts."""
    texts = [folded(text) for text in (name, institution, CATEGORIES.get(category, category))]
    terms = {part for text in texts for letters in range(1, LONGEST + 1) for part in _parts(text, letters)}
    prefix = prefix_of(region_code)
    terms |= {f"=region:{prefix[:length]}" for length in range(2, len(prefix) + 1, 2)} | {_category_marker(category)}
    return "\n".join(texts), sorted(terms)


KNOW = """
UPDATE products SET haystack = $2, terms = $3,
  max_voucher_fen = coalesce((SELECT max(max_fen) FROM deductions WHERE product_id = $1), 0),
  institution_name = (SELECT name FROM organisations WHERE id = organisation_id)
WHERE id = $1
"""


async def index_product(tx: Transaction, product_id: int) -> None:
    """Bring what the search knows of a product up to date with the product, its deductions and its institution."""
    product = await tx.row(
        "SELECT p.name, p.category, p.region_code, o.name AS institution FROM products p"
        " JOIN organisations o ON o.id = p.organisation_id WHERE p.id = $1", product_id,
    )
    haystack, terms = indexed(**dict(product))
    await tx.run(KNOW, product_id, haystack, terms)


# --- looking ------------------------------------------------------------------------------------------------------------------

# sort -> (key, direction, how the next page compares, the key's type)
ORDERS = {
    Sort.NEWEST: ("p.listed_at", "DESC", "<", "timestamptz"),
    Sort.CHEAPEST: (f"coalesce(p.price_fen, {NEVER})", "ASC", ">", "bigint"),
    Sort.DEAREST: ("coalesce(p.price_fen, -1)", "DESC", "<", "bigint"),
}
CARD = """p.id, p.kind, p.service_number, p.name, p.category, p.region_code, p.price_fen, p.max_voucher_fen, p.is_recommended,
  p.organisation_id, p.institution_name"""
# A suspended institution's products stay listed and are not found: they come back by themselves.
OPEN_SHOP = "p.organisation_id <> ALL (ARRAY(SELECT id FROM organisations WHERE suspended_at IS NOT NULL))"
# Both statements answer the page and the total from one snapshot; `total` alone when the page is empty. Each table is named once, and what
# a card shows of a product comes along from there: until PostgreSQL keeps a plan, making it takes longer than finding a word.
AMONG_FOUND = f"""
WITH found AS MATERIALIZED (SELECT {{key}} AS key, {CARD} FROM products p WHERE {{match}}),
page AS (SELECT * FROM found f WHERE {{after}} ORDER BY f.key {{direction}}, f.id {{direction}} LIMIT $1),
total AS (SELECT count(*) AS total FROM found)
"""
# Without a term nearly everything matches: count it in the index, and read the page along the sort.
AMONG_ALL = f"""
WITH page AS (
  SELECT * FROM (SELECT {{key}} AS key, {CARD} FROM products p WHERE {{match}}) f
  WHERE {{after}} ORDER BY f.key {{direction}}, f.id {{direction}} LIMIT $1
), total AS (SELECT count(*) AS total FROM products p WHERE {{match}})
"""
SHOW = """
SELECT total.total, page.* FROM total LEFT JOIN page ON true ORDER BY page.key {direction}, page.id {direction}
"""


def _match(wanted: Wanted, values: list[Any]) -> tuple[str, bool]:
    """(SQL conditions, whether the GIN index has something to look for); appends the parameters to `values`."""
    def parameter(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    words = [folded(word) for word in wanted.words.split()]
    terms = {term for word in words for term in _parts(word, min(len(word), LONGEST))}
    conditions = ["p.state = 'listed'", OPEN_SHOP]
    conditions += ["p.max_voucher_fen > 0"] if wanted.vouchers_only else []
    prefix = prefix_of(wanted.region_code) if wanted.region_code else ""
    marker = {_category_marker(wanted.category)} if wanted.category is not None else set()
    if terms:
        # Words leave little to look at; a marker that nearly every product has would cost the index more than all of them.
        conditions += [f"p.region_code LIKE {parameter(prefix + '%')}"] if prefix else []
        # Twice: so PostgreSQL expects next to nothing of a word that it does not know yet, keeps a plan by the index of words, and need
        # not make one each time. Said once, the plan that it kept for words and prices was one by price, forty times as slow.
        wanted_terms = parameter(sorted(terms | marker))
        conditions += [f"p.terms @> {wanted_terms}::text[]"] * 2
    elif prefix:
        conditions.append(f"p.terms @> {parameter(sorted({f'=region:{prefix}'} | marker))}::text[]")
    elif wanted.category is not None:
        conditions.append(f"p.category = {parameter(wanted.category)}")
    if longer := [f"%{_literal(word)}%" for word in words if len(word) > LONGEST]:
        conditions.append(f"p.haystack LIKE ALL ({parameter(longer)}::text[])")
    if wanted.kind is not None:
        conditions.append(f"p.kind = {parameter(wanted.kind)}")
    if wanted.from_fen is not None:
        conditions.append(f"p.price_fen >= {parameter(wanted.from_fen)}")
    if wanted.to_fen is not None:
        conditions.append(f"p.price_fen <= {parameter(wanted.to_fen)}")
    return " AND ".join(conditions), bool(terms or prefix)


def statement(wanted: Wanted, page: Page) -> tuple[str, list[Any]]:
    """Page and total in one statement, and its parameters. Raises CursorUnknown, also for a cursor of another sort."""
    key, direction, compares, kind = ORDERS[wanted.sort]
    values: list[Any] = [page.limit + 1, *_last_seen(wanted.sort, page)]
    match, has_terms = _match(wanted, values)
    after = f"($2::{kind} IS NULL OR (f.key, f.id) {compares} ($2, $3::bigint))"
    sql = (AMONG_FOUND if has_terms else AMONG_ALL) + SHOW
    return sql.format(key=key, match=match, after=after, direction=direction), values


async def search_products(wanted: Wanted, page: Page) -> ProductsPageView:
    """Raises CursorUnknown."""
    sql, values = statement(wanted, page)
    found = await rows(sql, *values)
    shown = page_of([row for row in found if row["id"] is not None], page, view_card, lambda row: _cursor(wanted.sort, row))
    return {"items": shown["items"], "next": shown["next"], "total": found[0].total}


def _cursor(sort: Sort, row: Any) -> list[Any]:
    return [sort, (row.key - EPOCH) // MICROSECOND if sort is Sort.NEWEST else row.key, row.id]


def _last_seen(sort: Sort, page: Page) -> tuple[Any, int | None]:
    cursor = page.key((str, int, int))
    if cursor is None:
        return None, None
    of_sort, key, product_id = cursor
    if of_sort != sort:
        raise CursorUnknown
    try:
        return (EPOCH + key * MICROSECOND if sort is Sort.NEWEST else key), product_id
    except OverflowError as error:
        raise CursorUnknown from error


def view_card(product: Any) -> ProductCardView:
    """`product`: a row of CARD, read by index: an attribute costs ten times as much, and a page reads hundreds."""
    category, price_fen, voucher_fen = product["category"], product["price_fen"], product["max_voucher_fen"]
    return {
        "id": product["id"], "kind": product["kind"], "service_number": product["service_number"], "name": product["name"],
        "category": category, "category_title": CATEGORIES.get(category, category), "region_code": product["region_code"],
        "price_fen": price_fen, "max_voucher_fen": voucher_fen,
        "offline_fen": None if price_fen is None else price_fen - voucher_fen,
        "is_recommended": product["is_recommended"], "institution_id": product["organisation_id"],
        "institution_name": product["institution_name"],
    }
