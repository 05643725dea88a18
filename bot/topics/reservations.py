"""预约、改约、撤回、预约记录、查中签、为什么不能约."""

from datetime import datetime, timedelta
from typing import Any

from bot.answering import Talk, answers, day, say, yuan
from bot.slots import ticket_of
from bot.talk import Reply
from bot.wording import phrases, spelled, squeezed
from handlers import reservations, rounds
from handlers.eligibility import Verdict
from handlers.paging import Page
from handlers.reservation_rules import ReservationView
from handlers.reservations import EligibilityView, TypeChoiceView
from handlers.rounds import RoundView
from models.reservations import Allocation

SHOWN = 5


async def _open_rounds(talk: Talk) -> list[RoundView]:
    return (await rounds.list_rounds(talk.ctx, programme_id=None, open_only=True, page=Page(limit=20)))["items"]


async def _round(talk: Talk) -> RoundView | list[Reply]:
    """The open round that is meant: the only one, the one chosen before, or a question."""
    found = await _open_rounds(talk)
    if not found:
        return await _none_open(talk)
    if len(found) == 1:
        return found[0]
    chosen = squeezed(spelled(str(talk.known.get("round", ""))))
    for one in found:
        if chosen and chosen in {squeezed(spelled(one["name"])), str(one["number"])}:
            return one
    return talk.ask("round", say("reserve.which_round"), *(one["name"] for one in found))


async def _none_open(talk: Talk) -> list[Reply]:
    coming = [one for one in (await rounds.list_rounds(talk.ctx, programme_id=None, open_only=False, page=Page(limit=20)))["items"]
              if one["state"] == "announced" and one["opens_at"] > talk.ctx.now]
    if not coming:
        return talk.tell("reserve.none_open")
    first = min(coming, key=lambda one: one["opens_at"])
    return talk.tell("reserve.coming", name=first["name"], opens=day(first["opens_at"]), closes=day(first["closes_at"]))


def named_type(text: str, types: list[Any]) -> list[Any]:
    """The voucher types that a text names: by code, name, or an alias of synonyms.toml."""
    said = squeezed(spelled(text))
    if not said:
        return []
    exact = [one for one in types if said in {squeezed(spelled(one["name"])), spelled(one["code"])}]
    if exact:
        return exact
    aliases = [word for alias, words in phrases("synonyms")["vouchers"].items() if squeezed(spelled(alias)) in said for word in words]
    bare = said.removesuffix("券")
    return [one for one in types if (len(bare) > 1 and bare in spelled(one["name"])) or any(word in one["name"] for word in aliases)]


def _wins(choice: TypeChoiceView) -> str:
    rule = choice["rules"][0]
    return f"{rule['actual']}/{rule['expected']}" if rule["expected"] is not None else ""


def _broken(view: EligibilityView) -> list[str]:
    return [say("why.rule", title=rule["title"], fix=rule["fix"]) for rule in view["rules"] if rule["verdict"] is not Verdict.PASS]


# --- why ------------------------------------------------------------------------------------------------------------------------


@answers("why")
async def why(talk: Talk) -> list[Reply]:
    """The tree of the rules that refuse, for each open round; with the year's wins of each type (F04)."""
    found = await _open_rounds(talk)
    if not found:
        return await _none_open(talk)
    replies: list[Reply] = []
    for one in found[:SHOWN]:
        view = await reservations.explain(talk.ctx, one["id"])
        types = named_type(talk.rest or talk.text, view["voucher_types"]) or view["voucher_types"]
        lines = [*_broken(view), *(_type_line(talk, choice) for choice in types)]
        key = "why.may" if view["verdict"] is Verdict.PASS else "why.may_not"
        replies += talk.tell(key, name=one["name"], closes=day(one["closes_at"]), lines="\n".join(lines),
                             buttons=(talk.button("预约服务券", "预约"), talk.button("申诉")))
    return replies


def _type_line(talk: Talk, choice: TypeChoiceView) -> str:
    if choice["enabled"]:
        return say("why.type_may", name=choice["name"], wins=_wins(choice))
    if choice["left"] == 0:
        return say("why.type_taken_up", name=choice["name"])
    return say("why.type_may_not", name=choice["name"], wins=_wins(choice), tooltip=choice["tooltip"], year=talk.today.year + 1)


# --- reserve, change, cancel ----------------------------------------------------------------------------------------------------


@answers("reserve")
async def reserve(talk: Talk) -> list[Reply]:
    chosen = await _round(talk)
    if isinstance(chosen, list):
        return chosen
    view = await reservations.explain(talk.ctx, chosen["id"])
    if view["reservation_id"] is not None and not talk.confirmed:
        if chosen["allocation"] == Allocation.FIRST_COME:
            return talk.tell("reserve.already_taken", name=chosen["name"], buttons=(talk.button("我的券包"),))
        return talk.tell("reserve.already", name=chosen["name"], buttons=(talk.button("改约", "更改预约"), talk.button("撤回预约")))
    if view["verdict"] is not Verdict.PASS and not talk.confirmed:
        return talk.tell("reserve.may_not", name=chosen["name"], lines="\n".join(_broken(view)))
    kind = _type(talk, view)
    if isinstance(kind, list):
        return kind
    first_come = chosen["allocation"] == Allocation.FIRST_COME
    if not talk.confirmed:
        return talk.confirm(_window("reserve.confirm_take" if first_come else "reserve.confirm", chosen, kind))
    made = await talk.once(reservations.reserve, chosen["id"], kind["voucher_type_id"])
    if first_come:
        return talk.tell("reserve.taken", **_receipt(made), face=yuan(kind["face_fen"]), until=day(chosen["valid_until"]),
                         page="pages/wallet/index")
    return talk.tell("reserve.done", **_receipt(made), page=f"pages/reservations/show?id={made['id']}")


