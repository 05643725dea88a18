"""A filing counts once, and an order is filed once, whoever decides or files at the same moment; each race has its control."""

from contextlib import AsyncExitStack
from datetime import date
from typing import Any, ClassVar

import pytest

from handlers import approvals, filings
from handlers.approvals import AlreadyDecided, Decision, DecisionIncomplete
from handlers.filings import OrderFiled, TransactionForm
from models.accounts import Role
from tests.applications import applicant, submitted_certification, valid
from tests.matches import UNGUARDED_MOVE, Race, exact_in_every_round, lost_without_protection
from tests.referee import COMMIT, Contender, Referee
from tests.shop import Shop, open_shop
from tests.supermarket import evidence
from tests.world import Member, World


def form(**changes: Any) -> TransactionForm:
    given = {
        "happened_on": date(2026, 2, 10), "enterprise_code": None, "enterprise_name": None, "amount_fen": None, "order_id": None,
        "product_id": None, "consultant_id": None, "summary": "", "attachment_ids": (),
    }
    return TransactionForm(**given | changes)


class ApprovedTwice(Race):
    """Two administrators approve one filing. Its row, its approval, the move from the state read, and a UNIQUE stand before it."""

    reads = ("handlers.approvals._decidable",)
    off = (
        ("handlers.approvals.LOCK", " FOR UPDATE", ""), UNGUARDED_MOVE,
        ("handlers.scores.COUNT", " ON CONFLICT (kind, subject, subject_id) DO NOTHING", ""),
    )
    constraints = (("score_events", "score_events_once"),)
    number: ClassVar[int] = 0

    async def stage(self) -> None:
        self.institution = await self.world.institution()
        self.admins = [await self.world.official(Role.ADMIN) for _ in range(2)]

    async def subject(self) -> tuple[int, int]:
        ApprovedTwice.number += 1
        paper = await evidence(self.world, self.institution, f"材料 {self.number}")
        code = valid(f"91370103ME{self.number:07d}")  # another partner each time: nothing is flagged
        filed = await filings.draft_transaction(self.ctx(self.institution), form(
            enterprise_code=code, enterprise_name="济南示例制造有限公司", amount_fen=self.number, attachment_ids=(paper,),
        ))
        await filings.submit_filing(self.ctx(self.institution), filed["id"])
        return filed["id"], await self.world.value("SELECT max(id) FROM approvals")

    def contenders(self, subject: tuple[int, int]) -> list[Contender]:
        def approving(admin: Member) -> Contender:
            return lambda: approvals.decide(self.ctx(admin), subject[1], Decision.APPROVE)

        return [approving(admin) for admin in self.admins]

    async def counted(self, subject: tuple[int, int]) -> int:
        return int(await self.world.value("SELECT count(*) FROM score_events WHERE subject = 'filing' AND subject_id = $1", subject[0]))

    async def exact(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        self.one_wins(outcomes, AlreadyDecided)
        assert await self.counted(subject) == 1

    async def bug(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.counted(subject) == 2


class FiledTwice(Race):
    """Two colleagues file one order."""

    reads = (COMMIT,)
    constraints = (("filings", "filings_order_once"),)
    shop: Shop

    async def stage(self) -> None:
        self.shop = await open_shop(self.world, product_use_cap_per_year=None)
        self.colleague = await self.world.member(self.shop.seller.organisation_id, Role.HANDLER)

    async def subject(self) -> int:
        return await self.shop.completed()

    def contenders(self, subject: int) -> list[Contender]:
        def filing(member: Member) -> Contender:
            return lambda: filings.draft_transaction(self.ctx(member), form(order_id=subject))

        return [filing(self.shop.seller), filing(self.colleague)]

    async def filed(self, subject: int) -> int:
        return int(await self.world.value("SELECT count(*) FROM filings WHERE order_id = $1", subject))

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        self.one_wins(outcomes, OrderFiled)
        assert await self.filed(subject) == 1

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.filed(subject) == 2


class ObjectedWhileApproved(Race):
    """The enterprise objects while an administrator approves: he has seen it, or it opens a case of its own; it counts once or not yet."""

    reads = ("handlers.approvals._decidable", "handlers.filings.objecting.lock_naming", COMMIT)
    off = (("handlers.approvals.LOCK", " FOR UPDATE", ""), ("handlers.filings.objecting.LOCK_NAMING", " FOR UPDATE", ""))
    number: ClassVar[int] = 0

    async def stage(self) -> None:
        self.institution, self.enterprise = await self.world.institution(), await self.world.enterprise()
        self.admin = await self.world.official(Role.ADMIN)

    async def subject(self) -> tuple[int, int]:
        ObjectedWhileApproved.number += 1
        code = valid(f"91370103MF{self.number:07d}")
        await self.world.owner.execute(
            "UPDATE organisations SET credit_code = $2 WHERE id = $1", self.enterprise.organisation_id, code)
        paper = await evidence(self.world, self.institution, f"合同 {self.number}")
        filed = await filings.draft_transaction(self.ctx(self.institution), form(
            enterprise_code=code, enterprise_name="济南示例制造有限公司", amount_fen=self.number, attachment_ids=(paper,),
        ))
        await filings.submit_filing(self.ctx(self.institution), filed["id"])
        return filed["id"], await self.world.value("SELECT max(id) FROM approvals")

    def contenders(self, subject: tuple[int, int]) -> list[Contender]:
        filing_id, approval_id = subject
        return [
            lambda: approvals.decide(self.ctx(self.admin), approval_id, Decision.APPROVE),
            lambda: filings.object_to_filing(self.ctx(self.enterprise), filing_id, "我公司没有这笔交易"),
        ]

    async def found(self, subject: tuple[int, int]) -> tuple[str, int, str, int, int]:
        """Its state, how often it counts, the objection's state and open cases, flags that nobody has acknowledged."""
        return tuple(await self.world.one(
            "SELECT f.state, (SELECT count(*) FROM score_events WHERE subject = 'filing' AND subject_id = f.id), j.state,"
            " (SELECT count(*) FROM approvals WHERE subject = 'filing_objection' AND subject_id = j.id AND state = 'open'),"
            " (SELECT count(*) FROM filing_flags g WHERE g.filing_id = f.id AND g.acknowledged_by_id IS NULL)"
            " FROM filings f JOIN filing_objections j ON j.filing_id = f.id WHERE f.id = $1", subject[0]))

    async def exact(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        approved, objected = outcomes
        assert not isinstance(objected, BaseException), objected
        if isinstance(approved, DecisionIncomplete):
            assert await self.found(subject) == ("in_review", 0, "open", 0, 1)
            await filings.withdraw_filing(self.ctx(self.institution), subject[0])
        else:
            assert approved["state"] == "approved"
            assert await self.found(subject) == ("approved", 1, "open", 1, 0)

    async def bug(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.found(subject) == ("approved", 1, "open", 0, 1)


class CertifiedWhileWithdrawn(Race):
    """The enterprise is certified while the institution withdraws what names it: it hears only of what still waits."""

    reads = (COMMIT,)
    off = (("handlers.filings.objections.NAMING_NEWCOMER", " FOR UPDATE OF f", ""),)
    number: ClassVar[int] = 0

    async def stage(self) -> None:
        self.institution, self.admin = await self.world.institution(), await self.world.official(Role.ADMIN)

    async def subject(self) -> tuple[int, int, int]:
        CertifiedWhileWithdrawn.number += 1
        enterprise = await applicant(self.world)
        approval_id = await submitted_certification(self.world, enterprise)
        code = await self.world.value("SELECT credit_code FROM organisations WHERE id = $1", enterprise.organisation_id)
        paper = await evidence(self.world, self.institution, f"发票 {self.number}")
        filed = await filings.draft_transaction(self.ctx(self.institution), form(
            enterprise_code=code, enterprise_name="济南示例制造有限公司", amount_fen=self.number, attachment_ids=(paper,),
        ))
        await filings.submit_filing(self.ctx(self.institution), filed["id"])
        return filed["id"], approval_id, enterprise.organisation_id

    def contenders(self, subject: tuple[int, int, int]) -> list[Contender]:
        return [
            lambda: filings.withdraw_filing(self.ctx(self.institution), subject[0]),
            lambda: approvals.decide(self.ctx(self.admin), subject[1], Decision.APPROVE),
        ]

    async def exact(self, subject: tuple[int, int, int], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        told = await self.world.value("SELECT count(*) FROM events WHERE kind = 'filing_named' AND subject_id = $1", subject[0])
        was_waiting = await self.world.value(
            "SELECT c.id < w.id FROM audit_entries c, audit_entries w WHERE c.action = 'organisation.certified' AND c.subject_id = $2"
            " AND w.action = 'filing.withdrawn' AND w.subject_id = $1", subject[0], subject[2])
        assert told == int(was_waiting)

    async def bug(self, subject: tuple[int, int, int], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.world.value("SELECT count(*) FROM events WHERE kind = 'filing_named' AND subject_id = $1", subject[0]) == 1


RACES: dict[str, type[Race]] = {
    "filing approved twice": ApprovedTwice, "order filed twice": FiledTwice, "filing objected to while approved": ObjectedWhileApproved,
    "enterprise certified while a filing is withdrawn": CertifiedWhileWithdrawn,
}


@pytest.mark.parametrize("name", RACES)
async def test_the_race_is_exact_in_every_round(world: World, referee: Referee, name: str) -> None:
    await exact_in_every_round(RACES[name], world, referee)


@pytest.mark.parametrize("name", RACES)
async def test_without_its_protection_the_race_is_lost_in_every_round(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await lost_without_protection(RACES[name], world, referee, ruins, monkeypatch)
