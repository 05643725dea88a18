"""SMS through Tencent Cloud (SendSms, version 2021-01-11) as `handlers.ports` wants it; other providers behind the same base URL.

Texts are templates that the provider has approved; a message fills their numbered places. Mainland numbers only.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog

from bot.transport import PlatformError, Transport, to_json
from bot.values import plain, trimmed
from handlers.outside import is_mobile
from handlers.personal import normalise
from handlers.ports import Message, Outcome, SendResult

log = structlog.get_logger(__name__)

ACTION, VERSION, SERVICE = "SendSms", "2021-01-11", "sms"
CONTENT_TYPE = "application/json; charset=utf-8"
PARAMETER_CHARACTERS_MAX = 32

# Kind -> its template as it is handed in for approval, and which facts fill {1}, {2}, ..., among the fields of its text.
SHORT_TEXTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "approval_result": ("您提交的{1}{2}，请登录企服券小程序查看。", ("subject", "result")),
    "order_frozen": ("订单{1}{2}，请登录企服券小程序查看。", ("order_number", "progress")),
    "payout_result": ("订单{1}的兑付资金{2}，请登录企服券小程序查看。", ("order_number", "result")),
    "consultant_invited": ("{1}邀请您成为服务顾问，请于七天内打开{2}答复。仅限本人使用，请勿转发。", ("institution", "link")),
    "phone_code": ("验证码{1}，{2}分钟内有效，用于答复服务顾问邀请。请勿告诉他人。", ("code", "minutes")),
    "consultant_decided": ("您提交的{1}{2}，请打开邀请链接查看。", ("title", "result")),
}
TEXTS: Mapping[str, str] = {kind: text for kind, (text, _) in SHORT_TEXTS.items()}
PARAMETERS: Mapping[str, tuple[str, ...]] = {kind: facts for kind, (_, facts) in SHORT_TEXTS.items()}

# About this number: it gets no more for now, the others do. Seconds to wait; the rules are the account's, these are the usual ones.
READER_LIMITS: Mapping[str, float] = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30,
    "LimitExceeded.PhoneNumberOneHourLimit": 3_600,
    "LimitExceeded.PhoneNumberDailyLimit": 3_600,
}
# About all of us: too often, or the day's amount is used up.
OUR_LIMITS: Mapping[str, float] = {
    "RequestLimitExceeded": 1, "LimitExceeded.DeliveryFrequencyLimit": 30, "LimitExceeded.AppMainlandChinaDailyLimit": 3_600,
    "LimitExceeded.AppDailyLimit": 3_600,
}
# The same message fails again tomorrow.
REFUSED = frozenset({
    "FailedOperation.ContainSensitiveWord", "FailedOperation.PhoneNumberInBlacklist", "FailedOperation.PhoneNumberOnBlacklist",
    "FailedOperation.TemplateIncorrectOrUnapproved", "FailedOperation.TemplateUnapprovedOrNotExist",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "LimitExceeded.PhoneNumberSameContentDailyLimit",
})
REFUSED_FAMILIES = ("InvalidParameter", "InvalidParameterValue", "MissingParameter", "UnsupportedOperation")
OURS_SECONDS = 60  # key, right, balance, signature: people repair that, and the messages should still go out


@dataclass(frozen=True, slots=True)
class Account:
    secret_id: str
    secret_key: str
    sdk_app_id: str
    sign_name: str
    region: str


class TencentSms:
    """`template_ids` maps a kind to the id of its approved template."""

    def __init__(self, transport: Transport, base_url: str, account: Account, template_ids: Mapping[str, str]) -> None:
        self._transport, self._url, self._account, self._ids = transport, base_url.rstrip("/") + "/", account, template_ids

    async def send(self, message: Message) -> SendResult:
        number = normalise(message.open_id)
        if not is_mobile(number):
            return SendResult(Outcome.REFUSED, error="not a mobile number of the mainland")
        if message.kind not in PARAMETERS or message.kind not in self._ids:
            log.error("sms_without_template", kind=message.kind)
            return SendResult(Outcome.REFUSED, error="no template for this kind")
        body = {
            "PhoneNumberSet": [f"+86{number}"], "SmsSdkAppId": self._account.sdk_app_id, "SignName": self._account.sign_name,
            "TemplateId": self._ids[message.kind], "TemplateParamSet": parameters(message), "SessionContext": message.reference,
        }
        assert message.sent_at is not None, "the signature has a time"
        headers = signed_headers(self._account, urlsplit(self._url).netloc, to_json(body), message.sent_at)
        try:
            answer = await self._transport.call("POST", self._url, body=body, headers=headers)
        except PlatformError as error:
            return SendResult(Outcome.RETRY, error=str(error))
        return read_answer(answer.body if isinstance(answer.body, dict) else {})

    async def receipt(self, provider_id: str) -> SendResult:
        """The operator's report is not asked for: what the provider took counts as delivered."""
        return SendResult(Outcome.DELIVERED, provider_id=provider_id)


