"""Joining a chat to a person, and leaving it again (docs/decisions/0181).

A chat is somebody's because their signed-in phone showed a code and the chat sent it back, or because WeChat says by a union id
that follower and mini-program user are one. Never because an id looks the same: openids of two apps are two people.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.accounts.people import masked
from handlers.accounts.signing_in import lock_first_log_in
from handlers.context import Context
from handlers.personal import blind_index
from handlers.ports import PlatformUser, SceneCode
from handlers.refusals import Busy, Kind, NotFound, Refusal
from handlers.transactions import Transaction, changed, row, rows, transaction
from models.accounts import Platform

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # without I and O, which are read as digits
CODE_LENGTH = 6
CODE_TRIES = 3  # one in 191 million for each code that is open; three in a row are no accident
SCENE_PREFIX = "b."
VALID_FOR = timedelta(minutes=10)
FORGOTTEN_AFTER = timedelta(days=30)
WRONG_CODES_MAX, WRONG_CODES_WITHIN = 5, timedelta(minutes=10)  # 5 of 191 million, then ten minutes of nothing
OPEN_PER_PERSON = 3

OPEN = """
SELECT * FROM bindings WHERE {column} = $1 AND used_at IS NULL AND expires_at > $2 FOR UPDATE
"""
# The codes that are open stay few: the oldest end, and what is over makes room for its letters.
CLOSE_OLDER = """
UPDATE bindings SET used_at = $2 WHERE used_at IS NULL AND (expires_at <= $2 OR id IN (
  SELECT id FROM bindings WHERE person_id = $1 AND used_at IS NULL ORDER BY id DESC OFFSET $3))
