"""我的订单, and what both sides do with one: 确认完成, 未完成, 评价; 核价, 接单, 拒单, 提交完成. Paying is never done here."""

from typing import Any

from bot.answering import Talk, answers, day, say, tail, yuan
from bot.slots import ORDER_TAIL, amount_of, fen_of, order_of, tokens
from bot.talk import Reply
from bot.wording import spelled, squeezed
from handlers import orders, reviews
from handlers.orders import OrderView
from handlers.paging import Page
from handlers.texts import is_text
from models.reviews import Grade

SHOWN, LOOKED_AT, TEXT_MAX = 5, 100, 500
PAGE = "pages/orders/show?id={}"
# allowed action -> the phrase that does it; paying leads to the mini-program.
PHRASES = {"confirm": "确认完成", "send_back": "未完成", "review": "评价", "settle_price": "核价", "accept": "接单", "decline": "拒单",
           "deliver": "提交完成", "claim": "申请兑付"}
ACTION_TITLES = {"pay": "支付", "cancel": "取消", "take_back": "撤回", "dispute": "申请争议裁定", "terminate": "协商终止",
                 "agree_termination": "同意终止", "refuse_termination": "不同意终止", "withdraw_termination": "撤回终止提议", **PHRASES}
GRADES = {"好评": Grade.GOOD, "中评": Grade.MEDIUM, "差评": Grade.BAD}
STARS = {f"{stars}星": stars for stars in range(5, -1, -1)}  # for the platform (E34), which one sentence about a service does not say


def number_said(talk: Talk) -> str | None:
    if talk.known.get("order"):
        return order_of(tokens(spelled(str(talk.known["order"])))) or None
    return order_of(list(talk.found))


async def _candidates(talk: Talk, number: str | None, verb: str | None) -> list[OrderView]:
    found = (await orders.list_orders(talk.ctx, None, Page(limit=LOOKED_AT), text=number))["items"]
    return [order for order in found if (number is None or order["number"].endswith(number))
            and (verb is None or verb in order["allowed_actions"])]


async def pick(talk: Talk, verb: str) -> OrderView | list[Reply]:
    """The order that is meant: by its number, or the only one with which `verb` can be done; else a question or an explanation."""
    if "order_id" in talk.known:
        return await orders.get_order(talk.ctx, int(talk.known["order_id"]))
    number = number_said(talk)
    found = await _candidates(talk, number, verb)
    if number and not found and (others := await _candidates(talk, number, None)):
        return talk.tell("orders.not_now", number=tail(others[0]["number"]), state=others[0]["label"], verb=ACTION_TITLES[verb],
                         page=PAGE.format(others[0]["id"]))
    if not found:
        return talk.tell("orders.none_such" if number else "orders.none_to", verb=ACTION_TITLES[verb], number=number or "")
    if len(found) > 1:
        chosen = _by_place(talk, found)
        if chosen is None:
            return _which(talk, found)
        found = [chosen]
    talk.known["order_id"] = found[0]["id"]
    talk.known.pop("order", None)
    return found[0]


def _which(talk: Talk, found: list[OrderView]) -> list[Reply]:
    talk.known.pop("order", None)
    shown = found[:SHOWN]
    talk.known["among"] = [order["id"] for order in shown]
    lines = [say("orders.choice", place=place, number=tail(order["number"]), service=order["product_name"], state=order["label"])
             for place, order in enumerate(shown, start=1)]
    return talk.ask("order", say("orders.which", lines="\n".join(lines)), *(str(place) for place in range(1, len(shown) + 1)))


def _by_place(talk: Talk, found: list[OrderView]) -> OrderView | None:
    """第几个: only after the list was shown."""
    place, among = squeezed(spelled(str(talk.known.get("order", "")))), talk.known.get("among", [])
    if place.isdecimal() and 1 <= int(place) <= len(among):
        return next((order for order in found if order["id"] == among[int(place) - 1]), None)
    return None


# --- looking ----------------------------------------------------------------------------------------------------------------------


@answers("orders")
async def show_orders(talk: Talk) -> list[Reply]:
    number = number_said(talk)
    found = await _candidates(talk, number, None)
    if not found:
        return talk.tell("orders.none_such" if number else "orders.none", number=number or "")
    if number and len(found) == 1:
        return one_order(talk, found[0])
    key = "orders.several" if number else "orders.some"
    lines = [say("orders.line", number=tail(order["number"]), service=order["product_name"], state=order["label"],
                 due=day(order["due_at"])) for order in found[:SHOWN]]
    return talk.tell(key, lines="\n".join(lines), more=len(found) - SHOWN if len(found) > SHOWN else "",
                     buttons=tuple(talk.button(f"看 {order['number'][-4:]}", f"订单{order['number']}") for order in found[:3]))


