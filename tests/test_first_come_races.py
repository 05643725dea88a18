"""Races of first come, first served: the last voucher, a colleague, two rounds, the end; each with the control that loses it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from handlers import reservations
from handlers.first_come import end_due_rounds
from handlers.refusals import Refusal
from models.accounts import Role
from models.engine import client
from tests.books import expect_broken
from tests.lottery import Lottery, giving, officials, qualified
from tests.races import without
from tests.referee import Referee, waits_or_ends, without_constraint
from tests.test_first_come import left
from tests.world import Member, World

READ = "handlers.reservations.first_facts"
ROUNDS = 20


def taking(giving: Lottery, member: Member) -> Callable[[], Awaitable[Any]]:
    ctx = giving.world.context(member)
    return lambda: reservations.reserve(ctx, giving.id, giving.programme.audit)


def became(outcome: Any) -> str:
    return str(outcome.code if isinstance(outcome, Refusal) else outcome["state"] if isinstance(outcome, dict) else repr(outcome))


@asynccontextmanager
async def held(sql: str, *args: object) -> AsyncIterator[None]:
    """Somebody else has these rows."""
    async with client().acquire_connection() as holder:
        await holder.execute("BEGIN")
        try:
            await holder.execute(sql, *args)
            yield
        finally:
            await holder.execute("ROLLBACK")


async def at_once(world: World, *takers: tuple[Lottery, Member]) -> list[str]:
    """All have passed their checks and written, and wait for their enterprises, which somebody holds; then they may go on."""
    enterprises = [member.organisation_id for _, member in takers]
    async with held("SELECT FROM organisations WHERE id = ANY($1) FOR UPDATE", enterprises):
        tasks = [asyncio.ensure_future(taking(*taker)()) for taker in takers]
        await waits_or_ends(world.owner, *tasks)
    return sorted(map(became, await asyncio.gather(*tasks, return_exceptions=True)))


async def two_for_one(world: World, giving_out: Lottery) -> list[str]:
    return await at_once(world, *[(giving_out, await qualified(world, giving_out.programme)) for _ in range(2)])


async def test_the_last_voucher_is_taken_once(world: World) -> None:
    programme, people = await world.programme(allocation="first_come"), await officials(world)
    for number in range(ROUNDS):
        giving_out = await giving(world, programme=programme, people=people, number=f"{number}", opened=False, quota=1)
        giving_out.set("opens_at")
        assert await two_for_one(world, giving_out) == ["issued", "voucher_type_taken"], number


async def test_without_its_lock_the_last_voucher_is_taken_twice(
    world: World, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving_out = await giving(world, quota=1)
    without(monkeypatch, "handlers.first_come.TAKE", " FOR NO KEY UPDATE SKIP LOCKED", "")
    await ruins.enter_async_context(without_constraint(world.owner, "round_shares", "round_shares_within_size"))
    assert await two_for_one(world, giving_out) == ["issued", "issued"]
    assert await left(giving_out) == -1


async def test_two_at_once_take_from_two_parts(world: World) -> None:
    """Nobody waits for somebody else's part while another is free."""
    giving_out = await giving(world, quota=2)
    assert await two_for_one(world, giving_out) == ["issued", "issued"]
    assert await world.value("SELECT array_agg(rank ORDER BY rank) FROM reservations") == [1, 2]


async def while_the_last_is_held(world: World, giving_out: Lottery) -> str:
    """Somebody holds the only part and gives up: what became of who came meanwhile."""
    member = await qualified(world, giving_out.programme)
    async with held("SELECT FROM round_shares WHERE round_id = $1 FOR NO KEY UPDATE", giving_out.id):
        task = asyncio.ensure_future(taking(giving_out, member)())
        await waits_or_ends(world.owner, task)
    return became((await asyncio.gather(task, return_exceptions=True))[0])


async def test_nobody_is_refused_while_one_is_left(world: World) -> None:
    assert await while_the_last_is_held(world, await giving(world, quota=1)) == "issued"


async def test_unless_one_waits_in_turn_the_last_one_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.first_come.TAKE_IN_TURN", " FOR NO KEY UPDATE", " FOR NO KEY UPDATE SKIP LOCKED")
    giving_out = await giving(world, quota=1)
    assert await while_the_last_is_held(world, giving_out) == "busy"
    assert await left(giving_out) == 1


