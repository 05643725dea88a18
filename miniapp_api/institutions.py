"""Service institutions in public, an institution's own pages, its admission to the library, and its suspension."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import applications, institutions, institutions_admission, institutions_shop, institutions_standing, papers
from handlers.accounts.consents import ConsentNeeded
from handlers.application_views import ApplicationView, FormView
from handlers.applications import ApplicationNotApproved, ApplicationNotEditable, ApplicationNotWithdrawable, FormIncomplete
from handlers.context import Context
from handlers.institutions_standing import InstitutionStateWrong, StandingView, SuspensionEndWrong
from handlers.outside import MOBILE_PATTERN
from handlers.paging import PageView
from handlers.product_search import ProductCardView
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.regions import OutsideJurisdiction
from handlers.texts import LINE, ONE_LINE, TEXT
from miniapp_api.application_bodies import ApplicationBody
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Body, Download, Query, Who

api = Api("institutions", "服务机构")
KIND = institutions_admission.ADMISSION.kind
ADMISSION_BYTES = 64 * 1024  # texts of 5,000 characters and a table of fifty lines

Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=ONE_LINE), LINE]
# Shown as a link, so it may not be a javascript: address.
Website = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^(https?://[^\s\x00-\x1f<>\"']+)?$")]
Landline = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32, pattern=r"^(\+?[0-9][0-9 -]{4,30})?$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^([^@\s<>\"']+@[^@\s<>\"']+\.[A-Za-z]{2,24})?$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=40, pattern=ONE_LINE), LINE]
Mobile = Annotated[str, StringConstraints(pattern=f"^{MOBILE_PATTERN}$")]


class InstitutionsQuery(Query):
    words: Annotated[str, Field(max_length=50, description="机构名称中的任意文字")] = ""
    region_code: Annotated[RegionCode | None, Field(description="行政区划，含其下级")] = None


class ProfileBody(Body):
    introduction: Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000), TEXT] = ""
    address: Address = ""
    website: Website = ""
    landline: Annotated[Landline, Field(description="对外公布的座机")] = ""
    email: Email = ""


class ContactBody(Body):
    name: Name
    phone: Annotated[Mobile, Field(description="手机号，不对外展示")]


class SuspensionBody(Body):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]
    # JSON has no date: strictness would refuse the text that it comes as.
    until: Annotated[date, Field(strict=False, description="暂停的最后一天")]


@api.get("/institutions", title="入库机构列表", who=Who.ANYONE)
async def list_institutions(_ctx: Context, query: InstitutionsQuery) -> PageView[institutions.ShopCardView]:
    return await institutions.list_shops(query.words, query.region_code, query.page())


@api.get("/institutions/{institution_id}", title="机构商铺", who=Who.ANYONE)
async def get_institution(ctx: Context, institution_id: int) -> institutions.ShopView:
    return await institutions.get_shop(ctx, institution_id)


@api.get("/institutions/{institution_id}/shop", title="机构商铺全貌", who=Who.ANYONE, cached_seconds=5)
async def get_shop_front(ctx: Context, institution_id: int) -> institutions_shop.ShopFrontView:
    """机构信息、在售产品、服务顾问、评分和评价。变动在数秒内生效。"""
    return await institutions_shop.get_shop_front(ctx, institution_id)


@api.get("/institutions/{institution_id}/products", title="机构的在售产品", who=Who.ANYONE)
async def list_shop_products(ctx: Context, institution_id: int, query: Query) -> PageView[ProductCardView]:
    return await institutions_shop.list_shop_products(ctx, institution_id, query.page())


@api.get("/institution/overview", title="本机构概况", who=Who.INSTITUTION)
async def get_institution_overview(ctx: Context) -> institutions_shop.OverviewView:
    return await institutions_shop.get_overview(ctx)


@api.get("/institution/profile", title="本机构信息", who=Who.INSTITUTION)
async def get_institution_profile(ctx: Context) -> institutions.ProfileView:
    return await institutions.get_profile(ctx)


@api.put(
    "/institution/profile", title="更新本机构公开信息", who=Who.INSTITUTION_ACTOR,
    refusals=(institutions.LandlineIsMobile, institutions.ReviewedElsewhere),
)
async def update_institution_profile(ctx: Context, body: ProfileBody) -> institutions.ProfileView:
    return await institutions.update_profile(ctx, **body.model_dump())


@api.put("/institution/contact", title="更新本机构联系人", who=Who.INSTITUTION_ACTOR, refusals=(ConsentNeeded,))
async def update_institution_contact(ctx: Context, body: ContactBody) -> institutions.ProfileView:
    return await institutions.update_contact(ctx, body.name, body.phone)


# --- admission ---------------------------------------------------------------------------------------------------------


@api.get("/institution/admission/form", title="入库认证资料表单", who=Who.INSTITUTION)
async def get_admission_form(_ctx: Context) -> FormView:
    return applications.form_of(KIND)


@api.get("/institution/admission/papers/{name}", title="下载待盖章材料", who=Who.INSTITUTION)
async def download_admission_paper(ctx: Context, name: papers.PaperName) -> Download:
    """已按暂存的认证资料填写；下载、打印、盖章、扫描后作为附件上传。"""
    return Download(await institutions_admission.filled_paper(ctx, name), papers.MEDIA_TYPE, f"{papers.TITLES[name]}.docx")


@api.get("/institution/admission", title="本机构的入库申请", who=Who.INSTITUTION, refusals=(NotFound,))
async def get_admission(ctx: Context) -> ApplicationView:
    return await applications.get_application(ctx, KIND)


@api.put(
    "/institution/admission", title="暂存入库认证资料", who=Who.INSTITUTION_ACTOR, body_max_bytes=ADMISSION_BYTES,
    refusals=(FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile),
)
async def save_admission(ctx: Context, body: ApplicationBody) -> ApplicationView:
    return await applications.save_draft(ctx, KIND, None, body.form, body.files)


@api.post(
    "/institution/admission/submission", title="提交入库申请", who=Who.INSTITUTION_ACTOR,
    refusals=(NotFound, FormIncomplete, ApplicationNotEditable),
)
async def submit_admission(ctx: Context) -> ApplicationView:
    return await applications.submit(ctx, KIND)


@api.post(
    "/institution/admission/withdrawal", title="撤回入库申请", who=Who.INSTITUTION_ACTOR,
    refusals=(NotFound, ApplicationNotWithdrawable),
)
async def withdraw_admission(ctx: Context) -> ApplicationView:
    return await applications.withdraw(ctx, KIND)


@api.post(
    "/institution/admission/amendment", title="修改认证资料", who=Who.INSTITUTION_ACTOR, body_max_bytes=ADMISSION_BYTES,
    refusals=(NotFound, FormIncomplete, ApplicationNotApproved, ConsentNeeded),
)
async def amend_admission(ctx: Context, body: ApplicationBody) -> ApplicationView:
    """任何修改均须重新审核；审核期间原有信息继续有效。到期前以此续期。"""
    return await applications.amend(ctx, KIND, None, body.form, body.files)


# --- whether it may trade ----------------------------------------------------------------------------------------------

STANDING = (OutsideJurisdiction, InstitutionStateWrong)


@api.put(
    "/institutions/{institution_id}/suspension", title="暂停服务机构", who=Who.ADMIN, refusals=(*STANDING, SuspensionEndWrong)
)
async def suspend_institution(ctx: Context, institution_id: int, body: SuspensionBody) -> StandingView:
    """暂停期间产品不可下单、不可上架；已有订单继续办理。到期自动恢复。"""
    return await institutions_standing.suspend(ctx, institution_id, body.reason, body.until)


@api.delete("/institutions/{institution_id}/suspension", title="恢复服务机构", who=Who.ADMIN, refusals=STANDING)
async def resume_institution(ctx: Context, institution_id: int) -> StandingView:
    return await institutions_standing.resume(ctx, institution_id)
