"""The DingTalk robot: by HTTP and by stream, in the chat of the two and in groups, with cards (traps 47, 53-58)."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from bot.answers import track_id
from bot.assembly import works
from bot.dingtalk_api import is_session
from bot.dingtalk_stream import pause_seconds
from bot.talk import Button, Reply, Said
from handlers.bot_cards import forget_cards
from simulator.push_crypto import decrypt, encrypt, hmac_of, sha1_of
from tests.chats import EVENT_KEY, open_chats, until


def robot_body(key, **more):
    return {
        "conversationId": "cid1", "msgId": "msg1", "senderNick": "x", "senderStaffId": key, "conversationType": "1", "msgtype": "text",
        "text": {"content": " 余额"}, "robotCode": "r", "sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=abc",
        "sessionWebhookExpiredTime": 4_000_000_000_000, "createAt": 1_772_413_200_000, **more,
    }


def robot_headers(chats, secret=None, shift_ms=0):
    timestamp = str(int(chats.world.clock.now().timestamp() * 1_000) + shift_ms)
    secret = secret or chats.settings.dingtalk_appsecret.get_secret_value()
    return {"timestamp": timestamp, "sign": hmac_of(secret, f"{timestamp}\n{secret}")}


# --- messages by HTTP ---------------------------------------------------------------------------------------------------


async def test_a_message_to_the_robot_is_answered_in_the_chat_of_the_two(chats):
    member = await chats.world.enterprise()
    key = await chats.bound(member, platform="dingtalk")
    assert await chats.say(key, "待办") == ["收到：待办"]
    sent = (await chats.calls("*/batchSend"))[-1]["body"]
    assert sent["userIds"] == [key]
    assert json.loads(sent["msgParam"]) == {"content": "收到：待办"}  # JSON within JSON (trap 58)


async def test_a_message_that_is_delivered_three_times_is_handled_once(chats):
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    headers = robot_headers(chats)
    assert [(await chats.post("/dingtalk/robot", robot_body(key), **headers))[0] for _ in range(3)] == [200] * 3
    await chats.work()
    assert chats.listener.texts == ["余额"]


async def test_what_is_not_signed_by_dingtalk_within_the_hour_is_refused_without_a_trace(chats):
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    before = await chats.snapshot()
    good = robot_headers(chats)
    wrong = {
        "nothing": {}, "no sign": {"timestamp": good["timestamp"]}, "another secret": robot_headers(chats, "guessed"),
        "too old": robot_headers(chats, shift_ms=-3_600_001), "too new": robot_headers(chats, shift_ms=3_600_001),
        "quoted twice": {**good, "sign": good["sign"].replace("+", "%2B").replace("=", "%3D")},
        "no number": {**good, "timestamp": "soon"},
    }
    for name, headers in wrong.items():
        assert (await chats.post("/dingtalk/robot", robot_body(key), **headers))[0] == 403, name
    for name, body in {"no JSON": "{", "a list": "[]", "no id": robot_body(key, msgId=""), "two people": robot_body("u1,u2")}.items():
        assert (await chats.post("/dingtalk/robot", body, **robot_headers(chats)))[0] == 400, name
    assert (await chats.post("/dingtalk/robot", b" " * 65_537, **robot_headers(chats)))[0] == 413
    await chats.work()
    assert await chats.snapshot() == before


async def test_somebody_from_outside_of_the_corporation_is_told_so_at_once(chats):
    before = await chats.snapshot()
    status, answer = await chats.post("/dingtalk/robot", robot_body(""), **robot_headers(chats))
    assert (status, json.loads(answer)["text"]["content"]) == (200, "本机器人仅为本组织成员提供服务。")
    assert await chats.snapshot() == before


async def test_rich_text_is_read_as_its_words(chats):
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    rich = {"msgtype": "richText", "text": None, "content": {"richText": [{"text": "核价"}, {"type": "picture"}, {"text": "8137"}]}}
    await chats.post("/dingtalk/robot", robot_body(key, **rich), **robot_headers(chats))
    await chats.work()
    assert chats.listener.texts == ["核价 8137"]


async def test_without_a_database_the_robot_says_so_in_its_answer(chats):
    key = await chats.phone("王小明", "dingtalk")
    await chats.world.owner.execute("BEGIN; LOCK TABLE inbound_messages IN SHARE MODE")
    try:
        status, answer = await chats.post("/dingtalk/robot", robot_body(key), **robot_headers(chats))
    finally:
        await chats.world.owner.execute("ROLLBACK")
    assert status == 200
    assert json.loads(answer)["text"]["content"].startswith("系统繁忙")


# --- groups -------------------------------------------------------------------------------------------------------------


async def test_in_a_group_the_others_read_what_is_public_and_nothing_private(chats):
    key, other = await chats.bound(await chats.world.enterprise(), platform="dingtalk"), await chats.phone("旁人", "dingtalk")
    chats.listener.answers = [[Reply("本批次共 30 家"), Reply("您的余额 1000", private=True)]]
    await chats.say(key, "余额", group=[other])
    assert chats.listener.heard[-1][1].in_group is True
    assert await chats.received(other) == ["本批次共 30 家"]
    assert (await chats.received(key))[-2:] == ["本批次共 30 家", "您的余额 1000"]


@pytest.mark.parametrize("webhook", [
    "http://127.0.0.1:22", "http://oapi.dingtalk.com/robot/sendBySession?session=a", "https://oapi.dingtalk.com.evil.cn/robot/sendBySession",
    "https://oapi.dingtalk.com@evil.cn/robot/sendBySession?session=a", "https://oapi.dingtalk.com/topapi/v2/user/get?session=a",
    "https://oapi.dingtalk.com/robot/sendBySession?session=a&x=https://evil",
    "https://oapi.dingtalk.com/robot/sendBySession?session=a\r\nX: y",
    "file:///etc/passwd", "",
])
async def test_no_address_but_dingtalks_own_is_ever_called(chats, webhook):
    """Trap 54: the address comes with the message. The answer goes into the chat of the two instead."""
    assert not is_session(webhook)
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    before = len(await chats.received(key))
    body = robot_body(key, conversationType="2", sessionWebhook=webhook)
    await chats.post("/dingtalk/robot", body, **robot_headers(chats))
    await chats.work()
    assert (await chats.received(key))[before:] == ["收到：余额"]
    assert await chats.calls("*/sendBySession") == []


async def test_a_session_that_is_over_is_not_used(chats):
    key, other = await chats.bound(await chats.world.enterprise(), platform="dingtalk"), await chats.phone("旁人", "dingtalk")
    await chats.push(key, "余额", group=[other])
    chats.advance(minutes=90)
    await chats.work()
    assert await chats.received(other) == []
    assert (await chats.received(key))[-1] == "收到：余额"


# --- partial failures ---------------------------------------------------------------------------------------------------


async def test_a_person_who_gets_too_many_messages_gets_this_one_later(chats):
    """200 with the person in a list is a failure (trap 58)."""
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    await chats.do(f"phones/{key}/flow-control", on=True)
    assert await chats.say(key, "待办") == []
    assert await chats.states() == ["done", "received"]
    await chats.do(f"phones/{key}/flow-control", on=False)
    chats.advance(seconds=1)
    await chats.work()
    assert (await chats.received(key))[-1] == "收到：待办"
    assert chats.listener.texts == ["待办"]


async def test_an_answer_that_dingtalk_does_not_take_at_all_is_in_the_inbox(chats):
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    await chats.befall("*/batchSend", times=None, status=400, json={"code": "chatbotId.notAllow.sendOTO", "message": "no"})
    await chats.say(key, "待办")
    assert (await chats.open_notices())[-1] == "收到：待办"


async def test_the_token_of_the_new_interfaces_has_names_of_its_own_and_is_renewed_once(chats):
    """Trap 47: accessToken and expireIn. A token that was thrown away is fetched again, once."""
    key = await chats.bound(await chats.world.enterprise(), platform="dingtalk")
    await chats.do("expire-tokens")
    assert await chats.say(key, "待办") == ["收到：待办"]
    assert len(await chats.calls("*/oauth2/accessToken")) == 2


# --- cards --------------------------------------------------------------------------------------------------------------

ASK = Reply("企业认证：测试企业", "待审核", "pages/approvals/show?id=7", (Button("通过", "a.1"), Button("驳回", "a.2")), "approval.7")
SETTLED = Reply("已由 张* 10:31 通过", "待审核", card_key="approval.7")


async def cards(chats, key):
    return [each for each in await chats.messages(key) if each["kind"] == "card"]


async def test_a_card_is_made_tapped_and_brought_up_to_date_for_everybody(chats):
    first, second = [await chats.bound(await chats.world.institution(), name, "dingtalk") for name in ("审核甲", "审核乙")]
    for key in (first, second):
        chats.listener.answers.append([ASK])
        await chats.say(key, "待审")
    card, = await cards(chats, first)
    assert (card["title"], card["fields"], card["raw"]["track_id"]) == ("待审核", [["", "企业认证：测试企业"]], f"approval.7.{first}")
    assert [each["title"] for each in card["raw"]["buttons"]] == ["通过", "驳回"]
    assert card["link"] == "https://quan.example.cn/go/pages/approvals/show?id=7"
    chats.listener.answers = [[SETTLED]]
    await chats.do(f"chat/{first}/tap-card", track_id=card["raw"]["track_id"], action="a.2", params={"reason": "缺合同日期"})
    await chats.work()
    saying = chats.listener.heard[-1][1]
    assert (saying.kind, saying.text, saying.values, saying.open_id) == (Said.CARD, "a.2", {"reason": "缺合同日期"}, first)
    for key in (first, second):
        card, = await cards(chats, key)
        assert (card["fields"], card["raw"]["buttons"], card["raw"]["state"]) == ([["", "已由 张* 10:31 通过"]], [], "settled")


async def test_asking_again_shows_the_card_again_at_the_end(chats):
    key = await chats.bound(await chats.world.institution(), platform="dingtalk")
    for _ in range(2):
        chats.listener.answers.append([ASK])
        await chats.say(key, "待审")
    assert [each["raw"]["track_id"] for each in await cards(chats, key)] == [f"approval.7.{key}"] * 2
    assert len(await chats.calls("*/createAndDeliver")) == 1


async def test_a_card_that_dingtalk_has_forgotten_is_made_anew(chats):
    key = await chats.bound(await chats.world.institution(), platform="dingtalk")
    chats.listener.answers.append([ASK])
    await chats.say(key, "待审")
    await chats.befall("*/card/instances", status=400, json={"code": "param.cardNotExist", "message": "no"})
    await chats.befall("*/createAndDeliver", status=200, json={"success": True})
    chats.listener.answers.append([ASK])
    await chats.say(key, "待审")
    assert len(await chats.calls("*/createAndDeliver")) == 2


async def test_a_tap_that_is_delivered_twice_is_one(chats):
    """Trap 56."""
    key = await chats.bound(await chats.world.institution(), platform="dingtalk")
    timestamp = str(int(chats.world.clock.now().timestamp() * 1_000))
    headers = {"x-ddpaas-signature-timestamp": timestamp, "x-ddpaas-signature": hmac_of("cardsecret", timestamp)}
    body = {"outTrackId": "approval.7.x", "userId": key, "content": json.dumps({"cardPrivateData": {"actionIds": ["a.1"], "params": {}}})}
    assert [(await chats.post("/dingtalk/cards", body, **headers))[0] for _ in range(2)] == [200, 200]
    await chats.work()
    assert chats.listener.texts == ["a.1"]


@pytest.mark.parametrize(("change", "status"), [
    ({"content": {"cardPrivateData": {"actionIds": ["a.1"]}}}, 200), ({"content": "{"}, 400), ({"content": "[]"}, 400),
    ({"content": '{"cardPrivateData":{}}'}, 400), ({"userId": ""}, 400), ({"userId": 7}, 200), ({"outTrackId": "x" * 101}, 400),
    ({"content": '{"cardPrivateData":{"actionIds":[],"params":{"action":"a.9"}}}'}, 200),
    ({"content": '{"cardPrivateData":{"actionIds":["' + "a" * 513 + '"]}}'}, 400),
])
async def test_taps_of_every_shape(chats, change, status):
    timestamp = str(int(chats.world.clock.now().timestamp() * 1_000))
    headers = {"x-ddpaas-signature-timestamp": timestamp, "x-ddpaas-signature": hmac_of("cardsecret", timestamp)}
    body = {"outTrackId": "t", "userId": "u1", "content": '{"cardPrivateData":{"actionIds":["a.1"]}}', **change}
    assert (await chats.post("/dingtalk/cards", body, **headers))[0] == status
    assert await chats.world.value("SELECT count(*) FROM inbound_messages") == (status == 200)


async def test_a_tap_that_is_not_signed_is_refused(chats):
    before = await chats.snapshot()
    timestamp = str(int(chats.world.clock.now().timestamp() * 1_000))
    body = {"outTrackId": "t", "userId": "u1", "content": '{"cardPrivateData":{"actionIds":["a.1"]}}'}
    for signature in ("", hmac_of("guessed", timestamp)):
        headers = {"x-ddpaas-signature-timestamp": timestamp, "x-ddpaas-signature": signature}
        assert (await chats.post("/dingtalk/cards", body, **headers))[0] == 403
    assert await chats.snapshot() == before


def test_a_track_id_has_at_most_a_hundred_characters_and_tells_two_people_apart():
    assert track_id("approval.7", "u1") == "approval.7.u1"
    long = [track_id("k" * 90, f"user-{number:020d}") for number in range(3)]
    assert len(set(long)) == 3
    assert max(map(len, long)) <= 100


async def test_cards_are_forgotten_after_thirty_days(chats):
    key = await chats.bound(await chats.world.institution(), platform="dingtalk")
    chats.listener.answers.append([ASK])
    await chats.say(key, "待审")
    chats.world.clock.advance(days=30, microseconds=-1)
    assert await chats.world.sweep(forget_cards) == 0
    chats.world.clock.advance(microseconds=1)
    assert await chats.world.sweep(forget_cards) == 1


# --- events by HTTP -----------------------------------------------------------------------------------------------------


async def test_the_check_of_the_address_is_answered_sealed(chats):
    """Trap 57: `success`, encrypted and signed; the stand-in refuses anything else."""
    key = await chats.phone("王小明", "dingtalk")
    assert await chats.do(f"chat/{key}/event", EventType="check_url") == {"status": 200, "tries": 1, "body": "success"}


async def test_an_event_that_is_forged_or_old_is_refused(chats):
    timestamp = str(int(chats.world.clock.now().timestamp()))
    sealed = encrypt(EVENT_KEY, chats.settings.dingtalk_appkey, '{"EventType":"user_leave_org","UserId":["u1"]}')
    good = {"signature": sha1_of("evtoken", timestamp, "n", sealed), "timestamp": timestamp, "nonce": "n"}
    status, answer = await chats.post("/dingtalk/events", {"encrypt": sealed}, good)  # older consoles call it signature
    assert status == 200
    assert decrypt(EVENT_KEY, json.loads(answer)["encrypt"]) == ("success", chats.settings.dingtalk_appkey)
    before = await chats.snapshot()
    old = str(int(timestamp) - 601)
    for query, body, wanted in (
        ({**good, "signature": "0" * 40}, {"encrypt": sealed}, 403), (good, {"encrypt": sealed[:-4] + "AAAA"}, 403), (good, {}, 403),
        ({"signature": sha1_of("evtoken", old, "n", sealed), "timestamp": old, "nonce": "n"}, {"encrypt": sealed}, 403),
        (good, "nonsense", 400),
    ):
        assert (await chats.post("/dingtalk/events", body, query))[0] == wanted
    assert await chats.snapshot() == before


# --- where taps go ------------------------------------------------------------------------------------------------------


async def test_in_http_mode_a_jobs_process_registers_where_taps_go_until_dingtalk_has_taken_it(chats, monkeypatch):
    monkeypatch.setattr("bot.card_callback.pause_seconds", lambda _: 0)
    ours = chats.settings.model_copy(update={"public_url": str(chats.world.client.make_url("/"))})
    key = await chats.bound(await chats.world.institution(), platform="dingtalk")
    chats.listener.answers.append([ASK])
    await chats.say(key, "待审")
    card, = await cards(chats, key)
    tap = {"track_id": card["raw"]["track_id"], "action": card["raw"]["buttons"][0]["action"]}
    await chats.gateways.dingtalk_api.register_card_callback(f"{ours.public_url}bot/dingtalk/cards", "the secret of last year")
    assert (await chats.do(f"chat/{key}/tap-card", **tap))["status"] == 403
    await chats.befall("*/callbacks/register", times=2, status=500, json={"code": "system.error", "message": "no"})
    stop, before = asyncio.Event(), len(await chats.calls("*/callbacks/register"))
    _, registering = works(ours, chats.world.clock, chats.world.ports, chats.gateways, chats.listener)
    running = asyncio.create_task(registering(stop))

    async def tapped():
        return (await chats.do(f"chat/{key}/tap-card", **tap))["status"] == 200

    await until(tapped)
    assert len(await chats.calls("*/callbacks/register")) == before + 3
    assert not running.done()  # a work of the jobs that ends has broken
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_registering_where_taps_go_stops_while_dingtalk_hangs(chats):
    await chats.befall("*/callbacks/register", times=None, hang=True)
    stop = asyncio.Event()
    _, registering = works(chats.settings, chats.world.clock, chats.world.ports, chats.gateways, chats.listener)
    running = asyncio.create_task(registering(stop))
    await until(lambda: chats.calls("*/callbacks/register"))
    stop.set()
    await asyncio.wait_for(running, 5)


# --- stream mode --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def streaming(database, clock, settings, servers, tmp_path):
    """The bot's works of a jobs process, connected to the gateway."""
    def by_stream(ours):
        return ours.model_copy(update={"dingtalk_mode": "stream", "talk_poll_seconds": 0.02})

    async with open_chats(database, clock, settings, servers.redis_url, tmp_path, by_stream) as chats:
        stop = asyncio.Event()
        runs = works(chats.settings, clock, chats.world.ports, chats.gateways, chats.listener)
        tasks = [asyncio.create_task(run(stop)) for run in runs]
        chats.stream, chats.stop, chats.tasks = runs[1].__self__, stop, tasks
        async with asyncio.timeout(20):
            await chats.stream.connected.wait()
        yield chats
        stop.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


