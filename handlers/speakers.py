"""Who speaks in a chat, and for whom they act there: independent of what their phones are signed in as (F08, decision 0181)."""

from dataclasses import dataclass
from typing import Any, TypedDict

from handlers.context import Actor, Context
from handlers.refusals import NotFound
from handlers.transactions import changed, row, rows, transaction
from models.accounts import OrganisationKind, Role

SPEAKER = """
SELECT i.id, i.person_id, b.tagged_as FROM identities i LEFT JOIN bot_identities b ON b.identity_id = i.id
WHERE i.platform = $1 AND i.app_id = $2 AND i.open_id = $3 AND b.ended_at IS NULL
"""
ACTOR = """
SELECT i.id AS identity_id, i.person_id, b.has_chosen, b.membership_id AS chosen_id, m.id AS membership_id, m.role, m.region_code,
  m.park_id, m.organisation_id, o.kind AS organisation_kind, o.name AS organisation_name
FROM identities i LEFT JOIN bot_identities b ON b.identity_id = i.id
LEFT JOIN memberships m ON m.person_id = i.person_id AND m.state = 'active' LEFT JOIN organisations o ON o.id = m.organisation_id
WHERE i.id = $1 ORDER BY m.id
"""
CHOOSE = """
INSERT INTO bot_identities (identity_id, membership_id, has_chosen, bound_at) VALUES ($1, $2, true, $3)
ON CONFLICT (identity_id) DO UPDATE SET membership_id = EXCLUDED.membership_id, has_chosen = true
"""


@dataclass(frozen=True, slots=True)
class Speaker:
    identity_id: int
    person_id: int
    tagged_as: str | None


class ChoiceView(TypedDict):
    """An organisation that somebody may act for in the chat."""

    membership_id: int
    organisation_name: str
    organisation_kind: OrganisationKind
    role: Role
    is_acting: bool


async def speaker_of(platform: str, app_id: str, open_id: str) -> Speaker | None:
    """None: not bound, or unbound again. Then nothing but the way to bind is said."""
    found = await row(SPEAKER, platform, app_id, open_id)
    return Speaker(found.id, found.person_id, found.tagged_as) if found is not None else None


async def actor_of(identity_id: int) -> Actor:
    """The person in the membership chosen in the chat; if that has ended or none was chosen, in the only one there is, or in none."""
    found = await rows(ACTOR, identity_id)
    acting = _acting(found)
    if acting is None:
        return Actor(person_id=found[0].person_id if found else None, identity_id=identity_id)
    return Actor(
        role=Role(acting.role), person_id=acting.person_id, identity_id=identity_id, membership_id=acting.membership_id,
        organisation_id=acting.organisation_id, organisation_kind=OrganisationKind(acting.organisation_kind),
        region_code=acting.region_code, park_id=acting.park_id,
    )


def _acting(found: list[Any]) -> Any:
    members = [one for one in found if one.membership_id is not None]
    if not members:
        return None
    first = members[0]
    chosen = next((one for one in members if one.membership_id == first.chosen_id), None)
    if chosen is not None or (first.has_chosen and first.chosen_id is None):
        return chosen
    return first if len(members) == 1 else None


async def list_choices(ctx: Context) -> list[ChoiceView]:
    """For whom the speaker may act, for 切换身份."""
    found = await rows(ACTOR, ctx.actor.identity_id)
    acting = _acting(found)
    return [
        {
            "membership_id": one.membership_id, "organisation_name": one.organisation_name,
            "organisation_kind": OrganisationKind(one.organisation_kind), "role": Role(one.role),
            "is_acting": acting is not None and one.membership_id == acting.membership_id,
        }
        for one in found if one.membership_id is not None
    ]


async def choose_membership(ctx: Context, membership_id: int | None) -> None:
    """切换身份 in the chat, from the next saying on; None for nobody. Raises NotFound."""
    async with transaction(ctx) as tx:
        if membership_id is not None and not await tx.value(
            "SELECT true FROM memberships WHERE id = $1 AND person_id = $2 AND state = 'active'", membership_id, ctx.person_id
        ):
            raise NotFound
        assert ctx.actor.identity_id is not None, "only somebody in a chat chooses"
        await tx.run(CHOOSE, ctx.actor.identity_id, membership_id, ctx.now)
        tx.record("binding.switched", "identity", ctx.actor.identity_id, membership_id=membership_id)


async def note_tag(identity_id: int, tagged_as: str | None) -> None:
    """The Official Account shows this person the menu of that tag now."""
    await changed("UPDATE bot_identities SET tagged_as = $2 WHERE identity_id = $1", identity_id, tagged_as)
