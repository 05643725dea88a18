"""Joining a chat to a person: by a scan, by six letters, by a union id, and never by an id that looks the same (traps 43, 46)."""

from datetime import timedelta

import pytest

from handlers.bindings import bind_by_code, forget_bindings
from handlers.notices import open_events
from handlers.ports import PlatformUser
from handlers.speakers import actor_of, choose_membership, list_choices
from models.accounts import OrganisationKind, Role
from tests.chats import set_offset

HOW_TO = "您还没有绑定账号"


async def code_of(chats, member):
    status, shown = await chats.world.post("/bindings", by=member)
    assert status == 201, shown
    return shown


async def bound_identities(chats):
    return [tuple(row) for row in await chats.world.owner.fetch(
        "SELECT i.platform, i.open_id, i.person_id FROM identities i JOIN bot_identities b ON b.identity_id = i.id"
        " WHERE b.ended_at IS NULL ORDER BY i.id")]


# --- who is not bound ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["wechat_oa", "dingtalk", "wechat"])
@pytest.mark.parametrize("text", ["余额", "我的订单", "解除绑定", "切换身份", "确认完成"])
async def test_a_stranger_hears_how_to_bind_and_nothing_else(chats, platform, text):
    await chats.bound(await chats.world.enterprise(), "别人")
    key = await (chats.follower("陌生人") if platform == "wechat_oa" else chats.phone("陌生人", platform, unionid=None))
    answer, = await chats.say(key, text)
    assert answer.startswith(HOW_TO)
    assert chats.listener.heard == []


async def test_a_stranger_in_a_group_is_told_alone(chats):
    key, other = await chats.phone("陌生人", "dingtalk"), await chats.phone("旁人", "dingtalk")
    assert (await chats.say(key, "余额", group=[other]))[0].startswith(HOW_TO)
    assert await chats.received(other) == []


# --- six letters --------------------------------------------------------------------------------------------------------


async def test_a_code_that_somebody_else_has_is_drawn_again(chats, monkeypatch):
    drawn = iter(("ABCDEF", "ABCDEF", "ABCDEF", "GHJKLM"))
    monkeypatch.setattr("handlers.bindings._six_letters", lambda: next(drawn))
    first, second = await chats.world.enterprise(), await chats.world.enterprise()
    assert [(await code_of(chats, member))["code"] for member in (first, second)] == ["ABCDEF", "GHJKLM"]
    key = await chats.follower()
    await chats.say(key, "ABCDEF")
    assert await bound_identities(chats) == [("wechat_oa", key, first.person_id)]


async def test_when_every_code_that_is_drawn_is_taken_nothing_has_happened_and_one_may_try_again(chats, monkeypatch):
    monkeypatch.setattr("handlers.bindings._six_letters", lambda: "ABCDEF")
    await code_of(chats, await chats.world.enterprise())
    second = await chats.world.enterprise()
    before = await chats.world.snapshot("bindings", "audit_entries")
    status, answer = await chats.world.post("/bindings", by=second)
    assert (status, answer["code"]) == (503, "busy")
    assert await chats.world.snapshot("bindings", "audit_entries") == before


@pytest.mark.parametrize("form", ["{}", "绑定{}", " 绑定 {} "])
@pytest.mark.parametrize("platform", ["wechat_oa", "dingtalk", "wechat"])
async def test_the_code_of_a_signed_in_phone_binds_the_chat_that_sends_it(chats, platform, form):
    member = await chats.world.enterprise()
    code = (await code_of(chats, member))["code"]
    key = await (chats.follower() if platform == "wechat_oa" else chats.phone("王小明", platform))
    answer, = await chats.say(key, form.format(code.lower()))
    assert answer.startswith("绑定成功：您的小程序账号。")
    assert await bound_identities(chats) == [(platform, key, member.person_id)]
    assert await chats.say(key, "余额") == ["收到：余额"]
    assert chats.listener.heard[-1][0].actor.organisation_id == member.organisation_id


