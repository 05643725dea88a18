"""Persons for the seed, as if they had signed in before, and contexts in which they act through the use-cases."""

from dataclasses import dataclass
from typing import Any

from clock import Clock
from demo import people
from handlers import accounts, regions
from handlers.context import SYSTEM, Actor, Context
from handlers.personal import blind_index, seal
from handlers.ports import Ports
from handlers.transactions import Transaction, row, transaction
from models.accounts import OrganisationKind, Platform, Role
from settings import Settings
from simulator.state import default_mobile, person_id

IDENTITY = "SELECT id, person_id FROM identities WHERE platform = 'wechat' AND app_id = $1 AND open_id = $2"


@dataclass(frozen=True)
class Planter:
    settings: Settings
    clock: Clock
    ports: Ports

    def context(self, actor: Actor = SYSTEM) -> Context:
        return Context(actor, self.clock.now(), self.settings, self.ports, "seed")

    async def known(self, name: str) -> Actor | None:
        found = await row(IDENTITY, self.settings.wechat_appid, self._open_id(name))
        return Actor(person_id=found.person_id, identity_id=found.id) if found else None

    async def person(self, name: str) -> Actor:
        """The person with a WeChat identity, a bound phone and a consent; made if there is none yet."""
        if known := await self.known(name):
            return known
        async with transaction(self.context()) as tx:
            return await self._newcomer(tx, name)

    def _open_id(self, name: str) -> str:
        return person_id("wechat", self.settings.wechat_appid, name)

    async def _newcomer(self, tx: Transaction, name: str) -> Actor:
        phone = default_mobile(name)
        privacy = accounts.privacy()
        person = await tx.value(
            "INSERT INTO persons (name, phone, phone_index, created_at) VALUES ($1,$2,$3,$4) RETURNING id",
            seal(self.settings, name.rpartition(" ")[2]), seal(self.settings, phone), blind_index(self.settings, phone), tx.ctx.now,
        )
        identity = await tx.value(
            "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,$2,$3,$4,$5) RETURNING id",
            person, Platform.WECHAT.value, self.settings.wechat_appid, self._open_id(name), tx.ctx.now,
        )
        await tx.run(
            "INSERT INTO consents (person_id, document, version, agreed_at) VALUES ($1,$2,$3,$4)",
            person, privacy["document"], privacy["version"], tx.ctx.now,
        )
        tx.record("person.created", "person", person, platform="wechat")
        return Actor(person_id=person, identity_id=identity)

    async def membership(self, person: Actor, role: Role) -> Any:
        return await row(
            "SELECT m.*, o.kind FROM memberships m JOIN organisations o ON o.id = m.organisation_id"
            " WHERE m.person_id = $1 AND m.role = $2 AND m.state = 'active'",
            person.person_id, role.value,
        )

    async def acting(self, person: Actor, role: Role) -> Context:
        """The person's context in the membership of this role."""
        found = await self.membership(person, role)
        return self.context(Actor(
            role, person.person_id, None, person.identity_id, found.id, found.organisation_id, OrganisationKind(found.kind),
            found.region_code, found.park_id,
        ))

    async def official(self, admin: Context, official: people.Official, office_id: int, park_id: int | None = None) -> Context:
        """In office and acting; appointed by the administrator unless that has been done."""
        person = await self.person(official.name)
        if await self.membership(person, official.role) is None:
            await accounts.appoint_official(
                admin, default_mobile(official.name), official.role, office_id,
                region_code=official.region_code, park_id=park_id if official.in_park else None,
            )
        return await self.acting(person, official.role)

    async def office(self, admin: Context, name: str, region_code: str) -> int:
        known = await row("SELECT id FROM organisations WHERE kind = 'office' AND name = $1", name)
        return int(known.id) if known else (await accounts.create_office(admin, name, region_code))["id"]

    async def park(self, admin: Context, name: str, county_code: str) -> int:
        known = await row("SELECT id FROM parks WHERE county_code = $1 AND name = $2", county_code, name)
        return int(known.id) if known else (await regions.create_park(admin, name, county_code))["id"]
