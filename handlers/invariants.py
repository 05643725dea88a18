"""What must always be true, each as one SQL query whose rows are the breaks (docs/invariants.md says why each matters).

Aggregates over whole tables, no query per row: made for a nightly run over millions of rows, and quick over none. A test or a
migration may write rows that a rule of the code would refuse; nothing may write rows that break these.
"""

from handlers.consultants.proofs import CONSULTANTS
from handlers.demand_invariants import DEMANDS
from handlers.draw_invariants import DRAWS
from handlers.invariants_scores import SCORES
from handlers.invariants_supermarket import SUPERMARKET
from models.wallet import MOVES, EntryKind

# --- money -------------------------------------------------------------------------------------------------------------

# The kinds and their accounts, as rows; a grace entry goes from a lot to another.
_MOVES = ", ".join(
    f"('{kind}', '{source}', '{target}')" for kind, (source, target) in (*MOVES.items(), (EntryKind.GRACE, ("available", "available")))
)
# One line per lot and account: what its entries say that it holds.
_PER_LOT = """
SELECT lot_id, sum(available)::bigint AS available, sum(held)::bigint AS held, sum(spent)::bigint AS spent,
  sum(expired)::bigint AS expired, sum(taken)::bigint AS taken, sum(received)::bigint AS received
FROM (
  SELECT lot_id,
    CASE WHEN to_lot_id IS NOT NULL THEN -fen ELSE (CASE to_account WHEN 'available' THEN fen ELSE 0 END)
      - (CASE from_account WHEN 'available' THEN fen ELSE 0 END) END AS available,
    (CASE to_account WHEN 'held' THEN fen ELSE 0 END) - (CASE from_account WHEN 'held' THEN fen ELSE 0 END) AS held,
    (CASE kind WHEN 'commit' THEN fen WHEN 'reverse' THEN -fen ELSE 0 END) AS spent,
    (CASE to_account WHEN 'expired' THEN fen ELSE 0 END) AS expired,
    (CASE WHEN kind IN ('give_back', 'revoke', 'grace') THEN fen ELSE 0 END) AS taken,
    (CASE kind WHEN 'issue' THEN fen ELSE 0 END) AS received
  FROM ledger_entries
  UNION ALL SELECT to_lot_id, fen, 0, 0, 0, 0, fen FROM ledger_entries WHERE to_lot_id IS NOT NULL
) moved GROUP BY lot_id
"""
_PER_ORDER = """
SELECT order_id,
  sum(CASE kind WHEN 'hold' THEN fen WHEN 'release' THEN -fen WHEN 'commit' THEN -fen ELSE 0 END)::bigint AS held,
  sum(CASE kind WHEN 'commit' THEN fen WHEN 'reverse' THEN -fen ELSE 0 END)::bigint AS spent
FROM ledger_entries WHERE order_id IS NOT NULL GROUP BY order_id
"""
MONEY = {
    "ledger_conserves_each_programme": """
      SELECT programme_id, issued, kept FROM (
        SELECT programme_id, sum(CASE WHEN from_account = 'budget' THEN fen ELSE 0 END) AS issued,
          sum(CASE WHEN to_account IN ('available','held','receivable','pre_redeemed','paid','shortfall','expired','revoked','returned')
              THEN fen ELSE 0 END)
          - sum(CASE WHEN from_account IN ('available','held','receivable','pre_redeemed','paid','shortfall','expired','revoked','returned')
              THEN fen ELSE 0 END) AS kept
        FROM ledger_entries GROUP BY programme_id) sums WHERE issued <> kept""",
    "ledger_accounts_never_negative": """
      SELECT programme_id, account, sum(fen) AS fen FROM (
        SELECT programme_id, to_account AS account, fen FROM ledger_entries
        UNION ALL SELECT programme_id, from_account, -fen FROM ledger_entries) moved
      WHERE account <> 'budget' GROUP BY programme_id, account HAVING sum(fen) < 0""",
    "ledger_amounts_positive": "SELECT id, fen FROM ledger_entries WHERE fen <= 0",
    "ledger_kinds_move_between_their_accounts": f"""
      SELECT e.id, e.kind, e.from_account, e.to_account FROM ledger_entries e
      LEFT JOIN (VALUES {_MOVES}) m(kind, source, target)
        ON m.kind = e.kind AND m.source = e.from_account AND m.target = e.to_account
      WHERE m.kind IS NULL""",
    "ledger_only_grace_moves_between_lots": """
      SELECT id, kind, to_lot_id FROM ledger_entries WHERE (kind = 'grace') <> (to_lot_id IS NOT NULL) OR to_lot_id = lot_id""",
    "ledger_entries_belong_to_their_lot": """
      SELECT e.id, e.lot_id FROM ledger_entries e LEFT JOIN lots l ON l.id = e.lot_id
      WHERE l.id IS NULL OR l.programme_id <> e.programme_id OR l.organisation_id <> e.organisation_id""",
    "ledger_entries_belong_to_their_order": """
      SELECT e.id, e.order_id FROM ledger_entries e LEFT JOIN orders o ON o.id = e.order_id
      WHERE e.order_id IS NOT NULL AND (o.id IS NULL OR o.programme_id <> e.programme_id OR o.enterprise_id <> e.organisation_id
        OR e.institution_id IS NOT NULL AND o.institution_id <> e.institution_id)""",
    "ledger_payments_name_order_and_institution": """
      SELECT id, kind FROM ledger_entries WHERE kind IN ('hold', 'release', 'commit', 'reverse') AND order_id IS NULL
        OR kind IN ('commit', 'reverse') AND institution_id IS NULL""",
    "lots_equal_their_ledger_entries": f"""
      SELECT l.id, l.available_fen, e.available, l.held_fen, e.held, l.spent_fen, e.spent, l.expired_fen, e.expired
      FROM lots l LEFT JOIN ({_PER_LOT}) e ON e.lot_id = l.id
      WHERE (l.available_fen, l.held_fen, l.spent_fen, l.expired_fen) IS DISTINCT FROM (e.available, e.held, e.spent, e.expired)""",
    "lots_account_for_their_whole_face": f"""
      SELECT l.id, l.face_fen, e.received FROM lots l JOIN ({_PER_LOT}) e ON e.lot_id = l.id
      WHERE l.face_fen <> e.received OR l.face_fen <> l.available_fen + l.held_fen + l.spent_fen + l.expired_fen + e.taken""",
    "lots_never_negative": """
      SELECT id FROM lots WHERE available_fen < 0 OR held_fen < 0 OR spent_fen < 0 OR expired_fen < 0 OR face_fen <= 0""",
    "lots_are_of_their_programme": """
      SELECT l.id FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id WHERE t.programme_id <> l.programme_id""",
    "lots_end_after_their_last_day_in_shanghai": """
      SELECT id, valid_until, expires_at FROM lots
      WHERE expires_at <> (valid_until + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' OR valid_until < valid_from""",
    "lots_expired_only_after_their_last_day": """
      SELECT id, expires_at, expired_at FROM lots WHERE expired_fen > 0 AND (expired_at IS NULL OR expired_at < expires_at)""",
    "given_back_lots_are_whole_and_of_their_ticket": """
      SELECT l.id, l.given_back_at, r.state, e.fen FROM lots l LEFT JOIN reservations r ON r.id = l.reservation_id
      LEFT JOIN (SELECT lot_id, sum(fen) AS fen FROM ledger_entries WHERE kind = 'give_back' GROUP BY lot_id) e ON e.lot_id = l.id
      WHERE (l.given_back_at IS NOT NULL) <> (coalesce(r.state, '') = 'given_back')
        OR coalesce(e.fen, 0) <> CASE WHEN l.given_back_at IS NULL THEN 0 ELSE l.face_fen END""",
    "grace_lots_continue_their_lot": """
      SELECT g.id FROM lots g JOIN lots l ON l.id = g.grace_of_id
      WHERE (g.programme_id, g.voucher_type_id, g.organisation_id) <> (l.programme_id, l.voucher_type_id, l.organisation_id)
        OR l.grace_of_id IS NOT NULL OR g.expires_at <= l.expires_at""",
}

