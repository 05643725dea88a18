"""Races around an invitation: exact in twenty rounds, and lost as soon as the locks are taken away (docs/locking.md)."""

from contextlib import AsyncExitStack
from typing import Any, ClassVar

import pytest

from handlers import consultants
from handlers.consultants import InvitationUsed
from handlers.refusals import NotFound
from models.accounts import OrganisationKind
from tests.consulting import OTHER_PHONE, Consulting, open_consulting
from tests.matches import UNGUARDED_MOVE, Race, exact_in_every_round, lost_without_protection
from tests.referee import Contender, Referee
from tests.world import Member, World

READS_BY_TOKEN = "handlers.consultants.answering.lock_by_token"
UNLOCKED = ("handlers.consultants.inviting.LOCK_CONSULTANT", " FOR UPDATE", "")


class ConsultantRace(Race):
    consulting: Consulting
    people: tuple[Member, Member]

    async def stage(self) -> None:
        self.consulting = await open_consulting(self.world)
        self.people = await self.consulting.somebody(), await self.consulting.somebody(OTHER_PHONE)

    async def subject(self) -> tuple[int, str]:
        """A consultant whose link was shared without naming a phone. Whoever came before is on another's list by now."""
        world = self.world
        await world.owner.execute(
            "UPDATE consultants SET institution_id = $1 WHERE institution_id = $2", await world.organisation(OrganisationKind.INSTITUTION),
            self.consulting.owner.organisation_id,
        )
        return await self.consulting.invited(phone=None, email="zhang.min@example.com")

    async def recorded(self, consultant_id: int) -> list[str]:
        """What became of the invitations of this round."""
        found = await self.world.owner.fetch(
            "SELECT a.action FROM audit_entries a JOIN invitations i ON a.subject = 'invitation' AND a.subject_id = i.id"
            " WHERE i.consultant_id = $1 AND a.action <> 'invitation.made' ORDER BY a.action", consultant_id,
        )
        return [row["action"] for row in found]


class AcceptTwice(ConsultantRace):
    """Two people who were sent the same link."""

    reads: ClassVar = (READS_BY_TOKEN,)
    off: ClassVar = (UNLOCKED, UNGUARDED_MOVE)

    def contenders(self, subject: tuple[int, str]) -> list[Contender]:
        return [lambda by=by: consultants.accept(self.ctx(by), subject[1]) for by in self.people]  # type: ignore[misc]

    async def exact(self, subject: tuple[int, str], outcomes: list[Any]) -> None:
        winner = self.people[self.one_wins(outcomes, InvitationUsed)]
        row = await self.world.one("SELECT person_id, state FROM consultants WHERE id = $1", subject[0])
        assert tuple(row) == (winner.person_id, "filling")
        assert await self.recorded(subject[0]) == ["invitation.accepted"]

    async def bug(self, subject: tuple[int, str], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.recorded(subject[0]) == ["invitation.accepted"] * 2


class UnlinkAgainstAccept(ConsultantRace):
    """Without the lock the institution ends everything while the other has read that the link is alive, and goes on from there."""

    reads: ClassVar = (READS_BY_TOKEN,)
    off: ClassVar = (UNLOCKED, ("handlers.consultants.managing.LOCK_OWN", " FOR UPDATE", ""), UNGUARDED_MOVE)

    def contenders(self, subject: tuple[int, str]) -> list[Contender]:
        return [
            lambda: consultants.accept(self.ctx(self.people[0]), subject[1]),
            lambda: consultants.unlink(self.ctx(self.consulting.owner), subject[0]),
        ]

    async def exact(self, subject: tuple[int, str], outcomes: list[Any]) -> None:
        accepted, unlinked = outcomes
        assert not isinstance(unlinked, BaseException), unlinked
        assert isinstance(accepted, NotFound | dict), accepted
        assert await self.consulting.state(subject[0]) == "ended"
        assert await self.recorded(subject[0]) == [
            "invitation.revoked" if isinstance(accepted, NotFound) else "invitation.accepted"
        ]

    async def bug(self, subject: tuple[int, str], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.recorded(subject[0]) == ["invitation.accepted", "invitation.revoked"]
        assert await self.consulting.state(subject[0]) == "filling"  # and can submit the form of an institution that unlinked


RACES = {"accepted twice": AcceptTwice, "unlink against accept": UnlinkAgainstAccept}


@pytest.mark.parametrize("name", RACES)
async def test_the_race_is_exact_in_every_round(world: World, referee: Referee, name: str) -> None:
    await exact_in_every_round(RACES[name], world, referee)


@pytest.mark.parametrize("name", RACES)
async def test_without_its_protection_the_race_is_lost_in_every_round(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await lost_without_protection(RACES[name], world, referee, ruins, monkeypatch)
