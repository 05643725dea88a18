"""The simulator keeps the documented rules of both platforms: one test per rule, over HTTP."""

import asyncio
import json
import re
import struct
from contextlib import asynccontextmanager
from html import unescape
from io import BytesIO

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from simulator import create_app, serve
from simulator.fields import fault, keywords

NOW = 1_795_004_800.0  # 2026-11-18 20:26:40 in Shanghai, far from midnight
RESULT, LONG, ENUM = "tmpl-result", "tmpl-long-term", "tmpl-enum"
TEMPLATES = [
    {
        "priTmplId": RESULT,
        "title": "审核结果通知",
        "content": "审核时间:{{date2.DATA}}\n结果:{{phrase3.DATA}}\n说明:{{thing1.DATA}}\n",
        "type": 2,
    },
    {"priTmplId": LONG, "title": "政务办理进度", "content": "进度:{{thing1.DATA}}\n", "type": 3},
    {
        "priTmplId": ENUM,
        "title": "预约结果",
        "content": "结果:{{enum_string2.DATA}}\n",
        "type": 2,
        "keywordEnumValueList": [{"keywordCode": "enum_string2.DATA", "enumValueList": ["中签", "未中签"]}],
    },
]
PAGES = ["pages/index/index", "pages/orders/show"]
APP = {"appid": "wx-app", "secret": "wx-secret"}
GOOD = {"date2": {"value": "2026年11月18日 20:26"}, "phrase3": {"value": "审核通过"}, "thing1": {"value": "请到券包查看"}}
SEND = "/wechat/cgi-bin/message/subscribe/send"
NOTICE = "/oapi/topapi/message/corpconversation"


class Simulator:
    """The calls that the tests make, with answers as dicts."""

    def __init__(self, client):
        self.client = client

    async def get(self, path, /, **query):
        response = await self.client.get(path, params=query)
        return json.loads(await response.text())

    async def post(self, path, body=None, /, **query):
        # Real UTF-8, as the platform demands.
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        response = await self.client.post(path, data=data, params=query, headers={"Content-Type": "application/json"})
        return json.loads(await response.text())

    async def phone(self, name="王小明", platform="wechat", **more):
        return (await self.post("/control/phones", {"name": name, "platform": platform, **more}))["id"]

    async def code(self, phone, kind="login", **more):
        return (await self.post(f"/control/phones/{phone}/{kind}-code", more))["code"]

    async def advance(self, seconds):
        return await self.post("/control/clock", {"advance_seconds": seconds})

    async def limit(self, **limits):
        return await self.post("/control/limits", limits)

    async def messages(self, phone):
        return (await self.get(f"/control/phones/{phone}/messages"))["messages"]

    async def login(self, code, **more):
        query = {**APP, "js_code": code, "grant_type": "authorization_code", **more}
        return await self.get("/wechat/sns/jscode2session", **query)

    async def plain(self, **more):
        return await self.get("/wechat/cgi-bin/token", **{**APP, "grant_type": "client_credential", **more})

    async def stable(self, **more):
        return await self.post("/wechat/cgi-bin/stable_token", {**APP, "grant_type": "client_credential", **more})

    async def token(self):
        return (await self.stable())["access_token"]

    async def consent(self, phone, *ids, answer="accept"):
        return await self.post(f"/control/phones/{phone}/consent", {"template_ids": list(ids), "answer": answer})

    async def consents(self, phone):
        phones = (await self.get("/control/phones"))["phones"]
        return next(each["consents"] for each in phones if each["id"] == phone)

    async def send(self, phone, template=RESULT, data=None, **more):
        body = {"touser": phone, "template_id": template, "data": GOOD if data is None else data, **more}
        return await self.post(SEND, body, access_token=await self.token())

    async def wechat(self, path, body):
        return await self.post(f"/wechat/{path}", body, access_token=await self.token())

    async def old_token(self):
        return (await self.get("/oapi/gettoken", appkey="ding-key", appsecret="ding-secret"))["access_token"]

    async def old(self, path, body):
        return await self.post(path, body, access_token=await self.old_token())

    async def notify(self, *users, content="请确认订单", **more):
        body = {"agent_id": 7, "userid_list": ",".join(users), "msg": {"msgtype": "text", "text": {"content": content}}}
        return await self.old(f"{NOTICE}/asyncsend_v2", {**body, **more})

    async def result(self, task_id):
        return (await self.old(f"{NOTICE}/getsendresult", {"agent_id": 7, "task_id": task_id}))["send_result"]

    async def robot(self, body):
        answer = await self.post("/dingtalk/v1.0/oauth2/accessToken", {"appKey": "ding-key", "appSecret": "ding-secret"})
        response = await self.client.post(
            "/dingtalk/v1.0/robot/oToMessages/batchSend",
            json={"robotCode": "ding-key", "msgKey": "sampleText", "msgParam": '{"content":"你好"}', **body},
            headers={"x-acs-dingtalk-access-token": answer["accessToken"]},
        )
        return response.status, await response.json()


@asynccontextmanager
async def started(folder, **options):
    app = create_app(
        clock_file=folder / "clock",
        wechat_appid=APP["appid"],
        wechat_secret=APP["secret"],
        dingtalk_appkey="ding-key",
        dingtalk_appsecret="ding-secret",
        agent_id=7,
        templates=TEMPLATES,
        pages=PAGES,
        **{"real_now": lambda: NOW, **options},
    )
    async with TestClient(TestServer(app)) as client:
        yield Simulator(client)


@pytest.fixture
async def sim(tmp_path):
    async with started(tmp_path) as simulator:
        yield simulator


# --- WeChat: login -----------------------------------------------------------------------------------------------------


async def test_a_login_code_gives_the_openid_as_text_plain_without_an_errcode(sim):
    phone = await sim.post("/control/phones", {"name": "王小明", "platform": "wechat"})
    query = {**APP, "js_code": await sim.code(phone["id"]), "grant_type": "authorization_code"}
    response = await sim.client.get("/wechat/sns/jscode2session", params=query)
    assert response.content_type == "text/plain"
    body = json.loads(await response.text())
    assert body.keys() == {"openid", "session_key", "unionid"}
    assert (body["openid"], body["unionid"]) == (phone["openid"], phone["unionid"])


async def test_an_app_without_an_open_platform_account_gets_no_unionid(sim):
    phone = await sim.phone(unionid=None)
    assert (await sim.login(await sim.code(phone))).keys() == {"openid", "session_key"}


async def test_a_login_code_works_once(sim):
    code = await sim.code(await sim.phone())
    assert "openid" in await sim.login(code)
    again = await sim.login(code)
    assert again["errcode"] == 40163
    assert " rid: " in again["errmsg"]


async def test_a_login_code_ends_after_five_minutes(sim):
    phone = await sim.phone()
    first, second = await sim.code(phone), await sim.code(phone)
    await sim.advance(299)
    assert (await sim.login(first))["openid"] == phone
    await sim.advance(1)
    assert (await sim.login(second))["errcode"] == 40029


