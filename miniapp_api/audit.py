from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from handlers import audit
from handlers.context import Context
from handlers.paging import PageView
from handlers.regions import OutsideJurisdiction
from miniapp_api.routing import Api, Query, Who

api = Api("audit", "审计")


class AuditQuery(Query):
    subject: Annotated[str, StringConstraints(pattern="^[a-z_]{1,32}$"), Field(description="对象类别，例如 order")]
    subject_id: Annotated[int, Field(ge=1, lt=2**63)]


class SealsQuery(Query):
    chain: Literal["audit", "ledger"] = "audit"


@api.get("/audit", title="操作记录", who=Who.ADMIN, refusals=(OutsideJurisdiction,))
async def list_audit(ctx: Context, query: AuditQuery) -> PageView[audit.EntryView]:
    return await audit.list_entries(ctx, query.subject, query.subject_id, query.page())


@api.get("/audit/seals", title="操作记录与账目的封存", who=Who.ADMIN, refusals=(OutsideJurisdiction,))
async def list_seals(ctx: Context, query: SealsQuery) -> PageView[audit.SealView]:
    return await audit.list_seals(ctx, query.chain, query.page())
