"""The draw of a round: two secrets, the commitment at close, the public values, the draw, the bundle (F01; docs/draw.md).

The rules of hashing and ordering are `draw_rules`; here they meet the database. Every batch is a few statements over all tickets:
a million tickets never pass through this process. Why it is as it is: docs/decisions/0040.
"""

import secrets as randomness
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from handlers import draw_rules
from handlers.context import Context
from handlers.draw_rules import DrawCommitment, DrawResult
from handlers.moves import move
from handlers.personal import open_sealed, seal
from handlers.refusals import Kind, Refusal, SecondPersonNeeded
from handlers.rounds import (
    COMPETING,
    LONG_SECONDS,
    PASSED,
    TELL_COMMITMENT,
    YEAR,
    RoundStateWrong,
    RoundWithoutDraw,
    allow_long_statements,
    each_due,
    lock_due,
    lock_round,
)
from handlers.transactions import Transaction, transaction
from models.accounts import Role
from models.reservations import ROUND_GRAPH, Allocation, RoundState

PIECE_LINES = 1000
ROLES: dict[str, draw_rules.Role] = {Role.DRAW_OFFICER: "officer", Role.WITNESS: "witness"}


class DrawRoleTaken(Refusal):
    kind, code, title = Kind.CONFLICT, "draw_role_taken", "本批次的该角色已由另一位工作人员担任"


class PublicValueTooEarly(Refusal):
    kind, code, title = Kind.CONFLICT, "public_value_too_early", "公开数尚未产生，请在公布时间之后填写"


class PublicValueUnknownSource(Refusal):
    kind, code, title = Kind.INVALID, "public_value_unknown_source", "本批次没有公布过该公开数来源"


class PublicValueWrong(Refusal):
    kind, code, title = Kind.INVALID, "public_value_wrong", "公开数格式不正确，请核对后重新填写"


class PublicValuesDiffer(Refusal):
    kind, code, title = Kind.CONFLICT, "public_values_differ", "与另一位工作人员填写的公开数不一致，请双方重新核对"


class PublicValueAgreed(Refusal):
    kind, code, title = Kind.CONFLICT, "public_value_agreed", "双方填写的公开数已经一致，不能再更改"


class DrawContradictionError(Exception):
    """Stored facts contradict each other (a changed list, a secret that is not the committed one): nothing is drawn from them."""


class SecretView(TypedDict):
    """`commitment` is what will be published; the secret itself is shown to nobody before the draw."""

    round_id: int
    role: str
    commitment: str
    both_there: bool


class PublicValueView(TypedDict):
    source: str
    value: str
    agreed: bool


class PublicValuesView(TypedDict):
    round_id: int
    values: list[PublicValueView]


# --- the two secrets -------------------------------------------------------------------------------------------------


async def put_secret(ctx: Context, round_id: int, secret_hex: str | None) -> SecretView:
    """Commit to a secret, one's own (64 hex characters) or a fresh one; it may be replaced until the list is committed.

    Raises RoundStateWrong, RoundWithoutDraw, DrawRoleTaken, SecondPersonNeeded (the same person in both roles).
    """
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state not in {RoundState.ANNOUNCED, RoundState.OPEN, RoundState.CLOSED}:
            raise RoundStateWrong(state=found.state)
        if found.allocation == Allocation.FIRST_COME:
            raise RoundWithoutDraw
        role = str(ctx.actor.role)
        there = dict(await tx.rows("SELECT role, person_id FROM draw_secrets WHERE round_id = $1", round_id))
        if there.get(role, ctx.person_id) != ctx.person_id:
            raise DrawRoleTaken
        if any(person == ctx.person_id for other, person in there.items() if other != role):
            raise SecondPersonNeeded
        secret = bytes.fromhex(secret_hex) if secret_hex else randomness.token_bytes(draw_rules.SECRET_BYTES)
        commitment = draw_rules.commitment(found.number, ROLES[role], secret)
        await tx.run(
            "INSERT INTO draw_secrets (round_id, role, person_id, commitment, secret, created_at) VALUES ($1,$2,$3,$4,$5,$6)"
            " ON CONFLICT (round_id, role) DO UPDATE SET commitment = $4, secret = $5, created_at = $6",
            round_id, role, ctx.person_id, commitment, seal(ctx.settings, secret.hex()), ctx.now,
        )
        tx.record("round.secret_committed", "round", round_id, role=role, commitment=commitment)
        both = len(there | {role: ctx.person_id}) == len(ROLES)
        return tx.reply(SecretView(round_id=round_id, role=role, commitment=commitment, both_there=both))


