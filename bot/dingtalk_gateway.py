"""DingTalk as `handlers.ports` wants it: log-in, and work notices with their receipts."""

from collections.abc import Mapping
from typing import Any

import structlog

from bot.dingtalk import TOKEN_REFUSED, TOO_OFTEN, DingTalk
from bot.links import page_for
from bot.templates import TEMPLATES
from bot.transport import PlatformError, to_json
from bot.values import FORMATTERS, plain, trimmed
from bot.wechat_gateway import check_code, login_error
from handlers.ports import LoginRefusedError, Message, Outcome, PlatformDownError, PlatformUser, SendResult

log = structlog.get_logger(__name__)

CODE_REFUSED = frozenset({40078, 40102})  # unknown (or used), expired
USER_UNKNOWN = frozenset({33012, 60121})
# User, scope, length, parameters, agent id, and the month's quota: waiting 48 hours for a new month helps nobody.
REFUSED = USER_UNKNOWN | {50002, 50004, 34016, 40035, 40056, 52019, 1430000, 1430002, 1430003, 90020}
OUR_FAULT = frozenset({34016, 40035, 40056, 52019, 90020})
RECALL_REFUSED = 400002  # older than a day, or not a task of ours
MESSAGE_BYTES_MAX = 2_048
TITLE_CHARACTERS_MAX, VALUE_CHARACTERS_MAX = 50, 40
BLUE = "FF1677FF"
# Too often on this interface; an address that is shut out for five minutes, told by a page or {"status":1111}; the app
# itself is refused: key or secret, token, right, address. Waits from half a minute on let the whole channel rest.
RETRY_SECONDS: Mapping[int | str, float] = {
    **dict.fromkeys(TOO_OFTEN, 1), "html": 300, "banned": 300, **dict.fromkeys(TOKEN_REFUSED | {40089, 60011, 60020}, 60),
}


