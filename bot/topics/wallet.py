"""我的券包."""

from datetime import timedelta

from bot.answering import Talk, answers, day, say, yuan
from bot.talk import Reply
from handlers import wallet
from handlers.paging import Page
from handlers.wallet import WalletTab

SOON = timedelta(days=7)


@answers("wallet")
async def balances(talk: Talk) -> list[Reply]:
    """By voucher type, the soonest expiry first, and what of it ends within seven days."""
    buttons = (talk.button("找服务"), talk.button("预约服务券", "预约"))
    found = await wallet.list_balances(talk.ctx)
    if not found:
        return talk.tell("wallet.none", buttons=buttons)
    lots = (await wallet.list_lots(talk.ctx, WalletTab.USABLE, Page(limit=100)))["items"]
    soon = sum(lot["available_fen"] for lot in lots if lot["valid_until"] <= talk.today + SOON)
    lines = [say("wallet.line", name=one["voucher_type"], amount=yuan(one["available_fen"]), until=day(one["next_expiry"]))
             for one in found]
    return talk.tell(
        "wallet.some", total=yuan(sum(one["available_fen"] for one in found)), lines="\n".join(lines),
        soon=yuan(soon) if soon else "", buttons=buttons,
    )