async def test_whose_code_it_was_is_shown_masked_and_the_owner_is_told(chats):
    from handlers.personal import seal

    member = await chats.world.enterprise()
    await chats.world.owner.execute(
        "UPDATE persons SET name = $2, phone = $3 WHERE id = $1", member.person_id, seal(chats.settings, "欧阳娜娜"),
        seal(chats.settings, "13800138000"),
    )
    key = await chats.bound(member)
    assert (await chats.received(key))[-1].splitlines()[0] == "绑定成功：欧***、138****8000。"
    assert await chats.open_notices() == ["您的账号已绑定到一个聊天账号；如非本人操作，请在小程序中解除绑定"]


@pytest.mark.parametrize(("passed", "works"), [
    (timedelta(minutes=10) - timedelta(microseconds=1), True), (timedelta(minutes=10), False),
    (timedelta(minutes=10, microseconds=1), False),
])
async def test_a_code_lasts_ten_minutes(chats, passed, works):
    key = await chats.follower()
    code = (await code_of(chats, await chats.world.enterprise()))["code"]
    now = chats.world.clock.now() + passed
    ctx = chats.world.context().at(now)
    user = PlatformUser(chats.settings.wechat_oa_appid, key, None)
    before = await bound_identities(chats)
    if works:
        await bind_by_code(ctx, "wechat_oa", user, code)
    else:
        with pytest.raises(Exception, match="binding_code_wrong"):
            await bind_by_code(ctx, "wechat_oa", user, code)
    assert len(await bound_identities(chats)) == len(before) + works


async def test_a_code_works_once(chats):
    code = (await code_of(chats, await chats.world.enterprise()))["code"]
    first, second = await chats.follower("甲"), await chats.follower("乙")
    assert (await chats.say(first, code))[0].startswith("绑定成功")
    assert (await chats.say(second, code))[0].startswith("绑定码无效或已过期")
    assert [open_id for _, open_id, _ in await bound_identities(chats)] == [first]


async def test_of_two_who_send_one_code_at_once_one_is_bound(chats):
    code = (await code_of(chats, await chats.world.enterprise()))["code"]
    keys = [await chats.follower(name) for name in "甲乙丙"]
    for key in keys:
        await chats.push(key, code)
    await chats.work()
    answers = [(await chats.received(key))[-1][:4] for key in keys]
    assert sorted(answers) == ["绑定成功", "绑定码无", "绑定码无"]
    assert len(await bound_identities(chats)) == 1


async def test_after_five_wrong_codes_ten_minutes_pass_in_vain_and_then_it_works_again(chats):
    member, key = await chats.world.enterprise(), await chats.follower()
    for _ in range(5):
        assert (await chats.say(key, "AAAAAA"))[0].startswith("绑定码无效或已过期")
    code = (await code_of(chats, member))["code"]
    assert (await chats.say(key, code))[0].startswith("输入错误次数过多")
    assert await bound_identities(chats) == []
    chats.advance(minutes=10)
    code = (await code_of(chats, member))["code"]
    assert (await chats.say(key, code))[0].startswith("绑定成功")


async def test_a_person_has_at_most_three_open_codes(chats):
    member, key = await chats.world.enterprise(), await chats.follower()
    codes = [(await code_of(chats, member))["code"] for _ in range(4)]
    assert (await chats.say(key, codes[0]))[0].startswith("绑定码无效")
    assert (await chats.say(key, codes[1]))[0].startswith("绑定成功")


async def test_no_code_and_no_scene_is_stored_as_it_is(chats):
    shown = await code_of(chats, await chats.world.enterprise())
    row = await chats.world.one("SELECT scene_hash, code_hash FROM bindings")
    assert len(row["scene_hash"]) == len(row["code_hash"]) == 32
    assert shown["code"].encode() not in row["scene_hash"] + row["code_hash"]


