"""From a verified push to what is kept of it: who, what, and the key by which a repeated push is known (docs/decisions/0180)."""

import hashlib
import re
from datetime import datetime
from typing import Any

import orjson

from bot.pushes import MalformedPushError, listed, word
from bot.talk import Said
from handlers.inbound import Arrived
from models.accounts import Platform
from models.inbound import InboundKind

OPEN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
STAFF_ID = re.compile(r"[!-+\x2d-~]{1,64}")  # printable, without a space or the comma that joins lists of them
TEXT_CHARACTERS_MAX = 2_000  # a keyboard message of WeChat ends before
LATEST_SECOND = 253_402_300_799  # the end of year 9999
# What tells of something; every other event of these platforms is thanked for and forgotten.
EVENTS = frozenset({
    "subscribe", "unsubscribe", "scan", "templatesendjobfinish", "subscribe_msg_popup_event", "subscribe_msg_change_event",
    "subscribe_msg_sent_event", "user_enter_tempsession", "user_authorization_revoke",
})
ACTION_CHARACTERS_MAX, VALUES_MAX = 512, 20
FILE_CODE_CHARACTERS_MAX, FILE_NAME_CHARACTERS_MAX = 1_000, 200


def of_wechat(platform: Platform, app_id: str, fields: dict[str, Any], now: datetime) -> Arrived | None:
    """A message or an event of WeChat. None for what we have no use for. Raises MalformedPushError."""
    open_id, kind, event = word(fields, "FromUserName"), word(fields, "MsgType"), word(fields, "Event")
    if not OPEN_ID.fullmatch(open_id) or not kind:
        raise MalformedPushError
    at = _second(word(fields, "CreateTime"), now)
    if kind == "event" and event != "CLICK":
        if event.lower() not in EVENTS:
            return None
        return Arrived(platform, app_id, open_id, InboundKind.EVENT, _event_key(open_id, event, fields), {
            "event": event.lower(), "at": at, "fields": _kept(fields),
        })
    if event == "CLICK":
        text, said, key = word(fields, "EventKey"), Said.MENU, _event_key(open_id, event, fields)
    else:
        # The recognition of a voice message is text like any other; what is no text is answered as such.
        text, said = word(fields, "Content") if kind == "text" else word(fields, "Recognition"), Said.TEXT
        message_id = word(fields, "MsgId")
        key = f"message|{message_id}" if message_id.strip("0") else f"{_event_key(open_id, kind, fields)}|{text}"
        if kind == "image" and (media_id := word(fields, "MediaId")):
            return _saying(platform, app_id, open_id, key, said=Said.FILE, text="", at=at, file=_file(media_id, ""))
    return _saying(platform, app_id, open_id, key, said=said, text=text, at=at)


def _file(code: str, name: str) -> dict[str, str]:
    """What fetches a file, and what it is called; a picture has no name."""
    return {"code": code[:FILE_CODE_CHARACTERS_MAX], "name": _clean(name)[:FILE_NAME_CHARACTERS_MAX]}


def _event_key(open_id: str, event: str, fields: dict[str, Any]) -> str:
    """Events have no MsgId, and two of one person may come in the same second: what they are about is part of what they are."""
    about = [word(fields, name) for name in ("EventKey", "Ticket", "MsgID", "trace_id")]
    about += [f"{word(item, 'TemplateId')}={word(item, 'SubscribeStatusString')}{word(item, 'MsgID')}" for item in listed(fields)]
    return "|".join(("event", open_id, word(fields, "CreateTime"), event, *about))


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    """Only what the handling of events reads."""
    names = ("EventKey", "Ticket", "MsgID", "Status", "OpenID")
    return {name: word(fields, name) for name in names} | {"List": [
        {name: word(item, name) for name in ("TemplateId", "SubscribeStatusString", "MsgID", "ErrorCode", "ErrorStatus")}
        for item in listed(fields)
    ]}


def _saying(
    platform: Platform, app_id: str, open_id: str, key: str, *, said: Said, text: str, at: float, **more: Any,
) -> Arrived:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Arrived(platform, app_id, open_id, InboundKind.SAID, key, {
        "said": said, "text": _clean(text), "at": at, "message_id": digest, **more,
    })


def _clean(text: str) -> str:
    """Without the characters that no keyboard has and no database column takes."""
    return "".join(each for each in text[:TEXT_CHARACTERS_MAX] if each >= " " or each in "\n\t")


