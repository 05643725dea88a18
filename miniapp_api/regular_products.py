"""The institution's regular products: from the standard list, without a review."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import regular_products
from handlers.context import Context
from handlers.products_content import ParametersWrong
from handlers.products_views import ProductView
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.regular_products import NotOfThisSupermarket, RegularProductExists, StandardWithdrawn
from handlers.texts import TEXT
from miniapp_api.products import NOT_OPEN, Fen, Id, ParameterBody
from miniapp_api.routing import Api, Body, Who

api = Api("regular_products", "常规产品")


class OfferBody(Body):
    price_fen: Annotated[Fen | None, Field(description="价格，分；空为面议")] = None
    remark: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$"), Field(description="本机构的补充说明，纯文字"),
        TEXT,
    ] = ""
    parameters: Annotated[tuple[ParameterBody, ...], Field(max_length=30)] = ()


class NewOfferBody(OfferBody):
    standard_id: Id


class ChangedOfferBody(OfferBody):
    version: Annotated[int, Field(ge=1, description="所修改的版本号")]


@api.post(
    "/institution/regular-products", title="常规产品上架", who=Who.INSTITUTION_ACTOR, status=201,
    refusals=(NotFound, NotOfThisSupermarket, StandardWithdrawn, RegularProductExists, ParametersWrong, *NOT_OPEN),
)
async def offer_regular_product(ctx: Context, body: NewOfferBody) -> ProductView:
    """无需审核，立即上架；下架、再次上架和删除与其他产品相同。"""
    parameters = [parameter.given() for parameter in body.parameters]
    return await regular_products.offer(ctx, body.standard_id, body.price_fen, body.remark, parameters)


@api.put(
    "/institution/regular-products/{product_id}", title="修改常规产品", who=Who.INSTITUTION_ACTOR,
    refusals=(ChangedMeanwhile, StandardWithdrawn, ParametersWrong),
)
async def change_regular_product(ctx: Context, product_id: int, body: ChangedOfferBody) -> ProductView:
    """立即生效。"""
    parameters = [parameter.given() for parameter in body.parameters]
    return await regular_products.change(ctx, product_id, body.version, body.price_fen, body.remark, parameters)
