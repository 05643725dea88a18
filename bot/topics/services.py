"""找服务: three cards with price, deduction, what remains to be paid, how it was rated and how long it took."""

from bot.answering import Talk, answers, say, yuan
from bot.talk import Reply
from handlers.service_finder import FoundServiceView, find_services


@answers("find_service")
async def find_service(talk: Talk) -> list[Reply]:
    text = str(talk.known.get("content") or talk.rest).strip()
    if not text:
        return talk.ask("content", say("services.which"))
    found = await find_services(talk.ctx, text)
    if not found["items"]:
        return talk.tell("services.none", words=found["words"], region=found["region"], buttons=(talk.button("发需求"),))
    lines = [_line(place, one) for place, one in enumerate(found["items"], start=1)]
    return talk.tell(
        "services.some", region=found["region"], total=found["total"], lines="\n".join(lines),
        page=f"pages/products/show?id={found['items'][0]['product']['id']}" if found["total"] == 1 else "pages/products/index",
    )


def _line(place: int, one: FoundServiceView) -> str:
    product = one["product"]
    price, offline = product["price_fen"], product["offline_fen"]
    return say(
        "services.line", place=place, name=product["name"], institution=product["institution_name"],
        price=f"{yuan(price)} 元" if price is not None else say("services.negotiable"), deduction=yuan(product["max_voucher_fen"]),
        offline=yuan(offline) if offline is not None else "", good=one["good"] if one["rated"] else "", rated=one["rated"] or "",
        days=one["median_days"],
    )
