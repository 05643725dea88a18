"""An enterprise gives an unused voucher back (主动放弃), and the win does not count towards its yearly cap any more (E17, F06)."""

from typing import NoReturn

from handlers.context import Context
from handlers.moves import move
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, transaction
from handlers.wallet.calendar import shanghai_date
from handlers.wallet.views import LOT_COLUMNS, LotState, LotView, view_lot
from models.reservations import RESERVATION_GRAPH, ReservationState


class CannotGiveBack(Refusal):
    """Used before, too late, or no win. `data.give_back_until` is the last day, null where there is none."""

    kind, code, title = Kind.CONFLICT, "cannot_give_back", "只有从未使用过的中签服务券可以在规定期限内放弃"


# Ticket before lot, as docs/locking.md has it; the lot's ticket never changes.
LOCK_TICKET = """
SELECT r.* FROM reservations r JOIN lots l ON l.reservation_id = r.id
WHERE l.id = $1 AND l.organisation_id = $2 FOR NO KEY UPDATE OF r
"""
# A payment empties `give_back_until`, also one that came back whole: it was used.
GIVE_BACK = """
WITH given AS (
  UPDATE lots SET available_fen = 0, given_back_at = $2, give_back_until = NULL
  WHERE id = $1 AND available_fen = face_fen AND give_back_until >= $3 AND expires_at > $2
  RETURNING id, programme_id, organisation_id, face_fen
)
INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, organisation_id, 'give_back', 'available', 'returned', face_fen, $2 FROM given
"""
SHOWN = f"SELECT {LOT_COLUMNS}, NULL AS directions FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id WHERE l.id = $1"


async def give_back_lot(ctx: Context, lot_id: int) -> LotView:
    """The whole voucher, for good; it is not given out again. Raises NotFound, CannotGiveBack."""
    async with transaction(ctx) as tx:
        ticket = await tx.row(LOCK_TICKET, lot_id, ctx.organisation_id)
        if ticket is None:
            await _refuse(ctx, tx, lot_id)
        if not await tx.run(GIVE_BACK, lot_id, ctx.now, shanghai_date(ctx.now)):
            await _refuse(ctx, tx, lot_id)
        await move(tx, RESERVATION_GRAPH, ticket, ReservationState.GIVEN_BACK, win_year=None, win_nth=None, changed_at=ctx.now)
        lot = await tx.row(SHOWN, lot_id)
        tx.announce(
            "voucher_given_back", "lot", lot_id, organisation_id=ctx.organisation_id, voucher_type=lot.voucher_type,
            amount_fen=lot.face_fen,
        )
        return tx.reply(view_lot(lot, LotState.GIVEN_BACK))


async def _refuse(ctx: Context, tx: Transaction, lot_id: int) -> NoReturn:
    found = await tx.row("SELECT give_back_until FROM lots WHERE id = $1 AND organisation_id = $2", lot_id, ctx.organisation_id)
    if found is None:
        raise NotFound
    raise CannotGiveBack(give_back_until=found.give_back_until and found.give_back_until.isoformat())
