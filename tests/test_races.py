"""The thirteen named races: each exact in fifty rounds, and each lost as soon as its protection is taken away.

Money and tickets are protected in depth. A control takes off every layer that would hide the bug, to see the bug itself.
"""

import itertools
import json
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import asyncpg
import pytest

from handlers import approvals, draws, orders, reservations, reviews, wallet
from handlers.approvals import Decision
from handlers.draw_rules import draw_source
from handlers.orders import AGREEMENT_VERSION
from handlers.refusals import Busy, Refusal
from handlers.reservation_rules import AlreadyReserved, RoundNotOpen
from handlers.rounds import publicise_due_rounds
from models.accounts import Role
from models.reviews import Grade
from tests.matches import UNGUARDED_MOVE, Race, exact_in_every_round, lost_without_protection
from tests.referee import Contender, Referee
from tests.shop import Shop, open_shop
from tests.world import Member, Programme, World

FEN = 200_000
SOURCE = "上证综合指数收盘点位"
UNLOCKED_ORDER = ("handlers.orders.views.LOCK_OWN", " FOR UPDATE OF o", "")


class OrderRace(Race):
    rules: ClassVar[dict[str, Any]] = {}
    shop: Shop

    async def stage(self) -> None:
        self.shop = await open_shop(self.world, **self.rules)
        self.colleague = await self.world.member(self.shop.buyer.organisation_id, Role.HANDLER)

    @property
    def buyer(self) -> Member:
        return self.shop.buyer

    async def placed(self) -> int:
        order = await orders.place_order(
            self.ctx(self.buyer), self.shop.product_id, self.shop.programme.id, agreement_version=AGREEMENT_VERSION
        )
        return order["id"]

    async def paid(self) -> int:
        await self.shop.lot(FEN)
        order_id = await self.placed()
        await orders.pay_verified(self.ctx(self.buyer), order_id, FEN)
        return order_id

    async def delivered(self) -> int:
        order_id = await self.paid()
        await orders.accept_order(self.ctx(self.shop.seller), order_id)
        await orders.deliver_order(self.ctx(self.shop.seller), order_id, "审计报告已交付")
        return order_id

    async def completed(self) -> int:
        order_id = await self.delivered()
        await orders.confirm_completion(self.ctx(self.buyer), order_id)
        return order_id

    def pay(self, order_id: int, *picks: wallet.Spend, **ahead: float) -> Contender:
        return lambda: orders.pay_verified(self.ctx(self.buyer, **ahead), order_id, FEN, picks)

    async def order(self, order_id: int) -> Any:
        return await self.world.one("SELECT * FROM orders WHERE id = $1", order_id)

    async def committed_fen(self, order_id: int) -> int:
        return int(await self.world.value(
            "SELECT coalesce(sum(fen), 0) FROM ledger_entries WHERE order_id = $1 AND kind = 'commit'", order_id
        ))

    async def moves_from(self, order_id: int, state: str) -> list[str]:
        return [row["action"] for row in await self.world.owner.fetch(
            "SELECT action FROM audit_entries WHERE subject = 'order' AND subject_id = $1 AND before = $2 ORDER BY action",
            order_id, state,
        )]