async def test_a_chat_of_somebody_else_is_not_taken_over(chats):
    first, second = await chats.world.enterprise(), await chats.world.enterprise()
    key = await chats.bound(first)
    code = (await code_of(chats, second))["code"]
    assert (await chats.say(key, f"绑定{code}"))[0].startswith("当前聊天账号已绑定其他用户")
    assert await bound_identities(chats) == [("wechat_oa", key, first.person_id)]


async def test_a_bound_person_may_say_six_letters(chats):
    key = await chats.bound(await chats.world.enterprise())
    assert await chats.say(key, "wallet") == ["收到：wallet"]


async def test_codes_are_forgotten_after_a_month(chats):
    await code_of(chats, await chats.world.enterprise())
    expires = await chats.world.value("SELECT expires_at FROM bindings")
    chats.world.clock.set(expires + timedelta(days=30) - timedelta(microseconds=1))
    assert await chats.world.sweep(forget_bindings) == 0
    chats.world.clock.set(expires + timedelta(days=30))
    assert await chats.world.sweep(forget_bindings) == 1


# --- a scan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [True, False])
async def test_scanning_the_code_binds_whether_it_also_follows_or_not(chats, follows):
    """SCAN has the scene alone, subscribe has qrscene_ before it: both mean the same (trap 43)."""
    member = await chats.world.enterprise()
    key = await (chats.follower() if follows else chats.phone("王小明", "wechat_oa", unionid=None))
    shown = await code_of(chats, member)
    assert shown["image_url"].startswith("https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=")
    await chats.do(f"chat/{key}/scan", url=shown["url"])
    await chats.work()
    assert (await chats.received(key))[-1].startswith("绑定成功")
    assert await bound_identities(chats) == [("wechat_oa", key, member.person_id)]
    sent = (await chats.calls("*/qrcode/create"))[-1]["body"]
    assert (sent["expire_seconds"], sent["action_name"]) == (600, "QR_STR_SCENE")
    assert len(sent["action_info"]["scene"]["scene_str"]) <= 64


async def test_a_scene_that_is_scanned_again_or_guessed_opens_nothing(chats):
    shown = await code_of(chats, await chats.world.enterprise())
    first, second = await chats.follower("甲"), await chats.follower("乙")
    for key in (first, second):
        await chats.do(f"chat/{key}/scan", url=shown["url"])
        await chats.work()
    await chats.do(f"chat/{second}/event", MsgType="event", Event="SCAN", EventKey="b.AAAAAAAAAAAAAAAAAAAAAAAA")
    await chats.work()
    assert [text[:4] for text in (await chats.received(second))[-2:]] == ["绑定码无", "绑定码无"]
    assert len(await bound_identities(chats)) == 1


async def test_without_an_official_account_at_hand_there_is_still_the_code(chats):
    await chats.befall("*/qrcode/create", times=None, errcode=48001)
    shown = await code_of(chats, await chats.world.enterprise())
    assert (shown["url"], shown["image_url"], len(shown["code"])) == (None, None, 6)


# --- a union id ---------------------------------------------------------------------------------------------------------


async def signed_in(chats, name, **more):
    """(person id, openid) of somebody who has signed in to the mini-program."""
    key = await chats.phone(name, "wechat", **more)
    code = (await chats.do(f"phones/{key}/login-code"))["code"]
    status, found = await chats.world.post("/sessions", {"platform": "wechat", "code": code})
    assert status == 201, found
    return found["me"]["person_id"], key


async def test_a_follower_whom_wechat_knows_from_our_mini_program_is_bound_by_the_union_id(chats):
    person, miniapp_id = await signed_in(chats, "王小明")
    key = await chats.phone("王小明", "wechat_oa")
    assert key != miniapp_id
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    assert (await chats.received(key))[-1].startswith("绑定成功")
    assert await bound_identities(chats) == [("wechat_oa", key, person)]


async def test_somebody_who_followed_before_signing_in_is_recognised_when_they_speak(chats):
    key = await chats.phone("王小明", "wechat_oa")
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    person, _ = await signed_in(chats, "王小明")
    assert await chats.say(key, "余额") == ["收到：余额"]
    assert chats.listener.heard[-1][0].actor.person_id == person


