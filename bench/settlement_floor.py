"""The floors of W11 to W14: a decision is one statement, so is a payout batch; a statement is one query and a workbook."""

import hashlib
import secrets
from datetime import UTC, datetime
from io import BytesIO

import asyncpg
from xlsxwriter import Workbook

from bench.data import APPROVED, STATED
from handlers.statements.ledger import KINDS
from handlers.working_days import SHANGHAI

# $1 approval, $2 reviewer, $3 now, $4 park or what the division's code begins with, $5 key, $6 hash of the body, $7 request. Like the
# floor of a payment: who may, what is on hold, lots, ledger, order, approval, audit, events and the kept answer.
TAKEN = """
  SELECT a.id, a.kind, a.title, a.subject_id, a.organisation_id FROM approvals a
  WHERE a.id = $1 AND a.state = 'open' AND a.submitted_by_id <> $2::bigint
    AND NOT EXISTS (SELECT FROM memberships m WHERE m.organisation_id = a.organisation_id AND m.person_id = $2)
    AND NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.principal = 'p' || $2::text AND k.operation = 'approve' AND k.key = $5)
"""
RECORDED = """, decided AS (
  UPDATE approvals a SET state = 'approved', decided_by_id = $2, decided_at = $3 FROM moved m WHERE a.id = $1 RETURNING a.id
), audited AS (
  INSERT INTO audit_entries (at, person_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $3, $2, '{role}', e.action, e.subject, e.subject_id, e.before, e.after, '{{}}', $7 FROM moved m, LATERAL (VALUES
    ('{action}', '{subject}', m.id, '{before}', m.state), ('approval.approved', 'approval', $1::bigint, 'open', 'approved'))
    e(action, subject, subject_id, before, after)
), kept AS (
  INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)
  SELECT 'p' || $2::text, 'approve', $5, $6, 200, convert_to(jsonb_build_object('id', t.id, 'kind', t.kind, 'title', t.title,
    'subject_id', t.subject_id, 'organisation_id', t.organisation_id, 'state', 'approved', 'decided_at', $3)::text, 'UTF8'), $3
  FROM taken t, decided
)
"""
TELL = """, told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at, actor_id)
  SELECT e.kind, e.organisation_id, e.subject, e.subject_id, e.data, $3, $2 FROM moved m, LATERAL (VALUES {rows},
    ('approval_closed', NULL, 'approval', $1, '{{}}')) e(kind, organisation_id, subject, subject_id, data)
) SELECT id FROM decided
"""
PAYMENT = f"""
WITH taken AS MATERIALIZED ({TAKEN} AND a.role = 'reviewer' AND a.park_id = $4 FOR UPDATE), bought AS MATERIALIZED (
  SELECT o.* FROM taken t JOIN orders o ON o.id = t.subject_id
  WHERE o.state = 'pay_review' AND o.frozen_at IS NULL
    AND NOT EXISTS (SELECT FROM memberships m WHERE m.organisation_id = o.institution_id AND m.person_id = $2) FOR UPDATE OF o
), held AS (
  SELECT e.lot_id, sum(CASE e.kind WHEN 'hold' THEN e.fen ELSE -e.fen END)::bigint AS fen
  FROM bought b JOIN ledger_entries e ON e.order_id = b.id AND e.kind IN ('hold', 'release', 'commit') GROUP BY e.lot_id
), spent AS (
  UPDATE lots l SET held_fen = l.held_fen - h.fen, spent_fen = l.spent_fen + h.fen FROM held h WHERE l.id = h.lot_id AND h.fen > 0
  RETURNING l.id, l.programme_id, l.organisation_id, h.fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
  SELECT s.programme_id, s.id, b.id, s.organisation_id, b.institution_id, 'commit', 'held', 'receivable', s.fen, $3 FROM spent s, bought b
), moved AS (
  UPDATE orders o SET state = 'paid', paid_at = $3, reminded = 0, due_at = NULL FROM bought b WHERE o.id = b.id RETURNING o.*
) {RECORDED.format(role="reviewer", action="order.paid", subject="order", before="pay_review")}
{TELL.format(rows=", ".join(
    f"('payment_approved', m.{party}_id, 'order', m.id, jsonb_build_object('number', m.number, 'service', m.product_name,"
    " 'voucher_fen', m.voucher_fen, 'at', $3))" for party in ("enterprise", "institution")))}
"""
CLAIM = f"""
WITH taken AS MATERIALIZED ({TAKEN} AND a.role = 'centre_reviewer' AND starts_with(a.region_code, $4) FOR UPDATE), claimed AS MATERIALIZED (
  SELECT r.*, o.number AS order_number, o.product_name
  FROM taken t JOIN redemptions r ON r.id = t.subject_id JOIN orders o ON o.id = r.order_id
  WHERE r.state = 'in_review' AND r.prepared_by_id IS NOT NULL AND r.prepared_by_id <> $2 AND o.frozen_at IS NULL AND o.disputed_at IS NULL
    AND NOT EXISTS (
      SELECT FROM memberships m WHERE m.organisation_id IN (o.enterprise_id, o.institution_id) AND m.person_id = $2)
  FOR UPDATE OF r
), paid AS (
  SELECT e.lot_id, e.programme_id, e.organisation_id, max(e.institution_id) AS institution_id, c.order_id, c.payable_fen,
    sum(CASE e.kind WHEN 'commit' THEN e.fen ELSE -e.fen END)::bigint AS fen
  FROM claimed c JOIN ledger_entries e ON e.order_id = c.order_id AND e.kind IN ('commit', 'reverse')
  GROUP BY e.lot_id, e.programme_id, e.organisation_id, c.order_id, c.payable_fen
), cut AS (
  SELECT *, least(fen, greatest(payable_fen - sum(fen) OVER (ORDER BY lot_id) + fen, 0))::bigint AS payable FROM paid WHERE fen > 0
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
  SELECT programme_id, lot_id, order_id, organisation_id, institution_id, e.kind, 'receivable', e.target, e.fen, $3 FROM cut, LATERAL (
    VALUES ('pre_redeem', 'pre_redeemed', payable), ('shortfall', 'shortfall', fen - payable)) e(kind, target, fen) WHERE e.fen > 0
), moved AS (
  UPDATE redemptions r SET state = 'pre_redeemed', decided_at = $3 FROM claimed c WHERE r.id = c.id
  RETURNING r.id, r.state, r.institution_id, r.payable_fen, c.order_number, c.product_name
) {RECORDED.format(role="centre_reviewer", action="redemption.approved", subject="redemption", before="in_review")}
{TELL.format(rows="('redemption_result', m.institution_id, 'redemption', m.id, jsonb_build_object('number', m.order_number,"
             " 'service', m.product_name, 'result', 'approved', 'payable_fen', m.payable_fen))")}
"""
# $1 number, $2 maker, $3 now. Without the audit row of each claim.
BATCH = f"""
WITH chosen AS (
  SELECT r.id, r.payable_fen, i.bank_account_name, i.bank_branch, i.bank_account
  FROM redemptions r JOIN institutions i ON i.organisation_id = r.institution_id JOIN orders o ON o.id = r.order_id
  WHERE r.programme_id = {APPROVED} AND r.state = 'pre_redeemed' AND r.payable_fen > 0 AND o.frozen_at IS NULL AND o.disputed_at IS NULL
    AND i.bank_account IS NOT NULL AND i.bank_account_name IS NOT NULL AND i.bank_branch IS NOT NULL
  ORDER BY r.decided_at, r.id LIMIT 10000 FOR UPDATE OF r SKIP LOCKED
), moved AS (
  UPDATE redemptions r SET state = 'in_batch' FROM chosen c WHERE r.id = c.id
), made AS (
  INSERT INTO payout_batches (number, programme_id, state, lines, total_fen, made_by_id, made_at)
  SELECT $1, {APPROVED}, 'draft', count(*), sum(payable_fen), $2, $3 FROM chosen RETURNING id
)
INSERT INTO payout_lines (batch_id, redemption_id, fen, account_name, bank_branch, bank_account, state)
SELECT m.id, c.id, c.payable_fen, c.bank_account_name, c.bank_branch, c.bank_account, 'pending' FROM made m, chosen c ORDER BY c.id
"""
LINES = f"""
SELECT e.id, e.at, e.kind, e.fen, e.from_account, e.to_account, t.name AS voucher_type, o.number AS order_number, b.name AS enterprise,
  s.name AS institution
FROM ledger_entries e JOIN lots l ON l.id = e.lot_id JOIN voucher_types t ON t.id = l.voucher_type_id
JOIN organisations b ON b.id = e.organisation_id LEFT JOIN orders o ON o.id = e.order_id
LEFT JOIN organisations s ON s.id = e.institution_id
WHERE e.programme_id = {STATED} AND e.at >= $1 AND e.at < $2 ORDER BY e.at, e.id
"""
HEADER = ("台账编号", "时间", "业务", "金额（元）", "余额变动（元）", "券种", "订单号", "企业", "服务机构")
OURS = frozenset({"available", "held", "receivable", "pre_redeemed"})  # what counts as a programme's balance


