"""WeChat as `handlers.ports` wants it: log-in, messages to those who agreed to get one, and the check of texts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.links import page_for
from bot.templates import TEMPLATES, Template, fill
from bot.transport import PlatformError
from bot.wechat import TOKEN_REFUSED, WeChat
from handlers.ports import (
    LoginRefusedError,
    Message,
    Outcome,
    PlatformDownError,
    PlatformUser,
    SendResult,
    Suggest,
    Verdict,
)

log = structlog.get_logger(__name__)

CODE_REFUSED = frozenset({40029, 40163, 40226})  # unknown or expired, used, a user at risk
# The app itself is refused: its id, secret, token or address, frozen, without this right. People repair that, and the
# messages should still go out.
APP_REFUSED = TOKEN_REFUSED | {40013, 40125, 40164, 40243, 41002, 41004, 48001, 50004, 50007, 89503, 89506, 89507}


@dataclass(frozen=True, slots=True)
class Says:
    """What the codes of one of WeChat's two kinds of messages mean for a message.

    Waits (`retry_seconds`) below half a minute are about one person; from there on the whole channel rests.
    """

    no_consent: frozenset[int]
    refused: frozenset[int]
    our_fault: frozenset[int]
    retry_seconds: Mapping[int | str, float]
    sent_already: frozenset[int] = frozenset()

    async def send(
        self, message: Message, post: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], more: Callable[[Template], dict[str, Any]]
    ) -> dict[str, Any] | SendResult:
        """A message by its template, with `more` in its body: the platform's answer, or what it means that there is none."""
        template = TEMPLATES.get(message.kind)
        if template is None:
            log.error("message_without_template", kind=message.kind)
            return SendResult(Outcome.REFUSED, error="no template for this kind")
        try:
            return await post({"touser": message.open_id, **more(template), "data": fill(template, message.fields)})
        except PlatformError as error:
            return self.outcome_of(error, message.kind)

    def outcome_of(self, error: PlatformError, kind: str) -> SendResult:
        if error.code in self.no_consent:
            log.debug("no_consent", kind=kind)  # everyday life, not an incident
            return SendResult(Outcome.NO_CONSENT, error=str(error))
        if error.code in self.sent_already:
            return SendResult(Outcome.DELIVERED, error=str(error))
        if error.code in self.refused:
            report = log.error if error.code in self.our_fault else log.warning
            report("message_refused", kind=kind, code=error.code, message=error.message)
            return SendResult(Outcome.REFUSED, error=str(error))
        if error.code in APP_REFUSED or not error.retryable:
            log.error("platform_refuses_us", kind=kind, code=error.code, message=error.message)
        wait = 60 if error.code in APP_REFUSED else self.retry_seconds.get(error.code, 0)
        return SendResult(Outcome.RETRY, error=str(error), retry_after_seconds=wait)


# Refused: banned template, openid, template id, page, sensitive word, a value. The same message fails again tomorrow.
SAYS = Says(
    frozenset({43101}), frozenset({43107, 40003, 40037, 41030, 45168, 47003}), frozenset({40037, 41030, 47003}),
    {43108: 1, 45011: 60, 45009: 3600},
)


class WeChatLogin:
    def __init__(self, client: WeChat) -> None:
        self._client = client

    async def exchange(self, code: str) -> PlatformUser:
        """The session key in the answer is dropped here: nothing of ours decrypts with it."""
        check_code(code)
        try:
            session = await self._client.code2session(code)
        except PlatformError as error:
            raise login_error(error) from None
        open_id, union_id = session.get("openid"), session.get("unionid")
        if not isinstance(open_id, str) or not open_id:
            raise PlatformDownError("no openid in the answer")
        return PlatformUser(self._client.appid, open_id, union_id if isinstance(union_id, str) and union_id else None)

    async def phone(self, code: str, open_id: str) -> str:
        """A number of the mainland without its country code, every other with it: +85261234567."""
        check_code(code)
        try:
            info = await self._client.phone_number(code, open_id)
        except PlatformError as error:
            raise login_error(error) from None
        watermark = info.get("watermark")
        if not isinstance(watermark, dict) or watermark.get("appid") != self._client.appid:
            raise LoginRefusedError("the number was given to another app")
        number, country = str(info.get("purePhoneNumber") or ""), str(info.get("countryCode") or "")
        if not number.isdecimal() or not country.isdecimal():
            raise PlatformDownError("no number in the answer")
        return number if country == "86" else f"+{country}{number}"


def check_code(code: str) -> None:
    """Codes are short and ASCII; anything else never came from a platform and costs no call."""
    if not (0 < len(code) <= 256 and code.isascii() and code.isprintable()):
        raise LoginRefusedError("not a code")


def login_error(error: PlatformError, refused: frozenset[int] = CODE_REFUSED) -> LoginRefusedError | PlatformDownError:
    if error.code in refused:
        return LoginRefusedError(str(error))
    log.warning("login_platform_down", code=error.code, message=error.message)
    return PlatformDownError(str(error))


class WeChatCodes:
    """Mini-program codes as `handlers.ports.Codes` wants them; `version` is which version of the mini-program they open."""

    def __init__(self, client: WeChat, version: str) -> None:
        self._client, self._version = client, version

    async def draw(self, scene: str, page: str) -> bytes:
        try:
            return await self._client.mini_program_code(scene, page, env_version=self._version)
        except PlatformError as error:
            log.warning("no_mini_program_code", code=error.code, message=error.message)
            raise PlatformDownError(str(error)) from None


class WeChatSubscribeSender:
    """Two messages at once to one person get 43108: the caller sends to a person one after the other.

    `template_ids` maps a kind to the id that WeChat gave its template; kinds without one have the simulator's id.
    """

    def __init__(self, client: WeChat, miniprogram_state: str, template_ids: Mapping[str, str] | None = None) -> None:
        self._client, self._state, self._ids = client, miniprogram_state, template_ids or {}

    async def send(self, message: Message) -> SendResult:
        answer = await SAYS.send(message, self._client.send_subscribe, lambda template: {
            "template_id": self._ids.get(message.kind, template.default_id),
            "page": page_for(message.kind, message.page),
            "miniprogram_state": self._state,
            "lang": "zh_CN",
        })
        if isinstance(answer, SendResult):
            return answer
        msgid = answer.get("msgid")  # not documented, but newer answers carry it
        return SendResult(Outcome.DELIVERED, provider_id=None if msgid is None else str(msgid))

    async def receipt(self, provider_id: str) -> SendResult:
        """There are none to ask for: what was taken counts as delivered."""
        return SendResult(Outcome.DELIVERED, provider_id=provider_id)


TEXT_CHARACTERS_MAX = 2500


class WeChatContentCheck:
    """msg_sec_check, where everything that is no verdict is UNKNOWN: 61010 (idle for two hours), the quota, a platform that is away."""

    def __init__(self, client: WeChat) -> None:
        self._client = client

    async def check(self, open_id: str, scene: int, text: str) -> Verdict:
        try:
            return await self._client.check_text(open_id, scene, text[:TEXT_CHARACTERS_MAX])
        except PlatformError as error:
            return no_verdict(error)


def no_verdict(error: PlatformError) -> Verdict:
    if error.code in APP_REFUSED:
        log.error("platform_refuses_us", doing="content_check", code=error.code, message=error.message)
    return Verdict(Suggest.UNKNOWN, error=str(error))
