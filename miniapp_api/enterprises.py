"""Certification of an enterprise."""

from handlers import applications
from handlers.accounts.consents import ConsentNeeded
from handlers.application_views import ApplicationView, FormView
from handlers.applications import ApplicationNotApproved, ApplicationNotEditable, ApplicationNotWithdrawable, FormIncomplete
from handlers.context import Context
from handlers.enterprises import CERTIFICATION
from handlers.refusals import ChangedMeanwhile, NotFound
from miniapp_api.application_bodies import ApplicationBody
from miniapp_api.routing import Api, Who

api = Api("enterprises", "企业认证")
KIND = CERTIFICATION.kind


@api.get("/certification/form", title="企业实名认证表单", who=Who.ENTERPRISE)
async def get_certification_form(_ctx: Context) -> FormView:
    return applications.form_of(KIND)


@api.get("/certification", title="本企业的实名认证", who=Who.ENTERPRISE, refusals=(NotFound,))
async def get_certification(ctx: Context) -> ApplicationView:
    return await applications.get_application(ctx, KIND)


@api.put(
    "/certification", title="暂存认证资料", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile),
)
async def save_certification(ctx: Context, body: ApplicationBody) -> ApplicationView:
    return await applications.save_draft(ctx, KIND, None, body.form, body.files)


@api.post(
    "/certification/submission", title="提交认证", who=Who.ENTERPRISE_ACTOR,
    refusals=(NotFound, FormIncomplete, ApplicationNotEditable),
)
async def submit_certification(ctx: Context) -> ApplicationView:
    return await applications.submit(ctx, KIND)


@api.post("/certification/withdrawal", title="撤回认证", who=Who.ENTERPRISE_ACTOR, refusals=(NotFound, ApplicationNotWithdrawable))
async def withdraw_certification(ctx: Context) -> ApplicationView:
    return await applications.withdraw(ctx, KIND)


@api.post(
    "/certification/amendment", title="修改认证资料", who=Who.ENTERPRISE_ACTOR,
    refusals=(NotFound, FormIncomplete, ApplicationNotApproved, ConsentNeeded),
)
async def amend_certification(ctx: Context, body: ApplicationBody) -> ApplicationView:
    """修改敏感字段（企业名称、信用代码、法定代表人）须重新审核，其他修改立即生效。"""
    return await applications.amend(ctx, KIND, None, body.form, body.files)
