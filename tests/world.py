"""A small world to test in: organisations and their people, written straight into the tables, speaking HTTP to the app."""

import hashlib
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
from aiohttp.test_utils import TestClient

from handlers.context import SYSTEM, Context
from handlers.ports import Ports
from handlers.qualifications import FORM_VERSION
from handlers.wallet import first_unusable_instant, shanghai_date
from models.accounts import OrganisationKind, Role
from settings import Settings
from tests.fakes import Clock

JINAN, SHIZHONG = "370100", "370103"  # 济南市, 市中区
QUALIFICATION = {
    "enterprise_name": "测试企业", "region_code": SHIZHONG, "tax_last_year_fen": 8_000_000, "main_business": "精密零件加工",
    "employees": 42, "revenue_last_year_fen": 900_000_000, "industry": "C", "assets_last_year_fen": 600_000_000, "size_class": "small",
}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Member:
    """A person signed in for an organisation."""

    person_id: int
    identity_id: int
    organisation_id: int
    membership_id: int
    role: Role
    token: str = field(repr=False)
    open_id: str = ""


@dataclass
class World:
    client: TestClient[Any, Any]
    owner: asyncpg.Connection
    clock: Clock
    settings: Settings
    ports: Ports

    # --- speaking ------------------------------------------------------------------------------------------------------

    async def call(
        self, method: str, path: str, body: object = None, *, by: Member | None = None, key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """(status, JSON). A mutating call gets a fresh Idempotency-Key unless the test brings its own."""
        sent = dict(headers or {})
        if by is not None:
            sent["Authorization"] = f"Bearer {by.token}"
        if method != "GET":
            sent["Idempotency-Key"] = key or secrets.token_hex(8)
        async with self.client.request(method, f"/api/v1{path}", json=body, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str, *, by: Member | None = None) -> tuple[int, Any]:
        return await self.call("GET", path, by=by)

    async def post(self, path: str, body: object = None, *, by: Member | None = None, key: str | None = None) -> tuple[int, Any]:
        return await self.call("POST", path, {} if body is None else body, by=by, key=key)

    async def put(self, path: str, body: object = None, *, by: Member | None = None, key: str | None = None) -> tuple[int, Any]:
        return await self.call("PUT", path, {} if body is None else body, by=by, key=key)

    async def delete(self, path: str, *, by: Member | None = None, key: str | None = None) -> tuple[int, Any]:
        return await self.call("DELETE", path, by=by, key=key)

    def context(self, by: Member | None = None) -> Context:
        """For sweeps (nobody) and for calling a use-case directly."""
        if by is None:
            return Context(SYSTEM, self.clock.now(), self.settings, self.ports, "test")
        from handlers.context import Actor

        actor = Actor(by.role, by.person_id, None, by.identity_id, by.membership_id, by.organisation_id)
        return Context(actor, self.clock.now(), self.settings, self.ports, "test")

    async def sweep(self, verb: Callable[[Context], Awaitable[int]]) -> int:
        return await verb(self.context())

    # --- people --------------------------------------------------------------------------------------------------------

    async def person(self, platform: str = "wechat") -> tuple[int, int, str]:
        """(person id, identity id, open id), without any personal value."""
        now = self.clock.now()
        person = await self.owner.fetchval("INSERT INTO persons (created_at) VALUES ($1) RETURNING id", now)
        open_id = f"o{next(_numbers):08d}"
        identity = await self.owner.fetchval(
            "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,$2,$3,$4,$5) RETURNING id",
            person, platform, "wx-test" if platform == "wechat" else "ding-test", open_id, now,
        )
        return person, identity, open_id

    async def organisation(
        self, kind: OrganisationKind, *, region_code: str | None = SHIZHONG, park_id: int | None = None, certified: bool = True
    ) -> int:
        number, now = next(_numbers), self.clock.now()
        found: int = await self.owner.fetchval(
            "INSERT INTO organisations (kind, name, credit_code, region_code, park_id, certified_at, created_at)"
            " VALUES ($1,$2,$3,$4,$5,$6,$7) RETURNING id",
            kind.value, f"测试{number}号", None if kind is OrganisationKind.OFFICE else f"T{number:017d}", region_code, park_id,
            now if certified else None, now,
        )
        if kind is OrganisationKind.INSTITUTION:
            await self.owner.execute("INSERT INTO institutions (organisation_id, introduction, address, website, landline, email,"
                                     " state, updated_at) VALUES ($1,'','','','','',$3,$2)", found, now,
                                     "admitted" if certified else "applying")
        return found

    async def member(
        self, organisation_id: int, role: Role, *, person: tuple[int, int, str] | None = None, region_code: str | None = None,
        park_id: int | None = None, platform: str = "wechat",
    ) -> Member:
        person_id, identity_id, open_id = person or await self.person(platform)
        now, token = self.clock.now(), secrets.token_urlsafe(32)
        membership = await self.owner.fetchval(
            "INSERT INTO memberships (person_id, organisation_id, role, region_code, park_id, state, created_at)"
            " VALUES ($1,$2,$3,$4,$5,'active',$6) RETURNING id",
            person_id, organisation_id, role.value, region_code, park_id, now,
        )
        await self.owner.execute(
            "INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at)"
            " VALUES ($1,$2,$3,$4,$5,$6)",
            hashlib.sha256(token.encode()).digest(), person_id, identity_id, membership, now, now + timedelta(days=3650),
        )
        return Member(person_id, identity_id, organisation_id, membership, role, token, open_id)

    async def enterprise(self, *, certified: bool = True, role: Role = Role.OWNER, region_code: str = SHIZHONG) -> Member:
        organisation = await self.organisation(OrganisationKind.ENTERPRISE, certified=certified, region_code=region_code)
        return await self.member(organisation, role)

    async def institution(self, *, certified: bool = True, role: Role = Role.OWNER, region_code: str = SHIZHONG) -> Member:
        organisation = await self.organisation(OrganisationKind.INSTITUTION, certified=certified, region_code=region_code)
        return await self.member(organisation, role)

    async def consultant(self, institution: Member) -> tuple[int, Member]:
        """(consultant id, who it is signed in): somebody who represents the institution."""
        member = await self.member(institution.organisation_id, Role.CONSULTANT)
        found: int = await self.owner.fetchval(
            "INSERT INTO consultants (institution_id, person_id, membership_id, display_name, state, version, created_at, updated_at)"
            " VALUES ($1,$2,$3,'张顾问','active',1,$4,$4) RETURNING id",
            institution.organisation_id, member.person_id, member.membership_id, self.clock.now(),
        )
        return found, member

    async def official(self, role: Role, *, region_code: str | None = JINAN, park_id: int | None = None) -> Member:
        office = await self.organisation(OrganisationKind.OFFICE, region_code=JINAN)
        return await self.member(office, role, region_code=None if park_id else region_code, park_id=park_id)

    # --- a programme with vouchers and products ------------------------------------------------------------------------

    async def programme(self, **rules: object) -> "Programme":
        """A published Jinan programme with a confirmed policy and two voucher types: 审计专用 (AUDIT) and 通用 (GENERAL)."""
        from handlers.programmes import Rules

        maker, second = (await self.person())[0], (await self.person())[0]
        now = self.clock.now()
        programme = await self.owner.fetchval(
            "INSERT INTO programmes (name, region_code, state, made_by_id, created_at) VALUES ($1,$2,'published',$3,$4) RETURNING id",
            f"专项服务券{next(_numbers)}", JINAN, maker, now,
        )
        policy = await self.owner.fetchval(
            "INSERT INTO policies (programme_id, number, rules, state, made_by_id, confirmed_by_id, confirmed_at, created_at)"
            " VALUES ($1,1,$2,'confirmed',$3,$4,$5,$5) RETURNING id",
            programme, Rules(**rules).model_dump_json(), maker, second, now,
        )
        types = [
            await self.owner.fetchval(
                "INSERT INTO voucher_types (programme_id, code, name, is_universal, categories, face_fen, created_at)"
                " VALUES ($1,$2,$3,$4,$5,$6,$7) RETURNING id",
                programme, code, name, universal, categories, 100_000, now,
            )
            for code, name, universal, categories in (
                ("AUDIT", "审计服务专用券", False, '["audit"]'), ("GENERAL", "服务通用券", True, "[]"),
            )
        ]
        return Programme(programme, policy, types[0], types[1])

    async def qualify(self, enterprise: Member, programme: "Programme") -> None:
        """An approved qualification with everything that the current form asks."""
        await self.owner.execute(
            "INSERT INTO applications (kind, organisation_id, programme_id, state, form_version, form, applied_by_id, submitted_at,"
            " decided_at, version, created_at, updated_at) VALUES ('qualification',$1,$2,'approved',$3,$4,$5,$6,$6,1,$6,$6)",
            enterprise.organisation_id, programme.id, FORM_VERSION, json.dumps(QUALIFICATION), enterprise.person_id, self.clock.now(),
        )

    async def lot(
        self, enterprise: Member, programme: "Programme", fen: int = 100_000, *, voucher_type_id: int | None = None,
        valid_until: date | None = None,
    ) -> int:
        """A voucher in the wallet, with its ledger entry. Valid for thirty days unless said otherwise."""
        now = self.clock.now()
        until = valid_until or shanghai_date(now) + timedelta(days=30)
        found: int = await self.owner.fetchval(
            "INSERT INTO lots (programme_id, voucher_type_id, organisation_id, face_fen, available_fen, held_fen, spent_fen,"
            " expired_fen, valid_from, valid_until, expires_at, created_at) VALUES ($1,$2,$3,$4,$4,0,0,0,$5,$6,$7,$8) RETURNING id",
            programme.id, voucher_type_id or programme.audit, enterprise.organisation_id, fen, shanghai_date(now), until,
            first_unusable_instant(until), now,
        )
        await self.owner.execute(
            "INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)"
            " VALUES ($1,$2,$3,'issue','budget','available',$4,$5)", programme.id, found, enterprise.organisation_id, fen, now,
        )
        return found

    async def product(
        self, institution: Member, programme: "Programme", *, price_fen: int = 400_000, deduction_fen: int = 200_000,
        name: str = "年度财务审计", category: str = "audit",
    ) -> int:
        """A listed product that takes the programme's audit and universal vouchers."""
        from handlers.product_search import indexed

        now, number = self.clock.now(), next(_numbers)
        shop = await self.owner.fetchval("SELECT name FROM organisations WHERE id = $1", institution.organisation_id)
        haystack, terms = indexed(name=name, institution=shop, category=category, region_code=SHIZHONG)
        found: int = await self.owner.fetchval(
            "INSERT INTO products (service_number, organisation_id, name, category, region_code, price_fen, state, sections,"
            " is_recommended, institution_name, max_voucher_fen, haystack, terms, version, listed_at, created_at, updated_at)"
            " VALUES ($1,$2,$3,$4,$5,$6,'listed','{}',false,$11,$10,$8,$9,1,$7,$7,$7) RETURNING id",
            f"PX-{SHIZHONG}-{90_000 + number}", institution.organisation_id, name, category, SHIZHONG, price_fen, now, haystack, terms,
            deduction_fen, shop,
        )
        for voucher_type in (programme.audit, programme.general):
            await self.owner.execute(
                "INSERT INTO deductions (product_id, voucher_type_id, max_fen) VALUES ($1,$2,$3)", found, voucher_type, deduction_fen
            )
        return found

    # --- looking -------------------------------------------------------------------------------------------------------

    async def one(self, sql: str, *args: object) -> Any:
        return await self.owner.fetchrow(sql, *args)

    async def value(self, sql: str, *args: object) -> Any:
        return await self.owner.fetchval(sql, *args)

    async def snapshot(self, *tables: str) -> dict[str, list[tuple[object, ...]]]:
        """Whole tables, to say "nothing changed"."""
        return {table: [tuple(row) for row in await self.owner.fetch(f"SELECT * FROM {table} ORDER BY 1")] for table in tables}

    def at(self, **parts: float) -> datetime:
        return self.clock.now() + timedelta(**parts)


@dataclass(frozen=True)
class Programme:
    id: int
    policy_id: int
    audit: int    # voucher type 审计服务专用券
    general: int  # voucher type 服务通用券
