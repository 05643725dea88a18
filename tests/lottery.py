"""A round to play in the tests: two managers, a draw officer and a witness, and a plan one step an hour."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from handlers.draws import close_due_rounds, draw_due_rounds
from handlers.rounds import open_due_rounds, publicise_due_rounds
from models.accounts import Role
from tests.world import Member, Programme, World

SOURCE = "中国福利彩票双色球 第2026024期 开奖号码"
TYPED, NORMALISED = "31 3 7 18 25 12 + 9", "03 07 12 18 25 31+09"
WITHOUT_DRAW: dict[str, Any] = {"draw_at": None, "publicity_at": None, "publicity_until": None, "randomness": [], "alternates": 0}
HOURS = {"opens_at": 1, "closes_at": 2, "draw_at": 4, "publicity_at": 5, "publicity_until": 29}


@dataclass
class Officials:
    maker: Member
    second: Member
    officer: Member
    witness: Member


async def officials(world: World) -> Officials:
    return Officials(
        await world.official(Role.PROGRAMME_MANAGER), await world.official(Role.PROGRAMME_MANAGER),
        await world.official(Role.DRAW_OFFICER), await world.official(Role.WITNESS),
    )


def plan(world: World, programme: Programme, *, number: str = "202603", quota: int = 1, alternates: int = 1,
         **changes: object) -> dict[str, Any]:
    times = {name: world.at(hours=hours).isoformat() for name, hours in HOURS.items()}
    return {
        "number": number, "name": "2026年第一批", "valid_until": "2026-06-30", "notes": "每家企业限约一种",
        "quotas": [{"voucher_type_id": each, "quota": quota, "alternates": alternates}
                   for each in (programme.audit, programme.general)],
        "randomness": [{"name": SOURCE, "at": world.at(hours=3).isoformat(), "format": "ssq"}],
        **times, **changes,
    }


@dataclass
class Lottery:
    world: World
    programme: Programme
    people: Officials
    round: dict[str, Any]
    players: list[Member] = field(default_factory=list)

    @property
    def id(self) -> int:
        found: int = self.round["id"]
        return found

    def set(self, column: str, microseconds: int = 0) -> datetime:
        """Move the clock to a time of the round, give or take."""
        return self.world.clock.set(datetime.fromisoformat(self.round[column]) + timedelta(microseconds=microseconds))

    async def secrets(self, officer: str | None = None, witness: str | None = None) -> None:
        for by, secret in ((self.people.officer, officer), (self.people.witness, witness)):
            status, body = await self.world.put(f"/rounds/{self.id}/draw-secret", {"secret": secret} if secret else {}, by=by)
            assert status == 200, body

    async def open(self) -> None:
        self.set("opens_at")
        assert await self.world.sweep(open_due_rounds) == 1

    async def enter(self, count: int, voucher_type_id: int | None = None) -> list[dict[str, Any]]:
        """New qualified enterprises reserve; their members are appended to `players`."""
        receipts = []
        for _ in range(count):
            member = await qualified(self.world, self.programme)
            self.players.append(member)
            status, body = await reserve(self, member, voucher_type_id or self.programme.audit)
            assert status == 201, body
            receipts.append(body)
        return receipts

    async def close(self) -> None:
        self.set("closes_at")
        assert await self.world.sweep(close_due_rounds) == 1

    async def type_values(self, officer: str = TYPED, witness: str = TYPED) -> None:
        self.world.clock.set(datetime.fromisoformat(self.round["randomness"][0]["at"]))
        for by, value in ((self.people.officer, officer), (self.people.witness, witness)):
            status, body = await self.world.put(
                f"/rounds/{self.id}/public-values", {"values": [{"source": SOURCE, "value": value}]}, by=by
            )
            assert status == 200, body

    async def draw(self) -> None:
        self.set("draw_at")
        assert await self.world.sweep(draw_due_rounds) == 1

    async def publicise(self) -> None:
        self.set("publicity_at")
        assert await self.world.sweep(publicise_due_rounds) == 1

    async def finalise(self) -> None:
        self.set("publicity_until")
        status, body = await self.world.put(f"/rounds/{self.id}/finalisation", by=self.people.second)
        assert status == 200, body

    async def state(self) -> str:
        found: str = await self.world.value("SELECT state FROM rounds WHERE id = $1", self.id)
        return found

    async def states(self) -> list[str]:
        """Of the tickets, in the order they were taken."""
        return [row["state"] for row in await self.world.owner.fetch(
            "SELECT state FROM reservations WHERE round_id = $1 ORDER BY id", self.id)]


async def qualified(world: World, programme: Programme) -> Member:
    member = await world.enterprise()
    await world.qualify(member, programme)
    return member


async def reserve(lottery: Lottery, member: Member, voucher_type_id: int, key: str | None = None) -> tuple[int, Any]:
    return await lottery.world.post(
        f"/rounds/{lottery.id}/reservation", {"voucher_type_id": voucher_type_id}, by=member, key=key
    )


async def announced(
    world: World, *, programme: Programme | None = None, people: Officials | None = None, cap: int | None = None, **changes: Any
) -> Lottery:
    """Drafted and confirmed over HTTP. `cap`: the yearly cap of wins of the audit voucher."""
    programme, people = programme or await world.programme(), people or await officials(world)
    if cap:
        await world.owner.execute("UPDATE voucher_types SET annual_win_cap = $2 WHERE id = $1", programme.audit, cap)
    status, drafted = await world.post(
        f"/programmes/{programme.id}/rounds", plan(world, programme, **changes), by=people.maker
    )
    assert status == 201, drafted
    status, body = await world.put(f"/rounds/{drafted['id']}/confirmation", by=people.second)
    assert status == 200, body
    return Lottery(world, programme, people, body)


async def opened(world: World, **changes: Any) -> Lottery:
    lottery = await announced(world, **changes)
    await lottery.secrets()
    await lottery.open()
    return lottery


async def drawn(world: World, tickets: int = 4, **changes: Any) -> tuple[Lottery, list[dict[str, Any]]]:
    lottery = await opened(world, **changes)
    receipts = await lottery.enter(tickets)
    await lottery.close()
    await lottery.type_values()
    await lottery.draw()
    return lottery, receipts


async def giving(world: World, *, opened: bool = True, programme: Programme | None = None, **changes: Any) -> Lottery:
    """A round of a programme that serves who comes first."""
    programme = programme or await world.programme(allocation="first_come")
    found = await announced(world, programme=programme, **WITHOUT_DRAW | changes)
    if opened:
        await found.open()
    return found


async def take(giving: Lottery, member: Member | None = None, key: str | None = None) -> tuple[int, Any]:
    return await reserve(giving, member or await qualified(giving.world, giving.programme), giving.programme.audit, key)
