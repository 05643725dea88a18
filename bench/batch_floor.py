"""The floors of the batches: the best single statement for each, and the plainest worker that delivers each notice once."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import asyncpg

from bench.sizes import Size

# $1 round, $2 seed, $3 now. Winners in the order of the seed, their vouchers, ledger entries; losers are not written.
DRAW = """
WITH placed AS (
  SELECT id, organisation_id, voucher_type_id, row_number() OVER (
    PARTITION BY voucher_type_id ORDER BY sha256($2 || convert_to('R' || id, 'UTF8')), id) AS place
  FROM reservations WHERE round_id = $1 AND state = 'submitted'
), winners AS (
  SELECT p.* FROM placed p JOIN round_quotas q ON q.round_id = $1 AND q.voucher_type_id = p.voucher_type_id WHERE p.place <= q.quota
), written AS (
  UPDATE reservations v SET state = 'issued', rank = w.place, win_year = 2026, win_nth = 1 FROM winners w WHERE v.id = w.id
  RETURNING v.id, v.organisation_id, v.voucher_type_id
), made AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, reservation_id, face_fen, available_fen, held_fen, spent_fen,
                    expired_fen, valid_from, valid_until, expires_at, created_at)
  SELECT t.programme_id, t.id, w.organisation_id, w.id, t.face_fen, t.face_fen, 0, 0, 0, r.draw_at::date, r.valid_until,
         (r.valid_until + 1)::timestamptz, $3
  FROM written w JOIN voucher_types t ON t.id = w.voucher_type_id JOIN rounds r ON r.id = $1
  RETURNING id, programme_id, organisation_id, face_fen
)
INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, organisation_id, 'issue', 'budget', 'available', face_fen, $3 FROM made
"""
EXPIRE = """
WITH due AS (
  SELECT id, available_fen FROM lots WHERE available_fen > 0 AND expires_at <= $1 FOR UPDATE
), gone AS (
  UPDATE lots l SET expired_fen = l.expired_fen + due.available_fen, available_fen = 0, expired_at = $1 FROM due WHERE l.id = due.id
  RETURNING l.id, l.programme_id, l.organisation_id, due.available_fen
)
INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, organisation_id, 'expire', 'available', 'expired', available_fen, $1 FROM gone
"""
REVIEW = """
WITH due AS (
  SELECT id, enterprise_id, institution_id, product_id, number, product_name FROM orders
  WHERE state = 'completed' AND reviewed_at IS NULL AND completed_at <= $1::timestamptz - interval '7 days' FOR UPDATE
), marked AS (
  UPDATE orders o SET reviewed_at = $1 FROM due WHERE o.id = due.id
), written AS (
  INSERT INTO reviews (order_id, enterprise_id, institution_id, product_id, is_system, grade, text, platform_text, reviewed_at)
  SELECT id, enterprise_id, institution_id, product_id, true, 'good', '系统默认评价', '', $1 FROM due
)
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'system_review_made', enterprise_id, 'order', id, jsonb_build_object('number', number, 'service', product_name), $1 FROM due
"""
# The months of everybody and the scores from them, in the numbers of the published formula; $1 the month, $2 now.
SCORE = """
WITH counted AS (
  SELECT institution_id, (extract(year FROM happened_at AT TIME ZONE 'Asia/Shanghai') * 12
      + extract(month FROM happened_at AT TIME ZONE 'Asia/Shanghai') - 1)::int AS month,
    count(*) FILTER (WHERE kind = 'order_completed') AS orders, count(*) FILTER (WHERE kind = 'transaction_filed') AS transactions,
    count(*) FILTER (WHERE kind = 'activity_filed') AS activities, count(*) FILTER (WHERE kind = 'demand_answered') AS answers,
    count(*) FILTER (WHERE kind = 'review_received') AS reviews,
    100 * count(*) FILTER (WHERE facts->>'grade' = 'good') + 50 * count(*) FILTER (WHERE facts->>'grade' = 'medium') AS review_value
  FROM score_events WHERE revoked_at IS NULL GROUP BY 1, 2
), months AS (
  INSERT INTO score_months (institution_id, month, orders, transactions, activities, answers, reviews, review_value, points)
  SELECT *, 120 * (orders + transactions) + 240 * activities + 60 * answers FROM counted
), parts AS (
  SELECT institution_id, 4000 * (4200 + sum(review_value * (12 - $1 + month))) / (100 * (60 + sum(reviews * (12 - $1 + month)))) AS reviews,
    least(3000, sum((orders + transactions) * 120 * (12 - $1 + month)) / 12) AS transactions,
    least(1500, sum(activities * 240 * (12 - $1 + month)) / 12) AS activities,
    least(1500, sum(answers * 60 * (12 - $1 + month)) / 12) AS answers,
    sum(120 * (orders + transactions) + 240 * activities + 60 * answers) AS activity
  FROM counted WHERE month > $1 - 12 GROUP BY 1
)
INSERT INTO scores (institution_id, formula_version, month, reviews, transactions, activities, answers, total, activity, updated_at)
SELECT institution_id, 1, $1, floor(reviews), floor(transactions), floor(activities), floor(answers),
  floor(reviews) + floor(transactions) + floor(activities) + floor(answers), activity, $2 FROM parts
"""
CLAIM = """
WITH chosen AS (
  SELECT id FROM deliveries WHERE state = 'planned' AND due_at <= $1 ORDER BY due_at, notice_id LIMIT $2 FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE deliveries d SET state = 'sending', leased_until = $3, attempts = attempts + 1 FROM chosen c WHERE d.id = c.id RETURNING d.*
)
SELECT t.id, n.title, n.body, n.page, i.open_id FROM taken t JOIN notices n ON n.id = t.notice_id
JOIN identities i ON i.person_id = t.person_id AND i.platform = 'wechat'
"""
MARK = "UPDATE deliveries SET state = 'delivered', finished_at = $2, leased_until = NULL WHERE id = ANY($1) AND state = 'sending'"


async def draw(connection: asyncpg.Connection, round_id: int) -> None:
    await connection.execute("SET work_mem = '256MB'")
    await connection.execute(DRAW, round_id, bytes(32), datetime.now(UTC))


async def expire(connection: asyncpg.Connection) -> None:
    await connection.execute(EXPIRE, datetime.now(UTC))


async def review(connection: asyncpg.Connection) -> None:
    await connection.execute(REVIEW, datetime.now(UTC))


async def score(connection: asyncpg.Connection, month: int) -> None:
    await connection.execute("SET work_mem = '256MB'")
    await connection.execute(SCORE, month, datetime.now(UTC))


async def deliver(pool: asyncpg.Pool, size: Size, port: int, connections: int) -> None:
    """Four workers, each claiming a share of the connections, sending side by side, marking what went out."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        url = f"http://127.0.0.1:{port}/cgi-bin/message/subscribe/send?access_token=bench"

        async def send(row: asyncpg.Record) -> int:
            message = {"touser": row["open_id"], "template_id": "t", "page": row["page"], "data": {"thing1": {"value": row["title"]},
                       "thing2": {"value": row["body"][:20]}}}
            async with session.post(url, json=message) as response:
                assert (await response.json())["errcode"] == 0
            return int(row["id"])

        async def work() -> int:
            done = 0
            while rows := await pool.fetch(CLAIM, datetime.now(UTC), connections // 4, datetime.now(UTC) + timedelta(seconds=60)):
                sent = await asyncio.gather(*map(send, rows))
                await pool.execute(MARK, sent, datetime.now(UTC))
                done += len(sent)
            return done

        assert sum(await asyncio.gather(*(work() for _ in range(4)))) == size.notices