def parameters(message: Message) -> list[str]:
    """In the order of the template's places. A link is never cut, an empty one is a fault of the template."""
    values = ((name, plain(message.fields.get(name, ""))) for name in PARAMETERS[message.kind])
    return [value if name == "link" else trimmed(value, PARAMETER_CHARACTERS_MAX) or "无" for name, value in values]


# --- TC3-HMAC-SHA256 -----------------------------------------------------------------------------------------------------------


def signed_headers(account: Account, host: str, payload: bytes, at: datetime) -> dict[str, str]:
    """The headers of a call, with its signature over method, content type, host and body. The provider allows five minutes."""
    timestamp = str(int(at.timestamp()))
    signature, scope = sign(account.secret_key, host, payload, timestamp)
    return {
        "Content-Type": CONTENT_TYPE, "X-TC-Action": ACTION, "X-TC-Version": VERSION, "X-TC-Timestamp": timestamp,
        "X-TC-Region": account.region,
        "Authorization": f"TC3-HMAC-SHA256 Credential={account.secret_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}",
    }


def sign(secret_key: str, host: str, payload: bytes, timestamp: str) -> tuple[str, str]:
    """(signature, scope) as the documentation of signature v3 builds them."""
    digest = hashlib.sha256(payload).hexdigest()
    request = f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\n\ncontent-type;host\n{digest}"
    day = f"{datetime.fromtimestamp(int(timestamp), UTC):%Y-%m-%d}"
    scope = f"{day}/{SERVICE}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"TC3{secret_key}".encode()
    for part in (day, SERVICE, "tc3_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.digest(key, text.encode(), hashlib.sha256).hex(), scope


# --- what the provider says ----------------------------------------------------------------------------------------------------


def read_answer(body: Mapping[str, object]) -> SendResult:
    response = body.get("Response")
    if not isinstance(response, dict):
        return SendResult(Outcome.RETRY, error="malformed no Response in the answer")
    if isinstance(error := response.get("Error"), dict):
        return outcome_of(str(error.get("Code")))
    statuses = response.get("SendStatusSet")
    status = statuses[0] if isinstance(statuses, list) and statuses and isinstance(statuses[0], dict) else {}
    if status.get("Code") == "Ok":
        return SendResult(Outcome.DELIVERED, provider_id=str(status.get("SerialNo"))[:64])
    if "Code" not in status:
        return SendResult(Outcome.RETRY, error="malformed no SendStatusSet in the answer")
    return outcome_of(str(status["Code"]))


def outcome_of(code: str) -> SendResult:
    """Terminal, for this reader later, for everybody later. Texts may hold the number, so only the code is kept."""
    if code in READER_LIMITS:
        return SendResult(Outcome.RETRY, error=code, retry_after_seconds=READER_LIMITS[code], about_reader=True)
    if code in OUR_LIMITS:
        return SendResult(Outcome.RETRY, error=code, retry_after_seconds=OUR_LIMITS[code])
    if code in REFUSED or code.partition(".")[0] in REFUSED_FAMILIES:
        log.warning("sms_refused", code=code)
        return SendResult(Outcome.REFUSED, error=code[:160])
    if code.startswith("InternalError"):
        return SendResult(Outcome.RETRY, error=code[:160])
    log.error("platform_refuses_us", code=code)
    return SendResult(Outcome.RETRY, error=code[:160], retry_after_seconds=OURS_SECONDS)
