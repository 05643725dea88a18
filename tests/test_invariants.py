"""Each invariant is seen to find its break: an invariant that cannot fail proves nothing."""

import re

import asyncpg
import pytest

from handlers.audit import check_books
from handlers.invariants import INVARIANTS
from handlers.reviews import review_due
from settings import ROOT
from tests.applications import valid
from tests.consulting import open_consulting
from tests.lottery import drawn, giving, take
from tests.market import open_market
from tests.shop import open_shop
from tests.supermarket import open_supermarket
from tests.test_filings import Office
from tests.test_products import create
from tests.test_regular_products import offer
from tests.world import World
from tests.zhengzhou import open_contract_shop

# What the schema forbids, an older dump or an index that lost a row may still hold.
WITHOUT_CONSTRAINTS = """
SET LOCAL session_replication_role = replica;
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u') LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname);
  END LOOP;
  FOR found IN SELECT indexrelid::regclass AS name FROM pg_index JOIN pg_class c ON c.oid = indexrelid
    WHERE indisunique AND NOT indisprimary AND c.relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('DROP INDEX %s', found.name);
  END LOOP;
  FOR found IN SELECT attrelid::regclass AS name, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attname IN ('token_hash', 'decided_at', 'closed_at') AND c.relkind = 'r' AND attnotnull LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', found.name, found.attname);
  END LOOP;
END $$
"""
ENTRY = (
    "INSERT INTO ledger_entries (programme_id, lot_id, to_lot_id, order_id, organisation_id, institution_id, kind, from_account,"
    " to_account, fen, at) SELECT programme_id, lot_id, {to_lot}, {order_id}, organisation_id, institution_id, {kind}, {source}, {target},"
    " {fen}, at FROM ledger_entries WHERE kind = '{like}' LIMIT 1"
)


def entry(like: str, **changes: str) -> str:
    """One more entry like an existing one."""
    columns = {"to_lot": "NULL", "order_id": "order_id", "kind": "kind", "source": "from_account", "target": "to_account", "fen": "fen"}
    return ENTRY.format(like=like, **columns | changes)


