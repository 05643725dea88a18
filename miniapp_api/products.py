from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from handlers import product_pages, product_search, products, products_content
from handlers.context import Context
from handlers.institutions import InstitutionNotCertified, InstitutionSuspended
from handlers.paging import PageView
from handlers.products_checks import OutsideScopes, ProductDuplicate, ScopeUnsupported, SectionsIncomplete
from handlers.products_content import PICTURES_MAX, CategoryUnknown, DeductionNotAllowed, ParametersWrong, PictureUnknown
from handlers.products_views import ProductRowView, ProductView
from handlers.refusals import ChangedMeanwhile
from handlers.regions import OutsideJurisdiction
from handlers.regular_products import StandardWithdrawn
from handlers.texts import LINE, ONE_LINE, TEXT
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Body, Query, Who
from models.categories import CATEGORIES
from models.products import ProductKind, ProductState

api = Api("products", "服务产品")

PRICE_MAX_FEN = 10_000_000_000  # 一亿元
FORM_BYTES = 768 * 1024  # eight sections of 20,000 characters with their markup, in UTF-8
Fen = Annotated[int, Field(ge=1, le=PRICE_MAX_FEN)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=60, pattern=ONE_LINE), LINE]
Content = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64, pattern=ONE_LINE), LINE]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000, pattern=r"^[^\x00]*$"), TEXT]
Id = Annotated[int, Field(ge=1, lt=2**63)]
NOT_OPEN = (InstitutionNotCertified, InstitutionSuspended)
WRONG_DRAFT = (CategoryUnknown, ParametersWrong, DeductionNotAllowed, PictureUnknown)


class ProductsQuery(Query):
    words: Annotated[str, Field(max_length=50, description="名称、机构或服务类型中的任意文字，空格表示同时包含")] = ""
    category: Annotated[str | None, Field(max_length=32, description="服务类型代码")] = None
    region_code: Annotated[RegionCode | None, Field(description="行政区划，含其下级")] = None
    vouchers_only: Annotated[bool, Field(description="仅显示服务券产品")] = False
    min_price_fen: Annotated[int | None, Field(ge=0, le=PRICE_MAX_FEN)] = None
    max_price_fen: Annotated[int | None, Field(ge=0, le=PRICE_MAX_FEN)] = None
    sort: product_search.Sort = product_search.Sort.NEWEST
    kind: Annotated[ProductKind | None, Field(description="常规产品或特色产品")] = None

    def wanted(self) -> product_search.Wanted:
        return product_search.Wanted(
            self.words, self.category, self.region_code, self.vouchers_only, self.min_price_fen, self.max_price_fen, self.sort,
            self.kind,
        )


class OwnProductsQuery(Query):
    state: ProductState | None = None
    kind: ProductKind | None = None


class Sections(BaseModel):
    """服务介绍的各部分：纯文本，或含图片、表格、链接的 HTML（图片地址写 attachment:附件编号）；保存时去除不安全的内容。"""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    introduction: Annotated[Text, Field(description="服务简介（服务内容）")] = ""
    guarantee: Annotated[Text, Field(description="服务保障")] = ""
    process: Annotated[Text, Field(description="服务流程")] = ""
    details: Annotated[Text, Field(description="服务详情")] = ""
    time_limit: Annotated[Text, Field(description="服务时限")] = ""
    charges: Annotated[Text, Field(description="收费标准")] = ""
    price_make_up: Annotated[Text, Field(description="要价构成")] = ""
    deliverables: Annotated[Text, Field(description="交付结果")] = ""


class DeductionBody(Body):
    voucher_type_id: Id
    max_fen: Annotated[Fen, Field(description="该类服务券最多抵扣，分")]


class ParameterBody(Body):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20, pattern=ONE_LINE), LINE]
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=ONE_LINE), LINE]
    unit: Annotated[str, StringConstraints(strip_whitespace=True, max_length=10, pattern=ONE_LINE), LINE] = ""

    def given(self) -> products_content.ParameterView:
        return {"name": self.name, "value": self.value, "unit": self.unit}


