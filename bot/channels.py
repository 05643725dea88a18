"""Sending the parts of an answer, each once, within what the platform allows; what it does not take goes to the inbox."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from bot.answers import Part, as_text
from bot.cards import CARD_GONE, card_data
from bot.dingtalk_api import DingTalkApi, is_session
from bot.transport import PlatformError
from bot.wechat import WeChat
from handlers import bot_cards, talk_windows
from handlers.context import Context
from handlers.inbound import Taken, leave_in_inbox
from models.accounts import Platform
from settings import Settings

log = structlog.get_logger(__name__)

WINDOW_OVER = frozenset({45015, 45047})  # more than 48 hours ago; the count is used up
Kept = Callable[[list[Part]], Awaitable[bool]]


class Channels:
    """`oa` and `wechat` send customer-service messages, `dingtalk` texts and cards."""

    def __init__(self, settings: Settings, oa: WeChat, wechat: WeChat, dingtalk: DingTalkApi) -> None:
        self._settings, self._dingtalk = settings, dingtalk
        self._services = {Platform.WECHAT_OA: oa, Platform.WECHAT: wechat}

    async def send(self, ctx: Context, taken: Taken, answer: dict[str, Any], keep: Kept) -> None:
        """Send what is left of an answer. `keep` is told after each part what is still to go, so that a retry goes on from there.

        Raises PlatformError for what may work later.
        """
        parts: list[Part] = answer["parts"]
        while parts:
            try:
                sent = await self._send_one(ctx, taken, answer, parts[0])
            except PlatformError as error:
                if error.retryable and not taken.is_last_try:
                    raise
                log.warning("answer_not_sent", platform=taken.platform, code=error.code, message=error.message)
                sent = False
            if not sent:
                await self._to_inbox(ctx, taken, answer, parts)
                return
            parts = parts[1:]
            if parts and not await keep(parts):
                return  # somebody else has the message by now

    async def _send_one(self, ctx: Context, taken: Taken, answer: dict[str, Any], part: Part) -> bool:
        if part["kind"] == "service":
            return await self._service(ctx, taken, part["text"])
        if part["kind"] == "card":
            await self._card(ctx, taken, part)
        elif part["kind"] == "session" and is_session(url := answer["route"].get("session_webhook", "")) and (
            ctx.now.timestamp() < answer["route"].get("session_until", 0)
        ):
            await self._dingtalk.send_to_session(url, part["text"])
        else:
            await self._dingtalk.send_text(self._settings.dingtalk_robot_code, taken.open_id, part["text"])
        return True

    async def _service(self, ctx: Context, taken: Taken, text: str) -> bool:
        chat = (taken.platform, taken.app_id, taken.open_id)
        if not await talk_windows.spend(ctx, *chat):
            return False
        try:
            await self._services[Platform(taken.platform)].send_service(taken.open_id, text)
        except PlatformError as error:
            if error.code not in WINDOW_OVER:
                raise
            await talk_windows.close(ctx, *chat)
            return False
        return True

    async def _to_inbox(self, ctx: Context, taken: Taken, answer: dict[str, Any], parts: list[Part]) -> None:
        if answer.get("person_id") is None:
            log.warning("answer_lost", platform=taken.platform)  # nobody we know: there is no inbox to put it into
            return
        await leave_in_inbox(ctx, taken, answer["person_id"], as_text(parts))

    # --- cards --------------------------------------------------------------------------------------------------------

    async def _card(self, ctx: Context, taken: Taken, part: Part) -> None:
        data = card_data(part["title"], part["text"], part["url"], part["buttons"])
        key, is_over = part["card_key"], part["is_over"]
        holders = await bot_cards.holders(taken.app_id, key)
        mine = next((card for card in holders if card.open_id == taken.open_id), None)
        if part["is_for_all"]:
            for card in holders:
                if card != mine and await self._update_other(card, data) and is_over:
                    await bot_cards.note_shown(ctx, taken.app_id, key, card, is_over=True)
        # Before it is there: a card that nobody remembers would keep its buttons for ever.
        shown = mine or bot_cards.Card(taken.open_id, part["track_id"])
        await bot_cards.note_shown(ctx, taken.app_id, key, shown, is_over=False)
        if mine is not None and await self._update(mine, data):
            if not part["is_tap"]:
                await self._dingtalk.redeliver_card(mine.track_id, mine.open_id)
        else:
            await self._dingtalk.deliver_card(
                shown.track_id, self._settings.dingtalk_card_template_id, shown.open_id, data,
                via_stream=self._settings.dingtalk_mode == "stream",
            )
        if is_over:
            await bot_cards.note_shown(ctx, taken.app_id, key, shown, is_over=True)

    async def _update(self, card: bot_cards.Card, data: dict[str, str]) -> bool:
        """False if the platform has forgotten the card: then it is made anew."""
        try:
            await self._dingtalk.update_card(card.track_id, data)
        except PlatformError as error:
            if error.code in CARD_GONE:
                return False
            raise
        return True

    async def _update_other(self, card: bot_cards.Card, data: dict[str, str]) -> bool:
        """One card that cannot be reached must not keep the others from being brought up to date: the sweep tries again."""
        try:
            return await self._update(card, data)
        except PlatformError as error:
            log.warning("card_not_updated", code=error.code, message=error.message)
            return False
