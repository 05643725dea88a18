"""From a platform's one-time code to a session of ours, and the end of sessions (docs/decisions/0021-sessions.md)."""

import secrets
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.accounts.people import MeView, asking_platform, login_of, me_within
from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.personal import blind_index
from handlers.ports import PlatformUser
from handlers.refusals import NotFound
from handlers.sessions import token_hash
from handlers.transactions import Transaction, rows, transaction
from models.accounts import Platform

TOKEN_BYTES = 32
OPEN_PER_IDENTITY = 10  # a phone, a tablet, a computer, and some that were lost; the oldest ends
FORGOTTEN_AFTER = timedelta(days=30)  # an ended session says for a month where somebody was signed in, then nothing

# Whoever closes the account meanwhile waits for the session, and ends it; or the session waits, and finds a new person to be made.
IDENTITY = "SELECT id, person_id, union_id FROM identities WHERE platform = $1 AND app_id = $2 AND open_id = $3 FOR KEY SHARE"
# Two first log-ins of one user wait for each other here; the open id's lock always comes before the union id's.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
MAKE_SESSION = """
INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at, device_index)
SELECT $1, $2, $3, CASE WHEN count(*) = 1 THEN min(id) END, $4, $5, $6 FROM memberships WHERE person_id = $2 AND state = 'active'
RETURNING id, expires_at
"""
END_OLDEST = """
UPDATE sessions SET revoked_at = $2 WHERE id IN (
  SELECT id FROM sessions WHERE identity_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY id DESC OFFSET $3)
"""
SESSIONS = """
SELECT s.id, i.platform, s.created_at, s.expires_at, o.name AS organisation_name
FROM sessions s JOIN identities i ON i.id = s.identity_id
LEFT JOIN memberships m ON m.id = s.membership_id AND m.state = 'active' LEFT JOIN organisations o ON o.id = m.organisation_id
WHERE s.person_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND ($3::bigint IS NULL OR s.id < $3)
ORDER BY s.id DESC LIMIT $4
"""
REVOKE = "UPDATE sessions SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL AND expires_at > $2"
FORGET = """
DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


class SignedInView(TypedDict):
    """`token` is shown this once; it goes into `Authorization: Bearer …`."""

    token: str
    expires_at: datetime
    me: MeView


class SessionView(TypedDict):
    """A signed-in phone or computer of mine."""

    id: int
    platform: Platform
    organisation_name: str | None
    created_at: datetime
    expires_at: datetime
    is_current: bool


class RevokedView(TypedDict):
    revoked: int


async def log_in(ctx: Context, platform: Platform, code: str, device_id: str | None = None) -> SignedInView:
    """E01, D01: whoever the platform vouches for is signed in; the first time makes the person.

    `device_id`: what the app calls the phone; only a keyed hash is kept, to see one phone act for both sides (F03).
    The answer holds the token, so it is never kept under an idempotency key: the platform takes a code only once anyway.
    Raises LoginCodeRefused, PlatformUnavailable.
    """
    login = login_of(ctx, platform)
    with asking_platform():
        user = await login.exchange(code)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    async with transaction(ctx) as tx:
        identity = await tx.row(IDENTITY, platform, user.app_id, user.open_id) or await _first_log_in(tx, platform, user)
        await _learn_union_id(tx, identity, user)
        session = await tx.row(
            MAKE_SESSION, token_hash(token), identity.person_id, identity.id, ctx.now,
            ctx.now + timedelta(days=ctx.settings.session_days),
            blind_index(ctx.settings, f"device {device_id}") if device_id else None,
        )
        await tx.run(END_OLDEST, identity.id, ctx.now, OPEN_PER_IDENTITY)
        tx.record("session.opened", "session", session.id, person_id=identity.person_id, platform=platform)
        return {"token": token, "expires_at": session.expires_at, "me": await me_within(tx, session.id)}


async def _first_log_in(tx: Transaction, platform: Platform, user: PlatformUser) -> Any:
    await lock_first_log_in(tx, platform, user)
    if (made_meanwhile := await tx.row(IDENTITY, platform, user.app_id, user.open_id)) is not None:
        return made_meanwhile
    person_id = await _person_of_union(tx, platform, user.union_id)
    if person_id is None:
        person_id = await tx.value("INSERT INTO persons (created_at) VALUES ($1) RETURNING id", tx.ctx.now)
        tx.record("person.created", "person", person_id, platform=platform)
    made = await tx.row(
        "INSERT INTO identities (person_id, platform, app_id, open_id, union_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
        " RETURNING id, person_id, union_id", person_id, platform, user.app_id, user.open_id, user.union_id, tx.ctx.now,
    )
    tx.record("identity.linked", "identity", made.id, person_id=person_id, platform=platform)
    return made


async def lock_first_log_in(tx: Transaction, platform: Platform, user: PlatformUser) -> None:
    await tx.value(LOCK, f"open|{platform}|{user.app_id}|{user.open_id}")
    if user.union_id is not None:
        await tx.value(LOCK, f"union|{platform}|{user.union_id}")


async def _person_of_union(tx: Transaction, platform: Platform, union_id: str | None) -> int | None:
    """Union ids mean something within one platform only, and only if it gives one."""
    if union_id is None:
        return None
    found: int | None = await tx.value(
        "SELECT person_id FROM identities WHERE platform = $1 AND union_id = $2 ORDER BY id LIMIT 1 FOR KEY SHARE", platform, union_id
    )
    return found


async def _learn_union_id(tx: Transaction, identity: Any, user: PlatformUser) -> None:
    # Apps are bound together later than people sign in. Two persons who turn out to be one stay two: their papers differ.
    if user.union_id is not None and identity.union_id != user.union_id:
        await tx.run("UPDATE identities SET union_id = $2 WHERE id = $1", identity.id, user.union_id)


async def list_sessions(ctx: Context, page: Page) -> PageView[SessionView]:
    key = page.key() or [None]
    found = await rows(SESSIONS, ctx.person_id, ctx.now, key[0], page.limit + 1)
    return page_of(found, page, lambda one: _session(one, ctx.actor.session_id), lambda one: [one.id])


async def log_out(ctx: Context) -> RevokedView:
    """Ends the session that asks."""
    assert ctx.actor.session_id is not None
    return await revoke_session(ctx, ctx.actor.session_id)


async def revoke_session(ctx: Context, session_id: int) -> RevokedView:
    """A lost phone. Raises NotFound for one that has ended or is somebody else's."""
    async with transaction(ctx) as tx:
        if not await tx.run(f"{REVOKE} AND id = $3", ctx.person_id, ctx.now, session_id):
            raise NotFound
        tx.record("session.revoked", "session", session_id)
        return tx.reply(RevokedView(revoked=1))