@pytest.mark.parametrize(
    ("wrong", "errcode"),
    [
        ({"appid": ""}, 41002),
        ({"appid": "other"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "wrong"}, 40125),
        ({"grant_type": "client_credential"}, 40002),
        ({"js_code": ""}, 41008),
        ({"js_code": "invented"}, 40029),
    ],
)
async def test_a_wrong_login_is_named_and_leaves_the_code_usable(sim, wrong, errcode):
    phone = await sim.phone()
    code = await sim.code(phone)
    assert (await sim.login(code, **wrong))["errcode"] == errcode
    assert (await sim.login(code))["openid"] == phone


async def test_too_many_logins_of_one_person_in_a_minute_are_refused(sim):
    await sim.limit(wechat_logins_per_user_minute=1)
    phone = await sim.phone()
    assert (await sim.login(await sim.code(phone)))["openid"] == phone
    assert (await sim.login(await sim.code(phone)))["errcode"] == 45011
    await sim.advance(60)
    assert (await sim.login(await sim.code(phone)))["openid"] == phone


# --- WeChat: tokens ----------------------------------------------------------------------------------------------------


async def use(sim, token):
    return (await sim.get("/wechat/wxaapi/newtmpl/gettemplate", access_token=token))["errcode"]


async def test_each_plain_token_call_kills_the_token_before_it_after_five_minutes(sim):
    first, second = (await sim.plain())["access_token"], (await sim.plain())["access_token"]
    assert first != second
    await sim.advance(299)
    assert (await use(sim, first), await use(sim, second)) == (0, 0)
    await sim.advance(1)
    assert (await use(sim, first), await use(sim, second)) == (40001, 0)


async def test_a_plain_token_lives_two_hours(sim):
    answer = await sim.plain()
    assert answer["expires_in"] == 7200
    await sim.advance(7199)
    assert await use(sim, answer["access_token"]) == 0
    await sim.advance(1)
    assert await use(sim, answer["access_token"]) == 42001


async def test_the_stable_token_stays_the_same_with_its_remaining_seconds(sim):
    first = await sim.stable()
    await sim.advance(7200 - 345)
    assert await sim.stable() == {"access_token": first["access_token"], "expires_in": 345}


async def test_the_stable_token_is_replaced_five_minutes_before_its_end_and_both_work_until_then(sim):
    first = await sim.stable()
    await sim.advance(6900)
    assert (await sim.stable())["expires_in"] == 300
    await sim.advance(1)
    second = await sim.stable()
    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == 7200
    assert (await use(sim, first["access_token"]), await use(sim, second["access_token"])) == (0, 0)
    await sim.advance(299)
    assert await use(sim, first["access_token"]) == 42001


async def test_a_forced_refresh_kills_the_old_token_at_once(sim):
    first = await sim.token()
    second = (await sim.stable(force_refresh=True))["access_token"]
    assert (await use(sim, first), await use(sim, second)) == (40001, 0)


async def test_a_forced_refresh_within_thirty_seconds_of_another_does_not_refresh(sim):
    first = (await sim.stable(force_refresh=True))["access_token"]
    await sim.advance(29)
    assert (await sim.stable(force_refresh=True))["access_token"] == first
    await sim.advance(1)
    assert (await sim.stable(force_refresh=True))["access_token"] != first


async def test_the_twenty_first_forced_refresh_of_a_day_does_not_refresh(sim):
    tokens = []
    for _ in range(21):
        tokens.append((await sim.stable(force_refresh=True))["access_token"])
        await sim.advance(30)
    assert len(set(tokens[:20])) == 20
    assert tokens[20] == tokens[19]


async def test_the_tokens_of_the_two_endpoints_do_not_touch_each_other(sim):
    plain, stable = (await sim.plain())["access_token"], await sim.token()
    await sim.stable(force_refresh=True)
    assert (await use(sim, plain), await use(sim, stable)) == (0, 40001)


async def test_the_stable_token_is_for_post_only(sim):
    assert (await sim.get("/wechat/cgi-bin/stable_token"))["errcode"] == 43002


@pytest.mark.parametrize(
    ("wrong", "errcode"),
    [({"appid": "x"}, 40013), ({"secret": "x"}, 40125), ({"secret": ""}, 41004), ({"grant_type": "x"}, 40002)],
)
async def test_wrong_credentials_get_no_token_from_either_endpoint(sim, wrong, errcode):
    assert (await sim.plain(**wrong))["errcode"] == errcode
    assert (await sim.stable(**wrong))["errcode"] == errcode


async def test_plain_tokens_have_a_daily_quota(sim):
    await sim.limit(wechat_tokens_per_day=1)
    assert "access_token" in await sim.plain()
    assert (await sim.plain())["errcode"] == 45009
    await sim.advance(86_400)
    assert "access_token" in await sim.plain()


@pytest.mark.parametrize(("token", "errcode"), [("", 41001), ("short", 40014), ("x" * 128, 40001)])
async def test_a_call_with_a_bad_token_is_refused_and_says_how(sim, token, errcode):
    answer = await sim.get("/wechat/wxaapi/newtmpl/gettemplate", access_token=token)
    assert answer["errcode"] == errcode
    assert " rid: " in answer["errmsg"]


@pytest.mark.parametrize("errcode", [40001, 42001])
async def test_tokens_expired_by_hand_answer_as_asked_and_the_next_one_works(sim, errcode):
    tokens = [await sim.token(), (await sim.plain())["access_token"]]
    await sim.post("/control/expire-tokens", {"errcode": errcode})
    assert [await use(sim, token) for token in tokens] == [errcode, errcode]
    assert await use(sim, await sim.token()) == 0


# --- WeChat: phone number ----------------------------------------------------------------------------------------------

NUMBER = "wxa/business/getuserphonenumber"


@pytest.mark.parametrize("country", [86, "86"])
async def test_a_phone_code_gives_the_number_with_a_country_code_of_either_type(sim, country):
    phone = await sim.phone(mobile="13812345678", country_code=country)
    answer = await sim.wechat(NUMBER, {"code": await sim.code(phone, "phone"), "openid": phone})
    assert answer["phone_info"] == {
        "phoneNumber": "13812345678",
        "purePhoneNumber": "13812345678",
        "countryCode": country,
        "watermark": {"timestamp": int(NOW), "appid": "wx-app"},
    }


async def test_a_phone_code_works_once_and_for_five_minutes(sim):
    phone = await sim.phone()
    first, second = await sim.code(phone, "phone"), await sim.code(phone, "phone")
    assert (await sim.wechat(NUMBER, {"code": first}))["errcode"] == 0
    assert (await sim.wechat(NUMBER, {"code": first}))["errcode"] == 40029
    await sim.advance(300)
    assert (await sim.wechat(NUMBER, {"code": second}))["errcode"] == 40029


async def test_a_login_code_is_no_phone_code_and_the_other_way_round(sim):
    phone = await sim.phone()
    assert (await sim.wechat(NUMBER, {"code": await sim.code(phone)}))["errcode"] == 40029
    assert (await sim.login(await sim.code(phone, "phone")))["errcode"] == 40029


async def test_a_phone_code_of_another_person_is_refused_and_stays_usable(sim):
    mine, other = await sim.phone(), await sim.phone("李四")
    code = await sim.code(other, "phone")
    assert (await sim.wechat(NUMBER, {"code": code, "openid": mine}))["errcode"] == 40029
    assert (await sim.wechat(NUMBER, {"code": code, "openid": other}))["errcode"] == 0