def one_order(talk: Talk, order: OrderView) -> list[Reply]:
    """State, whose turn it is, and until when."""
    doable = [verb for verb in order["allowed_actions"] if verb in PHRASES]
    mine = "、".join(ACTION_TITLES[verb] for verb in order["allowed_actions"] if verb in ACTION_TITLES)
    return talk.tell(
        "orders.one", number=tail(order["number"]), service=order["product_name"], state=order["label"],
        other=order["institution"] if talk.group == "enterprise" else order["enterprise"], amount=yuan(order["order_fen"]),
        voucher=yuan(order["voucher_fen"]) if order["voucher_fen"] else "", due=day(order["due_at"]), mine=mine,
        remark=order["remark"], frozen=order["is_frozen"], page=PAGE.format(order["id"]),
        pay="pay" in order["allowed_actions"],
        buttons=tuple(talk.button(ACTION_TITLES[verb], f"{PHRASES[verb]} {order['number']}") for verb in doable[:4]),
    )


# --- the enterprise -----------------------------------------------------------------------------------------------------------------


@answers("confirm")
async def confirm(talk: Talk) -> list[Reply]:
    """What was handed over is shown before somebody says that it is done."""
    order = await pick(talk, "confirm")
    if isinstance(order, list):
        return order
    if not talk.confirmed:
        last = (await orders.list_handovers(talk.ctx, order["id"], Page(limit=LOOKED_AT)))["items"][-1:]
        text = say("orders.confirm", number=tail(order["number"]), service=order["product_name"],
                   summary=last[0]["summary"] if last else "", at=day(last[0]["delivered_at"]) if last else "",
                   file=bool(last and last[0]["attachment_id"]))
        asked = talk.ask("confirm", text, "确认", "取消", page=PAGE.format(order["id"]))
        return [Reply(asked[0].text, asked[0].title, asked[0].page,
                      (*asked[0].buttons, talk.button("未完成", f"未完成 {order['number']}")))]
    done = await talk.once(orders.confirm_completion, order["id"])
    return talk.tell("orders.confirmed", number=tail(done["number"]), service=done["product_name"], page=PAGE.format(done["id"]),
                     buttons=(talk.button("好评", f"好评 {done['number']}"), talk.button("评价", f"评价 {done['number']}")))


@answers("send_back")
async def send_back(talk: Talk) -> list[Reply]:
    found = await _with_reason(talk, "send_back", "orders.why_unfinished")
    if isinstance(found, list):
        return found
    order, reason = found
    done = await talk.once(orders.send_back, order["id"], reason)
    key = "orders.disputed" if done["in_dispute"] else "orders.sent_back"
    return talk.tell(key, number=tail(done["number"]), times=done["rework_count"], page=PAGE.format(done["id"]))


@answers("review")
async def review(talk: Talk) -> list[Reply]:
    order = await pick(talk, "review")
    if isinstance(order, list):
        return order
    grade = next((grade for word, grade in GRADES.items() if word in spelled(str(talk.known.get("grade") or talk.text))), None)
    if "content" not in talk.known:
        talk.known["content"] = words_said(talk, "content")
    if grade is None:
        return talk.ask("grade", say("orders.which_grade", number=tail(order["number"]), service=order["product_name"]), *GRADES)
    talk.known["grade"] = next(word for word, one in GRADES.items() if one is grade)
    if talk.known["content"] and not is_text(talk.known["content"]):
        talk.known["content"] = ""  # nothing that anybody could read in its order: a review without words
    if len(talk.known["content"]) > TEXT_MAX:
        return _too_long(talk, "content")
    stars = STARS.get(squeezed(spelled(str(talk.known.get("stars", "")))).removesuffix("星") + "星")
    if stars is None:
        talk.known.pop("stars", None)
        return talk.ask("stars", say("orders.which_stars"), *list(STARS)[:5])
    await talk.once(reviews.review_order, order["id"], grade, talk.known["content"], stars, "")
    return talk.tell(
        "orders.reviewed", number=tail(order["number"]), grade=talk.known["grade"], page=f"pages/orders/review?id={order['id']}"
    )


def words_said(talk: Talk, step: str) -> str:
    """The free text: what was answered to `step`, else what stood behind the order's number in the sentence."""
    if talk.step == step or step in talk.known:
        return str(talk.known.get(step, "")).strip()
    rest = talk.rest.strip()
    for token in tokens(spelled(rest))[:1]:
        digits = token.digits
        if token.start == 0 and (len(digits) == 24 or ORDER_TAIL.fullmatch(digits)):
            rest = rest[token.end:]
    return rest.strip(" \t\n，,。：:、")