"""
MAKE = """
INSERT INTO bindings (person_id, scene_hash, code_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id, expires_at
"""
IDENTITY = """
SELECT i.*, b.ended_at FROM identities i LEFT JOIN bot_identities b ON b.identity_id = i.id
WHERE i.platform = $1 AND i.app_id = $2 AND i.open_id = $3 FOR KEY SHARE OF i
"""
LINK = """
INSERT INTO identities (person_id, platform, app_id, open_id, union_id, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *
"""
SERVE = """
INSERT INTO bot_identities (identity_id, has_chosen, bound_at) VALUES ($1, false, $2)
ON CONFLICT (identity_id) DO UPDATE SET ended_at = NULL, left_at = NULL, bound_at = EXCLUDED.bound_at
"""
END = """
INSERT INTO bot_identities (identity_id, has_chosen, bound_at, ended_at) VALUES ($1, false, $2, $2)
ON CONFLICT (identity_id) DO UPDATE SET ended_at = EXCLUDED.ended_at, membership_id = NULL, has_chosen = false
"""
OF_UNION = """
SELECT person_id FROM identities WHERE platform = 'wechat' AND app_id = $1 AND union_id = $2 ORDER BY id LIMIT 1 FOR KEY SHARE
"""
MINE = """
SELECT i.id, i.platform, b.bound_at, b.left_at, o.name AS organisation_name
FROM bot_identities b JOIN identities i ON i.id = b.identity_id LEFT JOIN memberships m ON m.id = b.membership_id AND m.state = 'active'
LEFT JOIN organisations o ON o.id = m.organisation_id
WHERE i.person_id = $1 AND b.ended_at IS NULL ORDER BY i.id
"""
WRONG = """
INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes, wrong_since)
VALUES ($1, $2, $3, 0, $4, 0, $4, 1, $4)
ON CONFLICT (platform, app_id, open_id) DO UPDATE SET
  wrong_codes = CASE WHEN talk_windows.wrong_since > $5 THEN talk_windows.wrong_codes + 1 ELSE 1 END,
  wrong_since = CASE WHEN talk_windows.wrong_since > $5 THEN talk_windows.wrong_since ELSE $4 END
RETURNING wrong_codes
"""
GUESSED = "SELECT wrong_codes FROM talk_windows WHERE platform = $1 AND app_id = $2 AND open_id = $3 AND wrong_since > $4"
KEEP_OUT = """
INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes, wrong_since, unbound_at)
VALUES ($1, $2, $3, 0, $4, 0, $4, 0, $4, $4)
ON CONFLICT (platform, app_id, open_id) DO UPDATE SET unbound_at = EXCLUDED.unbound_at
"""
REVOKED_SESSIONS = "UPDATE sessions SET revoked_at = $2 WHERE identity_id = $1 AND revoked_at IS NULL AND expires_at > $2"
FORGET = """
DELETE FROM bindings WHERE id IN (SELECT id FROM bindings WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


class BindingCodeWrong(Refusal):
    """Wrong, used or over: the answer is the same, so that nobody learns which codes are open."""

    kind, code, title = Kind.INVALID, "binding_code_wrong", "绑定码无效或已过期，请在小程序「我的—绑定对话」中重新获取"


class BindingTriesUsedUp(Refusal):
    kind, code, title = Kind.TOO_MANY, "binding_tries_used_up", "输入错误次数过多，请十分钟后再试"


class BoundToAnother(Refusal):
    """Says nothing about the other person."""

    kind, code, title = Kind.CONFLICT, "bound_to_another", "当前聊天账号已绑定其他用户，请先回复「解除绑定」"


class BindingView(TypedDict):
    """Scan `url` as a QR code with WeChat (`image_url` is its picture), or type `code` in the chat. Both work once.

    Without an Official Account at hand there is only the code.
    """

    code: str
    url: str | None
    image_url: str | None
    expires_at: datetime


class BoundView(TypedDict):
    """A chat of mine. `is_following`: messages can be sent there."""

    id: int
    platform: Platform
    organisation_name: str | None
    is_following: bool
    bound_at: datetime


class BindingsView(TypedDict):
    items: list[BoundView]


class UnboundView(TypedDict):
    id: int


# --- on the phone --------------------------------------------------------------------------------------------------------


async def start_binding(ctx: Context) -> BindingView:
    """A code for the next ten minutes. The answer that is kept under an idempotency key opens nothing after them.

    Raises Busy if somebody else has every code that was drawn.
    """
    scene = SCENE_PREFIX + secrets.token_urlsafe(18)
    shown = await _scene_code(ctx, scene)
    async with transaction(ctx) as tx:
        await tx.run(CLOSE_OLDER, ctx.person_id, ctx.now, OPEN_PER_PERSON - 1)
        code, made = await _make(tx, scene)
        tx.record("binding.started", "binding", made.id)
        return tx.reply(BindingView(
            code=code, url=shown.url if shown else None, image_url=shown.image_url if shown else None, expires_at=made.expires_at,
        ), 201)


async def _make(tx: Transaction, scene: str) -> tuple[str, Any]:
    """The code and its row. Raises Busy."""
    ctx = tx.ctx
    for _ in range(CODE_TRIES):
        code = _six_letters()
        if made := await tx.row(MAKE, ctx.person_id, _scene_hash(scene), _code_hash(ctx, code), ctx.now, ctx.now + VALID_FOR):
            return code, made
    raise Busy


def _six_letters() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))


async def _scene_code(ctx: Context, scene: str) -> SceneCode | None:
    return await ctx.ports.scenes.make(scene, int(VALID_FOR.total_seconds())) if ctx.ports.scenes is not None else None


async def list_bindings(ctx: Context) -> BindingsView:
    return {"items": [
        {
            "id": one.id, "platform": Platform(one.platform), "organisation_name": one.organisation_name,
            "is_following": one.left_at is None, "bound_at": one.bound_at,
        }
        for one in await rows(MINE, ctx.person_id)
    ]}


async def end_binding(ctx: Context, identity_id: int) -> UnboundView:
    """From the phone. Raises NotFound for a chat that is somebody else's or not bound."""
    async with transaction(ctx) as tx:
        if await _unbind(tx, identity_id, ctx.person_id) is None:
            raise NotFound
        return tx.reply(UnboundView(id=identity_id))


