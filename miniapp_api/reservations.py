"""预约服务券、预约记录."""

from typing import Annotated

from pydantic import Field

from handlers import reservations, wins
from handlers.context import Context
from handlers.paging import PageView
from handlers.qualifications import NotCertified
from handlers.refusals import ChangedMeanwhile
from handlers.reservation_rules import (
    TO_RESERVE,
    AlreadyReserved,
    EnterpriseSuspended,
    NothingReserved,
    QualificationMissing,
    QualificationOutdated,
    ReservationView,
    RoundNotOpen,
    VoucherTypeCapped,
    VoucherTypeNotInRound,
    VoucherTypeTaken,
)
from handlers.reservations import EligibilityView
from handlers.wins import NothingToDecline
from miniapp_api.routing import Api, Body, Query, Who

api = Api("reservations", "预约服务券")
RULES = (
    RoundNotOpen, NotCertified, EnterpriseSuspended, QualificationMissing, QualificationOutdated, VoucherTypeNotInRound,
    VoucherTypeCapped, VoucherTypeTaken,
)


class ReservationBody(Body):
    voucher_type_id: Annotated[int, Field(ge=1, lt=2**63)]


@api.get("/rounds/{round_id}/eligibility", title="能否预约及原因", who=Who.ENTERPRISE)
async def explain_reservation(ctx: Context, round_id: int) -> EligibilityView:
    return await reservations.explain(ctx, round_id)


@api.post("/rounds/{round_id}/reservation", title="提交预约", who=Who.ENTERPRISE_ACTOR, status=201,
          reads=TO_RESERVE, refusals=(*RULES, AlreadyReserved, ChangedMeanwhile))
async def reserve(ctx: Context, round_id: int, body: ReservationBody) -> ReservationView:
    """先到先得的批次提交即中签，服务券立即到账，回执的 state 为 issued。"""
    return await reservations.reserve(ctx, round_id, body.voucher_type_id)


@api.put("/rounds/{round_id}/reservation", title="更改预约券种", who=Who.ENTERPRISE_ACTOR, refusals=(*RULES, NothingReserved))
async def change_reservation(ctx: Context, round_id: int, body: ReservationBody) -> ReservationView:
    return await reservations.change_type(ctx, round_id, body.voucher_type_id)


@api.delete("/rounds/{round_id}/reservation", title="撤回预约", who=Who.ENTERPRISE_ACTOR,
            refusals=(RoundNotOpen, NothingReserved, ChangedMeanwhile))
async def withdraw_reservation(ctx: Context, round_id: int) -> ReservationView:
    return await reservations.withdraw(ctx, round_id)


@api.get("/reservations", title="预约记录", who=Who.ENTERPRISE)
async def list_reservations(ctx: Context, query: Query) -> PageView[ReservationView]:
    return await reservations.list_reservations(ctx, query.page())


@api.get("/reservations/{reservation_id}", title="预约回执与结果", who=Who.ENTERPRISE)
async def get_reservation(ctx: Context, reservation_id: int) -> ReservationView:
    return await reservations.get_reservation(ctx, reservation_id)


@api.put("/reservations/{reservation_id}/declination", title="放弃中签或候补", who=Who.ENTERPRISE_ACTOR,
         refusals=(NothingToDecline, ChangedMeanwhile))
async def decline_win(ctx: Context, reservation_id: int) -> ReservationView:
    return await wins.decline_win(ctx, reservation_id)
