"""From a published result to vouchers: giving up a win, alternates moving up (F15), and the issue."""

from typing import Any

from handlers import approvals, wallet
from handlers.context import Context
from handlers.draws import BLOCKED, DrawContradictionError
from handlers.moves import move
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.reservation_rules import ReservationView
from handlers.reservations import SELECT, view_of
from handlers.rounds import (
    LOCK,
    LOCK_PROGRAMME,
    LONG_SECONDS,
    YEAR,
    PublicityNotOver,
    RoundStateWrong,
    RoundView,
    allow_long_statements,
    lock_round,
    view_in,
)
from handlers.transactions import Transaction, transaction
from models.reservations import RESERVATION_GRAPH, ROUND_GRAPH, ReservationState, RoundState


class NothingToDecline(Refusal):
    """Not won, not published yet, or already issued."""

    kind, code, title = Kind.CONFLICT, "nothing_to_decline", "当前没有可以放弃的中签或候补资格"


class VouchersOver(Refusal):
    """Their last day is over: what would be issued could never be used. Such a round can only be voided."""

    kind, code, title = Kind.CONFLICT, "vouchers_over", "该批次服务券的有效期已过，不能发券，请作废该批次"


class RoundWaitsForOther(Refusal):
    kind, code, title = Kind.CONFLICT, "round_waits_for_other", "同项目另一批次已封存而结果尚未公示，候补须待其公示后递补，请稍后发券"


class RoundContested(Refusal):
    """`data`: how many `objections` and `disqualifications` are open, and whether a `voiding` waits for its second person."""

    kind, code, title = Kind.CONFLICT, "round_contested", "批次尚有未办结的异议或作废提议，不能发券"


# Vacant places go to the alternates in the order of the draw; who reached the yearly cap meanwhile is passed over. $3: whether
# types with a cap take part; while another round is committed its published "wins left" must not be used up from here, and until its
# result is public who is passed over would tell it.
FILL = f"""
WITH vacancies AS MATERIALIZED (
  SELECT q.voucher_type_id, q.quota, t.annual_win_cap AS cap, {YEAR.format(round="r")} AS year, q.quota - (
    SELECT count(*) FROM reservations v WHERE v.round_id = $1 AND v.voucher_type_id = q.voucher_type_id
      AND v.rank IS NOT NULL AND v.state IN ('won', 'issued')) AS vacant
  FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id JOIN rounds r ON r.id = q.round_id
  WHERE q.round_id = $1 AND ($3 OR t.annual_win_cap IS NULL)
), able AS (
  SELECT v.id, q.quota, q.vacant, q.year, f.nth, row_number() OVER (PARTITION BY v.voucher_type_id ORDER BY v.rank) AS place
  FROM reservations v JOIN vacancies q ON q.voucher_type_id = v.voucher_type_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS wins, coalesce(array_agg(o.win_nth), '{{}}') AS taken
    FROM reservations o WHERE o.organisation_id = v.organisation_id AND o.voucher_type_id = v.voucher_type_id
      AND o.win_year = q.year AND o.win_nth IS NOT NULL) w
  CROSS JOIN LATERAL (SELECT min(n) AS nth FROM generate_series(1, 1 + w.wins) AS n WHERE n <> ALL (w.taken)) f
  WHERE v.round_id = $1 AND v.rank IS NOT NULL AND v.state = 'alternate' AND q.vacant > 0 AND (q.cap IS NULL OR w.wins < q.cap)
), moved AS (
  UPDATE reservations v SET state = 'won', rank = a.quota + v.rank, win_year = a.year, win_nth = a.nth, changed_at = $2
  FROM able a WHERE v.id = a.id AND a.place <= a.vacant RETURNING v.id, v.organisation_id, v.voucher_type_id, v.rank
), audited AS (
  INSERT INTO audit_entries (at, person_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $2, $4, $5, 'reservation.moved_up', 'reservation', id, 'alternate', 'won', '{{}}', $6 FROM moved
), told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
  SELECT 'draw_result', m.organisation_id, 'reservation', m.id, jsonb_build_object('round', r.name,
    'ticket_no', 'R' || r.number || '-' || lpad(m.id::text, 8, '0'), 'voucher_type', t.name, 'rank', m.rank, 'result', 'won',
    'publicity_until', r.publicity_until), $2
  FROM moved m JOIN voucher_types t ON t.id = m.voucher_type_id JOIN rounds r ON r.id = $1
)
SELECT count(*) FROM moved
"""
# Whether an alternate of a type with a cap stands before a vacant place.
WAITING = """
SELECT EXISTS (
  SELECT FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id AND t.annual_win_cap IS NOT NULL
  WHERE q.round_id = $1
    AND q.quota > (SELECT count(*) FROM reservations v WHERE v.round_id = $1 AND v.voucher_type_id = t.id AND v.rank IS NOT NULL
      AND v.state = 'won')
    AND EXISTS (SELECT FROM reservations v WHERE v.round_id = $1 AND v.voucher_type_id = t.id AND v.rank IS NOT NULL
      AND v.state = 'alternate'))
"""


