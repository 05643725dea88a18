"""Races as classes: what contends, what may come of it, and what becomes of it without its protection.

`exact_in_every_round` and `lost_without_protection` are the two tests of each.
"""

import itertools
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from handlers.context import Context
from handlers.refusals import Refusal
from models.accounts import Role
from tests.races import without
from tests.referee import COMMIT, Contender, Referee, without_constraint
from tests.world import JINAN, Member, World

CONTROL_ROUNDS = 3
UNGUARDED_MOVE = ("handlers.moves.MOVE", " AND state = $2", " AND $2::text IS NOT NULL")


class Race:
    """`reads`: where contenders stand after reading. `off`: statements and constraints that protect, and what takes them away."""

    reads: ClassVar[tuple[str, ...]] = ()
    off: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    constraints: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, world: World) -> None:
        self.world = world

    def ctx(self, by: Member | None = None, **ahead: float) -> Context:
        context = self.world.context(by)
        if by is not None and by.role not in {Role.OWNER, Role.HANDLER, Role.FINANCE}:
            context = replace(context, actor=replace(context.actor, region_code=JINAN))
        return context.at(context.now + timedelta(**ahead))

    async def stage(self) -> None:
        raise NotImplementedError

    async def subject(self) -> Any:
        """What this round is about."""
        raise NotImplementedError

    def contenders(self, subject: Any) -> list[Contender]:
        raise NotImplementedError

    async def exact(self, subject: Any, outcomes: list[Any]) -> None:
        """Assert the only outcomes that may be."""
        raise NotImplementedError

    async def bug(self, subject: Any, outcomes: list[Any]) -> None:
        """Assert what happens without protection."""
        raise NotImplementedError

    def one_wins(self, outcomes: list[Any], refusal: type[Refusal]) -> int:
        """Index of the one that succeeded; the other got exactly this refusal."""
        lost = [number for number, outcome in enumerate(outcomes) if type(outcome) is refusal]
        won = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
        assert (len(won), len(lost)) == (1, len(outcomes) - 1), outcomes
        return won[0]

    def both_win(self, outcomes: list[Any]) -> None:
        assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)], outcomes


async def staged(kind: type[Race], world: World, referee: Referee) -> Race:
    race = kind(world)
    for point in kind.reads:
        if point != COMMIT:
            referee.hold_after(point)
    await race.stage()
    return race


async def exact_in_every_round(kind: type[Race], world: World, referee: Referee, *, rounds: int = 20) -> None:
    """Held after reading, held before the commit, and free; begun from either side, together and one after the other."""
    race = await staged(kind, world, referee)
    schedules = list(itertools.product((race.reads, (COMMIT,), ()), (1, -1), (False, True)))
    for number in range(rounds):
        hold, direction, in_turn = schedules[number % len(schedules)]
        subject = await race.subject()
        outcomes = await referee.race(*race.contenders(subject)[::direction], hold=hold, in_turn=in_turn)
        await race.exact(subject, outcomes[::direction])


async def lost_without_protection(
    kind: type[Race], world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every round comes out as the bug, and what is asserted of the race sees it."""
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
