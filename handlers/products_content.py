"""What a product says: the form, its check, and the one shape in which a text is kept, compared and brought into force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from handlers.product_search import index_product
from handlers.refusals import Kind, Refusal
from handlers.rich_text import rich_text
from handlers.transactions import Transaction
from models.categories import CATEGORIES

# What the page of a product shows, in this order (E25).
SECTIONS = {
    "introduction": "服务简介", "guarantee": "服务保障", "process": "服务流程", "details": "服务详情", "time_limit": "服务时限",
    "charges": "收费标准", "price_make_up": "要价构成", "deliverables": "交付结果",
}
# What C21 asks of every text before it may be reviewed, by the names of the manual.
MANDATORY = {
    "introduction": "服务内容", "process": "服务流程", "time_limit": "服务时限", "charges": "收费标准", "price_make_up": "要价构成",
    "deliverables": "交付结果",
}
PICTURES_MAX = 30


class CategoryUnknown(Refusal):
    kind, code, title = Kind.INVALID, "category_unknown", "没有该服务类型"


class DeductionNotAllowed(Refusal):
    """`reason`: unknown_voucher_type | twice | category_differs | above_price | price_missing."""

    kind, code, title = Kind.INVALID, "deduction_not_allowed", "抵扣设置有误，请核对服务券和金额"


class ParameterView(TypedDict):
    """A line of 产品参数 (D13): 样品数量 30 件; `unit` may be empty."""

    name: str
    value: str
    unit: str


class ParametersWrong(Refusal):
    """`data.names`: what stands twice, or is not asked, missing or not one of the choices of a regular product."""

    kind, code, title = Kind.INVALID, "parameters_wrong", "产品参数有误，请核对参数名称和取值"


class PictureUnknown(Refusal):
    """`data.picture_ids`: what is no picture of this institution; or `data.max`, when there are too many."""

    kind, code, title = Kind.INVALID, "picture_unknown", "图片不存在、不属于本机构或数量过多"


@dataclass(frozen=True, slots=True)
class ProductForm:
    """What an institution writes. `sections`: HTML or plain text. `deductions`: (voucher type id, most fen that such vouchers may pay)."""

    name: str
    category: str
    price_fen: int | None  # None = 面议
    sections: Mapping[str, str]
    deductions: Sequence[tuple[int, int]]
    content: str = ""  # 服务小类
    parameters: Sequence[ParameterView] = ()


class DeductionView(TypedDict):
    voucher_type_id: int
    voucher_type: str
    programme_id: int
    programme: str
    max_fen: int


class ContentView(TypedDict):
    """A text of a product. `sections` are safe HTML; `deductions` are [voucher type id, most fen]."""

    name: str
    category: str
    content: str
    price_fen: int | None
    sections: dict[str, str]
    parameters: list[ParameterView]
    deductions: list[list[int]]


DEDUCTIONS = """
SELECT d.voucher_type_id, t.name AS voucher_type, t.programme_id, g.name AS programme, d.max_fen
FROM deductions d JOIN voucher_types t ON t.id = d.voucher_type_id JOIN programmes g ON g.id = t.programme_id
WHERE d.product_id = $1 ORDER BY t.programme_id, d.voucher_type_id
"""
APPLY = """
UPDATE products SET name = $2, category = $3, content = $4, price_fen = $5, sections = $6, version = $7, updated_at = $8, parameters = $9
WHERE id = $1
"""
OWN_PICTURES = """
SELECT id FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = 'photo' AND state = 'stored' FOR KEY SHARE
"""
LINK_PICTURES = """
INSERT INTO pictures (attachment_id, organisation_id, product_id, in_text, position)
SELECT p.id, $3, $2, $4, p.position FROM unnest($1::bigint[]) WITH ORDINALITY AS p(id, position)
"""


def written(form: ProductForm) -> ContentView:
    """The form as it is kept: its texts made safe."""
    return {
        "name": form.name, "category": form.category, "content": form.content, "price_fen": form.price_fen,
        "sections": {key: rich_text(form.sections.get(key, "")).html for key in SECTIONS},
        "parameters": list(form.parameters),
        "deductions": [[type_id, max_fen] for type_id, max_fen in sorted(form.deductions)],
    }


async def in_force(tx: Transaction, product: Any) -> ContentView:
    """What the product's own row says."""
    deductions = await tx.rows("SELECT voucher_type_id, max_fen FROM deductions WHERE product_id = $1 ORDER BY 1", product.id)
    return {
        "name": product.name, "category": product.category, "content": product.content, "price_fen": product.price_fen,
        "sections": {key: product.sections.get(key, "") for key in SECTIONS}, "parameters": product.parameters,
        "deductions": [[deduction.voucher_type_id, deduction.max_fen] for deduction in deductions],
    }


