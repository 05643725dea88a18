"""The person behind a session: who I am, for whom I may act, what is still missing (F08)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypedDict

import asyncpg

from handlers.accounts.consents import ConsentView, privacy, require_consent, require_consent_before_asking
from handlers.accounts.phones import lock_phone, take_over
from handlers.context import Context
from handlers.personal import blind_index, mask_name, mask_phone, normalise, open_sealed, seal
from handlers.ports import Login, LoginRefusedError, PlatformDownError
from handlers.refusals import Kind, Refusal
from handlers.sessions import SessionEnded
from handlers.transactions import Transaction, row, transaction
from models.accounts import OrganisationKind, Platform, Role
from settings import Settings

ME = """
SELECT p.id, p.name, p.phone, i.platform, s.expires_at,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'organisation_id', o.id, 'organisation_name', o.name,
     'organisation_kind', o.kind, 'role', m.role, 'region_code', m.region_code, 'park_id', m.park_id) ORDER BY m.id), '[]')
   FROM memberships m JOIN organisations o ON o.id = m.organisation_id
   WHERE m.person_id = p.id AND m.state = 'active') AS memberships,
  (SELECT m.id FROM memberships m WHERE m.id = s.membership_id AND m.state = 'active') AS acting,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('document', c.document, 'version', c.version) ORDER BY c.id), '[]')
   FROM consents c WHERE c.person_id = p.id) AS consents
FROM sessions s JOIN persons p ON p.id = s.person_id JOIN identities i ON i.id = s.identity_id
WHERE s.id = $1
"""


class LoginCodeRefused(Refusal):
    kind, code, title = Kind.INVALID, "login_code_refused", "授权已过期或已使用，请重新授权"


class PlatformUnavailable(Refusal):
    kind, code, title = Kind.UNAVAILABLE, "platform_unavailable", "平台暂时没有响应，请稍后再试"


class PhoneTaken(Refusal):
    """Says nothing about the other person, not even whether it is one of ours on another platform."""

    kind, code, title = Kind.CONFLICT, "phone_taken", "该手机号已绑定其他账号，请先在原账号中更换手机号，或联系客服"


class MembershipView(TypedDict):
    """For whom one may act, and as what. `region_code` or `park_id` is an official's jurisdiction."""

    id: int
    organisation_id: int
    organisation_name: str
    organisation_kind: OrganisationKind
    role: Role
    region_code: str | None
    park_id: int | None


class MeView(TypedDict):
    """Name and phone are masked. `missing` holds, in the order to ask for them: consent, phone, membership."""

    person_id: int
    name: str | None
    phone: str | None
    platform: Platform
    session_expires_at: datetime
    memberships: list[MembershipView]
    acting: MembershipView | None
    consents: list[ConsentView]
    missing: list[str]


async def me(ctx: Context) -> MeView:
    found = await row(ME, ctx.actor.session_id)
    if found is None:  # forgotten between the look-up of the token and now
        raise SessionEnded
    return _me(ctx.settings, found)


async def me_within(tx: Transaction, session_id: int | None) -> MeView:
    """What `me` will say when this transaction is committed."""
    return _me(tx.ctx.settings, await tx.row(ME, session_id))


async def bind_phone(ctx: Context, code: str) -> MeView:
    """The number that the platform vouches for; a second one replaces the first, and its owner hears of that everywhere.

    Raises ConsentNeeded, LoginCodeRefused, PlatformUnavailable, PhoneTaken.
    """
    await require_consent_before_asking(ctx)
    identity = await row("SELECT platform, open_id FROM identities WHERE id = $1", ctx.actor.identity_id)
    with asking_platform():
        phone = normalise(await login_of(ctx, identity.platform).phone(code, identity.open_id))
    index = blind_index(ctx.settings, phone)
    with refusing_twice("persons_phone_once", PhoneTaken), refusing_twice("consultants_person_once", PhoneTaken):
        async with transaction(ctx) as tx:
            await lock_phone(tx, index)
            await take_over(tx, index, ctx.person_id)
            before = await tx.value("SELECT phone_index FROM persons WHERE id = $1 FOR NO KEY UPDATE", ctx.person_id)
            await _know(tx, "phone = $2, phone_index = $3", seal(ctx.settings, phone), index)
            is_change = before is not None and before != index
            tx.record("person.phone_changed" if is_change else "person.phone_bound", "person", ctx.person_id)
            if is_change:
                tx.announce("security_changed", "person", ctx.person_id, person_id=ctx.person_id, security="phone_changed")
            return tx.reply(await me_within(tx, ctx.actor.session_id))


async def set_name(ctx: Context, name: str) -> MeView:
    """The name that colleagues see, masked. Raises ConsentNeeded."""
    async with transaction(ctx) as tx:
        await require_consent(tx)
        await _know(tx, "name = $2", seal(ctx.settings, name))
        tx.record("person.named", "person", ctx.person_id)
        return tx.reply(await me_within(tx, ctx.actor.session_id))


async def _know(tx: Transaction, what: str, *values: bytes) -> None:
    """Nothing more is learnt of who closes the account in the same moment (handlers/closures.py). Raises SessionEnded."""
    if not await tx.run(f"UPDATE persons SET {what} WHERE id = $1 AND closed_at IS NULL", tx.ctx.person_id, *values):
        raise SessionEnded


async def person_of_phone(tx: Transaction, phone: str) -> int | None:
    found: int | None = await tx.value("SELECT id FROM persons WHERE phone_index = $1", blind_index(tx.ctx.settings, phone))
    return found


def masked(settings: Settings, name: bytes | None, phone: bytes | None) -> tuple[str | None, str | None]:
    """A person's name and phone as others may see them."""
    return (
        mask_name(open_sealed(settings, name)) if name is not None else None,
        mask_phone(open_sealed(settings, phone)) if phone is not None else None,
    )


def login_of(ctx: Context, platform: str) -> Login:
    """Raises PlatformUnavailable for a platform that this installation has not been given."""
    if platform not in ctx.ports.logins:
        raise PlatformUnavailable
    return ctx.ports.logins[platform]


@contextmanager
def asking_platform() -> Iterator[None]:
    try:
        yield
    except LoginRefusedError as error:
        raise LoginCodeRefused from error
    except PlatformDownError as error:
        raise PlatformUnavailable from error


@contextmanager
def refusing_twice(constraint: str, refusal: type[Refusal]) -> Iterator[None]:
    """Let a UNIQUE of the database decide between two that come at once."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == constraint:
            raise refusal from None  # the driver's text holds the value
        raise


def _me(settings: Settings, found: Any) -> MeView:
    name, phone = masked(settings, found.name, found.phone)
    current = privacy()
    consented = {"document": current["document"], "version": current["version"]} in found.consents
    missing = {"consent": not consented, "phone": phone is None, "membership": not found.memberships}
    return {
        "person_id": found.id, "name": name, "phone": phone, "platform": Platform(found.platform),
        "session_expires_at": found.expires_at, "memberships": found.memberships,
        "acting": next((one for one in found.memberships if one["id"] == found.acting), None),
        "consents": found.consents, "missing": [word for word, is_missing in missing.items() if is_missing],
    }
