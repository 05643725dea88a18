"""报表, 抽查, 本月兑付, 预算还剩, 导出批次: numbers for officials. Nothing of money is decided here."""

from datetime import datetime, time

from bot.answering import Talk, answers, day, say, tail, yuan
from bot.slots import Month, month_of
from bot.talk import Reply
from handlers import budgets, risks, todo
from handlers.working_days import SHANGHAI
from models.risks import Verdict

SHOWN = 10
BATCH_STATES = {"draft": "待复核", "confirmed": "已复核，待银行回单", "settled": "已办结", "cancelled": "已撤销"}


@answers("report")
async def report(talk: Talk) -> list[Reply]:
    today = datetime.combine(talk.today, time.min, SHANGHAI)
    if talk.group == "finance":
        return await _money(talk)
    found = await todo.report_queue(talk.ctx, today, today.replace(day=1))
    return talk.tell(
        "reports.queue", waiting=str(found["waiting"]), late=found["late"] or "", oldest=day(found["oldest_at"]),
        came=str(found["came_today"]), decided=str(found["decided_today"]), month=str(found["decided_this_month"]),
        month_late=found["late_this_month"] or "", buttons=(talk.button("待审"),),
    )


@answers("budget")
async def _money(talk: Talk) -> list[Reply]:
    """For each programme of the jurisdiction: the budget, what is granted of it, and where the vouchers are (F07)."""
    found = await budgets.list_budgets(talk.ctx)
    if not found:
        return talk.tell("reports.no_programme")
    lines = [
        say("reports.budget", name=one["programme"], budget=yuan(one["budget_fen"]) if one["budget_fen"] is not None else "",
            issued=yuan(one["issued_fen"]), left=yuan(one["left_fen"]) if one["left_fen"] is not None else "",
            usable=yuan(one["usable_fen"]), receivable=yuan(one["receivable_fen"]), paid=yuan(one["paid_fen"]))
        for one in found
    ]
    return talk.tell("reports.budgets", lines="\n".join(lines))


@answers("payouts")
async def payouts(talk: Talk) -> list[Reply]:
    """Of one month, this one unless another is named: batches and what was paid out."""
    month, since, before = _month(talk)
    found = await budgets.report_payouts(talk.ctx, since, before)
    return talk.tell(
        "reports.payouts", month=month, paid=yuan(found["paid_fen"]), count=str(found["paid"]),
        waiting=str(found["waiting"]), waiting_sum=yuan(found["waiting_fen"]),
        batches="\n".join(say("reports.batch", number=one["number"], state=BATCH_STATES[one["state"]], count=one["lines"],
                              total=yuan(one["total_fen"])) for one in found["batches"]),
    )


def _month(talk: Talk) -> tuple[str, datetime, datetime]:
    """The month that is named, or this one: what it is called, its first instant, and that of the next."""
    month = month_of(list(talk.found), talk.today) or Month(talk.today.year, talk.today.month)
    since, before = (datetime.combine(day_, time.min, SHANGHAI) for day_ in (month.first, month.after))
    return f"{month.year}年{month.month}月", since, before


@answers("spot_check")
async def spot_check(talk: Talk) -> list[Reply]:
    """抽查 本月: the orders that the signals propose, the most doubtful first; their facts are on the page (F03)."""
    month, since, before = _month(talk)
    found = await risks.sample_of(talk.ctx, since, before, SHOWN)
    if not found["count"]:
        return talk.tell("reports.no_sample", month=month)
    lines = [
        say("reports.sampled", number=tail(one["number"]), service=one["product_name"], enterprise=one["enterprise"],
            institution=one["institution"], voucher=yuan(one["voucher_fen"]), score=str(one["score"]),
            proposed=one["verdict"] is Verdict.FREEZE, frozen=one["is_frozen"])
        for one in found["items"]
    ]
    more = found["count"] - len(lines)
    return talk.tell("reports.sample", month=month, count=found["count"], lines="\n".join(lines), more=more or "")


@answers("export_batch")
async def export_batch(talk: Talk) -> list[Reply]:
    """The bank file holds whole accounts: it is taken where one is signed in, never sent into a chat."""
    return talk.tell("reports.export")