class ProductBody(Body):
    name: Name
    category: Annotated[str, Field(max_length=32, description="服务类型代码")]
    content: Annotated[Content, Field(description="服务内容（小类），须在本机构获批的可用券产品申请表内")] = ""
    price_fen: Annotated[Fen | None, Field(description="价格，分；空为面议")] = None
    sections: Sections = Sections()
    parameters: Annotated[tuple[ParameterBody, ...], Field(max_length=30, description="产品参数，随产品一同审核")] = ()
    deductions: Annotated[tuple[DeductionBody, ...], Field(max_length=50)] = ()

    def form(self) -> products_content.ProductForm:
        deductions = [(deduction.voucher_type_id, deduction.max_fen) for deduction in self.deductions]
        return products_content.ProductForm(
            self.name, self.category, self.price_fen, self.sections.model_dump(), deductions, self.content,
            [parameter.given() for parameter in self.parameters],
        )


class EditProductBody(ProductBody):
    version: Annotated[int, Field(ge=1, description="所修改的版本号")]


class PicturesBody(Body):
    picture_ids: Annotated[tuple[Id, ...], Field(max_length=PICTURES_MAX, description="附件编号（附件项 photo），按显示顺序")]


class CategoryView(TypedDict):
    code: str
    title: str


class CategoriesView(TypedDict):
    items: list[CategoryView]


# --- for everybody -----------------------------------------------------------------------------------------------------


@api.get("/categories", title="服务类型", who=Who.ANYONE)
async def list_categories(_ctx: Context) -> CategoriesView:
    return {"items": [{"code": code, "title": title} for code, title in CATEGORIES.items()]}


@api.get("/products", title="查找服务产品", who=Who.ANYONE)
async def search_products(_ctx: Context, query: ProductsQuery) -> product_search.ProductsPageView:
    return await product_search.search_products(query.wanted(), query.page())


@api.get("/products/{product_id}", title="服务产品详情", who=Who.ANYONE)
async def get_product(ctx: Context, product_id: int) -> product_pages.ProductPageView:
    return await product_pages.get_product(ctx, product_id)


# --- favourites and recommendations ------------------------------------------------------------------------------------


@api.get("/favourites", title="我的收藏", who=Who.SIGNED_IN)
async def list_favourites(ctx: Context, query: Query) -> PageView[product_search.ProductCardView]:
    return await product_pages.list_favourites(ctx, query.page())


@api.get("/products/{product_id}/favourite", title="是否已收藏", who=Who.SIGNED_IN)
async def get_favourite(ctx: Context, product_id: int) -> product_pages.FavouriteView:
    return await product_pages.get_favourite(ctx, product_id)


@api.put("/products/{product_id}/favourite", title="收藏服务产品", who=Who.SIGNED_IN)
async def add_favourite(ctx: Context, product_id: int) -> product_pages.FavouriteView:
    return await product_pages.add_favourite(ctx, product_id)


@api.delete("/products/{product_id}/favourite", title="取消收藏", who=Who.SIGNED_IN)
async def remove_favourite(ctx: Context, product_id: int) -> product_pages.FavouriteView:
    return await product_pages.remove_favourite(ctx, product_id)


@api.put("/products/{product_id}/recommendation", title="推荐服务产品", who=Who.ADMIN, refusals=(OutsideJurisdiction,))
async def recommend_product(ctx: Context, product_id: int) -> product_search.ProductCardView:
    return await product_pages.recommend(ctx, product_id)


@api.delete("/products/{product_id}/recommendation", title="取消推荐", who=Who.ADMIN, refusals=(OutsideJurisdiction,))
async def withdraw_recommendation(ctx: Context, product_id: int) -> product_search.ProductCardView:
    return await product_pages.withdraw_recommendation(ctx, product_id)


# --- for the institution -----------------------------------------------------------------------------------------------