async def test_the_watermark_of_another_app_can_be_ordered(sim):
    phone = await sim.phone()
    answer = await sim.wechat(NUMBER, {"code": await sim.code(phone, "phone", watermark_appid="wx-other")})
    assert answer["phone_info"]["watermark"]["appid"] == "wx-other"


# --- WeChat: subscribe messages ----------------------------------------------------------------------------------------


async def test_each_send_uses_up_one_consent_and_the_next_gets_43101(sim):
    phone = await sim.phone()
    assert await sim.consent(phone, RESULT) == {"errMsg": "requestSubscribeMessage:ok", RESULT: "accept"}
    assert await sim.send(phone) == {"errcode": 0, "errmsg": "ok"}
    refused = await sim.send(phone)
    assert refused["errcode"] == 43101
    assert refused["errmsg"].startswith("user refuse to accept the msg rid: ")
    assert len(await sim.messages(phone)) == 1


async def test_consent_counts_per_person_and_template(sim):
    phone, other = await sim.phone(), await sim.phone("李四")
    await sim.consent(phone, RESULT)
    await sim.consent(phone, RESULT)
    assert (await sim.send(other))["errcode"] == 43101
    assert (await sim.send(phone, ENUM, {"enum_string2": {"value": "中签"}}))["errcode"] == 43101
    assert [(await sim.send(phone))["errcode"] for _ in range(3)] == [0, 0, 43101]


async def test_a_long_term_consent_is_not_used_up(sim):
    phone = await sim.phone()
    await sim.consent(phone, LONG)
    data = {"thing1": {"value": "已受理"}}
    assert [(await sim.send(phone, LONG, data))["errcode"] for _ in range(3)] == [0, 0, 0]


async def test_a_rejected_popup_grants_nothing_and_the_settings_take_everything_back(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT, answer="reject")
    assert (await sim.send(phone))["errcode"] == 43101
    await sim.consent(phone, RESULT)
    await sim.consent(phone, RESULT, answer="revoke")
    assert (await sim.send(phone))["errcode"] == 43101


@pytest.mark.parametrize(("ids", "code"), [([], 10001), ([RESULT] * 6, 20003), (["unknown"], 20001), ([RESULT, LONG], 20002)])
async def test_the_popup_refuses_what_the_phone_would_refuse(sim, ids, code):
    phone = await sim.phone()
    assert (await sim.consent(phone, *ids))["errCode"] == code
    assert await sim.consents(phone) == {}


async def test_a_banned_template_gets_43107_and_keeps_the_consent(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.post(f"/control/templates/{RESULT}/ban")
    assert (await sim.send(phone))["errcode"] == 43107
    assert (await sim.consent(phone, RESULT))[RESULT] == "ban"
    await sim.post(f"/control/templates/{RESULT}/ban", {"on": False})
    assert (await sim.send(phone))["errcode"] == 0


async def test_two_sends_to_one_person_at_once_get_43108_but_different_people_do_not(sim):
    await sim.limit(wechat_send_seconds=0.5)
    phone, other = await sim.phone(), await sim.phone("李四")
    for each in (phone, phone, other):
        await sim.consent(each, RESULT)
    answers = await asyncio.gather(sim.send(phone), sim.send(phone), sim.send(other))
    assert sorted(answer["errcode"] for answer in answers[:2]) == [0, 43108]
    assert answers[2]["errcode"] == 0
    assert await sim.consents(phone) == {RESULT: 1}


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"touser": "o-nobody"}, 40003),
        ({"template_id": "unknown"}, 40037),
        ({"page": "pages/unknown"}, 41030),
        ({"page": "/pages/index/index"}, 41030),
        ({"miniprogram_state": "release"}, 47003),
        ({"lang": "fr"}, 47003),
        ({"data": json.dumps(GOOD)}, 47003),
    ],
)
async def test_a_wrong_send_is_named_and_costs_no_consent(sim, change, errcode):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    body = {"touser": phone, "template_id": RESULT, "data": GOOD, **change}
    assert (await sim.wechat("cgi-bin/message/subscribe/send", body))["errcode"] == errcode
    assert await sim.consents(phone) == {RESULT: 1}
    assert await sim.messages(phone) == []


@pytest.mark.parametrize(
    ("data", "errmsg"),
    [
        ({**GOOD, "thing1": {"value": ""}}, "argument invalid! data.thing1.value is empty"),
        ({key: GOOD[key] for key in ("date2", "phrase3")}, "argument invalid! data.thing1.value is empty"),
        ({**GOOD, "thing1": {"value": "字" * 21}}, "argument invalid! data.thing1.value invalid"),
        ({**GOOD, "phrase3": {"value": "OK"}}, "argument invalid! data.phrase3.value invalid"),
        ({**GOOD, "thing1": {"value": 5}}, "argument invalid! data.thing1.value should be string"),
        ({**GOOD, "thing9": {"value": "多余"}}, "argument invalid! data.thing9 is not in the template"),
    ],
)
async def test_a_bad_value_gets_47003_with_the_name_of_its_field(sim, data, errmsg):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    answer = await sim.send(phone, data=data)
    assert (answer["errcode"], answer["errmsg"].partition(" rid: ")[0]) == (47003, errmsg)
    assert await sim.consents(phone) == {RESULT: 1}


async def test_an_enum_takes_only_the_values_of_its_template(sim):
    phone = await sim.phone()
    await sim.consent(phone, ENUM)
    assert (await sim.send(phone, ENUM, {"enum_string2": {"value": "候补"}}))["errcode"] == 47003
    assert (await sim.send(phone, ENUM, {"enum_string2": {"value": "中签"}}))["errcode"] == 0