async def decide(connection: asyncpg.Connection, sql: str, approvals: range, person_id: int, within: int | str) -> None:
    for approval in approvals:
        done = await connection.fetchval(
            sql, approval, person_id, datetime.now(UTC), within, f"floor-{approval}", bytes(32), secrets.token_hex(8)
        )
        assert done == approval, approval


async def pay_out(connection: asyncpg.Connection, person_id: int) -> None:
    await connection.execute(BATCH, secrets.token_hex(12), person_id, datetime.now(UTC))


async def statement(connection: asyncpg.Connection, since: datetime, before: datetime) -> bytes:
    """The lines as a workbook by the library that ours has, the sums by kind, and the digest, in one reading."""
    lines = await connection.fetch(LINES, since, before)
    sums: dict[str, int] = {}
    digest, out, total, changed = hashlib.sha256(), BytesIO(), 0, 0
    with Workbook(out, {"constant_memory": True}) as book:
        money, sums_sheet, sheet = book.add_format({"num_format": "#,##0.00"}), book.add_worksheet("本期合计"), book.add_worksheet("明细")
        for column, title in enumerate(HEADER):
            sheet.write_string(0, column, title)
        for number, (entry, at, kind, fen, source, target, voucher_type, order, enterprise, institution) in enumerate(lines, start=1):
            change = ((target in OURS) - (source in OURS)) * fen
            total, changed, sums[kind] = total + fen, changed + change, sums.get(kind, 0) + fen
            digest.update(f"{entry}|{at.isoformat()}|{kind}|{fen}|{order or ''}\n".encode())
            sheet.write_number(number, 0, entry)
            sheet.write_string(number, 1, f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}")
            sheet.write_string(number, 2, KINDS[kind])
            sheet.write_number(number, 3, fen / 100, money)
            sheet.write_number(number, 4, change / 100, money)
            sheet.write_string(number, 5, voucher_type)
            if order:
                sheet.write_string(number, 6, order)
            sheet.write_string(number, 7, enterprise)
            if institution:
                sheet.write_string(number, 8, institution)
        sheet.write_string(len(lines) + 1, 0, "合计")
        sheet.write_number(len(lines) + 1, 3, total / 100, money)
        sheet.write_number(len(lines) + 1, 4, changed / 100, money)
        for place, (name, fen) in enumerate([*sums.items(), (digest.hexdigest(), total)]):
            sums_sheet.write_string(place, 0, name)
            sums_sheet.write_number(place, 1, fen / 100, money)
    return out.getvalue()
