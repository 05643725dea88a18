"""From events to the inbox: who is told what, once; what stays unread; which WeChat messages were agreed to (F23)."""

import asyncio
import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import handlers
from bot.links import PUBLISHED_PAGES
from bot.templates import TEMPLATES
from handlers import notice_consents, notice_texts, notices
from handlers.notice_texts import OUTSIDE, SILENT, TEXTS, VARIANTS, render
from handlers.notices import open_events
from handlers.transactions import transaction
from models.accounts import OrganisationKind, Role
from tests.world import JINAN, SHIZHONG, World

PAID: dict[str, Any] = {
    "number": "202603020000000000000001", "service": "年度财务审计", "voucher_fen": 120_000, "at": "2026-03-02T01:00:00+00:00",
}


async def announce(world: World, kind: str = "order_paid", subject_id: int = 7, subject: str = "order", **parts: Any) -> None:
    async with transaction(world.context()) as tx:
        tx.announce(kind, subject, subject_id, **{**PAID, **parts})


async def readers(world: World) -> list[int]:
    return [row["person_id"] for row in await world.owner.fetch("SELECT person_id FROM notices ORDER BY person_id")]


# --- texts -----------------------------------------------------------------------------------------------------------------


def test_every_kind_fills_the_fields_of_its_template_and_leads_to_a_published_page():
    assert set(TEXTS) == set(TEMPLATES)
    for kind, text in [*TEXTS.items(), *((kind, text) for (kind, _), text in VARIANTS.items())]:
        assert set(text.fields) == {keyword.field for keyword in TEMPLATES[kind].keywords}, kind
        assert text.page.partition("?")[0] in PUBLISHED_PAGES, kind
    assert {page.partition("?")[0] for page in notice_texts.PAGES.values()} <= PUBLISHED_PAGES


def test_every_kind_that_is_announced_anywhere_has_its_text():
    root = Path(inspect.getfile(handlers)).parent
    sources = [path.read_text() for path in root.rglob("*.py")]
    announced = {kind for source in sources for kind in re.findall(r"\b(?:announce|tell)\(\s*(?:tx, )?\"(\w+)\"", source)}
    announced |= {kind for source in sources for kind in re.findall(r"INSERT INTO events [^']*SELECT\s+'(\w+)'", source)}
    assert {"order_paid", "approval_waiting", "draw_result", "voucher_expiring"} <= announced
    assert announced <= set(TEXTS) | set(OUTSIDE) | SILENT


def test_amounts_are_yuan_and_times_are_those_of_shanghai():
    text = render("order_paid", "order", 7, PAID, datetime(2026, 3, 2, 2, tzinfo=UTC))
    assert (text.title, text.page) == ("订单待接单", "pages/orders/show?id=7")
    assert text.body == "订单 202603020000000000000001「年度财务审计」企业已用券支付 1200.00 元，请及时接单。"
    assert text.fields == {
        "order_number": PAID["number"], "service": "年度财务审计", "amount": "1200.00", "time": "2026-03-02T01:00:00+00:00",
    }


def test_a_clause_without_its_fact_is_left_out_and_codes_become_words():
    at = datetime(2026, 3, 2, tzinfo=UTC)
    returned = render("approval_result", "application", 1, {"title": "企业认证", "result": "returned", "reason": "证照不清晰"}, at)
    approved = render("approval_result", "application", 1, {"title": "企业认证", "result": "approved", "reason": None}, at)
    assert (returned.title, returned.body) == ("审核结果：退回补正", "您提交的「企业认证」退回补正。原因：证照不清晰。")
    assert approved.body == "您提交的「企业认证」审核通过。"
    remarked = render("approval_result", "application", 1, {"title": "企业认证", "result": "approved", "reason": "请及时年检"}, at)
    assert remarked.body == "您提交的「企业认证」审核通过。说明：请及时年检。"
    assert approved.fields == {"subject": "企业认证", "result": "审核通过", "time": at.isoformat(), "reason": ""}
    closed = render("order_closed", "order", 1, {"number": "1", "service": "审计", "reason": "timeout"}, at)
    assert closed.body == "订单 1「审计」已关闭，原因：超时未支付。"


def test_what_people_write_cannot_reach_into_the_template():
    text = render("order_sent_back", "order", 1, {"number": "{service}", "service": "[甲]{number}", "reason": "{subject_id}"},
                  datetime(2026, 3, 2, tzinfo=UTC))
    assert text.body == "订单 {service}「[甲]{number}」被企业退回，原因：{subject_id}。"


