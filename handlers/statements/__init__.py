"""对账单: what an enterprise, an institution or a programme had, what moved in a period, and what was left (F07).

Everything is summed from the append-only ledger. The sum of the statements of all enterprises of a programme is the
programme's, and the ledger's, at any cut-off; a statement that is made again is the same, byte for byte, unless a name changed.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypedDict

from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import reaches
from handlers.statements import files, ledger
from handlers.statements.ledger import ACCOUNTS, KINDS, OWNED, TOLD, Holder, Scope, Sums
from handlers.transactions import row
from handlers.wallet.views import moment_of
from handlers.working_days import SHANGHAI
from models.accounts import OrganisationKind
from models.wallet import Account

LINES_MAX = 100_000
# An entry carries the moment at which its request began; after this long none of an earlier moment can still be on its way.
SETTLING = timedelta(minutes=10)


class PeriodWrong(Refusal):
    kind, code, title = Kind.INVALID, "period_wrong", "对账期间的开始日期须早于结束日期"


class PeriodNotOver(Refusal):
    """`data.before`: the latest end of a period that can be stated now."""

    kind, code, title = Kind.CONFLICT, "period_not_over", "对账期间尚未结束或正在结账，请选择更早的结束日期"


class InstantNotPast(Refusal):
    kind, code, title = Kind.INVALID, "instant_not_past", "只能查询过去时刻的余额"


class StatementTooLong(Refusal):
    """`data.lines`, `data.lines_max`."""

    kind, code, title = Kind.CONFLICT, "statement_too_long", "明细过多，请缩短对账期间"


class AccountView(TypedDict):
    """For an enterprise or a programme all accounts together are what was issued; for an institution, what it was paid."""

    account: str
    title: str
    opening_fen: int
    closing_fen: int


class TotalView(TypedDict):
    """`change_fen` is signed: what these entries change of the holder's balance."""

    kind: str
    title: str
    lines: int
    fen: int
    change_fen: int


class LineView(TypedDict):
    id: int
    at: datetime
    kind: str
    title: str
    fen: int
    change_fen: int
    voucher_type: str
    order_number: str | None
    enterprise: str
    institution: str | None


class StatementView(TypedDict):
    """`since` inclusive, `before` exclusive, dates of Asia/Shanghai. The balance is what an enterprise can still use (with what
    it has on hold), what an institution still waits for, or both for a programme: opening + changes = closing.

    `budget_fen`: of the policy in force at the end; null for an organisation, or where there is no limit.
    """

    holder: str
    id: int
    name: str
    credit_code: str | None
    programme: str | None
    since: date
    before: date
    budget_fen: int | None
    opening_fen: int
    closing_fen: int
    accounts: list[AccountView]
    totals: list[TotalView]
    lines: int


class DigestView(TypedDict):
    """`digest` is what the files show: SHA-256, hex."""

    digest: str
    lines: int