async def decline_win(ctx: Context, reservation_id: int) -> ReservationView:
    """Give up a published win or alternate's place before vouchers are issued; the next alternate moves up at once.

    It does not count towards the yearly cap. Raises NotFound, NothingToDecline.
    """
    async with transaction(ctx) as tx:
        found = await tx.row(
            "SELECT * FROM reservations WHERE id = $1 AND organisation_id = $2", reservation_id, ctx.organisation_id
        )
        if found is None:
            raise NotFound
        await tx.row(LOCK_PROGRAMME, found.round_id)
        round_ = await tx.row(f"SELECT * FROM rounds WHERE id = $1 {LOCK}", found.round_id)
        found = await tx.row(f"SELECT * FROM reservations WHERE id = $1 {LOCK}", reservation_id)
        if round_.state != RoundState.PUBLICITY or found.state not in {ReservationState.WON, ReservationState.ALTERNATE}:
            raise NothingToDecline
        await move(
            tx, RESERVATION_GRAPH, found, ReservationState.DECLINED, win_year=None, win_nth=None, changed_at=ctx.now
        )
        await approvals.withdraw_approval(tx, "reservation", found.id)
        await fill_vacancies(tx, round_)
        return tx.reply(view_of(await tx.row(SELECT + " WHERE v.id = $1", reservation_id), ctx.now))


async def fill_vacancies(tx: Transaction, round_: Any) -> int:
    """Move alternates up; the caller has locked the round behind its programme. Returns how many moved."""
    ctx = tx.ctx
    blocked = await tx.value(BLOCKED, round_.id)
    moved: int = await tx.value(
        FILL, round_.id, ctx.now, not blocked, ctx.person_id, str(ctx.actor.role), ctx.request_id
    )
    return moved


# No index looks at what changes here (reservations_chosen is of whatever has a rank), so the tickets are updated in place.
ISSUED = """
WITH issued AS (
  UPDATE reservations SET state = 'issued', changed_at = $2 WHERE round_id = $1 AND rank IS NOT NULL AND state = 'won'
  RETURNING id, organisation_id, voucher_type_id
), types AS MATERIALIZED (
  SELECT t.id, t.name, t.face_fen, r.name AS round, r.valid_until FROM rounds r
  JOIN round_quotas q ON q.round_id = r.id JOIN voucher_types t ON t.id = q.voucher_type_id WHERE r.id = $1
), audited AS (
  INSERT INTO audit_entries (at, person_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $2, $3, $4, 'reservation.issued', 'reservation', id, 'won', 'issued', '{}', $5 FROM issued
), told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
  SELECT 'voucher_issued', i.organisation_id, 'reservation', i.id, jsonb_build_object(
    'round', t.round, 'voucher_type', t.name, 'amount_fen', t.face_fen, 'valid_until', t.valid_until), $2
  FROM issued i JOIN types t ON t.id = i.voucher_type_id ORDER BY i.id
)
SELECT count(*) FROM issued
"""


OPEN_OBJECTIONS = "SELECT count(*) FROM draw_objections WHERE round_id = $1 AND state = 'open'"
OPEN_DISQUALIFICATIONS = """
SELECT count(*) FROM approvals a JOIN reservations v ON v.id = a.subject_id
WHERE a.subject = 'reservation' AND a.state = 'open' AND v.round_id = $1
"""
# Nothing is written of an alternate for whom no place was left: as of a loser, the round's state says it (2.5).
TELL_LAPSED = """
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'draw_result', v.organisation_id, 'reservation', v.id, jsonb_build_object(
  'round', r.name, 'ticket_no', 'R' || r.number || '-' || lpad(v.id::text, 8, '0'), 'voucher_type', t.name, 'rank', v.rank,
  'result', 'lapsed', 'hint', '本批次已发券，没有空出的名额'), $2
FROM reservations v JOIN rounds r ON r.id = v.round_id JOIN voucher_types t ON t.id = v.voucher_type_id
WHERE v.round_id = $1 AND v.rank IS NOT NULL AND v.state = 'alternate' ORDER BY v.id
"""


async def finalise_round(ctx: Context, round_id: int) -> RoundView:
    """Issue the vouchers once the objections' time is over; by another person than who made the round, in one transaction.

    Raises RoundStateWrong, PublicityNotOver, VouchersOver, SecondPersonNeeded, RoundContested, RoundWaitsForOther.
    """
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state != RoundState.PUBLICITY:
            raise RoundStateWrong(state=found.state)
        if ctx.now < found.publicity_until:
            raise PublicityNotOver(publicity_until=found.publicity_until.isoformat())
        if ctx.now >= wallet.first_unusable_instant(found.valid_until):
            raise VouchersOver(valid_until=found.valid_until.isoformat())
        if found.made_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await _refuse_contested(tx, found)
        await allow_long_statements(tx)
        await fill_vacancies(tx, found)
        if await tx.value(BLOCKED, round_id) and await tx.value(WAITING, round_id):
            raise RoundWaitsForOther
        issued = await tx.connection.fetchval(
            ISSUED, round_id, ctx.now, ctx.person_id, str(ctx.actor.role), ctx.request_id, timeout=LONG_SECONDS
        )
        vouchers = await wallet.issue_round(ctx, tx, found)
        if vouchers != issued:
            raise DrawContradictionError(f"{vouchers} vouchers for {issued} wins of round {round_id}")
        await tx.connection.execute(TELL_LAPSED, round_id, ctx.now, timeout=LONG_SECONDS)
        await move(tx, ROUND_GRAPH, found, RoundState.FINAL, finalised_by_id=ctx.person_id, note={"vouchers": vouchers})
        return tx.reply(await view_in(tx, round_id))


async def _refuse_contested(tx: Transaction, round_: Any) -> None:
    objections, disqualifications = await tx.value(OPEN_OBJECTIONS, round_.id), await tx.value(OPEN_DISQUALIFICATIONS, round_.id)
    voiding = round_.void_proposal is not None
    if objections or disqualifications or voiding:
        raise RoundContested(objections=objections, disqualifications=disqualifications, voiding=voiding)