class DingTalkLogin:
    def __init__(self, client: DingTalk) -> None:
        self._client = client

    async def exchange(self, code: str) -> PlatformUser:
        check_code(code)
        result = await self._result("/topapi/v2/user/getuserinfo", {"code": code})
        user_id, union_id = result.get("userid"), result.get("unionid")
        if not isinstance(user_id, str) or not user_id:
            raise PlatformDownError("no userid in the answer")
        return PlatformUser(self._client.appkey, user_id, union_id if isinstance(union_id, str) and union_id else None)

    async def phone(self, code: str, open_id: str) -> str:
        """DingTalk has no code for a number: the organisation's administrator agrees for all, so `code` is not looked at."""
        del code
        result = await self._result("/topapi/v2/user/get", {"userid": open_id})
        number, country = str(result.get("mobile") or ""), str(result.get("state_code") or "86")
        if not number.isdecimal():
            raise LoginRefusedError("the organisation does not show this number")
        return number if country == "86" else f"+{country}{number}"

    async def _result(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            result = (await self._client.call(path, body)).get("result")
        except PlatformError as error:
            raise login_error(error, CODE_REFUSED | USER_UNKNOWN) from None
        return result if isinstance(result, dict) else {}


class DingTalkNoticeSender:
    """An accepted notice may still be dropped without a word: `receipt` tells, within 24 hours.

    In the standard edition each call, and so each question, is one of 5,000 a month.
    """

    def __init__(self, client: DingTalk, agent_id: int) -> None:
        self._client, self._agent_id = client, agent_id

    async def send(self, message: Message) -> SendResult:
        # The list is joined by commas: with one in it, an id would be two people.
        if not message.open_id.strip() or "," in message.open_id:
            return SendResult(Outcome.REFUSED, error="not a userid")
        body = {"agent_id": self._agent_id, "userid_list": message.open_id, "msg": notice(message)}
        try:
            answer = await self._client.call("/topapi/message/corpconversation/asyncsend_v2", body)
        except PlatformError as error:
            return outcome_of(error)
        if (task_id := answer.get("task_id")) is None:
            return SendResult(Outcome.RETRY, error="malformed no task_id in the answer")
        return SendResult(Outcome.ACCEPTED, provider_id=str(task_id))

    async def receipt(self, provider_id: str) -> SendResult:
        if not provider_id.isdecimal():
            return SendResult(Outcome.REFUSED, provider_id=provider_id, error="not a task id")
        body = {"agent_id": self._agent_id, "task_id": int(provider_id)}
        try:
            answer = await self._client.call("/topapi/message/corpconversation/getsendresult", body)
        except PlatformError as error:
            result = outcome_of(error)
            return SendResult(result.outcome, provider_id, result.error, result.retry_after_seconds)
        found = answer.get("send_result")
        return read_receipt(provider_id, found if isinstance(found, dict) else {})


    async def recall(self, provider_id: str) -> SendResult:
        """Within 24 hours; the phone then shows that a notice was taken back."""
        if not provider_id.isdecimal():
            return SendResult(Outcome.REFUSED, provider_id=provider_id, error="not a task id")
        body = {"agent_id": self._agent_id, "msg_task_id": int(provider_id)}
        try:
            await self._client.call("/topapi/message/corpconversation/recall", body)
        except PlatformError as error:
            result = outcome_of(error)
            again = result.outcome if error.code != RECALL_REFUSED else Outcome.REFUSED
            return SendResult(again, provider_id, result.error, result.retry_after_seconds)
        return SendResult(Outcome.DELIVERED, provider_id)


def read_receipt(provider_id: str, found: dict[str, Any]) -> SendResult:
    """One notice has one receiver, so whichever list is not empty speaks of that one."""
    reasons = [str(each.get("code")) for each in found.get("forbidden_list") or () if isinstance(each, dict)]
    reasons += [name for name in ("invalid_user_id_list", "forbidden_user_id_list", "failed_user_id_list") if found.get(name)]
    if reasons:
        # 143106 same content today, 143105 more than 500 today, 143103/143104 too many this minute.
        return SendResult(Outcome.REFUSED, provider_id, error=f"not delivered: {reasons[0]}"[:160])
    if found.get("read_user_id_list") or found.get("unread_user_id_list"):
        return SendResult(Outcome.DELIVERED, provider_id)
    return SendResult(Outcome.RETRY, provider_id)


def outcome_of(error: PlatformError) -> SendResult:
    if error.code in REFUSED:
        report = log.error if error.code in OUR_FAULT else log.warning
        report("notice_refused", code=error.code, message=error.message)
        return SendResult(Outcome.REFUSED, error=str(error))
    if error.code in TOKEN_REFUSED or not error.retryable:
        log.error("platform_refuses_us", code=error.code, message=error.message)
    return SendResult(Outcome.RETRY, error=str(error), retry_after_seconds=RETRY_SECONDS.get(error.code, 0))


def notice(message: Message) -> dict[str, Any]:
    """An OA message of at most 2,048 bytes as JSON, of which a 汉字 takes three.

    DingTalk drops a content that the same person got today already, so `reference` stands in it.
    """
    body = {"title": trimmed(plain(message.title), TITLE_CHARACTERS_MAX), "form": rows(message), "content": ""}
    card = {
        "message_url": f"eapp://{page_for(message.kind, message.page)}",
        "head": {"bgcolor": BLUE, "text": "企服券"},
        "body": body,
    }
    result = {"msgtype": "oa", "oa": card}
    room = MESSAGE_BYTES_MAX - len(to_json(result))
    body["content"] = trimmed(plain(message.body), room, lambda text: len(to_json({"": text})) - len(to_json({"": ""})))
    return result


def rows(message: Message) -> list[dict[str, str]]:
    """Up to six are shown: the template's lines, and the reference as the last of them."""
    template = TEMPLATES.get(message.kind)
    keywords = template.keywords if template else ()
    shown = [(each.label, line(each.type, message.fields.get(each.field, ""))) for each in keywords]
    shown.append(("编号", line("thing", message.reference)))
    return [{"key": f"{label}：", "value": value} for label, value in shown if value]


def line(of_type: str, text: str) -> str:
    """Times and amounts as WeChat has them; texts may be longer here."""
    if text.strip() and of_type in {"time", "date", "amount"}:
        return FORMATTERS[of_type](text)
    return trimmed(plain(text), VALUE_CHARACTERS_MAX)
