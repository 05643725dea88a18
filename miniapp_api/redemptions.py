"""兑付: the institution's claims, the centre's check, finance's batches."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import redemptions
from handlers.approvals import OwnCase
from handlers.context import Context
from handlers.orders import OrderNotFound, RelatedParties
from handlers.paging import PageView
from handlers.redemptions import (
    EVIDENCE_MAX,
    LINES_MAX,
    ActualAmountTooHigh,
    AlreadyClaimed,
    Answer,
    AnswersIncomplete,
    AnswersWrong,
    BankAccountMissing,
    BatchStateWrong,
    BatchView,
    FrozenInBatch,
    GivenInvoice,
    InvoiceNotIssuedYet,
    InvoiceUsed,
    LineView,
    NoRedemption,
    NothingToPayOut,
    OrderNotClaimable,
    Papers,
    RedemptionNotFound,
    RedemptionNotInReview,
    RedemptionNotReturned,
    RedemptionView,
)
from handlers.refusals import NotFound, SecondPersonNeeded
from handlers.texts import LINE, TEXT
from miniapp_api.routing import Api, Body, Download, Query, Who
from models.redemptions import RedemptionState

api = Api("redemptions", "兑付")
Id = Annotated[int, Field(ge=1, lt=2**63)]
Fen = Annotated[int, Field(ge=1, le=10**12)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), LINE]
PAPERS = (ActualAmountTooHigh, InvoiceUsed, InvoiceNotIssuedYet, NotFound)


class RedemptionsQuery(Query):
    state: RedemptionState | None = None


class InvoiceBody(Body):
    """全电发票没有发票代码，只填 20 位号码。"""

    code: Annotated[str, StringConstraints(pattern="^([0-9]{10}|[0-9]{12})?$")] = ""
    number: Annotated[str, StringConstraints(pattern="^([0-9]{8}|[0-9]{20})$")]
    buyer_name: Line
    seller_name: Line
    amount_fen: Fen
    issued_on: Annotated[date, Field(strict=False, ge=date(2015, 1, 1), lt=date(2100, 1, 1))]
    attachment_id: Id


class PapersBody(Body):
    actual_fen: Annotated[Fen, Field(description="实际发生金额，分")]
    summary: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]
    invoice: InvoiceBody
    evidence: Annotated[list[Id], Field(min_length=1, max_length=EVIDENCE_MAX, description="服务过程性材料的附件 id")]

    def papers(self) -> Papers:
        return Papers(self.actual_fen, self.summary, GivenInvoice(**self.invoice.model_dump()), self.evidence)


class RemarkBody(Body):
    remark: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]


class BatchBody(Body):
    programme_id: Id
    redemption_ids: Annotated[list[Id], Field(min_length=1, max_length=LINES_MAX)] | None = None


class BatchesQuery(Query):
    programme_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class AnswerBody(Body):
    line_id: Id
    paid: bool
    bank_reference: Annotated[str, StringConstraints(max_length=64), LINE] = ""
    reason: Annotated[str, StringConstraints(max_length=200), LINE] = ""


class AnswersBody(Body):
    answers: Annotated[list[AnswerBody], Field(min_length=1, max_length=500)]


@api.post("/orders/{order_id}/redemption", title="申请兑付", who=Who.INSTITUTION_ACTOR, status=201, key_required=True,
          refusals=(OrderNotFound, RelatedParties, NoRedemption, OrderNotClaimable, AlreadyClaimed, BankAccountMissing, *PAPERS))
async def claim_redemption(ctx: Context, order_id: int, body: PapersBody) -> RedemptionView:
    return await redemptions.claim_redemption(ctx, order_id, body.papers())


@api.get("/redemptions", title="本机构的兑付申请", who=Who.INSTITUTION)
async def list_redemptions(ctx: Context, query: RedemptionsQuery) -> PageView[RedemptionView]:
    return await redemptions.list_redemptions(ctx, query.state, query.page())


@api.get("/redemptions/{redemption_id}", title="兑付申请详情", who=Who.INSTITUTION, refusals=(RedemptionNotFound,))
async def get_redemption(ctx: Context, redemption_id: int) -> RedemptionView:
    return await redemptions.get_redemption(ctx, redemption_id)


@api.put("/redemptions/{redemption_id}", title="修改后重新提交兑付申请", who=Who.INSTITUTION_ACTOR,
         refusals=(RedemptionNotFound, RelatedParties, RedemptionNotReturned, OrderNotClaimable, *PAPERS))
async def resubmit_redemption(ctx: Context, redemption_id: int, body: PapersBody) -> RedemptionView:
    return await redemptions.resubmit_redemption(ctx, redemption_id, body.papers())


@api.post("/redemptions/{redemption_id}/preparation", title="初核兑付材料", who=Who.CENTRE_REVIEWER,
          refusals=(RedemptionNotFound, RedemptionNotInReview, OwnCase))
async def prepare_redemption(ctx: Context, redemption_id: int, body: RemarkBody) -> RedemptionView:
    """初核与审批须为两人；审批见 /approvals。"""
    return await redemptions.prepare_redemption(ctx, redemption_id, body.remark)


@api.post("/payout-batches", title="生成兑付批次", who=Who.PAYOUT_OFFICER, status=201, key_required=True,
          refusals=(NotFound, NothingToPayOut))
async def draft_batch(ctx: Context, body: BatchBody) -> BatchView:
    return await redemptions.draft_batch(ctx, body.programme_id, body.redemption_ids)


@api.get("/payout-batches", title="兑付批次", who=Who.PAYOUT_OFFICER)
async def list_batches(ctx: Context, query: BatchesQuery) -> PageView[BatchView]:
    return await redemptions.list_batches(ctx, query.programme_id, query.page())


@api.get("/payout-batches/{batch_id}/lines", title="兑付批次明细", who=Who.PAYOUT_OFFICER)
async def list_lines(ctx: Context, batch_id: int, query: Query) -> PageView[LineView]:
    return await redemptions.list_lines(ctx, batch_id, query.page())


@api.put("/payout-batches/{batch_id}/confirmation", title="复核兑付批次", who=Who.PAYOUT_OFFICER,
         refusals=(BatchStateWrong, SecondPersonNeeded, FrozenInBatch))
async def confirm_batch(ctx: Context, batch_id: int) -> BatchView:
    return await redemptions.confirm_batch(ctx, batch_id)


@api.put("/payout-batches/{batch_id}/cancellation", title="撤销未复核的兑付批次", who=Who.PAYOUT_OFFICER, refusals=(BatchStateWrong,))
async def cancel_batch(ctx: Context, batch_id: int) -> BatchView:
    return await redemptions.cancel_batch(ctx, batch_id)


@api.get("/payout-batches/{batch_id}/file.{kind}", title="下载银行批量划拨文件", who=Who.PAYOUT_OFFICER,
         refusals=(BatchStateWrong, FrozenInBatch))
async def take_bank_file(ctx: Context, batch_id: int, kind: Annotated[str, StringConstraints(pattern="(xlsx|csv)")]) -> Download:
    content, name = await redemptions.bank_file(ctx, batch_id, kind)
    media_type = "text/csv" if kind == "csv" else "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Download(content, media_type, name, len(content))


@api.post("/payout-batches/{batch_id}/answers", title="登记银行回单", who=Who.PAYOUT_OFFICER,
          refusals=(BatchStateWrong, AnswersWrong, AnswersIncomplete))
async def answer_lines(ctx: Context, batch_id: int, body: AnswersBody) -> BatchView:
    answers = [Answer(each.line_id, each.paid, each.bank_reference, each.reason) for each in body.answers]
    return await redemptions.answer_lines(ctx, batch_id, answers)
