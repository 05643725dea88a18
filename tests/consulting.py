"""An institution that invites consultants, the phones and mailboxes that its invitations reach, and people who answer."""

import re
from dataclasses import dataclass, field
from typing import Any

from handlers.deliveries import deliver_due
from handlers.notices import open_events
from handlers.personal import blind_index, seal
from models.accounts import Role
from tests.applications import consent
from tests.fakes import Gateway
from tests.world import Member, World

PHONE, OTHER_PHONE = "13800138000", "13900139000"
PROFILE = {"name": "张敏", "title": "执业律师", "specialities": ["legal", "ip"], "introduction": "从事企业法律服务十二年。"}
TABLES = ("consultants", "invitations", "memberships", "approvals", "persons", "consents", "events", "audit_entries")


@dataclass
class Consulting:
    world: World
    owner: Member  # of the institution
    admin: Member
    sms: Gateway
    mail: Gateway
    tables: tuple[str, ...] = field(default=TABLES)

    # --- the institution ---------------------------------------------------------------------------------------------------

    async def add(self, **changes: Any) -> int:
        body = {"name": "张敏", "phone": PHONE, "specialities": ["legal"], **changes}
        status, added = await self.world.post("/institution/consultants", body, by=self.owner)
        assert status == 201, added
        found: int = added["id"]
        return found

    async def invite(self, consultant_id: int) -> str:
        """The token of a new invitation."""
        status, body = await self.world.post(f"/institution/consultants/{consultant_id}/invitation", by=self.owner)
        assert status == 201, body
        token: str = body["token"]
        return token

    async def invited(self, **changes: Any) -> tuple[int, str]:
        consultant_id = await self.add(**changes)
        return consultant_id, await self.invite(consultant_id)

    async def end(self, consultant_id: int) -> tuple[int, Any]:
        return await self.world.delete(f"/institution/consultants/{consultant_id}", by=self.owner)

    async def shown(self, consultant_id: int) -> Any:
        status, body = await self.world.get(f"/institution/consultants/{consultant_id}", by=self.owner)
        assert status == 200, body
        return body

    # --- the person ----------------------------------------------------------------------------------------------------------

    async def somebody(self, phone: str | None = PHONE, *, agreed: bool = True) -> Member:
        """Signed in, for no organisation, with a bound phone."""
        world = self.world
        organisation = await world.organisation(self.kind_of_others())
        member = await world.member(organisation, Role.VIEWER)
        await world.owner.execute("UPDATE sessions SET membership_id = NULL WHERE membership_id = $1", member.membership_id)
        if phone:
            await world.owner.execute(
                "UPDATE persons SET phone = $2, phone_index = $3 WHERE id = $1", member.person_id, seal(world.settings, phone),
                blind_index(world.settings, phone),
            )
        if agreed:
            await consent(world, member)
        return member

    @staticmethod
    def kind_of_others() -> Any:
        from models.accounts import OrganisationKind

        return OrganisationKind.ENTERPRISE

    async def accept(self, token: str, person: Member) -> tuple[int, Any]:
        return await self.world.post(f"/invitations/{token}/acceptance", by=person)

    async def submit(self, consultant_id: int, person: Member, **changes: Any) -> tuple[int, Any]:
        return await self.world.put(f"/consultancies/{consultant_id}/form", {**PROFILE, **changes}, by=person)

    async def in_review(self, person: Member | None = None, **changes: Any) -> tuple[int, Member]:
        person = person or await self.somebody()
        consultant_id, token = await self.invited(**changes)
        assert (await self.accept(token, person))[0] == 200
        status, body = await self.submit(consultant_id, person)
        assert (status, body["state"]) == (200, "in_review"), body
        return consultant_id, person

    async def active(self) -> tuple[int, Member]:
        consultant_id, person = await self.in_review()
        status, body = await self.decide(consultant_id, "approval", {})
        assert status == 200, body
        return consultant_id, person

    # --- the administrator ---------------------------------------------------------------------------------------------------

    async def waiting(self, consultant_id: int) -> int:
        return int(await self.world.value(
            "SELECT id FROM approvals WHERE subject = 'consultant' AND subject_id = $1 AND state = 'open'", consultant_id
        ))

    async def decide(self, consultant_id: int, noun: str, body: Any, by: Member | None = None) -> tuple[int, Any]:
        return await self.world.post(f"/approvals/{await self.waiting(consultant_id)}/{noun}", body, by=by or self.admin)

    # --- looking --------------------------------------------------------------------------------------------------------------

    async def state(self, consultant_id: int) -> str:
        found: str = await self.world.value("SELECT state FROM consultants WHERE id = $1", consultant_id)
        return found

    async def deliver(self) -> None:
        """Open all events and send what they make."""
        await self.world.sweep(open_events)
        while await self.world.sweep(deliver_due):
            pass

    async def code(self) -> str:
        """The newest code that an SMS brought."""
        await self.deliver()
        codes = [message.fields["code"] for message in self.sms.sent if message.kind == "phone_code"]
        assert re.fullmatch(r"\d{6}", codes[-1])
        return codes[-1]

    async def told(self, kind: str) -> list[tuple[int | None, int | None, Any]]:
        """(organisation, person, what) of the events of a kind, in their order."""
        found = await self.world.owner.fetch("SELECT * FROM events WHERE kind = $1 ORDER BY id", kind)
        import json

        return [(row["organisation_id"], row["person_id"], json.loads(row["data"])) for row in found]

    async def unchanged(self) -> "Unchanged":
        return Unchanged(self, await self.world.snapshot(*self.tables))


@dataclass
class Unchanged:
    consulting: Consulting
    before: dict[str, list[tuple[object, ...]]]

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            assert await self.consulting.world.snapshot(*self.consulting.tables) == self.before


async def open_consulting(world: World) -> Consulting:
    sms = world.ports.senders["sms"] = Gateway("sms")
    mail = world.ports.senders["email"] = Gateway("mail")
    return Consulting(world, await world.institution(), await world.official(Role.ADMIN), sms, mail)
