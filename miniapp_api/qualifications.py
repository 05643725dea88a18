"""Qualification for a programme's vouchers, and the papers for it."""

from handlers import applications, papers, qualifications
from handlers.accounts.consents import ConsentNeeded
from handlers.application_views import ApplicationView, FormView
from handlers.applications import ApplicationNotApproved, ApplicationNotEditable, ApplicationNotWithdrawable, FormIncomplete
from handlers.context import Context
from handlers.qualifications import QUALIFICATION, NotCertified, OutsideProgramme
from handlers.refusals import ChangedMeanwhile
from miniapp_api.application_bodies import ApplicationBody
from miniapp_api.routing import Api, Download, Who

api = Api("qualifications", "服务券资格")
KIND = QUALIFICATION.kind


@api.get("/qualifications", title="我的服务券资格", who=Who.ENTERPRISE)
async def list_qualifications(ctx: Context) -> qualifications.StandingsView:
    return await qualifications.list_standings(ctx)


@api.get("/qualifications/form", title="服务券资格申请表单", who=Who.ENTERPRISE)
async def get_qualification_form(_ctx: Context) -> FormView:
    return applications.form_of(KIND)


@api.get("/templates/{name}", title="下载材料模板", who=Who.ANYONE)
async def download_template(_ctx: Context, name: papers.PaperName) -> Download:
    """下载、打印、盖章、扫描后作为附件上传。"""
    return Download(papers.paper(name), papers.MEDIA_TYPE, f"{papers.TITLES[name]}.docx")


@api.get("/programmes/{programme_id}/qualification", title="本企业在某项目的资格申请", who=Who.ENTERPRISE)
async def get_qualification(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.get_application(ctx, KIND, programme_id)


@api.put(
    "/programmes/{programme_id}/qualification", title="暂存资格申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile),
)
async def save_qualification(ctx: Context, programme_id: int, body: ApplicationBody) -> ApplicationView:
    return await qualifications.save_qualification(ctx, programme_id, body.form, body.files)


@api.post(
    "/programmes/{programme_id}/qualification/submission", title="提交资格申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, NotCertified, OutsideProgramme),
)
async def submit_qualification(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.submit(ctx, KIND, programme_id)


@api.post(
    "/programmes/{programme_id}/qualification/withdrawal", title="撤回资格申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(ApplicationNotWithdrawable,),
)
async def withdraw_qualification(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.withdraw(ctx, KIND, programme_id)


@api.post(
    "/programmes/{programme_id}/qualification/amendment", title="更新资格信息", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotApproved, ConsentNeeded, NotCertified, OutsideProgramme),
)
async def amend_qualification(ctx: Context, programme_id: int, body: ApplicationBody) -> ApplicationView:
    """是否需要重新审核由项目政策决定；济南的项目更新后立即生效，无需再次审核。"""
    return await applications.amend(ctx, KIND, programme_id, body.form, body.files)