async def two_colleagues(world: World, giving_out: Lottery) -> list[str]:
    member = await qualified(world, giving_out.programme)
    colleague = await world.member(member.organisation_id, Role.HANDLER)
    return await at_once(world, (giving_out, member), (giving_out, colleague))


async def test_two_colleagues_at_once_take_one(world: World) -> None:
    giving_out = await giving(world, quota=ROUNDS + 1)
    for number in range(ROUNDS):
        assert await two_colleagues(world, giving_out) == ["already_reserved", "issued"], number
    assert await left(giving_out) == 1  # what the second had in hand went back


async def test_without_its_guard_two_colleagues_take_two(world: World, ruins: AsyncExitStack) -> None:
    giving_out = await giving(world, quota=2)
    for constraint in ("reservations_one_ticket", "reservations_wins_counted"):
        await ruins.enter_async_context(without_constraint(world.owner, "reservations", constraint))
    assert await two_colleagues(world, giving_out) == ["issued", "issued"]


async def two_rounds(world: World, cap: int) -> list[str]:
    """One enterprise takes the same type in two rounds at the same moment."""
    first = await giving(world, cap=cap, quota=2)
    second = await giving(world, opened=False, programme=first.programme, people=first.people, number="202604", quota=2,
                          opens_at=first.round["opens_at"], closes_at=first.round["closes_at"])
    member = await qualified(world, first.programme)
    return await at_once(world, (first, member), (second, member))


@pytest.mark.parametrize(("cap", "outcome"), [(1, ["issued", "voucher_type_capped"]), (2, ["issued", "issued"])])
async def test_the_yearly_cap_holds_across_rounds_at_the_same_moment(world: World, cap: int, outcome: list[str]) -> None:
    assert await two_rounds(world, cap) == outcome
    assert await world.value("SELECT array_agg(win_nth ORDER BY win_nth) FROM reservations") == list(range(1, cap + 1))


async def test_unless_wins_are_counted_once_the_cap_is_passed(world: World, ruins: AsyncExitStack) -> None:
    await ruins.enter_async_context(without_constraint(world.owner, "reservations", "reservations_wins_counted"))
    assert await two_rounds(world, 1) == ["issued", "issued"]


async def taking_against_end(world: World, *, inside: bool) -> tuple[bool, str]:
    """(whether the round had ended while somebody was taking a voucher of the last microsecond, what became of that one).

    `inside`: with the place in hand; otherwise the facts were read, and the round ends before the place is taken.
    """
    giving_out = await giving(world, quota=1)
    member = await qualified(world, giving_out.programme)
    giving_out.set("closes_at", -1)
    late = taking(giving_out, member)
    ending = world.context().at(giving_out.set("closes_at"))
    if not inside:
        with pytest.MonkeyPatch.context() as patch:
            referee = Referee(world.owner, patch)
            referee.hold_after(READ)
            outcome, ended = await referee.race(late, lambda: end_due_rounds(ending), hold=(READ,), in_turn=True)
        return ended == 1, became(outcome)
    async with held("SELECT FROM organisations WHERE id = $1 FOR UPDATE", member.organisation_id):
        task = asyncio.ensure_future(late())
        await waits_or_ends(world.owner, task)
        end = asyncio.ensure_future(end_due_rounds(ending))
        await waits_or_ends(world.owner, task, end)
        ended_meanwhile = end.done()
    assert await end == 1
    return ended_meanwhile, became(await task)


async def test_a_round_ends_behind_whoever_has_a_place_in_hand(world: World) -> None:
    assert await taking_against_end(world, inside=True) == (False, "issued")


async def test_unless_it_shuts_the_parts_it_ends_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.first_come.SHUT", "WHERE round_id = $1", "WHERE round_id = $1 AND false")
    assert await taking_against_end(world, inside=True) == (True, "issued")
    expect_broken("first_come_doors_follow_their_round")


async def test_who_comes_after_the_end_finds_the_door_shut(world: World) -> None:
    assert await taking_against_end(world, inside=False) == (True, "round_not_open")
    assert await world.value("SELECT count(*) FROM lots") == 0


async def test_unless_the_door_is_looked_at_a_voucher_is_given_out_after_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.first_come.TAKE", " AND is_open", "")
    assert await taking_against_end(world, inside=False) == (True, "issued")