async def test_equal_openids_and_missing_union_ids_make_nobody_the_same(chats):
    """Trap 46: the openid of another app is another person, whoever made the apps."""
    person, _ = await signed_in(chats, "王小明", unionid=None)
    key = await chats.follower("王小明")  # without a union id
    await chats.world.owner.execute("UPDATE identities SET open_id = $1 WHERE person_id = $2", key, person)
    assert (await chats.say(key, "余额"))[0].startswith(HOW_TO)
    # A union id of another mini-program than ours says nothing either.
    await chats.world.owner.execute("UPDATE identities SET app_id = 'wx-another', union_id = 'u-1' WHERE person_id = $1", person)
    await chats.phone("王小明", "wechat_oa", unionid="u-1")
    assert (await chats.say(key, "余额"))[0].startswith(HOW_TO)
    assert await bound_identities(chats) == []


async def test_a_platform_that_does_not_tell_the_union_id_now_keeps_nobody_from_an_answer(chats):
    await signed_in(chats, "王小明")
    key = await chats.phone("王小明", "wechat_oa")
    await chats.befall("*/cgi-bin/user/info", times=None, errcode=-1)
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    assert (await chats.received(key))[-1].startswith(HOW_TO)


# --- leaving ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["wechat_oa", "dingtalk", "wechat"])
async def test_unbinding_in_the_chat_ends_it_and_a_new_code_begins_it_again(chats, platform):
    member = await chats.world.enterprise()
    key = await chats.bound(member, platform=platform)
    assert (await chats.say(key, "解绑"))[0].startswith("已解除绑定")
    assert (await chats.say(key, "余额"))[0].startswith(HOW_TO)
    assert await bound_identities(chats) == []
    code = (await code_of(chats, member))["code"]
    assert (await chats.say(key, code))[0].startswith("绑定成功")


async def test_who_unbound_is_not_bound_again_by_the_union_id_alone(chats):
    await signed_in(chats, "王小明")
    key = await chats.phone("王小明", "wechat_oa")
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    await chats.say(key, "解除绑定")
    assert (await chats.say(key, "余额"))[0].startswith(HOW_TO)
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    assert await bound_identities(chats) == []


async def test_unbinding_on_the_phone(chats):
    member = await chats.world.enterprise()
    key = await chats.bound(member)
    status, found = await chats.world.get("/bindings", by=member)
    shown, = found["items"]
    assert (status, shown["platform"], shown["is_following"]) == (200, "wechat_oa", True)
    assert await chats.world.delete(f"/bindings/{shown['id']}", by=member) == (200, {"id": shown["id"]})
    assert await chats.world.get("/bindings", by=member) == (200, {"items": []})
    assert (await chats.say(key, "余额"))[0].startswith(HOW_TO)
    before = await chats.snapshot()
    assert (await chats.world.delete(f"/bindings/{shown['id']}", by=member))[0] == 404
    other = await chats.bound(await chats.world.enterprise(), "别人")
    identity = await chats.world.value("SELECT id FROM identities WHERE open_id = $1", other)
    before = await chats.snapshot()
    assert (await chats.world.delete(f"/bindings/{identity}", by=member))[0] == 404
    assert await chats.snapshot() == before


async def test_unfollowing_ends_messages_and_not_the_binding(chats):
    member = await chats.world.enterprise()
    key = await chats.bound(member)
    await chats.do(f"chat/{key}/unfollow")
    await chats.work()
    assert len(await bound_identities(chats)) == 1
    ctx = chats.world.context(member)
    from handlers.transactions import transaction
    async with transaction(ctx) as tx:
        tx.announce("bot_answer", "binding", 1, person_id=member.person_id, answer="离开后的消息")
    await chats.world.sweep(open_events)
    channels = await chats.world.value("SELECT data->>'channels' FROM notices WHERE body = '离开后的消息'")
    assert channels == '["wechat_subscribe"]'
    chats.advance(seconds=1)
    await chats.do(f"chat/{key}/follow")
    await chats.work()
    assert (await chats.received(key))[-1].startswith("欢迎回来")
    assert await chats.say(key, "余额") == ["收到：余额"]


