"""`python -m app seed --size large`: parks, institutions, products and years of orders, to see every list at its real length.

Written by statements over whole tables, in one transaction, since a use-case for each of 200,000 orders would take hours. What the
use-cases would have left behind is all there: lots, ledger, audit, reviews, open approvals; `check-books` holds it to the same
invariants. Orders are spread evenly over the last 400 days; their states follow from their age.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from clock import Clock
from demo.seed import SECTIONS, with_check
from handlers.context import SYSTEM, Context
from handlers.orders import AGREEMENT_VERSION
from handlers.ports import Ports
from handlers.product_search import indexed
from handlers.programmes import JINAN
from handlers.transactions import Transaction, transaction
from models.categories import CATEGORIES
from settings import Settings

PROGRAMME = "济南市中小微企业专项服务券（大规模演示）"
CITY, COUNTIES = "370100", ("370102", "370103", "370104", "370105", "370112")
DAYS = 400
ORDERS_PER_LOT = 5
DEDUCTION_FEN = 200_000
FACE_FEN = (ORDERS_PER_LOT + 1) * DEDUCTION_FEN
SECONDS = 600  # for one statement; the limits of a request are not for this


@dataclass(frozen=True)
class Size:
    """Each enterprise places `orders_each` orders, of as many different products; orders in all: enterprises x orders_each."""

    parks: int = 20
    institutions: int = 200
    products: int = 5_000
    enterprises: int = 4_000
    orders_each: int = 50

    @property
    def orders(self) -> int:
        return self.enterprises * self.orders_each

    @property
    def lots_each(self) -> int:
        return -(-self.orders_each // ORDERS_PER_LOT)


LARGE = Size()


async def plant_large(settings: Settings, clock: Clock, ports: Ports, size: Size = LARGE) -> bool:
    """Returns False, and changes nothing, where it has been planted before."""
    assert size.orders_each <= size.products, "an enterprise uses no product more often than its policy allows"
    ctx = Context(SYSTEM, clock.now(), settings, ports, "seed")
    async with transaction(ctx) as tx:
        await tx.connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        if await tx.value("SELECT true FROM programmes WHERE name = $1", PROGRAMME):
            return False
        planter = Planter(tx, size, await _reserve(tx, size))
        await planter.organisations()
        await planter.programme()
        await planter.products()
        await planter.orders()
        await planter.ledger()
        await planter.records()
        tx.record("programme.published", "programme", planter.first["programmes"] + 1, before="draft", after="published")
    return True


async def _reserve(tx: Transaction, size: Size) -> dict[str, int]:
    """The id below the first of each table's new rows, which then follow each other."""
    wanted = {
        "parks": size.parks, "organisations": size.enterprises + size.institutions + 1,
        "persons": size.enterprises + size.institutions + size.parks + 2, "programmes": 1, "policies": 2, "voucher_types": 2,
        "products": size.products, "orders": size.orders, "lots": size.enterprises * size.lots_each,
    }
    first = {}
    for table, count in wanted.items():
        found = await tx.row(
            "SELECT min(id) AS first, max(id) AS last FROM (SELECT nextval(pg_get_serial_sequence($1, 'id')) AS id"
            " FROM generate_series(1, $2)) ids", table, count,
        )
        assert found.last - found.first + 1 == count, "somebody else is adding rows meanwhile: plant into a quiet database"
        first[table] = found.first - 1
    return first


