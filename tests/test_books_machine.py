"""A hypothesis state machine over wallet and orders: after each step the tables equal a model, and the books balance.

The machine is seen to work by mutants: bugs that are put into the code, and that it must find.
"""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import asyncpg
import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from handlers import approvals, orders, reviews, wallet
from handlers.approvals import Decision
from handlers.context import Context
from handlers.orders import AGREEMENT_VERSION
from handlers.orders.rules import ProductUseCapReached
from handlers.refusals import Refusal
from models.accounts import Role
from models.reviews import Grade
from tests.conftest import START, empty
from tests.fakes import Clock, ports
from tests.playing import Stage, mutate, play
from tests.shop import Shop, open_shop
from tests.wallet_model import DEDUCTION, RULES, Lot, Model, Order
from tests.world import Member, World

ORDERS = """
SELECT o.id, o.state, o.voucher_fen, o.returned_fen, o.close_reason, o.rework_count, o.use_year, o.use_nth,
  o.disputed_at IS NOT NULL AS disputed, o.frozen_at IS NOT NULL AS frozen, o.due_at, o.reviewed_at, r.is_system,
  r.reviewed_at AS written_at
FROM orders o LEFT JOIN reviews r ON r.order_id = o.id
"""
REFUSALS = {
    "pay": orders.OrderNotPayable, "cancel": orders.OrderNotCancellable, "take_back": orders.OrderNotCancellable,
    "accept": orders.OrderNotAcceptable, "decline": orders.OrderNotAcceptable, "deliver": orders.OrderNotDeliverable,
    "confirm": orders.OrderNotConfirmable, "send_back": orders.OrderNotConfirmable, "review": reviews.OrderNotReviewable,
}
NUMBERS = st.integers(0, 11)
AIMED = st.sampled_from((True, True, True, True, False))  # mostly at an order that allows the step
SWEEPS = st.sampled_from(("expire", "close_unpaid", "review_due", "none"))
FENS = st.sampled_from((1, 30_000, 70_000, 100_000, 150_000, DEDUCTION, DEDUCTION + 1))
PICKS = st.lists(st.tuples(NUMBERS, st.sampled_from((1, 20_000, 60_000, 100_000))), min_size=1, max_size=3)


