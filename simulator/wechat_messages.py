"""The rules of WeChat's subscribe messages: the templates, the consents, the send call."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from simulator import fields
from simulator.state import Message, Phone, World
from simulator.wechat_errors import WeChatError

LONG_TERM = 3  # template type: one acceptance, many messages; type 2 is one for one
TEMPLATES_PER_POPUP = 5
STATES = {"developer", "trial", "formal"}
LANGUAGES = {"zh_CN", "en_US", "zh_HK", "zh_TW"}
ANSWERS = {"accept", "acceptWithAudio", "reject", "revoke"}
SENSITIVE = ("赌博", "代开发票", "办假证")  # a sample; the real list is not public


class PopupError(Exception):
    """wx.requestSubscribeMessage fails on the phone with this errCode, before any popup."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Subscriptions:
    def __init__(self, world: World, templates: Iterable[Mapping[str, Any]], pages: Collection[str]) -> None:
        self._world = world
        self.templates = {str(template["priTmplId"]): dict(template) for template in templates}
        self.pages = frozenset(pages)
        self.banned: set[str] = set()

    def listed(self) -> list[dict[str, Any]]:
        return [{"example": "", **template} for template in self.templates.values()]

    def ask(self, phone: Phone, template_ids: list[str], choice: str) -> dict[str, str]:
        """The popup on the phone; answers what the mini-program is told for each template.

        `revoke` is the switch in the phone's settings: every consent to the template is gone.
        """
        if not template_ids:
            raise PopupError(10001, "tmplIds can't be empty")
        if len(template_ids) > TEMPLATES_PER_POPUP:
            raise PopupError(20003, "templates count out of max bounds")
        if any(key not in self.templates for key in template_ids):
            raise PopupError(20001, "No template data return, verify the template id exist")
        if len({self.templates[key]["type"] for key in template_ids}) > 1:
            raise PopupError(20002, "Templates type must be same")
        phone.last_used = self._world.clock.timestamp()
        return {key: self._choose(phone, key, choice) for key in template_ids}

    def _choose(self, phone: Phone, key: str, choice: str) -> str:
        if key in self.banned:
            return "ban"
        if choice == "revoke":
            phone.consents[key] = 0
            return "reject"
        if choice != "reject":
            phone.consents[key] = phone.consents.get(key, 0) + 1
        return choice

    async def send(self, body: Mapping[str, Any]) -> Message:
        """Deliver one message, or raise the error of the first rule it breaks; only a success uses up a consent."""
        phone = self._world.person("wechat", body.get("touser"))
        if phone is None:
            raise WeChatError(40003, "invalid openid")
        template = self.templates.get(str(body.get("template_id")))
        if template is None:
            raise WeChatError(40037, "invalid template_id")
        self._check_page(body)
        shown = self._check_data(template, body.get("data"))
        if phone.in_flight:
            raise WeChatError(43108, "concurrent sends to the same user")
        phone.in_flight = True
        try:
            await asyncio.sleep(self._world.limits.wechat_send_seconds)
            self._use_consent(phone, template)
        finally:
            phone.in_flight = False
        return self._world.deliver(phone, "subscribe", str(template["title"]), shown, str(body.get("page") or ""), dict(body))

    def _check_page(self, body: Mapping[str, Any]) -> None:
        page = body.get("page") or ""
        # Pages are compared as they stand: a leading slash is another page, as on the real platform.
        if not isinstance(page, str) or (page and page.partition("?")[0] not in self.pages):
            raise WeChatError(41030, "invalid page")
        if body.get("miniprogram_state", "formal") not in STATES:
            raise WeChatError(47003, "argument invalid! miniprogram_state invalid")
        if body.get("lang", "zh_CN") not in LANGUAGES:
            raise WeChatError(47003, "argument invalid! lang invalid")

    def _check_data(self, template: Mapping[str, Any], data: object) -> list[tuple[str, str]]:
        if not isinstance(data, dict):
            raise WeChatError(47003, "argument invalid! data should be object")
        enums = {row["keywordCode"]: row["enumValueList"] for row in template.get("keywordEnumValueList", ())}
        expected = fields.keywords(str(template["content"]))
        shown = []
        for label, kind, key in expected:
            value = data[key].get("value", "") if isinstance(data.get(key), dict) else ""
            fault = fields.fault(kind, value, enums.get(f"{key}.DATA"))
            if fault:
                raise WeChatError(47003, f"argument invalid! data.{key}.value {fault}")
            shown.append((label or key, value))
        for key in data.keys() - {key for _, _, key in expected}:
            raise WeChatError(47003, f"argument invalid! data.{key} is not in the template")
        if any(word in value for _, value in shown for word in SENSITIVE):
            raise WeChatError(45168, "message contains sensitive word")
        return shown

    def _use_consent(self, phone: Phone, template: Mapping[str, Any]) -> None:
        key, day = str(template["priTmplId"]), self._world.clock.day()
        if key in self.banned:
            raise WeChatError(43107, "subscribe message template is banned")
        if self._world.tally.get("wechat.send", day) >= self._world.limits.wechat_sends_per_day:
            raise WeChatError(45009, "reach max api daily quota limit")
        if phone.consents.get(key, 0) < 1:
            raise WeChatError(43101, "user refuse to accept the msg")
        if template["type"] != LONG_TERM:
            phone.consents[key] -= 1
        self._world.tally.add("wechat.send", day)
