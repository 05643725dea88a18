"""The floor: what the same work takes when nothing but the work is written, as well as we can. One statement per request.

aiohttp, asyncpg, uvloop and orjson like ours, one process, a pool of eight; the statement resolves the token too. No validation of
input, no rules explained, no limits, no log, no metrics, no problem documents: that is what ours is allowed to cost more for.
W2 checks window, qualification and uniqueness. W3 and W2c also write ledger, audit, event and the kept answer.
"""

import asyncio
import secrets
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import orjson
import uvloop
from aiohttp import web

from handlers.product_search import folded
from handlers.working_days import due_after

POOL = 8
ME = """
SELECT m.id AS membership_id, m.organisation_id, m.person_id, m.role FROM sessions s
JOIN memberships m ON m.id = s.membership_id AND m.state = 'active'
WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2
"""
WALLET = f"""
SELECT l.id, l.programme_id, l.voucher_type_id, t.name AS voucher_type, t.is_universal, 'usable' AS state, l.face_fen, l.available_fen,
       l.held_fen, l.spent_fen, l.valid_from, l.valid_until
FROM ({ME}) me JOIN lots l ON l.organisation_id = me.organisation_id AND l.available_fen > 0 AND l.expires_at > $2
JOIN voucher_types t ON t.id = l.voucher_type_id ORDER BY l.expires_at, l.id LIMIT 20
"""
RESERVE = f"""
INSERT INTO reservations (round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at)
SELECT r.id, me.organisation_id, q.voucher_type_id, 'submitted', $5, me.person_id, $2, $2
FROM ({ME}) me JOIN rounds r ON r.id = $3 AND r.state IN ('announced', 'open') AND r.opens_at <= $2 AND r.closes_at > $2
JOIN round_quotas q ON q.round_id = r.id AND q.voucher_type_id = $4
CROSS JOIN LATERAL (
  SELECT FROM applications a WHERE a.organisation_id = me.organisation_id AND a.kind = 'qualification'
    AND a.programme_id = r.programme_id AND a.state = 'approved' LIMIT 1) qualified
WHERE me.role IN ('owner', 'handler')
ON CONFLICT (round_id, organisation_id) DO NOTHING
RETURNING id, round_id, voucher_type_id, state, submitted_at
"""
# $1 token, $2 now, $3 order, $4 fen, $5 key, $6 hash of the body, $7 accept by, $8 request
PAY = f"""
WITH bought AS MATERIALIZED (
  SELECT o.*, me.membership_id, me.person_id, me.role FROM ({ME}) me JOIN orders o ON o.id = $3 AND o.enterprise_id = me.organisation_id
  WHERE me.role IN ('owner', 'finance') AND o.state = 'unpaid' AND o.frozen_at IS NULL AND $4 <= o.max_voucher_fen
    AND NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.principal = 'p' || me.person_id || ':m' || me.membership_id
                    AND k.operation = 'pay' AND k.key = $5)
  FOR UPDATE OF o
), locked AS MATERIALIZED (
  SELECT l.id, l.voucher_type_id, l.expires_at, least(l.available_fen, (b.deductions->>l.voucher_type_id::text)::bigint) AS fen
  FROM bought b JOIN lots l ON l.organisation_id = b.enterprise_id AND l.programme_id = b.programme_id
    AND b.deductions ? l.voucher_type_id::text AND l.available_fen > 0 AND l.expires_at > $2
  ORDER BY l.id FOR UPDATE OF l
), chosen AS (
  SELECT id, least(fen, $4 - before) AS fen, total FROM (
    SELECT id, fen, coalesce(sum(fen) OVER (ORDER BY expires_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS before,
           sum(fen) OVER () AS total FROM locked) summed
  WHERE before < $4 AND total >= $4
), spent AS (
  UPDATE lots l SET available_fen = l.available_fen - c.fen, spent_fen = l.spent_fen + c.fen FROM chosen c WHERE l.id = c.id
  RETURNING l.id, l.programme_id, l.organisation_id, c.fen
), paid AS (
  UPDATE orders o SET state = 'paid', voucher_fen = $4, paid_at = $2, due_at = $7, reminded = 0 FROM bought b
  WHERE o.id = b.id AND EXISTS (SELECT FROM spent) RETURNING o.id, o.number, o.institution_id, o.product_name
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
  SELECT s.programme_id, s.id, p.id, s.organisation_id, CASE WHEN e.kind = 'commit' THEN p.institution_id END, e.kind, e.source, e.target,
         s.fen, $2
  FROM paid p, spent s, (VALUES ('hold', 'available', 'held'), ('commit', 'held', 'receivable')) e(kind, source, target)
), audited AS (
  INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $2, b.person_id, b.enterprise_id, b.role, 'order.paid', 'order', p.id, 'unpaid', 'paid', jsonb_build_object('voucher_fen', $4), $8
  FROM paid p, bought b
), told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
  SELECT 'order_paid', institution_id, 'order', id, jsonb_build_object('number', number, 'service', product_name, 'voucher_fen', $4), $2
  FROM paid
), answer AS (
  SELECT p.id, p.number, b.person_id, b.membership_id, jsonb_build_object('id', p.id, 'number', p.number, 'state', 'paid',
    'voucher_fen', $4, 'product_name', p.product_name, 'paid_at', $2::timestamptz) AS body FROM paid p, bought b
), kept AS (
  INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)
  SELECT 'p' || person_id || ':m' || membership_id, 'pay', $5, $6, 200, convert_to(body::text, 'UTF8'), $2 FROM answer
)
SELECT body FROM answer
"""
# $1 token, $2 now, $3 round, $4 voucher type, $5 salt, $6 key, $7 hash of the body, $8 request
TAKE = f"""
WITH taker AS MATERIALIZED (
  SELECT me.*, r.id AS round_id, r.programme_id, r.name, r.valid_until, t.id AS voucher_type_id, t.face_fen, t.name AS voucher_type
  FROM ({ME}) me JOIN rounds r ON r.id = $3 AND r.state IN ('announced', 'open') AND r.opens_at <= $2 AND r.closes_at > $2
  JOIN voucher_types t ON t.id = $4
  CROSS JOIN LATERAL (
    SELECT FROM applications a WHERE a.organisation_id = me.organisation_id AND a.kind = 'qualification'
      AND a.programme_id = r.programme_id AND a.state = 'approved' LIMIT 1) qualified
  WHERE me.role IN ('owner', 'handler')
    AND NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.principal = 'p' || me.person_id || ':m' || me.membership_id
                    AND k.operation = 'reserve' AND k.key = $6)
), share AS MATERIALIZED (
  SELECT s.id, s.first_place + s.size - s.remaining AS place FROM round_shares s
  WHERE s.round_id = $3 AND s.voucher_type_id = $4 AND s.remaining > 0 AND s.is_open LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
), ticket AS (
  INSERT INTO reservations (round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at, rank,
    win_year, win_nth)
  SELECT round_id, organisation_id, voucher_type_id, 'issued', $5, person_id, $2, $2, place, extract(year FROM $2::timestamptz), 1 + (
    SELECT count(*) FROM reservations w WHERE w.organisation_id = taker.organisation_id AND w.voucher_type_id = $4
      AND w.win_year = extract(year FROM $2::timestamptz) AND w.win_nth IS NOT NULL)
  FROM taker, share ON CONFLICT DO NOTHING RETURNING id, organisation_id, voucher_type_id
), placed AS (
  UPDATE round_shares s SET remaining = s.remaining - 1 FROM share, ticket WHERE s.id = share.id
), lot AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, reservation_id, face_fen, available_fen, held_fen, spent_fen,
    expired_fen, valid_from, valid_until, expires_at, created_at)
  SELECT t.programme_id, t.voucher_type_id, t.organisation_id, ticket.id, t.face_fen, t.face_fen, 0, 0, 0, $2::date, t.valid_until,
    t.valid_until + 1, $2 FROM taker t, ticket RETURNING id, programme_id, organisation_id, face_fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT programme_id, id, organisation_id, 'issue', 'budget', 'available', face_fen, $2 FROM lot
), audited AS (
  INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, after, data, request_id)
  SELECT $2, t.person_id, t.organisation_id, t.role, 'reservation.issued', 'reservation', ticket.id, 'issued',
    jsonb_build_object('voucher_type_id', $4), $8 FROM taker t, ticket
), told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
  SELECT 'voucher_issued', t.organisation_id, 'reservation', ticket.id, jsonb_build_object('round', t.name,
    'voucher_type', t.voucher_type, 'amount_fen', t.face_fen, 'valid_until', t.valid_until), $2 FROM taker t, ticket
), answer AS (
  SELECT t.person_id, t.membership_id, jsonb_build_object('id', ticket.id, 'round_id', t.round_id, 'voucher_type', t.voucher_type,
    'state', 'issued', 'submitted_at', $2::timestamptz) AS body FROM taker t, ticket
), kept AS (
  INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)
  SELECT 'p' || person_id || ':m' || membership_id, 'reserve', $6, $7, 201, convert_to(body::text, 'UTF8'), $2 FROM answer
)
SELECT body FROM answer
"""
# The words stand twice, as in ours: else the plan that is kept is one by category and price, nine times as slow.
SEARCH = """
WITH found AS MATERIALIZED (
  SELECT p.id, p.price_fen FROM products p
  WHERE p.state = 'listed' AND p.max_voucher_fen > 0 AND p.terms @> $1::text[] AND p.terms @> $1::text[] AND p.haystack LIKE $2
    AND p.category = $3 AND p.price_fen BETWEEN $4 AND $5
), page AS (SELECT * FROM found ORDER BY price_fen, id LIMIT 20)
SELECT p.id, p.service_number, p.name, p.category, p.region_code, p.price_fen, p.is_recommended, p.organisation_id,
  p.institution_name, p.max_voucher_fen, t.total
FROM (SELECT count(*) AS total FROM found) t LEFT JOIN page ON true LEFT JOIN products p ON p.id = page.id
ORDER BY page.price_fen, page.id
"""


