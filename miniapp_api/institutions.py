from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import institutions
from handlers.accounts.consents import ConsentNeeded
from handlers.context import Context
from handlers.paging import PageView
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Body, Query, Who

api = Api("institutions", "服务机构")

ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=ONE_LINE)]
# Shown as a link, so it may not be a javascript: address.
Website = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^(https?://[^\s\x00-\x1f<>\"']+)?$")]
Landline = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32, pattern=r"^(\+?[0-9][0-9 -]{4,30})?$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^([^@\s<>\"']+@[^@\s<>\"']+\.[A-Za-z]{2,24})?$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=40, pattern=ONE_LINE)]
Mobile = Annotated[str, StringConstraints(pattern=r"^1[3-9][0-9]{9}$")]


class InstitutionsQuery(Query):
    words: Annotated[str, Field(max_length=50, description="机构名称中的任意文字")] = ""
    region_code: Annotated[RegionCode | None, Field(description="行政区划，含其下级")] = None


class ProfileBody(Body):
    introduction: Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000)] = ""
    address: Address = ""
    website: Website = ""
    landline: Annotated[Landline, Field(description="对外公布的座机")] = ""
    email: Email = ""


class ContactBody(Body):
    name: Name
    phone: Annotated[Mobile, Field(description="手机号，不对外展示")]


@api.get("/institutions", title="服务机构列表", who=Who.ANYONE)
async def list_institutions(_ctx: Context, query: InstitutionsQuery) -> PageView[institutions.ShopCardView]:
    return await institutions.list_shops(query.words, query.region_code, query.page())


@api.get("/institutions/{institution_id}", title="机构商铺", who=Who.ANYONE)
async def get_institution(ctx: Context, institution_id: int) -> institutions.ShopView:
    return await institutions.get_shop(ctx, institution_id)


@api.get("/institution/profile", title="本机构信息", who=Who.INSTITUTION)
async def get_institution_profile(ctx: Context) -> institutions.ProfileView:
    return await institutions.get_profile(ctx)


@api.put(
    "/institution/profile", title="更新本机构公开信息", who=Who.INSTITUTION_ACTOR, refusals=(institutions.LandlineIsMobile,)
)
async def update_institution_profile(ctx: Context, body: ProfileBody) -> institutions.ProfileView:
    return await institutions.update_profile(ctx, **body.model_dump())


@api.put("/institution/contact", title="更新本机构联系人", who=Who.INSTITUTION_ACTOR, refusals=(ConsentNeeded,))
async def update_institution_contact(ctx: Context, body: ContactBody) -> institutions.ProfileView:
    return await institutions.update_contact(ctx, body.name, body.phone)
