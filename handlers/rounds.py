"""Reservation rounds: drafted by one, confirmed by another, opened, published and issued in their time (E13, E18, 2.5).

What happens between closing and the result is in `draws`; the decisions are in docs/decisions/0040.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Any, TypedDict

import asyncpg

from handlers.context import Context
from handlers.draw_rules import DrawSource
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.programmes import ProgrammeStateWrong, current_policy, lock_programme, managed_prefix, manages, rules_of
from handlers.refusals import Busy, Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.round_plans import Plan, Quota, QuotaView, RoundPlanWrong, settled
from handlers.transactions import Transaction, row, rows, transaction
from models.programmes import ProgrammeState
from models.reservations import ROUND_GRAPH, Allocation, RoundState

LONG_SECONDS = 600  # a batch over a million tickets takes seconds; a stuck one must still end some day


LOCK = "FOR NO KEY UPDATE"
# The advisory lock of round $1: shared by whoever changes a ticket, taken alone by whoever takes the round a step on. So a step waits
# for every ticket that got in before it, and whoever comes later waits for the step and finds the round as it is by then.
TICKETS_LOCK = "1414091595, ($1::bigint % 2147483647)::int"
LOCK_TICKETS = f"SELECT pg_advisory_xact_lock({TICKETS_LOCK})"
LOCK_PROGRAMME = f"SELECT * FROM programmes WHERE id = (SELECT programme_id FROM rounds WHERE id = $1) {LOCK}"


class RoundNumberTaken(Refusal):
    kind, code, title = Kind.CONFLICT, "round_number_taken", "该批次编号已被使用"


class RoundStateWrong(Refusal):
    kind, code, title = Kind.CONFLICT, "round_state_wrong", "批次当前状态不能进行此操作"


class ProgrammeWithoutDraw(Refusal):
    kind, code, title = Kind.CONFLICT, "programme_without_draw", "该项目的政策不采用摇号方式"


class RoundWithoutDraw(Refusal):
    kind, code, title = Kind.CONFLICT, "round_without_draw", "该批次先到先得，没有摇号"


class PublicityNotOver(Refusal):
    kind, code, title = Kind.CONFLICT, "publicity_not_over", "公示期尚未结束，不能发券"


class RoundView(TypedDict):
    id: int
    programme_id: int
    programme: str
    policy_number: int
    allocation: Allocation
    number: str
    name: str
    state: RoundState
    opens_at: datetime
    closes_at: datetime
    draw_at: datetime
    publicity_at: datetime
    publicity_until: datetime
    valid_until: date
    notes: str
    randomness: list[DrawSource]
    quotas: list[QuotaView]
    draw_secrets: list[str]  # roles whose commitment is there
    ticket_count: int | None
    commitment_digest: str | None
    void_reason: str | None
    is_open: bool  # 预约飘窗 (E13)
    made_by_id: int
    confirmed_by_id: int | None
    finalised_by_id: int | None


# --- making ----------------------------------------------------------------------------------------------------------

# What a plan says, whatever else a round is.
PLANNED = (
    "allocation", "number", "name", "opens_at", "closes_at", "draw_at", "publicity_at", "publicity_until", "valid_until",
    "randomness", "notes", "give_back_days",
)
_VALUES = ", ".join(f"${number}" for number in range(4, 4 + len(PLANNED)))
DRAFT = f"""
INSERT INTO rounds (state, programme_id, policy_id, made_by_id, {", ".join(PLANNED)}, created_at)
VALUES ('draft', $1, $2, $3, {_VALUES}, ${4 + len(PLANNED)}) RETURNING id
"""
REDRAFT = f"UPDATE rounds SET policy_id = $2, made_by_id = $3, ({', '.join(PLANNED)}) = ({_VALUES}) WHERE id = $1"


async def draft_round(ctx: Context, programme_id: int, plan: Plan) -> RoundView:
    """Under the programme's newest confirmed policy.

    Raises ProgrammeNotReady, ProgrammeStateWrong, ProgrammeWithoutDraw, RoundPlanWrong, RoundNumberTaken.
    """
    async with transaction(ctx) as tx:
        programme = await lock_programme(ctx, tx, programme_id)
        policy = await current_policy(tx, programme_id)
        if programme.state == ProgrammeState.ENDED:
            raise ProgrammeStateWrong(state=programme.state)
        planned = _planned(ctx, plan, policy)
        try:
            round_id = await tx.value(DRAFT, programme_id, policy.id, ctx.person_id, *planned, ctx.now)
        except asyncpg.UniqueViolationError as error:
            raise RoundNumberTaken from error
        await _write_quotas(tx, round_id, programme_id, plan.quotas)
        tx.record("round.drafted", "round", round_id, after="draft", number=plan.number)
        return tx.reply(await view_in(tx, round_id))


async def replace_draft(ctx: Context, round_id: int, plan: Plan) -> RoundView:
    """Whoever changed it last is its maker: another person must confirm what this one wrote."""
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state != RoundState.DRAFT:
            raise RoundStateWrong(state=found.state)
        policy = await current_policy(tx, found.programme_id)
        planned = _planned(ctx, plan, policy)
        try:
            await tx.run(REDRAFT, round_id, policy.id, ctx.person_id, *planned)
        except asyncpg.UniqueViolationError as error:
            raise RoundNumberTaken from error
        await tx.run("DELETE FROM round_quotas WHERE round_id = $1", round_id)
        await _write_quotas(tx, round_id, found.programme_id, plan.quotas)
        tx.record("round.redrafted", "round", round_id, number=plan.number)
        return tx.reply(await view_in(tx, round_id))


async def confirm_round(ctx: Context, round_id: int) -> RoundView:
    """Announce it; by another person than its maker. From here nothing of the plan changes."""
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state != RoundState.DRAFT:
            raise RoundStateWrong(state=found.state)
        if found.programme_state != ProgrammeState.PUBLISHED:
            raise ProgrammeStateWrong(state=found.programme_state)
        if found.made_by_id == ctx.person_id:
            raise SecondPersonNeeded
        if found.closes_at <= ctx.now:
            raise RoundPlanWrong(problem="past")
        if await tx.value(OVERLAPPING, round_id):
            raise RoundPlanWrong(problem="overlaps")
        await move(tx, ROUND_GRAPH, found, RoundState.ANNOUNCED, confirmed_by_id=ctx.person_id)
        if found.allocation == Allocation.FIRST_COME:
            await tx.run(SHARE_OUT, round_id, SHARES)
        return tx.reply(await view_in(tx, round_id))


YEAR = "extract(year FROM {round}.draw_at AT TIME ZONE 'Asia/Shanghai')::int"
# Whether another round of the programme in a condition shares a type with a yearly cap, in the same year, with round $1. Between
# one's commitment and its draw the wins left are published and must not change, and until its publicity they would tell the result in
# the other's list, so two such rounds take turns.
COMPETING = f"""
SELECT EXISTS (
  SELECT FROM rounds r JOIN rounds o ON o.programme_id = r.programme_id AND o.id <> r.id AND {{condition}}
    AND {YEAR.format(round="o")} = {YEAR.format(round="r")}
  JOIN round_quotas a ON a.round_id = r.id JOIN round_quotas b ON b.round_id = o.id AND b.voucher_type_id = a.voucher_type_id
  JOIN voucher_types t ON t.id = a.voucher_type_id AND t.annual_win_cap IS NOT NULL
  WHERE r.id = $1)