def pictures_of(content: ContentView) -> list[int]:
    """The attachments that stand in the texts, each once."""
    return list(dict.fromkeys(number for text in content["sections"].values() for number in rich_text(text).picture_ids))


async def check_content(tx: Transaction, organisation_id: int, content: ContentView) -> None:
    """What even a draft may not say. Raises CategoryUnknown, ParametersWrong, DeductionNotAllowed, PictureUnknown."""
    if content["category"] not in CATEGORIES:
        raise CategoryUnknown
    names = [parameter["name"] for parameter in content.get("parameters", ())]  # a text of an earlier version has none
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParametersWrong(names=twice)
    await require_pictures(tx, organisation_id, pictures_of(content))
    type_ids = [type_id for type_id, _ in content["deductions"]]
    found = await tx.rows("SELECT id, is_universal, categories FROM voucher_types WHERE id = ANY($1::bigint[])", type_ids)
    types = {voucher_type.id: voucher_type for voucher_type in found}
    for type_id, max_fen in content["deductions"]:
        if reason := "twice" if type_ids.count(type_id) > 1 else _why_not(content, types.get(type_id), max_fen):
            raise DeductionNotAllowed(voucher_type_id=type_id, reason=reason)


def _why_not(content: ContentView, voucher_type: Any, max_fen: int) -> str | None:
    if voucher_type is None:
        return "unknown_voucher_type"
    if not voucher_type.is_universal and content["category"] not in voucher_type.categories:
        return "category_differs"
    if content["price_fen"] is None:
        return "price_missing"
    return "above_price" if max_fen > content["price_fen"] else None


async def require_pictures(tx: Transaction, organisation_id: int, picture_ids: Sequence[int]) -> None:
    """The files stay while this transaction runs. Raises PictureUnknown."""
    if len(picture_ids) > PICTURES_MAX:
        raise PictureUnknown(max=PICTURES_MAX)
    own = {picture.id for picture in await tx.rows(OWN_PICTURES, picture_ids, organisation_id)}
    if unknown := sorted(set(picture_ids) - own):
        raise PictureUnknown(picture_ids=unknown)


async def bring_into_force(tx: Transaction, product_id: int, content: ContentView, version: int) -> None:
    """Write a text into the product's own row, its deductions, and what the search knows of it."""
    await tx.run(
        APPLY, product_id, content["name"], content["category"], content["content"], content["price_fen"], content["sections"],
        version, tx.ctx.now, content.get("parameters", []),
    )
    await set_deductions(tx, product_id, content)


async def set_deductions(tx: Transaction, product_id: int, content: ContentView) -> None:
    await tx.run("DELETE FROM deductions WHERE product_id = $1", product_id)
    await tx.run(
        "INSERT INTO deductions (product_id, voucher_type_id, max_fen) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])",
        product_id, [type_id for type_id, _ in content["deductions"]], [max_fen for _, max_fen in content["deductions"]],
    )
    await index_product(tx, product_id)


async def link_pictures(tx: Transaction, product: Any, picture_ids: Sequence[int], *, in_text: bool) -> None:
    """Replace which pictures are public with the product: those of its approved text, or those beside it."""
    await tx.run("DELETE FROM pictures WHERE product_id = $1 AND in_text = $2", product.id, in_text)
    await tx.run(LINK_PICTURES, picture_ids, product.id, product.organisation_id, in_text)