class WalletAndOrders(RuleBasedStateMachine):
    stage: ClassVar[Stage]
    world: World
    shop: Shop
    reviewer: Member

    # --- the beginning -------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        """Lots of three dates and both types, an order in most states: from nothing, few steps would reach a payment."""
        stage = self.stage
        self.world = World(None, stage.owner, Clock(START), stage.settings, ports())  # type: ignore[arg-type]
        self.model = Model(START)
        stage.do(self._open())
        for days, fen, universal in ((0, 120_000, False), (2, 260_000, False), (25, 400_000, True)):
            self.issue(days, fen, universal)
        for _ in range(6):
            self.place()
        disputed = ("accept", "deliver", "send_back", "deliver", "send_back")
        for number, steps in enumerate(((), ("accept",), ("accept", "deliver"), disputed, ("accept", "deliver", "confirm"))):
            order = list(self.model.orders.values())[number]
            self._pay(order, 120_000)
            for verb in steps:
                self._step(verb, order)

    async def _open(self) -> None:
        await empty(self.stage.owner, self.stage.tables)
        self.shop = await open_shop(self.world, **RULES)
        self.reviewer = await self.world.official(Role.REVIEWER)

    # --- rules ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.lots) < 12)
    @rule(days=st.sampled_from((0, 1, 3, 40)), fen=st.sampled_from((50_000, 180_000)), universal=st.booleans())
    def issue(self, days: int, fen: int, universal: bool) -> None:
        until = wallet.shanghai_date(self.model.now) + timedelta(days=days)
        voucher_type = self.shop.programme.general if universal else self.shop.programme.audit
        lot_id = self.stage.do(self.shop.lot(fen, voucher_type_id=voucher_type, valid_until=until))
        self.model.lots.append(Lot(lot_id, voucher_type, until, fen))

    @rule()
    def place(self) -> None:
        use = self.model.free_use()
        placed = self._ask(orders.place_order(
            self._ctx(self.shop.buyer), self.shop.product_id, self.shop.programme.id, agreement_version=AGREEMENT_VERSION
        ), None if use else ProductUseCapReached)
        if use:
            self.model.place(placed["id"], use)

    @rule(number=NUMBERS, aimed=AIMED, fen=FENS)
    def pay_soonest_first(self, number: int, aimed: bool, fen: int) -> None:
        self._pay(self._pick("pay", number, aimed), fen)

    @rule(number=NUMBERS, aimed=AIMED, picks=PICKS)
    def pay_picked(self, number: int, aimed: bool, picks: list[tuple[int, int]]) -> None:
        parts = [(int(self.model.lots[which % len(self.model.lots)].id or 0), fen) for which, fen in picks]
        self._pay_parts(self._pick("pay", number, aimed), parts)

    def _pay_parts(self, order: Order, parts: list[tuple[int, int]]) -> None:
        fen = sum(part for _, part in parts)
        refusal: type[Refusal] | None = None
        if not self.model.may("pay", order):
            refusal = orders.OrderNotPayable
        elif self.model.use_when_paid(order) is None:
            refusal = ProductUseCapReached
        elif fen > DEDUCTION:
            refusal = orders.DeductionTooHigh
        elif not self.model.can_take(parts):
            refusal = wallet.LotNotUsable
        spends = [wallet.Spend(lot_id, part) for lot_id, part in parts]
        self._ask(orders.pay_verified(self._ctx(self.shop.buyer), order.id, fen, spends), refusal)
        if refusal is None:
            self.model.pay(order, dict(parts))

    @rule(verb=st.sampled_from(("accept", "deliver", "confirm", "send_back", "cancel", "decline", "take_back", "review")),
          number=NUMBERS, aimed=AIMED)
    def step(self, verb: str, number: int, aimed: bool) -> None:
        self._step(verb, self._pick(verb, number, aimed))

    @precondition(lambda self: any(order.disputed for order in self.model.orders.values()))
    @rule(share=st.sampled_from((0, 1, 2)))
    def rule_on_a_dispute(self, share: int) -> None:
        order = self._pick("rule", 0, aimed=True)
        fen = order.voucher * share // 2
        found = self.stage.do(self.world.value("SELECT id FROM approvals WHERE subject_id = $1 AND state = 'open'", order.id))
        self._ask(approvals.decide(
            self._ctx(self.reviewer), found, Decision.APPROVE, reason="已核实", data={"returned_fen": fen}
        ), None)
        self.model.rule(order, fen)

    @rule(number=NUMBERS, frozen=st.booleans())
    def freeze(self, number: int, frozen: bool) -> None:
        order = self._pick("", number, aimed=False)
        self.stage.do(self.world.owner.execute(
            "UPDATE orders SET frozen_at = CASE WHEN $2 THEN placed_at END WHERE id = $1", order.id, frozen
        ))
        order.frozen = frozen

    @rule(hours=st.sampled_from((1, 13, 24, 72)))
    def wait(self, hours: int) -> None:
        self.model.now = self.world.clock.advance(hours=hours)

    @rule(kind=st.sampled_from(("lot", "order", "review", "replace")), early=st.booleans(), number=NUMBERS, fen=FENS)
    def at_an_edge(self, kind: str, early: bool, number: int, fen: int) -> None:
        """The very instant at which something is due, or the one before; and at once what it is about."""
        if not (edges := self.model.edges(kind)):
            return
        if number % 3 == 0:
            self.freeze(number, frozen=kind != "lot")
        self.model.now = self.world.clock.set(edges[0] - timedelta(microseconds=early))
        if kind == "lot":
            self._pay_at_an_edge(edges[0], number, fen)
            self.sweep("expire")
        elif kind == "order":
            self.sweep("close_unpaid")
            self._step("take_back", self._pick("take_back", number, aimed=not early))
        elif kind == "review":
            self.sweep("review_due")
        else:
            for order in [order for order in self.model.orders.values() if order.review == "system"]:
                self._step("review", order)

    def _pay_at_an_edge(self, edge: datetime, number: int, fen: int) -> None:
        self.place()  # those of before may be over by now themselves
        order = self._pick("pay", number, aimed=True)
        ending = next(lot for lot in self.model.lots if lot.available and wallet.first_unusable_instant(lot.until) == edge)
        if number % 2:
            self._pay(order, fen)
        else:
            self._pay_parts(order, [(int(ending.id or 0), min(fen, ending.available))])

    @rule(sweep=SWEEPS)
    def sweep(self, sweep: str) -> None:
        if sweep == "none":
            return
        sweeps = {"expire": wallet.expire_due, "close_unpaid": orders.close_unpaid, "review_due": reviews.review_due}
        done = self._ask(sweeps[sweep](self._ctx()), None)
        assert done == getattr(self.model, sweep)(), sweep

    # --- after each ----------------------------------------------------------------------------------------------------

    @invariant()
    def tables_equal_the_model_and_books_balance(self) -> None:
        if hasattr(self, "model"):
            self.stage.steps += 1
            self.stage.do(self._compare())

    async def _compare(self) -> None:
        lots = await self.stage.owner.fetch("SELECT * FROM lots ORDER BY id")
        for row in lots:
            for lot in self.model.lots:
                if lot.id is None and (lot.grace_of, lot.until) == (row["grace_of_id"], row["valid_until"]):
                    lot.id = row["id"]
        stored = {row["id"]: (row["available_fen"], row["spent_fen"], row["expired_fen"], row["valid_until"]) for row in lots}
        assert stored == {lot.id: lot.shown for lot in self.model.lots}
        assert {row["id"]: shown(row) for row in await self.stage.owner.fetch(ORDERS)} == {
            order.id: order.shown for order in self.model.orders.values()
        }
        broken = await self.stage.books.broken()
        assert broken == {}, broken

    # --- helpers -------------------------------------------------------------------------------------------------------

    def _ctx(self, by: Member | None = None) -> Context:
        return self.world.context(by)

    def _pick(self, verb: str, number: int, aimed: bool) -> Order:
        able = [order for order in self.model.orders.values() if self.model.may(verb, order)] if aimed else []
        among = able or list(self.model.orders.values())
        return among[number % len(among)]

    def _ask(self, work: Coroutine[Any, Any, Any], refusal: type[Refusal] | None) -> Any:
        """Carry it out; exactly the expected refusal, or none."""
        try:
            answer = self.stage.do(work)
        except Refusal as refused:
            assert type(refused) is refusal, f"refused with {refused!r} {refused.data}, expected {refusal}"
            return None
        assert refusal is None, f"expected {refusal}, but it was done"
        return answer

    def _pay(self, order: Order, fen: int) -> None:
        parts = self.model.automatic(fen)
        refusal: type[Refusal] | None = None
        if not self.model.may("pay", order):
            refusal = orders.OrderNotPayable
        elif self.model.use_when_paid(order) is None:
            refusal = ProductUseCapReached
        elif fen > DEDUCTION:
            refusal = orders.DeductionTooHigh
        elif parts is None:
            refusal = wallet.NotEnoughVouchers
        self._ask(orders.pay_verified(self._ctx(self.shop.buyer), order.id, fen), refusal)
        if refusal is None and parts:
            self.model.pay(order, parts)

    def _step(self, verb: str, order: Order) -> None:
        buyer, seller = self._ctx(self.shop.buyer), self._ctx(self.shop.seller)
        calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "accept": partial(orders.accept_order, seller, order.id),
            "decline": partial(orders.decline_order, seller, order.id, "排期已满"),
            "deliver": partial(orders.deliver_order, seller, order.id, "审计报告已交付"),
            "confirm": partial(orders.confirm_completion, buyer, order.id),
            "send_back": partial(orders.send_back, buyer, order.id, "缺少盖章"),
            "cancel": partial(orders.cancel_order, buyer, order.id),
            "take_back": partial(orders.take_back_order, buyer, order.id),
            "review": partial(reviews.review_order, buyer, order.id, Grade.GOOD, "很好", 5, ""),
        }
        allowed = self.model.may(verb, order)
        self._ask(calls[verb](), None if allowed else REFUSALS[verb])
        if allowed:
            getattr(self.model, verb)(order)