"""
# A round of first come, first served gives out wins at any moment: none of them while a draw of the same year is to come.
OVERLAPPING = COMPETING.format(
    condition="(o.allocation = r.allocation AND r.allocation = 'lottery'"
              " AND o.state IN ('announced', 'open', 'closed', 'committed', 'drawn')"
              " AND o.closes_at <= r.publicity_at AND r.closes_at <= o.publicity_at"
              " OR o.allocation <> r.allocation AND o.state IN ('announced', 'open', 'closed', 'committed', 'drawn', 'publicity'))"
)
# A public value that is known already: what was not committed before it is never committed, it can only be voided.
PASSED = "EXISTS (SELECT FROM jsonb_to_recordset({round}.randomness) AS s (at timestamptz) WHERE s.at <= {now})"
SHARES = 32  # parts of a quota: more than are ever held at once by the connections of one machine
SHARE_OUT = """
INSERT INTO round_shares (round_id, voucher_type_id, first_place, size, remaining, is_open)
SELECT round_id, voucher_type_id, first + 1, next - first, next - first, true
FROM round_quotas CROSS JOIN LATERAL (SELECT least(quota, $2)::bigint AS parts) p
CROSS JOIN LATERAL generate_series(0, parts - 1) AS part
CROSS JOIN LATERAL (SELECT (part * quota / parts)::int AS first, ((part + 1) * quota / parts)::int AS next) share
WHERE round_id = $1
"""
SHUT = "UPDATE round_shares SET is_open = false WHERE round_id = $1"  # waits for whoever is taking a voucher; nobody follows


def _planned(ctx: Context, plan: Plan, policy: Any) -> tuple[object, ...]:
    return *settled(ctx.now, plan, allocation_of(policy)), rules_of(policy).give_back_days


def allocation_of(policy: Any) -> Allocation:
    """Raises ProgrammeWithoutDraw where vouchers are given out in neither way."""
    rules = rules_of(policy)
    if rules.allocation not in set(Allocation):
        raise ProgrammeWithoutDraw
    return Allocation(rules.allocation)


async def _write_quotas(tx: Transaction, round_id: int, programme_id: int, quotas: Sequence[Quota]) -> None:
    """One for each voucher type of the programme that the round has, once."""
    types = [quota["voucher_type_id"] for quota in quotas]
    written = await tx.run(
        "INSERT INTO round_quotas (round_id, voucher_type_id, quota, alternates)"
        " SELECT $1, t.id, q.quota, q.alternates FROM unnest($3::bigint[], $4::int[], $5::int[]) AS q (id, quota, alternates)"
        " JOIN voucher_types t ON t.id = q.id AND t.programme_id = $2 ON CONFLICT DO NOTHING",
        round_id, programme_id, types, [quota["quota"] for quota in quotas], [quota["alternates"] for quota in quotas],
    )
    if not types or written != len(types):
        raise RoundPlanWrong(problem="voucher_types")


async def lock_round(ctx: Context, tx: Transaction, round_id: int) -> Any:
    """A round of the acting official's jurisdiction with its programme's state, both locked, the programme first.

    Whoever counts wins of a programme does it one after another. NO KEY: reservations and lots may refer to both meanwhile.
    """
    await tx.run(LOCK_TICKETS, round_id)
    programme = await tx.row(LOCK_PROGRAMME, round_id)
    if programme is None or not manages(ctx, programme.region_code):
        raise NotFound
    return await tx.row(f"SELECT r.*, $2::text AS programme_state FROM rounds r WHERE r.id = $1 {LOCK}", round_id, programme.state)


# --- looking ---------------------------------------------------------------------------------------------------------

SELECT = """
SELECT r.*, p.name AS programme, p.region_code, y.number AS policy_number, d.ticket_count,
  d.commitment->>'commitment_digest' AS commitment_digest,
  (SELECT coalesce(jsonb_agg(s.role ORDER BY s.role), '[]') FROM draw_secrets s WHERE s.round_id = r.id) AS draw_secrets,
  (SELECT jsonb_agg(jsonb_build_object('voucher_type_id', t.id, 'code', t.code, 'name', t.name, 'face_fen', t.face_fen,
     'annual_win_cap', t.annual_win_cap, 'quota', q.quota, 'alternates', q.alternates, 'left',
     (SELECT sum(s.remaining) FROM round_shares s WHERE s.round_id = q.round_id AND s.voucher_type_id = t.id)) ORDER BY t.id)
   FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id WHERE q.round_id = r.id) AS quotas
