"""兑付: where the claims are, and what is needed for the orders that may be claimed for."""

from bot.answering import Talk, answers, say, tail, yuan
from bot.talk import Reply
from bot.topics.orders import number_said
from handlers import orders, redemptions
from handlers.paging import Page

SHOWN = 5


@answers("claim")
async def claim(talk: Talk) -> list[Reply]:
    """The newest claims with the arithmetic of what is paid; the orders that still can be claimed for, with the list of materials."""
    number = number_said(talk)
    claims = [one for one in (await redemptions.list_redemptions(talk.ctx, None, Page(limit=100)))["items"]
              if number is None or one["order_number"].endswith(number)][:SHOWN]
    open_to = [one for one in (await orders.list_orders(talk.ctx, None, Page(limit=100), text=number))["items"]
               if "claim" in one["allowed_actions"] and (number is None or one["number"].endswith(number))][:SHOWN]
    lines = [say("claim.line", number=tail(one["order_number"]), service=one["product_name"], state=one["label"], formula=one["formula"],
                 reason=one["reason"]) for one in claims]
    lines += [say("claim.open", number=tail(one["number"]), service=one["product_name"], voucher=yuan(one["voucher_fen"]))
              for one in open_to]
    if not lines:
        return talk.tell("claim.none", number=number)
    if open_to:
        lines.append(say("claim.materials"))
    page = f"pages/redemptions/new?order_id={open_to[0]['id']}" if len(open_to) == 1 and not claims else None
    return talk.tell("claim.some", lines="\n".join(lines), page=page)
