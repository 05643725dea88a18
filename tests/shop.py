"""An enterprise that may order, an institution that sells, and their orders: what most tests of money begin with."""

from dataclasses import dataclass, field
from typing import Any

from handlers.orders import AGREEMENT_VERSION
from tests.world import Member, Programme, World

PASSWORD = "274906"


@dataclass
class Shop:
    world: World
    buyer: Member
    seller: Member
    programme: Programme
    product_id: int
    tables: tuple[str, ...] = field(default=("orders", "lots", "ledger_entries", "reviews", "events", "audit_entries"))

    async def password(self) -> None:
        status, _ = await self.world.post("/payment-password", {"password": PASSWORD}, by=self.buyer)
        assert status == 200

    async def lot(self, fen: int = 200_000, **kwargs: Any) -> int:
        return await self.world.lot(self.buyer, self.programme, fen, **kwargs)

    async def place(self, **changes: Any) -> tuple[int, Any]:
        body = {"product_id": self.product_id, "programme_id": self.programme.id, "agreement_version": AGREEMENT_VERSION, **changes}
        return await self.world.post("/orders", body, by=self.buyer)

    async def order(self) -> int:
        status, body = await self.place()
        assert status == 201, body
        return int(body["id"])

    async def pay(
        self, order_id: int, fen: int = 200_000, *, password: str = PASSWORD, key: str | None = None, **body: Any
    ) -> tuple[int, Any]:
        return await self.world.post(
            f"/orders/{order_id}/payment", {"voucher_fen": fen, "password": password, **body}, by=self.buyer, key=key
        )

    async def paid(self, fen: int = 200_000) -> int:
        """A paid order; its lot and the password are there afterwards."""
        if not await self.world.value("SELECT count(*) FROM payment_passwords WHERE membership_id = $1", self.buyer.membership_id):
            await self.password()
        await self.lot(fen)
        order_id = await self.order()
        status, body = await self.pay(order_id, fen)
        assert status == 200, body
        return order_id

    async def accepted(self) -> int:
        order_id = await self.paid()
        await self.ok(self.seller, order_id, "acceptance")
        return order_id

    async def delivered(self) -> int:
        order_id = await self.accepted()
        await self.ok(self.seller, order_id, "handovers", {"summary": "审计报告已交付"})
        return order_id

    async def completed(self) -> int:
        order_id = await self.delivered()
        await self.ok(self.buyer, order_id, "completion")
        return order_id

    async def act(self, by: Member, order_id: int, noun: str, body: object = None) -> tuple[int, Any]:
        return await self.world.post(f"/orders/{order_id}/{noun}", body, by=by)

    async def ok(self, by: Member, order_id: int, noun: str, body: object = None) -> Any:
        status, answer = await self.act(by, order_id, noun, body)
        assert status in (200, 201), answer
        return answer

    async def state(self, order_id: int) -> str:
        return str(await self.world.value("SELECT state FROM orders WHERE id = $1", order_id))

    async def unchanged(self) -> dict[str, Any]:
        return await self.world.snapshot(*self.tables)


async def open_shop(world: World, **rules: Any) -> Shop:
    buyer, seller = await world.enterprise(), await world.institution()
    programme = await world.programme(**rules)
    await world.qualify(buyer, programme)
    return Shop(world, buyer, seller, programme, await world.product(seller, programme))