async def test_a_sensitive_word_gets_45168(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    assert (await sim.send(phone, data={**GOOD, "thing1": {"value": "代开发票"}}))["errcode"] == 45168
    assert await sim.consents(phone) == {RESULT: 1}


async def test_the_daily_quota_of_sends_gets_45009_until_the_next_day(sim):
    await sim.limit(wechat_sends_per_day=1)
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.consent(phone, RESULT)
    assert [(await sim.send(phone))["errcode"] for _ in range(2)] == [0, 45009]
    await sim.advance(86_400)
    assert (await sim.send(phone))["errcode"] == 0


async def test_escaped_characters_in_a_body_get_40033(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    body = json.dumps({"touser": phone, "template_id": RESULT, "data": GOOD})
    response = await sim.client.post(SEND, data=body, params={"access_token": await sim.token()})
    assert (await response.json())["errcode"] == 40033
    assert await sim.messages(phone) == []


async def test_a_body_that_is_no_json_gets_47001(sim):
    response = await sim.client.post(SEND, data="touser=x", params={"access_token": await sim.token()})
    assert (response.status, (await response.json())["errcode"]) == (200, 47001)


async def test_the_templates_are_listed_as_the_platform_lists_them(sim):
    answer = await sim.get("/wechat/wxaapi/newtmpl/gettemplate", access_token=await sim.token())
    assert answer == {"errcode": 0, "errmsg": "ok", "data": [{"example": "", **template} for template in TEMPLATES]}


async def test_a_delivered_message_keeps_labels_page_and_the_simulated_time(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.advance(60)
    await sim.send(phone, page="pages/orders/show?id=5")
    [message] = await sim.messages(phone)
    assert (message["kind"], message["title"], message["link"]) == ("subscribe", "审核结果通知", "pages/orders/show?id=5")
    assert message["fields"] == [["审核时间", "2026年11月18日 20:26"], ["结果", "审核通过"], ["说明", "请到券包查看"]]
    assert message["at"] == "2026-11-18T12:27:40+00:00"


def test_the_keywords_of_a_template_keep_label_kind_and_number():
    assert keywords("会议时间:{{date2.DATA}}\n编号：{{character_string10.DATA}}\n") == [
        ("会议时间", "date", "date2"),
        ("编号", "character_string", "character_string10"),
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("thing", ["字" * 20, "a1!", "好👍"], ["字" * 21, "换\n行"]),
        ("number", ["1", "3.14", "1" * 32], ["1" * 33, "一", "1a", "-1"]),
        ("letter", ["abc", "A" * 32], ["A" * 33, "a1", "字"]),
        ("symbol", ["*", "!!!!!"], ["!!!!!!", "a"]),
        ("character_string", ["NO.2026-1", "a" * 32], ["a" * 33, "编号1"]),
        (
            "time",
            ["15:01", "2019年10月1日 15:01", "8:00:30", "15:01~16:01", "2019-10-01 15:01"],
            ["24:00", "15:60", "2019年10月1日", "1~2~3"],
        ),
        (
            "date",
            [
                "2019年10月1日",
                "2019年10月",
                "10月1日",
                "2018-01-01",
                "2018/01/01",
                "2018.01.01",
                "2018-01",
                "01-01",
                "2019年10月1日 15:01",
                "2020-02-29",
                "2018-01-01~2018-02-01",
            ],
            ["2019-02-29", "2019年13月1日", "2018-01/01", "明天", "15:01"],
        ),
        ("amount", ["￥100", "¥100.50", "100元", "1234567890"], ["￥12345678901", "￥￥1", "一百元", "1,000元"]),
        ("phone_number", ["+86-0766-66888866", "13800138000"], ["1" * 18, "电话1"]),
        ("car_number", ["粤A8Z888挂", "A12345"], ["粤A8Z888挂挂", "粤A中888", "粤A8Z88888"]),
        ("name", ["王小明", "字" * 10, "A" * 20, "王Tom"], ["字" * 11, "A" * 21, "王" + "a" * 10, "王1"]),
        ("phrase", ["审核通过", "字" * 5], ["字" * 6, "通过1", "OK"]),
        ("enum_string", ["甲"], ["丙"]),
    ],
)
def test_the_values_of_each_kind_follow_the_table(kind, good, bad):
    assert {value: fault(kind, value, ["甲", "乙"]) for value in good} == dict.fromkeys(good, "")
    assert {value: fault(kind, value, ["甲", "乙"]) for value in bad} == dict.fromkeys(bad, "invalid")
    assert fault(kind, " ") == "is empty"


# --- WeChat: codes, links, text check ----------------------------------------------------------------------------------

CODE = "/wechat/wxa/getwxacodeunlimit"


@pytest.mark.parametrize(("hyaline", "kind", "name"), [(False, "image/jpeg", "JPEG"), (True, "image/png", "PNG")])
async def test_a_mini_program_code_is_an_image_of_the_width_asked_for(sim, hyaline, kind, name):
    body = {"scene": "i=AB12", "page": "pages/index/index", "width": 280, "is_hyaline": hyaline}
    response = await sim.client.post(CODE, json=body, params={"access_token": await sim.token()})
    assert (response.status, response.content_type) == (200, kind)
    image = Image.open(BytesIO(await response.read()))
    assert (image.format, image.size) == (name, (280, 280))


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"scene": ""}, 40169),
        ({"scene": "a" * 33}, 40169),
        ({"scene": "a%20"}, 40129),
        ({"scene": "中文"}, 40129),
        ({"scene": "scancode_time=1"}, 85096),
        ({"page": "pages/unknown"}, 41030),
        ({"page": "/pages/index/index"}, 41030),
        ({"page": "pages/index/index?a=1"}, 41030),
        ({"env_version": "formal"}, 40097),
        ({"width": 279}, 40097),
    ],
)
async def test_a_wrong_mini_program_code_is_json_with_status_200(sim, change, errcode):
    answer = await sim.wechat("wxa/getwxacodeunlimit", {"scene": "a=1", "page": "pages/index/index", **change})
    assert answer["errcode"] == errcode


async def test_an_unpublished_page_may_have_a_code_without_the_path_check(sim):
    body = {"scene": "a=1", "page": "pages/new", "check_path": False}
    response = await sim.client.post(CODE, json=body, params={"access_token": await sim.token()})
    assert response.content_type == "image/jpeg"


async def test_mini_program_codes_have_a_quota_per_minute(sim):
    await sim.limit(wechat_codes_per_minute=0)
    assert (await sim.wechat("wxa/getwxacodeunlimit", {"scene": "a=1"}))["errcode"] == 45009


async def test_a_url_link_opens_until_it_ends(sim):
    body = {"path": "pages/orders/show", "query": "id=%E5%88%B8", "expire_type": 1, "expire_interval": 30}
    link = (await sim.wechat("wxa/generate_urllink", body))["url_link"]
    assert link.startswith("https://wxaurl.cn/")
    await sim.advance(30 * 86_400 - 1)
    assert await sim.post("/control/open-link", {"url_link": link}) == {"target": "pages/orders/show?id=%E5%88%B8"}
    await sim.advance(1)
    assert (await sim.post("/control/open-link", {"url_link": link}))["code"] == "link_over"


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"path": "pages/unknown"}, 40165),
        ({"query": "中文"}, 40212),
        ({"query": "a" * 1025}, 40212),
        ({"env_version": "formal"}, 85402),
        ({"expire_interval": 31}, 85401),
        ({"expire_type": 0, "expire_time": int(NOW) + 59}, 85401),
        ({"expire_type": 0, "expire_time": int(NOW) + 30 * 86_400 + 1}, 85401),
        ({"expire_type": 0}, 85401),
    ],
)
async def test_a_wrong_url_link_is_refused(sim, change, errcode):
    body = {"path": "pages/index/index", "query": "a=1", "expire_type": 1, "expire_interval": 1, **change}
    assert (await sim.wechat("wxa/generate_urllink", body))["errcode"] == errcode


async def check(sim, phone, content="服务很好", **more):
    return await sim.wechat("wxa/msg_sec_check", {"openid": phone, "scene": 2, "version": 2, "content": content, **more})


@pytest.mark.parametrize(("content", "suggest"), [("服务很好", "pass"), ("请加微信", "review"), ("网上赌博", "risky")])
async def test_the_verdict_on_a_text_is_in_the_result_and_errcode_is_zero(sim, content, suggest):
    answer = await check(sim, await sim.phone(), content)
    assert (answer["errcode"], answer["result"]["suggest"]) == (0, suggest)
    assert answer["trace_id"]


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"openid": "o-nobody"}, 40003),
        ({"version": 1}, 40097),
        ({"scene": 5}, 40129),
        ({"signature": "签名"}, 40129),
        ({"content": ""}, 44002),
        ({"content": "字" * 2501}, 45002),
    ],
)
async def test_a_wrong_text_check_is_refused(sim, change, errcode):
    assert (await check(sim, await sim.phone(), **change))["errcode"] == errcode


