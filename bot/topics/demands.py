"""需求: an enterprise posts one and sees who answers; institutions and consultants take it up, pass, or say that they have called."""

from bot.answering import Talk, answers, day, say, yuan
from bot.slots import case_of, phone_of, tokens
from bot.talk import Reply
from bot.wording import spelled
from handlers import demands
from handlers.demands import Contact, Content
from handlers.paging import Page
from handlers.personal import mask_name, mask_phone
from handlers.service_finder import own_region
from models.categories import CATEGORIES
from models.demands import DemandTarget

SHOWN, TITLE_MAX, TEXT_MAX, NAME_MAX = 5, 50, 2000, 20
STATES = {"held": "待审", "open": "征集中", "taken": "已有机构接单", "closed": "已关闭"}
RESPONSES = {"notified": "新需求", "viewed": "已查看", "passed": "无意向", "taken": "已接单", "contacted": "已联系", "signed": "已签约",
             "declined": "未达成合作", "no_contact": "联系不上", "converted_to_order": "已转订单"}


@answers("demands")
async def show_demands(talk: Talk) -> list[Reply]:
    if talk.group == "enterprise":
        posted = (await demands.list_demands(talk.ctx, None, Page(limit=SHOWN)))["items"]
        if not posted:
            return talk.tell("demands.none", buttons=(talk.button("发需求"),))
        lines = [say("demands.mine_line", number=one["id"], title=one["title"], state=STATES[one["state"]], told=str(one["told"]),
                     viewed=str(one["viewed"]), taken=str(one["taken"])) for one in posted]
        return talk.tell("demands.mine", lines="\n".join(lines))
    received = (await demands.list_received(talk.ctx, None, Page(limit=SHOWN)))["items"]
    if not received:
        return talk.tell("demands.none")
    lines = [say("demands.received_line", number=one["id"], title=one["title"], enterprise=one["enterprise"],
                 category=one["category_title"], state=RESPONSES[one["state"]], until=day(one["expires_at"]),
                 budget=yuan(one["budget_fen"]) if one["budget_fen"] else "") for one in received]
    first = next((one["id"] for one in received if one["state"] in {"notified", "viewed"}), None)
    buttons = tuple(talk.button(f"{verb} {first}") for verb in ("接需求", "无意向")) if first else ()
    return talk.tell("demands.received", lines="\n".join(lines), buttons=buttons)


@answers("take_demand")
async def take(talk: Talk) -> list[Reply]:
    number = case_of(list(talk.found))
    if number is None:
        return talk.tell("demands.which")
    await talk.once(demands.take_demand, number)
    return talk.tell("demands.taken", number=number, buttons=(talk.button(f"已联系 {number}"),))


@answers("pass_demand")
async def give_a_miss(talk: Talk) -> list[Reply]:
    number = case_of(list(talk.found))
    if number is None:
        return talk.tell("demands.which")
    await talk.once(demands.pass_demand, number, None)
    return talk.tell("demands.passed", number=number)


@answers("contact_demand")
async def contacted(talk: Talk) -> list[Reply]:
    number = case_of(list(talk.found))
    if number is None:
        return talk.tell("demands.which")
    await talk.once(demands.contact_made, number)
    return talk.tell("demands.contacted", number=number)


# --- posting ------------------------------------------------------------------------------------------------------------------------


@answers("post_demand")
async def post(talk: Talk) -> list[Reply]:
    """Openly, by kind and district; addressed to somebody it is posted on their page. Name and phone are kept sealed meanwhile."""
    region = await own_region(talk.ctx)
    if region is None:
        return talk.tell("demands.no_region")
    if "title" not in talk.known and talk.rest:
        talk.known["title"] = talk.rest
    asked = _missing(talk)
    if asked:
        return asked
    known, private = talk.known, talk.private
    category = next(code for code, title in CATEGORIES.items() if title == known["category"])
    if not talk.confirmed:
        return talk.confirm(say("demands.confirm", title=known["title"], category=known["category"], text=known["text"],
                                name=mask_name(private["name"]), phone=mask_phone(private["phone"])))
    content = Content(known["title"], known["text"], category, region, None, None, ())
    posted = await talk.once(demands.post_demand, DemandTarget.OPEN, None, content, Contact(private["name"], private["phone"]))
    return talk.tell("demands.posted", number=posted["id"], title=posted["title"], page="pages/demands/index")


def _missing(talk: Talk) -> list[Reply] | None:
    """The question for the first thing that is not there, or not as it has to be."""
    known, private = talk.known, talk.private
    if not 0 < len(known.get("title", "")) <= TITLE_MAX:
        return talk.ask("title", say("demands.ask_title"))
    if not 0 < len(known.get("text", "")) <= TEXT_MAX:
        return talk.ask("text", say("demands.ask_text"))
    titles = [title for title in CATEGORIES.values() if known.get("category") and known["category"] in {title, title.removesuffix("服务")}]
    if not titles:
        return talk.ask("category", say("demands.ask_category"), *CATEGORIES.values())
    known["category"] = titles[0]
    if not 0 < len(private.get("name", "")) <= NAME_MAX:
        return talk.ask("name", say("demands.ask_name"))
    if "phone" not in private:
        return talk.ask("phone", say("demands.ask_phone"))
    phone = phone_of(tokens(spelled(private["phone"])))
    if phone is None:
        del private["phone"]
        return talk.ask("phone", say("demands.bad_phone"))
    private["phone"] = phone
    return None