def shown(row: Any) -> tuple[object, ...]:
    assert row["reviewed_at"] == row["written_at"]
    review = None if row["is_system"] is None else "system" if row["is_system"] else "person"
    use = (row["use_year"], row["use_nth"]) if row["use_nth"] is not None else None
    return (row["state"], row["voucher_fen"], row["returned_fen"], row["close_reason"], row["rework_count"], use, review,
            row["disputed"], row["frozen"], row["due_at"])


# --- running it ------------------------------------------------------------------------------------------------------


async def test_wallet_and_orders_follow_the_model_step_by_step(stage: Stage) -> None:
    await play(WalletAndOrders, stage, examples=30, steps=25, derandomize=True)
    assert stage.steps >= 30 * 20


@pytest.mark.soak
async def test_wallet_and_orders_follow_the_model_for_long(stage: Stage) -> None:
    await play(WalletAndOrders, stage, examples=300, steps=30)
    assert stage.steps >= 300 * 20


# --- mutants ---------------------------------------------------------------------------------------------------------

# dotted name of an SQL constant or a function, what stands there, and the bug that comes in its place
MUTANTS = {
    "a lot expires an instant late": ("handlers.wallet.lots.EXPIRE", "expires_at <= $1", "expires_at < $1"),
    "a payment takes a lot that is over": ("handlers.wallet.choosing.choose_lots", "lot.expires_at > now", "lot.expires_at >= now"),
    "what comes back too late gets no grace": ("handlers.wallet.moving._put_back", "and grace_days", "and not grace_days"),
    "a payment is committed twice": (
        "handlers.wallet.moving.HOLD_AND_COMMIT", "(2, 'commit', 'held', 'receivable')",
        "(2, 'commit', 'held', 'receivable'), (3, 'commit', 'held', 'receivable')",
    ),
    "a payment leaves no hold in the ledger": ("handlers.wallet.moving.HOLD_AND_COMMIT", "(1, 'hold', 'available', 'held'), ", ""),
    "a partial return goes to the lot that ends first": (
        "handlers.wallet.moving.reverse", "l.expires_at DESC, e.lot_id DESC", "l.expires_at, e.lot_id",
    ),
    "a cancelled order keeps its yearly use": (
        "handlers.orders.payment.close", "use_nth=None, use_year=None", "use_nth=order.use_nth, use_year=order.use_year",
    ),
    "a partial return gives the yearly use back": ("handlers.orders.payment.refund", "whole = fen == order.voucher_fen", "whole = True"),
    "a frozen order is closed by the sweep": ("handlers.orders.payment.close_unpaid", " AND frozen_at IS NULL", ""),
    "the vouchers come back before their time": ("handlers.orders.views.may", "return is_due(ctx, order)", "return not is_due(ctx, order)"),
    "one rework too many": ("handlers.orders.fulfilment.send_back", "order.rework_count >= rules", "order.rework_count > rules"),
}


# Those that need a rare moment; they are looked for in the long form.
RARE = {
    "a cancelled order keeps its yearly use", "a partial return gives the yearly use back", "a frozen order is closed by the sweep",
}


@pytest.mark.parametrize("bug", [pytest.param(bug, marks=[pytest.mark.soak] if bug in RARE else []) for bug in MUTANTS])
async def test_the_machine_finds(stage: Stage, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    mutate(monkeypatch, *MUTANTS[bug])
    with pytest.raises((AssertionError, asyncpg.PostgresError)):
        await play(WalletAndOrders, stage, examples=120, steps=25, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    await empty(stage.owner, stage.tables)