FROM rounds r JOIN programmes p ON p.id = r.programme_id JOIN policies y ON y.id = r.policy_id
LEFT JOIN draws d ON d.round_id = r.id
"""


async def list_rounds(ctx: Context, *, programme_id: int | None, open_only: bool, page: Page) -> PageView[RoundView]:
    """Newest first; `open_only` is what the home page asks for its entry (E13). Drafts are for the officials of the region."""
    key = page.key()
    found = await rows(
        SELECT + " WHERE (r.state <> 'draft' OR p.region_code LIKE $1 || '%') AND ($2::bigint IS NULL OR r.programme_id = $2)"
        " AND (NOT $3 OR r.state IN ('announced', 'open') AND r.opens_at <= $4 AND $4 < r.closes_at)"
        " AND ($5::bigint IS NULL OR r.id < $5) ORDER BY r.id DESC LIMIT $6",
        managed_prefix(ctx), programme_id, open_only, ctx.now, key[0] if key else None, page.limit + 1,
    )
    return page_of(found, page, lambda each: round_view(each, ctx.now), lambda each: [each.id])


async def get_round(ctx: Context, round_id: int) -> RoundView:
    found = await row(SELECT + " WHERE r.id = $1", round_id)
    if found is None or (found.state == RoundState.DRAFT and not manages(ctx, found.region_code)):
        raise NotFound
    return round_view(found, ctx.now)


async def view_in(tx: Transaction, round_id: int) -> RoundView:
    return round_view(await tx.row(SELECT + " WHERE r.id = $1", round_id), tx.ctx.now)


def is_open(round_: Any, now: datetime) -> bool:
    """By the times, not by the sweep: who asks in the window gets in even if the sweep is a second late."""
    return round_.state in {RoundState.ANNOUNCED, RoundState.OPEN} and bool(round_.opens_at <= now < round_.closes_at)


def round_view(row: Any, now: datetime) -> RoundView:
    return {
        "id": row.id, "programme_id": row.programme_id, "programme": row.programme, "policy_number": row.policy_number,
        "allocation": row.allocation, "number": row.number, "name": row.name, "state": row.state,
        "opens_at": row.opens_at, "closes_at": row.closes_at, "draw_at": row.draw_at,
        "publicity_at": row.publicity_at, "publicity_until": row.publicity_until,
        "valid_until": row.valid_until, "notes": row.notes, "randomness": row.randomness, "quotas": row.quotas,
        "draw_secrets": row.draw_secrets, "ticket_count": row.ticket_count, "commitment_digest": row.commitment_digest,
        "void_reason": row.void_reason, "is_open": is_open(row, now), "made_by_id": row.made_by_id,
        "confirmed_by_id": row.confirmed_by_id, "finalised_by_id": row.finalised_by_id,
    }


# --- in their time ---------------------------------------------------------------------------------------------------

Step = Callable[[Context, int], Awaitable[bool]]


async def each_due(ctx: Context, sql: str, step: Step, limit: int) -> int:
    """Carry out `step` for each round that `sql` finds, each in a transaction of its own, and return how many it was done for.

    A round that another machine has, or that cannot go on, does not hold up the others; what was wrong is raised at the end.
    """
    done, broken = 0, []
    for found in await rows(sql, ctx.now, limit):
        try:
            done += await step(ctx, found.id)
        except Busy:
            continue
        except Exception as error:  # noqa: BLE001 - it is raised below, once the others are served
            broken.append(error)
    if broken:
        raise ExceptionGroup("rounds that could not go on", broken)
    return done


async def lock_due(tx: Transaction, round_id: int, state: RoundState, column: str) -> Any:
    """The round, locked behind its tickets and its programme, if it is still due; None if it is not."""
    await tx.run(LOCK_TICKETS, round_id)
    await tx.row(LOCK_PROGRAMME, round_id)
    return await tx.row(f"SELECT * FROM rounds WHERE id = $1 AND state = $2 AND {column} <= $3 {LOCK}", round_id, state, tx.ctx.now)


async def open_due_rounds(ctx: Context, limit: int = 20) -> int:
    """announced -> open at `opens_at`."""
    return await each_due(
        ctx, "SELECT id FROM rounds WHERE state = 'announced' AND opens_at <= $1 ORDER BY opens_at, id LIMIT $2", _open, limit
    )


async def _open(ctx: Context, round_id: int) -> bool:
    async with transaction(ctx) as tx:
        if found := await lock_due(tx, round_id, RoundState.ANNOUNCED, "opens_at"):
            await move(tx, ROUND_GRAPH, found, RoundState.OPEN)
        return found is not None


# Who keeps the digest can show later that the bundle is not the committed one (docs/draw.md, 6). In two halves for a channel whose
# values have 32 characters.
TELL_COMMITMENT = """
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'draw_committed', v.organisation_id, 'reservation', v.id, jsonb_build_object(
  'round', r.name, 'ticket_no', 'R' || r.number || '-' || lpad(v.id::text, 8, '0'), 'draw_at', r.draw_at, 'source', $3::text,
  'digest', $2::text, 'digest_start', left($2, 32), 'digest_end', right($2, 32)), $4
