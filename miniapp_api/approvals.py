"""The reviewers' queue."""

from typing import Annotated

from pydantic import Field

from handlers import approvals, enterprises, qualifications, recusals, supermarkets  # noqa: F401
from handlers.approvals import (
    REASON_MAX,
    AlreadyDecided,
    Decision,
    DecisionIncomplete,
    DecisionNotOffered,
    OriginalReviewer,
    OwnCase,
    ReasonNeeded,
    Recused,
)
from handlers.context import Context
from handlers.orders import OrderFrozen
from handlers.paging import PageView
from handlers.redemptions import NotPrepared, OrderNotClaimable
from handlers.refusals import ChangedMeanwhile, SecondPersonNeeded

# The kinds of application register themselves.
from handlers.texts import TEXT
from miniapp_api.routing import Api, Body, Query, Who
from models.approvals import ApprovalKind, ApprovalState

api = Api("approvals", "审核")
Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX, description="原因，申请人可见"), TEXT]
REFUSALS = (
    OwnCase, OriginalReviewer, AlreadyDecided, ReasonNeeded, DecisionNotOffered, DecisionIncomplete, OrderFrozen, ChangedMeanwhile,
    NotPrepared, SecondPersonNeeded, OrderNotClaimable, Recused,
)


class ApprovalsQuery(Query):
    state: ApprovalState = ApprovalState.OPEN
    kind: ApprovalKind | None = None


class ApprovalBody(Body):
    remark: Annotated[Annotated[str, Field(max_length=REASON_MAX), TEXT] | None, Field(description="审核意见")] = None


class ItemBody(Body):
    field: Annotated[str, Field(min_length=1, max_length=80, description="表单字段，或 files.附件项")]
    problem: Annotated[str, Field(min_length=1, max_length=200), TEXT]


class ReturnBody(Body):
    reason: Reason
    items: list[ItemBody] = Field(default_factory=list, max_length=30)


class RejectionBody(Body):
    reason: Reason


@api.get("/approvals", title="待审事项", who=Who.REVIEWER)
async def list_approvals(ctx: Context, query: ApprovalsQuery) -> PageView[approvals.ApprovalView]:
    """本人角色和管辖范围内的事项，先到先审。"""
    return await approvals.list_approvals(ctx, query.state, query.kind, query.page())


@api.get("/approvals/{approval_id}", title="查看待审事项", who=Who.REVIEWER)
async def get_approval(ctx: Context, approval_id: int) -> approvals.CaseView:
    return await approvals.open_case(ctx, approval_id)


@api.post("/approvals/{approval_id}/approval", title="审核通过", who=Who.REVIEWER, refusals=REFUSALS)
async def approve(ctx: Context, approval_id: int, body: ApprovalBody) -> approvals.ApprovalView:
    return await approvals.decide(ctx, approval_id, Decision.APPROVE, reason=body.remark)


@api.post("/approvals/{approval_id}/return", title="退回补正", who=Who.REVIEWER, refusals=REFUSALS)
async def return_approval(ctx: Context, approval_id: int, body: ReturnBody) -> approvals.ApprovalView:
    items = [item.model_dump() for item in body.items]
    return await approvals.decide(ctx, approval_id, Decision.RETURN, reason=body.reason, data={"items": items})


@api.post("/approvals/{approval_id}/rejection", title="审核拒绝", who=Who.REVIEWER, refusals=REFUSALS)
async def reject_approval(ctx: Context, approval_id: int, body: RejectionBody) -> approvals.ApprovalView:
    return await approvals.decide(ctx, approval_id, Decision.REJECT, reason=body.reason)


@api.post("/approvals/{approval_id}/recusal", title="申请回避", who=Who.REVIEWER, refusals=(AlreadyDecided, ReasonNeeded, Recused))
async def recuse(ctx: Context, approval_id: int, body: RejectionBody) -> approvals.ApprovalView:
    """回避后不能再办理该事项，由其他审核人员办理。"""
    return await recusals.recuse(ctx, approval_id, body.reason)
