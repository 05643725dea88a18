"""One contract for everything that sends: what each platform does to a call ends as sent, for later, or final, and never otherwise.

A cell that another module has already stands in `elsewhere`, with the name of that module. Mail, which is no HTTP, is in
tests/test_mail.py; what one platform alone can say (its codes, its waits) is in the modules of the features.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.dingtalk_api import SESSION_URL
from bot.gateways import Gateways
from bot.links import HOME
from bot.sms import TencentSms
from bot.tokens import TokenStore
from bot.transport import PlatformError
from handlers.ports import Outcome, SendResult, Suggest, Verdict
from tests.test_gateways import Platforms, hasty, message, ours, platforms  # noqa: F401 - fixtures
from tests.test_sms import ACCOUNT, IDS, MESSAGE

SENT, LATER, FINAL = "sent", "later", "final"
ENDINGS = {
    Outcome.DELIVERED: SENT, Outcome.ACCEPTED: SENT, Outcome.RETRY: LATER, Outcome.REFUSED: FINAL, Outcome.NO_CONSENT: FINAL,
}
# What may befall any call -> what it is called. After the last three the platform may have done what was asked.
DISTURBANCES: dict[str, tuple[dict[str, Any], str]] = {
    "a page": ({"html": True}, "html"),
    "no JSON": ({"status": 200, "body": "OK"}, "malformed"),
    "JSON that says nothing": ({"status": 200, "json": {}}, "malformed"),
    "a redirect": ({"status": 302, "json": {"message": "moved"}}, "http_302"),
    "502": ({"status": 502, "body": "Bad Gateway"}, "http_502"),
    "503 in JSON": ({"status": 503, "json": {"message": "later"}}, "http_503"),
    "an answer that is lost": ({"drop_answer": True}, "answer_lost"),
}
TOKEN_REFUSED: dict[str, dict[str, Any]] = {
    "wechat": {"errcode": 40001, "errmsg": "invalid credential"}, "oa": {"errcode": 42001, "errmsg": "expired"},
    "dingtalk": {"errcode": 40014, "errmsg": "invalid"},
    "dingtalk_api": {"status": 400, "json": {"code": "InvalidAuthentication", "message": "invalid"}},
}
CARD, DATA = "approval.7.u1", {"title": "待审核", "buttons": "[]"}
Send = Callable[[Gateways, str], Awaitable[object]]


@dataclass(frozen=True)
class Way:
    """`app`: whose token it carries, "" for none; `phone`: on which platform its reader is, "" for nobody.

    `send` gets what `reader` finds: the reader's id, with `of_notice` the number of a notice that was sent.
    """

    path: str
    send: Send
    app: str
    phone: str = ""
    elsewhere: frozenset[str] = frozenset()
    of_notice: bool = False


async def make_scene(gateways: Gateways, _: str) -> None:
    """A scene that is not made is simply not there; why, only the log says."""
    with capture_logs() as logs:
        if await gateways.scenes.make("b.1", 60) is None:
            raise PlatformError(logs[-1]["code"], "", retryable=True)


async def send_sms(gateways: Gateways, base_url: str) -> SendResult:
    return await TencentSms(gateways.transport, base_url, ACCOUNT, IDS).send(MESSAGE)


# tests/test_gateways.py: test_a_message_that_met_a_disturbance_is_sent_later, and the tests of tokens.
IN_GATEWAYS = frozenset({"no JSON", "JSON that says nothing", "502", "an answer that is lost", "a token that ended", "a token refused"})
WAYS: dict[str, Way] = {
    "subscribe message": Way(
        "/wechat/cgi-bin/message/subscribe/send", lambda to, key: to.senders["wechat_subscribe"].send(message(key)),
        "wechat", "wechat", IN_GATEWAYS,
    ),
    "template message": Way(
        "/wechat/cgi-bin/message/template/send", lambda to, key: to.senders["wechat_oa_template"].send(message(key)),
        "oa", "wechat_oa", frozenset({"an answer that is lost"}),  # tests/test_oa_template.py
    ),
    "customer service": Way(
        "/wechat/cgi-bin/message/custom/send", lambda to, key: to.oa.send_service(key, "您有 3 张券"), "oa", "wechat_oa",
    ),
    "mini-program code": Way("/wechat/wxa/getwxacodeunlimit", lambda to, _: to.wechat.mini_program_code("i.1", HOME), "wechat"),
    "URL link": Way("/wechat/wxa/generate_urllink", lambda to, _: to.wechat.url_link(HOME, "id=1", days=1), "wechat"),
    "URL scheme": Way("/wechat/wxa/generatescheme", lambda to, _: to.wechat.url_scheme(HOME, "id=1", days=1), "wechat"),
    "QR code with a scene": Way("/wechat/cgi-bin/qrcode/create", make_scene, "oa"),
    "content check": Way(
        "/wechat/wxa/msg_sec_check", lambda to, key: to.content_check.check(key, 2, "服务很好"), "wechat", "wechat",
        frozenset({"502", "a page", "no answer"}),  # tests/test_gateways.py
    ),
    "work notice": Way(
        "/oapi/topapi/message/corpconversation/asyncsend_v2", lambda to, key: to.senders["dingtalk_notice"].send(message(key)),
        "dingtalk", "dingtalk", IN_GATEWAYS | {"a page"},
    ),
    "receipt": Way(
        "/oapi/topapi/message/corpconversation/getsendresult", lambda to, task: to.senders["dingtalk_notice"].receipt(task),
        "dingtalk", "dingtalk", of_notice=True,
    ),
    "recall": Way(
        "/oapi/topapi/message/corpconversation/recall", lambda to, task: to.recallers["dingtalk_notice"].recall(task),
        "dingtalk", "dingtalk", of_notice=True,
    ),
    "robot message": Way(
        "/dingtalk/v1.0/robot/oToMessages/batchSend", lambda to, key: to.dingtalk_api.send_text("", key, "待办 3 项"),
        "dingtalk_api", "dingtalk", frozenset({"a token that ended"}),  # tests/test_robot.py
    ),
    "group message": Way(
        "/oapi/robot/sendBySession", lambda to, _: to.dingtalk_api.send_to_session(SESSION_URL + "a1", "待办 3 项"), "",
    ),
    "new card": Way(
        "/dingtalk/v1.0/card/instances/createAndDeliver",
        lambda to, key: to.dingtalk_api.deliver_card(f"new.{key}", "tpl", key, DATA, via_stream=True), "dingtalk_api", "dingtalk",
    ),
    "card once more": Way(
        "/dingtalk/v1.0/card/instances/deliver", lambda to, key: to.dingtalk_api.redeliver_card(CARD, key), "dingtalk_api", "dingtalk",
    ),
    "card brought up to date": Way(
        "/dingtalk/v1.0/card/instances", lambda to, _: to.dingtalk_api.update_card(CARD, DATA), "dingtalk_api", "dingtalk",
    ),
    "where taps go": Way(
        "/dingtalk/v1.0/card/callbacks/register", lambda to, _: to.dingtalk_api.register_card_callback("https://q.cn", "s"), "dingtalk_api",
    ),
    "SMS": Way("/sms/", send_sms, ""),
}

WITH_TOKEN = {name: way for name, way in WAYS.items() if way.app}


def cells(*kinds: str, of: Mapping[str, Way] = WAYS) -> list[Any]:
    return [
        pytest.param(way, kind, id=f"{name}, {kind}") for name, way in of.items() for kind in kinds if kind not in way.elsewhere
    ]


async def ending(sent: Awaitable[object]) -> tuple[str, str]:
    """(sent, later or final; the code). Anything else that is raised is a fault of the sender."""
    try:
        result = await sent
    except PlatformError as error:
        return LATER if error.retryable else FINAL, str(error.code)
    if isinstance(result, Verdict):
        return LATER if result.suggest is Suggest.UNKNOWN else SENT, (result.error or "").partition(" ")[0]
    if isinstance(result, SendResult):
        return ENDINGS[result.outcome], (result.error or "").partition(" ")[0]
    return SENT, ""


async def reader(way: Way, hands: Platforms, gateways: Gateways) -> str:
    """Somebody who may be written to, with a card in the chat on DingTalk; where SMS go."""
    if way.path == "/sms/":
        return str(hands.client.make_url("/sms"))
    if way.phone == "wechat":
        return await hands.reader("张三")
    if not way.phone:
        return ""
    key = await hands.person("张三", way.phone)
    if way.phone == "wechat_oa":
        await hands.do(f"chat/{key}/follow")
    elif way.app == "dingtalk_api":
        await gateways.dingtalk_api.deliver_card(CARD, "tpl", key, DATA, via_stream=True)
    elif way.of_notice:
        return (await gateways.senders["dingtalk_notice"].send(message(key))).provider_id or ""
    return key


@pytest.mark.parametrize(("way", "kind"), cells(*DISTURBANCES))
async def test_whatever_befalls_a_call_is_for_later_and_is_called_by_its_name(ours, platforms, way, kind):  # noqa: F811
    key = await reader(way, platforms, ours)
    answer, code = DISTURBANCES[kind]
    await platforms.befall(way.path, None, **answer)
    assert await ending(way.send(ours, key)) == (LATER, code)


@pytest.mark.parametrize(("way", "kind"), cells("no answer"))
async def test_a_platform_that_does_not_answer_is_not_waited_for(ours, hasty, platforms, way, kind):  # noqa: F811
    key = await reader(way, platforms, ours)
    if way.app:
        await tokens(ours, way).get()  # for both, in Valkey: what hangs is the call itself
    before = len(await platforms.calls(way.path))
    await platforms.befall(way.path, None, hang=True)
    assert await ending(way.send(hasty, key)) == (LATER, "timeout"), kind
    assert len(await platforms.calls(way.path)) - before == 1


def tokens(gateways: Gateways, way: Way) -> TokenStore:
    found: TokenStore = getattr(gateways, way.app).tokens
    return found


@pytest.mark.parametrize(("way", "kind"), cells("a token that ended", of=WITH_TOKEN))
async def test_with_a_token_that_ended_it_is_sent_all_the_same_at_the_second_try(ours, platforms, way, kind):  # noqa: F811
    key = await reader(way, platforms, ours)
    await tokens(ours, way).get()
    await platforms.do("expire-tokens")
    before = len(await platforms.calls(way.path))
    assert await ending(way.send(ours, key)) == (SENT, ""), kind
    assert len(await platforms.calls(way.path)) - before == 2


@pytest.mark.parametrize(("way", "kind"), cells("a token refused", of=WITH_TOKEN))
async def test_a_token_that_is_always_refused_costs_one_new_token_and_one_more_call(ours, platforms, way, kind):  # noqa: F811
    key = await reader(way, platforms, ours)
    before = len(await platforms.calls(way.path))
    answer = TOKEN_REFUSED[way.app]
    await platforms.befall(way.path, None, **answer)
    assert await ending(way.send(ours, key)) == (LATER, str(answer.get("errcode", "InvalidAuthentication"))), kind
    assert len(await platforms.calls(way.path)) - before == 2


def refusal(code: str, status: int = 400) -> dict[str, Any]:
    """As the newer interfaces of DingTalk say no."""
    return {"status": status, "json": {"code": code, "message": "no"}}


def success(**more: Any) -> dict[str, Any]:
    return {"status": 200, "json": more}


DOCUMENTED = [
    # The window is over or used up: bot/channels.py closes it, and the inbox has the answer.
    ("customer service", {"errcode": 45015}, (FINAL, "45015")), ("customer service", {"errcode": 45047}, (FINAL, "45047")),
    ("customer service", {"errcode": 40003}, (FINAL, "40003")), ("customer service", {"errcode": 48001}, (FINAL, "48001")),
    ("customer service", {"errcode": -1}, (LATER, "-1")), ("customer service", {"errcode": 45011}, (LATER, "45011")),
    ("mini-program code", {"errcode": 45009}, (LATER, "45009")), ("mini-program code", {"errcode": 40169}, (FINAL, "40169")),
    ("URL link", {"errcode": -1}, (LATER, "-1")), ("URL link", {"errcode": 85079}, (FINAL, "85079")),
    ("URL scheme", {"errcode": 45009}, (LATER, "45009")), ("URL scheme", {"errcode": 40165}, (FINAL, "40165")),
    ("QR code with a scene", {"errcode": 45009}, (LATER, "45009")),
    ("receipt", {"errcode": 90018}, (LATER, "90018")), ("receipt", {"errcode": 40035}, (FINAL, "40035")),
    ("robot message", refusal("send.too.fast"), (LATER, "send.too.fast")),
    ("robot message", refusal("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", 403),
     (LATER, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi")),
    ("robot message", refusal("Forbidden.AccessDenied.ApiCountLimitForOrg", 403), (FINAL, "Forbidden.AccessDenied.ApiCountLimitForOrg")),
    ("robot message", refusal("robot.oto.notExist"), (FINAL, "robot.oto.notExist")),
    ("robot message", {"status": 429, "json": {}}, (LATER, "http_429")),
    ("group message", {"errcode": -1}, (LATER, "-1")), ("group message", {"errcode": 130101}, (LATER, "130101")),
    ("group message", {"errcode": 310000}, (FINAL, "310000")),
    ("new card", refusal("param.userIdNotExist"), (FINAL, "param.userIdNotExist")),
    # 200, and yet it is nowhere: of the whole, of one place, of a place as `deliver` tells it.
    ("new card", success(success=False), (LATER, "card_not_delivered")),
    ("new card", success(success=True, result={"deliverResults": [{"success": False, "errorMsg": "no"}]}), (LATER, "card_not_delivered")),
    ("card once more", success(success=True, result=[{"success": True}, {"success": False}]), (LATER, "card_not_delivered")),
    ("card brought up to date", success(success=False, result=False), (LATER, "card_not_delivered")),
    ("card brought up to date", success(success=True, result=True), (SENT, "")),
]


@pytest.mark.parametrize(("name", "answer", "expected"), DOCUMENTED)
async def test_what_the_platform_is_documented_to_say_has_its_consequence(ours, platforms, name, answer, expected):  # noqa: F811
    key = await reader(WAYS[name], platforms, ours)
    await platforms.befall(WAYS[name].path, **answer)
    assert await ending(WAYS[name].send(ours, key)) == expected


async def test_a_robot_message_to_nobody_is_final(ours, platforms):  # noqa: F811
    assert await ending(ours.dingtalk_api.send_text("", "nobody", "待办")) == (FINAL, "invalid_staff")


async def test_half_a_character_is_refused_before_any_call(ours, platforms):  # noqa: F811
    key = await platforms.person("张三", "dingtalk")
    for call in (
        ours.dingtalk_api.send_text("", key, "券\ud83d"), ours.dingtalk_api.send_to_session(SESSION_URL + "a1", "券\ud83d"),
        ours.dingtalk_api.update_card(CARD, {"title": "券\ud83d"}), ours.oa.send_service(key, "券\ud83d"),
    ):
        assert await ending(call) == (FINAL, "malformed")
    sms = TencentSms(ours.transport, str(platforms.client.make_url("/sms")), ACCOUNT, IDS)
    await platforms.befall("/sms/", **success(Response={"SendStatusSet": [{"Code": "Ok", "SerialNo": "1"}]}))
    odd = replace(MESSAGE, fields={"order_number": "2026\ud83d", "result": "已划拨"})
    assert await ending(sms.send(odd)) == (SENT, "")  # the places of a template take ordinary characters only
    assert len(await platforms.calls("*/sendBySession")) == len(await platforms.calls("*/batchSend")) == 0


async def test_a_group_address_is_in_no_error(ours, platforms):  # noqa: F811
    await platforms.befall("/oapi/robot/sendBySession", errcode=310000, errmsg="session s3cr3t is over")
    with pytest.raises(PlatformError) as caught:
        await ours.dingtalk_api.send_to_session(SESSION_URL + "s3cr3t", "待办")
    assert "s3cr3t" not in str(caught.value)
