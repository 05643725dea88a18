"""Work notices (工作通知): what may be sent, and what is dropped without a word although the call succeeded."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.dingtalk_errors import OldApiError
from simulator.state import Message, Phone, World
from simulator.wechat_messages import SENSITIVE

MESSAGE_BYTES_MAX = 2_048
USERS_MAX, DEPARTMENTS_MAX, OA_RECIPIENTS_MAX, RESULT_RECEIVERS_MAX = 100, 20, 5, 100
KEPT_SECONDS = 86_400  # progress, result and recall: 24 h
ROOT_DEPARTMENT = "1"  # the one department there is; everyone is in it
PER_MINUTE, PER_DAY, DUPLICATE, BANNED_CONTENT = 143103, 143105, 143106, 1430002
# For each message type its fields with the most characters they may have; None has no limit of its own.
FIELDS: dict[str, dict[str, int | None]] = {
    "text": {"content": None},
    "link": {"messageUrl": None, "picUrl": None, "title": 100, "text": 500},
    "markdown": {"title": None, "text": 5_000},
    "action_card": {"markdown": None},
    "image": {"media_id": None},
    "file": {"media_id": None},
    "voice": {"media_id": None},
    "oa": {},
}


@dataclass
class Task:
    created_at: float
    receivers: int
    delivered: dict[str, Message] = field(default_factory=dict)
    forbidden: list[dict[str, Any]] = field(default_factory=list)
    invalid_users: list[str] = field(default_factory=list)
    invalid_departments: list[str] = field(default_factory=list)


def invalid(what: str) -> OldApiError:
    return OldApiError(40035, f"不合法的参数: {what}")


def read_message(value: object) -> dict[str, Any]:
    """The `msg` of a call, checked; in a form it comes as JSON text."""
    try:
        message = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        message = None
    if not isinstance(message, dict) or message.get("msgtype") not in FIELDS:
        raise invalid("msg")
    # The limit is in bytes, and a Chinese character has three.
    if len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) > MESSAGE_BYTES_MAX:
        raise OldApiError(34016, "消息内容长度超过限制")
    kind = message["msgtype"]
    content = message.get(kind)
    if not isinstance(content, dict):
        raise invalid(f"msg.{kind}")
    for name, limit in FIELDS[kind].items():
        if not isinstance(content.get(name), str) or not content[name] or len(content[name]) > (limit or MESSAGE_BYTES_MAX):
            raise invalid(f"msg.{kind}.{name}")
    if kind == "action_card":
        _check_action_card(content)
    if kind == "oa":
        _check_oa(content)
    return message


def _check_action_card(card: Mapping[str, Any]) -> None:
    single = card.get("single_title") and card.get("single_url")
    if single and len(str(card["single_title"])) > 20:
        raise invalid("msg.action_card.single_title")
    if not single and not (card.get("btn_orientation") in {"0", "1"} and card.get("btn_json_list")):
        raise invalid("msg.action_card")


def _check_oa(card: Mapping[str, Any]) -> None:
    head, body = card.get("head"), card.get("body")
    if not card.get("message_url"):
        raise invalid("msg.oa.message_url")
    if not isinstance(head, dict) or not re.fullmatch(r"[0-9a-fA-F]{8}", str(head.get("bgcolor"))):
        raise invalid("msg.oa.head.bgcolor")
    if not isinstance(body, dict) or len(str(body.get("title", ""))) > 50:
        raise invalid("msg.oa.body.title")


def shown(message: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], str]:
    """The (title, fields, link) that the phone shows."""
    kind = message["msgtype"]
    content = message[kind]
    if kind == "oa":
        body = content["body"]
        rows = [(str(row.get("key", "")).rstrip("：:"), str(row.get("value", ""))) for row in body.get("form", ())[:6]]
        extra = [("", str(body["content"]))] if body.get("content") else []
        return str(body.get("title", "")), rows + extra, str(content["message_url"])
    title = str(content.get("title") or "工作通知")
    text = str(content.get("text") or content.get("content") or content.get("markdown") or content.get("media_id"))
    link = content.get("messageUrl") or content.get("single_url") or ""
    return title, [("", text)], str(link)


def split(value: object) -> list[str]:
    return [part.strip() for part in str(value or "").split(",") if part.strip()]


class Notices:
    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: dict[int, Task] = {}

    def send(self, body: Mapping[str, Any]) -> int:
        """The task id. It says nothing about delivery: see `result`."""
        users, departments = split(body.get("userid_list")), split(body.get("dept_id_list"))
        if len(users) > USERS_MAX or len(departments) > DEPARTMENTS_MAX:
            raise invalid("userid_list" if len(users) > USERS_MAX else "dept_id_list")
        to_all = body.get("to_all_user") in {True, "true"}
        if not (users or departments or to_all):
            raise invalid("userid_list")
        message = read_message(body.get("msg"))
        if (
            message["msgtype"] == "oa"
            and message["oa"].get("status_bar")
            and (to_all or departments or len(users) > OA_RECIPIENTS_MAX)
        ):
            raise invalid("msg.oa.status_bar")
        phones = {key: self._world.person("dingtalk", key) for key in users}
        if to_all or ROOT_DEPARTMENT in departments:
            phones |= {phone.id: phone for phone in self._world.phones.values() if phone.platform == "dingtalk"}
        if not any(phones.values()):
            raise OldApiError(33012, "无效的USERID")
        return self._deliver(phones, departments, message)

    def _deliver(self, phones: Mapping[str, Phone | None], departments: list[str], message: dict[str, Any]) -> int:
        task = Task(self._world.clock.timestamp(), len(phones))
        task.invalid_users = [key for key, phone in phones.items() if phone is None]
        task.invalid_departments = [key for key in departments if key != ROOT_DEPARTMENT]
        digest = hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()
        for phone in filter(None, phones.values()):
            code = self._silent_drop(phone, message, digest)
            if code:
                task.forbidden.append({"code": str(code), "count": 1, "userid": phone.id})
            else:
                task.delivered[phone.id] = self._world.deliver(phone, "work_notice", *shown(message), message)
        # Real task ids have twelve digits.
        task_id = 256_000_000_000 + self._world.number()
        self._tasks[task_id] = task
        return task_id

    def _silent_drop(self, phone: Phone, message: Mapping[str, Any], digest: str) -> int:
        """The code that `getsendresult` will name, or 0 if the phone gets the message."""
        tally, limits, day = self._world.tally, self._world.limits, self._world.clock.day()
        if any(word in json.dumps(message, ensure_ascii=False) for word in SENSITIVE):
            return BANNED_CONTENT
        if tally.get(f"notice.{phone.id}.{digest}", day):
            return DUPLICATE
        if tally.get(f"notice.{phone.id}", day) >= limits.dingtalk_messages_per_user_day:
            return PER_DAY
        if tally.add("notice.minute", self._world.window(60)) > limits.dingtalk_recipients_per_minute:
            return PER_MINUTE
        tally.add(f"notice.{phone.id}.{digest}", day)
        tally.add(f"notice.{phone.id}", day)
        return 0

    def _task(self, key: object) -> tuple[Task, bool]:
        """A task of the last 24 hours and whether it is through."""
        task = self._tasks.get(int(key)) if isinstance(key, int | str) and str(key).isdecimal() else None
        age = self._world.clock.timestamp() - task.created_at if task else 0.0
        if task is None or age > KEPT_SECONDS:
            raise invalid("task_id")
        return task, age >= self._world.limits.dingtalk_delivery_seconds

    def progress(self, key: object) -> dict[str, int]:
        """status 0 not begun, 2 done."""
        done = self._task(key)[1]
        return {"progress_in_percent": 100 if done else 0, "status": 2 if done else 0}

    def result(self, key: object) -> dict[str, Any]:
        task, done = self._task(key)
        if task.receivers > RESULT_RECEIVERS_MAX:
            raise invalid("task_id")
        return {
            "invalid_user_id_list": task.invalid_users,
            "invalid_dept_id_list": task.invalid_departments,
            "forbidden_user_id_list": [row["userid"] for row in task.forbidden] if done else [],
            "forbidden_list": task.forbidden if done else [],
            "failed_user_id_list": [],
            "read_user_id_list": [],
            "unread_user_id_list": list(task.delivered) if done else [],
        }

    def recall(self, key: object) -> None:
        try:
            task = self._task(key)[0]
        except OldApiError:
            raise OldApiError(400002, "参数错误: msg_task_id") from None
        for message in task.delivered.values():
            message.recalled = True
