"""The standard list of a supermarket's regular services."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import standard_products
from handlers.context import Context
from handlers.paging import PageView
from handlers.products_content import CategoryUnknown, ParametersWrong
from handlers.standard_products import StandardExists, StandardProductView
from handlers.texts import LINE, ONE_LINE
from miniapp_api.products import Name, Text
from miniapp_api.routing import Api, Body, Query, Who

api = Api("standard_products", "常规产品目录")
STANDARD_BYTES = 128 * 1024
ParameterName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20, pattern=ONE_LINE), LINE]


class StandardProductsQuery(Query):
    category: Annotated[str | None, Field(max_length=32, description="服务类型代码")] = None


class AskedBody(Body):
    name: ParameterName
    unit: Annotated[str, StringConstraints(strip_whitespace=True, max_length=10, pattern=ONE_LINE), LINE] = ""
    required: bool = False
    choices: Annotated[tuple[ParameterName, ...], Field(max_length=20, description="可选的取值；空为任意文字")] = ()

    def asked(self) -> standard_products.ParameterAskedView:
        return {"name": self.name, "unit": self.unit, "required": self.required, "choices": list(self.choices)}


class StandardProductBody(Body):
    category: Annotated[str, Field(max_length=32, description="服务类型代码")]
    name: Name
    introduction: Annotated[Text, Field(min_length=1, description="服务内容说明，各机构相同")]
    parameters: Annotated[tuple[AskedBody, ...], Field(max_length=30)] = ()


@api.get("/programmes/{programme_id}/standard-products", title="常规产品目录", who=Who.ANYONE)
async def list_standard_products(
    _ctx: Context, programme_id: int, query: StandardProductsQuery
) -> PageView[StandardProductView]:
    return await standard_products.list_standard_products(programme_id, query.category, query.page())


@api.post(
    "/programmes/{programme_id}/standard-products", title="新增常规产品目录项", who=Who.ADMIN, status=201, body_max_bytes=STANDARD_BYTES,
    refusals=(CategoryUnknown, ParametersWrong, StandardExists),
)
async def add_standard_product(ctx: Context, programme_id: int, body: StandardProductBody) -> StandardProductView:
    """目录项不能修改；需要修改的移出后重新添加，机构已上架的不受影响。"""
    parameters = [parameter.asked() for parameter in body.parameters]
    return await standard_products.add_standard_product(ctx, programme_id, body.category, body.name, body.introduction, parameters)


@api.delete("/programmes/{programme_id}/standard-products/{standard_id}", title="移出常规产品目录", who=Who.ADMIN)
async def withdraw_standard_product(ctx: Context, programme_id: int, standard_id: int) -> StandardProductView:
    return await standard_products.withdraw_standard_product(ctx, programme_id, standard_id)
