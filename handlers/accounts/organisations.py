"""Registering a company or institution to act for (F08, C02): whoever registers it first is its owner until it is certified."""

import unicodedata
from typing import TypedDict

from handlers.context import Context
from handlers.refusals import Kind, Refusal
from handlers.regions import require_place
from handlers.sessions import SessionEnded
from handlers.transactions import Transaction, transaction
from handlers.zones import require_inside
from models.accounts import OrganisationKind, Role

# GB 32100-2015: digits and capitals without I, O, S, V, Z; weights are powers of 3 modulo 31.
_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = [pow(3, place, 31) for place in range(17)]
# Enough for an agent of a park; too few to sit on the credit codes of a whole city.
UNCERTIFIED_MAX = 10

LOCK_PERSON = "SELECT closed_at IS NULL AS is_open FROM persons WHERE id = $1 FOR NO KEY UPDATE"
UNCERTIFIED = """
SELECT count(*) FROM memberships m JOIN organisations o ON o.id = m.organisation_id
WHERE m.person_id = $1 AND m.role = 'owner' AND m.state = 'active' AND o.certified_at IS NULL
"""
REGISTER = """
INSERT INTO organisations (kind, name, credit_code, region_code, park_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (kind, credit_code) DO NOTHING RETURNING id
"""
# Its public page is there, empty, from the first day.
PAGE = """
INSERT INTO institutions (organisation_id, introduction, address, website, landline, email, updated_at)
SELECT $1, '', '', '', '', '', $2
"""
JOIN = """
INSERT INTO memberships (person_id, organisation_id, role, region_code, park_id, state, created_at)
SELECT p.id, $2, $3, $4, $5, 'active', $6 FROM (SELECT id FROM persons WHERE id = $1 AND closed_at IS NULL FOR KEY SHARE) p RETURNING id
"""


class CreditCodeInvalid(Refusal):
    kind, code, title = Kind.INVALID, "credit_code_invalid", "统一社会信用代码有误，请核对 18 位代码"


class OrganisationExists(Refusal):
    """The same whoever owns it; the way in is an invitation."""

    kind, code, title = Kind.CONFLICT, "organisation_exists", "该单位已登记，请联系本单位负责人将您加为成员"


class OrganisationsTooMany(Refusal):
    """`data.limit`: how many a person may own that are not certified yet."""

    kind, code, title = Kind.CONFLICT, "organisations_too_many", "您登记的未认证单位过多，请先完成已登记单位的认证"


class PersonUnknown(Refusal):
    """Nobody has bound this number. The title says what to do, because an invitation cannot reach a stranger."""

    kind, code, title = Kind.CONFLICT, "person_unknown", "该手机号尚未绑定账号，请对方先登录小程序并绑定手机号"


class RegisteredView(TypedDict):
    """Switch to `membership_id` to act for it. The session is not switched here: whoever repeats this request must still be the
    one who asked first, or the kept answer would not be found.
    """

    organisation_id: int
    membership_id: int


def credit_code_of(typed: str) -> str | None:
    """The 18 characters of a valid unified social credit code (half-width, upper case), or None."""
    code = unicodedata.normalize("NFKC", typed).strip().upper()
    if len(code) != 18 or any(letter not in _LETTERS for letter in code):
        return None
    total = sum(_LETTERS.index(letter) * weight for letter, weight in zip(code, _WEIGHTS, strict=False))
    return code if code[17] == _LETTERS[-total % 31] else None


async def register_organisation(
    ctx: Context, kind: OrganisationKind, name: str, typed_code: str, region_code: str, park_id: int | None = None,
    programme_id: int | None = None,
) -> RegisteredView:
    """`programme_id`: as an enterprise user of which programme; its zone decides (D02).

    Raises CreditCodeInvalid, RegionUnknown, RegionTooWide, ParkUnknown, OutsideZone, OrganisationsTooMany, OrganisationExists.
    """
    credit_code = credit_code_of(typed_code)
    if credit_code is None:
        raise CreditCodeInvalid
    async with transaction(ctx) as tx:
        await require_place(tx, region_code, park_id)
        if programme_id is not None and kind is OrganisationKind.ENTERPRISE:
            await require_inside(tx, programme_id, region_code)
        if not await lock_person(tx, ctx.person_id):
            raise SessionEnded
        if await tx.value(UNCERTIFIED, ctx.person_id) >= UNCERTIFIED_MAX:
            raise OrganisationsTooMany(limit=UNCERTIFIED_MAX)
        organisation_id = await tx.value(REGISTER, kind, name, credit_code, region_code, park_id, ctx.now)
        if organisation_id is None:
            raise OrganisationExists
        if kind is OrganisationKind.INSTITUTION:
            await tx.run(PAGE, organisation_id, ctx.now)
        tx.record("organisation.registered", "organisation", organisation_id, kind=kind, credit_code=credit_code)
        membership_id = await add_membership(tx, ctx.person_id, organisation_id, Role.OWNER)
        return tx.reply(RegisteredView(organisation_id=organisation_id, membership_id=membership_id))


async def lock_person(tx: Transaction, person_id: int) -> bool:
    """What a person may hold is decided one grant at a time. False for an account that is closed."""
    return bool(await tx.value(LOCK_PERSON, person_id))


async def add_membership(
    tx: Transaction, person_id: int, organisation_id: int, role: Role, *, region_code: str | None = None, park_id: int | None = None
) -> int:
    """Returns its id. The caller has locked the organisation or the person, and seen that there is none like it.

    Raises PersonUnknown for whoever closed the account since they were found.
    """
    made: int | None = await tx.value(JOIN, person_id, organisation_id, role, region_code, park_id, tx.ctx.now)
    if made is None:
        raise PersonUnknown
    tx.record("membership.granted", "membership", made, after="active", person_id=person_id, organisation_id=organisation_id, role=role)
    return made