# --- approved amounts and contracts (C24-C44) ------------------------------------------------------------------------------

CONTRACTS = {
    "grants_are_lots_of_their_amount": """
      SELECT g.id, g.amount_fen, l.face FROM grants g LEFT JOIN (
        SELECT grant_id, programme_id, organisation_id, voucher_type_id, sum(face_fen)::bigint AS face FROM lots
        WHERE grant_id IS NOT NULL AND grace_of_id IS NULL GROUP BY grant_id, programme_id, organisation_id, voucher_type_id
      ) l ON l.grant_id = g.id
      WHERE (l.face, l.programme_id, l.organisation_id, l.voucher_type_id)
        IS DISTINCT FROM (g.amount_fen, g.programme_id, g.organisation_id, g.voucher_type_id) OR g.amount_fen > g.applied_fen""",
    "grace_lots_keep_the_grant": """
      SELECT c.id FROM lots c JOIN lots l ON l.id = c.grace_of_id WHERE c.grant_id IS DISTINCT FROM l.grant_id""",
    "programmes_grant_within_their_budget": """
      SELECT p.id, p.granted_fen, p.budget_fen, g.granted FROM programmes p
      LEFT JOIN (SELECT programme_id, sum(amount_fen)::bigint AS granted FROM grants GROUP BY programme_id) g ON g.programme_id = p.id
      WHERE p.granted_fen <> coalesce(g.granted, 0) OR p.granted_fen > p.budget_fen""",
    "orders_pay_from_amounts_of_their_direction": """
      SELECT DISTINCT o.id, e.lot_id FROM orders o JOIN policies p ON p.id = o.policy_id
      JOIN ledger_entries e ON e.order_id = o.id AND e.kind = 'hold' JOIN lots l ON l.id = e.lot_id LEFT JOIN grants g ON g.id = l.grant_id
      WHERE p.rules->>'direction_match' = 'category_content'
        AND (g.directions @> jsonb_build_array(jsonb_build_object('category', o.category, 'content', o.content))) IS NOT TRUE""",
    "orders_cost_what_was_settled_last": """
      SELECT o.id, o.order_fen, c.to_fen FROM orders o
      LEFT JOIN (SELECT DISTINCT ON (order_id) order_id, to_fen FROM price_changes ORDER BY order_id, id DESC) c ON c.order_id = o.id
      WHERE o.order_fen <> coalesce(c.to_fen, o.offered_fen, o.list_price_fen)""",
    "orders_paid_by_contract_cost_what_it_says": """
      SELECT o.id, o.order_fen, c.total_fen FROM orders o JOIN policies p ON p.id = o.policy_id
      LEFT JOIN (SELECT DISTINCT ON (order_id) * FROM contracts ORDER BY order_id, id DESC) c ON c.order_id = o.id
      WHERE p.rules->>'contract_upload' = 'at_pay' AND (o.state = 'pay_review' OR o.paid_at IS NOT NULL)
        AND (c.total_fen IS DISTINCT FROM o.order_fen OR (p.rules->>'contract_after_award')::boolean
          AND (c.signed_on >= c.awarded_on) IS NOT TRUE)""",
    "payments_in_review_have_one_open_approval": """
      SELECT o.id, o.state, a.id AS approval_id FROM orders o
      FULL JOIN (SELECT * FROM approvals WHERE subject = 'order' AND kind = 'payment' AND state = 'open') a ON a.subject_id = o.id
      WHERE (o.state = 'pay_review') IS DISTINCT FROM (a.id IS NOT NULL)""",
    "payments_are_reviewed_by_nobody_of_either_party": """
      SELECT a.id, a.decided_by_id FROM approvals a JOIN orders o ON o.id = a.subject_id
      JOIN memberships m ON m.person_id = a.decided_by_id AND m.organisation_id IN (o.enterprise_id, o.institution_id)
      WHERE a.subject = 'order' AND a.kind = 'payment' AND m.created_at < a.decided_at""",
}