class BalanceView(TypedDict):
    """`is_final`: nothing of that instant can still be on its way into the ledger."""

    holder: str
    id: int
    name: str
    at: datetime
    is_final: bool
    balance_fen: int
    accounts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Period:
    """Days of Asia/Shanghai: `since` inclusive, `before` exclusive."""

    since: date
    before: date

    def instants(self, ctx: Context) -> tuple[datetime, datetime]:
        """Raises PeriodWrong, PeriodNotOver."""
        if self.since >= self.before:
            raise PeriodWrong
        since, before = (datetime.combine(day, time.min, SHANGHAI).astimezone(UTC) for day in (self.since, self.before))
        if before > ctx.now - SETTLING:
            raise PeriodNotOver(before=(ctx.now - SETTLING).astimezone(SHANGHAI).date().isoformat())
        return since, before


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose statement, as it is named on it."""

    scope: Scope
    name: str
    credit_code: str | None
    programme: str | None


async def own_subject(ctx: Context, programme_id: int | None = None) -> Subject:
    """The acting organisation, in one programme or in all. Raises NotFound for a programme that does not exist."""
    found = await row(
        "SELECT o.kind, o.name, o.credit_code, p.name AS programme FROM organisations o LEFT JOIN programmes p ON p.id = $2"
        " WHERE o.id = $1", ctx.organisation_id, programme_id,
    )
    if programme_id is not None and found.programme is None:
        raise NotFound
    holder = Holder.ENTERPRISE if found.kind == OrganisationKind.ENTERPRISE else Holder.INSTITUTION
    return Subject(Scope(holder, ctx.organisation_id, programme_id), found.name, found.credit_code, found.programme)


async def programme_subject(ctx: Context, programme_id: int, organisation_id: int | None = None) -> Subject:
    """A programme in the official's jurisdiction, or one organisation's part of it.

    Raises NotFound, for an organisation that has no part in the programme too.
    """
    programme = await row("SELECT name, region_code FROM programmes WHERE id = $1", programme_id)
    if programme is None or not reaches(ctx.actor, programme.region_code):
        raise NotFound
    if organisation_id is None:
        return Subject(Scope(Holder.PROGRAMME, None, programme_id), programme.name, None, programme.name)
    found = await row(
        "SELECT kind, name, credit_code FROM organisations o WHERE id = $1 AND EXISTS (SELECT FROM ledger_entries e"
        " WHERE e.programme_id = $2 AND (e.organisation_id = o.id OR e.institution_id = o.id))", organisation_id, programme_id,
    )
    if found is None:
        raise NotFound
    holder = Holder.ENTERPRISE if found.kind == OrganisationKind.ENTERPRISE else Holder.INSTITUTION
    return Subject(Scope(holder, organisation_id, programme_id), found.name, found.credit_code, programme.name)


async def statement(ctx: Context, subject: Subject, period: Period) -> StatementView:
    """Opening, totals, closing. Raises PeriodWrong, PeriodNotOver."""
    return await _head(subject, period, *period.instants(ctx))


async def statement_lines(ctx: Context, subject: Subject, period: Period, page: Page) -> PageView[LineView]:
    """The entries of the period, oldest first; no sums, so a later page costs what the first does.

    Raises PeriodWrong, PeriodNotOver, CursorUnknown.
    """
    key = page.key((str, int))
    since, before = period.instants(ctx)
    found = await ledger.lines(subject.scope, since, before, (moment_of(key[0]), key[1]) if key else None, page.limit + 1)
    return page_of(found, page, lambda line: _line(subject.scope, line), lambda line: [line.at.isoformat(), line.id])


async def statement_digest(ctx: Context, subject: Subject, period: Period) -> DigestView:
    """To be compared with a printed statement. Raises PeriodWrong, PeriodNotOver, StatementTooLong."""
    head, entries = await _whole(ctx, subject, period)
    return {"digest": await asyncio.to_thread(files.digest_of, head, subject.scope, entries), "lines": head["lines"]}


async def statement_file(ctx: Context, subject: Subject, period: Period, kind: str) -> tuple[bytes, str]:
    """The statement as `xlsx` or `pdf`: (content, file name). Raises PeriodWrong, PeriodNotOver, StatementTooLong, Busy."""
    head, entries = await _whole(ctx, subject, period)
    content = await files.make(kind, await asyncio.to_thread(_document, head, subject.scope, entries, kind))
    return content, f"对账单-{period.since}-{period.before}.{kind}"


def _document(head: StatementView, scope: Scope, entries: list[Any], kind: str) -> dict[str, Any]:
    """A hundred thousand entries take half a second: not on the event loop."""
    return files.document(head, scope, entries, files.digest_of(head, scope, entries), printed=kind == "pdf")


async def balance(ctx: Context, subject: Subject, at: datetime) -> BalanceView:
    """What every account held right before an instant of the past. Raises InstantNotPast."""
    if at > ctx.now:
        raise InstantNotPast
    scope = subject.scope
    held = ledger.balances(await ledger.sums(scope, at, at), opening=True)
    return {
        "holder": scope.holder.value, "id": _id(scope), "name": subject.name, "at": at, "is_final": at <= ctx.now - SETTLING,
        "balance_fen": _balance(scope, held), "accounts": {account.value: held[account] for account in TOLD[scope.holder]},
    }


async def _whole(ctx: Context, subject: Subject, period: Period) -> tuple[StatementView, list[Any]]:
    since, before = period.instants(ctx)
    head = await _head(subject, period, since, before)
    if head["lines"] > LINES_MAX:
        raise StatementTooLong(lines=head["lines"], lines_max=LINES_MAX)
    return head, [line async for line in ledger.all_lines(subject.scope, since, before)]


async def _head(subject: Subject, period: Period, since: datetime, before: datetime) -> StatementView:
    scope = subject.scope
    found = await ledger.sums(scope, since, before)
    opening, closing = ledger.balances(found, opening=True), ledger.balances(found, opening=False)
    return {
        "holder": scope.holder.value, "id": _id(scope), "name": subject.name, "credit_code": subject.credit_code,
        "programme": subject.programme, "since": period.since, "before": period.before,
        "budget_fen": await _budget(scope, before), "opening_fen": _balance(scope, opening), "closing_fen": _balance(scope, closing),
        "accounts": [
            {"account": account.value, "title": ACCOUNTS[account], "opening_fen": opening[account], "closing_fen": closing[account]}
            for account in TOLD[scope.holder]
        ],
        "totals": [_total(scope, one) for one in found if one.lines], "lines": sum(one.lines for one in found),
    }


def _id(scope: Scope) -> int:
    found = scope.programme_id if scope.holder is Holder.PROGRAMME else scope.organisation_id
    assert found is not None
    return found


def _balance(scope: Scope, held: dict[Account, int]) -> int:
    return sum(held[account] for account in OWNED[scope.holder])


async def _budget(scope: Scope, before: datetime) -> int | None:
    if scope.holder is not Holder.PROGRAMME:
        return None
    found = await row(
        "SELECT (rules->>'budget_fen')::bigint AS fen FROM policies WHERE programme_id = $1 AND state = 'confirmed' AND confirmed_at < $2"
        " ORDER BY number DESC LIMIT 1", scope.programme_id, before,
    )
    return found.fen if found else None


def _total(scope: Scope, one: Sums) -> TotalView:
    return {"kind": one.kind.value, "title": KINDS[one.kind], "lines": one.lines, "fen": one.fen, "change_fen": scope.change(one) * one.fen}


def _line(scope: Scope, line: Any) -> LineView:
    return {
        "id": line["id"], "at": line["at"], "kind": line["kind"], "title": KINDS[line["kind"]], "fen": line["fen"],
        "change_fen": scope.change(line) * line["fen"], "voucher_type": line["voucher_type"], "order_number": line["order_number"],
        "enterprise": line["enterprise"], "institution": line["institution"],
    }
