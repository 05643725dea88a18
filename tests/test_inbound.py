"""What the platforms push: verified, kept once, answered in time, worked off by whoever is there (decision 0180, traps 33-44)."""

import asyncio
import json
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from bot.crypto import PushCrypto, PushRefusedError, check_card, check_moment, check_robot, robot_signature
from bot.passive import cdata, passive_xml, split_text, without_markup
from bot.pushes import read_push, word
from bot.talk import Reply, Said
from handlers import inbound
from handlers.inbound import forget_handled, release_expired
from simulator.push_crypto import decrypt, encrypt, hmac_of, sha1_of
from simulator.pushing import to_xml
from tests.chats import OA_KEY, PUSH_KEY, until

PATIENCE_SECONDS = 60
TEXT = {"ToUserName": "gh_simulator", "FromUserName": "oForged0001", "CreateTime": 1, "MsgType": "text", "Content": "余额", "MsgId": 7}


def sealed(chats, fields, *, token="oatoken", key=OA_KEY, app=None, at=None, as_json=False):
    """(query, body) of a push to the Official Account's address."""
    timestamp, nonce = str(int((at or chats.world.clock.now()).timestamp())), "n0nce"
    content = json.dumps(fields) if as_json else to_xml(fields)
    encrypted = encrypt(key, app or chats.settings.wechat_oa_appid, content)
    query = {"signature": sha1_of(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce,
             "msg_signature": sha1_of(token, timestamp, nonce, encrypted), "encrypt_type": "aes"}
    wrapped = {"ToUserName": "gh_simulator", "Encrypt": encrypted}
    return query, json.dumps(wrapped) if as_json else to_xml(wrapped)


# --- there and back -----------------------------------------------------------------------------------------------------


async def test_a_message_to_the_official_account_is_kept_understood_and_answered(chats):
    member = await chats.world.enterprise()
    key = await chats.bound(member)
    assert await chats.say(key, "我还有多少券") == ["收到：我还有多少券"]
    ctx, saying = chats.listener.heard[-1]
    assert (ctx.actor.person_id, ctx.actor.organisation_id) == (member.person_id, member.organisation_id)
    assert (saying.platform, saying.open_id, saying.kind, saying.in_group) == ("wechat_oa", key, "text", False)


async def test_what_was_said_is_gone_when_it_has_been_answered(chats):
    key = await chats.bound(await chats.world.enterprise())
    assert (await chats.push(key, "我的身份证号是秘密"))["status"] == 200
    waiting = await chats.world.one("SELECT * FROM inbound_messages WHERE state = 'received'")
    assert "秘密".encode() not in waiting["payload"]
    await chats.work()
    rows = await chats.world.owner.fetch("SELECT state, payload, answer, finished_at IS NOT NULL AS finished FROM inbound_messages")
    assert {tuple(row) for row in rows} == {("done", None, None, True)}


async def test_a_tapped_menu_entry_is_its_key(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.do(f"chat/{key}/tap-menu", key="wallet")
    await chats.work()
    saying = chats.listener.heard[-1][1]
    assert (saying.kind, saying.text) == (Said.MENU, "wallet")


async def test_a_picture_is_answered_and_not_understood(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.do(f"chat/{key}/event", MsgType="image", PicUrl="http://x", MediaId="m", MsgId=99)
    await chats.work()
    assert (await chats.received(key))[-1].startswith("暂时只能看懂文字")
    assert chats.listener.heard == []


async def test_the_recognised_text_of_a_voice_message_is_understood(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.do(f"chat/{key}/event", MsgType="voice", MediaId="m", Recognition="我的订单", MsgId=98)
    await chats.work()
    assert chats.listener.texts == ["我的订单"]


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_mini_program_pushes_xml_or_json(chats, as_json):
    await chats.do("pushes", json=as_json)
    key = await chats.phone("李雷", "wechat")
    member = await chats.world.enterprise()
    _, shown = await chats.world.post("/bindings", by=member)
    assert (await chats.say(key, shown["code"]))[0].startswith("绑定成功")
    assert await chats.say(key, "余额") == ["收到：余额"]
    assert chats.listener.heard[-1][1].platform == "wechat"


def test_a_nul_that_json_can_hold_and_the_database_cannot_is_dropped_where_fields_are_read():
    assert word(read_push(b'{"EventKey": "wal\\u0000let"}'), "EventKey") == "wallet"


# --- one effect, however often ------------------------------------------------------------------------------------------


async def test_a_message_that_is_pushed_three_times_is_handled_once_and_thanked_for_each_time(chats):
    key = await chats.bound(await chats.world.enterprise())
    fields = TEXT | {"FromUserName": key, "CreateTime": int(chats.world.clock.now().timestamp())}
    query, body = sealed(chats, fields)
    assert [await chats.post("/wechat/oa", body, query) for _ in range(3)] == [(200, "success")] * 3
    await chats.work()
    assert await chats.post("/wechat/oa", body, query) == (200, "success")  # also after it has been handled
    await chats.work()
    assert chats.listener.texts == ["余额"]
    assert (await chats.received(key)).count("收到：余额") == 1


async def test_two_events_of_one_second_are_two(chats):
    """Events have no MsgId (trap 41), and some servers send a zero."""
    key = await chats.bound(await chats.world.enterprise())
    now = int(chats.world.clock.now().timestamp())
    common = {"ToUserName": "g", "FromUserName": key, "CreateTime": now, "MsgType": "event", "MsgId": 0}
    for fields in ({"Event": "CLICK", "EventKey": "wallet"}, {"Event": "CLICK", "EventKey": "orders"},
                   {"Event": "CLICK", "EventKey": "wallet"}):
        query, body = sealed(chats, common | fields)
        assert (await chats.post("/wechat/oa", body, query))[0] == 200
    await chats.work()
    assert chats.listener.texts == ["wallet", "orders"]


async def test_a_first_try_that_fails_is_not_swallowed(chats):
    """Trap 42: the mark of having been seen must not outlive a failed first try."""
    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [RuntimeError("broken")]
    assert await chats.say(key, "我的订单") == []
    assert await chats.states() == ["done", "done", "received"]
    chats.advance(seconds=1)
    await chats.work()
    assert (await chats.received(key))[-1] == "收到：我的订单"
    assert chats.listener.texts == ["我的订单", "我的订单"]


@pytest.mark.parametrize("column", ["payload", "answer"])
async def test_a_message_that_does_not_open_has_failed_at_once_and_those_beside_it_are_answered(chats, column):
    keys = [await chats.bound(await chats.world.enterprise(), name) for name in ("甲", "乙")]
    for key in keys:
        assert (await chats.push(key, "余额"))["status"] == 200
    first = "(SELECT min(id) FROM inbound_messages WHERE state = 'received')"
    await chats.world.owner.execute(f"UPDATE inbound_messages SET {column} = '\\x00' WHERE id = {first}")
    broken = await chats.world.value(f"SELECT {first}")
    await chats.work()
    row = await chats.world.one(f"SELECT * FROM inbound_messages WHERE id = {broken}")
    assert (row["state"], row["error"], row["attempts"], row["payload"], row["answer"]) == ("failed", "does not open", 1, None, None)
    assert [(await chats.received(key))[-1].startswith("收到") for key in keys] == [False, True]


async def test_after_five_failed_tries_the_person_is_told_and_the_text_is_gone(chats):
    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [RuntimeError("broken")] * 5
    await chats.say(key, "我的订单")
    for seconds in (*inbound.RETRY_SECONDS[:-1], inbound.RETRY_SECONDS[-1]):
        chats.advance(seconds=seconds - 1)
        await chats.work()
        chats.advance(seconds=1)
        await chats.work()
    assert len(chats.listener.heard) == 5
    assert (await chats.received(key))[-1].startswith("抱歉，刚才的消息没有处理成功")
    row = await chats.world.one("SELECT * FROM inbound_messages ORDER BY id DESC LIMIT 1")
    assert (row["state"], row["payload"], row["answer"], row["error"]) == ("failed", None, None, "RuntimeError")


async def test_a_conversation_is_not_repeated_when_only_the_sending_fails(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.befall("*/message/custom/send", errcode=-1)
    assert await chats.say(key, "确认完成") == []
    chats.advance(seconds=1)
    await chats.work()
    assert (await chats.received(key))[-1] == "收到：确认完成"
    assert chats.listener.texts == ["确认完成"]


async def test_a_long_answer_goes_on_where_it_was_interrupted(chats):
    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [[Reply("甲" * 682 + "乙" * 682 + "丙")]]
    await chats.befall("*/message/custom/send", times=1, delay=0)
    await chats.befall("*/message/custom/send", times=1, errcode=-1)
    before = len(await chats.received(key))
    await chats.say(key, "报表")
    assert (await chats.received(key))[before:] == ["甲" * 682]
    chats.advance(seconds=1)
    await chats.work()
    assert (await chats.received(key))[before:] == ["甲" * 682, "乙" * 682, "丙"]


async def test_what_one_person_says_is_handled_in_its_order_and_others_do_not_wait(chats):
    first, second = await chats.bound(await chats.world.enterprise()), await chats.bound(await chats.world.institution(), "韩梅梅")
    chats.listener.answers = [RuntimeError("broken")]
    for key, text in ((first, "预约"), (first, "确认"), (second, "余额")):
        await chats.push(key, text)
    await chats.work()
    assert chats.listener.texts == ["预约", "余额"]
    chats.advance(seconds=1)
    await chats.work()
    assert chats.listener.texts == ["预约", "余额", "预约", "确认"]


async def test_a_worker_that_dies_leaves_its_message_to_another(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.push(key, "余额")
    taken, = await inbound.claim(chats.world.context(), 10)
    assert await inbound.claim(chats.world.context(), 10) == []
    chats.advance(seconds=60)
    assert await chats.world.sweep(release_expired) == 1
    await chats.work()
    assert chats.listener.texts == ["余额"]
    # The dead one comes back: it holds nothing any more.
    assert await inbound.finish(chats.world.context(), taken) is False
    assert await inbound.keep_answer(chats.world.context(), taken, {}) is False


async def test_a_worker_that_is_cancelled_leaves_nothing_running_and_its_message_to_another(chats):
    key = await chats.bound(await chats.world.enterprise())
    told: asyncio.Queue[str] = asyncio.Queue()

    async def ponder(_ctx, _saying):
        told.put_nowait("begun")
        try:
            await asyncio.Event().wait()
        finally:
            told.put_nowait("ended")

    chats.worker._converse = ponder
    await chats.push(key, "余额")
    running = asyncio.create_task(chats.worker.run(asyncio.Event()))
    assert await asyncio.wait_for(told.get(), PATIENCE_SECONDS) == "begun"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert told.get_nowait() == "ended"
    chats.worker._converse = chats.listener
    chats.advance(seconds=60)
    assert await chats.world.sweep(release_expired) == 1
    await chats.work()
    assert chats.listener.texts == ["余额"]


async def test_a_message_that_kills_every_worker_is_given_up(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.push(key, "余额")
    for _ in range(5):
        assert len(await inbound.claim(chats.world.context(), 10)) == 1
        chats.advance(seconds=60)
        assert await chats.world.sweep(release_expired) == 1
    assert await chats.states() == ["done", "done", "failed"]
    assert await chats.world.value("SELECT count(*) FROM inbound_messages WHERE payload IS NOT NULL") == 0


async def test_two_workers_never_have_the_same_message(chats):
    keys = [await chats.follower(f"员工{number}") for number in range(8)]
    for key in keys:
        await chats.push(key, "余额")
    taken = await asyncio.gather(*(inbound.claim(chats.world.context(), 3) for _ in range(4)))
    ids = [each.id for batch in taken for each in batch]
    assert len(ids) == len(set(ids)) == 8


async def test_handled_messages_are_forgotten_after_a_week_and_no_earlier(chats):
    await chats.follower()
    finished = await chats.world.value("SELECT finished_at FROM inbound_messages")
    chats.world.clock.set(finished + timedelta(days=7) - timedelta(microseconds=1))
    assert await chats.world.sweep(forget_handled) == 0
    chats.world.clock.set(finished + timedelta(days=7))
    assert await chats.world.sweep(forget_handled) == 1


# --- in time, whatever the database does --------------------------------------------------------------------------------


@pytest.fixture
async def blocked(chats):
    """Somebody holds the table: an insert waits until this ends."""
    chats.worker = None
    await chats.world.owner.execute("BEGIN; LOCK TABLE inbound_messages IN SHARE MODE")
    yield chats
    if chats.world.owner.is_in_transaction():
        await chats.world.owner.execute("ROLLBACK")


async def test_a_message_is_answered_without_a_database_that_hangs_and_comes_in_later(blocked, chats):
    """The answer is there while the insert is still waiting: it cannot have come from it."""
    fields = TEXT | {"CreateTime": int(chats.world.clock.now().timestamp())}
    query, body = sealed(chats, fields)
    status, answer = await chats.post("/wechat/oa", body, query)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'inbound_messages'::regclass"
    assert await chats.world.value(waiting) == 1
    assert status == 200
    root = ET.fromstring(answer)
    said, app = decrypt(OA_KEY, root.findtext("Encrypt"))
    assert root.findtext("MsgSignature") == sha1_of("oatoken", root.findtext("TimeStamp"), "n0nce", root.findtext("Encrypt"))
    assert app == chats.settings.wechat_oa_appid
    reply = ET.fromstring(said)
    assert reply.findtext("ToUserName") == "oForged0001"
    assert reply.findtext("Content").startswith("系统繁忙，正在处理您的消息。")
    await chats.world.owner.execute("ROLLBACK")
    await until(chats.states)
    assert await chats.states() == ["received"]
    # And the same message, sent again as we asked or pushed again by the platform, is the same.
    assert await chats.post("/wechat/oa", body, query) == (200, "success")
    assert await chats.states() == ["received"]


async def test_an_event_that_the_database_did_not_take_is_not_thanked_for_so_that_it_is_pushed_again(blocked, chats):
    fields = {"ToUserName": "g", "FromUserName": "oForged0001", "CreateTime": int(chats.world.clock.now().timestamp()),
              "MsgType": "event", "Event": "subscribe", "EventKey": ""}
    query, body = sealed(chats, fields)
    assert (await chats.post("/wechat/oa", body, query))[0] == 503


# --- forged, replayed, malformed, huge ----------------------------------------------------------------------------------


def forged(chats):
    """Pushes that are wrong in one thing each: (name, query, body, status)."""
    now = int(chats.world.clock.now().timestamp())
    fields = TEXT | {"CreateTime": now}
    query, body = sealed(chats, fields)
    other_query, other_body = sealed(chats, fields | {"Content": "别的", "MsgId": 8})
    return [
        ("signature of another body", query | {"msg_signature": other_query["msg_signature"]}, body, 403),
        # Trap 33: `signature` is right and says nothing of the body.
        ("tampered body", query, other_body, 403),
        ("no msg_signature", {key: value for key, value in query.items() if key != "msg_signature"}, body, 403),
        ("plain body", query, to_xml(fields), 403),  # trap 34
        ("mixed body", query, to_xml(fields | {"Encrypt": "AAAA"}), 403),
        ("wrong token", *sealed(chats, fields, token="guessed"), 403),
        ("wrong key", *sealed(chats, fields, key=PUSH_KEY), 403),
        ("another app", *sealed(chats, fields, app="wx-another"), 403),  # trap 35
        ("ten minutes old", *sealed(chats, fields, at=chats.world.at(minutes=-10, seconds=-1)), 403),  # trap 37
        ("from the future", *sealed(chats, fields, at=chats.world.at(minutes=10, seconds=1)), 403),
        ("no timestamp", query | {"timestamp": ""}, body, 403),
        ("timestamp in other digits", query | {"timestamp": "１７７２４１３２００"}, body, 403),
        ("no XML", query, "<xml><ToUser", 400),
        ("no sender", *sealed(chats, {"MsgType": "text", "Content": "x", "MsgId": 1}), 400),
        ("a sender that is none", *sealed(chats, fields | {"FromUserName": "a b"}), 400),
        ("entities", query, '<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>', 400),  # trap 38
        ("empty", query, "", 400),
        ("binary", query, "\x00\x01\x02", 400),
        ("deep", query, "<xml>" + "<a>" * 50 + "</a>" * 50 + "</xml>", 400),
        ("many", query, "<xml>" + "<a/>" * 5000 + "</xml>", 400),
        ("huge", query, "<xml>" + "a" * 65_536 + "</xml>", 413),
    ]


async def test_what_is_not_from_the_platform_is_refused_and_leaves_no_trace(chats, caplog):
    await chats.follower()
    before = await chats.snapshot()
    answers = {name: await chats.post("/wechat/oa", body, query) for name, query, body, _ in forged(chats)}
    assert {name: status for name, (status, _) in answers.items()} == {name: status for name, _, _, status in forged(chats)}
    assert not any("Traceback" in text or "余额" in text or "wx-another" in text for _, text in answers.values())
    await chats.work()
    assert await chats.snapshot() == before
    assert chats.listener.heard == []


@pytest.mark.parametrize("seconds", [-600, 600])
async def test_a_push_at_the_edge_of_the_window_is_taken(chats, seconds):
    query, body = sealed(chats, TEXT | {"MsgId": 5}, at=chats.world.at(seconds=seconds))
    assert await chats.post("/wechat/oa", body, query) == (200, "success")


async def test_a_compressed_body_is_refused(chats):
    query, body = sealed(chats, TEXT)
    assert (await chats.post("/wechat/oa", body, query, **{"Content-Encoding": "gzip"}))[0] == 415


async def test_a_plain_push_is_taken_only_where_the_settings_say_so(database, clock, settings, servers, tmp_path):
    from tests.chats import open_chats

    def plain(ours):
        return ours.model_copy(update={"wechat_push_mode": "plain"})

    async with open_chats(database, clock, settings, servers.redis_url, tmp_path, plain) as chats:
        await chats.do("pushes", plain=True)
        key = await chats.follower()
        assert (await chats.say(key, "余额"))[0].startswith("您还没有绑定账号")
        timestamp = str(int(clock.now().timestamp()))
        query = {"signature": sha1_of("guessed", timestamp, "n"), "timestamp": timestamp, "nonce": "n"}
        assert (await chats.post("/wechat/oa", to_xml(TEXT), query))[0] == 403


async def test_the_console_checks_the_address(chats):
    timestamp = str(int(chats.world.clock.now().timestamp()))
    for path, token in (("oa", "oatoken"), ("miniapp", "mptoken")):
        query = {"signature": sha1_of(token, timestamp, "n"), "timestamp": timestamp, "nonce": "n", "echostr": "<b>4375120948345356249"}
        async with chats.world.client.get(f"/bot/wechat/{path}", params=query) as answer:
            assert (answer.status, answer.content_type, await answer.text()) == (200, "text/plain", "<b>4375120948345356249")
        async with chats.world.client.get(f"/bot/wechat/{path}", params=query | {"signature": "0" * 40}) as answer:
            assert (answer.status, "4375" in await answer.text()) == (403, False)


async def test_an_event_that_nobody_needs_is_thanked_for_and_forgotten(chats):
    key = await chats.follower()
    before = await chats.snapshot()
    for event in ({"Event": "VIEW", "EventKey": "https://x"}, {"Event": "LOCATION", "Latitude": "23.1"}, {"Event": "MASSSENDJOBFINISH"}):
        assert (await chats.do(f"chat/{key}/event", MsgType="event", **event))["body"] == "success"
    assert await chats.snapshot() == before


# --- the platforms' own vectors -----------------------------------------------------------------------------------------

ENCRYPTED = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7"
    "vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1"
    "kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
)
MESSAGE = (
    '{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event",'
    '"Event":"debug_demo","debug_str":"hello world"}'
)
WECHAT = PushCrypto("AAAAA", "A" * 43, "wxba5fad812f8e6fb9")
DINGTALK = PushCrypto("123456", "1234567890123456789012345678901234567890123", "dingsnotzck6pm5veliw")


def test_the_vectors_of_wechat():
    WECHAT.check_plain("f464b24fc39322e44b38aa78f5edd27bd1441696", "1714036504", "1514711492")
    WECHAT.check_plain("899cf89e464efb63f54ddac96b0a0a235f53aa78", "1714037059", "486452656")
    assert WECHAT.open("046e02f8204d34f8ba5fa3b1db94908f3df2e9b3", "1714112445", "415670741", ENCRYPTED).decode() == MESSAGE
    made = WECHAT.seal('{"demo_resp":"good luck"}', "1713424427", "415670741", random="707722b803182950")
    assert made.encrypt == "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
    assert made.signature == "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"


def test_the_vectors_of_dingtalk():
    encrypted = "YvkvaGe4hQxd3VxRmEty0dVlnCOAqwf56xwTRHDHoOURqhalbmBJQk5FNcRk42Gl5T0YQXZNwpwWSm1xAFJ5ZA=="
    assert DINGTALK.open("9a95a004dd16f5c307e849b994173f76aa26e5eb", "1614767836", "A7Co0cJLMzIDtMMI", encrypted) == b"success"
    assert robot_signature("this is a secret", "1577262236757") == "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="


@pytest.mark.parametrize("signature", ["signature", "046e02f8204d34f8ba5fa3b1db94908f3df2e9b4", "", "é" * 40])
def test_a_signature_that_is_not_of_this_body_opens_nothing(signature):
    given = {"signature": "6c5c811b55cc85e0e1b54100749188c20beb3f5d"}.get(signature, signature)
    with pytest.raises(PushRefusedError, match="signature"):
        WECHAT.open(given, "1714112445", "415670741", ENCRYPTED)


@pytest.mark.parametrize(("plain", "reason"), [
    (b"r" * 16 + (5).to_bytes(4, "big") + b"hello" + b"wxba5fad812f8e6fb8", "app"),
    (b"r" * 16 + (5).to_bytes(4, "big") + b"hello", "app"),
    (b"r" * 16 + (500).to_bytes(4, "big") + b"hello" + b"wxba5fad812f8e6fb9", "length"),
    (b"r" * 16 + b"\xff\xff\xff\xff", "length"),
    (b"r" * 19, "padding"),
    (b"", "padding"),
])
def test_a_message_that_is_sealed_and_signed_but_not_made_right_opens_nothing(plain, reason):
    import base64

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = base64.b64decode("A" * 43 + "=")
    pad = 32 - len(plain) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    encrypted = base64.b64encode(encryptor.update(plain + bytes((pad,)) * pad) + encryptor.finalize()).decode()
    with pytest.raises(PushRefusedError, match=reason):
        WECHAT.open(sha1_of("AAAAA", "1", "n", encrypted), "1", "n", encrypted)


@pytest.mark.parametrize("encrypted", ["", "A", "AAAA", "====", "not base64!", "QUFB" * 8, "QUFBQUFBQUFBQUFBQUFBQQ==", "全角"])
def test_a_signed_text_that_is_no_ciphertext_is_one_kind_of_error(encrypted):
    with pytest.raises(PushRefusedError):
        WECHAT.open(sha1_of("AAAAA", "1", "n", encrypted), "1", "n", encrypted)


def test_padding_is_checked_to_its_last_byte():
    """wechatpy believes the last byte alone, and takes 0 and 255."""
    import base64

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = base64.b64decode("A" * 43 + "=")
    for tail in (b"\x00", b"\xff", b"\x21", b"\x02"):
        plain = (b"r" * 16 + (3).to_bytes(4, "big") + b"abc" + b"wxba5fad812f8e6fb9").ljust(63, b"\x01") + tail
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        encrypted = base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()
        with pytest.raises(PushRefusedError, match="padding"):
            WECHAT.open(sha1_of("AAAAA", "1", "n", encrypted), "1", "n", encrypted)


def test_dingtalk_signs_the_moment_within_an_hour(clock):
    now = clock.now()
    for shift, is_good in ((-3_600_000, True), (3_600_000, True), (-3_600_001, False), (3_600_001, False)):
        timestamp = str(int(now.timestamp() * 1_000) + shift)
        for check, signature in ((check_robot, hmac_of("s", f"{timestamp}\ns")), (check_card, hmac_of("s", timestamp))):
            if is_good:
                check(signature, timestamp, "s", now)
                with pytest.raises(PushRefusedError, match="signature"):
                    check(signature[:-2] + "A=", timestamp, "s", now)
            else:
                with pytest.raises(PushRefusedError, match="stale"):
                    check(signature, timestamp, "s", now)


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "１２３", "9" * 16, " 1", "1.5"])
def test_a_moment_that_is_none_is_refused(clock, timestamp):
    with pytest.raises(PushRefusedError, match="timestamp"):
        check_moment(timestamp, clock.now(), 600)


# --- text that stays text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a]]><MsgType>x", "]]>", "]]]]>>", "<a>&amp;", "正常 \U0001f600", "nul\x00\x08\ud800byte", "]" * 9])
def test_a_passive_text_is_one_text_whatever_stands_in_it(text):
    """Trap 39: what closes the section must not become elements of ours."""
    root = ET.fromstring(passive_xml("to", "from", text, 1))
    assert [child.tag for child in root] == ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"]
    assert root.findtext("MsgType") == "text"
    assert root.findtext("Content") == "".join(each for each in text if each not in "\x00\x08\ud800")


def test_cdata_of_an_end_of_a_section():
    assert cdata("a]]>b") == "<![CDATA[a]]]]><![CDATA[>b]]>"


def test_a_long_text_is_cut_between_characters_by_bytes():
    parts = split_text("券" * 700)
    assert parts == ["券" * 682, "券" * 18]
    assert all(len(part.encode()) <= 2_048 for part in parts)
    assert split_text("a" + "😀" * 600)[0] == "a" + "😀" * 511
    assert split_text("行" * 600 + "\n" + "尾" * 200) == ["行" * 600, "尾" * 200]
    assert split_text("短") == ["短"]


def test_a_name_with_markup_makes_no_link():
    assert without_markup('<a href="http://evil">点我</a>') == '＜a href="http://evil"＞点我＜/a＞'