async def _reserved(talk: Talk) -> tuple[RoundView, EligibilityView] | list[Reply]:
    """The open round that is meant, and what the enterprise, which has a ticket in it, may choose there; else how to get a ticket.

    After 确认 the ticket may be gone already, with the same message before: the use-case then answers as it did.
    """
    chosen = await _round(talk)
    if isinstance(chosen, list):
        return chosen
    view = await reservations.explain(talk.ctx, chosen["id"])
    if view["reservation_id"] is None and not talk.confirmed:
        return talk.tell("reserve.nothing", name=chosen["name"], buttons=(talk.button("预约服务券", "预约"),))
    return chosen, view


@answers("change_reservation")
async def change(talk: Talk) -> list[Reply]:
    reserved = await _reserved(talk)
    if isinstance(reserved, list):
        return reserved
    chosen, view = reserved
    kind = _type(talk, view)
    if isinstance(kind, list):
        return kind
    if not talk.confirmed:
        return talk.confirm(_window("reserve.confirm_change", chosen, kind))
    made = await talk.once(reservations.change_type, chosen["id"], kind["voucher_type_id"])
    return talk.tell("reserve.changed", **_receipt(made), page=f"pages/reservations/show?id={made['id']}")


@answers("cancel_reservation")
async def cancel(talk: Talk) -> list[Reply]:
    reserved = await _reserved(talk)
    if isinstance(reserved, list):
        return reserved
    chosen, _ = reserved
    if not talk.confirmed:
        return talk.confirm(say("reserve.confirm_cancel", name=chosen["name"], closes=day(chosen["closes_at"])))
    made = await talk.once(reservations.withdraw, chosen["id"])
    return talk.tell("reserve.withdrawn", **_receipt(made))


def _type(talk: Talk, view: EligibilityView) -> TypeChoiceView | list[Reply]:
    """The voucher type that is meant, if it may be chosen; a greyed one says why, in the words of the page."""
    said = str(talk.known.get("voucher") or talk.rest or "")
    found = named_type(said, view["voucher_types"])
    if len(found) == 1:
        kind: TypeChoiceView = found[0]
        if kind["enabled"]:
            talk.known["voucher"] = kind["name"]
            return kind
        talk.known.pop("voucher", None)
        if kind["left"] == 0:
            return talk.tell("reserve.taken_up", name=kind["name"])
        return talk.tell("reserve.capped", name=kind["name"], wins=_wins(kind), tooltip=kind["tooltip"], year=talk.today.year + 1)
    talk.known.pop("voucher", None)
    offered = [kind["name"] for kind in found or view["voucher_types"] if kind["enabled"]]
    if not offered:
        return talk.tell("reserve.all_capped" if view["voucher_types"][0]["left"] is None else "reserve.none_left")
    return talk.ask("voucher", say("reserve.which_type"), *offered)


def _window(key: str, chosen: RoundView, kind: TypeChoiceView) -> str:
    quota = next((each["quota"] for each in chosen["quotas"] if each["voucher_type_id"] == kind["voucher_type_id"]), None)
    return say(key, left=kind["left"], round=chosen["name"], name=kind["name"], face=yuan(kind["face_fen"]), opens=day(chosen["opens_at"]),
               closes=day(chosen["closes_at"]), quota=quota, wins=_wins(kind))


def _receipt(made: Any) -> dict[str, Any]:
    return {"round": made["round"], "name": made["voucher_type"], "ticket": made["ticket_no"], "publicity": day(made["publicity_at"])}


# --- looking --------------------------------------------------------------------------------------------------------------------


async def _own(talk: Talk) -> list[ReservationView]:
    return (await reservations.list_reservations(talk.ctx, Page(limit=100)))["items"]


@answers("reservations")
async def records(talk: Talk) -> list[Reply]:
    found = await _own(talk)
    if not found:
        return talk.tell("reservations.none", buttons=(talk.button("预约服务券", "预约"),))
    lines = [say("reservations.line", ticket=one["ticket_no"], round=one["round"], name=one["voucher_type"], state=one["state_title"])
             for one in found[:SHOWN]]
    return talk.tell("reservations.some", lines="\n".join(lines))


@answers("draw_result")
async def draw_result(talk: Talk) -> list[Reply]:
    """Before publicity how long it takes; after it the result, and the page where everybody may check the draw (F01)."""
    ticket, found = ticket_of(list(talk.found)), await _own(talk)
    if ticket:
        found = [one for one in found if one["ticket_no"] == ticket]
    if not found:
        return talk.tell("draw_result.none", ticket=ticket or "", buttons=(talk.button("预约记录"),))
    one = found[0]
    facts: dict[str, Any] = {"ticket": one["ticket_no"], "round": one["round"], "name": one["voucher_type"]}
    if one["allocation"] == Allocation.FIRST_COME:
        return talk.tell("draw_result.without", **facts, state=one["state_title"], page=f"pages/reservations/show?id={one['id']}")
    if one["state"] in {"reserved", "awaiting"}:
        return talk.tell("draw_result.waiting", **facts, publicity=day(one["publicity_at"]), left=_left(talk.ctx.now, one["publicity_at"]),
                         page=f"pages/reservations/show?id={one['id']}")
    return talk.tell("draw_result.out", **facts, state=one["state_title"], rank=one["rank"], page=f"pages/draws/show?id={one['round_id']}")


def _left(now: datetime, at: datetime) -> str:
    left = max(at - now, timedelta(0))
    hours, minutes = left.seconds // 3600, left.seconds % 3600 // 60
    return f"{left.days}天{hours}小时" if left.days else f"{hours}小时{minutes}分"