# --- orders and reviews --------------------------------------------------------------------------------------------------

ORDERS = {
    "orders_hold_what_is_under_payment_review": f"""
      SELECT o.id, o.state, o.voucher_fen, coalesce(e.held, 0) AS held FROM orders o LEFT JOIN ({_PER_ORDER}) e ON e.order_id = o.id
      WHERE coalesce(e.held, 0) <> CASE WHEN o.state = 'pay_review' THEN o.voucher_fen ELSE 0 END""",
    "orders_spent_what_they_paid_and_did_not_return": f"""
      SELECT o.id, o.state, o.voucher_fen, o.returned_fen, coalesce(e.spent, 0) AS spent
      FROM orders o LEFT JOIN ({_PER_ORDER}) e ON e.order_id = o.id
      WHERE coalesce(e.spent, 0) <> CASE WHEN o.paid_at IS NULL THEN 0 ELSE o.voucher_fen - o.returned_fen END""",
    "orders_in_service_are_paid": """
      SELECT id, state FROM orders WHERE state IN ('paid', 'accepted', 'delivered', 'completed')
        AND (paid_at IS NULL OR voucher_fen <= 0 OR returned_fen <> 0)""",
    "orders_prices_form_a_chain": """
      SELECT id FROM orders WHERE NOT (list_price_fen >= order_fen AND order_fen >= voucher_fen AND voucher_fen >= returned_fen
        AND returned_fen >= 0 AND order_fen > 0 AND voucher_fen <= max_voucher_fen)""",
    "orders_use_each_voucher_type_within_its_deduction": """
      SELECT order_id, voucher_type_id, fen FROM (
        SELECT e.order_id, l.voucher_type_id, sum(CASE e.kind WHEN 'commit' THEN e.fen ELSE -e.fen END) AS fen
        FROM ledger_entries e JOIN lots l ON l.id = e.lot_id WHERE e.kind IN ('commit', 'reverse')
        GROUP BY e.order_id, l.voucher_type_id) used
      JOIN orders o ON o.id = used.order_id WHERE used.fen > coalesce((o.deductions->>used.voucher_type_id::text)::bigint, 0)""",
    "orders_have_two_unrelated_parties": """
      SELECT o.id FROM orders o JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
      WHERE o.enterprise_id = o.institution_id OR e.kind <> 'enterprise' OR i.kind <> 'institution'""",
    "orders_end_with_a_moment_and_a_reason": """
      SELECT id, state FROM orders WHERE (state = 'closed') <> (closed_at IS NOT NULL) OR (state = 'closed') <> (close_reason IS NOT NULL)
        OR state = 'completed' AND completed_at IS NULL OR state = 'delivered' AND delivered_at IS NULL""",
    "orders_keep_the_yearly_cap_of_a_product": """
      SELECT o.id, o.use_nth FROM orders o JOIN policies p ON p.id = o.policy_id
      WHERE o.use_nth > (p.rules->>'product_use_cap_per_year')::int""",
    "orders_count_in_the_year_of_their_payment": """
      SELECT o.id, o.use_year, o.paid_at FROM orders o
      LEFT JOIN (SELECT subject_id, max(submitted_at) AS submitted_at FROM approvals WHERE subject = 'order' AND kind = 'payment'
                 GROUP BY subject_id) a ON a.subject_id = o.id
      WHERE o.use_year IS NOT NULL AND (o.paid_at IS NOT NULL OR o.state = 'pay_review')
        AND o.use_year <> extract(year FROM coalesce(a.submitted_at, o.paid_at) AT TIME ZONE 'Asia/Shanghai')""",
    "orders_alive_count_as_a_use": """
      SELECT id, state FROM orders WHERE (use_nth IS NULL) <> (use_year IS NULL)
        OR use_nth IS NULL AND (state <> 'closed' OR returned_fen < voucher_fen AND paid_at IS NOT NULL)""",
    "orders_in_dispute_have_one_open_dispute": """
      SELECT o.id, o.disputed_at FROM orders o
      FULL JOIN (SELECT order_id, count(*) AS open FROM disputes WHERE ruled_at IS NULL GROUP BY order_id) d ON d.order_id = o.id
      WHERE (o.disputed_at IS NOT NULL) <> (coalesce(d.open, 0) = 1)
        OR o.disputed_at IS NOT NULL AND o.state NOT IN ('accepted', 'delivered')""",
    "orders_in_service_have_their_time": """
      SELECT id FROM orders WHERE state = 'accepted' AND due_at IS NULL""",
    "orders_reviewed_have_one_review": """
      SELECT o.id, o.reviewed_at, r.reviews FROM orders o
      FULL JOIN (SELECT order_id, count(*) AS reviews FROM reviews GROUP BY order_id) r ON r.order_id = o.id
      WHERE (o.reviewed_at IS NOT NULL) <> (coalesce(r.reviews, 0) = 1) OR o.reviewed_at IS NOT NULL AND o.state <> 'completed'""",
    "reviews_name_the_parties_of_their_order": """
      SELECT r.id FROM reviews r JOIN orders o ON o.id = r.order_id
      WHERE (r.enterprise_id, r.institution_id, r.product_id) <> (o.enterprise_id, o.institution_id, o.product_id)""",
    "reviews_of_the_system_wait_their_days": """
      SELECT r.id, r.reviewed_at, o.completed_at FROM reviews r JOIN orders o ON o.id = r.order_id JOIN policies p ON p.id = o.policy_id
      WHERE r.is_system
        AND r.reviewed_at < o.completed_at + make_interval(days => coalesce((p.rules->>'auto_review_after_days')::int, 7))""",
    "reviews_of_the_system_have_no_author_and_no_stars": """
      SELECT id FROM reviews WHERE is_system <> (reviewed_by_id IS NULL) OR is_system AND platform_stars IS NOT NULL""",
}