def test_dates_are_shown_in_words_and_a_long_reason_is_cut_to_its_column():
    at = datetime(2026, 3, 2, tzinfo=UTC)
    text = render("voucher_expiring", "wallet", 1, {"balance_fen": 5, "name": "通用券", "valid_until": "2026-03-09"}, at)
    assert text.body == "「通用券」余额 0.05 元，2026年3月9日（含当日）后失效，请尽快使用。"
    assert len(render("order_declined", "order", 1, {"reason": "长" * 900}, at).body) == 500


# --- who is told -----------------------------------------------------------------------------------------------------------


async def test_an_organisations_notice_goes_to_the_roles_that_its_kind_names(world):
    owner = await world.institution()
    handler = await world.member(owner.organisation_id, Role.HANDLER)
    await world.member(owner.organisation_id, Role.FINANCE)
    await world.member(owner.organisation_id, Role.VIEWER)
    former = await world.member(owner.organisation_id, Role.HANDLER)
    await world.owner.execute("UPDATE memberships SET state = 'ended', ended_at = now() WHERE id = $1", former.membership_id)
    await world.institution()
    await announce(world, organisation_id=owner.organisation_id)
    assert await world.sweep(open_events) == 1
    assert await readers(world) == sorted([owner.person_id, handler.person_id])


async def test_money_is_told_to_finance_too(world):
    owner = await world.enterprise()
    finance = await world.member(owner.organisation_id, Role.FINANCE)
    await announce(world, "voucher_issued", subject="reservation", organisation_id=owner.organisation_id)
    await world.sweep(open_events)
    assert await readers(world) == sorted([owner.person_id, finance.person_id])


async def test_somebody_with_two_roles_in_the_organisation_is_told_once(world):
    owner = await world.enterprise()
    await world.member(owner.organisation_id, Role.HANDLER, person=(owner.person_id, owner.identity_id, owner.open_id))
    await announce(world, "order_accepted", organisation_id=owner.organisation_id)
    await world.sweep(open_events)
    assert await readers(world) == [owner.person_id]


async def test_officials_are_told_of_what_lies_in_their_jurisdiction(world):
    park = await world.owner.fetchval(
        "INSERT INTO parks (name, county_code, created_at) VALUES ('高新园', $1, now()) RETURNING id", SHIZHONG
    )
    county = await world.official(Role.REVIEWER, region_code=SHIZHONG)
    city = await world.official(Role.REVIEWER, region_code=JINAN)
    province = await world.official(Role.REVIEWER, region_code="370000")
    inside = await world.official(Role.REVIEWER, park_id=park)
    for other in ("370102", "370200", "110000"):
        await world.official(Role.REVIEWER, region_code=other)
    await world.official(Role.RISK_OFFICER, region_code=SHIZHONG)
    await world.official(Role.REVIEWER, region_code=None)  # no jurisdiction reaches nothing
    await announce(world, "approval_waiting", subject="approval", role="reviewer", region_code=SHIZHONG, park_id=park)
    await world.sweep(open_events)
    assert await readers(world) == sorted(one.person_id for one in (county, city, province, inside))


async def test_only_an_administrator_without_a_division_is_told_of_the_whole_country(world):
    admin = await world.official(Role.ADMIN, region_code=None)
    await world.official(Role.ADMIN, region_code="110000")
    await announce(world, "approval_waiting", subject="approval", role="admin", region_code=SHIZHONG)
    await world.sweep(open_events)
    assert await readers(world) == [admin.person_id]


# --- opening ---------------------------------------------------------------------------------------------------------------


async def test_the_first_channel_is_wechat_for_enterprises_and_dingtalk_for_the_others(world):
    enterprise, institution = await world.enterprise(), await world.institution()
    for member in (enterprise, institution):
        await world.owner.execute(
            "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'dingtalk','ding-test',$2,now())",
            member.person_id, f"ding-{member.person_id}",
        )
        await announce(world, organisation_id=member.organisation_id)
    await world.sweep(open_events)
    found = await world.owner.fetch("SELECT person_id, step, channel, state, attempts, give_up_at FROM deliveries ORDER BY notice_id")
    give_up_at = world.at(hours=48)
    assert [tuple(row) for row in found] == [
        (enterprise.person_id, 1, "wechat_subscribe", "planned", 0, give_up_at),
        (institution.person_id, 1, "dingtalk_notice", "planned", 0, give_up_at),
    ]
    chains = [json.loads(row["data"])["channels"] for row in await world.owner.fetch("SELECT data FROM notices ORDER BY id")]
    assert chains == [["wechat_subscribe", "dingtalk_notice"], ["dingtalk_notice", "wechat_subscribe"]]


