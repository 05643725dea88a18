"""The data: made once per size by statements over whole tables, kept as a template database, copied for each run.

Ids are known: person, identity, membership, session and organisation of enterprise n are all n, its token is `bench-n`.
Foreign keys are not checked while it is made (they hold by construction); CHECK and UNIQUE are.
"""

import hashlib
import itertools
import math
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import orjson

from bench.sizes import FACE_FEN, FIRST_COME_TYPE, INSTITUTIONS, LOTS_EACH, WORDS, Size
from handlers.product_search import indexed
from handlers.programmes import ZHENGZHOU, Rules
from handlers.qualifications import FORM_VERSION
from handlers.rounds import SHARES
from models.categories import CATEGORIES

REGION = "370103"
# Officials, counted from the last enterprise on (those of the draw are 3 to 5).
PARK_REVIEWER, PREPARER, CENTRE_REVIEWER, PAYOUT_OFFICER = 6, 7, 8, 9
FORM = orjson.dumps({
    "enterprise_name": "测试企业", "region_code": REGION, "tax_last_year_fen": 8_000_000, "main_business": "精密零件加工",
    "employees": 42, "revenue_last_year_fen": 900_000_000, "industry": "C", "assets_last_year_fen": 600_000_000, "size_class": "small",
}).decode()