ISSUED = "(SELECT id FROM reservations WHERE state = 'issued' LIMIT 1)"
GRACE_LOT = (
    "INSERT INTO lots (programme_id, voucher_type_id, organisation_id, grace_of_id, face_fen, available_fen, held_fen, spent_fen,"
    " expired_fen, valid_from, valid_until, expires_at, created_at) SELECT programme_id, voucher_type_id, organisation_id, id, 1, 1, 0, 0,"
    " 0, valid_from, valid_until, expires_at, created_at FROM lots LIMIT 1"
)
SEAL = "INSERT INTO seals (chain, from_xid, upto_xid, rows, previous, digest, sealed_at) VALUES ('audit', {}, {}, 1, {}, '\\x00', now())"
# name -> what breaks it, in a world with a reviewed order, a final round and a product in review
CLAIM = (
    "INSERT INTO redemptions (number, order_id, programme_id, policy_id, institution_id, state, voucher_fen, actual_fen, ratio_ppm,"
    " payable_fen, shortfall_fen, summary, applied_by_id, submitted_at, preparation, version) SELECT '{number}', id, programme_id,"
    " policy_id, institution_id, '{state}', voucher_fen, order_fen, 600000, {payable}, voucher_fen - {payable}, '', placed_by_id,"
    " placed_at, '{{}}', 1"
    " FROM orders WHERE voucher_fen > 0 LIMIT 1"
)
BATCH = (
    "INSERT INTO payout_batches (number, programme_id, state, lines, total_fen, made_by_id, made_at)"
    " SELECT 'B', programme_id, 'draft', 1, 5, placed_by_id, placed_at FROM orders LIMIT 1"
)
INVOICE = (
    "INSERT INTO invoices (redemption_id, code, number, buyer_name, seller_name, amount_fen, issued_on, attachment_id)"
    " VALUES (1, '', '00000000', '', '', 1, '2026-01-01', 1), (2, '', '00000000', '', '', 1, '2026-01-01', 1)"
)
FREEZE = (
    "INSERT INTO freezes (order_id, reason, frozen_by_id, frozen_at, lifted_by_id, lifted_at)"
    " SELECT id, '', placed_by_id, placed_at, {lifted_by}, {lifted_at} FROM orders LIMIT 1"
)
APPEAL = (
    "INSERT INTO appeals (kind, organisation_id, approval_id, state, statement, filed_by_id, filed_at, decided_by_id, decided_at)"
    " SELECT 'payment', organisation_id, id, '{state}', '', submitted_by_id, submitted_at, {decided_by}, {decided_at}"
    " FROM approvals WHERE decided_by_id IS NOT NULL LIMIT 1"
)
ENTERPRISE_REVIEW = (
    "INSERT INTO enterprise_reviews (order_id, enterprise_id, institution_id, grade, reviewed_by_id, reviewed_at, is_blind, text)"
    " SELECT id, enterprise_id, institution_id, 'good', placed_by_id, completed_at, true, '' FROM orders WHERE state = 'completed' LIMIT 1"
)
PHONE_CODE = (
    "INSERT INTO phone_codes (invitation_id, phone_index, code_hash, tries, consent_version, agreed_at, expires_at, used_at)"
    " SELECT id, '\\x00', '\\x00', {tries}, '', created_at, expires_at, {used_at} FROM invitations WHERE state = 'accepted' LIMIT 1"
)
BREAKS = {
    "redemptions_add_up": CLAIM.format(number="1", state="rejected", payable="order_fen"),
    "returned_vouchers_are_not_claimed": CLAIM.format(number="4", state="in_review", payable="1") + "; UPDATE orders SET returned_fen = 1",
    "redemptions_are_in_the_ledger": CLAIM.format(number="2", state="pre_redeemed", payable="1"),
    "batches_add_up": BATCH,
    "claims_in_a_batch_have_their_line": CLAIM.format(number="3", state="in_batch", payable="1"),
    "invoices_pay_once": INVOICE,
    "ledger_conserves_each_programme": entry("commit", target="'elsewhere'"),
    "ledger_accounts_never_negative": entry("hold", fen="fen * 10"),
    "ledger_amounts_positive": "UPDATE ledger_entries SET fen = -fen WHERE kind = 'hold'",
    "ledger_kinds_move_between_their_accounts": entry("commit", source="'available'"),
    "ledger_only_grace_moves_between_lots": entry("issue", to_lot="lot_id + 1"),
    "ledger_entries_belong_to_their_lot": "UPDATE ledger_entries SET organisation_id = organisation_id + 1 WHERE kind = 'issue'",
    "ledger_entries_belong_to_their_order": "UPDATE ledger_entries SET institution_id = institution_id + 1 WHERE kind = 'commit'",
    "ledger_payments_name_order_and_institution": "UPDATE ledger_entries SET institution_id = NULL WHERE kind = 'commit'",
    "lots_equal_their_ledger_entries": "UPDATE lots SET available_fen = available_fen + 1, spent_fen = spent_fen - 1 WHERE spent_fen > 0",
    "lots_account_for_their_whole_face": "UPDATE lots SET face_fen = face_fen + 1",
    "lots_never_negative": "UPDATE lots SET available_fen = -1",
    "lots_are_of_their_programme": "UPDATE lots SET programme_id = programme_id + 1",
    "lots_end_after_their_last_day_in_shanghai": "UPDATE lots SET expires_at = expires_at + interval '1 second'",
    "lots_expired_only_after_their_last_day": "UPDATE lots SET expired_fen = 1, expired_at = expires_at - interval '1 microsecond'",
    "given_back_lots_are_whole_and_of_their_ticket": "UPDATE lots SET given_back_at = created_at",
    "grace_lots_continue_their_lot": GRACE_LOT,
    "grants_are_lots_of_their_amount": "UPDATE grants SET amount_fen = amount_fen - 1",
    "grace_lots_keep_the_grant": "UPDATE lots SET grant_id = NULL WHERE grace_of_id IS NOT NULL",
    "programmes_grant_within_their_budget": "UPDATE programmes SET budget_fen = granted_fen - 1 WHERE granted_fen > 0",
    "orders_pay_from_amounts_of_their_direction": "UPDATE orders SET content = '商标注册'",
    "orders_cost_what_was_settled_last": "DELETE FROM price_changes",
    "orders_paid_by_contract_cost_what_it_says": "UPDATE contracts SET total_fen = total_fen + 1",
    "payments_in_review_have_one_open_approval": (
        "UPDATE approvals SET state = 'withdrawn', decided_at = submitted_at WHERE kind = 'payment' AND state = 'open'"
    ),
    "payments_are_reviewed_by_nobody_of_either_party": (
        "INSERT INTO memberships (person_id, organisation_id, role, state, created_at) SELECT a.decided_by_id, o.institution_id, 'viewer',"
        " 'active', o.placed_at - interval '1 day' FROM approvals a JOIN orders o ON o.id = a.subject_id"
        " WHERE a.kind = 'payment' AND a.state = 'approved'"
    ),
    "orders_hold_what_is_under_payment_review": "DELETE FROM ledger_entries WHERE kind = 'commit'",
    "orders_spent_what_they_paid_and_did_not_return": "UPDATE orders SET voucher_fen = voucher_fen - 1",
    "orders_in_service_are_paid": "UPDATE orders SET returned_fen = 1",
    "orders_prices_form_a_chain": "UPDATE orders SET order_fen = list_price_fen + 1",
    "orders_use_each_voucher_type_within_its_deduction": "UPDATE orders SET deductions = '{}'",
    "orders_have_two_unrelated_parties": "UPDATE orders SET institution_id = enterprise_id",
    "orders_end_with_a_moment_and_a_reason": "UPDATE orders SET completed_at = NULL",
    "orders_keep_the_yearly_cap_of_a_product": "UPDATE orders SET use_nth = 3",
    "orders_count_in_the_year_of_their_payment": "UPDATE orders SET use_year = use_year - 1",
    "orders_alive_count_as_a_use": "UPDATE orders SET use_nth = NULL, use_year = NULL",
    "orders_in_dispute_have_one_open_dispute": "UPDATE orders SET state = 'delivered', disputed_at = now()",
    "orders_in_service_have_their_time": "UPDATE orders SET state = 'accepted', due_at = NULL",
    "orders_reviewed_have_one_review": "UPDATE orders SET reviewed_at = NULL",
    "reviews_name_the_parties_of_their_order": "UPDATE reviews SET institution_id = institution_id + 1",
    "reviews_of_the_system_wait_their_days": "UPDATE reviews SET reviewed_at = reviewed_at - interval '1 microsecond'",
    "reviews_of_the_system_have_no_author_and_no_stars": "UPDATE reviews SET platform_stars = 5",
    "winners_within_the_quota": "UPDATE round_quotas SET quota = 0",
    "winners_are_counted": "UPDATE reservations SET win_nth = NULL WHERE state = 'issued'",
    "wins_within_the_yearly_cap": "UPDATE reservations SET win_nth = 2 WHERE state = 'issued'",
    "wins_have_places_of_their_own": "UPDATE reservations SET rank = NULL WHERE state = 'issued'",
    "issued_tickets_have_exactly_one_lot": "UPDATE lots SET reservation_id = NULL",
    "issued_lots_are_the_winners": "UPDATE lots SET organisation_id = organisation_id + 1 WHERE reservation_id IS NOT NULL",
    "final_rounds_have_issued_all": "UPDATE reservations SET state = 'won' WHERE state = 'issued'",
    "only_drawn_rounds_have_winners": "UPDATE rounds SET state = 'committed'",
    "voided_rounds_have_no_winners": "UPDATE rounds SET state = 'voided'",
    "drawn_rounds_have_their_bundle": "UPDATE draws SET seed = NULL",
    "draws_count_the_tickets": "UPDATE reservations SET state = 'withdrawn' WHERE state = 'submitted'",
    "draws_keep_the_published_list": "UPDATE draw_lists SET lines = lines || '0'",
    "draw_objections_open_are_looked_at": (
        "INSERT INTO draw_objections (round_id, organisation_id, state, reason, objected_by_id, objected_at)"
        " SELECT round_id, organisation_id, 'open', '', reserved_by_id, submitted_at FROM reservations LIMIT 1"
    ),
    "disqualifications_open_are_of_a_win": (
        "INSERT INTO approvals (kind, title, subject, subject_id, organisation_id, role, state, submitted_by_id, submitted_at, due_at,"
        " data) SELECT 'disqualification', '', 'reservation', id, organisation_id, 'admin', 'open', reserved_by_id, submitted_at,"
        " submitted_at, '{}' FROM reservations LIMIT 1"
    ),
    "one_ticket_for_each_enterprise": "UPDATE reservations SET organisation_id = 1",
    "tickets_are_of_their_programme": "UPDATE rounds SET programme_id = programme_id + 1",
    "first_come_places_add_up": "UPDATE round_shares SET remaining = 0",
    "first_come_doors_follow_their_round": "UPDATE round_shares SET is_open = NOT is_open",
    "filings_approved_count_once": "UPDATE score_events SET revoked_at = happened_at WHERE subject = 'filing'",
    "filings_in_review_have_one_open_approval": "DELETE FROM approvals WHERE subject = 'filing' AND state = 'open'",
    "filings_count_after_their_flags_were_seen": "UPDATE filing_flags SET acknowledged_by_id = NULL",
    "filing_objections_open_are_looked_at": (
        "INSERT INTO filing_objections (filing_id, enterprise_id, reason, state, objected_by_id, objected_at)"
        " SELECT id, institution_id, '', 'open', filed_by_id, created_at FROM filings WHERE state = 'approved' LIMIT 1"
    ),
    "filings_file_an_order_once": "UPDATE filings SET order_id = (SELECT min(id) FROM orders)",
    "filings_of_an_order_say_what_it_says": "UPDATE filings SET order_id = (SELECT min(id) FROM orders)",
    "filings_were_revoked_by_a_second_person": "UPDATE filings SET revoked_at = updated_at WHERE state = 'approved'",
    "products_regular_are_what_the_list_says": "UPDATE products SET name = '自己的名称' WHERE kind = 'regular'",
    "memberships_of_the_association_are_of_a_supermarket": (
        "UPDATE applications SET programme_id = NULL WHERE kind = 'supermarket_certification'"
    ),
    "approvals_open_wait_for_something": "UPDATE products SET state = 'approved' WHERE state = 'in_review'",
    "what_waits_has_an_open_approval": "DELETE FROM approvals",
    "approvals_are_decided_by_somebody_else": "UPDATE approvals SET state = 'approved', decided_at = submitted_at",
    "applications_decided_have_their_moment": "UPDATE applications SET decided_at = NULL",
    "policies_and_rounds_had_a_second_person": "UPDATE rounds SET finalised_by_id = made_by_id",
    "products_listed_are_of_admitted_institutions": "UPDATE organisations SET certified_at = NULL",
    "institutions_trade_by_their_state": "UPDATE institutions SET state = 'expired'",
    "products_in_force_say_what_was_approved": (
        "INSERT INTO product_versions (product_id, number, content, state, made_by_id, created_at)"
        " SELECT id, 99, '{}', 'approved', (SELECT min(id) FROM persons), created_at FROM products LIMIT 1"
    ),
    "products_deduct_within_their_price": "UPDATE deductions SET max_fen = 400001",
    "products_are_shown_under_their_institution": "UPDATE products SET institution_name = '别家机构'",
    "freezes_that_last_are_on_their_order": FREEZE.format(lifted_by="NULL", lifted_at="NULL"),
    "freezes_were_lifted_by_a_second_person": FREEZE.format(lifted_by="placed_by_id", lifted_at="placed_at"),
    "risk_scores_are_the_sum_of_their_signals": (
        "INSERT INTO order_risks (order_id, score, verdict, assessed_at) SELECT id, 1, 'none', placed_at FROM orders LIMIT 1"
    ),
    "appeals_in_review_have_one_open_approval": APPEAL.format(state="in_review", decided_by="NULL", decided_at="NULL"),
    "appeals_are_decided_by_another_reviewer": APPEAL.format(state="upheld", decided_by="decided_by_id", decided_at="decided_at"),
    "inbound_messages_keep_nothing_of_what_is_over": (
        "INSERT INTO inbound_messages (platform, app_id, open_id, kind, dedupe_hash, state, payload, attempts, received_at, due_at,"
        " finished_at) VALUES ('wechat_oa', 'a', 'o', 'said', '\\x00', 'done', '\\x01', 1, now(), now(), now())"
    ),
    "bot_identities_act_for_their_own_person": (
        "INSERT INTO bot_identities (identity_id, membership_id, has_chosen, bound_at) SELECT i.id, m.id, true, now()"
        " FROM identities i JOIN memberships m ON m.person_id <> i.person_id LIMIT 1"
    ),
    "bindings_bind_their_own_person": (
        "INSERT INTO bindings (person_id, identity_id, scene_hash, code_hash, created_at, expires_at, used_at)"
        " SELECT p.id, i.id, '\\x00', '\\x00', now(), now(), now() FROM identities i JOIN persons p ON p.id <> i.person_id LIMIT 1"
    ),
    "payment_passwords_have_five_tries": "UPDATE payment_passwords SET tries_spent = 6",
    "sessions_keep_only_hashes": "UPDATE sessions SET token_hash = 'a-token'",
    "deliveries_go_to_the_reader_of_their_notice": (
        "WITH n AS (INSERT INTO notices (event_id, person_id, kind, title, body, page, data, created_at)"
        " SELECT 0, min(id), '', '', '', '', '{}', now() FROM persons RETURNING id, person_id)"
        " INSERT INTO deliveries (notice_id, person_id, step, channel, state, attempts, due_at, give_up_at)"
        " SELECT id, person_id + 1, 1, 'sms', 'planned', 0, now(), now() FROM n"
    ),
    "memberships_ended_have_their_moment": "UPDATE memberships SET state = 'ended'",
    "idempotency_keys_answer_once": (
        "INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)"
        " SELECT principal, operation, key, body_hash, status, answer, created_at FROM idempotency_keys LIMIT 1"
    ),
    "orders_are_all_recorded": "UPDATE orders SET state = 'accepted'",
    "states_are_what_was_recorded": "UPDATE rounds SET state = 'publicity'",
    "demands_are_known_to_whom_they_are_addressed": "UPDATE demand_responses SET is_chosen = false",
    "demands_are_known_when_their_words_have_passed": "UPDATE demands SET released_at = NULL",
    "demands_held_wait_for_nothing_else": "UPDATE demands SET state = 'held', alternatives_at = posted_at",
    "demands_have_few_takers_that_were_not_chosen": "UPDATE demand_responses SET place = 1, is_chosen = false",
    "demands_taken_have_a_taker": "UPDATE demands SET taken_at = NULL",
    "demands_settled_were_taken_by_that_institution": "UPDATE demands SET settled_with_id = enterprise_id",
    "demands_closed_remind_nobody": "UPDATE demand_responses SET remind_at = notified_at",
    "demands_converted_have_their_order": "UPDATE orders SET demand_id = NULL",
    "demands_answered_count_once": "DELETE FROM score_events",
    "demand_contacts_were_seen_after_taking": "UPDATE demand_responses SET taken_at = taken_at + interval '1 day'",
    "scores_are_the_sum_of_their_parts": (
        "INSERT INTO scores (institution_id, formula_version, month, reviews, transactions, activities, answers, total, activity,"
        " updated_at) SELECT institution_id, 1, 1, 2800, 0, 0, 0, 2801, 0, placed_at FROM orders LIMIT 1"
    ),
    "score_months_are_what_was_counted": "UPDATE score_events SET counted = true",
    "reviews_that_count_are_of_people_and_revealed": (
        "INSERT INTO score_events (kind, institution_id, subject, subject_id, facts, happened_at) SELECT 'review_received', institution_id,"
        " 'review', id, jsonb_build_object('grade', grade), reviewed_at FROM reviews WHERE is_system LIMIT 1"
    ),
    "pairs_of_reviews_are_revealed_together": f"UPDATE reviews SET is_system = false; {ENTERPRISE_REVIEW}",
    "enterprises_are_reviewed_where_both_sides_review": ENTERPRISE_REVIEW,
    "replies_are_to_what_can_be_read": (
        "INSERT INTO review_replies (review_id, text, replied_by_id, replied_at)"
        " SELECT r.id, '', o.placed_by_id, r.reviewed_at FROM reviews r JOIN orders o ON o.id = r.order_id WHERE r.is_system LIMIT 1"
    ),
    "texts_in_review_have_one_open_approval": (
        "INSERT INTO content_checks (subject, subject_id, text, person_id, organisation_id, state, tries, created_at)"
        " SELECT 'review', id, '', placed_by_id, enterprise_id, 'in_review', 1, placed_at FROM orders LIMIT 1"
    ),
    "seals_follow_each_other": SEAL.format(1, 2, "decode(repeat('00', 32), 'hex')"),
    "seals_are_not_ahead_of_the_transactions": SEAL.format(0, 2**62, "decode(repeat('00', 32), 'hex')"),
    "consultants_active_hold_the_membership_of_their_institution": "UPDATE memberships SET state = 'ended' WHERE role = 'consultant'",
    "consultants_invited_have_one_live_invitation": "UPDATE invitations SET state = 'live'",
    "consultants_in_review_have_one_open_approval": "UPDATE consultants SET state = 'filling' WHERE state = 'in_review'",
    "invitations_were_accepted_by_whom_they_named": PHONE_CODE.format(tries=0, used_at="created_at"),
    "phone_codes_have_five_tries_and_are_used_in_time": PHONE_CODE.format(tries=0, used_at="expires_at"),
}


