"""The Official Account's menus (decision 0184): one for everybody, and one for each tag that people get with the organisation they act for.

A tap says the entry's key back as Said.MENU: the names are those of the conversation's intents.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from bot.transport import PlatformError
from bot.wechat import WeChat
from handlers.context import Actor
from handlers.speakers import Speaker, note_tag
from models.accounts import OrganisationKind, Platform

log = structlog.get_logger(__name__)

COLUMNS_MAX, ENTRIES_MAX = 3, 5
COLUMN_CHARACTERS_MAX, ENTRY_CHARACTERS_MAX, KEY_BYTES_MAX = 4, 7, 128
NO_MENU = 46003
Column = tuple[str, Sequence[tuple[str, str]]]  # title, and (title, key) of its entries

HELP: Column = ("帮助", (
    ("为什么不能用", "why"), ("申诉", "appeal"), ("切换身份", "switch_identity"), ("人工客服", "human"), ("公示公告", "announcements"),
))
EVERYBODY: Sequence[Column] = (
    ("我的券", (
        ("我的券包", "wallet"), ("预约服务券", "reserve"), ("预约记录", "reservations"), ("查中签", "draw_result"), ("账单", "bill"),
    )),
    ("办业务", (
        ("我的订单", "orders"), ("找服务", "find_service"), ("发需求", "post_demand"), ("资格申请", "qualification"),
        ("进度查询", "progress"),
    )),
    HELP,
)
# By the tag's name in the account's console.
BY_TAG: Mapping[str, Sequence[Column]] = {
    "服务机构": (
        ("办业务", (("新需求", "demands"), ("订单", "orders"), ("核价", "price"), ("兑付", "claim"), ("顾问", "consultants"))),
        ("进度", (("待办", "todo"), ("进度查询", "progress"))),
        HELP,
    ),
    "审核人员": (
        ("审核", (("待审", "todo"), ("抽查", "spot_check"), ("报表", "report"))),
        ("帮助", (("切换身份", "switch_identity"), ("人工客服", "human"), ("公示公告", "announcements"))),
    ),
}
TAG_OF = {OrganisationKind.INSTITUTION: "服务机构", OrganisationKind.OFFICE: "审核人员"}


def buttons(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """As menu/create wants them."""
    return [
        {"name": title, "sub_button": [{"type": "click", "name": name, "key": key} for name, key in entries]}
        for title, entries in columns
    ]


def lint(columns: Sequence[Column]) -> Iterator[str]:
    """What the platform would refuse, or cut without a word."""
    if not 1 <= len(columns) <= COLUMNS_MAX:
        yield f"{len(columns)} columns"
    for title, entries in columns:
        if not 1 <= _width(title) <= COLUMN_CHARACTERS_MAX:
            yield f"{title}: more than {COLUMN_CHARACTERS_MAX} characters"
        if not 1 <= len(entries) <= ENTRIES_MAX:
            yield f"{title}: {len(entries)} entries"
        for name, key in entries:
            if not 1 <= _width(name) <= ENTRY_CHARACTERS_MAX:
                yield f"{name}: more than {ENTRY_CHARACTERS_MAX} characters"
            if not 1 <= len(key.encode()) <= KEY_BYTES_MAX:
                yield f"{name}: key of {len(key.encode())} bytes"


def _width(text: str) -> float:
    """In 汉字: two Latin letters are as wide as one."""
    return sum(1 if unicodedata.east_asian_width(each) in "WF" else 0.5 for each in text)


def lint_all() -> list[str]:
    return [problem for columns in (EVERYBODY, *BY_TAG.values()) for problem in lint(columns)]


# --- the platform ----------------------------------------------------------------------------------------------------------


async def bring_up_to_date(client: WeChat) -> list[str]:
    """Make the account's menus those of this module. Returns what is still different afterwards: nothing, if all is well.

    Only what differs is touched, so that nobody sees a menu vanish. Raises PlatformError.
    """
    if problems := lint_all():
        return problems
    tags = await tags_of(client)
    for name in BY_TAG:
        if name not in tags:
            await client.tag.create(name)
    tags = await tags_of(client)
    current = await shown(client)
    if current.get("everybody") != buttons(EVERYBODY):
        await client.menu.create({"button": buttons(EVERYBODY)})
    wanted = {tags[name]: buttons(columns) for name, columns in BY_TAG.items()}
    for tag_id, (menu_id, found) in current.get("by_tag", {}).items():
        if wanted.get(tag_id) != found:
            await client.menu.del_conditional(menu_id)
    for tag_id, found in wanted.items():
        if current.get("by_tag", {}).get(tag_id, (None, None))[1] != found:
            await client.menu.add_conditional({"button": found, "matchrule": {"tag_id": tag_id}})
    return await differences(client)


async def differences(client: WeChat) -> list[str]:
    """What the platform shows and this module does not say, and the other way round. Raises PlatformError."""
    tags, current = await tags_of(client), await shown(client)
    found = [] if current.get("everybody") == buttons(EVERYBODY) else ["everybody"]
    by_tag = current.get("by_tag", {})
    found += [name for name, columns in BY_TAG.items() if by_tag.get(tags.get(name, ""), (None, None))[1] != buttons(columns)]
    return found + [f"tag {tag_id}" for tag_id in by_tag if tag_id not in {tags.get(name) for name in BY_TAG}]


async def tags_of(client: WeChat) -> dict[str, str]:
    found = await client.tag.get()
    return {str(tag["name"]): str(tag["id"]) for tag in found}


async def shown(client: WeChat) -> dict[str, Any]:
    """{"everybody": buttons, "by_tag": {tag id: (menu id, buttons)}}."""
    try:
        answer = await client.menu.get()
    except PlatformError as error:
        if error.code == NO_MENU:
            return {}
        raise
    by_tag = {
        str(menu.get("matchrule", {}).get("tag_id", menu.get("matchrule", {}).get("group_id"))): (menu["menuid"], _plain(menu["button"]))
        for menu in answer.get("conditionalmenu", ())
    }
    return {"everybody": _plain(answer["menu"]["button"]), "by_tag": by_tag}


def _plain(shown_buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The platform repeats the buttons with empty lists of their own."""
    return [
        {"name": one["name"], "sub_button": [{name: each[name] for name in ("type", "name", "key")} for each in one["sub_button"]]}
        for one in shown_buttons
    ]


class Tagger:
    """Keeps a follower's tag, and with it the menu, with the organisation that they act for."""

    def __init__(self, client: WeChat) -> None:
        self._client = client
        self._tags: dict[str, str] = {}

    async def follow(self, platform: Platform, open_id: str, speaker: Speaker, actor: Actor) -> None:
        """A menu that is late is no reason to fail: the next saying tries again."""
        wanted = TAG_OF.get(actor.organisation_kind) if actor.organisation_kind is not None else None
        if platform is not Platform.WECHAT_OA or wanted == speaker.tagged_as:
            return
        try:
            if not self._tags.keys() >= set(BY_TAG):
                self._tags = await tags_of(self._client)
            if wanted is not None and wanted not in self._tags:
                return  # `python -m app menus` has not been run
            if speaker.tagged_as in self._tags:
                await self._client.tag.untag_user(int(self._tags[speaker.tagged_as]), open_id)
            if wanted is not None:
                await self._client.tag.tag_user(int(self._tags[wanted]), open_id)
        except PlatformError as error:
            log.warning("menu_not_followed", code=error.code, message=error.message)
            return
        await note_tag(speaker.identity_id, wanted)