@api.get("/institution/products", title="本机构的服务产品", who=Who.INSTITUTION)
async def list_own_products(ctx: Context, query: OwnProductsQuery) -> PageView[ProductRowView]:
    return await products.list_own_products(ctx, query.state, query.kind, query.page())


@api.post(
    "/institution/products", title="添加服务产品", who=Who.INSTITUTION_ACTOR, status=201, body_max_bytes=FORM_BYTES,
    refusals=WRONG_DRAFT,
)
async def create_product(ctx: Context, body: ProductBody) -> ProductView:
    return await products.create_product(ctx, body.form())


@api.get("/institution/products/{product_id}", title="本机构的一个服务产品", who=Who.INSTITUTION)
async def get_own_product(ctx: Context, product_id: int) -> ProductView:
    return await products.get_own_product(ctx, product_id)


@api.put(
    "/institution/products/{product_id}", title="修改服务产品", who=Who.INSTITUTION_ACTOR, body_max_bytes=FORM_BYTES,
    refusals=(ChangedMeanwhile, products.RegularProduct, *WRONG_DRAFT),
)
async def edit_product(ctx: Context, product_id: int, body: EditProductBody) -> ProductView:
    """任何状态均可编辑。审核中的先退出审核；已通过的继续有效，修改内容提交并审核通过后生效。"""
    return await products.edit_product(ctx, product_id, body.version, body.form())


@api.delete("/institution/products/{product_id}", title="删除服务产品", who=Who.INSTITUTION_ACTOR)
async def delete_product(ctx: Context, product_id: int) -> ProductView:
    return await products.delete_product(ctx, product_id)


@api.get("/institution/products/{product_id}/findings", title="发布前自查", who=Who.INSTITUTION)
async def get_product_findings(ctx: Context, product_id: int) -> products.FindingsView:
    """缺少的内容、超出范围、不予支持的服务、重复产品等；refused 为真的须修改后才能提交。"""
    return await products.get_findings(ctx, product_id)


@api.put(
    "/institution/products/{product_id}/pictures", title="更换产品图片", who=Who.INSTITUTION_ACTOR, refusals=(PictureUnknown,)
)
async def set_product_pictures(ctx: Context, product_id: int, body: PicturesBody) -> ProductView:
    """立即生效。"""
    return await products.set_pictures(ctx, product_id, list(body.picture_ids))


@api.delete(
    "/institution/products/{product_id}/amendment", title="放弃修改", who=Who.INSTITUTION_ACTOR,
    refusals=(products.ProductStateWrong,),
)
async def discard_product_amendment(ctx: Context, product_id: int) -> ProductView:
    return await products.discard_amendment(ctx, product_id)


@api.put(
    "/institution/products/{product_id}/submission", title="提交审核", who=Who.INSTITUTION_ACTOR,
    refusals=(
        products.ProductStateWrong, products.RegularProduct, SectionsIncomplete, OutsideScopes, ScopeUnsupported, ProductDuplicate,
        *WRONG_DRAFT, *NOT_OPEN,
    ),
)
async def submit_product(ctx: Context, product_id: int) -> ProductView:
    return await products.submit_product(ctx, product_id)


@api.delete(
    "/institution/products/{product_id}/submission", title="撤回审核", who=Who.INSTITUTION_ACTOR,
    refusals=(products.ProductStateWrong,),
)
async def withdraw_product(ctx: Context, product_id: int) -> ProductView:
    return await products.withdraw_product(ctx, product_id)


@api.put(
    "/institution/products/{product_id}/listing", title="上架", who=Who.INSTITUTION_ACTOR,
    refusals=(products.ProductStateWrong, OutsideScopes, StandardWithdrawn, *NOT_OPEN),
)
async def list_product(ctx: Context, product_id: int) -> ProductView:
    return await products.list_product(ctx, product_id)


@api.delete(
    "/institution/products/{product_id}/listing", title="下架", who=Who.INSTITUTION_ACTOR, refusals=(products.ProductStateWrong,)
)
async def unlist_product(ctx: Context, product_id: int) -> ProductView:
    return await products.unlist_product(ctx, product_id)
