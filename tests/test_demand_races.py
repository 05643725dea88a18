"""Races for demands: exact in every round, and lost as soon as their protection is taken away (see tests/test_races.py)."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import pytest

from handlers import approvals, consultants, content_checks, demands
from handlers.context import Context
from handlers.demands import Contact, Content
from handlers.ports import Suggest, Verdict
from handlers.refusals import Busy
from handlers.transactions import transaction
from models.demands import DemandTarget
from tests.market import CONTACT, DEMAND, Market, open_market
from tests.matches import UNGUARDED_MOVE, Race, exact_in_every_round, lost_without_protection, staged
from tests.referee import Contender, Referee
from tests.world import Member, World

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


class UnlinkAgainstPosting(DemandRace):
    """An enterprise asks a consultant in the moment in which the institution ends the link."""

    reads = ("handlers.demands.posting._addressee", "handlers.consultants.managing.lock_own")
    off = (("handlers.demands.posting.LOCK_CONSULTANT", " FOR SHARE", ""),)

    async def subject(self) -> int:
        return (await self.world.consultant(self.market.seller))[0]

    def contenders(self, subject: int) -> list[Contender]:
        content = Content(DEMAND["title"], DEMAND["text"], DEMAND["category"], DEMAND["region_code"], None, None, ())
        return [
            lambda: demands.post_demand(self.ctx(self.market.buyer), DemandTarget.CONSULTANT, subject, content, Contact(**CONTACT)),
            lambda: consultants.unlink(self.ctx(self.market.seller), subject),
        ]

    async def with_the_consultant(self, subject: int) -> int:
        return int(await self.world.value("SELECT count(*) FROM demands WHERE consultant_id = $1", subject))

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        posted, unlinked = outcomes
        assert unlinked["state"] == "ended"
        assert await self.with_the_consultant(subject) == 0
        if isinstance(posted, BaseException):
            assert type(posted) is demands.AddresseeNotAvailable
        else:
            target = await self.world.value("SELECT target FROM demands WHERE id = $1", posted["id"])
            assert target == DemandTarget.INSTITUTION
            await demands.withdraw_demand(self.ctx(self.market.buyer), posted["id"])  # twenty at a time

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.with_the_consultant(subject) == 1


class VerdictRace(DemandRace):
    """The platform passes the words of a demand in the moment in which the enterprise does something else with it."""

    reads = ("handlers.approvals.lock_subject", "handlers.demands.posting.lock_posted")

    def ctx(self, by: Member | None = None, **ahead: float) -> Context:
        context = super().ctx(by, **ahead)
        return replace(context, settings=context.settings.model_copy(update={"content_check": True}))

    def content(self, title: str) -> Content:
        return Content(title, DEMAND["text"], DEMAND["category"], DEMAND["region_code"], None, date(2026, 4, 30), ())

    async def subject(self) -> tuple[int, Any]:
        """A demand, and the asking about its words."""
        buyer, me = self.ctx(self.market.buyer), self.market.seller.organisation_id
        demand = await demands.post_demand(buyer, DemandTarget.INSTITUTION, me, self.content("年度审计"), Contact(**CONTACT))
        async with transaction(self.ctx()) as tx:
            [asked] = await content_checks._claim(tx, 1)
        return demand["id"], asked

    def passes(self, asked: Any) -> Contender:
        return lambda: content_checks.take_verdict(self.ctx(), asked, Verdict(Suggest.PASS, 100))

    async def actions(self, demand: int) -> list[str]:
        return [row["action"] for row in await self.world.owner.fetch(
            "SELECT action FROM audit_entries WHERE subject = 'demand' AND subject_id = $1 ORDER BY id", demand)]

    async def words(self, demand: int) -> str:
        return str(await self.world.value("SELECT state FROM content_checks WHERE subject = 'demand' AND subject_id = $1", demand))

    async def told(self, demand: int) -> list[str]:
        return [row["kind"] for row in await self.world.owner.fetch("SELECT kind FROM events WHERE subject_id = $1"
                " AND subject = 'demand' AND organisation_id = $2 ORDER BY id", demand, self.market.seller.organisation_id)]

    async def bug(self, subject: Any, outcomes: list[Any]) -> None:
        """Each waits for what the other holds."""
        assert [type(each.__cause__) for each in outcomes if isinstance(each, Busy)] == [asyncpg.DeadlockDetectedError]


class WithdrawAgainstVerdict(VerdictRace):
    def contenders(self, subject: tuple[int, Any]) -> list[Contender]:
        return [self.passes(subject[1]), lambda: demands.withdraw_demand(self.ctx(self.market.buyer), subject[0])]

    async def exact(self, subject: tuple[int, Any], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        demand = subject[0]
        assert await self.state(demand) == ("closed", "withdrawn")
        spread = "demand.released" in await self.actions(demand)
        assert await self.actions(demand) == ["demand.posted", *(["demand.released"] if spread else []), "demand.closed"]
        assert await self.words(demand) == ("passed" if spread else "withdrawn")
        assert await self.told(demand) == (["demand_posted", "demand_closed"] if spread else [])


class ChangeAgainstVerdict(VerdictRace):
    """What was judged is no longer what is written: the verdict is of the old words, and nothing is spread with the new ones."""

    def contenders(self, subject: tuple[int, Any]) -> list[Contender]:
        edit = demands.edit_demand
        return [self.passes(subject[1]), lambda: edit(self.ctx(self.market.buyer), subject[0], 1, self.content("改过的标题"), None)]

    async def exact(self, subject: tuple[int, Any], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        demand = subject[0]
        assert (await self.state(demand), await self.words(demand)) == (("held", None), "pending")
        spread = "demand.released" in await self.actions(demand)
        assert await self.actions(demand) == [
            "demand.posted", *(["demand.released"] if spread else []), "demand.edited", *(["demand.held"] if spread else [])]
        assert await self.told(demand) == (["demand_posted"] if spread else [])
        assert await demands.withdraw_demand(self.ctx(self.market.buyer), demand)  # twenty at a time


VERDICTS: dict[str, type[VerdictRace]] = {
    "withdraw against verdict": WithdrawAgainstVerdict, "change against verdict": ChangeAgainstVerdict,
}
RACES: dict[str, type[DemandRace]] = {
    "taken by two": TakenByTwo, "withdraw against taking": WithdrawAgainstTaking, "expiry against taking": ExpiryAgainstTaking,
    "unlink against posting": UnlinkAgainstPosting,
}


@pytest.mark.parametrize("name", [*RACES, *VERDICTS])
async def test_the_race_is_exact_in_every_round(world: World, referee: Referee, name: str) -> None:
    await exact_in_every_round((RACES | VERDICTS)[name], world, referee)


@pytest.mark.parametrize("name", RACES)
async def test_without_its_protection_the_race_is_lost_in_every_round(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await lost_without_protection(RACES[name], world, referee, ruins, monkeypatch)


@pytest.mark.parametrize("name", VERDICTS)
async def test_without_the_demand_before_its_words_they_deadlock(
    world: World, referee: Referee, monkeypatch: pytest.MonkeyPatch, name: str,
) -> None:
    monkeypatch.delitem(approvals.LOCKED_BEFORE, "content_check")
    race = await staged(VERDICTS[name], world, referee)
    subject = await race.subject()
    outcomes = await referee.race(*race.contenders(subject), hold=race.reads, in_turn=True)
    await race.bug(subject, outcomes)