async def revoke_other_sessions(ctx: Context) -> RevokedView:
    """Everything but the session that asks; none is an answer too."""
    async with transaction(ctx) as tx:
        found = await tx.rows(f"{REVOKE} AND id <> $3 RETURNING id", ctx.person_id, ctx.now, ctx.actor.session_id)
        for one in found:
            tx.record("session.revoked", "session", one.id)
        return tx.reply(RevokedView(revoked=len(found)))


async def switch_membership(ctx: Context, membership_id: int | None) -> MeView:
    """切换身份 (F08): act for another organisation from the next request on, or for none. Raises NotFound."""
    async with transaction(ctx) as tx:
        if membership_id is not None and not await tx.value(
            "SELECT true FROM memberships WHERE id = $1 AND person_id = $2 AND state = 'active'", membership_id, ctx.person_id
        ):
            raise NotFound
        await tx.run("UPDATE sessions SET membership_id = $2 WHERE id = $1", ctx.actor.session_id, membership_id)
        assert ctx.actor.session_id is not None
        tx.record("session.switched", "session", ctx.actor.session_id, membership_id=membership_id)
        return tx.reply(await me_within(tx, ctx.actor.session_id))


async def forget_sessions(ctx: Context, limit: int = 500) -> int:
    """Sweep: delete sessions a month after their time was over. Returns how many."""
    async with transaction(ctx) as tx:
        found = await tx.rows(FORGET, ctx.now - FORGOTTEN_AFTER, limit)
        if found:
            tx.record("session.forgotten", "session", min(one.id for one in found), count=len(found))
        return len(found)


def _session(found: Any, current: int | None) -> SessionView:
    return {
        "id": found.id, "platform": Platform(found.platform), "organisation_name": found.organisation_name,
        "created_at": found.created_at, "expires_at": found.expires_at, "is_current": found.id == current,
    }