async def test_a_text_of_somebody_idle_for_two_hours_cannot_be_checked(sim):
    phone = await sim.phone()
    await sim.advance(7200)
    assert (await check(sim, phone))["errcode"] == 0
    await sim.advance(1)
    assert (await check(sim, phone))["errcode"] == 61010
    await sim.code(phone)
    assert (await check(sim, phone))["errcode"] == 0


# --- DingTalk: tokens and login ----------------------------------------------------------------------------------------


async def test_each_dingtalk_token_endpoint_has_its_own_field_names(sim):
    old = await sim.get("/oapi/gettoken", appkey="ding-key", appsecret="ding-secret")
    assert (old["errcode"], old["errmsg"], old["expires_in"]) == (0, "ok", 7200)
    new = await sim.post("/dingtalk/v1.0/oauth2/accessToken", {"appKey": "ding-key", "appSecret": "ding-secret"})
    assert new.keys() == {"accessToken", "expireIn"}
    body = {"client_id": "ding-key", "client_secret": "ding-secret", "grant_type": "client_credentials"}
    assert (await sim.post("/dingtalk/v1.0/oauth2/corp/token", body)).keys() == {"access_token", "expires_in"}


async def test_wrong_dingtalk_credentials_get_no_token(sim):
    assert (await sim.get("/oapi/gettoken", appkey="ding-key", appsecret="x"))["errcode"] == 40089
    response = await sim.client.post("/dingtalk/v1.0/oauth2/accessToken", json={"appKey": "ding-key", "appSecret": "x"})
    assert (response.status, (await response.json())["code"]) == (400, "invalidClientIdOrSecret")


async def test_a_dingtalk_token_is_renewed_by_asking_again(sim):
    first = await sim.old_token()
    await sim.advance(7199)
    assert await sim.old_token() == first
    await sim.advance(7200)
    assert await sim.old_token() != first


async def test_bad_dingtalk_tokens_are_refused_on_both_hosts(sim):
    path = "/oapi/topapi/v2/user/get"
    stale = await sim.old_token()
    await sim.post("/control/expire-tokens")
    codes = [(await sim.post(path, {"userid": "x"}, access_token=token))["errcode"] for token in ("", "invented", stale)]
    assert codes == [41001, 40014, 42001]
    response = await sim.client.post("/dingtalk/v1.0/robot/oToMessages/batchSend", json={})
    assert (response.status, (await response.json())["code"]) == (400, "InvalidAuthentication")


async def test_an_auth_code_names_the_person_once_and_for_five_minutes(sim):
    path, phone = "/oapi/topapi/v2/user/getuserinfo", await sim.phone("赵敏", "dingtalk")
    first, second = await sim.code(phone), await sim.code(phone)
    result = (await sim.old(path, {"code": first}))["result"]
    assert (result["userid"], result["name"]) == (phone, "赵敏")
    assert (await sim.old(path, {"code": first}))["errcode"] == 40078
    await sim.advance(300)
    assert (await sim.old(path, {"code": second}))["errcode"] == 40102
    assert (await sim.old(path, {"code": "invented"}))["errcode"] == 40078


async def test_the_old_host_takes_forms_too(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    query = {"access_token": await sim.old_token()}
    response = await sim.client.post("/oapi/topapi/v2/user/getuserinfo", data={"code": await sim.code(phone)}, params=query)
    assert (await response.json())["result"]["userid"] == phone


async def test_a_wechat_code_is_no_auth_code(sim):
    code = await sim.code(await sim.phone())
    assert (await sim.old("/oapi/topapi/v2/user/getuserinfo", {"code": code}))["errcode"] == 40078


async def test_a_person_is_shown_by_userid(sim):
    phone = await sim.phone("赵敏", "dingtalk", mobile="13900000000")
    assert (await sim.old("/oapi/topapi/v2/user/get", {"userid": phone}))["result"]["mobile"] == "13900000000"
    assert (await sim.old("/oapi/topapi/v2/user/get", {"userid": "nobody"}))["errcode"] == 60121


# --- DingTalk: work notices --------------------------------------------------------------------------------------------


async def test_a_work_notice_arrives_and_its_result_says_so(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    answer = await sim.notify(phone, "nobody")
    assert answer["errcode"] == 0
    result = await sim.result(answer["task_id"])
    assert (result["unread_user_id_list"], result["invalid_user_id_list"], result["forbidden_list"]) == ([phone], ["nobody"], [])
    [message] = await sim.messages(phone)
    assert (message["kind"], message["fields"]) == ("work_notice", [["", "请确认订单"]])


async def test_the_same_content_twice_a_day_is_dropped_silently(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    await sim.notify(phone)
    again = await sim.notify(phone)
    assert again["errcode"] == 0
    assert (await sim.result(again["task_id"]))["forbidden_list"] == [{"code": "143106", "count": 1, "userid": phone}]
    assert len(await sim.messages(phone)) == 1
    await sim.advance(86_400)
    await sim.notify(phone)
    assert len(await sim.messages(phone)) == 2


async def test_messages_beyond_the_daily_limit_are_dropped_silently(sim):
    assert (await sim.limit())["dingtalk_messages_per_user_day"] == 500
    await sim.limit(dingtalk_messages_per_user_day=2)
    phone = await sim.phone("赵敏", "dingtalk")
    tasks = [(await sim.notify(phone, content=f"第{number}条"))["task_id"] for number in range(3)]
    assert (await sim.result(tasks[2]))["forbidden_list"] == [{"code": "143105", "count": 1, "userid": phone}]
    assert len(await sim.messages(phone)) == 2


async def test_recipients_beyond_the_limit_of_a_minute_are_dropped_silently(sim):
    await sim.limit(dingtalk_recipients_per_minute=1)
    first, second = await sim.phone("赵敏", "dingtalk"), await sim.phone("周伯", "dingtalk")
    answer = await sim.notify(first, second)
    assert (await sim.result(answer["task_id"]))["forbidden_list"] == [{"code": "143103", "count": 1, "userid": second}]


async def test_banned_content_is_dropped_silently(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    answer = await sim.notify(phone, content="代开发票")
    assert (await sim.result(answer["task_id"]))["forbidden_list"][0]["code"] == "1430002"
    assert await sim.messages(phone) == []


def oa(**card):
    return {
        "msgtype": "oa",
        "oa": {"message_url": "eapp://pages/index/index", "head": {"bgcolor": "FFBBBBBB"}, "body": {"title": "订单"}} | card,
    }


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"agent_id": 8}, 40056),
        ({"userid_list": ""}, 40035),
        ({"userid_list": ",".join(f"u{number}" for number in range(101))}, 40035),
        ({"dept_id_list": ",".join("2" * 21)}, 40035),
        ({"userid_list": "nobody"}, 33012),
        ({"msg": {"msgtype": "text", "text": {"content": "字" * 700}}}, 34016),
        ({"msg": {"msgtype": "text", "text": {"content": ""}}}, 40035),
        ({"msg": {"msgtype": "unknown"}}, 40035),
        ({"msg": {"msgtype": "link", "link": {"messageUrl": "u", "picUrl": "p", "title": "t" * 101, "text": "x"}}}, 40035),
        (
            {"msg": {"msgtype": "action_card", "action_card": {"markdown": "x", "single_title": "t" * 21, "single_url": "u"}}},
            40035,
        ),
        ({"msg": oa(head={"bgcolor": "red"})}, 40035),
        ({"msg": oa(body={"title": "t" * 51})}, 40035),
        ({"msg": oa(status_bar={"status_value": "待办"}), "to_all_user": True}, 40035),
    ],
)
async def test_a_wrong_work_notice_is_refused_and_nobody_gets_it(sim, change, errcode):
    phone = await sim.phone("赵敏", "dingtalk")
    assert (await sim.notify(phone, **change))["errcode"] == errcode
    assert await sim.messages(phone) == []


