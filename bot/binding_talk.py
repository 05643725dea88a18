"""What is said about the binding itself. Whoever is not bound hears of nothing else (decision 0181)."""

import re
import unicodedata
from collections.abc import Awaitable

import structlog

from bot.talk import Reply, Said, Saying
from bot.transport import PlatformError
from bot.wechat import WeChat
from handlers import bindings
from handlers.bindings import BoundTo
from handlers.context import Context
from handlers.ports import PlatformUser
from handlers.refusals import Busy, Refusal
from handlers.speakers import Speaker
from models.accounts import Platform

log = structlog.get_logger(__name__)

CODE = re.compile(r"(?:绑定)?\s*([A-Za-z]{6})")
UNBIND = frozenset({"解除绑定", "解绑", "取消绑定"})
HOW_TO = Reply(
    "您还没有绑定账号，绑定后才能查询和办理业务。\n请登录企服券小程序，进入「我的—绑定对话」：扫描页面上的二维码，或把六位字母的绑定码发送到这里。",
    private=True,
)
UNBOUND = Reply("已解除绑定。需要时可随时在小程序「我的—绑定对话」重新绑定。", private=True)


class BindingTalk:
    how_to = HOW_TO

    def __init__(self, oa: WeChat, mini_program_appid: str) -> None:
        self._oa, self._appid = oa, mini_program_appid

    async def look_up(self, saying: Saying, speaker: Speaker | None) -> str | None:
        """Ask WeChat who this is, where it may know. Outside of any transaction."""
        if speaker is not None or saying.platform is not Platform.WECHAT_OA or _code(saying, speaker):
            return None
        return await self.union_id(saying.open_id)

    async def answer(self, ctx: Context, saying: Saying, speaker: Speaker | None, union_id: str | None) -> list[Reply] | None:
        """None: it is not about the binding. Somebody whom WeChat knows from our mini-program is bound on the way."""
        if saying.kind is Said.TEXT and speaker is not None and _plain(saying) in UNBIND:
            await bindings.unbind(ctx, speaker.identity_id)
            return [UNBOUND]
        user = PlatformUser(saying.app_id, saying.open_id, union_id)
        if code := _code(saying, speaker):
            return [await _told(bindings.bind_by_code(ctx, saying.platform, user, code))]
        await self.recognise(ctx, user)
        return None

    async def scanned(self, ctx: Context, user: PlatformUser, scene: str) -> Reply:
        """A QR code of ours was scanned by this follower."""
        return await _told(bindings.bind_by_scene(ctx, Platform.WECHAT_OA, user, scene))

    async def recognise(self, ctx: Context, user: PlatformUser) -> BoundTo | None:
        """Bind a follower who is, by the union id, a user of the mini-program of the same open-platform account."""
        if user.union_id is None:
            return None
        try:
            return await bindings.bind_by_union(ctx, user, self._appid)
        except bindings.BoundToAnother:
            return None

    async def union_id(self, open_id: str) -> str | None:
        """There is one only if the account is bound to an open platform; without an answer there are the other ways."""
        try:
            found = await self._oa.user.get(open_id)
        except PlatformError as error:
            log.warning("follower_not_looked_up", code=error.code, message=error.message)
            return None
        union_id = found.get("unionid") if isinstance(found, dict) else None
        return union_id if isinstance(union_id, str) and 0 < len(union_id) <= 128 else None


def _plain(saying: Saying) -> str:
    return unicodedata.normalize("NFKC", saying.text).strip()


def _code(saying: Saying, speaker: Speaker | None) -> str | None:
    """Six letters are a code of whoever is not bound; from others only after 绑定."""
    text = _plain(saying)
    code = CODE.fullmatch(text) if saying.kind is Said.TEXT else None
    return code[1] if code is not None and (speaker is None or text.startswith("绑定")) else None


async def _told(binding: Awaitable[BoundTo]) -> Reply:
    """What came of it, in words; a database that is busy is tried again and not told of."""
    try:
        return bound_reply(await binding)
    except Busy:
        raise
    except Refusal as refusal:
        return Reply(f"{refusal.title}。", private=True)


def bound_reply(bound: BoundTo) -> Reply:
    """Whose account it is, masked: whoever sent somebody else's code sees it at once."""
    whose = "、".join(each for each in (bound["name"], bound["phone"]) if each) or "您的小程序账号"
    return Reply(
        f"绑定成功：{whose}。\n如果不是您本人，请回复「解除绑定」。现在可以直接说您要办理的事项，例如「待办」「帮助」。", private=True,
    )