class Connection(asyncpg.Connection):  # type: ignore[misc]
    def get_reset_query(self) -> str:
        return ""


class Floor:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def wallet(self, request: web.Request) -> web.Response:
        found = await self._pool.fetch(WALLET, token_hash(request), datetime.now(UTC))
        return answer({"items": [dict(row) for row in found], "next": None}) if found else web.Response(status=401)

    async def reserve(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        made = await self._pool.fetchrow(
            RESERVE, token_hash(request), datetime.now(UTC), int(request.match_info["id"]), body["voucher_type_id"], secrets.token_bytes(16)
        )
        return answer(dict(made), 201) if made else web.Response(status=409)

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        made = await self._pool.fetchval(
            TAKE, token_hash(request), datetime.now(UTC), int(request.match_info["id"]), orjson.loads(raw)["voucher_type_id"],
            secrets.token_bytes(16), request.headers["Idempotency-Key"], sha256(raw).digest(), secrets.token_hex(8),
        )
        return web.Response(status=201, body=made.encode(), content_type="application/json") if made else web.Response(status=409)

    async def pay(self, request: web.Request) -> web.Response:
        raw, now = await request.read(), datetime.now(UTC)
        made = await self._pool.fetchval(
            PAY, token_hash(request), now, int(request.match_info["id"]), orjson.loads(raw)["voucher_fen"],
            request.headers["Idempotency-Key"], sha256(raw).digest(), due_after(now, 5), secrets.token_hex(8),
        )
        return web.Response(body=made.encode(), content_type="application/json") if made else web.Response(status=409)

    async def search(self, request: web.Request) -> web.Response:
        asked = request.query
        word = folded(asked["words"])
        terms = [word[at:at + 2] for at in range(len(word) - 1)]
        prices = int(asked["min_price_fen"]), int(asked["max_price_fen"])
        found = await self._pool.fetch(SEARCH, terms, f"%{word}%", asked["category"], *prices)
        return answer({"items": [dict(row) for row in found if row["id"]], "total": found[0]["total"]})


def token_hash(request: web.Request) -> bytes:
    return sha256(request.headers["Authorization"][7:].encode()).digest()


def answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


async def main(database_url: str) -> None:
    pool = await asyncpg.create_pool(
        database_url, min_size=POOL, max_size=POOL, connection_class=Connection, server_settings={"jit": "off"}
    )
    floor, app = Floor(pool), web.Application()
    app.add_routes([
        web.get("/w1", floor.wallet), web.post("/w2/{id}", floor.reserve), web.post("/w2c/{id}", floor.take),
        web.post("/w3/{id}", floor.pay), web.get("/w4", floor.search),
    ])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(timedelta(days=1).total_seconds())


if __name__ == "__main__":
    uvloop.run(main(sys.stdin.readline().strip()))