# --- in the chat ---------------------------------------------------------------------------------------------------------


class BoundTo(TypedDict):
    """Whom a chat is bound to now, masked: whoever typed somebody else's code sees it at once."""

    identity_id: int
    name: str | None
    phone: str | None


async def bind_by_scene(ctx: Context, platform: str, user: PlatformUser, scene: str) -> BoundTo:
    """The QR code of a signed-in phone was scanned. Raises BindingCodeWrong, BoundToAnother."""
    return await _bind(ctx, platform, user, "scene_hash", _scene_hash(scene))


async def bind_by_code(ctx: Context, platform: str, user: PlatformUser, code: str) -> BoundTo:
    """The six letters were typed. A wrong one is counted, whatever else happens.

    Raises BindingCodeWrong, BindingTriesUsedUp, BoundToAnother.
    """
    chat = (platform, user.app_id, user.open_id)
    guessed = await row(GUESSED, *chat, ctx.now - WRONG_CODES_WITHIN)
    if guessed is not None and guessed.wrong_codes >= WRONG_CODES_MAX:
        raise BindingTriesUsedUp
    # Spent before it is looked at: ten that are typed at once are ten.
    spent, = await changed(WRONG, *chat, ctx.now, ctx.now - WRONG_CODES_WITHIN)
    if spent.wrong_codes > WRONG_CODES_MAX:
        raise BindingTriesUsedUp
    return await _bind(ctx, platform, user, "code_hash", _code_hash(ctx, code))


async def bind_by_union(ctx: Context, user: PlatformUser, mini_program_appid: str) -> BoundTo | None:
    """A follower whom WeChat calls the same as a user of our mini-program; None if there is no such user."""
    if user.union_id is None:
        return None
    async with transaction(ctx) as tx:
        chat = (Platform.WECHAT_OA, user.app_id, user.open_id)
        person_id = await tx.value(OF_UNION, mini_program_appid, user.union_id)
        kept_out = await tx.value(
            "SELECT unbound_at FROM talk_windows WHERE platform = $1 AND app_id = $2 AND open_id = $3", *chat
        )
        if person_id is None or kept_out is not None:
            return None
        return await _link(tx, Platform.WECHAT_OA, user, person_id)


async def _bind(ctx: Context, platform: str, user: PlatformUser, column: str, digest: bytes) -> BoundTo:
    async with transaction(ctx) as tx:
        binding = await tx.row(OPEN.format(column=column), digest, ctx.now)
        if binding is None:
            raise BindingCodeWrong
        bound = await _link(tx, platform, user, binding.person_id)
        await tx.run("UPDATE bindings SET used_at = $2, identity_id = $3 WHERE id = $1", binding.id, ctx.now, bound["identity_id"])
        await tx.run(
            "UPDATE talk_windows SET wrong_codes = 0, unbound_at = NULL WHERE platform = $1 AND app_id = $2 AND open_id = $3",
            platform, user.app_id, user.open_id,
        )
        # Whoever's code it was hears of it, wherever it was used.
        tx.announce(
            "bot_answer", "binding", binding.id, person_id=binding.person_id,
            answer="您的账号已绑定到一个聊天账号；如非本人操作，请在小程序中解除绑定",
        )
        return bound


async def _link(tx: Transaction, platform: str, user: PlatformUser, person_id: int) -> BoundTo:
    await lock_first_log_in(tx, Platform(platform), user)
    identity = await tx.row(IDENTITY, platform, user.app_id, user.open_id)
    if identity is not None and identity.person_id != person_id:
        raise BoundToAnother
    if identity is None:
        identity = await tx.row(LINK, person_id, platform, user.app_id, user.open_id, user.union_id, tx.ctx.now)
        tx.record("identity.linked", "identity", identity.id, person_id=person_id, platform=str(platform))
    await tx.run(SERVE, identity.id, tx.ctx.now)
    tx.record("binding.made", "identity", identity.id, person_id=person_id, platform=str(platform))
    person = await tx.row("SELECT name, phone FROM persons WHERE id = $1", person_id)
    name, phone = masked(tx.ctx.settings, person.name, person.phone)
    return {"identity_id": identity.id, "name": name, "phone": phone}


