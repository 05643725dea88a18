"""服务券额度及使用方向: applied for by enterprises, granted by reviewers."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import applications, approvals, approved_amounts
from handlers.accounts.consents import ConsentNeeded
from handlers.application_views import ApplicationView, FormView
from handlers.applications import ApplicationNotApproved, ApplicationNotEditable, ApplicationNotWithdrawable, FormIncomplete
from handlers.approved_amounts import APPROVED_AMOUNT, AmountsNotApproved, BudgetExhausted, GrantTermsWrong, GrantView
from handlers.context import Context
from handlers.orders.rules import ProgrammeNotOpen
from handlers.paging import PageView
from handlers.qualifications import NotCertified, OutsideProgramme
from handlers.refusals import ChangedMeanwhile
from handlers.texts import LINE, TEXT
from miniapp_api.application_bodies import ApplicationBody
from miniapp_api.approvals import REFUSALS as DECIDE_REFUSALS
from miniapp_api.routing import Api, Body, Query, Who

api = Api("approved_amounts", "服务券额度")
KIND = APPROVED_AMOUNT.kind
GUARD_REFUSALS = (NotCertified, OutsideProgramme, AmountsNotApproved)


class DirectionBody(Body):
    category: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    content: Annotated[str, StringConstraints(min_length=1, max_length=64), LINE]


class GrantBody(Body):
    """At most what was applied for; each direction is one of the applied ones. `valid_until` is inclusive."""

    amount_fen: Annotated[int, Field(ge=1, le=10**15)]
    directions: Annotated[list[DirectionBody], Field(min_length=1, max_length=10)]
    valid_until: Annotated[date, Field(strict=False)]
    remark: Annotated[Annotated[str, StringConstraints(max_length=500), TEXT] | None, Field(description="审核意见")] = None


@api.get("/approved-amounts/form", title="服务券额度申请表单", who=Who.ENTERPRISE)
async def get_approved_amount_form(_ctx: Context) -> FormView:
    return applications.form_of(KIND)


@api.get("/approved-amounts", title="本企业获批的服务券额度及方向", who=Who.ENTERPRISE)
async def list_approved_amounts(ctx: Context, query: Query) -> PageView[GrantView]:
    return await approved_amounts.list_grants(ctx, query.page())


@api.get("/programmes/{programme_id}/approved-amount", title="本企业在某项目的额度申请", who=Who.ENTERPRISE)
async def get_approved_amount(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.get_application(ctx, KIND, programme_id)


@api.put(
    "/programmes/{programme_id}/approved-amount", title="暂存额度申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile, AmountsNotApproved),
)
async def save_approved_amount(ctx: Context, programme_id: int, body: ApplicationBody) -> ApplicationView:
    return await approved_amounts.save_application(ctx, programme_id, body.form, body.files)


@api.post(
    "/programmes/{programme_id}/approved-amount/submission", title="提交额度申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotEditable, *GUARD_REFUSALS),
)
async def submit_approved_amount(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.submit(ctx, KIND, programme_id)


@api.post(
    "/programmes/{programme_id}/approved-amount/withdrawal", title="撤回额度申请", who=Who.ENTERPRISE_ACTOR,
    refusals=(ApplicationNotWithdrawable,),
)
async def withdraw_approved_amount(ctx: Context, programme_id: int) -> ApplicationView:
    return await applications.withdraw(ctx, KIND, programme_id)


@api.post(
    "/programmes/{programme_id}/approved-amount/amendment", title="追加申请额度", who=Who.ENTERPRISE_ACTOR,
    refusals=(FormIncomplete, ApplicationNotApproved, ConsentNeeded, *GUARD_REFUSALS),
)
async def amend_approved_amount(ctx: Context, programme_id: int, body: ApplicationBody) -> ApplicationView:
    """已获批的额度不变；追加的额度另行审批、另行发放。"""
    return await applications.amend(ctx, KIND, programme_id, body.form, body.files)


@api.post(
    "/approvals/{approval_id}/grant", title="批准服务券额度及方向", who=Who.REVIEWER,
    refusals=(*DECIDE_REFUSALS, GrantTermsWrong, BudgetExhausted, ProgrammeNotOpen),
)
async def approve_amount(ctx: Context, approval_id: int, body: GrantBody) -> approvals.ApprovalView:
    return await approved_amounts.approve_amount(ctx, approval_id, **body.model_dump())
