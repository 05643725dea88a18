"""风控: signals with their facts, freezing and unfreezing."""

from typing import Annotated

from pydantic import StringConstraints

from handlers import risks
from handlers.approvals import OwnCase
from handlers.context import Context
from handlers.paging import PageView
from handlers.refusals import NotFound, SecondPersonNeeded
from handlers.texts import TEXT
from miniapp_api.routing import Api, Body, Query, Who
from models.risks import Verdict

api = Api("risks", "风控")


class RisksQuery(Query):
    verdict: Verdict | None = None


class FreezesQuery(Query):
    alive: bool | None = None


class FreezeBody(Body):
    """`reason` is for officers only: the parties are told that the order is being checked, and nothing else."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]


@api.get("/risk-rules", title="风险信号及权重", who=Who.ANYONE)
async def rules(_ctx: Context) -> risks.RulesView:
    return risks.rules()


@api.get("/risks", title="有风险信号的订单", who=Who.RISK_OFFICER)
async def list_risks(ctx: Context, query: RisksQuery) -> PageView[risks.RiskView]:
    return await risks.list_risks(ctx, query.verdict, query.page())


@api.get("/risks/{order_id}", title="订单的风险信号及事实", who=Who.RISK_OFFICER, refusals=(NotFound,))
async def get_risk(ctx: Context, order_id: int) -> risks.RiskCaseView:
    return await risks.get_risk(ctx, order_id)


@api.get("/freezes", title="冻结记录", who=Who.RISK_OFFICER)
async def list_freezes(ctx: Context, query: FreezesQuery) -> PageView[risks.FreezeView]:
    return await risks.list_freezes(ctx, query.alive, query.page())


@api.post("/orders/{order_id}/freeze", title="冻结订单", who=Who.RISK_OFFICER,
          refusals=(NotFound, OwnCase, risks.OrderNotFreezable, risks.AlreadyFrozen))
async def freeze_order(ctx: Context, order_id: int, body: FreezeBody) -> risks.FreezeView:
    return await risks.freeze_order(ctx, order_id, body.reason)


@api.post("/orders/{order_id}/unfreeze", title="解冻订单（须另一人办理）", who=Who.RISK_OFFICER,
          refusals=(NotFound, OwnCase, risks.NotFrozen, SecondPersonNeeded))
async def unfreeze_order(ctx: Context, order_id: int, body: FreezeBody) -> risks.FreezeView:
    return await risks.unfreeze_order(ctx, order_id, body.reason)
