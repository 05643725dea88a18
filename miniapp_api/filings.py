"""交易备案 and 活动备案: filed by institutions and consultants, reviewed by the administrator."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import approvals, filings
from handlers.approvals import OwnCase
from handlers.context import Context
from handlers.filings import EVIDENCE_MAX, FilingStateWrong, FilingWrong, OrderFiled
from handlers.institutions import InstitutionNotCertified, InstitutionSuspended
from handlers.paging import PageView
from handlers.qualifications import NotCertified
from handlers.refusals import ChangedMeanwhile, SecondPersonNeeded
from handlers.texts import LINE, ONE_LINE, TEXT
from miniapp_api.approvals import REFUSALS as DECIDE_REFUSALS
from miniapp_api.approvals import ApprovalBody, Reason
from miniapp_api.routing import Api, Body, Query, Who
from models.filings import ActivityPart, FilingKind, FilingState, FlagKind

api = Api("filings", "备案")

Id = Annotated[int, Field(ge=1, lt=2**63)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=100, pattern=ONE_LINE), LINE]
LongLine = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200, pattern=ONE_LINE), LINE]


class FiledBody(Body):
    # JSON has no date: strictness would refuse the text that it comes as.
    happened_on: Annotated[date, Field(strict=False)]
    consultant_id: Annotated[Id | None, Field(description="由哪位服务顾问提供；顾问本人备案时无需填写")] = None
    summary: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$"), TEXT] = ""
    attachment_ids: Annotated[
        tuple[Id, ...], Field(max_length=EVIDENCE_MAX, description="证明材料（附件项 filing_evidence），提交时至少一项")
    ] = ()


class TransactionBody(FiledBody):
    """With `order_id`, the enterprise and the amount are the order's and are left out."""

    enterprise_code: Annotated[str | None, Field(max_length=64, description="企业统一社会信用代码，企业可以未在本平台登记")] = None
    enterprise_name: Annotated[LongLine | None, Field(description="企业名称")] = None
    amount_fen: Annotated[int | None, Field(ge=1, le=10**15, description="交易金额，分")] = None
    order_id: Id | None = None
    product_id: Id | None = None

    def form(self) -> filings.TransactionForm:
        return filings.TransactionForm(**self.model_dump(exclude={"version"}))


class ActivityBody(FiledBody):
    title: Annotated[Line, Field(description="活动名称")]
    place: Annotated[LongLine, Field(description="活动地点")]
    partner: Annotated[LongLine, Field(description="合作的政府部门")]
    part: Annotated[ActivityPart, Field(strict=False, description="主办、承办或协办")]
    participants: Annotated[int, Field(ge=1, le=1_000_000, description="参与人数")]
    is_public_benefit: Annotated[bool, Field(description="声明：活动为纯公益性")]

    def form(self) -> filings.ActivityForm:
        return filings.ActivityForm(**self.model_dump(exclude={"version"}))


class EditTransactionBody(TransactionBody):
    version: Annotated[int, Field(ge=1, description="所修改的版本号")]


class EditActivityBody(ActivityBody):
    version: Annotated[int, Field(ge=1, description="所修改的版本号")]


class FilingsQuery(Query):
    kind: FilingKind | None = None
    state: FilingState | None = None


class FiledQuery(Query):
    state: FilingState | None = None


class FilingApprovalBody(ApprovalBody):
    acknowledged: Annotated[
        tuple[Annotated[FlagKind, Field(strict=False)], ...], Field(max_length=len(FlagKind), description="已核实的提示")
    ] = ()


class RevocationBody(Body):
    reason: Reason


class ObjectionBody(Body):
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500, pattern=r"^[^\x00]*$"),
        Field(description="异议理由，供审核人员核实"), TEXT,
    ]


# --- the institution and its consultants ------------------------------------------------------------------------------


@api.get("/institution/filings", title="本机构的备案", who=Who.INSTITUTION_OR_ITS_CONSULTANT)
async def list_own_filings(ctx: Context, query: FilingsQuery) -> PageView[filings.FilingView]:
    """含每项是否计分；顾问只看到自己的备案。"""
    return await filings.list_filings(ctx, query.kind, query.state, query.page())


@api.get("/institution/filings/{filing_id}", title="备案详情", who=Who.INSTITUTION_OR_ITS_CONSULTANT)
async def get_own_filing(ctx: Context, filing_id: int) -> filings.FilingView:
    return await filings.get_filing(ctx, filing_id)


@api.get("/institution/filing-credits", title="备案加分情况", who=Who.INSTITUTION_OR_ITS_CONSULTANT)
async def get_filing_credits(ctx: Context) -> filings.CreditsView:
    return await filings.credits_of(ctx)


@api.post(
    "/institution/transaction-filings", title="新增交易备案", who=Who.INSTITUTION_OR_CONSULTANT, status=201,
    refusals=(FilingWrong, OrderFiled),
)
async def draft_transaction_filing(ctx: Context, body: TransactionBody) -> filings.FilingView:
    return await filings.draft_transaction(ctx, body.form())


