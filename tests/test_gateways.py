"""The platform clients against the simulator, which keeps the platforms' rules, with tokens in a real Valkey."""

import asyncio
import io
import logging
import re
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from pydantic import SecretStr

from bot.console import ConsoleSender
from bot.gateways import Gateways, assemble, open_gateways
from bot.links import HOME, INVITATION, PUBLISHED_PAGES, is_scene
from bot.redis_client import connect
from bot.templates import TEMPLATES, simulator_templates
from bot.tokens import Grant, TokenStore, usable_seconds
from bot.transport import PlatformError, Transport
from handlers.ports import (
    Login,
    LoginRefusedError,
    Message,
    Outcome,
    PlatformDownError,
    PlatformUser,
    Sender,
    SendResult,
    Suggest,
    Verdict,
)
from settings import Mode
from simulator.app import create_app
from tests.test_sms import SIMULATED

STABLE, SEND, NOTICE = "/wechat/cgi-bin/stable_token", "/wechat/cgi-bin/message/subscribe/send", "*/asyncsend_v2"
WECHAT_SECRET, DINGTALK_SECRET = "wechat-secret-f1d5e0", "dingtalk-secret-8a2b91"
AT = "2026-03-02T01:00:00+00:00"
TEMPLATE_IDS = [each.default_id for each in TEMPLATES.values()]


