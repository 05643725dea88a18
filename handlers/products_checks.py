"""The checker that looks at a product before a person does (C18-C21, F26): what is refused, and what the reviewer is told."""

from datetime import timedelta
from typing import Any

from handlers.product_search import folded
from handlers.products_content import MANDATORY, ContentView
from handlers.refusals import Kind, Refusal
from handlers.rich_text import plain
from handlers.scopes import Finding, duplicates, finding, unsupported
from handlers.transactions import Transaction

PRICE_WATCH = timedelta(days=30)  # after vouchers were handed out
OTHERS_MAX = 500  # products of one institution and kind that a new one is compared with, the newest


class SectionsIncomplete(Refusal):
    """`missing`: keys and titles of the sections that must be written before a review."""

    kind, code, title = Kind.INVALID, "sections_incomplete", "服务介绍不完整，请补充后再提交"


class OutsideScopes(Refusal):
    """C19. `data.contents`: what the approved 可用券产品申请表 has in this category."""

    kind, code, title = Kind.CONFLICT, "outside_scopes", "该服务大类及内容不在本机构已获批的可用券产品申请表中"


class ScopeUnsupported(Refusal):
    """C18. `data.items`: the scopes of article 11, with the words that were found."""

    kind, code, title = Kind.CONFLICT, "scope_unsupported", "该服务属于服务券不予支持的范围"


class ProductDuplicate(Refusal):
    """C20. `data.others`: the products that are the same."""

    kind, code, title = Kind.CONFLICT, "product_duplicate", "本机构已有相同产品，请勿重复发布"


OTHERS = """
SELECT id, name, sections ->> 'introduction' AS introduction FROM products
WHERE organisation_id = $1 AND category = $2 AND id <> $3 AND state <> 'deleted' ORDER BY id DESC LIMIT $4
"""
HANDED_OUT = "SELECT max(created_at) FROM lots WHERE voucher_type_id = ANY($1::bigint[]) AND created_at > $2"


def missing_sections(content: ContentView) -> list[dict[str, str]]:
    return [{"field": key, "title": title} for key, title in MANDATORY.items() if not plain(content["sections"].get(key, ""))]


async def findings_of(tx: Transaction, product: Any, content: ContentView) -> list[Finding]:
    """Everything that the checker has to say; `refused` first. `product`: the row as it is in force, or the first draft."""
    texts = {key: plain(html) for key, html in content["sections"].items()}
    found = [finding("section_missing", missing["title"], refused=True) for missing in missing_sections(content)]
    if (contents := await _missed_scope(tx, product.organisation_id, content)) is not None:
        found.append(finding("outside_scopes", OutsideScopes.title, refused=True, words=contents))
    found += unsupported((content["name"], content["content"]), texts.values())
    others = await tx.rows(OTHERS, product.organisation_id, content["category"], product.id, OTHERS_MAX)
    known = {other.id: (other.name, plain(other.introduction or "")) for other in others}
    found += duplicates(content["name"], texts["introduction"], known)
    if await _raised_after_issue(tx, product, content):
        found.append(finding("price_raised_after_issue", "服务券发放后 30 日内提价"))
    return sorted(found, key=lambda one: not one["refused"])


async def require_publishable(tx: Transaction, product: Any, content: ContentView) -> list[Finding]:
    """What the reviewer is to know. Raises SectionsIncomplete, OutsideScopes, ScopeUnsupported, ProductDuplicate."""
    if missing := missing_sections(content):
        raise SectionsIncomplete(missing=missing)
    await require_in_scope(tx, product.organisation_id, content)
    found = await findings_of(tx, product, content)
    if items := [one for one in found if one["refused"] and one["check"].startswith("unsupported.")]:
        raise ScopeUnsupported(items=[{"scope": item["title"], "words": item["words"]} for item in items])
    if others := [number for one in found if one["refused"] and one["check"] == "duplicate" for number in one["others"]]:
        raise ProductDuplicate(others=others)
    return found


async def require_in_scope(tx: Transaction, organisation_id: int, content: ContentView) -> None:
    """Raises OutsideScopes."""
    if (contents := await _missed_scope(tx, organisation_id, content)) is not None:
        raise OutsideScopes(category=content["category"], contents=contents)


async def _missed_scope(tx: Transaction, organisation_id: int, content: ContentView) -> list[str] | None:
    """None when the product is inside; otherwise what would be. Whom a programme admitted without such a table is not bound by one."""
    scopes = await tx.rows("SELECT category, content FROM institution_scopes WHERE organisation_id = $1 ORDER BY id", organisation_id)
    inside = [scope.content for scope in scopes if scope.category == content["category"]]
    if not scopes or folded(content["content"]) in {folded(one) for one in inside}:
        return None
    return inside


async def _raised_after_issue(tx: Transaction, product: Any, content: ContentView) -> bool:
    """F26: dearer than the text in force, just after vouchers that it takes were handed out."""
    if product.listed_at is None or not (content["price_fen"] or 0) > (product.price_fen or 0):
        return False
    type_ids = [type_id for type_id, _ in content["deductions"]]
    return await tx.value(HANDED_OUT, type_ids, tx.ctx.now - PRICE_WATCH) is not None
