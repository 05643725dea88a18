"""账单: the period's opening, changes and closing, and a link to the file that is good for ten minutes and once."""

from datetime import date

from bot.answering import Talk, answers, day, say, yuan
from bot.slots import Month, month_of
from bot.talk import Reply
from handlers import statements
from handlers.statement_links import make_statement_link
from handlers.statements import Period
from handlers.working_days import SHANGHAI


@answers("bill")
async def bill(talk: Talk) -> list[Reply]:
    """The month that is named; without one the last that is over. Of the present month what is over of it."""
    here = Month(talk.today.year, talk.today.month)
    month = month_of(list(talk.found), talk.today) or here.before
    settled = (talk.ctx.now - statements.SETTLING).astimezone(SHANGHAI).date()
    since, before = month.first, min(month.after, settled)
    if since >= before:
        return talk.tell("bill.not_yet", month=_name(since))
    period = Period(since, before)
    found = await statements.statement(talk.ctx, await statements.own_subject(talk.ctx), period)
    link = await make_statement_link(talk.ctx, period, "xlsx")
    lines = [say("bill.line", title=total["title"], change=_signed(total["change_fen"]), lines=total["lines"]) for total in found["totals"]]
    return talk.tell(
        "bill.some", month=_name(since), until=day(before) if before < month.after else "", opening=yuan(found["opening_fen"]),
        closing=yuan(found["closing_fen"]), lines="\n".join(lines), link=talk.ctx.settings.public_url.rstrip("/") + link["path"],
        expires=day(link["expires_at"]),
    )


def _name(first: date) -> str:
    return f"{first.year}年{first.month}月"


def _signed(fen: int) -> str:
    return f"+{yuan(fen)}" if fen >= 0 else f"-{yuan(-fen)}"