async def finds(owner: asyncpg.Connection, name: str, broken_by: str) -> bool:
    """Break, ask, and undo."""
    undo = owner.transaction()
    await undo.start()
    try:
        await owner.execute(broken_by)
        return bool(await owner.fetch(INVARIANTS[name]))
    finally:
        await undo.rollback()


async def eventful(world: World) -> None:
    shop = await open_shop(world, product_use_cap_per_year=2)
    await shop.completed()
    world.clock.advance(days=7)
    assert await world.sweep(review_due) == 1
    product = await create(world, shop.seller)
    assert (await world.put(f"/institution/products/{product['id']}/submission", by=shop.seller))[0] == 200
    lottery, _ = await drawn(world, cap=1)
    await lottery.publicise()
    await lottery.finalise()
    giving_out = await giving(world, quota=2, number="202605")
    assert (await take(giving_out))[0] == 201
    await contracted(world)
    await asked(world)
    await filed(world)


async def filed(world: World) -> None:
    """An institution of a supermarket with a regular product, a filing that counts with a flag seen, and one in review."""
    market = await open_supermarket(world)
    member = await market.certified()
    assert (await offer(world, member, await market.standard()))[0] == 201
    office = Office(world, member, await world.consultant(member), [market.admin])
    await office.approved()
    await office.approved(enterprise_code=valid("91370103MC0000009"))
    await office.submitted(amount_fen=7)
    consulting = await open_consulting(world)
    await consulting.active()
    await consulting.in_review(await consulting.somebody("13700137000"), phone="13700137000")