class Platforms:
    """The simulator as a developer's hands see it."""

    def __init__(self, client: TestClient[Any, Any], settings: Any) -> None:
        self.client, self.settings = client, settings

    async def do(self, what: str, /, **body: Any) -> Any:
        async with self.client.post(f"/control/{what}", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def befall(self, path: str, times: int | None = 1, **answer: Any) -> None:
        await self.do("inject", path=path, times=times, answer=answer)

    async def calm(self) -> None:
        async with self.client.delete("/control/inject") as response:
            assert response.status == 200

    async def person(self, name: str, platform: str = "wechat", **more: Any) -> str:
        return str((await self.do("phones", name=name, platform=platform, **more))["id"])

    async def reader(self, name: str) -> str:
        """A WeChat user who has agreed once to every template."""
        key = await self.person(name)
        for start in range(0, len(TEMPLATE_IDS), 5):
            await self.do(f"phones/{key}/consent", template_ids=TEMPLATE_IDS[start:start + 5], answer="accept")
        return key

    async def code(self, key: str, kind: str = "login", **more: Any) -> str:
        return str((await self.do(f"phones/{key}/{kind}-code", **more))["code"])

    async def calls(self, path: str = "*") -> list[dict[str, Any]]:
        async with self.client.get("/control/calls", params={"path": path}) as response:
            return list((await response.json())["calls"])

    async def received(self, key: str) -> list[dict[str, Any]]:
        async with self.client.get(f"/control/phones/{key}/messages") as response:
            return list((await response.json())["messages"])


@pytest.fixture
async def platforms(settings, tmp_path) -> AsyncIterator[Platforms]:
    mark = uuid.uuid4().hex[:12]  # tokens of another test, in the same Valkey, belong to another app
    app = create_app(
        clock_file=tmp_path / "clock", wechat_appid=f"wx{mark}", wechat_secret=WECHAT_SECRET, dingtalk_appkey=f"ding{mark}",
        dingtalk_appsecret=DINGTALK_SECRET, agent_id=7, templates=simulator_templates(), pages=PUBLISHED_PAGES,
        wechat_oa=(f"oa{mark}", WECHAT_SECRET), sms=SIMULATED,
    )
    async with TestClient(TestServer(app)) as client:
        ours = settings.model_copy(update={
            "wechat_api_base_url": str(client.make_url("/wechat")), "wechat_appid": f"wx{mark}",
            "wechat_secret": SecretStr(WECHAT_SECRET), "wechat_oa_appid": f"oa{mark}", "wechat_oa_secret": SecretStr(WECHAT_SECRET),
            "dingtalk_api_base_url": str(client.make_url("/dingtalk")), "dingtalk_oapi_base_url": str(client.make_url("/oapi")),
            "dingtalk_appkey": f"ding{mark}", "dingtalk_appsecret": SecretStr(DINGTALK_SECRET), "dingtalk_agent_id": 7,
        })
        yield Platforms(client, ours)


@pytest.fixture
async def ours(platforms, servers) -> AsyncIterator[Gateways]:
    async with open_gateways(platforms.settings, servers.redis_url) as gateways:
        yield gateways


@pytest.fixture
async def other_process(platforms, servers) -> AsyncIterator[Gateways]:
    """A second set of everything that a process has of its own."""
    async with open_gateways(platforms.settings, servers.redis_url) as gateways:
        yield gateways


@pytest.fixture
async def hasty(platforms, servers) -> AsyncIterator[Gateways]:
    """Gives up after a fifth of a second."""
    settings = platforms.settings.model_copy(update={"platform_timeout_seconds": 0.2})
    async with open_gateways(settings, servers.redis_url) as gateways:
        yield gateways


def message(open_id: str, kind: str = "order_accepted", **more: Any) -> Message:
    fields = {"order_number": "QF2026030200000000000001", "service": "财税服务", "time": AT, "hint": "", "reason": "资料不全"}
    usual = {"title": "订单已接单", "body": "服务机构已接单", "page": "pages/orders/show?id=1", "fields": fields}
    return Message(**{"kind": kind, "open_id": open_id, "reference": uuid.uuid4().hex[:8], **usual, **more})


async def failure_of(call: Awaitable[object]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await call
    return caught.value


# --- one contract for all implementations --------------------------------------------------------------------------------


@dataclass
class Peer:
    login: Login
    sender: Sender
    hands: Platforms
    name: str

    async def person(self, name: str) -> str:
        return await (self.hands.reader(name) if self.name == "wechat" else self.hands.person(name, "dingtalk"))

    async def login_code(self, name: str) -> str:
        return await self.hands.code(await self.person(name))

    async def phone_code(self, key: str) -> str:
        return await self.hands.code(key, "phone")


@pytest.fixture(params=["wechat", "dingtalk"])
def remote(request, ours, platforms) -> Peer:
    channel = {"wechat": "wechat_subscribe", "dingtalk": "dingtalk_notice"}[request.param]
    return Peer(ours.logins[request.param], ours.senders[channel], platforms, request.param)


async def test_a_code_tells_who_somebody_is_and_the_same_person_is_the_same_again(remote):
    key = await remote.person("张三")
    first, again = [await remote.login.exchange(await remote.login_code("张三")) for _ in range(2)]
    assert first == again
    assert first.open_id == key
    assert (await remote.login.exchange(await remote.login_code("李四"))).open_id != key


@pytest.mark.parametrize("code", ["", "no-such-code", "验证码", "x" * 5000, "a\nb"])
async def test_a_code_that_is_none_is_refused(remote, code):
    with pytest.raises(LoginRefusedError):
        await remote.login.exchange(code)


async def test_a_person_who_agrees_gives_a_phone_number(remote):
    key = await remote.person("张三")
    number = await remote.login.phone(await remote.phone_code(key), key)
    assert len(number) == 11
    assert number.startswith("138")


async def test_a_message_reaches_the_person(remote):
    key = await remote.person("张三")
    result = await remote.sender.send(message(key))
    if result.outcome is Outcome.ACCEPTED:
        result = await remote.sender.receipt(result.provider_id or "")
    assert result.outcome is Outcome.DELIVERED
    assert [each["link"] for each in await remote.hands.received(key)] == [
        {"wechat": "pages/orders/show?id=1", "dingtalk": "eapp://pages/orders/show?id=1"}[remote.name],
    ]


@pytest.mark.parametrize("text", ["", "\n", "👨‍👩‍👧", "券" * 3000, "\ud83d", "\x00"])
async def test_no_text_is_too_odd_to_be_sent(remote, text):
    key = await remote.person("张三")
    fields = dict.fromkeys(("order_number", "service", "time", "hint"), text)
    result = await remote.sender.send(message(key, title=text, body=text, fields=fields))
    assert result.outcome in {Outcome.DELIVERED, Outcome.ACCEPTED}
    assert result.error is None


async def test_a_platform_that_is_down_is_not_a_refused_code(remote):
    code = await remote.login_code("张三")
    for answer in ({"status": 503, "body": "Service Unavailable"}, {"errcode": -1}, {"html": True}, {"status": 200, "json": {}}):
        await remote.hands.befall("/*/jscode2session" if remote.name == "wechat" else "*/getuserinfo", **answer)
        with pytest.raises(PlatformDownError):
            await remote.login.exchange(code)
    assert await remote.login.exchange(code)


async def test_a_code_whose_answer_was_lost_is_used_up_and_a_fresh_one_works(remote):
    code = await remote.login_code("张三")
    await remote.hands.befall("/*/jscode2session" if remote.name == "wechat" else "*/getuserinfo", drop_answer=True)
    # aiohttp repeats a GET on a connection that was kept, and then WeChat says "used".
    with pytest.raises((PlatformDownError, LoginRefusedError)):
        await remote.login.exchange(code)
    with pytest.raises(LoginRefusedError):
        await remote.login.exchange(code)
    assert await remote.login.exchange(await remote.login_code("张三"))


@pytest.mark.parametrize(("answer", "error"), [
    ({"status": 502, "body": "Bad Gateway"}, "http_502 not an answer of the interface"),
    ({"errcode": -1, "errmsg": "system error"}, "-1 system error"),
    ({"drop_answer": True}, "answer_lost ServerDisconnectedError"),
    ({"status": 200, "body": "OK"}, "malformed status 200, 2 bytes that are not a JSON object"),
    ({"status": 200, "json": {"errcode": "odd"}}, "malformed errcode is not a number"),
    ({"status": 302, "body": ""}, "http_302 not an answer of the interface"),
    ({"status": 200, "json": {}}, "malformed no errcode in the answer"),
    ({"status": 404, "json": {"message": "not found"}}, "malformed no errcode in the answer"),
])
async def test_a_message_that_met_a_disturbance_is_sent_later(remote, answer, error):
    key = await remote.person("张三")
    await remote.hands.befall(SEND if remote.name == "wechat" else NOTICE, **answer)
    assert await remote.sender.send(message(key)) == SendResult(Outcome.RETRY, error=error)


async def test_an_endpoint_that_is_not_there_is_worth_a_retry(servers, platforms):
    nowhere = platforms.settings.model_copy(update={
        "wechat_api_base_url": "http://127.0.0.1:9", "dingtalk_oapi_base_url": "http://127.0.0.1:9",
    })
    async with open_gateways(nowhere, servers.redis_url) as gateways:
        for channel in ("wechat_subscribe", "dingtalk_notice"):
            result = await gateways.senders[channel].send(message("nobody"))
            assert (result.outcome, result.error) == (Outcome.RETRY, "unreachable ClientConnectorError")
        for login in gateways.logins.values():
            with pytest.raises(PlatformDownError):
                await login.exchange("code")


async def test_mail_and_sms_are_there_as_far_as_they_are_set_up(servers, platforms):
    ready = {"smtp_url": SecretStr("smtps://mx.example.cn"), "sms_secret_id": "AKID"}
    serious = {"mode": Mode.PRODUCTION}
    found = {}
    for name, values in (("development", {}), ("development, set up", ready), ("production", serious), ("both", {**serious, **ready})):
        async with open_gateways(platforms.settings.model_copy(update=values), servers.redis_url) as gateways:
            senders = gateways.senders
            found[name] = [type(senders[channel]).__name__ if channel in senders else None for channel in ("email", "sms")]
    assert found == {
        "development": ["ConsoleSender", "ConsoleSender"], "development, set up": ["MailSender", "TencentSms"],
        "production": [None, None], "both": ["MailSender", "TencentSms"],
    }


# --- access tokens (traps 1 to 8) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
async def test_a_token_that_is_always_refused_costs_one_more_token_and_a_clean_error(ours, platforms, errcode):
    key = await platforms.reader("张三")
    await platforms.befall(SEND, None, errcode=errcode, errmsg="invalid credential")
    result = await ours.senders["wechat_subscribe"].send(message(key))
    assert (result.outcome, result.error) == (Outcome.RETRY, f"{errcode} invalid credential")
    assert result.retry_after_seconds == 60
    assert len(await platforms.calls(SEND)) == 2
    assert len(await platforms.calls(STABLE)) == 2


@pytest.mark.parametrize("errcode", [40001, 42001])
async def test_a_token_that_ended_is_replaced_and_nothing_is_lost(ours, platforms, errcode):
    key = await platforms.reader("张三")
    await ours.wechat.tokens.get()
    await platforms.do("expire-tokens", errcode=errcode)
    result = await ours.senders["wechat_subscribe"].send(message(key))
    assert result.outcome is Outcome.DELIVERED
    assert len(await platforms.calls(STABLE)) == 2


async def test_two_cold_processes_with_fifty_sends_each_fetch_one_token_and_lose_nothing(ours, other_process, platforms):
    people = [await platforms.reader(f"用户{number}") for number in range(100)]
    senders = [ours.senders["wechat_subscribe"], other_process.senders["wechat_subscribe"]]
    results = await asyncio.gather(*(senders[number % 2].send(message(key)) for number, key in enumerate(people)))
    assert {each.outcome for each in results} == {Outcome.DELIVERED}
    assert len(await platforms.calls(STABLE)) == 1
    assert await platforms.calls("/wechat/cgi-bin/token") == []


async def test_when_a_token_dies_under_two_busy_processes_one_of_them_fetches_the_next(ours, other_process, platforms):
    people = [await platforms.reader(f"用户{number}") for number in range(40)]
    assert await ours.wechat.tokens.get() == await other_process.wechat.tokens.get()
    await platforms.do("expire-tokens", errcode=40001)
    senders = [ours.senders["wechat_subscribe"], other_process.senders["wechat_subscribe"]]
    results = await asyncio.gather(*(senders[number % 2].send(message(key)) for number, key in enumerate(people)))
    assert {each.outcome for each in results} == {Outcome.DELIVERED}
    assert len(await platforms.calls(STABLE)) == 2


async def test_a_token_is_never_refreshed_by_force(ours, platforms):
    await platforms.befall(SEND, None, errcode=40001)
    for _ in range(3):
        await ours.senders["wechat_subscribe"].send(message("o"))
    assert {call["body"]["force_refresh"] for call in await platforms.calls(STABLE)} == {False}


@pytest.fixture
async def redis(servers) -> AsyncIterator[Any]:
    client = connect(servers.redis_url)
    yield client
    await client.aclose()


class Issuer:
    """A platform that issues t1, t2, ... with the given seconds, and says how often it was asked."""

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.asked = list(seconds), 0

    async def __call__(self) -> Grant:
        self.asked += 1
        return Grant(f"t{self.asked}", self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0])


async def test_a_slow_refresh_does_not_overwrite_a_newer_token(redis):
    app, started, go_on = uuid.uuid4().hex, asyncio.Event(), asyncio.Event()

    async def slow() -> Grant:
        started.set()
        await go_on.wait()
        return Grant("older", 7200)

    async def quick() -> Grant:
        return Grant("newer", 7200)

    late = asyncio.create_task(TokenStore(app, slow, redis).get())
    await started.wait()
    await redis.delete(f"qifuquan:token-lock:{app}")  # as if the slow process had been frozen for longer than its lock
    assert await TokenStore(app, quick, redis).get() == "newer"
    go_on.set()
    assert await late == "newer"
    assert await redis.get(f"qifuquan:token:{app}") == "newer"


async def test_only_the_token_that_failed_is_forgotten(redis):
    app, issuer = uuid.uuid4().hex, Issuer(7200)
    ours, theirs = TokenStore(app, issuer, redis), TokenStore(app, issuer, redis)
    assert await ours.get() == await theirs.get() == "t1"
    await ours.refused("t1")
    assert await ours.get() == "t2"
    await theirs.refused("t1")
    assert await theirs.get() == "t2"
    assert issuer.asked == 2


async def test_a_refused_token_that_is_still_in_redis_is_not_taken_from_there_again(redis):
    app, issuer = uuid.uuid4().hex, Issuer(7200)
    store = TokenStore(app, issuer, redis)
    assert await store.get() == "t1"
    await store.refused("t1")
    await redis.set(f"qifuquan:token:{app}", "t1", px=60_000)
    assert await store.get() == "t2"
    assert await redis.get(f"qifuquan:token:{app}") == "t2"


async def test_a_token_is_not_used_beyond_the_seconds_that_it_was_given():
    now, issuer = [0.0], Issuer(345, 7200)
    store = TokenStore("app", issuer, None, monotonic=lambda: now[0])
    assert await store.get() == "t1"
    now[0] = 284
    assert await store.get() == "t1"
    now[0] = 285
    assert await store.get() == "t2"
    now[0] = 7000
    assert await store.get() == "t2"
    assert issuer.asked == 2


async def test_the_shared_token_ends_with_its_seconds_too(redis):
    app = uuid.uuid4().hex
    await TokenStore(app, Issuer(345), redis).get()
    assert 0 < await redis.pttl(f"qifuquan:token:{app}") <= 285_000


async def test_a_token_of_five_minutes_is_fetched_once_and_not_with_every_call(redis):
    app, issuer = uuid.uuid4().hex, Issuer(300)
    for store in (TokenStore(app, issuer, redis), TokenStore(app, issuer, redis), TokenStore("x", issuer, None)):
        for _ in range(10):
            await store.get()
    assert issuer.asked == 2  # one for the two that share it, one for the one alone


@pytest.mark.parametrize(("expires_in", "seconds"), [(7200, 7140), (345, 285), (300, 240), (60, 30), (1, 1), (0, 1), (-5, 1)])
def test_a_token_always_lasts_a_little_and_never_to_its_end(expires_in, seconds):
    assert usable_seconds(expires_in) == seconds


async def test_a_fetch_that_never_answers_fails_all_who_wait_at_once_and_holds_up_nobody_else(hasty, platforms):
    key = await platforms.reader("张三")
    await platforms.befall(STABLE, None, hang=True)
    results = await asyncio.gather(*(hasty.senders["wechat_subscribe"].send(message(key)) for _ in range(20)))
    assert set(results) == {SendResult(Outcome.RETRY, error="timeout no answer in time")}
    assert len(await platforms.calls(STABLE)) == 1
    assert (await hasty.logins["wechat"].exchange(await platforms.code(key))).open_id == key
    await platforms.calm()
    assert (await hasty.senders["wechat_subscribe"].send(message(key))).outcome is Outcome.DELIVERED


async def test_a_caller_that_gives_up_does_not_take_the_fetch_away_from_the_others():
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Grant:
        started.set()
        await go_on.wait()
        return Grant("t1", 7200)

    store = TokenStore("app", slow, None)
    impatient, patient = asyncio.create_task(store.get()), asyncio.create_task(store.get())
    await started.wait()
    impatient.cancel()
    go_on.set()
    assert await patient == "t1"


async def test_without_redis_each_process_has_its_own_token_and_fetches_it_once(capsys):
    away, issuer = connect("redis://:redis-password@127.0.0.1:9/0"), Issuer(7200)
    store = TokenStore("app", issuer, away)
    with structlog.testing.capture_logs() as logs:
        assert [await store.get() for _ in range(3)] == ["t1"] * 3
        await store.refused("t1")
        assert await store.get() == "t2"
    await away.aclose()
    assert issuer.asked == 2
    assert {(each["event"], each["error"]) for each in logs} == {("redis_away", "ConnectionError")}


async def test_a_frozen_redis_holds_nobody_up():
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as frozen:
        port = frozen.sockets[0].getsockname()[1]
        client = connect(f"redis://127.0.0.1:{port}/0")
        assert await TokenStore("app", Issuer(7200), client).get() == "t1"
        await client.aclose()


async def test_redis_that_goes_away_between_lock_and_store_does_not_cost_the_token(redis):
    app = uuid.uuid4().hex

    async def fetch_while_it_goes() -> Grant:
        await redis.set(f"qifuquan:token:{app}", "x")
        await redis.delete(f"qifuquan:token:{app}")
        await redis.lpush(f"qifuquan:token:{app}", "not a text")  # every script on the key now fails
        return Grant("t1", 7200)

    assert await TokenStore(app, fetch_while_it_goes, redis).get() == "t1"


async def test_no_secret_is_in_any_error_or_log_line(ours, platforms, servers, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    key = await platforms.reader("张三")
    ding = await platforms.person("李四", "dingtalk")
    known = [await ours.wechat.tokens.get(), await ours.dingtalk.tokens.get(), WECHAT_SECRET, DINGTALK_SECRET]
    code = await platforms.code(key)
    errors: list[BaseException] = []
    with structlog.testing.capture_logs() as logs:
        for answer in (
            {"drop_answer": True}, {"html": True}, {"ban": True}, {"status": 502, "body": known[0]},
            {"status": 500, "json": {"message": f"token {known[0]}"}},
            {"errcode": 40013, "errmsg": f"bad access_token={known[0]}&secret={WECHAT_SECRET} {code}"},
            {"errcode": 88, "errmsg": f"appsecret: {DINGTALK_SECRET}"},
        ):
            for path in ("/wechat/*", "/oapi/*"):
                await platforms.befall(path, None, **answer)
            results = [
                await ours.senders["wechat_subscribe"].send(message(key)),
                await ours.senders["dingtalk_notice"].send(message(ding)),
                await ours.senders["dingtalk_notice"].receipt("1"),
            ]
            errors += [RuntimeError(each.error) for each in results]
            for call in (
                ours.logins["wechat"].exchange(code), ours.logins["dingtalk"].exchange(code), ours.wechat.code2session(code),
                ours.wechat.phone_number(code, key), ours.wechat.mini_program_code("i.1", HOME),
                ours.wechat._stable_token(), ours.dingtalk._get_token(),
            ):
                try:
                    await call
                except (PlatformError, LoginRefusedError, PlatformDownError) as error:
                    errors.append(error)
            await platforms.calm()
    server = ("aiohttp.access", "aiohttp.server", "aiohttp.web")  # the simulator's own
    told = [each.getMessage() for each in caplog.records if not each.name.startswith(server)]
    told += [repr(each) for each in logs] + list(capsys.readouterr())
    told += ["".join(traceback.format_exception(each)) + repr(each) + repr(each.__context__) for each in errors]
    assert len(errors) == 7 * 10
    for secret in (*known, code):
        assert [each for each in told if secret in each] == []


async def test_an_error_about_garbage_does_not_carry_the_address_with_its_token():
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 what?\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server, Transport(3) as transport:
        port = server.sockets[0].getsockname()[1]
        error = await failure_of(transport.call("POST", f"http://127.0.0.1:{port}/", params={"access_token": "token-5f1d"}, body={}))
    assert error.code == "answer_lost"
    assert "token-5f1d" not in "".join(traceback.format_exception(error)) + repr(error.__context__)


# --- WeChat: log-in and phone number (traps 9 to 14) ----------------------------------------------------------------------


async def test_a_login_needs_neither_errcode_nor_unionid_nor_a_json_content_type(ours, platforms):
    key = await platforms.person("张三", unionid=None)
    user = await ours.logins["wechat"].exchange(await platforms.code(key))
    assert user == PlatformUser(platforms.settings.wechat_appid, key, None)
    bound = await platforms.person("李四", unionid="o-union")
    assert (await ours.logins["wechat"].exchange(await platforms.code(bound))).union_id == "o-union"


async def test_log_in_sends_no_access_token_and_fetches_none(ours, platforms):
    await ours.logins["wechat"].exchange(await platforms.code(await platforms.person("张三")))
    [call] = await platforms.calls("/wechat/*")
    assert call["query"].keys() == {"appid", "secret", "js_code", "grant_type"}


@pytest.mark.parametrize("platform", ["wechat", "dingtalk"])
async def test_a_code_that_is_posted_twice_is_refused_the_second_time(ours, platforms, platform):
    code = await platforms.code(await platforms.person("张三", platform))
    await ours.logins[platform].exchange(code)
    with pytest.raises(LoginRefusedError):
        await ours.logins[platform].exchange(code)


@pytest.mark.parametrize("platform", ["wechat", "dingtalk"])
async def test_a_code_that_is_older_than_five_minutes_is_refused(ours, platforms, platform):
    code = await platforms.code(await platforms.person("张三", platform))
    await platforms.do("clock", advance_seconds=301)
    with pytest.raises(LoginRefusedError):
        await ours.logins[platform].exchange(code)


async def test_the_session_key_goes_no_further_than_the_client(ours, platforms):
    key = await platforms.person("张三")
    session = await ours.wechat.code2session(await platforms.code(key))
    user = await ours.logins["wechat"].exchange(await platforms.code(key))
    assert session["session_key"]
    assert {user.app_id, user.open_id, user.union_id} == {platforms.settings.wechat_appid, key, session["unionid"]}


async def test_a_user_whom_the_platform_blocks_is_refused(ours, platforms):
    await platforms.befall("*/jscode2session", errcode=40226, errmsg="code blocked")
    with pytest.raises(LoginRefusedError):
        await ours.logins["wechat"].exchange("code")


async def test_the_code_of_a_login_gives_no_phone_number(ours, platforms):
    key = await platforms.person("张三")
    with pytest.raises(LoginRefusedError):
        await ours.logins["wechat"].phone(await platforms.code(key), key)


async def test_the_phone_code_of_somebody_else_is_refused_and_still_works_for_its_owner(ours, platforms):
    owner, other = await platforms.person("张三", mobile="13911112222"), await platforms.person("李四")
    code = await platforms.code(owner, "phone")
    with pytest.raises(LoginRefusedError):
        await ours.logins["wechat"].phone(code, other)
    assert await ours.logins["wechat"].phone(code, owner) == "13911112222"


async def test_a_phone_number_that_was_given_to_another_app_is_refused(ours, platforms):
    key = await platforms.person("张三")
    code = await platforms.code(key, "phone", watermark_appid="wx-another")
    with pytest.raises(LoginRefusedError):
        await ours.logins["wechat"].phone(code, key)


@pytest.mark.parametrize(("country_code", "number"), [(86, "13911112222"), ("86", "13911112222"), (852, "+85213911112222")])
async def test_the_country_code_may_be_a_number_or_a_text(ours, platforms, country_code, number):
    key = await platforms.person("张三", mobile="13911112222", country_code=country_code)
    assert await ours.logins["wechat"].phone(await platforms.code(key, "phone"), key) == number


# --- WeChat: subscribe messages (traps 15 to 19, 26, 27) ------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(TEMPLATES))
async def test_each_kind_of_message_is_taken_with_all_fields_and_with_none(ours, platforms, kind):
    full = {each.field: {"time": AT, "date": "2026-12-31", "amount": "5000.00"}.get(each.type, f"很长很长的{each.label}" * 9)
            for each in TEMPLATES[kind].keywords}
    for name, fields in (("张三", full), ("李四", {})):
        key = await platforms.reader(name)
        result = await ours.senders["wechat_subscribe"].send(message(key, kind, fields=fields, page=""))
        assert result == SendResult(Outcome.DELIVERED)
        [shown] = await platforms.received(key)
        assert shown["title"] == TEMPLATES[kind].title
        assert [label for label, _ in shown["fields"]] == [each.label for each in TEMPLATES[kind].keywords]


async def test_the_phone_shows_the_time_of_shanghai(ours, platforms):
    key = await platforms.reader("张三")
    fields = {"order_number": "QF2026030200000000000001", "service": "财税服务", "time": "2026-03-02T23:30:00+00:00"}
    await ours.senders["wechat_subscribe"].send(message(key, fields=fields))
    [shown] = await platforms.received(key)
    assert shown["fields"] == [
        ["订单编号", "QF2026030200000000000001"], ["服务名称", "财税服务"],
        ["接单时间", "2026年3月3日 07:30"], ["温馨提示", "无"],
    ]


async def test_no_consent_is_one_attempt_and_no_alarm(ours, platforms):
    key = await platforms.person("张三")
    with structlog.testing.capture_logs() as logs:
        result = await ours.senders["wechat_subscribe"].send(message(key))
    assert result.outcome is Outcome.NO_CONSENT
    assert (result.error or "").startswith("43101 user refuse to accept the msg rid: ")
    assert len(await platforms.calls(SEND)) == 1
    assert [each["log_level"] for each in logs] == ["debug"]


@pytest.mark.parametrize("errcode", [43107, 40003, 40037, 41030, 45168, 47003])
async def test_an_error_that_stays_is_final(ours, platforms, errcode):
    key = await platforms.reader("张三")
    await platforms.befall(SEND, errcode=errcode, errmsg="no")
    assert await ours.senders["wechat_subscribe"].send(message(key)) == SendResult(Outcome.REFUSED, error=f"{errcode} no")


@pytest.mark.parametrize(("errcode", "wait"), [(-1, 0), (45011, 60), (43108, 1), (45009, 3600), (48001, 60), (40164, 60), (47001, 0)])
async def test_an_error_that_passes_or_can_be_repaired_is_tried_again(ours, platforms, errcode, wait):
    key = await platforms.reader("张三")
    await platforms.befall(SEND, errcode=errcode, errmsg="no")
    result = await ours.senders["wechat_subscribe"].send(message(key))
    assert result == SendResult(Outcome.RETRY, error=f"{errcode} no", retry_after_seconds=wait)


async def test_of_two_messages_at_once_to_one_person_the_second_is_sent_later(ours, platforms):
    key = await platforms.reader("张三")
    await platforms.do("limits", wechat_send_seconds=0.1)
    results = await asyncio.gather(*(ours.senders["wechat_subscribe"].send(message(key)) for _ in range(2)))
    assert sorted((each.outcome, each.retry_after_seconds) for each in results) == [(Outcome.DELIVERED, 0), (Outcome.RETRY, 1)]


async def test_a_message_opens_the_released_version_at_a_page_without_a_leading_slash(ours, platforms):
    key = await platforms.reader("张三")
    await ours.senders["wechat_subscribe"].send(message(key, page="/pages/orders/show?id=1"))
    [call] = await platforms.calls(SEND)
    assert (call["body"]["page"], call["body"]["miniprogram_state"], call["body"]["lang"]) == (
        "pages/orders/show?id=1", "formal", "zh_CN",
    )


async def test_a_page_that_is_not_published_is_our_fault_and_says_so(ours, platforms):
    key = await platforms.reader("张三")
    with structlog.testing.capture_logs() as logs:
        result = await ours.senders["wechat_subscribe"].send(message(key, page="pages/nowhere"))
    assert result.outcome is Outcome.REFUSED
    assert [(each["event"], each["code"], each["log_level"]) for each in logs] == [("message_refused", 41030, "error")]


async def test_a_kind_without_a_template_is_refused_without_a_call(ours, platforms):
    result = await ours.senders["wechat_subscribe"].send(message("o", "unheard_of"))
    assert result == SendResult(Outcome.REFUSED, error="no template for this kind")
    assert await platforms.calls() == []


async def test_a_template_id_of_the_platform_replaces_the_simulators(platforms):
    async with Transport(3) as transport:
        ours = assemble(platforms.settings, transport, None, {"order_accepted": "tmpl_order_closed"})
        key = await platforms.reader("张三")
        await ours.senders["wechat_subscribe"].send(message(key))
    [call] = await platforms.calls(SEND)
    assert call["body"]["template_id"] == "tmpl_order_closed"


# --- WeChat: codes, links, content (traps 28 to 31) and wechatpy ----------------------------------------------------------


async def test_a_mini_program_code_is_a_picture(ours):
    picture = Image.open(io.BytesIO(await ours.wechat.mini_program_code("i." + "x" * 24, HOME)))
    assert picture.size == (430, 430)


@pytest.mark.parametrize("scene", ["", "36c77950-4e3e-4e6c-beb8-af1f0bd55878", "a%20b", "邀请", "x" * 33, "scancode_time=1", "a b"])
async def test_a_scene_that_the_platform_would_not_take_is_not_asked_for(ours, platforms, scene):
    assert not is_scene(scene)
    assert (await failure_of(ours.wechat.mini_program_code(scene, HOME))).code == 40129
    assert await platforms.calls() == []


async def test_what_is_given_to_the_rules_is_a_picture_or_an_error_and_never_the_platforms_json(ours):
    drawn = await ours.codes.draw("i." + "x" * 24, INVITATION)
    assert Image.open(io.BytesIO(drawn)).size == (430, 430)
    for scene, page in (("i." + "x" * 31, INVITATION), ("i.1", "pages/nowhere")):
        with pytest.raises(PlatformDownError):
            await ours.codes.draw(scene, page)


@pytest.mark.parametrize(("arguments", "errcode"), [
    ({"page": "pages/nowhere"}, 41030), ({"page": HOME, "env_version": "beta"}, 40097), ({"page": HOME, "width": 99}, 40097),
])
async def test_an_error_of_the_code_interface_is_raised_and_not_taken_for_a_picture(ours, arguments, errcode):
    assert (await failure_of(ours.wechat.mini_program_code("i.1", **arguments))).code == errcode


async def test_a_link_ends_within_thirty_days(ours, platforms):
    link = await ours.wechat.url_link(f"/{HOME}", "id=1", days=30)
    assert await platforms.do("open-link", url_link=link) == {"target": f"{HOME}?id=1"}
    assert [(await failure_of(ours.wechat.url_link(HOME, "", days=days))).code for days in (0, 31)] == [85401, 85401]
    assert (await failure_of(ours.wechat.url_link(HOME, "名=1", days=1))).code == 40212
    assert len(await platforms.calls("*/generate_urllink")) == 1


@pytest.mark.parametrize(("text", "verdict"), [
    ("服务很好", Suggest.PASS), ("加微信详谈", Suggest.REVIEW), ("代开发票", Suggest.RISKY),
])
async def test_the_verdict_on_a_text_is_in_the_result_and_not_in_errcode(ours, platforms, text, verdict):
    key = await platforms.person("张三")
    assert (await ours.wechat.check_text(key, 2, text)).suggest is verdict


async def test_a_verdict_that_nobody_knows_is_one_for_a_human(ours, platforms):
    await platforms.befall("*/msg_sec_check", status=200, json={"errcode": 0, "result": {"suggest": "new"}})
    assert await ours.wechat.check_text("o", 2, "文字") == Verdict(Suggest.REVIEW)


async def test_a_text_of_somebody_who_left_two_hours_ago_is_neither_passed_nor_blocked(ours, platforms):
    key = await platforms.person("张三")
    await platforms.do("clock", advance_seconds=7300)
    error = await failure_of(ours.wechat.check_text(key, 2, "文字"))
    assert (error.code, error.retryable) == (61010, False)


async def test_the_content_check_carries_the_platforms_label_and_trace(ours, platforms):
    key = await platforms.person("张三")
    verdict = await ours.content_check.check(key, 2, "代开发票")
    assert (verdict.suggest, verdict.label, verdict.error) == (Suggest.RISKY, 20006, None)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){2}", verdict.trace_id)


async def test_the_documented_answer_with_errcode_0_and_a_risky_result_blocks(ours, platforms):
    sample = {
        "errcode": 0, "errmsg": "ok", "result": {"suggest": "risky", "label": 20001}, "trace_id": "60ae120f-371d5872-7941a05b",
        "detail": [{"strategy": "content_model", "errcode": 0, "suggest": "risky", "label": 20006, "prob": 90},
                   {"strategy": "keyword", "errcode": 0, "suggest": "pass", "label": 20006, "level": 20, "keyword": "词"}],
    }
    await platforms.befall("*/msg_sec_check", status=200, json=sample)
    assert await ours.content_check.check("o", 2, "文字") == Verdict(Suggest.RISKY, 20001, "60ae120f-371d5872-7941a05b")


@pytest.mark.parametrize("answer", [
    {"errcode": 61010, "errmsg": "code is expired"}, {"errcode": 44991, "errmsg": "minute"}, {"errcode": -1, "errmsg": "system"},
    {"errcode": 40003, "errmsg": "invalid openid"}, {"errcode": 48001, "errmsg": "api unauthorized"}, {"status": 502, "body": "bad"},
    {"html": True}, {"hang": True},
])
async def test_what_is_no_verdict_is_unknown_and_neither_a_pass_nor_an_error(ours, platforms, answer):
    key = await platforms.person("张三")
    await platforms.befall("*/msg_sec_check", **answer)
    verdict = await ours.content_check.check(key, 2, "文字")
    assert (verdict.suggest, verdict.label) == (Suggest.UNKNOWN, None)
    assert verdict.error


async def test_a_text_of_somebody_idle_is_unknown_until_the_app_is_opened_again(ours, platforms):
    key = await platforms.person("张三")
    await platforms.do("clock", advance_seconds=7300)
    assert (await ours.content_check.check(key, 2, "文字")).error.startswith("61010")
    await platforms.code(key)
    assert (await ours.content_check.check(key, 2, "文字")).suggest is Suggest.PASS


async def test_the_methods_of_wechatpy_are_awaited(ours, platforms):
    key = await platforms.reader("张三")
    texts = {"character_string1": "1", "thing2": "财税服务", "time3": "09:00", "thing4": "无"}
    data = {name: {"value": text} for name, text in texts.items()}
    assert (await ours.wechat.wxa.send_subscribe_message(key, "tmpl_order_accepted", data, HOME))["errcode"] == 0
    assert (await failure_of(ours.wechat.wxa.send_subscribe_message("nobody", "tmpl_order_accepted", data, HOME))).code == 40003
    assert (await ours.wechat.wxa.code_to_session(await platforms.code(key)))["openid"] == key
    assert (await ours.wechat.wxa.get_wxa_code_unlimited("i.1", page=HOME))[:3] == b"\xff\xd8\xff"
    await platforms.befall("*/menu/create", status=200, json={"errcode": 0, "errmsg": "ok"})
    menu = {"button": [{"type": "click", "name": "我的券包", "key": "wallet"}]}
    assert (await ours.wechat.menu.create(menu))["errcode"] == 0
    [call] = await platforms.calls("*/menu/create")
    assert call["body"] == menu


async def test_what_wechatpy_would_do_with_a_blocking_session_is_not_possible(ours, tmp_path):
    assert not hasattr(ours.wechat, "_http")
    for blocking in (lambda: ours.wechat.access_token, ours.wechat.fetch_access_token):
        with pytest.raises(AttributeError):
            blocking()
    with pytest.raises(TypeError):
        await ours.wechat.post("media/upload", files={"media": b""})
    with pytest.raises(ValueError, match="the token goes nowhere else"):
        await ours.wechat.get("https://example.com/cgi-bin/x")


# --- DingTalk (traps 48 to 52) --------------------------------------------------------------------------------------------


async def test_a_login_of_dingtalk_gives_the_userid_of_the_organisation(ours, platforms):
    key = await platforms.person("李四", "dingtalk", unionid="union-1")
    user = await ours.logins["dingtalk"].exchange(await platforms.code(key))
    assert user == PlatformUser(platforms.settings.dingtalk_appkey, key, "union-1")


async def test_a_person_whom_dingtalk_does_not_know_has_no_phone_number(ours):
    with pytest.raises(LoginRefusedError):
        await ours.logins["dingtalk"].phone("", "nobody")


async def test_two_processes_share_the_token_of_dingtalk_apart_from_that_of_wechat(ours, other_process, platforms):
    values = {await each.dingtalk.tokens.get() for each in (ours, other_process)}
    assert len(values) == 1
    assert values != {await ours.wechat.tokens.get()}
    assert len(await platforms.calls("/oapi/gettoken")) == 1


async def test_a_token_of_dingtalk_that_ended_is_replaced(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    await ours.dingtalk.tokens.get()
    await platforms.do("expire-tokens")
    assert (await ours.senders["dingtalk_notice"].send(message(key))).outcome is Outcome.ACCEPTED
    assert len(await platforms.calls("/oapi/gettoken")) == 2


@pytest.mark.parametrize("answer", [{"errcode": 40014}, {"errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token"}])
async def test_a_token_of_dingtalk_that_is_always_refused_costs_one_more_token(ours, platforms, answer):
    await platforms.befall(NOTICE, None, **answer)
    result = await ours.senders["dingtalk_notice"].send(message("u1"))
    assert result.outcome is Outcome.RETRY
    assert (result.error or "").startswith("40014 ")
    assert len(await platforms.calls("/oapi/gettoken")) == 2


async def test_a_notice_that_dingtalk_drops_without_a_word_is_not_believed(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    sender, same = ours.senders["dingtalk_notice"], message(key, reference="1")
    first, second = await sender.send(same), await sender.send(same)
    assert [first.outcome, second.outcome] == [Outcome.ACCEPTED] * 2
    assert (await sender.receipt(first.provider_id)).outcome is Outcome.DELIVERED
    assert await sender.receipt(second.provider_id) == SendResult(Outcome.REFUSED, second.provider_id, "not delivered: 143106")
    assert len(await platforms.received(key)) == 1


async def test_two_reminders_on_one_day_differ_and_both_arrive(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    sender = ours.senders["dingtalk_notice"]
    for reference in ("1", "2"):
        sent = await sender.send(message(key, reference=reference))
        assert (await sender.receipt(sent.provider_id)).outcome is Outcome.DELIVERED
    assert [each["fields"][-2] for each in await platforms.received(key)] == [["编号", "1"], ["编号", "2"]]


async def test_a_receipt_that_is_not_known_yet_is_asked_for_later(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    await platforms.do("limits", dingtalk_delivery_seconds=60)
    sender = ours.senders["dingtalk_notice"]
    sent = await sender.send(message(key))
    assert await sender.receipt(sent.provider_id) == SendResult(Outcome.RETRY, sent.provider_id)
    await platforms.do("clock", advance_seconds=60)
    assert (await sender.receipt(sent.provider_id)).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("found", [
    {"invalid_user_id_list": ["u1"]}, {"failed_user_id_list": ["u1"]}, {"forbidden_list": [{"code": 143105, "userid": "u1"}]},
])
async def test_whatever_list_names_the_person_the_notice_did_not_arrive(ours, platforms, found):
    await platforms.befall("*/getsendresult", status=200, json={"errcode": 0, "send_result": found})
    assert (await ours.senders["dingtalk_notice"].receipt("1")).outcome is Outcome.REFUSED


@pytest.mark.parametrize("user", ["u1,u2", "", " "])
async def test_a_userid_that_would_be_two_people_or_nobody_is_refused_without_a_call(ours, platforms, user):
    assert await ours.senders["dingtalk_notice"].send(message(user)) == SendResult(Outcome.REFUSED, error="not a userid")
    assert await platforms.calls() == []


async def test_a_chinese_text_of_seven_hundred_characters_is_taken(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    assert (await ours.senders["dingtalk_notice"].send(message(key, body="券" * 700))).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("answer", [{"html": True}, {"ban": True}])
@pytest.mark.parametrize("path", [NOTICE, "/oapi/gettoken"])
async def test_an_answer_without_errcode_is_a_ban_of_five_minutes_and_no_success(ours, platforms, answer, path):
    key = await platforms.person("李四", "dingtalk")
    await platforms.befall(path, **answer)
    result = await ours.senders["dingtalk_notice"].send(message(key))
    assert (result.outcome, result.retry_after_seconds) == (Outcome.RETRY, 300)
    assert await platforms.received(key) == []


@pytest.mark.parametrize("errcode", [90018, 90002])
async def test_a_throttled_notice_waits_a_second(ours, platforms, errcode):
    await platforms.befall(NOTICE, errcode=errcode, errmsg="busy")
    result = await ours.senders["dingtalk_notice"].send(message("u1"))
    assert result == SendResult(Outcome.RETRY, error=f"{errcode} busy", retry_after_seconds=1)


@pytest.mark.parametrize("errcode", [33012, 34016, 40035, 40056, 50002, 60121])
async def test_a_notice_that_cannot_be_sent_is_final(ours, platforms, errcode):
    await platforms.befall(NOTICE, errcode=errcode, errmsg="no")
    assert await ours.senders["dingtalk_notice"].send(message("u1")) == SendResult(Outcome.REFUSED, error=f"{errcode} no")


async def test_a_notice_costs_two_calls_of_the_monthly_quota_and_its_end_is_an_alarm(ours, platforms):
    key = await platforms.person("李四", "dingtalk")
    await platforms.do("limits", dingtalk_calls_per_month=2)
    sender = ours.senders["dingtalk_notice"]
    sent = await sender.send(message(key))
    await sender.receipt(sent.provider_id)
    assert len(await platforms.calls("/oapi/topapi/message/*")) == 2
    with structlog.testing.capture_logs() as logs:
        assert (await sender.send(message(key))).outcome is Outcome.REFUSED
    assert [(each["event"], each["code"], each["log_level"]) for each in logs] == [("notice_refused", 90020, "error")]


# --- the rest ---------------------------------------------------------------------------------------------------------------


async def test_the_console_shows_what_was_sent_and_hides_to_whom():
    open_id = "o3Jx7Zk9QwErTy5uIoPa2sDfGh4j"
    with structlog.testing.capture_logs() as logs:
        await ConsoleSender().send(message(open_id, body="一行\n两行"))
    [line] = logs
    assert (line["title"], line["body"], line["page"]) == ("订单已接单", "一行 两行", "pages/orders/show?id=1")
    assert open_id not in repr(line)