# --- redemption --------------------------------------------------------------------------------------------------------

PAYOUTS = {
    "redemptions_add_up": """
      SELECT r.id, r.voucher_fen, r.payable_fen, r.shortfall_fen FROM redemptions r JOIN policies p ON p.id = r.policy_id
      WHERE r.payable_fen + r.shortfall_fen <> r.voucher_fen OR r.payable_fen > r.actual_fen
        OR r.payable_fen > floor(CASE p.rules #>> '{claim,basis}' WHEN 'voucher_paid' THEN r.voucher_fen ELSE r.actual_fen END::numeric
                                 * r.ratio_ppm / 1000000)""",
    "returned_vouchers_are_not_claimed": """
      SELECT o.id, o.returned_fen, r.id AS redemption_id FROM orders o JOIN redemptions r ON r.order_id = o.id AND r.state <> 'rejected'
      WHERE r.voucher_fen + o.returned_fen > o.voucher_fen""",
    "redemptions_are_in_the_ledger": """
      SELECT r.id, r.state, r.payable_fen, e.pre_redeemed, e.short, e.paid FROM redemptions r
      LEFT JOIN (SELECT order_id, sum(fen) FILTER (WHERE kind = 'pre_redeem') AS pre_redeemed,
                   sum(fen) FILTER (WHERE kind = 'shortfall') AS short, sum(fen) FILTER (WHERE kind = 'pay_out') AS paid
                 FROM ledger_entries WHERE order_id IS NOT NULL GROUP BY order_id) e ON e.order_id = r.order_id
      WHERE r.state IN ('pre_redeemed', 'in_batch', 'redeemed')
          AND (coalesce(e.pre_redeemed, 0) <> r.payable_fen OR coalesce(e.short, 0) <> r.shortfall_fen)
        OR coalesce(e.paid, 0) <> CASE WHEN r.state = 'redeemed' THEN r.payable_fen ELSE 0 END AND r.state <> 'rejected'""",
    "batches_add_up": """
      SELECT b.id, b.lines, b.total_fen, l.lines AS written, l.fen FROM payout_batches b
      LEFT JOIN (SELECT batch_id, count(*) AS lines, sum(fen) AS fen, count(*) FILTER (WHERE state = 'pending') AS waiting
                 FROM payout_lines GROUP BY batch_id) l ON l.batch_id = b.id
      WHERE b.lines <> coalesce(l.lines, 0) OR b.total_fen <> coalesce(l.fen, 0)
        OR b.state IN ('settled', 'cancelled') AND l.waiting > 0""",
    "claims_in_a_batch_have_their_line": """
      SELECT r.id, r.state FROM redemptions r WHERE (r.state = 'in_batch') <>
        EXISTS (SELECT 1 FROM payout_lines l WHERE l.redemption_id = r.id AND l.state = 'pending')""",
    "invoices_pay_once": """
      SELECT code, number, count(*) FROM invoices WHERE released_at IS NULL GROUP BY code, number HAVING count(*) > 1""",
}