async def _with_reason(talk: Talk, verb: str, question: str) -> tuple[OrderView, str] | list[Reply]:
    """The order that is meant and why `verb` is done with it; else what is missing. `question`: the key of its text."""
    order = await pick(talk, verb)
    if isinstance(order, list):
        return order
    reason = _words(talk, "reason", say(question, number=tail(order["number"])))
    return reason if isinstance(reason, list) else (order, reason)


def _words(talk: Talk, step: str, question: str, page: str = "") -> str | list[Reply]:
    """The free text of a step, of at most TEXT_MAX characters; else the question for it."""
    said = words_said(talk, step)
    if not is_text(said):
        talk.known.pop(step, None)
        return talk.ask(step, question, page=page)
    return _too_long(talk, step) if len(said) > TEXT_MAX else said


def _too_long(talk: Talk, step: str) -> list[Reply]:
    talk.known.pop(step, None)
    return talk.ask(step, say("general.too_long", most=TEXT_MAX))


# --- the institution ------------------------------------------------------------------------------------------------------------------


@answers("price")
async def price(talk: Talk) -> list[Reply]:
    """核价 8137 30000: at most the product's price; shown with it before it is settled."""
    order = await pick(talk, "settle_price")
    if isinstance(order, list):
        return order
    fen = _amount(talk)
    if fen is None:
        return talk.ask("amount", say("orders.which_price", number=tail(order["number"]), most=yuan(order["list_price_fen"])))
    if fen > order["list_price_fen"]:
        talk.known.pop("amount_fen", None)
        return talk.ask("amount", say("orders.price_too_high", price=yuan(fen), most=yuan(order["list_price_fen"])))
    talk.known["amount_fen"] = fen
    if not talk.confirmed:
        return talk.confirm(say(
            "orders.confirm_price", number=tail(order["number"]), service=order["product_name"], price=yuan(fen),
            most=yuan(order["list_price_fen"]), now=yuan(order["order_fen"]), voucher=yuan(min(order["max_voucher_fen"], fen)),
        ))
    done = await talk.once(orders.settle_price, order["id"], fen)
    return talk.tell("orders.priced", number=tail(done["number"]), price=yuan(done["order_fen"]), page=PAGE.format(done["id"]))


def _amount(talk: Talk) -> int | None:
    if "amount_fen" in talk.known and talk.step != "amount":
        return int(talk.known["amount_fen"])
    if talk.step == "amount":
        said = tokens(spelled(str(talk.known.pop("amount", ""))))
        return amount_of(said) if said else fen_of(spelled(talk.text).strip())
    if talk.step:
        return None
    return amount_of(list(talk.found), besides=order_of(list(talk.found)))


@answers("accept")
async def accept(talk: Talk) -> list[Reply]:
    order = await pick(talk, "accept")
    if isinstance(order, list):
        return order
    if not talk.confirmed:
        return talk.confirm(say("orders.confirm_accept", number=tail(order["number"]), service=order["product_name"],
                                enterprise=order["enterprise"], amount=yuan(order["order_fen"]), due=day(order["due_at"])))
    done = await talk.once(orders.accept_order, order["id"])
    return talk.tell("orders.accepted", number=tail(done["number"]), page=PAGE.format(done["id"]))


@answers("decline")
async def decline(talk: Talk) -> list[Reply]:
    found = await _with_reason(talk, "decline", "orders.why_declined")
    if isinstance(found, list):
        return found
    order, reason = found
    talk.known["reason"] = reason
    if not talk.confirmed:
        return talk.confirm(say("orders.confirm_decline", number=tail(order["number"]), voucher=yuan(order["voucher_fen"]), reason=reason))
    done = await talk.once(orders.decline_order, order["id"], reason)
    return talk.tell("orders.declined", number=tail(done["number"]), page=PAGE.format(done["id"]))


@answers("finish")
async def finish(talk: Talk) -> list[Reply]:
    """What was done, in words, and with it the last file that was sent here; more of them are bound on the page of the order."""
    order = await pick(talk, "deliver")
    if isinstance(order, list):
        return order
    file = talk.private.get("file", "")
    asked = say("orders.what_done", number=tail(order["number"]), service=order["product_name"], file=file)
    summary = _words(talk, "summary", asked, PAGE.format(order["id"]))
    if isinstance(summary, list):
        return summary
    if not file and not orders.says_enough(summary):
        talk.known.pop("summary", None)
        return talk.ask("summary", say("orders.what_more"), page=PAGE.format(order["id"]))
    talk.known["summary"] = summary
    if not talk.confirmed:
        return talk.confirm(say("orders.confirm_finish", number=tail(order["number"]), service=order["product_name"], summary=summary,
                                file=file))
    done: Any = await talk.once(orders.deliver_order, order["id"], summary, talk.known.get("attachment_id"))
    return talk.tell("orders.delivered", number=tail(done["number"]), file=file, page=PAGE.format(done["id"]))
