"""SMS through the provider's interface, against a stand-in that keeps its rules: signature, templates, limits (decision 0130)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from bot.console import ConsoleSender
from bot.sms import PARAMETERS, SHORT_TEXTS, TEXTS, Account, TencentSms, outcome_of, parameters, read_answer, sign
from bot.transport import Transport
from handlers.notice_texts import OUTSIDE, text_of
from handlers.ports import Message, Outcome, SendResult
from simulator.app import create_app

ACCOUNT = Account("AKIDtest", "key-of-the-account", "1400006666", "企服券", "ap-guangzhou")
AT = datetime(2026, 3, 2, 1, tzinfo=UTC)
MESSAGE = Message(
    "payout_result", "13800138000", "兑付划拨结果：已划拨", "正文", "pages/redemptions/show?id=7",
    {"order_number": "202603020000000000000001", "result": "已划拨"}, "N42", AT,
)
IDS = {kind: f"10{number}" for number, kind in enumerate(SHORT_TEXTS)}
SIMULATED: Any = {
    "secret_id": "AKIDtest", "secret_key": "key-of-the-account", "sdk_app_id": "1400006666", "sign_name": "企服券",
    "templates": {IDS[kind]: text for kind, text in TEXTS.items()},
}


@dataclass
class Provider:
    client: TestClient[Any, Any]
    transport: Transport
    now: datetime = AT

    def sender(self, account: Account = ACCOUNT, ids: dict[str, str] = IDS) -> TencentSms:
        return TencentSms(self.transport, str(self.client.make_url("/sms")), account, ids)

    async def send(self, message: Message = MESSAGE) -> SendResult:
        return await self.sender().send(replace(message, sent_at=self.now))

    async def received(self, number: str = "13800138000") -> list[str]:
        async with self.client.get(f"/control/phones/{number}/messages") as response:
            if response.status == 404:
                return []
            return [message["fields"][0][1] for message in (await response.json())["messages"]]


@pytest.fixture
async def provider(tmp_path) -> AsyncIterator[Provider]:
    found: list[Provider] = []
    app = create_app(
        clock_file=tmp_path / "clock", wechat_appid="wx", wechat_secret="s", dingtalk_appkey="d", dingtalk_appsecret="s", agent_id=1,
        templates=[], pages=[], real_now=lambda: found[0].now.timestamp() if found else AT.timestamp(),
        sms=SIMULATED,
    )
    async with TestClient(TestServer(app)) as client, Transport(5) as transport:
        found.append(Provider(client, transport))
        yield found[0]


async def test_a_message_fills_its_approved_template_and_arrives(provider):
    result = await provider.send()
    assert (result.outcome, result.error) == (Outcome.DELIVERED, None)
    assert result.provider_id is not None
    assert result.provider_id.startswith("2640:")
    assert await provider.received() == ["订单202603020000000000000001的兑付资金已划拨，请登录企服券小程序查看。"]


def test_the_signature_is_that_of_the_documentation():
    # Computed apart from the code, with openssl, after the provider's page on signature v3 (TC3-HMAC-SHA256).
    payload = b'{"PhoneNumberSet": ["+8613711112222"]}'
    signature, scope = sign("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "sms.tencentcloudapi.com", payload, "1551113065")
    assert scope == "2019-02-25/sms/tc3_request"
    assert signature == "8757af097440caf6aaa925f0fc1d04b5c34d6bbb1da4ac30ace3785935bbd938"


@pytest.mark.parametrize(("account", "code"), [
    (replace(ACCOUNT, secret_key="other"), "AuthFailure.SignatureFailure"),
    (replace(ACCOUNT, secret_id="other"), "AuthFailure.SecretIdNotFound"),
    (replace(ACCOUNT, sdk_app_id="other"), "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
    (replace(ACCOUNT, sign_name="other"), "FailedOperation.SignatureIncorrectOrUnapproved"),
])
async def test_what_is_wrong_with_our_account_waits_and_the_channel_rests(provider, account, code):
    assert await provider.sender(account).send(MESSAGE) == SendResult(Outcome.RETRY, error=code, retry_after_seconds=60)
    assert await provider.received() == []


async def test_a_signature_lives_five_minutes(provider):
    provider.now = AT + timedelta(seconds=300)
    assert (await provider.sender().send(MESSAGE)).outcome is Outcome.DELIVERED
    provider.now = AT + timedelta(seconds=301)
    assert (await provider.sender().send(MESSAGE)).error == "AuthFailure.SignatureExpire"


async def test_one_number_has_one_in_thirty_seconds_five_an_hour_and_ten_a_day_and_the_channel_goes_on(provider):
    outcomes = []
    for seconds in (0, 29, 30, 60, 90, 120, 150):
        provider.now = AT + timedelta(seconds=seconds)
        outcomes.append((await provider.send()).error)
    assert outcomes == [
        None, "LimitExceeded.PhoneNumberThirtySecondLimit", None, None, None, None, "LimitExceeded.PhoneNumberOneHourLimit",
    ]
    limited = await provider.send()
    assert (limited.outcome, limited.retry_after_seconds, limited.about_reader) == (Outcome.RETRY, 3600, True)
    assert (await provider.send(replace(MESSAGE, open_id="13800138001"))).outcome is Outcome.DELIVERED


async def test_a_terminal_answer_is_not_retried(provider):
    unapproved = await provider.sender(ids={"payout_result": "999"}).send(MESSAGE)
    mixed_up = await provider.sender(ids={"payout_result": IDS["payout_result"], "order_frozen": "999"}).send(
        replace(MESSAGE, kind="order_frozen")
    )
    without = await provider.sender(ids={}).send(MESSAGE)
    assert [(each.outcome, each.error) for each in (unapproved, mixed_up, without)] == [
        (Outcome.REFUSED, "FailedOperation.TemplateIncorrectOrUnapproved"),
        (Outcome.REFUSED, "FailedOperation.TemplateIncorrectOrUnapproved"), (Outcome.REFUSED, "no template for this kind"),
    ]


@pytest.mark.parametrize("number", ["110", "+85261234567", "1380013800a", "", "13800138000,13800138001"])
async def test_only_mobile_numbers_of_the_mainland_are_called(provider, number):
    assert await provider.send(replace(MESSAGE, open_id=number)) == SendResult(
        Outcome.REFUSED, error="not a mobile number of the mainland"
    )


@pytest.mark.parametrize(("code", "outcome", "seconds", "about_reader"), [
    ("LimitExceeded.PhoneNumberDailyLimit", Outcome.RETRY, 3600, True),
    ("LimitExceeded.DeliveryFrequencyLimit", Outcome.RETRY, 30, False),
    ("RequestLimitExceeded", Outcome.RETRY, 1, False),
    ("LimitExceeded.PhoneNumberSameContentDailyLimit", Outcome.REFUSED, 0, False),
    ("FailedOperation.PhoneNumberInBlacklist", Outcome.REFUSED, 0, False),
    ("FailedOperation.ContainSensitiveWord", Outcome.REFUSED, 0, False),
    ("InvalidParameterValue.TemplateParameterLengthLimit", Outcome.REFUSED, 0, False),
    ("UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone", Outcome.REFUSED, 0, False),
    ("InternalError.Timeout", Outcome.RETRY, 0, False),
    ("FailedOperation.InsufficientBalanceInSmsPackage", Outcome.RETRY, 60, False),
    ("AuthFailure.SecretIdNotFound", Outcome.RETRY, 60, False),
])
def test_each_class_of_answer_has_its_consequence(code, outcome, seconds, about_reader):
    assert outcome_of(code) == SendResult(outcome, error=code, retry_after_seconds=seconds, about_reader=about_reader)


@pytest.mark.parametrize("body", [{}, {"Response": None}, {"Response": {}}, {"Response": {"SendStatusSet": []}}])
def test_an_answer_that_says_nothing_is_for_later(body):
    assert read_answer(body).outcome is Outcome.RETRY


async def test_a_provider_that_is_down_is_for_later(provider):
    async with provider.client.post("/control/inject", json={"path": "/sms/", "answer": {"status": 503}}) as response:
        assert response.status == 200
    assert (await provider.send()).outcome is Outcome.RETRY
    assert (await provider.send()).outcome is Outcome.DELIVERED


def test_places_are_filled_with_facts_of_the_text_and_never_empty():
    for kind, facts in PARAMETERS.items():
        assert set(facts) <= set((OUTSIDE.get(kind) or text_of(kind, {})).fields) | {"link"}, kind
        assert [f"{{{number}}}" in TEXTS[kind] for number in range(1, len(facts) + 2)] == [True] * len(facts) + [False]
    assert parameters(replace(MESSAGE, fields={"order_number": "长" * 90, "result": ""}))[1] == "无"
    assert len(parameters(replace(MESSAGE, fields={"order_number": "长" * 90, "result": ""}))[0]) <= 32


async def test_the_console_twin_shows_who_only_so_far_that_nobody_can_be_called():
    with capture_logs() as lines:
        assert (await ConsoleSender().send(MESSAGE)).outcome is Outcome.DELIVERED
    assert "13800138000" not in str(lines)
    assert lines[0]["to"] == "138***00"
