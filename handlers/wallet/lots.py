"""Vouchers come into the wallet with a round and leave it on the day after their last (E22)."""

from datetime import date
from typing import Any

from handlers.context import Context
from handlers.transactions import Transaction, transaction
from handlers.wallet.calendar import first_unusable_instant, give_back_until, shanghai_date

BATCH_SECONDS = 600  # a hundred thousand vouchers take longer than any request; the caller has raised statement_timeout likewise
ISSUE_ROUND = """
WITH made AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, reservation_id, face_fen, available_fen, held_fen, spent_fen,
                    expired_fen, valid_from, valid_until, expires_at, created_at, give_back_until)
  SELECT $2, r.voucher_type_id, r.organisation_id, r.id, t.face_fen, t.face_fen, 0, 0, 0, $3, $4, $5, $6, $7
  FROM reservations r JOIN voucher_types t ON t.id = r.voucher_type_id
  WHERE r.round_id = $1 AND r.rank IS NOT NULL AND r.state = 'issued' ORDER BY r.id
  RETURNING id, organisation_id, face_fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT $2, id, organisation_id, 'issue', 'budget', 'available', face_fen, $6 FROM made
)
SELECT count(*) FROM made
"""


async def issue_round(ctx: Context, tx: Transaction, round_: Any) -> int:
    """Put a voucher into the wallet of everybody whose ticket of the round is `issued`, in one statement. Returns how many.

    Behind the tickets, whose rows are then ours already: else each voucher would lock its ticket first.
    """
    today = shanghai_date(ctx.now)
    issued: int = await tx.connection.fetchval(
        ISSUE_ROUND, round_.id, round_.programme_id, today, round_.valid_until, first_unusable_instant(round_.valid_until), ctx.now,
        give_back_until(today, round_.give_back_days), timeout=BATCH_SECONDS,
    )
    return issued


# Parts of a statement that has made a `ticket`: $8 now, $11 programme, $12 face in fen, $13 today, $14 last day, $15 its end,
# $16 until when it may be given back.
ISSUE_TICKET = """
lot AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, reservation_id, face_fen, available_fen, held_fen, spent_fen,
                    expired_fen, valid_from, valid_until, expires_at, created_at, give_back_until)
  SELECT $11, voucher_type_id, organisation_id, id, $12, $12, 0, 0, 0, $13, $14, $15, $8, $16 FROM ticket RETURNING id, organisation_id
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT $11, id, organisation_id, 'issue', 'budget', 'available', $12, $8 FROM lot
)
"""

ISSUE_GRANT = """
WITH made AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, grant_id, face_fen, available_fen, held_fen, spent_fen,
                    expired_fen, valid_from, valid_until, expires_at, created_at)
  VALUES ($1, $2, $3, $4, $5, $5, 0, 0, 0, $6, $7, $8, $9) RETURNING id
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT $1, id, $3, 'issue', 'budget', 'available', $5, $9 FROM made
)
SELECT id FROM made
"""


async def issue_grant(ctx: Context, tx: Transaction, grant: Any) -> int:
    """Put what was granted into the enterprise's wallet as one lot (C24). Returns its id. UNIQUE: a grant is issued once."""
    lot_id: int = await tx.value(
        ISSUE_GRANT, grant.programme_id, grant.voucher_type_id, grant.organisation_id, grant.id, grant.amount_fen, grant.awarded_on,
        grant.valid_until, first_unusable_instant(grant.valid_until), ctx.now,
    )
    return lot_id


AWARDED = """
SELECT max(coalesce(g.awarded_on, origin.valid_from, l.valid_from)) FROM lots l
LEFT JOIN grants g ON g.id = l.grant_id LEFT JOIN lots origin ON origin.id = l.grace_of_id WHERE l.id = ANY($1)
"""


async def awarded_on(tx: Transaction, lot_ids: list[int]) -> date:
    """The latest award among these lots (C44). A grace lot was awarded when the one before it was."""
    found: date = await tx.value(AWARDED, lot_ids)
    return found


EXPIRE = """
WITH due AS (
  SELECT id, available_fen FROM lots WHERE available_fen > 0 AND expires_at <= $1
  ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
  UPDATE lots l SET expired_fen = l.expired_fen + due.available_fen, available_fen = 0, expired_at = $1 FROM due WHERE l.id = due.id
  RETURNING l.id, l.programme_id, l.organisation_id, due.available_fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT programme_id, id, organisation_id, 'expire', 'available', 'expired', available_fen, $1 FROM gone
)
SELECT count(*) AS lots, coalesce(sum(available_fen), 0)::bigint AS fen, min(id) AS first_id FROM gone
"""


async def expire_due(ctx: Context, limit: int = 5_000) -> int:
    """Take what is left of lots whose last day is over; what is on hold is protected. Returns how many lots."""
    async with transaction(ctx) as tx:
        gone = await tx.row(EXPIRE, ctx.now, limit)
        if gone.lots:
            tx.record("lots.expired", "lot", gone.first_id, lots=gone.lots, fen=gone.fen)
        return int(gone.lots)
