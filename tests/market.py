"""An enterprise that asks and institutions that answer: what the tests of demands begin with."""

import json
from dataclasses import dataclass
from typing import Any

from handlers.demands import spread_due
from handlers.regions import load_regions
from models.accounts import Role
from tests.applications import consent
from tests.shop import Shop, open_shop
from tests.world import SHIZHONG, Member, World

CONTACT = {"name": "李小红", "phone": "13853112345"}
DEMAND: dict[str, Any] = {
    "title": "年度财务审计", "text": "需对上一年度财务报表进行审计，并出具审计报告。", "category": "audit", "region_code": SHIZHONG,
}
TABLES = ("demands", "demand_responses", "demand_alternatives", "demand_files", "score_events", "events", "audit_entries", "orders")


@dataclass
class Market:
    """`seller` has a listed product of the category `audit` in 市中区."""

    shop: Shop

    @property
    def world(self) -> World:
        return self.shop.world

    @property
    def buyer(self) -> Member:
        return self.shop.buyer

    @property
    def seller(self) -> Member:
        return self.shop.seller

    async def ask(self, *, by: Member | None = None, **changes: Any) -> tuple[int, Any]:
        return await self.world.post("/demands", {**DEMAND, "contact": CONTACT, **changes}, by=by or self.buyer)

    async def posted(self, **changes: Any) -> int:
        """Addressed to the seller unless said otherwise."""
        seller: dict[str, Any] = {"target": "institution", "target_id": self.seller.organisation_id}
        status, body = await self.ask(**({} if "target" in changes else seller) | changes)
        assert status == 201, body
        return int(body["id"])

    async def opened(self, **changes: Any) -> int:
        """An open demand that everybody whom it concerns has been told of."""
        demand = await self.posted(target="open", **changes)
        assert await self.world.sweep(spread_due) == 1
        return demand

    async def taken(self, **changes: Any) -> int:
        demand = await self.posted(**changes)
        await self.ok(self.seller, demand, "taking")
        return demand

    async def act(self, by: Member, demand: int, noun: str, body: object = None) -> tuple[int, Any]:
        """A step of an institution."""
        return await self.world.post(f"/institution/demands/{demand}/{noun}", body, by=by)

    async def ok(self, by: Member, demand: int, noun: str, body: object = None) -> Any:
        status, answer = await self.act(by, demand, noun, body)
        assert status == 200, answer
        return answer

    async def offer(self, demand: int, *, by: Member | None = None, **changes: Any) -> tuple[int, Any]:
        body = {"product_id": self.shop.product_id, "price_fen": 380_000, **changes}
        return await self.world.put(f"/institution/demands/{demand}/offer", body, by=by or self.seller)

    async def mine(self, demand: int) -> Any:
        status, body = await self.world.get(f"/demands/{demand}", by=self.buyer)
        assert status == 200, body
        return body

    async def received(self, demand: int, by: Member | None = None) -> Any:
        status, body = await self.world.get(f"/institution/demands/{demand}", by=by or self.seller)
        assert status == 200, body
        return body

    async def rival(self, *, region_code: str = SHIZHONG, category: str = "audit") -> Member:
        """Another institution with a listed product."""
        found = await self.world.institution(region_code=region_code)
        await self.world.product(found, self.shop.programme, category=category)
        return found

    async def told(self, kind: str) -> list[tuple[int | None, int | None, dict[str, Any]]]:
        """Events of a kind as (organisation, person, data), oldest first."""
        found = await self.world.owner.fetch("SELECT organisation_id, person_id, data FROM events WHERE kind = $1 ORDER BY id", kind)
        return [(row["organisation_id"], row["person_id"], json.loads(row["data"])) for row in found]

    async def unchanged(self) -> dict[str, Any]:
        return await self.world.snapshot(*TABLES)


async def open_market(world: World, **rules: Any) -> Market:
    await load_regions()
    shop = await open_shop(world, **rules)
    await consent(world, shop.buyer)
    return Market(shop)


async def colleague(market: Market, role: Role) -> Member:
    return await market.world.member(market.seller.organisation_id, role)