async def answered(chats, key, text):
    async def there():
        return any(each.startswith(text) for each in await chats.received(key))

    await until(there)


async def test_by_stream_a_message_is_acknowledged_kept_and_answered_by_itself(streaming):
    member = await streaming.world.enterprise()
    key = await streaming.phone("王小明", "dingtalk")
    _, shown = await streaming.world.post("/bindings", by=member)
    assert (await streaming.push(key, shown["code"]))["status"] == 200
    await answered(streaming, key, "绑定成功")
    assert (await streaming.push(key, "待办"))["status"] == 200
    await answered(streaming, key, "收到：待办")
    streaming.listener.answers = [[ASK]]
    await streaming.push(key, "待审")
    await answered(streaming, key, "企业认证：测试企业")
    streaming.listener.answers = [[SETTLED]]
    tapped = await streaming.do(f"chat/{key}/tap-card", track_id=f"approval.7.{key}", action="a.1")
    assert tapped["status"] == 200
    await answered(streaming, key, "已由 张* 10:31 通过")
    assert (await streaming.calls("*/createAndDeliver"))[0]["body"]["callbackType"] == "STREAM"
    assert (await streaming.do(f"chat/{key}/event", EventType="check_url"))["body"] == "success"


async def test_when_the_gateway_sends_its_clients_away_they_come_back_by_a_new_ticket(streaming):
    await streaming.do("stream/disconnect")
    async def is_back():
        return len(await streaming.calls("*/connections/open")) == 2 and streaming.stream.connected.is_set()

    await until(is_back)
    key = await streaming.phone("王小明", "dingtalk")
    assert (await streaming.push(key, "余额"))["status"] == 200