async def unbind(ctx: Context, identity_id: int) -> None:
    """解除绑定, said in the chat itself. No error if it is not bound."""
    async with transaction(ctx) as tx:
        await _unbind(tx, identity_id, None)


async def _unbind(tx: Transaction, identity_id: int, person_id: int | None) -> Any:
    identity = await tx.row(
        "SELECT * FROM identities WHERE id = $1 AND ($2::bigint IS NULL OR person_id = $2) FOR UPDATE", identity_id, person_id
    )
    if identity is None or (person_id is not None and not await tx.value(
        "SELECT true FROM bot_identities WHERE identity_id = $1 AND ended_at IS NULL", identity_id
    )):
        return None
    await tx.run(KEEP_OUT, identity.platform, identity.app_id, identity.open_id, tx.ctx.now)
    if identity.platform == Platform.WECHAT_OA:
        # It is of no other use, and another member of the family may bind the same follower.
        await tx.run("UPDATE bindings SET identity_id = NULL WHERE identity_id = $1", identity_id)
        await tx.run("DELETE FROM bot_identities WHERE identity_id = $1", identity_id)
        await tx.run("DELETE FROM identities WHERE id = $1", identity_id)
    else:
        await tx.run(END, identity_id, tx.ctx.now)
    tx.record("binding.ended", "identity", identity_id, person_id=identity.person_id, platform=identity.platform)
    return identity


# --- what the platform tells ---------------------------------------------------------------------------------------------


async def note_left(ctx: Context, platform: str, app_id: str, open_id: str) -> None:
    """取消关注, or left the corporation: nothing can be sent there; the binding stays for when they return."""
    await _note(ctx, platform, app_id, open_id, ctx.now)


async def note_returned(ctx: Context, platform: str, app_id: str, open_id: str) -> None:
    await _note(ctx, platform, app_id, open_id, None)


async def _note(ctx: Context, platform: str, app_id: str, open_id: str, left_at: datetime | None) -> None:
    async with transaction(ctx) as tx:
        identity_id = await tx.value(
            "SELECT id FROM identities WHERE platform = $1 AND app_id = $2 AND open_id = $3", platform, app_id, open_id
        )
        if identity_id is not None and await tx.run(
            "UPDATE bot_identities SET left_at = $2::timestamptz, tagged_as = NULL"
            " WHERE identity_id = $1 AND (left_at IS NULL) = ($2::timestamptz IS NOT NULL)",
            identity_id, left_at,
        ):
            tx.record("binding.left" if left_at else "binding.returned", "identity", identity_id)


async def note_revoked(ctx: Context, platform: str, app_id: str, open_id: str) -> None:
    """user_authorization_revoke: the user took back what they had allowed the mini-program. They are signed out there and hear no more."""
    async with transaction(ctx) as tx:
        identity = await tx.row(IDENTITY, platform, app_id, open_id)
        if identity is None:
            return
        ended = await tx.run(REVOKED_SESSIONS, identity.id, ctx.now)
        await tx.run("UPDATE subscriptions SET remaining = 0, updated_at = $2 WHERE identity_id = $1", identity.id, ctx.now)
        tx.record("identity.authorization_revoked", "identity", identity.id, person_id=identity.person_id, sessions=ended)


async def forget_bindings(ctx: Context, limit: int = 500) -> int:
    """Sweep: delete codes a month after they were over. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - FORGOTTEN_AFTER, limit)


def _scene_hash(scene: str) -> bytes:
    return hashlib.sha256(scene.encode()).digest()


def _code_hash(ctx: Context, code: str) -> bytes:
    # Six letters are tried through in a second if one has their plain hash: a keyed one.
    return blind_index(ctx.settings, f"binding {code.strip().upper()}")