def _second(text: str, now: datetime, unit_seconds: float = 1) -> float:
    """The platform's moment; one that cannot be is ours. Never later than now: a window must not be opened in advance."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        return now.timestamp()
    return min(int(text) * unit_seconds, now.timestamp(), LATEST_SECOND)


class OutsiderError(Exception):
    """Somebody in a group who is not of the corporation: DingTalk gives no userid, so there is nobody to answer to."""


def of_robot(app_id: str, fields: dict[str, Any], now: datetime) -> Arrived:
    """A message to the DingTalk robot. Raises MalformedPushError, OutsiderError."""
    message_id, staff_id = word(fields, "msgId"), word(fields, "senderStaffId")
    if not message_id or len(message_id) > 256:
        raise MalformedPushError
    if not staff_id:
        raise OutsiderError
    if not STAFF_ID.fullmatch(staff_id):
        raise MalformedPushError
    file = _robot_file(fields)
    return _saying(
        Platform.DINGTALK, app_id, staff_id, f"message|{message_id}", said=Said.FILE if file else Said.TEXT,
        text=_robot_text(fields).strip(), at=_second(word(fields, "createAt"), now, 0.001), **({"file": file} if file else {}),
        in_group=word(fields, "conversationType") != "1",
        session_webhook=word(fields, "sessionWebhook")[:1_000],
        session_until=_until(word(fields, "sessionWebhookExpiredTime")),
    )


def _robot_file(fields: dict[str, Any]) -> dict[str, str] | None:
    content = fields.get("content")
    if word(fields, "msgtype") not in {"picture", "file"} or not isinstance(content, dict):
        return None
    code = word(content, "downloadCode")
    return _file(code, word(content, "fileName")) if code else None


def _robot_text(fields: dict[str, Any]) -> str:
    content = fields.get("text")
    if isinstance(content, dict):
        return word(content, "content")
    content = fields.get("content")
    if not isinstance(content, dict):
        return ""
    parts = content.get("richText")
    if isinstance(parts, list):
        return " ".join(text for part in parts if isinstance(part, dict) and (text := word(part, "text")))
    return word(content, "recognition")  # of a voice message


def _until(milliseconds: str) -> float:
    return int(milliseconds) / 1_000 if milliseconds.isascii() and milliseconds.isdecimal() and len(milliseconds) <= 15 else 0.0


def of_card(app_id: str, fields: dict[str, Any], mark: str, now: datetime) -> Arrived:
    """A tap on an interactive card. `mark` is what tells two taps apart: a messageId, or the moment that was signed.

    Raises MalformedPushError.
    """
    track_id, staff_id = word(fields, "outTrackId"), word(fields, "userId")
    if not 1 <= len(track_id) <= 100 or not STAFF_ID.fullmatch(staff_id):
        raise MalformedPushError
    action, values = _tapped(fields.get("content"))
    return _saying(
        Platform.DINGTALK, app_id, staff_id, f"card|{track_id}|{staff_id}|{action}|{mark}", said=Said.CARD, text=action,
        at=now.timestamp(), values=values, track_id=track_id,
    )


def _tapped(content: object) -> tuple[str, dict[str, str]]:
    """`content` is JSON text: {"cardPrivateData":{"actionIds":["..."],"params":{...}}}."""
    try:
        found = orjson.loads(content) if isinstance(content, str) else content
    except orjson.JSONDecodeError:
        raise MalformedPushError from None
    private = found.get("cardPrivateData") if isinstance(found, dict) else None
    if not isinstance(private, dict):
        raise MalformedPushError
    actions, params = private.get("actionIds"), private.get("params")
    params = params if isinstance(params, dict) else {}
    # A button made from a list of the card has one id for all of them and says in its parameters which one it is.
    action = word(params, "action") or (str(actions[0]) if isinstance(actions, list) and actions and isinstance(actions[0], str) else "")
    if not action or len(action) > ACTION_CHARACTERS_MAX:
        raise MalformedPushError
    names = [name for name in params if isinstance(name, str) and name != "action"][:VALUES_MAX]
    return _clean(action), {_clean(name)[:64]: _clean(word(params, name)) for name in names}


def of_dingtalk_event(app_id: str, fields: dict[str, Any], mark: str, now: datetime) -> list[Arrived]:
    """An event of the corporation: only people who leave it matter here. `mark` is the event's own id."""
    event = word(fields, "EventType")
    found = fields.get("UserId") or fields.get("userId")
    staff_ids = found if isinstance(found, list) else [found]
    if event not in {"user_leave_org", "user_add_org"}:
        return []
    return [
        Arrived(Platform.DINGTALK, app_id, staff_id, InboundKind.EVENT, f"event|{event}|{staff_id}|{mark}",
                {"event": event, "at": now.timestamp(), "fields": {}})
        for staff_id in staff_ids[:1_000] if isinstance(staff_id, str) and STAFF_ID.fullmatch(staff_id)
    ]