async def test_an_oa_card_shows_its_form(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    body = {"title": "订单待确认", "form": [{"key": "订单号:", "value": "2026"}], "content": "请及时处理"}
    assert (await sim.notify(phone, msg=oa(body=body)))["errcode"] == 0
    [message] = await sim.messages(phone)
    assert (message["title"], message["link"]) == ("订单待确认", "eapp://pages/index/index")
    assert message["fields"] == [["订单号", "2026"], ["", "请及时处理"]]


async def test_a_notice_to_the_root_department_reaches_everyone_and_other_departments_are_invalid(sim):
    phones = [await sim.phone("赵敏", "dingtalk"), await sim.phone("周伯", "dingtalk")]
    answer = await sim.notify(dept_id_list="1,99")
    result = await sim.result(answer["task_id"])
    assert (result["unread_user_id_list"], result["invalid_dept_id_list"]) == (phones, ["99"])


async def test_a_notice_is_under_way_until_it_is_delivered(sim):
    await sim.limit(dingtalk_delivery_seconds=10)
    phone = await sim.phone("赵敏", "dingtalk")
    task = {"agent_id": 7, "task_id": (await sim.notify(phone))["task_id"]}
    progress = (await sim.old(f"{NOTICE}/getsendprogress", task))["progress"]
    assert progress == {"progress_in_percent": 0, "status": 0}
    assert (await sim.result(task["task_id"]))["unread_user_id_list"] == []
    await sim.advance(10)
    progress = (await sim.old(f"{NOTICE}/getsendprogress", task))["progress"]
    assert progress == {"progress_in_percent": 100, "status": 2}
    assert (await sim.result(task["task_id"]))["unread_user_id_list"] == [phone]


async def test_a_result_is_kept_for_a_day(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    task = {"agent_id": 7, "task_id": (await sim.notify(phone))["task_id"]}
    await sim.advance(86_400)
    assert (await sim.old(f"{NOTICE}/getsendresult", task))["errcode"] == 0
    await sim.advance(1)
    assert (await sim.old(f"{NOTICE}/getsendresult", task))["errcode"] == 40035


async def test_a_notice_can_be_recalled_for_a_day(sim):
    phone = await sim.phone("赵敏", "dingtalk")
    body = {"agent_id": 7, "msg_task_id": (await sim.notify(phone))["task_id"]}
    assert (await sim.old(f"{NOTICE}/recall", body))["errcode"] == 0
    assert [message["recalled"] for message in await sim.messages(phone)] == [True]
    await sim.advance(86_401)
    assert (await sim.old(f"{NOTICE}/recall", body))["errcode"] == 400002


# --- DingTalk: robot, quotas -------------------------------------------------------------------------------------------


async def test_the_robot_fails_in_part_with_status_200(sim):
    fine, flooded = await sim.phone("赵敏", "dingtalk"), await sim.phone("周伯", "dingtalk")
    await sim.post(f"/control/phones/{flooded}/flow-control", {"on": True})
    status, answer = await sim.robot({"userIds": [fine, flooded, "nobody"]})
    assert (status, answer["invalidStaffIdList"], answer["flowControlledStaffIdList"]) == (200, ["nobody"], [flooded])
    assert [message["fields"] for message in await sim.messages(fine)] == [[["", "你好"]]]
    assert await sim.messages(flooded) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"robotCode": "other"}, "robot.oto.notExist"),
        ({"userIds": []}, "invalidParameter.userIds.empty"),
        ({"userIds": [f"u{number}" for number in range(21)]}, "invalidParameter.userIds.overMax"),
        ({"msgKey": "unknown"}, "invalidParameter.msgKey.invalid"),
        ({"msgParam": {"content": "你好"}}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": '{"text":"你好"}'}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": '{"content":"代开发票"}'}, "contain.notAllowed.content"),
    ],
)
async def test_a_wrong_robot_message_is_refused_with_status_400(sim, change, code):
    phone = await sim.phone("赵敏", "dingtalk")
    status, answer = await sim.robot({"userIds": [phone], **change})
    assert (status, answer["code"]) == (400, code)
    assert await sim.messages(phone) == []


async def test_the_twenty_first_call_to_an_api_in_a_second_is_refused(sim):
    credentials = {"appkey": "ding-key", "appsecret": "ding-secret"}
    codes = [(await sim.get("/oapi/gettoken", **credentials))["errcode"] for _ in range(21)]
    assert codes == [0] * 20 + [90018]
    await sim.advance(1)
    assert (await sim.get("/oapi/gettoken", **credentials))["errcode"] == 0


async def test_the_new_host_has_its_own_name_for_too_many_calls(sim):
    await sim.limit(dingtalk_calls_per_second=0)
    response = await sim.client.post("/dingtalk/v1.0/oauth2/accessToken", json={})
    assert response.status == 403
    assert (await response.json())["code"] == "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"


async def test_the_monthly_quota_counts_messages_but_not_tokens_and_logins(sim):
    await sim.limit(dingtalk_calls_per_month=1)
    phone = await sim.phone("赵敏", "dingtalk")
    await sim.old("/oapi/topapi/v2/user/getuserinfo", {"code": await sim.code(phone)})
    assert [(await sim.notify(phone, content=text))["errcode"] for text in ("一", "二")] == [0, 90020]
    _, answer = await sim.robot({"userIds": [phone]})
    assert answer["code"] == "Forbidden.AccessDenied.ApiCountLimitForOrg"


async def test_a_flood_from_one_address_is_banned_for_five_minutes_without_an_errcode(sim):
    await sim.limit(dingtalk_calls_per_ip=0)
    page = await sim.client.get("/oapi/gettoken")
    assert (page.status, page.content_type) == (200, "text/html")
    assert (await sim.get("/oapi/gettoken"))["status"] == 1111
    await sim.limit(dingtalk_calls_per_ip=10_000)
    await sim.advance(299)
    assert (await sim.client.get("/oapi/gettoken")).content_type == "text/html"
    await sim.advance(1)
    assert (await sim.get("/oapi/gettoken"))["errcode"] == 40089


# --- control -----------------------------------------------------------------------------------------------------------


async def inject(sim, answer, path="/wechat/*", **more):
    return await sim.post("/control/inject", {"path": path, "answer": answer, **more})


async def test_an_injected_errcode_befalls_as_many_calls_as_asked(sim):
    await inject(sim, {"errcode": -1}, path="/wechat/cgi-bin/*", times=2)
    answers = [await sim.plain() for _ in range(3)]
    assert [answer.get("errcode") for answer in answers] == [-1, -1, None]


