"""Races for demands: exact in every round, and lost as soon as their protection is taken away (see tests/test_races.py)."""

import itertools
from contextlib import AsyncExitStack
from typing import Any

import pytest

from handlers import demands
from tests.market import Market, open_market
from tests.races import without
from tests.referee import COMMIT, Contender, Referee, without_constraint
from tests.test_races import CONTROL_ROUNDS, UNGUARDED_MOVE, Race, referee, staged
from tests.world import Member, World

__all__ = ["referee"]  # a fixture

ROUNDS = 20  # 12 schedules, and an enterprise has twenty demands at a time
UNLOCKED_RECEIVED = ("handlers.demands.rules.LOCK_RECEIVED", "FOR NO KEY UPDATE OF d", "")
TAKING = "handlers.demands.answering.lock_received"


class DemandRace(Race):
    market: Market

    async def stage(self) -> None:
        self.market = await open_market(self.world)

    async def looked_at(self) -> int:
        """Nothing waits but the demand itself: a reminder to be taken back would make the second wait for the first's row."""
        demand = await self.market.posted()
        await demands.view_demand(self.ctx(self.market.seller), demand)
        return demand

    def take(self, demand: int, by: Member, **ahead: float) -> Contender:
        return lambda: demands.take_demand(self.ctx(by, **ahead), demand)

    async def state(self, demand: int) -> tuple[str, str | None]:
        row = await self.world.one("SELECT state, close_reason FROM demands WHERE id = $1", demand)
        return row["state"], row["close_reason"]

    async def moves_from_open(self, demand: int) -> list[str]:
        return [row["action"] for row in await self.world.owner.fetch(
            "SELECT action FROM audit_entries WHERE subject = 'demand' AND subject_id = $1 AND before = 'open' ORDER BY action", demand)]


class TakenByTwo(DemandRace):
    """Two institutions want the last place of an open demand."""

    reads = (TAKING,)
    off = (UNLOCKED_RECEIVED,)
    constraints = (("demand_responses", "demand_responses_places_once"),)

    async def stage(self) -> None:
        await super().stage()
        self.first = [await self.market.rival() for _ in range(2)]
        self.pair = [await self.market.rival() for _ in range(2)]

    async def subject(self) -> int:
        demand = await self.market.opened()
        for institution in self.first:
            await self.take(demand, institution)()
        return demand

    def contenders(self, subject: int) -> list[Contender]:
        return [self.take(subject, institution) for institution in self.pair]

    async def places(self, demand: int) -> list[int]:
        return [row["place"] for row in await self.world.owner.fetch(
            "SELECT place FROM demand_responses WHERE demand_id = $1 AND taken_at IS NOT NULL ORDER BY place", demand)]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        won = self.one_wins(outcomes, demands.DemandFull)
        assert await self.places(subject) == [1, 2, 3]
        states = [await self.world.value("SELECT state FROM demand_responses WHERE demand_id = $1 AND institution_id = $2", subject,
                                         institution.organisation_id) for institution in self.pair]
        assert [state == "taken" for state in states] == [number == won for number in range(2)]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.places(subject) == [1, 2, 3, 3]


class WithdrawAgainstTaking(DemandRace):
    """The enterprise takes its demand back while the institution takes it up."""

    reads = (TAKING, "handlers.demands.posting.lock_posted")
    off = (UNLOCKED_RECEIVED, ("handlers.demands.rules.LOCK_POSTED", " FOR NO KEY UPDATE", ""), UNGUARDED_MOVE)
    constraints = (("demands", "demands_taken_are_neither_withdrawn_nor_expired"), ("demands", "demands_closed_for_a_reason"))

    async def subject(self) -> int:
        return await self.looked_at()

    def contenders(self, subject: int) -> list[Contender]:
        return [self.take(subject, self.market.seller), lambda: demands.withdraw_demand(self.ctx(self.market.buyer), subject)]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        taken = not isinstance(outcomes[0], BaseException)
        self.one_wins(outcomes, demands.DemandTaken if taken else demands.DemandClosed)
        assert await self.state(subject) == (("taken", None) if taken else ("closed", "withdrawn"))
        assert await self.moves_from_open(subject) == ["demand.taken" if taken else "demand.closed"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.moves_from_open(subject) == ["demand.closed", "demand.taken"]


class ExpiryAgainstTaking(DemandRace):
    """An institution takes a demand up in its last microsecond, and the sweep closes it."""

    reads = (TAKING,)
    off = (UNLOCKED_RECEIVED, ("handlers.demands.timers.LOCK_DUE", "FOR NO KEY UPDATE SKIP LOCKED", ""), UNGUARDED_MOVE)
    constraints = (("demands", "demands_taken_are_neither_withdrawn_nor_expired"), ("demands", "demands_closed_for_a_reason"))

    async def subject(self) -> int:
        demand = await self.looked_at()
        self.world.clock.advance(days=30)
        return demand

    def contenders(self, subject: int) -> list[Contender]:
        return [self.take(subject, self.market.seller, microseconds=-1), lambda: demands.expire_due(self.ctx())]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        taken, expired = outcomes
        assert expired in {0, 1}, outcomes
        assert (type(taken) is demands.DemandClosed) if expired else (taken["state"] == "taken")
        assert await self.state(subject) == (("closed", "expired") if expired else ("taken", None))
        assert await self.moves_from_open(subject) == ["demand.closed" if expired else "demand.taken"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        assert (outcomes[0]["state"], outcomes[1]) == ("taken", 1)
        assert await self.moves_from_open(subject) == ["demand.closed", "demand.taken"]


RACES: dict[str, type[DemandRace]] = {
    "taken by two": TakenByTwo, "withdraw against taking": WithdrawAgainstTaking, "expiry against taking": ExpiryAgainstTaking,
}


@pytest.mark.parametrize("name", RACES)
async def test_the_race_is_exact_in_every_round(world: World, referee: Referee, name: str) -> None:
    race = await staged(RACES[name], world, referee)
    schedules = list(itertools.product((race.reads, (COMMIT,), ()), (1, -1), (False, True)))
    for number in range(ROUNDS):
        hold, direction, in_turn = schedules[number % len(schedules)]
        subject = await race.subject()
        outcomes = await referee.race(*race.contenders(subject)[::direction], hold=hold, in_turn=in_turn)
        await race.exact(subject, outcomes[::direction])


@pytest.mark.parametrize("name", RACES)
async def test_without_its_protection_the_race_is_lost_in_every_round(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, name: str,
) -> None:
    kind = RACES[name]
    for dotted, old, new in kind.off:
        without(monkeypatch, dotted, old, new)
    for table, constraint in kind.constraints:
        await ruins.enter_async_context(without_constraint(world.owner, table, constraint))
    race = await staged(kind, world, referee)
    for _ in range(CONTROL_ROUNDS):
        subject = await race.subject()
        outcomes = await referee.race(*race.contenders(subject), hold=kind.reads, in_turn=True)
        await race.bug(subject, outcomes)
        with pytest.raises(AssertionError):
            await race.exact(subject, outcomes)
