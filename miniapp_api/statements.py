"""对账单: periods, past balances, and files for the finance department (F07)."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import statements
from handlers.context import Context
from handlers.paging import PageView
from handlers.refusals import NotFound
from handlers.statements import InstantNotPast, Period, PeriodNotOver, PeriodWrong, StatementTooLong
from miniapp_api.rounds import Moment
from miniapp_api.routing import Api, Download, Parameters, Query, Who

api = Api("statements", "对账单")

SINCE = Field(description="开始日期（含），北京时间", ge=date(2000, 1, 1), le=date(2999, 1, 1))
BEFORE = Field(description="结束日期（不含），北京时间", ge=date(2000, 1, 1), le=date(2999, 1, 1))
ID = Field(ge=1, lt=10**18)
PART = Field(ge=1, lt=10**18, description="只看一家企业或服务机构在本项目中的部分")
FileKind = Annotated[str, StringConstraints(pattern="(xlsx|pdf)")]
MEDIA_TYPES = {"pdf": "application/pdf", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
PERIOD_REFUSALS = (PeriodWrong, PeriodNotOver)
FILE_REFUSALS = (*PERIOD_REFUSALS, StatementTooLong)


class StatementQuery(Parameters):
    since: Annotated[date, SINCE]
    before: Annotated[date, BEFORE]
    programme_id: Annotated[int, ID] | None = None


class LinesQuery(Query):
    since: Annotated[date, SINCE]
    before: Annotated[date, BEFORE]
    programme_id: Annotated[int, ID] | None = None


class BalanceQuery(Parameters):
    at: Annotated[Moment, Field(description="过去的时刻")]
    programme_id: Annotated[int, ID] | None = None


class PartQuery(Parameters):
    since: Annotated[date, SINCE]
    before: Annotated[date, BEFORE]
    organisation_id: Annotated[int, PART] | None = None


class PartLinesQuery(Query):
    since: Annotated[date, SINCE]
    before: Annotated[date, BEFORE]
    organisation_id: Annotated[int, PART] | None = None


class PartBalanceQuery(Parameters):
    at: Annotated[Moment, Field(description="过去的时刻")]
    organisation_id: Annotated[int, PART] | None = None


@api.get("/statement", title="本单位对账单", who=Who.MEMBER, refusals=(NotFound, *PERIOD_REFUSALS))
async def own_statement(ctx: Context, query: StatementQuery) -> statements.StatementView:
    subject = await statements.own_subject(ctx, query.programme_id)
    return await statements.statement(ctx, subject, Period(query.since, query.before))


@api.get("/statement/lines", title="本单位对账单的明细", who=Who.MEMBER, refusals=(NotFound, *PERIOD_REFUSALS))
async def own_statement_lines(ctx: Context, query: LinesQuery) -> PageView[statements.LineView]:
    subject = await statements.own_subject(ctx, query.programme_id)
    return await statements.statement_lines(ctx, subject, Period(query.since, query.before), query.page())


@api.get("/statement/digest", title="本单位对账单的内容摘要", who=Who.MEMBER, refusals=(NotFound, *FILE_REFUSALS))
async def own_statement_digest(ctx: Context, query: StatementQuery) -> statements.DigestView:
    subject = await statements.own_subject(ctx, query.programme_id)
    return await statements.statement_digest(ctx, subject, Period(query.since, query.before))


@api.get("/statement/file.{kind}", title="下载本单位对账单", who=Who.MEMBER, refusals=(NotFound, *FILE_REFUSALS))
async def own_statement_file(ctx: Context, kind: FileKind, query: StatementQuery) -> Download:
    subject = await statements.own_subject(ctx, query.programme_id)
    return _download(*await statements.statement_file(ctx, subject, Period(query.since, query.before), kind), kind)


@api.get("/balance", title="本单位在过去时刻的余额", who=Who.MEMBER, refusals=(NotFound, InstantNotPast))
async def own_balance(ctx: Context, query: BalanceQuery) -> statements.BalanceView:
    return await statements.balance(ctx, await statements.own_subject(ctx, query.programme_id), query.at)


@api.get("/programmes/{programme_id}/statement", title="项目对账单", who=Who.FINANCE_OFFICIAL, refusals=(NotFound, *PERIOD_REFUSALS))
async def programme_statement(ctx: Context, programme_id: int, query: PartQuery) -> statements.StatementView:
    subject = await statements.programme_subject(ctx, programme_id, query.organisation_id)
    return await statements.statement(ctx, subject, Period(query.since, query.before))


@api.get("/programmes/{programme_id}/statement/lines", title="项目对账单的明细", who=Who.FINANCE_OFFICIAL,
         refusals=(NotFound, *PERIOD_REFUSALS))
async def programme_statement_lines(ctx: Context, programme_id: int, query: PartLinesQuery) -> PageView[statements.LineView]:
    subject = await statements.programme_subject(ctx, programme_id, query.organisation_id)
    return await statements.statement_lines(ctx, subject, Period(query.since, query.before), query.page())


@api.get("/programmes/{programme_id}/statement/digest", title="项目对账单的内容摘要", who=Who.FINANCE_OFFICIAL,
         refusals=(NotFound, *FILE_REFUSALS))
async def programme_statement_digest(ctx: Context, programme_id: int, query: PartQuery) -> statements.DigestView:
    subject = await statements.programme_subject(ctx, programme_id, query.organisation_id)
    return await statements.statement_digest(ctx, subject, Period(query.since, query.before))


@api.get("/programmes/{programme_id}/statement/file.{kind}", title="下载项目对账单", who=Who.FINANCE_OFFICIAL,
         refusals=(NotFound, *FILE_REFUSALS))
async def programme_statement_file(ctx: Context, programme_id: int, kind: FileKind, query: PartQuery) -> Download:
    subject = await statements.programme_subject(ctx, programme_id, query.organisation_id)
    return _download(*await statements.statement_file(ctx, subject, Period(query.since, query.before), kind), kind)


@api.get("/programmes/{programme_id}/balance", title="项目在过去时刻的余额", who=Who.FINANCE_OFFICIAL, refusals=(NotFound, InstantNotPast))
async def programme_balance(ctx: Context, programme_id: int, query: PartBalanceQuery) -> statements.BalanceView:
    return await statements.balance(ctx, await statements.programme_subject(ctx, programme_id, query.organisation_id), query.at)


def _download(content: bytes, name: str, kind: str) -> Download:
    return Download(content, MEDIA_TYPES[kind], name, len(content))
