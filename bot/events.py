"""What the platforms tell of by themselves: following and leaving, scans, results of messages, consents."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot.binding_talk import HOW_TO, BindingTalk, bound_reply
from bot.talk import Reply
from handlers import bindings, notice_consents, talk_windows
from handlers.context import Context
from handlers.deliveries import report_result
from handlers.inbound import Taken
from handlers.ports import Outcome, PlatformUser, SendResult
from handlers.speakers import speaker_of
from handlers.talk_windows import Opened
from models.accounts import Platform
from models.notices import Channel

SCENE_OF_SUBSCRIBE = "qrscene_"  # before the scene when the scan also followed us; a SCAN has the scene alone
CAME = frozenset({"subscribe", "scan"})
WELCOME_BACK = Reply("欢迎回来。可以直接说您要办理的事项，例如「待办」「帮助」。")


class NotYetError(Exception):
    """The result of a message whose sending has not been written down yet: the push was faster than we were."""


class Events:
    def __init__(self, binding: BindingTalk) -> None:
        self._binding = binding

    async def look_up(self, taken: Taken, payload: dict[str, Any]) -> str | None:
        """The union id of somebody who came and whom it may tell us. Outside of any transaction."""
        if payload["event"] not in CAME:
            return None
        is_binding = _scene(payload).startswith(bindings.SCENE_PREFIX)
        is_known = await speaker_of(Platform.WECHAT_OA, taken.app_id, taken.open_id) is not None
        return await self._binding.union_id(taken.open_id) if is_binding or not is_known else None

    async def handle(self, ctx: Context, taken: Taken, payload: dict[str, Any], union_id: str | None) -> Sequence[Reply]:
        """What is answered to it; nothing to most. Raises NotYetError."""
        event, fields = payload["event"], payload["fields"]
        at = datetime.fromtimestamp(payload["at"], UTC)
        chat = (taken.platform, taken.app_id, taken.open_id)
        match event:
            case came if came in CAME:
                await talk_windows.open_window(ctx, *chat, Opened.TAP, at)
                return [await self._came(ctx, PlatformUser(taken.app_id, taken.open_id, union_id), _scene(payload))]
            case "user_enter_tempsession":
                await talk_windows.open_window(ctx, *chat, Opened.ENTER, at)
            case "unsubscribe" | "user_leave_org":
                await bindings.note_left(ctx, *chat)
                await talk_windows.close(ctx, *chat)
            case "user_add_org":
                await bindings.note_returned(ctx, *chat)
            case "user_authorization_revoke":
                await bindings.note_revoked(ctx, taken.platform, taken.app_id, fields["OpenID"] or taken.open_id)
            case "templatesendjobfinish":
                await self._finished(ctx, taken, fields)
            case "subscribe_msg_popup_event" | "subscribe_msg_change_event":
                answers = [(each["TemplateId"], each["SubscribeStatusString"]) for each in fields["List"]]
                await notice_consents.note_consents(ctx, taken.app_id, taken.open_id, answers, event, at)
            case "subscribe_msg_sent_event":
                # Delivered is what we took it for; a refusal shows that there is no consent left.
                refused = [each["TemplateId"] for each in fields["List"] if "refuse" in each["ErrorStatus"] or each["ErrorCode"] == "43101"]
                await notice_consents.note_refused(ctx, taken.app_id, taken.open_id, refused)
        return ()

    async def _came(self, ctx: Context, user: PlatformUser, scene: str) -> Reply:
        await bindings.note_returned(ctx, Platform.WECHAT_OA, user.app_id, user.open_id)
        if scene.startswith(bindings.SCENE_PREFIX):
            return await self._binding.scanned(ctx, user, scene)
        if await speaker_of(Platform.WECHAT_OA, user.app_id, user.open_id) is not None:
            return WELCOME_BACK
        bound = await self._binding.recognise(ctx, user)
        return bound_reply(bound) if bound is not None else HOW_TO

    async def _finished(self, ctx: Context, taken: Taken, fields: dict[str, Any]) -> None:
        """success | failed:user block | failed: system failed - with a blank after the colon, and without one."""
        status = fields["Status"].replace(" ", "").lower()
        outcome = Outcome.DELIVERED if status == "success" else Outcome.REFUSED
        result = SendResult(outcome, fields["MsgID"], None if outcome is Outcome.DELIVERED else f"not delivered: {fields['Status']}"[:160])
        known = await report_result(ctx, Channel.WECHAT_OA_TEMPLATE, fields["MsgID"], result)
        if not known and not taken.is_last_try:
            raise NotYetError


def _scene(payload: dict[str, Any]) -> str:
    return str(payload["fields"]["EventKey"]).removeprefix(SCENE_OF_SUBSCRIBE)