class DoubleSpend(OrderRace):
    """Two orders want the same voucher."""

    reads = ("handlers.wallet.lock_lots",)
    off = (("handlers.wallet.choosing.LOCK_LOTS", " FOR UPDATE OF l", ""),)
    constraints = (("lots", "lots_never_negative"),)

    async def subject(self) -> tuple[int, int, int]:
        return await self.shop.lot(FEN), await self.placed(), await self.placed()

    def contenders(self, subject: tuple[int, int, int]) -> list[Contender]:
        return [self.pay(order_id) for order_id in subject[1:]]

    async def exact(self, subject: tuple[int, int, int], outcomes: list[Any]) -> None:
        lot_id, *pair = subject
        won = self.one_wins(outcomes, wallet.NotEnoughVouchers)
        lot = await self.world.one("SELECT available_fen, spent_fen FROM lots WHERE id = $1", lot_id)
        assert tuple(lot) == (0, FEN)
        assert [await self.committed_fen(each) for each in pair] == [FEN if number == won else 0 for number in range(2)]
        assert [(await self.order(each))["state"] for each in pair] == ["paid" if number == won else "unpaid" for number in range(2)]

    async def bug(self, subject: tuple[int, int, int], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        lot = await self.world.one("SELECT available_fen, spent_fen FROM lots WHERE id = $1", subject[0])
        assert tuple(lot) == (-FEN, 2 * FEN)


class PayTwice(OrderRace):
    """Two devices pay the same order."""

    reads = ("handlers.orders.payment.lock_own_order",)
    off = (UNLOCKED_ORDER, UNGUARDED_MOVE)

    async def subject(self) -> int:
        await self.shop.lot(2 * FEN)
        return await self.placed()

    def contenders(self, subject: int) -> list[Contender]:
        return [self.pay(subject), self.pay(subject)]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        self.one_wins(outcomes, orders.OrderNotPayable)
        assert await self.committed_fen(subject) == FEN
        assert await self.moves_from(subject, "unpaid") == ["order.paid"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.committed_fen(subject) == 2 * FEN


class LastUseOfTheYear(OrderRace):
    """Two orders of last year are paid in this one, which has one use left."""

    rules: ClassVar[dict[str, Any]] = {"product_use_cap_per_year": 2}
    reads = ("handlers.orders.uses.taken",)
    off = (("handlers.orders.uses.LOCK_ENTERPRISE", " FOR NO KEY UPDATE", ""),)

    async def subject(self) -> list[int]:
        self.shop.product_id = await self.world.product(self.shop.seller, self.shop.programme)
        await self.shop.lot(3 * FEN)
        pair = [await self.placed() for _ in range(2)]
        await self.world.owner.execute("UPDATE orders SET use_year = use_year - 1 WHERE id = ANY($1)", pair)
        await self.pay(await self.placed())()
        return pair

    def contenders(self, subject: list[int]) -> list[Contender]:
        return [self.pay(order_id) for order_id in subject]

    async def exact(self, subject: list[int], outcomes: list[Any]) -> None:
        won = self.one_wins(outcomes, orders.ProductUseCapReached)
        assert [(await self.order(each))["state"] for each in subject] == ["paid" if number == won else "unpaid" for number in range(2)]
        assert (await self.order(subject[won]))["use_nth"] == 2
        assert await self.committed_fen(subject[1 - won]) == 0

    async def bug(self, subject: list[int], outcomes: list[Any]) -> None:
        # Both take the second number; UNIQUE alone keeps the cap, with an error instead of an answer.
        assert [outcome for outcome in outcomes if isinstance(outcome, asyncpg.UniqueViolationError)]


class PayAgainstExpire(OrderRace):
    """A payment of the last microsecond and the sweep of midnight."""

    reads = ("handlers.wallet.lock_lots",)
    off = (("handlers.wallet.lots.EXPIRE", " FOR UPDATE SKIP LOCKED", ""),)
    constraints = (("lots", "lots_within_face"),)

    async def subject(self) -> tuple[int, int]:
        now = self.world.clock.advance(days=1)
        order_id = await self.placed()
        lot_id = await self.shop.lot(FEN, valid_until=wallet.shanghai_date(now))
        self.world.clock.set(wallet.first_unusable_instant(wallet.shanghai_date(now)))
        return lot_id, order_id

    def contenders(self, subject: tuple[int, int]) -> list[Contender]:
        return [self.pay(subject[1], microseconds=-1), lambda: wallet.expire_due(self.ctx())]

    async def exact(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        paid, expired = outcomes
        assert expired in {0, 1}
        assert (type(paid) is wallet.NotEnoughVouchers) if expired else (paid["state"] == "paid")
        lot = await self.world.one("SELECT available_fen, spent_fen, expired_fen FROM lots WHERE id = $1", subject[0])
        assert tuple(lot) == ((0, 0, FEN) if expired else (0, FEN, 0))
        assert await self.committed_fen(subject[1]) == (0 if expired else FEN)

    async def bug(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        assert (outcomes[0]["state"], outcomes[1]) == ("paid", 1)
        lot = await self.world.one("SELECT available_fen, spent_fen, expired_fen FROM lots WHERE id = $1", subject[0])
        assert tuple(lot) == (0, FEN, FEN)


class PayAgainstCancel(OrderRace):
    """The owner pays while a colleague calls the order off."""

    reads = ("handlers.orders.payment.lock_own_order",)
    off = (UNLOCKED_ORDER, UNGUARDED_MOVE)
    constraints = (("orders", "orders_closed_for_a_reason"),)

    async def subject(self) -> int:
        await self.shop.lot(FEN)
        return await self.placed()

    def contenders(self, subject: int) -> list[Contender]:
        return [self.pay(subject), lambda: orders.cancel_order(self.ctx(self.colleague), subject)]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        paid = not isinstance(outcomes[0], BaseException)
        self.one_wins(outcomes, orders.OrderNotCancellable if paid else orders.OrderNotPayable)
        order = await self.order(subject)
        assert (order["state"], order["close_reason"], order["use_nth"] is None) == (
            ("paid", None, False) if paid else ("closed", "cancelled", True)
        )
        assert await self.committed_fen(subject) == (FEN if paid else 0)
        assert await self.moves_from(subject, "unpaid") == ["order.paid" if paid else "order.closed"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.moves_from(subject, "unpaid") == ["order.closed", "order.paid"]
        assert await self.committed_fen(subject) == FEN


class DoubleReview(OrderRace):
    """Two colleagues review the same order with different words."""

    reads = ("handlers.reviews.lock_own_order",)
    off = (UNLOCKED_ORDER, ("handlers.reviews.INSERT", " WHERE reviews.is_system", ""))

    async def subject(self) -> int:
        return await self.completed()

    def contenders(self, subject: int) -> list[Contender]:
        return [
            lambda: reviews.review_order(self.ctx(self.buyer), subject, Grade.GOOD, "很好", 5, ""),
            lambda: reviews.review_order(self.ctx(self.colleague), subject, Grade.BAD, "很差", 1, ""),
        ]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        won = self.one_wins(outcomes, reviews.OrderNotReviewable)
        assert outcomes[1 - won].data["reason"] == "reviewed"
        written = await self.world.owner.fetch("SELECT grade, text, platform_stars FROM reviews WHERE order_id = $1", subject)
        assert [tuple(review) for review in written] == [("good", "很好", 5) if won == 0 else ("bad", "很差", 1)]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)  # the words of one of them are gone, and nobody told him
        assert await self.world.value("SELECT count(*) FROM reviews WHERE order_id = $1", subject) == 1


class ReviewAgainstSystem(OrderRace):
    """A person's review at the very instant of the system's: the person's words stand, whoever was first."""

    reads = ("handlers.reviews.lock_own_order",)
    off = (("handlers.reviews.REVIEW_DUE", " FOR UPDATE OF o SKIP LOCKED", ""),)

    async def subject(self) -> int:
        order_id = await self.completed()
        self.world.clock.advance(days=7)
        return order_id

    def contenders(self, subject: int) -> list[Contender]:
        return [
            lambda: reviews.review_order(self.ctx(self.buyer), subject, Grade.MEDIUM, "尚可", 3, ""),
            lambda: reviews.review_due(self.ctx()),
        ]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        by_system = outcomes[1]
        written = await self.world.owner.fetch(
            "SELECT grade, is_system, replaced_system_at IS NOT NULL AS replaced FROM reviews WHERE order_id = $1", subject
        )
        assert [tuple(review) for review in written] == [("medium", False, by_system == 1)]
        assert await self.world.value(
            "SELECT count(*) FROM events WHERE kind = 'system_review_made' AND subject_id = $1", subject
        ) == by_system

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        # Both write; one of them breaks on the other's review or in a deadlock. If it is the sweep, its whole batch is lost.
        assert [outcome for outcome in outcomes if isinstance(outcome, asyncpg.UniqueViolationError | Busy)]


class ConfirmAgainstSendBack(OrderRace):
    """One colleague confirms what the other sends back."""

    reads = ("handlers.orders.fulfilment.lock_own_order",)
    off = (UNLOCKED_ORDER, UNGUARDED_MOVE)

    async def subject(self) -> int:
        return await self.delivered()

    def contenders(self, subject: int) -> list[Contender]:
        return [
            lambda: orders.confirm_completion(self.ctx(self.buyer), subject),
            lambda: orders.send_back(self.ctx(self.colleague), subject, "缺少盖章"),
        ]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        confirmed = self.one_wins(outcomes, orders.OrderNotConfirmable) == 0
        order = await self.order(subject)
        assert (order["state"], order["rework_count"], order["completed_at"] is not None) == (
            ("completed", 0, True) if confirmed else ("accepted", 1, False)
        )
        sent_back = await self.world.value("SELECT count(sent_back_at) FROM handovers WHERE order_id = $1", subject)
        assert sent_back == (0 if confirmed else 1)
        assert await self.moves_from(subject, "delivered") == ["order.completed" if confirmed else "order.sent_back"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.moves_from(subject, "delivered") == ["order.completed", "order.sent_back"]


class TwoApprovers(OrderRace):
    """Two reviewers rule on one dispute: everything back, or nothing."""

    rules: ClassVar[dict[str, Any]] = {"rework_max": 0}
    reads = ("handlers.approvals._decidable",)
    off = (("handlers.approvals.LOCK", " FOR UPDATE", ""),)

    async def stage(self) -> None:
        await super().stage()
        self.reviewers = [await self.world.official(Role.REVIEWER) for _ in range(2)]

    async def subject(self) -> tuple[int, int]:
        order_id = await self.delivered()
        await orders.send_back(self.ctx(self.buyer), order_id, "不符合约定")
        found = await self.world.value("SELECT id FROM approvals WHERE subject = 'order' AND subject_id = $1", order_id)
        return found, order_id

    def contenders(self, subject: tuple[int, int]) -> list[Contender]:
        def ruling(reviewer: Member, fen: int) -> Contender:
            return lambda: approvals.decide(
                self.ctx(reviewer), subject[0], Decision.APPROVE, reason="已核实", data={"returned_fen": fen}
            )
        return [ruling(self.reviewers[0], FEN), ruling(self.reviewers[1], 0)]

    async def exact(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        returned = self.one_wins(outcomes, approvals.AlreadyDecided) == 0
        order = await self.order(subject[1])
        assert (order["state"], order["returned_fen"]) == (("closed", FEN) if returned else ("completed", 0))
        decider = await self.world.value("SELECT decided_by_id FROM approvals WHERE id = $1", subject[0])
        assert decider == self.reviewers[0 if returned else 1].person_id
        assert await self.world.value(
            "SELECT count(*) FROM audit_entries WHERE subject = 'approval' AND subject_id = $1 AND before = 'open'", subject[0]
        ) == 1

    async def bug(self, subject: tuple[int, int], outcomes: list[Any]) -> None:
        # Both go to work on the order; only the graph of its states stops the second, with an error instead of an answer.
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(errors) == 1
        assert not isinstance(errors[0], Refusal)


# --- rounds and draws ------------------------------------------------------------------------------------------------


class LotteryRace(Race):
    """Rounds written into the tables at the point where the race begins. Times: closes +1, source +2, draw +3 minutes."""

    cap: ClassVar[int | None] = None

    async def stage(self) -> None:
        self.programme: Programme = await self.world.programme()
        await self.world.owner.execute("UPDATE voucher_types SET annual_win_cap = $1 WHERE id = $2", self.cap, self.programme.audit)
        self.officer, self.witness = await self.world.official(Role.DRAW_OFFICER), await self.world.official(Role.WITNESS)
        self.numbers = itertools.count(1)

    async def player(self) -> Member:
        member = await self.world.enterprise()
        await self.world.qualify(member, self.programme)
        return member

    async def open_round(self, quota: int = 1) -> int:
        at = self.world.at
        found: int = await self.world.value(
            "INSERT INTO rounds (programme_id, policy_id, number, name, state, opens_at, closes_at, draw_at, publicity_at, publicity_until,"
            " valid_until, randomness, notes, made_by_id, confirmed_by_id, created_at)"
            " VALUES ($1,$2,$3,'批次','open',$4,$5,$6,$7,$7,'2027-12-31',$8,'',$9,$10,$4) RETURNING id",
            self.programme.id, self.programme.policy_id, f"{next(self.numbers):06d}", at(), at(minutes=1), at(minutes=3), at(minutes=4),
            json.dumps([draw_source(SOURCE, at(minutes=2), "decimal")]), self.officer.person_id, self.witness.person_id,
        )
        await self.world.owner.execute(
            "INSERT INTO round_quotas (round_id, voucher_type_id, quota, alternates) VALUES ($1, $2, $3, 1)",
            found, self.programme.audit, quota,
        )
        for by in (self.officer, self.witness):
            await draws.put_secret(self.ctx(by), found, None)
        return found

    async def type_values(self, round_id: int) -> None:
        for by in (self.officer, self.witness):
            await self.world.owner.execute(
                "INSERT INTO public_values (round_id, source, value, person_id, role, created_at) VALUES ($1,$2,'3384.27',$3,$4,$5)",
                round_id, SOURCE, by.person_id, by.role.value, self.world.clock.now(),
            )

    def reserve(self, member: Member, round_id: int, **ahead: float) -> Contender:
        return lambda: reservations.reserve(self.ctx(member, **ahead), round_id, self.programme.audit)

    async def state(self, round_id: int) -> str:
        return str(await self.world.value("SELECT state FROM rounds WHERE id = $1", round_id))


class DoubleReserve(LotteryRace):
    """Two colleagues reserve for their enterprise."""

    reads = ("handlers.reservations.first_facts",)
    off = (("handlers.reservations.TAKE", "ON CONFLICT (round_id, organisation_id) DO NOTHING", ""),)
    constraints = (("reservations", "reservations_one_ticket"),)

    async def subject(self) -> tuple[int, Member, Member]:
        first = await self.player()
        return await self.open_round(), first, await self.world.member(first.organisation_id, Role.HANDLER)

    def contenders(self, subject: tuple[int, Member, Member]) -> list[Contender]:
        return [self.reserve(member, subject[0]) for member in subject[1:]]

    async def exact(self, subject: tuple[int, Member, Member], outcomes: list[Any]) -> None:
        won = self.one_wins(outcomes, AlreadyReserved)
        tickets = await self.world.owner.fetch("SELECT reserved_by_id FROM reservations WHERE round_id = $1", subject[0])
        assert [row["reserved_by_id"] for row in tickets] == [subject[1:][won].person_id]

    async def bug(self, subject: tuple[int, Member, Member], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.world.value("SELECT count(*) FROM reservations WHERE round_id = $1", subject[0]) == 2


class ReserveAgainstClose(LotteryRace):
    """Two tickets of the last microsecond and the close: on the list or refused, never in between."""

    reads = ("handlers.reservations.first_facts",)
    off = (("handlers.reservations.TAKE", " AND state IN ('announced', 'open')", ""),)

    async def stage(self) -> None:
        await super().stage()
        self.players = [await self.player() for _ in range(2)]

    async def subject(self) -> int:
        self.world.clock.advance(minutes=10)
        round_id = await self.open_round()
        self.world.clock.advance(minutes=1)  # closes_at
        return round_id

    def contenders(self, subject: int) -> list[Contender]:
        late = [self.reserve(member, subject, microseconds=-1) for member in self.players]
        return [*late, lambda: draws.close_due_rounds(self.ctx())]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        tickets, closed = outcomes[:2], outcomes[2]
        assert closed == 1
        assert {type(ticket) for ticket in tickets} <= {dict, RoundNotOpen}
        let_in = sorted(ticket["ticket_no"] for ticket in tickets if isinstance(ticket, dict))
        assert await self.on_list(subject) == let_in
        assert await self.world.value("SELECT count(*) FROM reservations WHERE round_id = $1", subject) == len(let_in)
        assert await self.state(subject) == "committed"

    async def on_list(self, round_id: int) -> list[str]:
        lines = await self.world.value("SELECT lines FROM draw_lists WHERE round_id = $1", round_id)
        return sorted(line.split("|")[0] for line in (lines or "").splitlines())

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        self.both_win(outcomes)  # both have a receipt, and neither is on the list that will be drawn from
        assert await self.on_list(subject) == []
        assert await self.world.value("SELECT count(*) FROM reservations WHERE round_id = $1", subject) == 2


class DrawTwice(LotteryRace):
    """Two machines draw the same round."""

    reads = ("handlers.draws.lock_due",)
    off = (
        ("handlers.rounds.LOCK_TICKETS", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"),
        ("handlers.rounds.LOCK_PROGRAMME", " FOR NO KEY UPDATE", ""), ("handlers.rounds.LOCK", "FOR NO KEY UPDATE", ""),
        ("handlers.draws.LOCK_DRAW", " AND drawn_at IS NULL FOR UPDATE", ""),
        ("handlers.draws.DRAW", " AND v.state = 'submitted'", ""), UNGUARDED_MOVE,
    )

    async def stage(self) -> None:
        await super().stage()
        self.players = [await self.player() for _ in range(3)]

    async def subject(self) -> int:
        self.world.clock.advance(minutes=10)
        round_id = await self.open_round()
        for player in self.players:
            await self.reserve(player, round_id)()
        self.world.clock.advance(minutes=1)
        assert await draws.close_due_rounds(self.ctx()) == 1
        self.world.clock.advance(minutes=2)
        await self.type_values(round_id)
        return round_id

    def contenders(self, subject: int) -> list[Contender]:
        return [lambda: draws.draw_due_rounds(self.ctx()), lambda: draws.draw_due_rounds(self.ctx())]

    async def drawn(self, round_id: int) -> tuple[int, int]:
        """How often the round was drawn and how often it has a winner."""
        found = await self.world.one(
            "SELECT (SELECT count(*) FROM audit_entries WHERE action = 'round.drawn' AND subject_id = $1) AS drawn,"
            " (SELECT count(*) FROM audit_entries a JOIN reservations v ON v.id = a.subject_id"
            "  WHERE a.action = 'reservation.won' AND v.round_id = $1) AS won", round_id,
        )
        return found["drawn"], found["won"]

    async def exact(self, subject: int, outcomes: list[Any]) -> None:
        assert sorted(outcomes) == [0, 1], outcomes
        assert await self.drawn(subject) == (1, 1)
        states = [row["state"] for row in await self.world.owner.fetch("SELECT state FROM reservations WHERE round_id = $1", subject)]
        assert sorted(states) == ["alternate", "submitted", "won"]

    async def bug(self, subject: int, outcomes: list[Any]) -> None:
        assert outcomes == [1, 1]
        assert await self.drawn(subject) == (2, 2)


class CapAgainstTwoDraws(LotteryRace):
    """An enterprise that may win once a year has a ticket in two rounds that close together."""

    cap = 1
    reads = ("handlers.draws.waiting_for",)
    off = (("handlers.rounds.LOCK_PROGRAMME", " FOR NO KEY UPDATE", ""),)

    async def subject(self) -> tuple[Member, list[int]]:
        self.world.clock.advance(minutes=10)
        player, pair = await self.player(), [await self.open_round() for _ in range(2)]
        for round_id in pair:
            await self.reserve(player, round_id)()
        self.world.clock.advance(minutes=1)
        return player, pair

    def contenders(self, subject: tuple[Member, list[int]]) -> list[Contender]:
        def closing(round_id: int) -> Contender:
            return lambda: draws._close(self.ctx(), round_id)
        return [closing(round_id) for round_id in subject[1]]

    async def states(self, pair: list[int]) -> list[str]:
        return [await self.state(round_id) for round_id in pair]

    async def exact(self, subject: tuple[Member, list[int]], outcomes: list[Any]) -> None:
        player, pair = subject
        self.both_win(outcomes)
        states = await self.states(pair)
        assert sorted(states) == ["closed", "committed"]
        first, second = (pair[states.index(state)] for state in ("committed", "closed"))
        await self.draw(first)
        await self.publicise()  # until then the other list would tell its result
        await self.close_later(second)
        await self.draw(second)
        await self.publicise()
        wins = await self.world.owner.fetch("SELECT round_id, win_nth FROM reservations WHERE organisation_id = $1 AND state = 'won'",
                                            player.organisation_id)
        assert [tuple(win) for win in wins] == [(first, 1)]
        assert await self.world.value("SELECT right(lines, 2) FROM draw_lists WHERE round_id = $1", second) == "|0"

    async def draw(self, round_id: int) -> None:
        self.world.clock.advance(minutes=2)
        await self.type_values(round_id)
        assert await draws.draw_due_rounds(self.ctx()) == 1

    async def publicise(self) -> None:
        self.world.clock.advance(minutes=2)
        assert await publicise_due_rounds(self.ctx()) == 1

    async def close_later(self, round_id: int) -> None:
        """Its own source has not come yet: it was planned for later, as rounds of one programme are."""
        await self.world.owner.execute(
            "UPDATE rounds SET randomness = $2, draw_at = $3, publicity_at = $3, publicity_until = $3 WHERE id = $1",
            round_id, json.dumps([draw_source(SOURCE, self.world.at(minutes=1), "decimal")]), self.world.at(minutes=2),
        )
        assert await draws.close_due_rounds(self.ctx()) == 1

    async def bug(self, subject: tuple[Member, list[int]], outcomes: list[Any]) -> None:
        self.both_win(outcomes)
        assert await self.states(subject[1]) == ["committed", "committed"]
        promised = await self.world.owner.fetch("SELECT right(lines, 2) AS left FROM draw_lists WHERE round_id = ANY($1)", subject[1])
        assert [row["left"] for row in promised] == ["|1", "|1"]  # two published lists promise the one win that there is
        await self.world.owner.execute("UPDATE rounds SET state = 'voided', void_reason = '测试' WHERE id = ANY($1)", subject[1])


RACES = {
    "double reserve": DoubleReserve, "reserve against close": ReserveAgainstClose, "double spend of a lot": DoubleSpend,
    "pay twice": PayTwice, "the last use of a year": LastUseOfTheYear,
    "pay against expire": PayAgainstExpire, "pay against cancel": PayAgainstCancel,
    "double review": DoubleReview, "review against the system's": ReviewAgainstSystem, "draw twice": DrawTwice,
    "cap against two draws": CapAgainstTwoDraws, "confirm against 未完成": ConfirmAgainstSendBack, "two approvers": TwoApprovers,
}


@pytest.mark.parametrize("name", RACES)
async def test_the_race_is_exact_in_every_round(world: World, referee: Referee, name: str) -> None:
    await exact_in_every_round(RACES[name], world, referee, rounds=50)


@pytest.mark.parametrize("name", RACES)
async def test_without_its_protection_the_race_is_lost_in_every_round(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await lost_without_protection(RACES[name], world, referee, ruins, monkeypatch)