def fingerprint(size: Size) -> str:
    """Changes with the size, with what fills the tables, and with the migrations."""
    root = Path(__file__).resolve().parent.parent
    fillers = [Path(__file__), root / "bench" / "sizes.py", root / "handlers" / "product_search.py"]
    files = [*fillers, *sorted((root / "models" / "migrations").glob("0*.py"))]
    return hashlib.sha256(repr(size).encode() + b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _people(size: Size) -> list[str]:
    e, o = size.enterprises, size.organisations
    return [
        f"""INSERT INTO organisations (id, kind, name, credit_code, region_code, certified_at, created_at)
            SELECT n, CASE WHEN n <= {o} THEN 'enterprise' ELSE 'institution' END, '企业' || n, lpad(n::text, 18, '0'), '{REGION}',
                   now(), now() FROM generate_series(1, {o + INSTITUTIONS}) n""",
        f"INSERT INTO persons (id, created_at) SELECT n, now() FROM generate_series(1, {e + 10}) n",
        f"""INSERT INTO identities (id, person_id, platform, app_id, open_id, created_at)
            SELECT n, n, 'wechat', 'wx-development', 'o' || n, now() FROM generate_series(1, {e}) n""",
        f"""INSERT INTO memberships (id, person_id, organisation_id, role, state, created_at)
            SELECT n, n, n, 'owner', 'active', now() FROM generate_series(1, {e}) n""",
        f"""INSERT INTO sessions (id, token_hash, person_id, identity_id, membership_id, created_at, expires_at)
            SELECT n, sha256(convert_to('bench-' || n, 'UTF8')), n, n, n, now(), now() + interval '400 days'
            FROM generate_series(1, {e}) n""",
    ]


def statements(size: Size) -> list[str]:
    """In order; `now()` is the moment at which the data is made."""
    e = size.enterprises
    open_first, drawn = size.past_rounds + 1, size.past_rounds + size.open_rounds + 1
    return [
        *_people(size),
        f"""INSERT INTO programmes (id, name, region_code, state, made_by_id, created_at)
            VALUES (1, '专项服务券', '370100', 'published', {e + 1}, now())""",
        f"""INSERT INTO policies (id, programme_id, number, rules, state, made_by_id, confirmed_by_id, confirmed_at, created_at)
            VALUES (1, 1, 1, '{Rules().model_dump_json()}', 'confirmed', {e + 1}, {e + 2}, now(), now())""",
        f"""INSERT INTO voucher_types (id, programme_id, code, name, is_universal, categories, face_fen, created_at)
            VALUES (1, 1, 'AUDIT', '审计服务专用券', false, '["audit"]', {FACE_FEN}, now()),
                   (2, 1, 'GENERAL', '服务通用券', true, '[]', {FACE_FEN}, now()),
                   ({FIRST_COME_TYPE}, 1, 'FIRST', '先到先得券', true, '[]', {FACE_FEN}, now())""",
        f"""INSERT INTO applications (kind, organisation_id, programme_id, state, form_version, form, applied_by_id, submitted_at,
              decided_at, version, created_at, updated_at)
            SELECT 'qualification', n, 1, 'approved', {FORM_VERSION}, '{FORM}', n, now(), now(), 1, now(), now()
            FROM generate_series(1, {e}) n""",
        *_rounds(size, open_first, drawn),
        *_lots(size),
        *_orders(size),
        *_reviewed(size),
        *_notices(size),
        # Whose they are does not matter to a sum; spread over fourteen months, so that a part has faded.
        f"""INSERT INTO score_events (kind, institution_id, subject, subject_id, facts, happened_at, counted)
            SELECT (ARRAY['order_completed','review_received','transaction_filed','demand_answered','activity_filed'])[1 + n % 5],
                   1 + n % {size.scored}, 'bench', n,
                   CASE WHEN n % 5 = 1 THEN jsonb_build_object('grade', (ARRAY['good','medium','bad'])[1 + n % 3]) ELSE '{{}}' END,
                   now() - (n::bigint * 7919 % 425) * interval '1 day', true
            FROM generate_series(1, {size.score_events}) n""",
        # What seven days leave behind: on an empty table the server would plan to read all of it, and keep that plan.
        f"""INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)
            SELECT 'p' || (1 + n % {e}) || ':m' || (1 + n % {e}), 'pay_order', 'old-' || n, sha256('x'), 200, '{{}}', now()
            FROM generate_series(1, {size.done_orders}) n""",
        f"""INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
            SELECT now(), 1 + n % {e}, 1 + n % {e}, 'owner', 'order.paid', 'order', n, 'unpaid', 'paid', '{{}}', 'old'
            FROM generate_series(1, {size.done_orders}) n""",
        f"""INSERT INTO events (id, kind, organisation_id, subject, subject_id, data, created_at, opened_at)
            SELECT {size.notices} + n, 'order_paid', {size.organisations + 1} + n % {INSTITUTIONS}, 'order', n, '{{}}', now(), now()
            FROM generate_series(1, {size.done_orders}) n""",
    ]


def _rounds(size: Size, open_first: int, drawn: int) -> list[str]:
    # More than are asked for: the floor passes by what is held and does not wait in turn, so it would refuse the last ones.
    person, share = size.enterprises + 1, size.enterprises // SHARES + 100
    giving = f"generate_series({drawn + 1}, {drawn + size.giving_rounds}) n"
    return [
        f"""INSERT INTO rounds (id, programme_id, policy_id, number, name, state, opens_at, closes_at, draw_at, publicity_at,
              publicity_until, valid_until, randomness, notes, made_by_id, confirmed_by_id, created_at)
            SELECT n, 1, 1, (202600 + n)::text, '第' || n || '批', CASE WHEN n < {open_first} THEN 'final' ELSE 'open' END,
              now() - interval '1 day', ends, ends + interval '2 hours', ends + interval '3 hours', ends + interval '1 day',
              (ends + interval '200 days')::date,
              jsonb_build_array(jsonb_build_object('name', 'SSQ', 'format', 'ssq', 'at',
                to_char(ends + interval '9 hours', 'YYYY-MM-DD"T"HH24:MI:SS+08:00'))), '', {person}, {person + 1}, now()
            FROM generate_series(1, {drawn}) n, LATERAL (
              SELECT date_trunc('second', CASE WHEN n = {drawn} THEN now() - interval '3 days' + interval '2 days' + interval '1 hour'
                ELSE now() + interval '300 days' END) AS ends) times""",
        f"""INSERT INTO round_quotas (round_id, voucher_type_id, quota, alternates)
            SELECT n, t, {size.winners // 2}, 10 FROM generate_series(1, {drawn}) n, generate_series(1, 2) t""",
        f"""INSERT INTO rounds (id, programme_id, policy_id, allocation, number, name, state, opens_at, closes_at, draw_at, publicity_at,
              publicity_until, valid_until, randomness, notes, made_by_id, confirmed_by_id, created_at)
            SELECT n, 1, 1, 'first_come', (202600 + n)::text, '第' || n || '批', 'open', now() - interval '1 day', ends, ends, ends, ends,
              (ends + interval '200 days')::date, '[]', '', {person}, {person + 1}, now()
            FROM {giving}, LATERAL (SELECT now() + interval '300 days' AS ends) times""",
        f"""INSERT INTO round_quotas (round_id, voucher_type_id, quota, alternates)
            SELECT n, {FIRST_COME_TYPE}, {SHARES * share}, 0 FROM {giving}""",
        f"""INSERT INTO round_shares (round_id, voucher_type_id, first_place, size, remaining, is_open)
            SELECT n, {FIRST_COME_TYPE}, 1 + part * {share}, {share}, {share}, true FROM {giving}, generate_series(0, {SHARES - 1}) part""",
        f"""INSERT INTO reservations (round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at)
            SELECT r, n, 1 + n % 2, 'submitted', decode(md5(r || '-' || n), 'hex'), n, now(), now()
            FROM generate_series(1, {size.past_rounds}) r, generate_series(1, {size.enterprises}) n""",
        f"""INSERT INTO reservations (round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at)
            SELECT {drawn}, n, 1 + n % 2, 'submitted', decode(md5('drawn-' || n), 'hex'), 1, now(), now()
            FROM generate_series(1, {size.organisations}) n""",
    ]


def _lots(size: Size) -> list[str]:
    columns = """INSERT INTO lots (programme_id, voucher_type_id, organisation_id, face_fen, available_fen, held_fen, spent_fen,
      expired_fen, valid_from, valid_until, expires_at, created_at)"""
    first_due = size.enterprises + 1
    return [
        f"""{columns} SELECT 1, 1 + k % 2, n, {FACE_FEN}, {FACE_FEN}, 0, 0, 0, d, d + 300 + k, (d + 301 + k)::timestamptz, now()
            FROM generate_series(1, {size.enterprises}) n, generate_series(1, {LOTS_EACH}) k, (SELECT current_date AS d) today""",
        f"""{columns} SELECT 1, 1 + n % 2, {first_due} + n % {size.organisations - size.enterprises}, {FACE_FEN}, {FACE_FEN}, 0, 0, 0,
              d - 30, d - 2, (d - 1)::timestamptz, now() FROM generate_series(1, {size.expiring}) n, (SELECT current_date AS d) today""",
        """INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
           SELECT programme_id, id, organisation_id, 'issue', 'budget', 'available', face_fen, now() FROM lots ORDER BY id""",
    ]


def _orders(size: Size) -> list[str]:
    total = size.unpaid_orders + size.done_orders + size.to_review
    last_unpaid, last_done = size.unpaid_orders, size.unpaid_orders + size.done_orders
    again = math.lcm(size.enterprises, size.products)  # after so many orders an enterprise has the same product again
    return [
        f"""INSERT INTO orders (id, number, programme_id, policy_id, enterprise_id, institution_id, product_id, product_name,
              product_version, category, deductions, list_price_fen, order_fen, max_voucher_fen, voucher_fen, returned_fen, state,
              message, agreement_version, rework_count, placed_by_id, placed_at, paid_at, completed_at, reviewed_at, due_at,
              reminded, version, use_year, use_nth)
            SELECT n, '2026' || lpad(n::text, 20, '0'), 1, 1, buyer,
              {size.organisations + 1} + (1 + n % {size.products}) % {INSTITUTIONS}, 1 + n % {size.products}, '年度财务审计', 1, 'audit',
              '{{"1": 200000, "2": 200000}}', 400000, 400000, 200000,
              CASE WHEN n <= {last_unpaid} THEN 0 ELSE 100000 END, 0, CASE WHEN n <= {last_unpaid} THEN 'unpaid' ELSE 'completed' END,
              '', '2026-1', 0, buyer, now() - interval '20 days', CASE WHEN n > {last_unpaid} THEN now() - interval '19 days' END,
              CASE WHEN n > {last_unpaid} THEN now() - interval '8 days' END,
              CASE WHEN n > {last_unpaid} AND n <= {last_done} THEN now() END,
              CASE WHEN n <= {last_unpaid} THEN now() + interval '300 days' END, 1, 1,
              extract(year FROM now() AT TIME ZONE 'Asia/Shanghai'), 1 + (n - 1) / {again}
            FROM generate_series(1, {total}) n, LATERAL (SELECT 1 + (n - 1) % {size.enterprises} AS buyer) b""",
    ]


# Programmes of their own under the contract policy, so that no work meets another's rows; their voucher type has the next id.
IN_REVIEW, CLAIMED, APPROVED, STATED = range(2, 6)
PAYABLE_FEN = FACE_FEN * 6 // 10
# Entries of an order, each in the programmes from the one to the other.
ENTRIES = f"""(VALUES (0, 'issue', 'budget', 'available', {FACE_FEN}, {IN_REVIEW}, {STATED}),
  (1, 'hold', 'available', 'held', {FACE_FEN}, {IN_REVIEW}, {STATED}), (2, 'commit', 'held', 'receivable', {FACE_FEN}, {CLAIMED}, {STATED}),
  (3, 'pre_redeem', 'receivable', 'pre_redeemed', {PAYABLE_FEN}, {APPROVED}, {STATED}),
  (4, 'shortfall', 'receivable', 'shortfall', {FACE_FEN - PAYABLE_FEN}, {APPROVED}, {APPROVED})
) e(step, kind, source, target, fen, lowest, highest)"""


def _bought(size: Size) -> str:
    """Rows of what was bought: n counts all of them, p is the programme; an order's lot and number follow from n."""
    last = size.unpaid_orders + size.done_orders + size.to_review
    last_lot = size.enterprises * LOTS_EACH + size.expiring
    counts = {IN_REVIEW: size.decisions, CLAIMED: size.decisions, APPROVED: size.claims, STATED: size.lines // 4}
    parts = " UNION ALL ".join(f"SELECT {p}, k FROM generate_series(1, {count}) k" for p, count in counts.items())
    return f"""(SELECT p, n, {last} + n AS order_id, {last_lot} + n AS lot_id,
      {size.enterprises} + 1 + n % {size.organisations - size.enterprises} AS buyer,
      {size.organisations} + 1 + n % {INSTITUTIONS} AS seller,
      now() - interval '40 days' + n * interval '30 seconds' AS at
      FROM (SELECT p, row_number() OVER (ORDER BY p, k) AS n FROM ({parts}) part(p, k)) numbered) b"""


def _reviewing_programmes(size: Size) -> list[str]:
    person = size.enterprises + 1
    return [
        f"""INSERT INTO programmes (id, name, region_code, state, made_by_id, created_at)
            SELECT p, '创新券' || p, '370100', 'published', {person}, now() FROM generate_series({IN_REVIEW}, {STATED}) p""",
        f"""INSERT INTO policies (id, programme_id, number, rules, state, made_by_id, confirmed_by_id, confirmed_at, created_at)
            SELECT p, p, 1, '{ZHENGZHOU.model_dump_json()}', 'confirmed', {person}, {person + 1}, now(), now()
            FROM generate_series({IN_REVIEW}, {STATED}) p""",
        f"""INSERT INTO voucher_types (id, programme_id, code, name, is_universal, categories, face_fen, created_at)
            SELECT p + 1, p, 'DIRECTED', '创新券', true, '[]', {FACE_FEN}, now() FROM generate_series({IN_REVIEW}, {STATED}) p""",
        f"INSERT INTO parks (id, name, county_code, created_at) VALUES (1, '测试园区', '{REGION}', now())",
        f"""INSERT INTO institutions (organisation_id, introduction, address, website, landline, email, bank_account_name, bank_branch,
              bank_account, state, updated_at)
            SELECT n, '', '', '', '', '', '机构' || n, '济南历下支行', sha256(n::text::bytea) || sha256('x'), 'admitted', now()
            FROM generate_series({size.organisations + 1}, {size.organisations + INSTITUTIONS}) n""",
    ]


def _reviewed(size: Size) -> list[str]:
    """Orders of enterprises that are not signed in, each paid with one whole lot: under review, claimed, approved, and long past."""
    bought = _bought(size)
    return [
        *_reviewing_programmes(size),
        f"""INSERT INTO orders (id, number, programme_id, policy_id, enterprise_id, institution_id, product_id, product_name,
              product_version, category, deductions, list_price_fen, order_fen, max_voucher_fen, voucher_fen, returned_fen, state,
              message, agreement_version, rework_count, placed_by_id, placed_at, paid_at, completed_at, reviewed_at, reminded, version)
            SELECT order_id, '2026' || lpad(order_id::text, 20, '0'), p, p, buyer, seller, 1 + n % {size.products}, '检测服务', 1, 'audit',
              jsonb_build_object((p + 1)::text, {FACE_FEN}), {FACE_FEN}, {FACE_FEN}, {FACE_FEN}, {FACE_FEN}, 0,
              CASE p WHEN {IN_REVIEW} THEN 'pay_review' ELSE 'completed' END, '', '2026-1', 0, 1, at,
              CASE WHEN p > {IN_REVIEW} THEN at END, CASE WHEN p > {IN_REVIEW} THEN at END, CASE WHEN p > {IN_REVIEW} THEN at END, 0, 1
            FROM {bought}""",
        f"""INSERT INTO lots (id, programme_id, voucher_type_id, organisation_id, face_fen, available_fen, held_fen, spent_fen, expired_fen,
              valid_from, valid_until, expires_at, created_at)
            SELECT lot_id, p, p + 1, buyer, {FACE_FEN}, 0, CASE p WHEN {IN_REVIEW} THEN {FACE_FEN} ELSE 0 END,
              CASE p WHEN {IN_REVIEW} THEN 0 ELSE {FACE_FEN} END, 0, current_date - 60, current_date + 300,
              (current_date + 301)::timestamptz, at FROM {bought}""",
        f"""INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account,
              fen, at)
            SELECT p, lot_id, CASE WHEN step > 0 THEN order_id END, buyer, CASE WHEN step > 1 THEN seller END, e.kind, source, target,
              e.fen, at + step * interval '1 day' FROM {bought} JOIN {ENTRIES} ON p BETWEEN lowest AND highest ORDER BY n, step""",
        f"""INSERT INTO redemptions (id, number, order_id, programme_id, policy_id, institution_id, state, voucher_fen, actual_fen,
              ratio_ppm, payable_fen, shortfall_fen, summary, applied_by_id, submitted_at, prepared_by_id, prepared_at, preparation,
              decided_at, version)
            SELECT n, 'R' || n, order_id, p, p, seller, CASE p WHEN {CLAIMED} THEN 'in_review' ELSE 'pre_redeemed' END, {FACE_FEN},
              {FACE_FEN}, 600000, {PAYABLE_FEN}, {FACE_FEN - PAYABLE_FEN}, '', 1, at, {PREPARER + size.enterprises}, at, '{{}}',
              CASE p WHEN {APPROVED} THEN at END, 1 FROM {bought} WHERE p IN ({CLAIMED}, {APPROVED})""",
        f"""INSERT INTO approvals (id, kind, title, subject, subject_id, organisation_id, role, region_code, park_id, state,
              submitted_by_id, submitted_at, due_at, data)
            SELECT n, kind, '检测服务', subject, CASE p WHEN {IN_REVIEW} THEN order_id ELSE n END,
              CASE p WHEN {IN_REVIEW} THEN buyer ELSE seller END, role, region, park, 'open', 1, at, now() + interval '300 days', '{{}}'
            FROM {bought} JOIN (VALUES ({IN_REVIEW}, 'payment', 'order', 'reviewer', NULL, 1),
              ({CLAIMED}, 'redemption', 'redemption', 'centre_reviewer', '370100', NULL)) v(at_programme, kind, subject, role, region, park)
            ON p = at_programme""",
    ]


def _notices(size: Size) -> list[str]:
    fields = {"voucher_type": "审计服务专用券", "amount": "1000.00", "valid_until": "2027-06-30", "hint": "请及时使用"}
    data = orjson.dumps({"fields": fields, "subject": "lot", "subject_id": 1, "channels": ["wechat_subscribe"]}).decode()
    return [
        f"""INSERT INTO events (id, kind, person_id, subject, subject_id, data, created_at, opened_at)
            SELECT n, 'voucher_issued', n, 'lot', n, '{{}}', now(), now() FROM generate_series(1, {size.notices}) n""",
        f"""INSERT INTO notices (id, event_id, person_id, kind, title, body, page, data, created_at)
            SELECT n, n, n, 'voucher_issued', '服务券已发放', '审计服务专用券 1000.00 元已存入券包。', 'pages/wallet/index', '{data}', now()
            FROM generate_series(1, {size.notices}) n""",
        f"""INSERT INTO deliveries (notice_id, person_id, step, channel, state, attempts, due_at, give_up_at)
            SELECT n, n, 1, 'wechat_subscribe', 'planned', 0, now(), now() + interval '400 days'
            FROM generate_series(1, {size.notices}) n""",
    ]


def products(size: Size) -> list[tuple[object, ...]]:
    """Rows of `products`: 32 words in all combinations of three, with what our own search keeps of them."""
    now, categories = datetime.now(UTC), list(CATEGORIES)
    names = itertools.islice(itertools.cycle(itertools.permutations(WORDS, 3)), 0, None, 7)
    rows: list[tuple[object, ...]] = []
    for number, words in zip(range(1, size.products + 1), names, strict=False):
        seller, category = size.organisations + 1 + number % INSTITUTIONS, categories[number % len(categories)]
        name = "".join(words) + "服务"
        institution = f"企业{seller}"
        haystack, terms = indexed(name=name, institution=institution, category=category, region_code=REGION)
        rows.append((number, f"PX-{REGION}-{number}", seller, name, category, REGION, 10_000 + number * 7919 % 1_000_000, "listed",
                     "{}", False, institution, 200_000, haystack, terms, 1, now, now, now))
    return rows


PRODUCT_COLUMNS = (
    "id", "service_number", "organisation_id", "name", "category", "region_code", "price_fen", "state", "sections", "is_recommended",
    "institution_name", "max_voucher_fen", "haystack", "terms", "version", "listed_at", "created_at", "updated_at",
)


async def fill(owner_url: str, size: Size) -> None:
    """Into an empty, migrated database."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '128MB'")
        for statement in statements(size):
            await owner.execute(statement)
        await owner.copy_records_to_table("products", records=products(size), columns=PRODUCT_COLUMNS)
        await owner.execute(
            f"INSERT INTO deductions (product_id, voucher_type_id, max_fen) SELECT n, t, 200000"
            f" FROM generate_series(1, {size.products}) n, generate_series(1, 2) t"
        )
        for table, in await owner.fetch("SELECT table_name::text FROM information_schema.columns WHERE is_identity = 'YES'"
                                        " OR column_default LIKE 'nextval%' AND table_schema = 'public'"):
            await owner.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}))")
        await owner.execute("VACUUM (FREEZE, ANALYZE)")
    finally:
        await owner.close()