async def contracted(world: World) -> None:
    """Under Zhengzhou's policy: a payment approved, one rejected after the vouchers' last day, one in review."""
    shop = await open_contract_shop(world)
    await shop.granted(valid_until=shop.in_days(0).isoformat())
    approved, rejected = await shop.in_review(), await shop.in_review()
    await shop.in_review()
    world.clock.advance(days=1)
    assert (await shop.decide(approved, "approval"))[0] == 200
    assert (await shop.decide(rejected, "rejection", "合同未盖章"))[0] == 200


async def asked(world: World) -> None:
    """A demand that became an order and is settled."""
    market = await open_market(world)
    demand = await market.taken()
    assert (await world.get(f"/institution/demands/{demand}/contact", by=market.seller))[0] == 200
    assert (await market.offer(demand))[0] == 200
    assert (await market.shop.place(demand_id=demand))[0] == 201
    settled = {"institution_id": market.seller.organisation_id}
    assert (await world.post(f"/demands/{demand}/closing", settled, by=market.buyer))[0] == 200


async def test_every_invariant_has_a_break_that_it_finds(world: World) -> None:
    await eventful(world)
    assert await check_books() == {}
    assert len(INVARIANTS) >= 28
    assert BREAKS.keys() == INVARIANTS.keys()
    undo = world.owner.transaction()
    await undo.start()
    try:
        await world.owner.execute(WITHOUT_CONSTRAINTS)
        missed = [name for name, broken_by in BREAKS.items() if not await finds(world.owner, name, broken_by)]
    finally:
        await undo.rollback()
    assert missed == []


def test_the_documentation_names_every_invariant() -> None:
    text = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    assert named == [*INVARIANTS, "audit_chain_unbroken", "ledger_chain_unbroken"]


async def test_a_break_is_reported_with_at_most_ten_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INVARIANTS, "numbers", "SELECT n FROM generate_series(1, 50) n")
    try:
        assert await check_books() == {"numbers": [{"n": number} for number in range(1, 11)]}
    finally:
        monkeypatch.undo()


async def test_the_books_are_read_in_one_snapshot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.audit.INVARIANTS", {
        "isolation": "SELECT current_setting('transaction_isolation') AS level, current_setting('transaction_read_only') AS read_only",
    })
    try:
        assert await check_books() == {"isolation": [{"level": "repeatable read", "read_only": "on"}]}
    finally:
        monkeypatch.undo()
