"""The Official Account's menus: within the platform's limits, brought there by a command, and following whom somebody acts for."""

import pytest

from bot.menus import BY_TAG, EVERYBODY, bring_up_to_date, buttons, differences, lint, lint_all, shown, tags_of
from handlers.speakers import choose_membership
from models.accounts import OrganisationKind, Role

INTENTS = {
    "wallet", "reserve", "reservations", "draw_result", "bill", "orders", "find_service", "post_demand", "qualification", "progress",
    "why", "appeal", "switch_identity", "human", "announcements", "demands", "price", "claim", "consultants", "todo", "spot_check",
    "report",
}


def test_the_menus_are_within_the_limits_and_name_intents():
    assert lint_all() == []
    keys = {key for columns in (EVERYBODY, *BY_TAG.values()) for _, entries in columns for _, key in entries}
    assert keys == INTENTS
    assert [[name for name, _ in entries] for _, entries in EVERYBODY] == [
        ["我的券包", "预约服务券", "预约记录", "查中签", "账单"], ["我的订单", "找服务", "发需求", "资格申请", "进度查询"],
        ["为什么不能用", "申诉", "切换身份", "人工客服", "公示公告"],
    ]


ENTRY = ("我的券包", "wallet")


@pytest.mark.parametrize(("columns", "problem"), [
    ((), "0 columns"),
    ((("帮助", (ENTRY,)),) * 4, "4 columns"),
    ((("五个字太长", (ENTRY,)),), "五个字太长: more than 4 characters"),
    ((("帮助", ()),), "帮助: 0 entries"),
    ((("帮助", (ENTRY,) * 6),), "帮助: 6 entries"),
    ((("帮助", (("一共有八个字的名", "k"),)),), "一共有八个字的名: more than 7 characters"),
    ((("帮助", (("名", "k" * 129),)),), "名: key of 129 bytes"),
])
def test_a_menu_beyond_the_limits_is_found_before_the_platform_refuses_it(columns, problem):
    assert list(lint(columns)) == [problem]


async def test_the_command_makes_the_menus_and_touches_nothing_the_second_time(chats):
    oa = chats.gateways.oa
    assert await differences(oa) == ["everybody", *BY_TAG]
    assert await bring_up_to_date(oa) == []
    made = {path: len(await chats.calls(path)) for path in ("*/menu/create", "*/menu/addconditional", "*/tags/create")}
    assert made == {"*/menu/create": 1, "*/menu/addconditional": 2, "*/tags/create": 2}
    assert await bring_up_to_date(oa) == []
    assert {path: len(await chats.calls(path)) for path in made} == made


async def test_a_menu_that_somebody_changed_in_the_console_is_put_right(chats):
    oa = chats.gateways.oa
    await bring_up_to_date(oa)
    await oa.menu.create({"button": buttons((("旧菜单", (ENTRY,)),))})
    await oa.menu.add_conditional({"button": buttons((("旧菜单", (ENTRY,)),)), "matchrule": {"tag_id": "2"}})
    assert await differences(oa) == ["everybody", "tag 2"]
    assert await bring_up_to_date(oa) == []


async def menu_of(chats, key):
    async with chats.simulator.get(f"/control/chat/{key}") as answer:
        return [column["name"] for column in (await answer.json())["menu"]]


async def test_the_menu_follows_whom_somebody_acts_for(chats):
    await bring_up_to_date(chats.gateways.oa)
    world, member = chats.world, await chats.world.enterprise()
    key = await chats.bound(member)
    assert await menu_of(chats, key) == ["我的券", "办业务", "帮助"]
    institution = await world.organisation(OrganisationKind.INSTITUTION)
    second = await world.member(institution, Role.OWNER, person=(member.person_id, member.identity_id, member.open_id))
    await chats.say(key, "余额")
    await choose_membership(chats.listener.heard[-1][0], second.membership_id)
    await chats.say(key, "余额")
    assert await menu_of(chats, key) == ["办业务", "进度", "帮助"]
    calls = len(await chats.calls("*/tags/*"))
    await chats.say(key, "余额")
    assert len(await chats.calls("*/tags/*")) == calls
    await choose_membership(chats.listener.heard[-1][0], member.membership_id)
    await chats.say(key, "余额")
    assert await menu_of(chats, key) == ["我的券", "办业务", "帮助"]


async def test_a_menu_that_cannot_follow_keeps_nobody_from_an_answer(chats):
    await bring_up_to_date(chats.gateways.oa)
    key = await chats.bound(await chats.world.institution())
    await chats.befall("*/tags/*", times=None, errcode=-1)
    assert await chats.say(key, "余额") == ["收到：余额"]
    assert await menu_of(chats, key) == ["我的券", "办业务", "帮助"]
    async with chats.simulator.delete("/control/inject"):
        pass
    assert await chats.say(key, "余额") == ["收到：余额"]
    assert await menu_of(chats, key) == ["办业务", "进度", "帮助"]


async def test_the_command_says_what_is_wrong(chats, capsys):
    import app

    assert await app.menus(chats.settings) == 0
    capsys.readouterr()
    # The platform says yes to what would change a tag's menu, and keeps it: an answer is no proof, what is shown is one.
    tag = (await tags_of(chats.gateways.oa))["审核人员"]
    menu_id, _ = (await shown(chats.gateways.oa))["by_tag"][tag]
    await chats.gateways.oa.menu.del_conditional(menu_id)
    await chats.befall("*/menu/addconditional", times=None, errcode=0, menuid="1")
    assert await app.menus(chats.settings) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "✗ 菜单与平台不一致。"


async def test_a_platform_that_refuses_is_not_a_menu_that_differs(chats, capsys):
    import app

    await chats.befall("*/menu/*", times=None, errcode=48001)
    assert await app.menus(chats.settings) == 1
    assert capsys.readouterr().out == "✗ 平台没有完成请求（48001 system error rid: injected），菜单未能核对，请稍后重试。\n"
