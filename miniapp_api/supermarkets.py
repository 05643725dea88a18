"""The enterprise-service supermarket: its zone, the role of a service institution, and the membership of its association."""

from enum import StrEnum

from handlers import applications, supermarkets, zones
from handlers.accounts.consents import ConsentNeeded
from handlers.application_views import ApplicationView, FormView
from handlers.applications import ApplicationNotApproved, ApplicationNotEditable, ApplicationNotWithdrawable, FormIncomplete
from handlers.context import Context
from handlers.institutions import InstitutionSuspended
from handlers.refusals import ChangedMeanwhile
from miniapp_api.application_bodies import ApplicationBody
from miniapp_api.routing import Api, Who
from models.approvals import ApplicationKind

api = Api("supermarkets", "企业服务超市")
FORM_BYTES = 64 * 1024  # an introduction of 5,000 characters


class Wanted(StrEnum):
    """What an institution applies for."""

    CERTIFICATION = "supermarket-certification"
    MEMBERSHIP = "association-membership"

    @property
    def kind(self) -> ApplicationKind:
        return ApplicationKind(self.value.replace("-", "_"))


@api.get("/programmes/{programme_id}/zone", title="企业用户的地域范围", who=Who.SIGNED_IN)
async def get_zone(ctx: Context, programme_id: int) -> zones.ZoneView:
    """范围内的企业可成为企业用户；范围外的以普通用户身份浏览。服务机构不限地域。"""
    return await zones.get_zone(ctx, programme_id)


@api.get("/supermarket-forms/{wanted}", title="角色认证、入会申请表单", who=Who.INSTITUTION)
async def get_supermarket_form(_ctx: Context, wanted: Wanted) -> FormView:
    return applications.form_of(wanted.kind)


@api.get("/programmes/{programme_id}/{wanted}", title="本机构的认证或入会申请", who=Who.INSTITUTION)
async def get_supermarket_application(ctx: Context, programme_id: int, wanted: Wanted) -> ApplicationView:
    return await applications.get_application(ctx, wanted.kind, programme_id)


@api.put(
    "/programmes/{programme_id}/{wanted}", title="暂存认证或入会申请", who=Who.INSTITUTION_ACTOR, body_max_bytes=FORM_BYTES,
    refusals=(FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile),
)
async def save_supermarket_application(
    ctx: Context, programme_id: int, wanted: Wanted, body: ApplicationBody
) -> ApplicationView:
    return await supermarkets.save_application(ctx, wanted.kind, programme_id, body.form, body.files)


@api.post(
    "/programmes/{programme_id}/{wanted}/submission", title="提交认证或入会申请", who=Who.INSTITUTION_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, InstitutionSuspended, ChangedMeanwhile),
)
async def submit_supermarket_application(ctx: Context, programme_id: int, wanted: Wanted) -> ApplicationView:
    """认证申请勾选“同时申请成为会员机构”的，一并提交入会申请，两项分别审核、分别答复。"""
    return await applications.submit(ctx, wanted.kind, programme_id)


@api.post(
    "/programmes/{programme_id}/{wanted}/withdrawal", title="撤回认证或入会申请", who=Who.INSTITUTION_ACTOR,
    refusals=(ApplicationNotWithdrawable,),
)
async def withdraw_supermarket_application(ctx: Context, programme_id: int, wanted: Wanted) -> ApplicationView:
    """撤回认证申请时，一并提交且尚未办结的入会申请同时撤回；单独撤回入会申请不影响认证申请。"""
    return await applications.withdraw(ctx, wanted.kind, programme_id)


@api.post(
    "/programmes/{programme_id}/{wanted}/amendment", title="修改认证或会员资料", who=Who.INSTITUTION_ACTOR, body_max_bytes=FORM_BYTES,
    refusals=(FormIncomplete, ApplicationNotApproved, ConsentNeeded, InstitutionSuspended),
)
async def amend_supermarket_application(
    ctx: Context, programme_id: int, wanted: Wanted, body: ApplicationBody
) -> ApplicationView:
    """任何修改均须重新审核；审核期间原有信息继续有效。"""
    return await applications.amend(ctx, wanted.kind, programme_id, body.form, body.files)