async def test_somebody_without_a_channel_still_has_the_inbox(world):
    person = await world.value("INSERT INTO persons (created_at) VALUES (now()) RETURNING id")
    await announce(world, person_id=person)
    await world.sweep(open_events)
    assert await readers(world) == [person]
    assert await world.value("SELECT count(*) FROM deliveries") == 0


async def test_an_event_is_opened_once_however_often_and_by_however_many(world):
    member = await world.institution()
    for number in range(30):
        await announce(world, subject_id=number, organisation_id=member.organisation_id)
    opened = await asyncio.gather(*(open_events(world.context(), limit=10) for _ in range(6)))
    while await open_events(world.context(), limit=10):
        pass
    assert sum(opened) <= 30
    assert await world.value("SELECT count(*) FROM notices") == 30
    assert await world.value("SELECT count(*) FROM events WHERE opened_at IS NULL") == 0
    await world.owner.execute("UPDATE events SET opened_at = NULL")  # as if the commit had been lost on its way to us
    assert await open_events(world.context()) == 30
    assert await world.value("SELECT count(*) FROM notices") == 30
    assert await world.value("SELECT count(*) FROM deliveries") == 30


async def test_notices_have_the_order_of_their_events(world):
    member = await world.institution()
    for number in range(25):
        await announce(world, subject_id=number, organisation_id=member.organisation_id)
    while await open_events(world.context(), limit=7):
        pass
    found = await world.owner.fetch("SELECT data FROM notices ORDER BY id")
    assert [json.loads(row["data"])["subject_id"] for row in found] == list(range(25))


async def test_an_event_of_a_rolled_back_transaction_is_never_told(world):
    member = await world.institution()
    with pytest.raises(RuntimeError, match="no"):
        async with transaction(world.context()) as tx:
            tx.announce("order_paid", "order", 1, organisation_id=member.organisation_id, **PAID)
            raise RuntimeError("no")
    assert await world.sweep(open_events) == 0
    assert await world.value("SELECT count(*) FROM notices") == 0


async def test_an_event_nobody_understands_does_not_hold_up_the_others(world):
    member = await world.institution()
    await announce(world, "unheard_of", organisation_id=member.organisation_id)
    await announce(world, person_id=member.person_id)
    assert await world.sweep(open_events) == 2
    assert await world.value("SELECT count(*) FROM notices") == 1


async def test_a_message_that_was_overtaken_is_marked_and_no_longer_sent(world):
    institution, enterprise = await world.institution(), await world.enterprise()
    await announce(world, "order_paid", 7, organisation_id=institution.organisation_id)
    await announce(world, "order_paid", 8, organisation_id=institution.organisation_id)
    await world.sweep(open_events)
    await announce(world, "order_accepted", 7, organisation_id=enterprise.organisation_id)
    await world.sweep(open_events)
    found = await world.owner.fetch(
        "SELECT (n.data->>'subject_id')::int, n.kind, d.state, n.superseded_at IS NOT NULL FROM notices n"
        " JOIN deliveries d ON d.notice_id = n.id ORDER BY n.id"
    )
    assert [tuple(row) for row in found] == [
        (7, "order_paid", "superseded", True), (8, "order_paid", "planned", False), (7, "order_accepted", "planned", False),
    ]


# --- the inbox -------------------------------------------------------------------------------------------------------------


async def inbox_of(world: World, count: int):
    member = await world.institution()
    for number in range(count):
        await announce(world, subject_id=number + 1, organisation_id=member.organisation_id)
    await world.sweep(open_events)
    return member


async def test_the_inbox_is_read_page_by_page_newest_first(world):
    member = await inbox_of(world, 5)
    status, first = await world.get("/notices?limit=3", by=member)
    assert (status, [item["subject_id"] for item in first["items"]]) == (200, [5, 4, 3])
    _, second = await world.get(f"/notices?limit=3&after={first['next']}", by=member)
    assert ([item["subject_id"] for item in second["items"]], second["next"]) == ([2, 1], None)
    item = second["items"][1]
    assert item == {
        "id": item["id"], "kind": "order_paid", "title": "订单待接单", "page": "pages/orders/show?id=1", "subject": "order",
        "subject_id": 1, "organisation_id": member.organisation_id, "created_at": item["created_at"], "read_at": None,
        "is_superseded": False, "body": "订单 202603020000000000000001「年度财务审计」企业已用券支付 1200.00 元，请及时接单。",
    }