# --- people, decisions, records ------------------------------------------------------------------------------------------

# subject -> (its table, what has been recorded of it must be how it is)
_RECORDED = {
    "application": "applications", "approval": "approvals", "order": "orders", "policy": "policies", "product": "products",
    "product_version": "product_versions", "institution": "institutions", "appeal": "appeals",
    "consultant": "consultants", "invitation": "invitations",
    "programme": "programmes", "round": "rounds",
    "demand": "demands", "demand_response": "demand_responses",
    "filing": "filings", "filing_objection": "filing_objections", "draw_objection": "draw_objections",
    "content_check": "content_checks",
}
# Only entries that carry a state count: an order's payment note or a product's edit has none.
_LAST_STATE = """
SELECT DISTINCT ON (subject_id) subject_id, after FROM audit_entries WHERE subject = '{subject}' AND after IS NOT NULL
ORDER BY subject_id, id DESC
"""
RECORDS = {
    "approvals_open_wait_for_something": """
      SELECT a.id, a.kind, a.subject_id FROM approvals a
      LEFT JOIN applications p ON a.subject = 'application' AND p.id = a.subject_id
      LEFT JOIN products d ON a.subject = 'product' AND d.id = a.subject_id
      LEFT JOIN orders o ON a.subject = 'order' AND o.id = a.subject_id
      LEFT JOIN redemptions r ON a.subject = 'redemption' AND r.id = a.subject_id
      WHERE a.state = 'open' AND (a.kind = 'application' AND p.state IS DISTINCT FROM 'submitted'
        OR a.kind = 'product' AND d.state IS DISTINCT FROM 'in_review'
          AND NOT EXISTS (SELECT 1 FROM product_versions v WHERE v.product_id = a.subject_id AND v.state = 'in_review')
        OR a.kind = 'redemption' AND r.state IS DISTINCT FROM 'in_review'
        OR a.kind = 'dispute' AND o.disputed_at IS NULL)""",
    "what_waits_has_an_open_approval": """
      SELECT waiting.subject, waiting.id FROM (
        SELECT 'application' AS subject, id FROM applications WHERE state = 'submitted'
        UNION ALL SELECT 'redemption', id FROM redemptions WHERE state = 'in_review'
        UNION ALL SELECT 'product', id FROM products WHERE state = 'in_review'
        UNION ALL SELECT 'product', product_id FROM product_versions WHERE state = 'in_review'
        UNION ALL SELECT 'order', id FROM orders WHERE disputed_at IS NOT NULL) waiting
      LEFT JOIN approvals a ON a.subject = waiting.subject AND a.subject_id = waiting.id AND a.state = 'open' WHERE a.id IS NULL""",
    "approvals_are_decided_by_somebody_else": """
      SELECT id, state FROM approvals WHERE (state = 'open') <> (decided_at IS NULL) OR decided_by_id = submitted_by_id
        OR (state IN ('approved', 'returned', 'rejected')) <> (decided_by_id IS NOT NULL)""",
    "applications_decided_have_their_moment": """
      SELECT id, state FROM applications WHERE state IN ('approved', 'rejected') AND decided_at IS NULL
        OR state = 'submitted' AND submitted_at IS NULL""",
    "policies_and_rounds_had_a_second_person": """
      SELECT 'policy' AS subject, id FROM policies WHERE state = 'confirmed' AND (confirmed_by_id IS NULL OR confirmed_by_id = made_by_id)
      UNION ALL SELECT 'round', id FROM rounds WHERE confirmed_by_id = made_by_id OR finalised_by_id = made_by_id""",
    "products_listed_are_of_admitted_institutions": """
      SELECT p.id FROM products p JOIN organisations o ON o.id = p.organisation_id
      WHERE (p.state = 'listed') <> (p.listed_at IS NOT NULL)
        OR p.state = 'listed' AND (o.kind <> 'institution' OR o.certified_at IS NULL)""",
    "institutions_trade_by_their_state": """
      SELECT o.id, i.state, o.certified_at, o.suspended_at FROM organisations o JOIN institutions i ON i.organisation_id = o.id
      WHERE (i.state = 'applying') <> (o.certified_at IS NULL) OR i.state IN ('suspended', 'expired') AND o.suspended_at IS NULL""",
    "products_in_force_say_what_was_approved": """
      SELECT p.id, p.version, v.number FROM products p JOIN product_versions v ON v.product_id = p.id AND v.state = 'approved'
      WHERE v.number <> p.version OR v.content ->> 'name' <> p.name OR v.content ->> 'category' <> p.category
        OR v.content ->> 'content' <> p.content OR (v.content ->> 'price_fen')::bigint IS DISTINCT FROM p.price_fen
        OR v.content -> 'sections' <> p.sections OR coalesce(v.content -> 'parameters', '[]') <> p.parameters
      UNION ALL SELECT p.id, p.version, v.number FROM products p JOIN product_versions v ON v.product_id = p.id
      WHERE v.state IN ('draft', 'in_review') AND p.state NOT IN ('approved', 'listed')""",
    "products_deduct_within_their_price": """
      SELECT p.id, p.max_voucher_fen, d.max_fen, p.price_fen FROM products p
      LEFT JOIN (SELECT product_id, max(max_fen) AS max_fen FROM deductions GROUP BY product_id) d ON d.product_id = p.id
      WHERE p.max_voucher_fen <> coalesce(d.max_fen, 0) OR p.max_voucher_fen > coalesce(p.price_fen, 0)""",
    "products_are_shown_under_their_institution": """
      SELECT p.id, p.institution_name, o.name FROM products p JOIN organisations o ON o.id = p.organisation_id
      WHERE p.institution_name <> o.name""",
    "freezes_that_last_are_on_their_order": """
      SELECT f.id, f.order_id FROM freezes f JOIN orders o ON o.id = f.order_id
      WHERE f.lifted_at IS NULL AND o.frozen_at IS DISTINCT FROM f.frozen_at""",
    "freezes_were_lifted_by_a_second_person": """
      SELECT id FROM freezes WHERE lifted_by_id = frozen_by_id OR (lifted_at IS NULL) <> (lifted_by_id IS NULL)""",
    "risk_scores_are_the_sum_of_their_signals": """
      SELECT r.order_id, r.score, s.score AS signals FROM order_risks r FULL JOIN (
        SELECT order_id, sum(weight) AS score FROM (
          SELECT order_id, kind, max(weight) AS weight FROM risk_signals GROUP BY order_id, kind) kinds GROUP BY order_id) s
        ON s.order_id = r.order_id
      WHERE r.score IS DISTINCT FROM s.score""",
    "appeals_in_review_have_one_open_approval": """
      SELECT p.id, p.state, a.open FROM appeals p
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'appeal' AND state = 'open' GROUP BY subject_id) a
        ON a.subject_id = p.id
      WHERE coalesce(a.open, 0) <> CASE WHEN p.state = 'in_review' THEN 1 ELSE 0 END""",
    "appeals_are_decided_by_another_reviewer": """
      SELECT p.id FROM appeals p LEFT JOIN approvals a ON a.id = p.approval_id LEFT JOIN freezes f ON f.id = p.freeze_id
      WHERE p.decided_by_id IN (a.decided_by_id, f.frozen_by_id, p.filed_by_id)
        OR (p.state IN ('upheld', 'overturned')) <> (p.decided_at IS NOT NULL)""",
    "inbound_messages_keep_nothing_of_what_is_over": """
      SELECT id, state FROM inbound_messages WHERE state IN ('done', 'failed') AND (payload IS NOT NULL OR answer IS NOT NULL)
        OR (state IN ('done', 'failed')) <> (finished_at IS NOT NULL) OR (state = 'working') <> (leased_until IS NOT NULL)""",
    "bot_identities_act_for_their_own_person": """
      SELECT b.id FROM bot_identities b JOIN identities i ON i.id = b.identity_id JOIN memberships m ON m.id = b.membership_id
      WHERE m.person_id <> i.person_id""",
    "bindings_bind_their_own_person": """
      SELECT b.id FROM bindings b JOIN identities i ON i.id = b.identity_id WHERE i.person_id <> b.person_id""",
    "payment_passwords_have_five_tries": "SELECT id, tries_spent FROM payment_passwords WHERE tries_spent NOT BETWEEN 0 AND 5",
    "sessions_keep_only_hashes": "SELECT id FROM sessions WHERE octet_length(token_hash) <> 32 OR expires_at <= created_at",
    "deliveries_go_to_the_reader_of_their_notice": """
      SELECT d.id FROM deliveries d JOIN notices n ON n.id = d.notice_id
      WHERE d.person_id IS DISTINCT FROM n.person_id AND NOT (d.person_id IS NULL AND d.channel = 'email')""",
    "memberships_ended_have_their_moment": """
      SELECT id, state FROM memberships WHERE (state = 'ended') <> (ended_at IS NOT NULL)""",
    "idempotency_keys_answer_once": """
      SELECT principal, operation, key, count(*) FROM idempotency_keys GROUP BY principal, operation, key HAVING count(*) > 1""",
    "orders_are_all_recorded": f"""
      SELECT o.id, o.state, a.after FROM orders o LEFT JOIN ({_LAST_STATE.format(subject="order")}) a ON a.subject_id = o.id
      WHERE a.after IS DISTINCT FROM o.state""",
    "states_are_what_was_recorded": " UNION ALL ".join(
        f"SELECT '{subject}' AS subject, t.id, t.state::text, a.after::text FROM {table} t"
        f" JOIN ({_LAST_STATE.format(subject=subject)}) a ON a.subject_id = t.id WHERE a.after <> t.state"
        for subject, table in _RECORDED.items() if subject != "order"
    ),
    "seals_follow_each_other": """
      SELECT id, chain FROM (
        SELECT id, chain, from_xid, upto_xid, previous, lag(upto_xid) OVER w AS last_xid, lag(digest) OVER w AS last_digest
        FROM seals WINDOW w AS (PARTITION BY chain ORDER BY upto_xid)) linked
      WHERE from_xid <> coalesce(last_xid, 0) OR upto_xid <= from_xid
        OR previous <> coalesce(last_digest, decode(repeat('00', 32), 'hex'))""",
    "seals_are_not_ahead_of_the_transactions": """
      SELECT id, chain, upto_xid FROM seals WHERE upto_xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint""",
}

# name -> a query whose rows are the breaks
INVARIANTS: dict[str, str] = {
    **MONEY, **CONTRACTS, **ORDERS, **PAYOUTS, **DRAWS, **DEMANDS, **SUPERMARKET, **SCORES, **CONSULTANTS, **RECORDS,
}