FROM reservations v JOIN rounds r ON r.id = v.round_id WHERE v.round_id = $1 AND v.state = 'submitted' ORDER BY v.id
"""
TELL_RESULTS = """
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'draw_result', v.organisation_id, 'reservation', v.id, jsonb_build_object(
  'round', r.name, 'ticket_no', 'R' || r.number || '-' || lpad(v.id::text, 8, '0'), 'voucher_type', t.name, 'rank', v.rank,
  'result', CASE v.state WHEN 'submitted' THEN 'lost' ELSE v.state END, 'publicity_until', r.publicity_until), $2
FROM reservations v JOIN rounds r ON r.id = v.round_id JOIN voucher_types t ON t.id = v.voucher_type_id
WHERE v.round_id = $1 AND v.state IN ('submitted', 'won', 'alternate') ORDER BY v.id
"""


async def publicise_due_rounds(ctx: Context, limit: int = 20) -> int:
    """drawn -> publicity at `publicity_at`; everybody who had a ticket is told the result (E18)."""
    return await each_due(
        ctx, "SELECT id FROM rounds WHERE state = 'drawn' AND publicity_at <= $1 ORDER BY publicity_at, id LIMIT $2",
        _publicise, limit,
    )


async def _publicise(ctx: Context, round_id: int) -> bool:
    async with transaction(ctx) as tx:
        if found := await lock_due(tx, round_id, RoundState.DRAWN, "publicity_at"):
            seed = await tx.value("SELECT seed FROM draws WHERE round_id = $1", round_id)
            await move(tx, ROUND_GRAPH, found, RoundState.PUBLICITY, note={"seed": seed})
            await allow_long_statements(tx)
            await tx.connection.execute(TELL_RESULTS, round_id, ctx.now, timeout=LONG_SECONDS)
        return found is not None


async def allow_long_statements(tx: Transaction) -> None:
    """For the rest of this transaction; the sort of a million tickets should not go through the disk either."""
    await tx.run(f"SELECT set_config('statement_timeout', '{LONG_SECONDS}s', true), set_config('work_mem', '256MB', true)")
