"""A random walk over all that moves money or rights, by everybody who may: after each step the books balance.

Unlike tests/test_books_machine.py it has no model of what is allowed. A refusal is a fine answer, if it leaves everything as it was;
what is done must be right in the end, which the invariants of `check-books` say, and some sums that they do not.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import ClassVar

import asyncpg
import pytest
from hypothesis import Phase, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tests.walking_moves  # noqa: F401 - the moves are known by being imported
from tests.conftest import START, empty
from tests.fakes import Clock, ports
from tests.playing import Stage, mutate, play
from tests.walking import MOVES, POLICIES, Walk, open_walk
from tests.world import World

NUMBERS = st.integers(0, 9_999)
SMALL = st.integers(0, 95)
AIMED = st.sampled_from((True,) * 9 + (False,))
BEGINNINGS = st.sampled_from((START, datetime(2026, 12, 24, 15, 30, tzinfo=UTC)))  # the year ends a week later

# Where the vouchers of each programme are, by the ledger and by the tables that say the same. Rows are differences.
CONSERVED = """
WITH ledger AS (
  SELECT programme_id, account, sum(fen)::bigint AS fen FROM (
    SELECT programme_id, to_account AS account, fen FROM ledger_entries
    UNION ALL SELECT programme_id, from_account, -fen FROM ledger_entries) e GROUP BY programme_id, account
), books AS (
  SELECT programme_id, 'available' AS account, sum(available_fen) AS fen FROM lots GROUP BY 1
  UNION ALL SELECT programme_id, 'held', sum(held_fen) FROM lots GROUP BY 1
  UNION ALL SELECT programme_id, 'expired', sum(expired_fen) FROM lots GROUP BY 1
  UNION ALL SELECT programme_id, 'returned', sum(face_fen) FROM lots WHERE given_back_at IS NOT NULL GROUP BY 1
  UNION ALL SELECT programme_id, 'budget', -sum(face_fen) FROM lots WHERE grace_of_id IS NULL GROUP BY 1
  UNION ALL SELECT o.programme_id, 'receivable', sum(o.voucher_fen - o.returned_fen) FROM orders o WHERE o.paid_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM redemptions r WHERE r.order_id = o.id AND r.state IN ('pre_redeemed', 'in_batch', 'redeemed')) GROUP BY 1
  UNION ALL SELECT programme_id, 'pre_redeemed', sum(payable_fen) FROM redemptions WHERE state IN ('pre_redeemed', 'in_batch') GROUP BY 1
  UNION ALL SELECT programme_id, 'shortfall', sum(shortfall_fen) FROM redemptions
    WHERE state IN ('pre_redeemed', 'in_batch', 'redeemed') GROUP BY 1
  UNION ALL SELECT b.programme_id, 'paid', sum(l.fen) FROM payout_lines l JOIN payout_batches b ON b.id = l.batch_id
    WHERE l.state = 'paid' GROUP BY 1
)
SELECT coalesce(l.programme_id, b.programme_id) AS programme_id, coalesce(l.account, b.account) AS account, l.fen AS ledger, b.fen AS books
FROM ledger l FULL JOIN books b USING (programme_id, account) WHERE coalesce(l.fen, 0) <> coalesce(b.fen, 0)
"""
# No fen goes back to the enterprise and to the institution's account.
PAID_TWICE = """
SELECT o.id, o.voucher_fen, o.returned_fen, r.fen FROM orders o JOIN (
  SELECT order_id, sum(voucher_fen) AS fen FROM redemptions WHERE state <> 'rejected' GROUP BY order_id) r ON r.order_id = o.id
WHERE o.returned_fen + r.fen > o.voucher_fen
"""
PAID_TOO_MUCH = """
SELECT o.institution_id, sum(o.voucher_fen - o.returned_fen) AS held, sum(p.fen) AS paid FROM orders o JOIN (
  SELECT r.order_id, sum(l.fen) AS fen FROM payout_lines l JOIN redemptions r ON r.id = l.redemption_id
  WHERE l.state = 'paid' GROUP BY r.order_id) p ON p.order_id = o.id
