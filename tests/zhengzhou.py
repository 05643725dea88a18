"""A shop under Zhengzhou's policy: an enterprise of a park with a granted amount, an institution, the reviewer of the park."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from handlers.programmes import ZHENGZHOU
from handlers.wallet import shanghai_date
from models.accounts import OrganisationKind, Role
from tests.applications import file
from tests.shop import PASSWORD, Shop
from tests.world import JINAN, SHIZHONG, Member, World

DIRECTION = {"category": "ip", "content": "知识产权申请服务"}
TABLES = (
    "orders", "lots", "ledger_entries", "events", "audit_entries", "grants", "contracts", "price_changes", "approvals", "applications",
    "programmes",
)


@dataclass
class ContractShop(Shop):
    park_id: int = 0
    reviewer: Member = field(default=None)  # type: ignore[assignment] # of the park; open_contract_shop sets it
    officer: Member = field(default=None)  # type: ignore[assignment] # of the city: grants amounts
    tables: tuple[str, ...] = TABLES

    # --- amounts -------------------------------------------------------------------------------------------------------

    async def applied(self, fen: int = 100_000, directions: list[dict[str, str]] | None = None) -> int:
        """An application in the queue; the id of its approval."""
        path = f"/programmes/{self.programme.id}/approved-amount"
        form = {"amount_fen": fen, "directions": directions or [DIRECTION], "reason": "申请知识产权服务"}
        state = await self.world.value("SELECT state FROM applications WHERE organisation_id = $1 AND kind = 'approved_amount'"
                                       " ORDER BY id DESC LIMIT 1", self.buyer.organisation_id)
        if state == "approved":
            status, body = await self.world.post(f"{path}/amendment", {"form": form}, by=self.buyer)
            assert status == 200, body
        else:
            status, body = await self.world.put(path, {"form": form}, by=self.buyer)
            assert status == 200, body
            status, body = await self.world.post(f"{path}/submission", by=self.buyer)
            assert status == 200, body
        return await self.waiting("application", body["id"])

    async def waiting(self, subject: str, subject_id: int) -> int:
        return int(await self.world.value(
            "SELECT id FROM approvals WHERE subject = $1 AND subject_id = $2 AND state = 'open'", subject, subject_id
        ))

    async def grant(self, approval_id: int, fen: int = 100_000, *, by: Member | None = None, **terms: Any) -> tuple[int, Any]:
        body = {"amount_fen": fen, "directions": [DIRECTION], "valid_until": self.in_days(90).isoformat(), **terms}
        return await self.world.post(f"/approvals/{approval_id}/grant", body, by=by or self.officer)

    async def granted(self, fen: int = 100_000, **terms: Any) -> int:
        """Applied for and granted; the id of the lot."""
        status, body = await self.grant(await self.applied(fen), fen, **terms)
        assert status == 200, body
        return int(await self.world.value("SELECT max(id) FROM lots"))

    def in_days(self, days: int) -> date:
        return shanghai_date(self.world.clock.now()) + timedelta(days=days)

    # --- orders --------------------------------------------------------------------------------------------------------

    async def settle(self, order_id: int, fen: int, *, by: Member | None = None) -> tuple[int, Any]:
        return await self.world.put(f"/orders/{order_id}/price", {"amount_fen": fen}, by=by or self.seller)

    async def settled(self, fen: int = 500) -> int:
        order_id = await self.order()
        status, body = await self.settle(order_id, fen)
        assert status == 200, body
        return order_id

    async def contract(self, total_fen: int, signed_on: date | None = None) -> dict[str, Any]:
        return {
            "attachment_id": await file(self.world, self.buyer, "contract"), "total_fen": total_fen,
            "signed_on": (signed_on or self.in_days(0)).isoformat(),
        }

    async def in_review(self, fen: int = 500, voucher_fen: int | None = None) -> int:
        """Priced at `fen` by the contract, paid, and waiting for the park. The amount must be granted before."""
        order_id = await self.settled(fen)
        await self.submit(order_id, fen, voucher_fen)
        return order_id

    async def submit(self, order_id: int, fen: int = 500, voucher_fen: int | None = None) -> int:
        """Pay with a contract; the id of the approval."""
        if not await self.world.value("SELECT count(*) FROM payment_passwords WHERE membership_id = $1", self.buyer.membership_id):
            await self.password()
        status, body = await self.pay(order_id, voucher_fen or fen, password=PASSWORD, contract=await self.contract(fen))
        assert (status, body["state"]) == (200, "pay_review"), body
        return await self.waiting("order", order_id)

    async def decide(self, order_id: int, verb: str, reason: str | None = None, *, by: Member | None = None) -> tuple[int, Any]:
        approval = await self.world.value(
            "SELECT max(id) FROM approvals WHERE subject = 'order' AND subject_id = $1 AND kind = 'payment'", order_id
        )
        body = {"reason": reason} if reason else {}
        return await self.world.post(f"/approvals/{approval}/{verb}", body, by=by or self.reviewer)

    async def show(self, order_id: int, by: Member | None = None) -> Any:
        status, body = await self.world.get(f"/orders/{order_id}", by=by or self.seller)
        assert status == 200, body
        return body

    async def lot_of(self, lot_id: int) -> tuple[int, int, int, int]:
        lot = await self.world.one("SELECT available_fen, held_fen, spent_fen, expired_fen FROM lots WHERE id = $1", lot_id)
        return tuple(lot)


async def open_park(world: World, name: str = "高新园区") -> int:
    await world.owner.execute(
        "INSERT INTO regions (code, name, level) VALUES ($1, '市中区', 'county') ON CONFLICT DO NOTHING", SHIZHONG
    )
    found: int = await world.owner.fetchval(
        "INSERT INTO parks (name, county_code, created_at) VALUES ($1,$2,$3)"
        " ON CONFLICT (county_code, name) DO UPDATE SET name = EXCLUDED.name RETURNING id", name, SHIZHONG, world.clock.now()
    )
    return found


async def open_contract_shop(world: World, *, price_fen: int = 60_000, park: bool = True, **changes: object) -> ContractShop:
    park_id = await open_park(world)
    organisation = await world.organisation(OrganisationKind.ENTERPRISE, park_id=park_id if park else None)
    buyer, seller = await world.member(organisation, Role.OWNER), await world.institution()
    programme = await world.programme(**ZHENGZHOU.model_copy(update=changes).model_dump())
    product = await world.product(
        seller, programme, price_fen=price_fen, deduction_fen=1, name="专利申请代理", category=DIRECTION["category"]
    )
    await world.owner.execute("UPDATE products SET content = $2 WHERE id = $1", product, DIRECTION["content"])
    if (budget := changes.get("budget_fen")) is not None:
        await world.owner.execute("UPDATE programmes SET budget_fen = $2 WHERE id = $1", programme.id, budget)
    return ContractShop(
        world, buyer, seller, programme, product, park_id=park_id,
        reviewer=await world.official(Role.REVIEWER, park_id=park_id), officer=await world.official(Role.REVIEWER, region_code=JINAN),
    )
