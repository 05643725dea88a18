"""The floor of the lists: for each, the statement that resolves the token and reads one page, and nothing else.

`GET /<list>?key=[...]`: `key` is the sort key of the last row seen, as JSON. Twenty rows, with the columns that ours shows.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import uvloop
from aiohttp import web

from bench.floor import ME, POOL, answer, token_hash

NEWEST = [2**63 - 1]
OLDEST = [0]
# As a subquery of one value, so that the list's own index gives the order and the limit ends it.
MINE = f"(SELECT organisation_id FROM ({ME}) me)"
ROLE = f"(SELECT role FROM ({ME}) me)"
_ORDERS = f"""
SELECT o.id, o.number, o.state, o.close_reason, e.name AS enterprise, i.name AS institution, o.institution_id, o.product_id,
  o.product_name, o.category, o.content, o.list_price_fen, o.offered_fen, o.order_fen, o.max_voucher_fen, o.voucher_fen,
  o.returned_fen, o.order_fen - o.voucher_fen AS offline_fen, o.message, o.remark, o.rework_count, o.disputed_at IS NOT NULL AS in_dispute,
  o.frozen_at IS NOT NULL AS is_frozen, o.reviewed_at IS NOT NULL AS reviewed, o.placed_at, o.paid_at, o.accepted_at, o.delivered_at,
  o.completed_at, o.closed_at, o.due_at, c.state AS redemption
FROM orders o JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
LEFT JOIN LATERAL (SELECT state FROM redemptions WHERE order_id = o.id ORDER BY id DESC LIMIT 1) c ON true
WHERE o.institution_id = {MINE} AND o.id < $3 """
_LAST = " ORDER BY o.id DESC LIMIT 21"
# list -> (statement after $1 token and $2 now, the first page's key)
LISTS: dict[str, tuple[str, list[Any]]] = {
    "orders": (_ORDERS + _LAST, NEWEST),
    "completed": (_ORDERS + "AND o.state = 'completed'" + _LAST, NEWEST),
    "rejected": (_ORDERS + "AND o.state = 'pay_rejected'" + _LAST, NEWEST),
    "reviews": (f"""SELECT r.id, r.grade, r.text, r.is_system, r.product_id, r.reviewed_at, r.replaced_system_at
      FROM reviews r WHERE r.institution_id = {MINE} AND r.id < $3 ORDER BY r.id DESC LIMIT 21""", NEWEST),
    "approvals": (f"""SELECT a.id, a.kind, a.title, a.subject, a.subject_id, a.organisation_id, o.name AS organisation_name, a.region_code,
        a.park_id, a.state, a.submitted_at, a.due_at, a.due_at < $2 AS is_late, a.decided_at, p.name AS decided_by, a.reason,
        coalesce(a.data->'items', '[]')::text AS items
      FROM approvals a JOIN organisations o ON o.id = a.organisation_id LEFT JOIN persons p ON p.id = a.decided_by_id
      WHERE a.state = 'open' AND a.role = {ROLE} AND a.id > $3 ORDER BY a.id LIMIT 21""", OLDEST),
    "statement": (f"""SELECT e.id, e.at, e.kind, e.fen, e.from_account, e.to_account, t.name AS voucher_type, o.number AS order_number,
        buyer.name AS enterprise, seller.name AS institution
      FROM ledger_entries e JOIN lots l ON l.id = e.lot_id JOIN voucher_types t ON t.id = l.voucher_type_id
      JOIN organisations buyer ON buyer.id = e.organisation_id LEFT JOIN orders o ON o.id = e.order_id
      LEFT JOIN organisations seller ON seller.id = e.institution_id
      WHERE {ROLE} = 'programme_manager' AND e.programme_id = 1 AND (e.at, e.id) > ($3::timestamptz, $4)
        AND e.at < date_trunc('day', $2::timestamptz) ORDER BY e.at, e.id LIMIT 21""", ["2000-01-01T00:00:00+00:00", 0]),
}


async def main(database_url: str) -> None:
    pool = await asyncpg.create_pool(database_url, min_size=POOL, max_size=POOL, server_settings={"jit": "off"})

    async def page(request: web.Request) -> web.Response:
        sql, key = LISTS[request.match_info["list"]]
        if "key" in request.query:
            key = orjson.loads(request.query["key"])
        values = [datetime.fromisoformat(part) if isinstance(part, str) else part for part in key]
        found = await pool.fetch(sql, token_hash(request), datetime.now(UTC), *values)
        return answer({"items": [dict(one) for one in found[:20]], "next": len(found) > 20})

    app = web.Application()
    app.add_routes([web.get("/{list}", page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(timedelta(days=1).total_seconds())


if __name__ == "__main__":
    uvloop.run(main(sys.stdin.readline().strip()))