@api.put(
    "/institution/transaction-filings/{filing_id}", title="修改交易备案", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(FilingStateWrong, ChangedMeanwhile, FilingWrong, OrderFiled),
)
async def edit_transaction_filing(ctx: Context, filing_id: int, body: EditTransactionBody) -> filings.FilingView:
    return await filings.edit_transaction(ctx, filing_id, body.version, body.form())


@api.post(
    "/institution/activity-filings", title="新增活动备案", who=Who.INSTITUTION_OR_CONSULTANT, status=201, refusals=(FilingWrong,)
)
async def draft_activity_filing(ctx: Context, body: ActivityBody) -> filings.FilingView:
    """与政府部门合作主办、承办、协办的纯公益性活动。"""
    return await filings.draft_activity(ctx, body.form())


@api.put(
    "/institution/activity-filings/{filing_id}", title="修改活动备案", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(FilingStateWrong, ChangedMeanwhile, FilingWrong),
)
async def edit_activity_filing(ctx: Context, filing_id: int, body: EditActivityBody) -> filings.FilingView:
    return await filings.edit_activity(ctx, filing_id, body.version, body.form())


@api.put(
    "/institution/filings/{filing_id}/submission", title="提交备案", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(FilingStateWrong, FilingWrong, InstitutionNotCertified, InstitutionSuspended),
)
async def submit_filing(ctx: Context, filing_id: int) -> filings.FilingView:
    return await filings.submit_filing(ctx, filing_id)


@api.delete(
    "/institution/filings/{filing_id}", title="撤回备案", who=Who.INSTITUTION_OR_CONSULTANT, refusals=(FilingStateWrong,)
)
async def withdraw_filing(ctx: Context, filing_id: int) -> filings.FilingView:
    return await filings.withdraw_filing(ctx, filing_id)


# --- the enterprise that is named -------------------------------------------------------------------------------------


@api.get("/enterprise/filings", title="涉及本企业的交易备案", who=Who.ENTERPRISE)
async def list_naming_filings(ctx: Context, query: Query) -> PageView[filings.NamingFilingView]:
    return await filings.list_naming(ctx, query.page())


@api.get("/enterprise/filings/{filing_id}", title="涉及本企业的交易备案详情", who=Who.ENTERPRISE)
async def get_naming_filing(ctx: Context, filing_id: int) -> filings.NamingFilingView:
    return await filings.get_naming(ctx, filing_id)


@api.post(
    "/enterprise/filings/{filing_id}/objection", title="对交易备案提出异议", who=Who.ENTERPRISE_ACTOR, status=201,
    refusals=(NotCertified, FilingStateWrong, filings.ObjectionTooLate, filings.AlreadyObjected),
)
async def object_to_filing(ctx: Context, filing_id: int, body: ObjectionBody) -> filings.NamingFilingView:
    """交易不属实的，在告知后五个工作日内说明理由。审核中的备案须核实异议后方可通过；已计分的由另一位审核人员复核。"""
    return await filings.object_to_filing(ctx, filing_id, body.reason)


# --- the administrator ------------------------------------------------------------------------------------------------


@api.get("/filings", title="辖区内的备案", who=Who.ADMIN)
async def list_filings(ctx: Context, query: FiledQuery) -> PageView[filings.FilingView]:
    return await filings.list_filed(ctx, query.state, query.page())


@api.get("/filings/{filing_id}", title="备案及其提示", who=Who.ADMIN)
async def get_filing(ctx: Context, filing_id: int) -> filings.FiledCaseView:
    return await filings.open_filed(ctx, filing_id)


@api.post("/approvals/{approval_id}/filing-approval", title="备案审核通过", who=Who.REVIEWER, refusals=DECIDE_REFUSALS)
async def approve_filing(ctx: Context, approval_id: int, body: FilingApprovalBody) -> approvals.ApprovalView:
    """有提示的备案须逐项核实（acknowledged）后方可通过并计分。"""
    return await filings.approve_filing(ctx, approval_id, remark=body.remark, acknowledged=body.acknowledged)


REVOCATION = (OwnCase, FilingStateWrong)


@api.post(
    "/filings/{filing_id}/revocation", title="提出撤销备案", who=Who.ADMIN, refusals=(*REVOCATION, filings.AlreadyProposed)
)
async def propose_filing_revocation(ctx: Context, filing_id: int, body: RevocationBody) -> filings.FilingView:
    """备案不实的，说明原因；由另一位管理员确认后不再计分。"""
    return await filings.propose_revocation(ctx, filing_id, body.reason)


@api.post(
    "/filings/{filing_id}/revocation/confirmation", title="确认撤销备案", who=Who.ADMIN,
    refusals=(*REVOCATION, filings.NotProposed, SecondPersonNeeded),
)
async def confirm_filing_revocation(ctx: Context, filing_id: int) -> filings.FilingView:
    return await filings.confirm_revocation(ctx, filing_id)


@api.delete("/filings/{filing_id}/revocation", title="不予撤销备案", who=Who.ADMIN, refusals=(*REVOCATION, filings.NotProposed))
async def drop_filing_revocation(ctx: Context, filing_id: int) -> filings.FilingView:
    return await filings.drop_revocation(ctx, filing_id)