async def test_a_frame_that_the_database_does_not_take_is_not_acknowledged(streaming):
    key = await streaming.phone("王小明", "dingtalk")
    await streaming.world.owner.execute("BEGIN; LOCK TABLE inbound_messages IN ACCESS EXCLUSIVE MODE")
    pushing = asyncio.create_task(streaming.push(key, "余额"))
    await until(lambda: streaming.world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    assert not pushing.done()
    await streaming.world.owner.execute("ROLLBACK")
    assert (await pushing)["status"] == 200


async def test_it_stops_within_five_seconds_while_the_gateway_hangs(database, clock, settings, servers, tmp_path):
    """Trap 55."""
    async with open_chats(database, clock, settings, servers.redis_url, tmp_path) as chats:
        await chats.befall("*/connections/open", times=None, hang=True)
        ours = chats.settings.model_copy(update={"dingtalk_mode": "stream"})
        stop = asyncio.Event()
        tasks = [asyncio.create_task(run(stop)) for run in works(ours, clock, chats.world.ports, chats.gateways, chats.listener)]
        await until(lambda: chats.calls("*/connections/open"))
        stop.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


async def test_wrong_credentials_are_asked_for_less_and_less_often(chats):
    from bot.dingtalk_api import DingTalkApi
    from bot.transport import PlatformError

    api = DingTalkApi(chats.gateways.transport, chats.settings.dingtalk_api_base_url, "", "ding-unknown", "x", None)
    with pytest.raises(PlatformError, match="invalidClientIdOrSecret"):
        await api.open_stream([{"type": "EVENT", "topic": "*"}])
    waits = [pause_seconds(failures) for failures in range(1, 12)]
    assert all(1 <= wait <= 90 for wait in waits)
    assert waits[0] < 1.5 + 1e-9
    assert waits[-1] >= 60


async def test_no_secret_of_a_ticket_is_in_an_error(chats):
    from bot.dingtalk_api import DingTalkApi
    from bot.transport import PlatformError

    body = {"code": "system.error", "message": "clientSecret sesame-8a2b91 is wrong"}
    await chats.befall("*/connections/open", status=401, json=body)
    secret = SecretStr("sesame-8a2b91").get_secret_value()
    api = DingTalkApi(chats.gateways.transport, chats.settings.dingtalk_api_base_url, "", "d", secret, None)
    with pytest.raises(PlatformError) as raised:
        await api.open_stream([{"type": "EVENT", "topic": "*"}])
    assert "sesame" not in str(raised.value)