# --- closing and committing ------------------------------------------------------------------------------------------

# The list shows what everybody has left to win: with a result in it that is not public yet, it would tell that result (E18).
BLOCKED = COMPETING.format(condition="o.state IN ('committed', 'drawn')")
_MISSED = PASSED.format(round="c", now="$1")
_BLOCKED = BLOCKED.replace("$1", "c.id")
# What can be taken a step on, and nothing else: a closed round that waits would be found again at every tick, before all others.
CLOSING = f"""
SELECT id FROM rounds c WHERE closes_at <= $1 AND allocation = 'lottery' AND (state = 'open' OR state = 'closed' AND CASE
  WHEN {_MISSED} THEN missed_at IS NULL
  ELSE (SELECT count(*) FROM draw_secrets s WHERE s.round_id = c.id) = 2 AND NOT ({_BLOCKED}) END)
ORDER BY closes_at, id LIMIT $2
"""
# The lines of docs/draw.md 2.1, kept as published. A line is null if a credit code is missing; then nothing is committed.
WRITE_LIST = f"""
WITH wins AS MATERIALIZED (
  SELECT organisation_id, voucher_type_id, count(*) AS wins FROM reservations
  WHERE win_nth IS NOT NULL AND win_year = (SELECT {YEAR.format(round="r")} FROM rounds r WHERE r.id = $1)
    AND voucher_type_id IN (SELECT voucher_type_id FROM round_quotas WHERE round_id = $1)
  GROUP BY organisation_id, voucher_type_id
), tickets AS (
  SELECT v.id, 'R' || $2::text || '-' || lpad(v.id::text, 8, '0') AS number, t.code, o.credit_code, encode(v.salt, 'hex') AS salt,
    CASE WHEN t.annual_win_cap IS NULL THEN '-' ELSE greatest(t.annual_win_cap - coalesce(w.wins, 0), 0)::text END AS wins_left
  FROM reservations v JOIN voucher_types t ON t.id = v.voucher_type_id JOIN organisations o ON o.id = v.organisation_id
  LEFT JOIN wins w ON w.organisation_id = v.organisation_id AND w.voucher_type_id = v.voucher_type_id
  WHERE v.round_id = $1 AND v.state = 'submitted'
), lines AS (
  SELECT id, number, (row_number() OVER (ORDER BY id) - 1) / {PIECE_LINES} AS piece, number || '|' || code || '|'
    || encode(sha256(convert_to(number || '|' || credit_code || '|' || salt, 'UTF8')), 'hex') || '|' || wins_left AS line
  FROM tickets
), pieces AS (
  INSERT INTO draw_lists (round_id, number, first_ticket, lines)
  SELECT $1, piece, min(number COLLATE "C"), string_agg(line, E'\\n' ORDER BY id) FROM lines GROUP BY piece RETURNING number, lines
)
SELECT (SELECT count(*) FROM lines)::int AS tickets, (SELECT count(*) FROM lines WHERE line IS NULL OR id > 99999999) AS unfit,
  encode(sha256(convert_to(coalesce(string_agg(lines, E'\\n' ORDER BY number), ''), 'UTF8')), 'hex') AS digest
FROM pieces
"""


async def close_due_rounds(ctx: Context, limit: int = 20) -> int:
    """open -> closed at `closes_at`, and in the same transaction -> committed if both secrets are there; else when they are.

    Of a round that can no longer be committed the managers hear once.
    """
    return await each_due(ctx, CLOSING, _close, limit)


async def _close(ctx: Context, round_id: int) -> bool:
    async with transaction(ctx) as tx:
        found = await lock_due(tx, round_id, RoundState.OPEN, "closes_at")
        closed = await move(tx, ROUND_GRAPH, found, RoundState.CLOSED) if found else None
        closed = closed or await lock_due(tx, round_id, RoundState.CLOSED, "closes_at")
        reasons = await waiting_for(tx, closed) if closed else []
        if closed and not reasons:
            await _commit(tx, closed)
            return True
        if "source_passed" in reasons and closed.missed_at is None:
            await _tell_missed(tx, closed)
            return True
        return found is not None