async def test_an_injection_without_a_number_lasts_until_it_is_cleared(sim):
    await inject(sim, {"errcode": 40001, "errmsg": "invalid credential"}, times=None)
    assert [(await sim.plain())["errcode"] for _ in range(5)] == [40001] * 5
    await sim.client.delete("/control/inject")
    assert "access_token" in await sim.plain()


async def test_an_injection_hits_only_its_method_and_path(sim):
    await inject(sim, {"errcode": -1}, path="/wechat/cgi-bin/stable_token", method="post")
    assert "access_token" in await sim.plain()
    assert (await sim.stable())["errcode"] == -1


@pytest.mark.parametrize(
    ("answer", "status", "kind", "text"),
    [
        ({"status": 502}, 502, "text/plain", ""),
        ({"status": 500, "json": {"code": "system.error"}}, 500, "application/json", '{"code": "system.error"}'),
        ({"status": 503, "body": "busy"}, 503, "text/plain", "busy"),
    ],
)
async def test_an_injected_status_is_answered_as_given(sim, answer, status, kind, text):
    await inject(sim, answer)
    response = await sim.client.get("/wechat/cgi-bin/token")
    assert (response.status, response.content_type, await response.text()) == (status, kind, text)


async def test_both_forms_of_the_ban_can_be_injected(sim):
    await inject(sim, {"html": True}, path="/oapi/*")
    await inject(sim, {"ban": True}, path="/oapi/*")
    assert (await sim.client.get("/oapi/gettoken")).content_type == "text/html"
    assert (await sim.get("/oapi/gettoken"))["status"] == 1111


async def test_a_dropped_answer_leaves_the_work_done(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.token()
    await inject(sim, {"drop_answer": True}, path=SEND)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await sim.send(phone)
    assert len(await sim.messages(phone)) == 1
    assert await sim.consents(phone) == {RESULT: 0}


async def test_a_hanging_call_never_answers_and_does_nothing(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.token()
    await inject(sim, {"hang": True}, path=SEND)
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.2):
            await sim.send(phone)
    assert await sim.messages(phone) == []
    assert await sim.consents(phone) == {RESULT: 1}


async def arrived(sim):
    """Until the first recorded call has reached the simulator."""
    while not (await sim.get("/control/calls"))["calls"]:
        pass


async def test_hanging_calls_do_not_keep_the_simulator_from_stopping(tmp_path):
    async with started(tmp_path) as sim:
        await inject(sim, {"hang": True})
        call = asyncio.create_task(sim.client.get("/wechat/cgi-bin/token"))
        await arrived(sim)
        await sim.client.server.close()
        assert (await call).status == 503


async def test_a_delayed_call_is_answered_after_those_behind_it(sim):
    await inject(sim, {"delay": 0.3})
    order = []

    async def ask(name):
        await sim.plain()
        order.append(name)

    slow = asyncio.create_task(ask("slow"))
    await arrived(sim)
    await asyncio.gather(slow, ask("fast"))
    assert order == ["fast", "slow"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": "*"},
        {"path": "*", "answer": {}},
        {"path": "*", "answer": {"hang": True}, "times": 0},
        {"answer": {"hang": True}},
    ],
)
async def test_a_wrong_injection_is_refused_and_nothing_is_queued(sim, body):
    assert (await sim.post("/control/inject", body))["code"] == "bad_injection"
    assert "access_token" in await sim.plain()


async def test_calls_are_counted_and_recorded_without_secrets(sim):
    await sim.plain()
    await sim.plain()
    token = await sim.token()
    await use(sim, token)
    calls = await sim.get("/control/calls")
    assert calls["counts"] == {
        "GET /wechat/cgi-bin/token": 2,
        "POST /wechat/cgi-bin/stable_token": 1,
        "GET /wechat/wxaapi/newtmpl/gettemplate": 1,
    }
    text = json.dumps(calls)
    assert token not in text
    assert APP["secret"] not in text
    assert [call["errcode"] for call in calls["calls"]] == [None, None, None, 0]


async def test_calls_can_be_narrowed_by_path(sim):
    await sim.plain()
    await sim.stable(force_refresh=True)
    calls = await sim.get("/control/calls", path="*/stable_token")
    assert calls["counts"] == {"POST /wechat/cgi-bin/stable_token": 1}
    assert [call["body"]["force_refresh"] for call in calls["calls"]] == [True]


async def test_the_same_name_is_the_same_person_after_a_restart(tmp_path):
    people = []
    for _ in range(2):
        async with started(tmp_path) as sim:
            people.append([await sim.phone(), await sim.phone("王小明", "dingtalk"), await sim.phone("李四")])
    assert people[0] == people[1]
    assert len(set(people[0])) == 3


async def test_registering_twice_keeps_messages_and_changes_the_number(sim):
    phone = await sim.phone()
    await sim.consent(phone, RESULT)
    await sim.send(phone)
    again = await sim.post("/control/phones", {"name": "王小明", "mobile": "13900000000"})
    assert (again["id"], again["messages"], again["mobile"]) == (phone, 1, "13900000000")


async def test_a_wrong_person_is_refused(sim):
    assert (await sim.post("/control/phones", {"name": " "}))["code"] == "name_missing"
    assert (await sim.post("/control/phones", {"name": "王", "platform": "qq"}))["code"] == "unknown_platform"
    assert (await sim.post("/control/phones/nobody/login-code"))["code"] == "phone_not_found"
    assert (await sim.get("/control/phones"))["phones"] == []


async def test_control_takes_no_body_that_a_strange_page_could_post(sim):
    response = await sim.client.post("/control/clock", data=b'{"advance_seconds": 60}', headers={"Content-Type": "text/plain"})
    assert (response.status, (await response.json())["code"]) == (415, "not_json")
    assert (await sim.get("/control/clock"))["offset_seconds"] == 0.0


async def test_a_reset_forgets_everything_but_the_clock(sim):
    phone, token = await sim.phone(), await sim.token()
    await sim.advance(60)
    await sim.limit(wechat_sends_per_day=0)
    await inject(sim, {"errcode": -1}, path="*/gettemplate")
    await sim.post("/control/reset")
    assert (await sim.get("/control/phones"))["phones"] == []
    assert (await sim.get("/control/calls"))["calls"] == []
    assert (await sim.limit())["wechat_sends_per_day"] == 10_000_000
    assert await use(sim, token) == 40001
    assert (await sim.send(phone))["errcode"] == 40003
    assert (await sim.get("/control/clock"))["offset_seconds"] == 60.0


async def test_unknown_limits_are_refused_and_nothing_changes(sim):
    for body in (
        {"unknown": 1},
        {"wechat_sends_per_day": -1},
        {"wechat_sends_per_day": "1"},
        {"wechat_sends_per_day": 5, "x": 1},
    ):
        assert (await sim.limit(**body))["code"] == "bad_limit"
    assert (await sim.limit())["wechat_sends_per_day"] == 10_000_000


# --- the clock ---------------------------------------------------------------------------------------------------------