async def test_reading_one_notice_takes_it_out_of_the_unread(world):
    member = await inbox_of(world, 3)
    _, page = await world.get("/notices", by=member)
    chosen = page["items"][1]["id"]
    status, read = await world.post(f"/notices/{chosen}/reading", by=member)
    assert (status, datetime.fromisoformat(read["read_at"])) == (200, world.clock.now())
    world.clock.advance(hours=1)
    _, again = await world.post(f"/notices/{chosen}/reading", by=member)
    assert again["read_at"] == read["read_at"]
    assert await world.get("/notices/unread-count", by=member) == (200, {"count": 2})
    _, unread = await world.get("/notices?unread=true", by=member)
    assert [item["subject_id"] for item in unread["items"]] == [3, 1]
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'notice.read'") == 1


async def test_reading_all_leaves_what_came_after_the_page_was_shown(world):
    member = await inbox_of(world, 3)
    _, page = await world.get("/notices", by=member)
    await announce(world, subject_id=99, organisation_id=member.organisation_id)
    await world.sweep(open_events)
    assert await world.post("/notices/readings", {"up_to_id": page["items"][0]["id"]}, by=member) == (200, {"count": 1})
    _, unread = await world.get("/notices?unread=true", by=member)
    assert [item["subject_id"] for item in unread["items"]] == [99]


async def test_somebody_elses_notice_is_not_found_and_not_read(world):
    member, stranger = await inbox_of(world, 1), await world.institution()
    _, page = await world.get("/notices", by=member)
    status, body = await world.post(f"/notices/{page['items'][0]['id']}/reading", by=stranger)
    assert (status, body["code"]) == (404, "not_found")
    await world.post("/notices/readings", {"up_to_id": 2**62}, by=stranger)
    assert await world.get("/notices", by=stranger) == (200, {"items": [], "next": None})
    assert await world.get("/notices/unread-count", by=member) == (200, {"count": 1})


# --- consents --------------------------------------------------------------------------------------------------------------


def report(nonce: str, **answers: str) -> dict[str, object]:
    return {"nonce": nonce, "answers": [{"template": f"tmpl_{kind}", "answer": answer} for kind, answer in answers.items()]}


async def remaining(world: World, member) -> dict[str, int]:
    _, body = await world.get("/notices/consents", by=member)
    return {each["kind"]: each["remaining"] for each in body["templates"] if each["remaining"]}


async def test_each_acceptance_is_one_message_more(world):
    member = await world.enterprise()
    status, body = await world.post("/notices/consents", report("popup-001", draw_result="accept", voucher_issued="accept"), by=member)
    assert (status, body["title"], body["remaining"]) == (200, "还能收到 2 条消息", 2)
    await world.post("/notices/consents", report("popup-002", draw_result="accept", voucher_issued="filter"), by=member)
    assert await remaining(world, member) == {"draw_result": 2, "voucher_issued": 1}


async def test_a_report_that_comes_again_is_not_counted_again(world):
    member = await world.enterprise()
    for _ in range(3):
        await world.post("/notices/consents", report("popup-001", draw_result="accept", voucher_issued="accept"), by=member)
    both = report("popup-002", draw_result="accept", voucher_issued="accept")
    await asyncio.gather(*(world.post("/notices/consents", both, by=member) for _ in range(4)))
    assert await remaining(world, member) == {"draw_result": 2, "voucher_issued": 2}
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'consents.reported'") == 2


@pytest.mark.parametrize("answer", ["reject", "ban"])
async def test_a_no_takes_back_every_yes(world, answer):
    member = await world.enterprise()
    await world.post("/notices/consents", report("popup-001", draw_result="accept", voucher_issued="accept"), by=member)
    await world.post("/notices/consents", report("popup-002", draw_result=answer), by=member)
    assert await remaining(world, member) == {"voucher_issued": 1}