async def _tell_missed(tx: Transaction, round_: Any) -> None:
    programme = await tx.row("SELECT region_code FROM programmes WHERE id = $1", round_.programme_id)
    await tx.run("UPDATE rounds SET missed_at = $2 WHERE id = $1", round_.id, tx.ctx.now)
    tx.record("round.commitment_missed", "round", round_.id)
    tx.announce(
        "approval_waiting", "round", round_.id, role=Role.PROGRAMME_MANAGER, region_code=programme.region_code, title=round_.name,
        reason="missed",
    )


async def waiting_for(tx: Transaction, round_: Any) -> list[str]:
    """Why a closed round is not committed yet: draw_officer, witness, other_round (until that is public), or source_passed (void it)."""
    there = {row.role for row in await tx.rows("SELECT role FROM draw_secrets WHERE round_id = $1", round_.id)}
    reasons = [str(role) for role in ROLES if role not in there]
    if any(datetime.fromisoformat(source["at"]) <= tx.ctx.now for source in round_.randomness):
        reasons.append("source_passed")
    if not reasons and await tx.value(BLOCKED, round_.id):
        reasons.append("other_round")
    return reasons


async def _commit(tx: Transaction, round_: Any) -> None:
    await allow_long_statements(tx)
    listed = await tx.connection.fetchrow(WRITE_LIST, round_.id, round_.number, timeout=LONG_SECONDS)
    if listed.unfit:
        raise DrawContradictionError(f"{listed.unfit} tickets of round {round_.id} have no line")
    part = await _commitment_part(tx, round_, listed)
    await tx.run(
        "INSERT INTO draws (round_id, rules_version, ticket_count, list_digest, quotas_digest, commitment, committed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        round_.id, part["rules_version"], part["ticket_count"], part["list_digest"], part["quotas_digest"], part, tx.ctx.now,
    )
    await move(tx, ROUND_GRAPH, round_, RoundState.COMMITTED, note={"commitment_digest": part["commitment_digest"]})
    source = "、".join(source["name"] for source in part["sources"])
    await tx.connection.execute(
        TELL_COMMITMENT, round_.id, part["commitment_digest"], source, tx.ctx.now, timeout=LONG_SECONDS
    )


async def _commitment_part(tx: Transaction, round_: Any, listed: Any) -> DrawCommitment:
    """Part 1 without its tickets, which are kept in `draw_lists`; the digest covers them through `list_digest`."""
    quotas = await tx.rows(
        "SELECT t.code, q.quota, q.alternates FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id"
        ' WHERE q.round_id = $1 ORDER BY t.code COLLATE "C"', round_.id,
    )
    promised = dict(await tx.rows("SELECT role, commitment FROM draw_secrets WHERE round_id = $1", round_.id))
    counts = {row.code: row.quota for row in quotas}
    empty = draw_rules.build_commitment(
        round_no=round_.number, lines=[], quotas=counts, alternates={row.code: row.alternates for row in quotas},
        officer_commitment=promised[Role.DRAW_OFFICER], witness_commitment=promised[Role.WITNESS], sources=round_.randomness,
        committed_at=tx.ctx.now,
    )
    part: DrawCommitment = {**empty, "ticket_count": listed.tickets, "list_digest": listed.digest}
    part["commitment_digest"] = draw_rules.commitment_digest(part)
    return part


# --- the public values -----------------------------------------------------------------------------------------------


async def put_public_values(ctx: Context, round_id: int, values: dict[str, str]) -> PublicValuesView:
    """Type the public values (by source) once their time has come; both people must, and must agree.

    The first may correct a value until the second agrees; a second value that differs is refused and not kept, so what is
    stored never contradicts itself. Raises RoundStateWrong, PublicValueTooEarly, PublicValueUnknownSource, PublicValueWrong,
    PublicValuesDiffer, PublicValueAgreed, SecondPersonNeeded.
    """
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state != RoundState.COMMITTED:
            raise RoundStateWrong(state=found.state)
        sources = {source["name"]: source for source in found.randomness}
        there = await tx.rows("SELECT source, role, person_id, value FROM public_values WHERE round_id = $1", round_id)
        for name, typed in values.items():
            value = _judged(ctx, sources.get(name), typed)
            _refuse_contradiction(ctx, [row for row in there if row.source == name], value)
            await tx.run(
                "INSERT INTO public_values (round_id, source, value, person_id, role, created_at) VALUES ($1,$2,$3,$4,$5,$6)"
                " ON CONFLICT (round_id, source, role) DO UPDATE SET value = $3, person_id = $4, created_at = $6",
                round_id, name, value, ctx.person_id, str(ctx.actor.role), ctx.now,
            )
            tx.record("round.public_value_typed", "round", round_id, source=name, value=value)
        return tx.reply(await _values_view(tx, round_id))