async def test_who_leaves_the_corporation_is_not_written_to(chats):
    member = await chats.world.enterprise()
    key = await chats.bound(member, platform="dingtalk")
    assert (await chats.do(f"chat/{key}/event", EventType="user_leave_org", UserId=[key]))["body"] == "success"
    await chats.work()
    assert await chats.world.value("SELECT left_at IS NOT NULL FROM bot_identities")


async def test_taking_back_what_the_mini_program_was_allowed_signs_out(chats):
    person, key = await signed_in(chats, "王小明")
    await chats.do(f"chat/{key}/event", MsgType="event", Event="user_authorization_revoke", OpenID=key, AppID="x", RevokeInfo="301")
    await chats.work()
    assert await chats.world.value("SELECT count(*) FROM sessions WHERE person_id = $1 AND revoked_at IS NULL", person) == 0
    assert await chats.world.value("SELECT count(*) FROM audit_entries WHERE action = 'identity.authorization_revoked'") == 1


# --- for whom -----------------------------------------------------------------------------------------------------------


async def test_the_chat_has_an_organisation_of_its_own_whatever_the_phones_do(chats):
    world, member = chats.world, await chats.world.enterprise()
    key = await chats.bound(member)
    identity = await world.value("SELECT id FROM identities WHERE open_id = $1", key)
    assert (await actor_of(identity)).membership_id == member.membership_id  # the only one there is
    institution = await world.organisation(OrganisationKind.INSTITUTION)
    second = await world.member(institution, Role.HANDLER, person=(member.person_id, member.identity_id, member.open_id))
    assert (await actor_of(identity)).membership_id is None  # two, and none chosen
    await chats.say(key, "余额")
    ctx = chats.listener.heard[-1][0]
    assert [(each["organisation_kind"], each["is_acting"]) for each in await list_choices(ctx)] == [
        ("enterprise", False), ("institution", False),
    ]
    await choose_membership(ctx, second.membership_id)
    found = await actor_of(identity)
    assert (found.organisation_id, found.role, found.organisation_kind) == (institution, "handler", "institution")
    assert await world.value("SELECT membership_id FROM sessions WHERE id = (SELECT min(id) FROM sessions)") == member.membership_id


async def test_a_membership_that_has_ended_falls_back_to_the_one_that_is_left(chats):
    world, member = chats.world, await chats.world.enterprise()
    key = await chats.bound(member)
    institution = await world.organisation(OrganisationKind.INSTITUTION)
    second = await world.member(institution, Role.HANDLER, person=(member.person_id, member.identity_id, member.open_id))
    await chats.say(key, "余额")
    ctx = chats.listener.heard[-1][0]
    await choose_membership(ctx, second.membership_id)
    end = "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1"
    await world.owner.execute(end, second.membership_id, world.clock.now())
    await chats.say(key, "余额")
    assert chats.listener.heard[-1][0].actor.membership_id == member.membership_id
    await world.owner.execute(end, member.membership_id, world.clock.now())
    await chats.say(key, "余额")
    actor = chats.listener.heard[-1][0].actor
    assert (actor.person_id, actor.membership_id, actor.role) == (member.person_id, None, None)


async def test_nobody_chooses_what_is_not_theirs(chats):
    member, other = await chats.world.enterprise(), await chats.world.enterprise()
    key = await chats.bound(member)
    await chats.say(key, "余额")
    before = await chats.snapshot()
    with pytest.raises(Exception, match="not_found"):
        await choose_membership(chats.listener.heard[-1][0], other.membership_id)
    assert await chats.snapshot() == before
    set_offset(chats.clock_file, chats.world.clock)
