"""First come, first served (先到先得): a ticket that wins at once while the quota lasts, and its voucher with it (decision 0221).

The quota is in parts (`round_shares`), because one counter would be one hot row. Who comes takes a place of a part that nobody holds;
only who finds all of them held waits for one. So there is never a voucher too many, and nobody is refused while one is left.
The parts are also the round's door: closing shuts them, behind whoever is inside, and who comes later finds them shut.
Why it is as it is: docs/decisions/0221.
"""

import secrets
from typing import Any

from handlers.context import Context
from handlers.draw_rules import SALT_BYTES
from handlers.eligibility import refuse_unless
from handlers.moves import move
from handlers.refusals import Busy
from handlers.reservation_rules import (
    ReservationView,
    choice_of,
    one_ticket_rule,
    read_facts,
    reservation_view,
    round_tree,
    type_tree,
)
from handlers.rounds import SHUT, each_due, lock_due
from handlers.transactions import Transaction, one_statement, transaction
from handlers.wallet import ISSUE_TICKET, first_unusable_instant, give_back_until, shanghai_date
from models.reservations import ROUND_GRAPH, ReservationState, RoundState

# The n-th win of a year takes the lowest free number, as in a draw, which is the one behind those that are taken without a gap: UNIQUE
# keeps two rounds from giving the same one. Whatever is in the way of the ticket (a colleague's, a win of another round at the same
# moment) leaves the part as it was.
TAKE = f"""
share AS MATERIALIZED (
  SELECT id, first_place + size - remaining AS place FROM round_shares
  WHERE round_id = $2 AND voucher_type_id = $4 AND remaining > 0 AND is_open LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
), win AS (
  SELECT 1 + count(*) AS nth FROM (
    SELECT win_nth, row_number() OVER (ORDER BY win_nth) AS nth FROM reservations
    WHERE organisation_id = $3 AND voucher_type_id = $4 AND win_year = $9 AND win_nth IS NOT NULL) taken
  WHERE win_nth = nth
), ticket AS (
  INSERT INTO reservations (id, round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at, rank,
    win_year, win_nth)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $8, share.place, $9, win.nth FROM share CROSS JOIN win WHERE $10::int IS NULL OR win.nth <= $10
  ON CONFLICT DO NOTHING RETURNING id, organisation_id, voucher_type_id
), placed AS (
  UPDATE round_shares s SET remaining = s.remaining - 1 FROM share CROSS JOIN ticket WHERE s.id = share.id
), {ISSUE_TICKET}
"""
# Behind whoever holds a part, instead of past them.
TAKE_IN_TURN = TAKE.replace(" SKIP LOCKED", "")


async def take(ctx: Context, facts: Any, choice: dict[str, Any]) -> ReservationView:
    """Take a voucher whose rules have passed; `facts` with the number of the ticket.

    Raises AlreadyReserved, VoucherTypeTaken, VoucherTypeCapped, RoundNotOpen: what has changed since the facts were read.
    """
    async with one_statement(ctx) as tx:
        view = await _written(tx, TAKE, facts, choice)
    if view is None:
        async with transaction(ctx) as tx:
            view = await _written(tx, TAKE_IN_TURN, facts, choice)
            if view is None:
                facts = await read_facts(ctx, tx, facts.id)
                refuse_unless(round_tree(ctx, facts, one_ticket_rule(facts)), type_tree(choice_of(facts, choice["id"])))
                raise Busy  # a win of another round took the number of the year meanwhile: once more, from the beginning
    return view


async def _written(tx: Transaction, taking: str, facts: Any, choice: dict[str, Any]) -> ReservationView | None:
    ctx = tx.ctx
    ticket = {
        "id": facts.next_id, "round_id": facts.id, "organisation_id": ctx.organisation_id, "voucher_type_id": choice["id"],
        "state": ReservationState.ISSUED.value, "salt": secrets.token_bytes(SALT_BYTES), "reserved_by_id": ctx.person_id,
        "submitted_at": ctx.now,
    }
    tx.record("reservation.issued", "reservation", facts.next_id, after="issued", voucher_type_id=choice["id"])
    tx.announce(
        "voucher_issued", "reservation", facts.next_id, organisation_id=ctx.organisation_id, round=facts.name,
        voucher_type=choice["name"], amount_fen=choice["face_fen"], valid_until=facts.valid_until.isoformat(),
    )
    view = tx.reply(reservation_view({**facts, **ticket, "changed_at": ctx.now, "rank": None}, choice["name"], ctx.now), 201)
    today = shanghai_date(ctx.now)
    made = await tx.last(
        "SELECT id FROM ticket", *ticket.values(), today.year, choice["cap"], facts.programme_id, choice["face_fen"], today,
        facts.valid_until, first_unusable_instant(facts.valid_until), give_back_until(today, facts.give_back_days), before=taking,
    )
    return view if made else None


# --- in their time ---------------------------------------------------------------------------------------------------

ENDING = """
SELECT id FROM rounds WHERE state = 'open' AND allocation = 'first_come' AND closes_at <= $1 ORDER BY closes_at, id LIMIT $2
"""


async def end_due_rounds(ctx: Context, limit: int = 20) -> int:
    """open -> final at `closes_at`, whatever is left of the quotas: what was taken is in the wallets already."""
    return await each_due(ctx, ENDING, _end, limit)


async def _end(ctx: Context, round_id: int) -> bool:
    async with transaction(ctx) as tx:
        if found := await lock_due(tx, round_id, RoundState.OPEN, "closes_at"):
            await tx.run(SHUT, round_id)
            await move(tx, ROUND_GRAPH, found, RoundState.FINAL)
        return found is not None