def _judged(ctx: Context, source: Any, typed: str) -> str:
    if source is None:
        raise PublicValueUnknownSource
    if ctx.now < datetime.fromisoformat(source["at"]):
        raise PublicValueTooEarly(at=source["at"])
    value = draw_rules.normalise_value(source["format"], typed)
    if value is None:
        raise PublicValueWrong(source=source["name"], format=source["format"])
    return value


def _refuse_contradiction(ctx: Context, there: Sequence[Any], value: str) -> None:
    others = [row for row in there if row.role != str(ctx.actor.role)]
    if len(there) == 2:
        raise PublicValueAgreed
    if any(row.person_id == ctx.person_id for row in others):
        raise SecondPersonNeeded
    if any(row.value != value for row in others):
        raise PublicValuesDiffer


async def _values_view(tx: Transaction, round_id: int) -> PublicValuesView:
    found = await tx.rows(
        "SELECT source, min(value) AS value, count(*) = 2 AS agreed FROM public_values WHERE round_id = $1"
        " GROUP BY source ORDER BY source", round_id,
    )
    return {"round_id": round_id, "values": [{"source": row.source, "value": row.value, "agreed": row.agreed} for row in found]}


# --- the draw --------------------------------------------------------------------------------------------------------

DUE = """
SELECT id FROM rounds r WHERE state = 'committed' AND draw_at <= $1 AND jsonb_array_length(randomness) =
  (SELECT count(*) FROM (SELECT FROM public_values v WHERE v.round_id = r.id GROUP BY v.source HAVING count(*) = 2) agreed)
ORDER BY draw_at, id LIMIT $2
"""
# Draws from the very lines that were committed to. The n-th win of a year takes the lowest free number, so that UNIQUE keeps
# two draws from giving the same one; losers are not written.
DRAW = f"""
WITH quotas AS (
  SELECT t.id, t.code, t.annual_win_cap, q.quota, q.alternates, {YEAR.format(round="r")} AS year
  FROM rounds r JOIN round_quotas q ON q.round_id = r.id JOIN voucher_types t ON t.id = q.voucher_type_id WHERE r.id = $1
), able AS MATERIALIZED (
  SELECT split_part(line, '|', 1) AS number, split_part(line, '|', 2) AS code
  FROM draw_lists l CROSS JOIN LATERAL string_to_table(l.lines, E'\\n') AS line
  WHERE l.round_id = $1 AND line NOT LIKE '%|0'
), chosen AS MATERIALIZED (
  -- The first of each type, without sorting all the others.
  SELECT q.*, p.number, p.place, split_part(p.number, '-', 2)::bigint AS ticket, p.place <= q.quota AS won
  FROM quotas q CROSS JOIN LATERAL (
    SELECT number, row_number() OVER (ORDER BY digest, number COLLATE "C") AS place FROM (
      SELECT number, sha256($2 || convert_to(number, 'UTF8')) AS digest FROM able WHERE able.code = q.code
      ORDER BY digest, number COLLATE "C" LIMIT q.quota + q.alternates) first) p
), written AS (
  -- The lowest free number of the year, by one index probe a winner: as a join over all wins it was re-read while they grew.
  UPDATE reservations v SET state = CASE WHEN c.won THEN 'won' ELSE 'alternate' END,
    rank = CASE WHEN c.won THEN c.place ELSE c.place - c.quota END, win_year = CASE WHEN c.won THEN c.year END,
    win_nth = CASE WHEN c.won THEN (
      SELECT CASE WHEN w.taken IS NULL THEN 1 ELSE (
        SELECT min(n) FROM generate_series(1, 1 + cardinality(w.taken)) AS n WHERE n <> ALL (w.taken)) END
      FROM (SELECT array_agg(o.win_nth) AS taken FROM reservations o WHERE o.organisation_id = v.organisation_id
        AND o.voucher_type_id = v.voucher_type_id AND o.win_year = c.year AND o.win_nth IS NOT NULL) w) END
  FROM chosen c WHERE v.id = c.ticket AND v.round_id = $1 AND v.state = 'submitted' AND v.voucher_type_id = c.id
  RETURNING v.id, v.state, c.code, c.place, c.number, c.won, v.win_nth > c.annual_win_cap AS above_cap
), audited AS (
  INSERT INTO audit_entries (at, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $3, 'system', 'reservation.' || state, 'reservation', id, 'submitted', state, '{{}}', $4 FROM written
)
SELECT q.code, coalesce(array_agg(w.number ORDER BY w.place) FILTER (WHERE w.won), '{{}}') AS winners,
  coalesce(array_agg(w.number ORDER BY w.place) FILTER (WHERE NOT w.won), '{{}}') AS alternates,
  count(*) FILTER (WHERE w.above_cap) AS above_cap, (SELECT count(*) FROM chosen c WHERE c.code = q.code) - count(w.id) AS missing
FROM quotas q LEFT JOIN written w ON w.code = q.code GROUP BY q.code
"""
LIST_DIGEST = """
SELECT encode(sha256(convert_to(coalesce(string_agg(lines, E'\\n' ORDER BY number), ''), 'UTF8')), 'hex')
FROM draw_lists WHERE round_id = $1
"""