@pytest.mark.parametrize("yes", ["acceptWithAudio", "acceptWithAlert", "acceptWithForcePush"])
async def test_a_yes_with_something_added_is_a_yes(world, yes):
    member = await world.enterprise()
    status, body = await world.post("/notices/consents", report("popup-001", draw_result=yes, voucher_issued="accept"), by=member)
    assert (status, body["remaining"]) == (200, 2)
    # WeChat's push of the same popup is the same yes.
    pushed = [("tmpl_draw_result", yes), ("tmpl_voucher_issued", "accept")]
    await notice_consents.note_consents(world.context(), "wx-test", member.open_id, pushed, "subscribe_msg_popup_event", world.clock.now())
    assert await remaining(world, member) == {"draw_result": 1, "voucher_issued": 1}


@pytest.mark.parametrize("word", ["acceptance", "Accept", "later", "接受"])
async def test_a_word_that_nobody_knows_loses_nothing_of_the_others(world, word):
    member = await world.enterprise()
    await world.post("/notices/consents", report("popup-001", draw_result="accept"), by=member)
    status, body = await world.post("/notices/consents", report("popup-002", draw_result=word, voucher_issued="accept"), by=member)
    assert (status, body["remaining"]) == (200, 2)
    pushed = [("tmpl_draw_result", word), ("tmpl_order_paid", "accept")]
    await notice_consents.note_consents(world.context(), "wx-test", member.open_id, pushed, "subscribe_msg_popup_event", world.clock.now())
    assert await remaining(world, member) == {"draw_result": 1, "voucher_issued": 1, "order_paid": 1}


async def test_an_unknown_template_is_refused_and_nothing_is_counted(world):
    member = await world.enterprise()
    status, body = await world.post("/notices/consents", report("popup-001", draw_result="accept", nonsense="accept"), by=member)
    assert (status, body["code"]) == (422, "template_unknown")
    assert await world.value("SELECT count(*) FROM subscription_reports") == 0


async def test_somebody_in_dingtalk_cannot_consent_to_wechat_messages(world):
    organisation = await world.organisation(OrganisationKind.INSTITUTION)
    member = await world.member(organisation, Role.OWNER, platform="dingtalk")
    status, body = await world.post("/notices/consents", report("popup-001", draw_result="accept"), by=member)
    assert (status, body["code"]) == (409, "consents_elsewhere")
    assert await world.value("SELECT count(*) FROM subscriptions") == 0


@pytest.mark.parametrize("broken", [
    {"nonce": "short", "answers": [{"template": "tmpl_draw_result", "answer": "accept"}]},
    {"nonce": "popup-001", "answers": []},
    {"nonce": "popup-001", "answers": [{"template": "tmpl_draw_result", "answer": "accept"}] * 6},
    {"nonce": "popup-001", "answers": [{"template": "tmpl_draw_result", "answer": ""}]},
])
async def test_a_report_of_the_wrong_shape_is_refused(world, broken):
    status, body = await world.post("/notices/consents", broken, by=await world.enterprise())
    assert (status, body["code"]) == (422, "invalid_input")
    assert await world.value("SELECT count(*) FROM subscription_reports") == 0


async def test_each_occasion_asks_for_at_most_three_templates_that_exist(world):
    _, body = await world.get("/notices/consents", by=await world.enterprise())
    asked = {each["occasion"]: each["templates"] for each in body["occasions"]}
    assert asked["reservation"] == ["tmpl_draw_result", "tmpl_voucher_issued", "tmpl_voucher_expiring"]
    assert set(asked) == set(notice_consents.Occasion)
    assert all(0 < len(templates) <= 3 for templates in asked.values())
    assert {kind for kinds in notice_consents.OCCASIONS.values() for kind in kinds} <= set(TEXTS)


async def test_ids_that_wechat_gave_the_templates_are_used_in_both_directions(world):
    settings = world.settings.model_copy(update={"wechat_template_ids": {"draw_result": "AbC-123"}})
    member = await world.enterprise()
    ctx = world.context(member)
    ctx = type(ctx)(ctx.actor, ctx.now, settings, ctx.ports, "test")
    view = await notice_consents.report_consents(ctx, [("AbC-123", notice_consents.Answer.ACCEPT)], "popup-001")
    assert [(each["template"], each["remaining"]) for each in view["templates"] if each["remaining"]] == [("AbC-123", 1)]


def test_the_opener_and_the_texts_agree_on_who_reads():
    assert ("voucher_issued", "finance") in notices.READERS
    assert ("order_paid", "viewer") not in notices.READERS