@dataclass
class Planter:
    """`first`: see `_reserve`. Enterprises come first among the organisations, then institutions, then the office."""

    tx: Transaction
    size: Size
    first: dict[str, int]

    @property
    def now(self) -> datetime:
        return self.tx.ctx.now

    @property
    def begin(self) -> datetime:
        return self.now - timedelta(days=DAYS)

    async def run(self, sql: str, *args: object) -> None:
        await self.tx.connection.execute(sql, *args, timeout=SECONDS)

    async def organisations(self) -> None:
        size, first, before = self.size, self.first, self.begin - timedelta(days=30)
        traders = size.enterprises + size.institutions
        await self.run(
            "INSERT INTO parks (id, name, county_code, created_at) SELECT $1 + n, '第' || n || '产业园', ($2::text[])[1 + n % $3], $4"
            " FROM generate_series(1, $5::int) n", first["parks"], COUNTIES, len(COUNTIES), before, size.parks,
        )
        await self.run(
            "INSERT INTO organisations (id, kind, name, credit_code, region_code, park_id, certified_at, created_at)"
            " SELECT $1 + n, CASE WHEN n <= $2 THEN 'enterprise' WHEN n <= $3 THEN 'institution' ELSE 'office' END,"
            " CASE WHEN n <= $2 THEN '济南演示科技' || n || '号有限公司' WHEN n <= $3 THEN '济南演示服务' || n - $2 || '号机构'"
            " ELSE '园区审核办公室' END, ($4::text[])[n], k.county_code, CASE WHEN n <= $2 THEN k.id END, $5, $5"
            " FROM generate_series(1, $3 + 1) n JOIN parks k ON k.id = $6 + 1 + n % $7",
            first["organisations"], size.enterprises, traders, [with_check(f"91370103L{n:08d}") for n in range(1, traders + 1)],
            before, first["parks"], size.parks,
        )
        await self.run("INSERT INTO persons (id, created_at) SELECT $1 + n, $2 FROM generate_series(1, $3::int) n",
                       first["persons"], before, traders + size.parks + 2)
        await self.run(
            "INSERT INTO memberships (person_id, organisation_id, role, park_id, state, created_at)"
            " SELECT $1 + n, $2 + least(n, $3 + 1), CASE WHEN n <= $3 THEN 'owner' ELSE 'reviewer' END,"
            " CASE WHEN n > $3 THEN $4 + n - $3 END, 'active', $5 FROM generate_series(1, $3 + $6::int) n",
            first["persons"], first["organisations"], traders, first["parks"], before, size.parks,
        )
        await self.run(
            "INSERT INTO institutions (organisation_id, introduction, address, website, landline, email, state, updated_at)"
            " SELECT id, '提供认证、审计与咨询服务。', '济南市示例路' || id || '号', '', '', '', 'admitted', $2 FROM organisations"
            " WHERE kind = 'institution' AND id > $1", first["organisations"], before,
        )

    async def programme(self) -> None:
        """The first policy pays at once; under the second, of eight days ago, the park reviews payments."""
        first, maker = self.first, self.first["persons"] + self.size.enterprises + self.size.institutions + self.size.parks + 1
        reviewed = JINAN.model_copy(update={"payment_review": "park"})
        await self.run(
            "INSERT INTO programmes (id, name, region_code, state, made_by_id, created_at) VALUES ($1,$2,$3,'published',$4,$5)",
            first["programmes"] + 1, PROGRAMME, CITY, maker, self.begin,
        )
        for number, (rules, moment) in enumerate(((JINAN, self.begin), (reviewed, self.now - timedelta(days=8))), start=1):
            await self.run(
                "INSERT INTO policies (id, programme_id, number, rules, state, made_by_id, confirmed_by_id, confirmed_at, created_at)"
                " VALUES ($1,$2,$3,$4,'confirmed',$5,$6,$7,$7)", first["policies"] + number, first["programmes"] + 1, number,
                rules.model_dump_json(), maker, maker + 1, moment,
            )
        for number, (code, name, universal, categories) in enumerate(
            (("BIG", "服务专用券", False, list(CATEGORIES)), ("ALL", "服务通用券", True, [])), start=1,
        ):
            await self.run(
                "INSERT INTO voucher_types (id, programme_id, code, name, is_universal, categories, face_fen, created_at)"
                " VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", first["voucher_types"] + number, first["programmes"] + 1, code, name, universal,
                categories, FACE_FEN, self.begin,
            )

    async def products(self) -> None:
        size, first, categories = self.size, self.first, list(CATEGORIES)
        await self.run(
            "INSERT INTO products (id, service_number, organisation_id, name, category, region_code, price_fen, state, sections,"
            " is_recommended, institution_name, max_voucher_fen, haystack, terms, version, listed_at, created_at, updated_at)"
            " SELECT p.id, 'PX-' || p.region || '-' || nextval('service_serials'), p.shop, p.name, p.category, p.region, p.price, 'listed',"
            " $1, false, p.seller, $4::bigint, p.haystack, p.terms, 1, $2::timestamptz + p.number * interval '1 minute', $2, $2"
            " FROM jsonb_to_recordset($3) AS p(id bigint, number int, shop bigint, name text, category text, region text, price bigint,"
            " seller text, haystack text, terms text[])",
            SECTIONS, self.begin - timedelta(days=10), [self._product(number, categories) for number in range(1, size.products + 1)],
            DEDUCTION_FEN,
        )
        await self.run(
            "INSERT INTO deductions (product_id, voucher_type_id, max_fen) SELECT $1 + n, $2 + t, $3 FROM generate_series(1, $4::int) n,"
            " generate_series(1, 2) t", first["products"], first["voucher_types"], DEDUCTION_FEN, size.products,
        )

    def _product(self, number: int, categories: list[str]) -> dict[str, Any]:
        category, shop = categories[number % len(categories)], 1 + number % self.size.institutions
        name = f"{CATEGORIES[category]}方案{number}号"
        region = COUNTIES[number % len(COUNTIES)]
        seller = f"济南演示服务{shop}号机构"
        haystack, terms = indexed(name=name, institution=seller, category=category, region_code=region)
        return {
            "id": self.first["products"] + number, "number": number, "shop": self.first["organisations"] + self.size.enterprises + shop,
            "name": name, "category": category, "region": region, "price": 300_000 + number % 50 * 10_000,
            "seller": seller, "haystack": haystack, "terms": terms,
        }

    async def orders(self) -> None:
        """`planted` says of each order what happened and when; everything else follows from it."""
        size, first = self.size, self.first
        await self.run(PLANTED)
        await self.run(
            FACTS, size.orders, size.enterprises, self.begin, self.now, first["orders"], first["organisations"], first["persons"],
            first["lots"], size.lots_each, first["products"], size.products,
        )
        deductions = {str(first["voucher_types"] + number): DEDUCTION_FEN for number in (1, 2)}
        await self.run(
            ORDERS, first["programmes"] + 1, first["policies"], orjson.dumps(deductions).decode(), DEDUCTION_FEN, AGREEMENT_VERSION,
        )

    async def ledger(self) -> None:
        first = self.first
        await self.run(
            LOTS, first["lots"], self.size.enterprises, self.size.lots_each, first["programmes"] + 1, first["voucher_types"] + 1,
            first["organisations"], FACE_FEN, self.begin, DAYS, self.now, ORDERS_PER_LOT, self.size.orders_each,
        )
        await self.run(ENTRIES, first["programmes"] + 1, first["lots"], self.size.enterprises * self.size.lots_each)

    async def records(self) -> None:
        await self.run(AUDIT)
        await self.run(REVIEWS)
        await self.run(APPROVALS, self.now + timedelta(days=7))