LOCK_DRAW = "SELECT * FROM draws WHERE round_id = $1 AND drawn_at IS NULL FOR UPDATE"


async def draw_due_rounds(ctx: Context, limit: int = 20) -> int:
    """committed -> drawn, once `draw_at` has come and every public value is agreed. All of it, or nothing, and once."""
    return await each_due(ctx, DUE, _draw, limit)


async def _draw(ctx: Context, round_id: int) -> bool:
    async with transaction(ctx) as tx:
        await allow_long_statements(tx)
        found = await lock_due(tx, round_id, RoundState.COMMITTED, "draw_at")
        if found is None:
            return False
        draw = await tx.row(LOCK_DRAW, round_id)
        part: DrawCommitment = draw.commitment
        if await tx.connection.fetchval(LIST_DIGEST, round_id, timeout=LONG_SECONDS) != part["list_digest"]:
            raise DrawContradictionError(f"the list of round {round_id} is not the committed one")
        officer, witness = await _secrets(tx, round_id)
        public = await _public_value(tx, found)
        seed = draw_rules.seed(part, officer, witness, public)
        results = await write_results(tx, round_id, seed)
        reveal = draw_rules.build_reveal(part, officer, witness, public, results)
        await tx.run("UPDATE draws SET reveal = $2, seed = $3, drawn_at = $4 WHERE id = $1", draw.id, reveal, seed.hex(), ctx.now)
        winners = sum(len(result["winners"]) for result in results.values())
        await move(tx, ROUND_GRAPH, found, RoundState.DRAWN, note={"winners": winners})
        return True


async def write_results(tx: Transaction, round_id: int, seed: bytes) -> dict[str, DrawResult]:
    """Order all tickets in the database and write winners and alternates; what was written is what is returned."""
    found = await tx.connection.fetch(DRAW, round_id, seed, tx.ctx.now, tx.ctx.request_id, timeout=LONG_SECONDS)
    for each in found:
        if each.missing or each.above_cap:
            raise DrawContradictionError(f"{each.code}: {each.missing} tickets changed, {each.above_cap} wins above the cap")
    return {each.code: {"winners": each.winners, "alternates": each.alternates} for each in found}


async def _secrets(tx: Transaction, round_id: int) -> tuple[bytes, bytes]:
    sealed = dict(await tx.rows("SELECT role, secret FROM draw_secrets WHERE round_id = $1", round_id))
    officer, witness = (bytes.fromhex(open_sealed(tx.ctx.settings, sealed[role])) for role in (Role.DRAW_OFFICER, Role.WITNESS))
    return officer, witness


async def _public_value(tx: Transaction, round_: Any) -> str:
    typed = dict(await tx.rows("SELECT DISTINCT source, value FROM public_values WHERE round_id = $1", round_.id))
    return draw_rules.public_value(round_.randomness, [typed[source["name"]] for source in round_.randomness])