async def test_the_clock_moves_in_its_file_as_one_little_endian_double(sim, tmp_path):
    assert (tmp_path / "clock").read_bytes() == bytes(8)
    assert await sim.advance(90.5) == {"now": "2026-11-18T12:28:10.500000+00:00", "offset_seconds": 90.5}
    assert struct.unpack("<d", (tmp_path / "clock").read_bytes()) == (90.5,)
    moved = await sim.post("/control/clock", {"to": "2026-11-20T20:26:40+08:00"})
    assert moved == {"now": "2026-11-20T12:26:40+00:00", "offset_seconds": 172_800.0}


async def test_the_clock_goes_back_only_when_it_is_reset(sim):
    await sim.advance(3600)
    bodies = (
        {"advance_seconds": -1},
        {"to": "2026-11-18T20:26:40+08:00"},
        {"advance_seconds": 1e300},
        {"advance_seconds": 10**400},
    )
    assert [(await sim.post("/control/clock", body))["code"] for body in bodies] == ["clock_refused"] * 4
    assert (await sim.get("/control/clock"))["offset_seconds"] == 3600.0
    assert (await sim.post("/control/clock", {"reset": True}))["offset_seconds"] == 0.0


async def test_a_time_without_a_zone_or_sense_is_refused(sim):
    bodies = (
        {"to": "2027-01-01T00:00:00"},
        {"to": "0001-01-01T00:00:00+14:00"},
        {"advance_seconds": "60"},
        {"advance_seconds": True},
        {},
    )
    codes = [(await sim.post("/control/clock", body))["code"] for body in bodies]
    assert codes == ["bad_time", "bad_time", "bad_clock", "bad_clock", "bad_clock"]
    assert (await sim.get("/control/clock"))["offset_seconds"] == 0.0


async def test_an_offset_in_the_file_outlives_a_restart_and_is_followed_when_others_move_it(tmp_path):
    (tmp_path / "clock").write_bytes(struct.pack("<d", 60.0))
    async with started(tmp_path) as sim:
        assert (await sim.get("/control/clock"))["offset_seconds"] == 60.0
        with (tmp_path / "clock").open("r+b") as file:
            file.write(struct.pack("<d", 120.0))
        assert (await sim.get("/control/clock"))["now"] == "2026-11-18T12:28:40+00:00"


# --- the lottery -------------------------------------------------------------------------------------------------------


async def test_lottery_numbers_are_unknown_before_their_time_and_fixed_after_it(sim):
    at = "2026-11-18T21:26:40+08:00"
    response = await sim.client.get("/control/lottery", params={"at": at})
    assert (response.status, (await response.json())["code"]) == (404, "not_drawn_yet")
    await sim.advance(3600)
    drawn = await sim.get("/control/lottery", at=at)
    assert len(set(drawn["red"])) == 6
    assert drawn["red"] == sorted(drawn["red"])
    assert all(1 <= ball <= 33 for ball in drawn["red"])
    assert 1 <= drawn["blue"] <= 16
    assert drawn["date"] == "2026-11-18"
    await sim.advance(86_400)
    assert await sim.get("/control/lottery", at="2026-11-18T13:26:40+00:00") == drawn


async def test_an_earlier_moment_of_the_day_does_not_tell_the_numbers_of_a_later_one(sim):
    times = [f"2026-11-18T{hour:02d}:00:00+08:00" for hour in range(8, 18)]
    drawn = [(await sim.get("/control/lottery", at=at))["text"] for at in times]
    assert len(set(drawn)) > 1


async def test_the_lottery_wants_a_time_with_a_zone(sim):
    codes = [(await sim.get("/control/lottery", at=at))["code"] for at in ("2026-11-18", "tomorrow", "")]
    assert codes == ["bad_time"] * 3


# --- the page ----------------------------------------------------------------------------------------------------------


async def test_the_page_shows_what_each_phone_received_and_escapes_it(sim):
    phone, other = await sim.phone("<b>王</b>"), await sim.phone("赵敏", "dingtalk")
    await sim.consent(phone, RESULT)
    await sim.send(phone, data={**GOOD, "thing1": {"value": "<script>1</script>"}})
    await sim.notify(other, content="<img src=x>")
    response = await sim.client.get("/")
    text = await response.text()
    assert response.content_type == "text/html"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for shown in (
        "&lt;b&gt;王&lt;/b&gt;",
        "审核结果通知",
        "审核通过",
        "&lt;script&gt;1&lt;/script&gt;",
        "&lt;img src=x&gt;",
        "2026年11月18日 20:26:40",
    ):
        assert shown in text
    for raw in ("<b>王", "<script>1", "<img"):
        assert raw not in text


async def test_the_buttons_of_the_page_move_the_clock(sim):
    response = await sim.client.post("/clock", data={"advance_seconds": "604800"})
    assert response.status == 200
    assert "2026年11月25日 20:26:40" in await response.text()
    assert (await sim.get("/control/clock"))["offset_seconds"] == 604_800.0


async def test_the_buttons_work_only_from_the_page_itself(sim):
    strange = await sim.client.post("/clock", data={"advance_seconds": "3600"}, headers={"Origin": "http://elsewhere.example"})
    wrong = await sim.client.post("/clock", data={"advance_seconds": "5"})
    assert (strange.status, wrong.status) == (403, 400)
    assert (await sim.get("/control/clock"))["offset_seconds"] == 0.0


BODY = re.compile(r'<pre id="body">(.*?)</pre>')


async def test_the_page_hands_out_a_fresh_log_in_code_for_each_phone(sim):
    phone = await sim.phone("<b>王</b>")
    assert f'action="/phones/{phone}/login-code"' in await (await sim.client.get("/")).text()
    answers = [await sim.client.post(f"/phones/{phone}/login-code") for _ in range(2)]
    assert "<b>王" not in await answers[0].text()
    assert "script-src 'sha256-" in answers[0].headers["Content-Security-Policy"]
    first, second = [json.loads(unescape(BODY.findall(await answer.text())[0])) for answer in answers]
    assert first["code"] != second["code"]
    for body in (first, second):
        assert body.keys() == {"platform", "code"}
        assert (await sim.login(body["code"]))["openid"] == phone


async def test_a_log_in_code_is_handed_out_to_its_own_page_only(sim):
    phone, follower = await sim.phone("王"), await sim.phone("王", "wechat_oa")
    strange = await sim.client.post(f"/phones/{phone}/login-code", headers={"Origin": "http://elsewhere.example"})
    nobody = await sim.client.post("/phones/nobody/login-code")
    # The follower of an account has no mini-program to sign in with.
    account = await sim.client.post(f"/phones/{follower}/login-code")
    fetched = await sim.client.get(f"/phones/{phone}/login-code")
    assert (strange.status, nobody.status, account.status, fetched.status) == (403, 404, 404, 405)
    assert f"/phones/{follower}/" not in await (await sim.client.get("/")).text()


async def test_the_simulator_serves_on_loopback_only(tmp_path):
    with pytest.raises(ValueError, match="loopback"):
        await serve(
            "0.0.0.0",
            0,
            clock_file=tmp_path / "clock",
            wechat_appid="a",
            wechat_secret="b",
            dingtalk_appkey="c",
            dingtalk_appsecret="d",
            agent_id=1,
            templates=[],
            pages=[],
        )
    assert not (tmp_path / "clock").exists()