GROUP BY o.institution_id HAVING bool_or(p.fen > o.voucher_fen - o.returned_fen)
"""
SUMS = {"conserved": CONSERVED, "paid twice": PAID_TWICE, "paid too much": PAID_TOO_MUCH}


class RandomWalk(RuleBasedStateMachine):
    stage: ClassVar[Stage]
    done: ClassVar[Counter[str]] = Counter()
    walk: Walk

    @initialize(policy=st.sampled_from(tuple(POLICIES)), beginning=BEGINNINGS,
                opening=st.lists(st.tuples(NUMBERS, SMALL, SMALL), min_size=4, max_size=16))
    def begin(self, policy: str, beginning: datetime, opening: list[tuple[int, int, int]]) -> None:
        """Vouchers, and some steps towards the bank: from nothing, few steps would reach a claim."""
        note(policy)
        self.stage.do(self._open(policy, beginning))
        for number, which, n in opening:
            note(self.stage.do(self.walk.go(number, which, n, forward=True)))

    async def _open(self, policy: str, beginning: datetime) -> None:
        await empty(self.stage.owner, self.stage.tables)
        world = World(None, self.stage.owner, Clock(beginning), self.stage.settings, ports())  # type: ignore[arg-type]
        walk = await open_walk(world, policy, self.done)
        vouchers = MOVES["be_granted_an_amount" if walk.rules.allocation == "approved_amount" else "take_of_a_round"]
        for n in (10, 11):
            await walk.make(vouchers, await walk.look(), n)
        self.walk = walk

    @rule(number=NUMBERS, which=SMALL, n=SMALL, aimed=AIMED)
    def step(self, number: int, which: int, n: int, aimed: bool) -> None:
        note(self.stage.do(self.walk.go(number, which, n, aimed=aimed)))

    @invariant()
    def the_books_balance(self) -> None:
        if hasattr(self, "walk"):
            self.stage.steps += 1
            self.stage.do(self._prove())

    async def _prove(self) -> None:
        broken = await self.stage.books.broken()
        assert broken == {}, broken
        for name, sql in SUMS.items():
            found = [dict(row) for row in await self.stage.owner.fetch(sql)]
            assert found == [], (name, found)


# --- running it ------------------------------------------------------------------------------------------------------


def walking() -> type[RandomWalk]:
    """With a count of its own of what was done."""
    return type("Walking", (RandomWalk,), {"done": Counter()})


async def test_a_short_walk_leaves_the_books_balanced_at_each_step(stage: Stage) -> None:
    walk = walking()
    await play(walk, stage, examples=16, steps=80, derandomize=True)
    assert [name for name in MOVES if not walk.done[name]] == []


# What becomes of a move in different ways, and what happens by itself.
OUTCOMES = (
    "send back to work", "send back into a dispute", "ruling of nothing", "ruling of a part", "ruling of all",
    "line paid", "line returned by the bank", "appeal about a payment", "appeal about a redemption",
    "overturn a payment, reopened", "overturn a payment, too late", "overturn a redemption, reopened", "overturn a redemption, too late",
    "overturn a freeze, freeing", "wait until the instant", "wait until an instant before",
    "sweep wallet.expire", "sweep orders.close_unpaid", "sweep orders.remind_unaccepted", "sweep orders.remind_unconfirmed",
    "sweep orders.remind_undelivered", "sweep orders.expire_terminations", "sweep reviews.review", "sweep reviews.remind",
    "sweep reviews.reveal", "sweep rounds.open", "sweep rounds.end",
)


@pytest.mark.soak
async def test_a_long_walk_meets_every_outcome(stage: Stage) -> None:
    walk = walking()
    await play(walk, stage, examples=250, steps=80)
    assert [name for name in (*MOVES, *OUTCOMES) if not walk.done[name]] == []


# --- mutants ---------------------------------------------------------------------------------------------------------

MUTANTS = {
    "vouchers come back behind a claim": ("handlers.orders.payment.refund", "await tx.value(LIVE_CLAIM, order.id)", "False"),
    "a line that the bank returned counts as paid": (
        "handlers.redemptions.payouts.ANSWER", "e.kind = 'pre_redeem' WHERE m.paid", "e.kind = 'pre_redeem'",
    ),
    "a rejected payment leaves its vouchers on hold": (
        "handlers.orders.payment_reviews._reject", "await wallet.release(tx, order.id, rules.release_grace_days)", "pass",
    ),
    "a returned line stays in its batch": (
        "handlers.redemptions.payouts.ANSWER", "'redeemed' ELSE 'pre_redeemed' END, paid_at", "'redeemed' ELSE 'in_batch' END, paid_at",
    ),
    "a voucher that was given back can be spent": (
        "handlers.wallet.giving_back.GIVE_BACK", "SET available_fen = 0, given_back_at", "SET given_back_at",
    ),
    "an appeal pays out what it has not taken back": (
        "handlers.appeal_decisions.HELD", "SELECT lot_id, fen FROM", "SELECT lot_id, fen / 2 + 1 AS fen FROM",
    ),
}
# Those that need a deep state; they are looked for in the long form.
RARE = {
    "an appeal pays out what it has not taken back", "a returned line stays in its batch", "a line that the bank returned counts as paid",
}


@pytest.mark.parametrize("bug", [pytest.param(bug, marks=[pytest.mark.soak] if bug in RARE else []) for bug in MUTANTS])
async def test_the_walk_finds(stage: Stage, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    mutate(monkeypatch, *MUTANTS[bug])
    with pytest.raises((AssertionError, asyncpg.PostgresError)):
        await play(walking(), stage, examples=200, steps=60, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    await empty(stage.owner, stage.tables)