PLANTED = """
CREATE TEMP TABLE planted (
  id bigint, n int, enterprise_id bigint, buyer_id bigint, lot_id bigint, product_id bigint, fen bigint, age interval, state text,
  close_reason text, placed_at timestamptz, paid_at timestamptz, submitted_at timestamptz, accepted_at timestamptz,
  delivered_at timestamptz, completed_at timestamptz, closed_at timestamptz, reviewed_at timestamptz
) ON COMMIT DROP
"""
# The n-th order is the (n-1)/enterprises-th of its enterprise, so each enterprise's follow each other in time, and so do its lots.
FACTS = """
INSERT INTO planted
SELECT id, n, enterprise_id, buyer_id, lot_id, product_id, CASE WHEN paid OR state = 'pay_review' THEN fen ELSE 0 END, age, state,
  close_reason, placed_at, CASE WHEN paid THEN placed_at + interval '1 hour' END,
  CASE WHEN state = 'pay_review' THEN placed_at + interval '1 hour' END,
  CASE WHEN state IN ('accepted', 'delivered', 'completed') THEN placed_at + interval '2 days' END,
  CASE WHEN state IN ('delivered', 'completed') THEN placed_at + interval '5 days' END,
  CASE WHEN state = 'completed' THEN placed_at + interval '7 days' END,
  CASE close_reason WHEN 'cancelled' THEN placed_at + interval '3 hours' WHEN 'timeout' THEN least(placed_at + interval '15 days', $4)
    WHEN 'declined' THEN placed_at + interval '2 days' END,
  CASE WHEN reviewed THEN placed_at + CASE WHEN dice % 10 = 0 THEN interval '14 days' ELSE interval '9 days' END END
FROM (
  SELECT *, state IN ('paid', 'accepted', 'delivered', 'completed') OR close_reason IS NOT DISTINCT FROM 'declined' AS paid,
    state = 'completed' AND age >= interval '14 days' AS reviewed
  FROM (
    SELECT *, CASE WHEN state = 'closed' THEN CASE WHEN dice < 85 THEN 'cancelled' WHEN dice < 92 THEN 'timeout' ELSE 'declined' END END
      AS close_reason
    FROM (
      SELECT *, $4 - placed_at AS age, CASE
        WHEN $4 - placed_at < interval '8 days' THEN CASE WHEN dice < 50 THEN 'unpaid' WHEN dice < 80 THEN 'pay_review' ELSE 'paid' END
        WHEN $4 - placed_at < interval '14 days'
          THEN CASE WHEN dice < 30 THEN 'accepted' WHEN dice < 60 THEN 'delivered' ELSE 'completed' END
        WHEN dice < 75 THEN 'completed' ELSE 'closed' END AS state
      FROM (
        SELECT $5::bigint + n AS id, n, $6::bigint + 1 + e AS enterprise_id, $7::bigint + 1 + e AS buyer_id,
          $8::bigint + 1 + e * $9::int + nth / 5 AS lot_id, $10::bigint + 1 + (e * 37 + nth) % $11::int AS product_id,
          50000 + n % 4 * 50000 AS fen, n::bigint * 7919 / 100 % 100 AS dice,
          $3::timestamptz + ($4::timestamptz - $3::timestamptz) * ((n - 1)::float / $1::int) AS placed_at
        FROM generate_series(1, $1::int) n, LATERAL (SELECT (n - 1) % $2::int AS e, (n - 1) / $2::int AS nth) place
      ) placed
    ) lived
  ) closed
) known
"""
ORDERS = """
INSERT INTO orders (id, number, programme_id, policy_id, enterprise_id, institution_id, product_id, product_name, product_version,
  category, deductions, list_price_fen, order_fen, max_voucher_fen, voucher_fen, returned_fen, state, close_reason, message,
  agreement_version, rework_count, use_year, use_nth, placed_by_id, placed_at, paid_at, accepted_at, delivered_at, completed_at,
  closed_at, reviewed_at, due_at, reminded, version)
SELECT f.id, to_char(f.placed_at AT TIME ZONE 'Asia/Shanghai', 'YYYYMMDDHH24MISS') || lpad((f.id % 10000000000)::text, 10, '0'), $1,
  $2::bigint + CASE WHEN f.age < interval '8 days' THEN 2 ELSE 1 END, f.enterprise_id, p.organisation_id, p.id, p.name, 1, p.category,
  $3::jsonb, p.price_fen, p.price_fen, $4, f.fen, CASE WHEN f.close_reason = 'declined' THEN f.fen ELSE 0 END, f.state, f.close_reason,
  '', $5, 0, CASE WHEN f.state <> 'closed' THEN
    extract(year FROM coalesce(f.paid_at, f.submitted_at, f.placed_at) AT TIME ZONE 'Asia/Shanghai') END,
  CASE WHEN f.state <> 'closed' THEN 1 END, f.buyer_id, f.placed_at, f.paid_at, f.accepted_at, f.delivered_at, f.completed_at,
  f.closed_at, f.reviewed_at,
  CASE f.state WHEN 'unpaid' THEN f.placed_at + interval '15 days' WHEN 'paid' THEN f.paid_at + interval '9 days'
    WHEN 'accepted' THEN f.accepted_at + interval '28 days' END, 0, 1
FROM planted f JOIN products p ON p.id = f.product_id ORDER BY f.id
"""
# A lot is issued a day before the first of its orders and lasts half a year; what is then left of it expires.
LOTS = """
INSERT INTO lots (id, programme_id, voucher_type_id, organisation_id, face_fen, available_fen, held_fen, spent_fen, expired_fen,
  valid_from, valid_until, expires_at, expired_at, created_at)
SELECT $1::bigint + number, $4::bigint, $5::bigint, $6::bigint + 1 + (number - 1) / $3, $7::bigint, CASE WHEN due THEN 0 ELSE rest END,
  h, s, CASE WHEN due THEN rest ELSE 0 END, day, day + 180, ends, CASE WHEN due THEN ends + interval '5 minutes' END, issued
FROM generate_series(1, $2::int * $3::int) number
LEFT JOIN (
  SELECT lot_id, sum(fen) FILTER (WHERE state = 'pay_review') AS held,
    sum(fen) FILTER (WHERE paid_at IS NOT NULL AND state <> 'closed') AS spent
  FROM planted GROUP BY lot_id) used ON used.lot_id = $1::bigint + number,
  LATERAL (SELECT $8::timestamptz + make_interval(days => $9::int) * ((number - 1) % $3 * $11::int)::float / $12::int
    - interval '1 day' AS issued) born,
  LATERAL (SELECT (issued AT TIME ZONE 'Asia/Shanghai')::date AS day) dated,
  LATERAL (SELECT (day + 181)::timestamp AT TIME ZONE 'Asia/Shanghai' AS ends) lasting,
  LATERAL (SELECT ends + interval '5 minutes' <= $10::timestamptz AS due) passed,
  LATERAL (SELECT coalesce(used.held, 0)::bigint AS h, coalesce(used.spent, 0)::bigint AS s) sums,
  LATERAL (SELECT $7::bigint - h - s AS rest) remaining
"""
ENTRIES = """
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT $1, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at FROM (
  SELECT 0 AS step, id AS lot_id, NULL::bigint AS order_id, organisation_id, NULL::bigint AS institution_id, 'issue' AS kind,
    'budget' AS from_account, 'available' AS to_account, face_fen AS fen, created_at AS at
  FROM lots WHERE id > $2 AND id <= $2 + $3::int
  UNION ALL
  SELECT 3, id, NULL, organisation_id, NULL, 'expire', 'available', 'expired', expired_fen, expired_at
  FROM lots WHERE id > $2 AND id <= $2 + $3 AND expired_fen > 0
  UNION ALL
  SELECT 1, f.lot_id, f.id, f.enterprise_id, NULL, 'hold', 'available', 'held', f.fen, coalesce(f.paid_at, f.submitted_at)
  FROM planted f WHERE f.fen > 0
  UNION ALL
  SELECT step, f.lot_id, f.id, f.enterprise_id, p.organisation_id, e.kind, from_account, to_account, f.fen,
    CASE e.kind WHEN 'commit' THEN f.paid_at ELSE f.closed_at END
  FROM planted f JOIN products p ON p.id = f.product_id CROSS JOIN
    (VALUES (2, 'commit', 'held', 'receivable'), (3, 'reverse', 'receivable', 'available')) e(step, kind, from_account, to_account)
  WHERE f.paid_at IS NOT NULL AND (e.kind = 'commit' OR f.state = 'closed')
) moved ORDER BY at, step, lot_id
"""
AUDIT = """
INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
SELECT e.at, f.buyer_id, f.enterprise_id, 'owner', e.action, 'order', f.id, e.before, e.after, '{}', 'seed'
FROM planted f CROSS JOIN LATERAL (VALUES
  (1, 'order.placed', NULL, 'unpaid', f.placed_at), (2, 'order.payment_submitted', 'unpaid', 'pay_review', f.submitted_at),
  (3, 'order.paid', 'unpaid', 'paid', f.paid_at), (4, 'order.accepted', 'paid', 'accepted', f.accepted_at),
  (5, 'order.delivered', 'accepted', 'delivered', f.delivered_at), (6, 'order.completed', 'delivered', 'completed', f.completed_at),
  (7, 'order.closed', CASE WHEN f.paid_at IS NULL THEN 'unpaid' ELSE 'paid' END, 'closed', f.closed_at)
) e(step, action, before, after, at) WHERE e.at IS NOT NULL ORDER BY e.at, e.step, f.id
"""
REVIEWS = """
INSERT INTO reviews (order_id, enterprise_id, institution_id, product_id, is_system, grade, text, platform_stars, platform_text,
  reviewed_by_id, reviewed_at)
SELECT f.id, f.enterprise_id, p.organisation_id, p.id, system, CASE WHEN system THEN 'good' ELSE
    (ARRAY['good', 'good', 'good', 'medium', 'bad'])[1 + f.n % 5] END, CASE WHEN system THEN '' ELSE '服务及时，成果完整。' END,
  CASE WHEN NOT system THEN 5 - f.n % 2 END, '', CASE WHEN NOT system THEN f.buyer_id END, f.reviewed_at
FROM planted f JOIN products p ON p.id = f.product_id,
  LATERAL (SELECT f.reviewed_at >= f.completed_at + interval '7 days' AS system) kind
WHERE f.reviewed_at IS NOT NULL ORDER BY f.reviewed_at
"""
APPROVALS = """
INSERT INTO approvals (kind, title, subject, subject_id, organisation_id, role, park_id, state, submitted_by_id, submitted_at, due_at, data)
SELECT 'payment', '支付审核：' || p.name, 'order', f.id, f.enterprise_id, 'reviewer', o.park_id, 'open', f.buyer_id, f.submitted_at, $1,
  jsonb_build_object('order_fen', p.price_fen, 'voucher_fen', f.fen)
FROM planted f JOIN products p ON p.id = f.product_id JOIN organisations o ON o.id = f.enterprise_id
WHERE f.state = 'pay_review' ORDER BY f.submitted_at
"""
