"""What is sent back, as the platform takes it: replies become parts, and a part that has gone out is not sent again.

WeChat: texts, few and bundled, since its windows count them. DingTalk: texts and interactive cards; what is private, and every
card, goes into the chat of the two, never into the group (rule 8 of decision 0191).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from bot.deep_links import go_url
from bot.passive import split_text, without_markup
from bot.talk import Reply
from models.accounts import Platform
from settings import Settings

TRACK_CHARACTERS_MAX = 100
Part = dict[str, Any]


def parts_of(settings: Settings, platform: Platform, open_id: str, route: dict[str, Any], replies: Sequence[Reply]) -> list[Part]:
    """What has to be sent for these replies, in order. `route` is what the saying brought along to answer it."""
    if platform is Platform.DINGTALK:
        return [part for reply in replies for part in _dingtalk(settings, open_id, route, reply)]
    text = "\n\n".join(_wechat_text(settings, platform, reply) for reply in replies)
    return [{"kind": "service", "text": part} for part in split_text(text) if part.strip()]


def _wechat_text(settings: Settings, platform: Platform, reply: Reply) -> str:
    lines = [without_markup(each) for each in (reply.title, reply.text) if each]
    lines += [without_markup(each) for each in _phrases(reply)]
    if reply.page and (url := go_url(settings.public_url, reply.page)):
        # In an Official Account the anchor opens the page itself, and its address where there is no mini-program.
        page = reply.page.lstrip("/")
        lines.append(
            f'<a href="{url}" data-miniprogram-appid="{settings.wechat_appid}" data-miniprogram-path="{page}">点击查看</a>'
            if platform is Platform.WECHAT_OA else f"查看：{url}"
        )
    return "\n".join(lines)


def _phrases(reply: Reply) -> Iterable[str]:
    """Where there are no buttons, what to type instead."""
    return (f"· 回复「{button.phrase or button.title}」：{button.title}" for button in reply.buttons)


def _dingtalk(settings: Settings, open_id: str, route: dict[str, Any], reply: Reply) -> Iterable[Part]:
    if reply.card_key or reply.buttons:
        yield _card(settings, open_id, route, reply)
        return
    url = go_url(settings.public_url, reply.page) if reply.page else None
    lines = [each for each in (reply.title, reply.text, f"查看：{url}" if url else "") if each]
    is_public = bool(route.get("in_group")) and not reply.private
    for text in split_text("\n".join(lines)):
        yield {"kind": "session" if is_public else "robot", "text": text}


def _card(settings: Settings, open_id: str, route: dict[str, Any], reply: Reply) -> Part:
    """Buttons make it this person's; without any, the matter is settled and everybody's card says so."""
    # A card without a key is nobody else's: each saying makes its own.
    key = reply.card_key or f"once.{route['message_id']}"
    return {
        "kind": "card", "card_key": key[:TRACK_CHARACTERS_MAX], "track_id": track_id(key, open_id), "is_for_all": not reply.buttons,
        "is_over": reply.is_over, "is_tap": route.get("said") == "card",
        "title": reply.title or "企服券", "text": reply.text,
        "url": (go_url(settings.public_url, reply.page) if reply.page else None) or "",
        "buttons": [{"title": each.title, "action": each.action} for each in reply.buttons],
    }


def track_id(card_key: str, open_id: str) -> str:
    """The key and whose card it is; within a hundred characters, whatever the userid."""
    plain = f"{card_key}.{open_id}"
    if len(plain) <= TRACK_CHARACTERS_MAX:
        return plain
    return f"{card_key[:35]}.{hashlib.sha256(plain.encode()).hexdigest()}"


def as_text(parts: Iterable[Part]) -> str:
    """Parts that could not be sent, for the inbox."""
    return "\n".join(str(part["text"]) for part in parts)
