"""What the models cannot say: partial and GIN indexes, append-only triggers, transaction ids for the seals, sequences."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = r"""
-- A queue's index holds what waits, not what is done.
CREATE INDEX events_waiting ON events (id) WHERE opened_at IS NULL;
CREATE INDEX deliveries_planned ON deliveries (due_at, notice_id) WHERE state = 'planned';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'sending';
CREATE INDEX deliveries_receipts ON deliveries (due_at) WHERE state = 'accepted';
CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead';
CREATE INDEX deliveries_in_turn ON deliveries (person_id, notice_id) WHERE state IN ('planned', 'sending');
CREATE INDEX notices_unread ON notices (person_id, id) WHERE read_at IS NULL;
CREATE INDEX lots_to_expire ON lots (expires_at) WHERE available_fen > 0;
CREATE INDEX lots_to_remind ON lots (valid_until) WHERE available_fen > 0;
CREATE INDEX orders_unpaid ON orders (due_at) WHERE state IN ('awaiting_price', 'unpaid', 'pay_rejected', 'paid', 'delivered');
CREATE INDEX orders_to_review ON orders (completed_at) WHERE state = 'completed' AND reviewed_at IS NULL;
CREATE INDEX orders_disputed ON orders (disputed_at) WHERE disputed_at IS NOT NULL;
CREATE INDEX rounds_alive ON rounds (state, opens_at) WHERE state NOT IN ('final', 'voided');
-- By rank: the state, which changes when vouchers are issued, is in no index.
CREATE INDEX reservations_chosen ON reservations (round_id, voucher_type_id, rank) WHERE rank IS NOT NULL;
CREATE INDEX approvals_open ON approvals (role, submitted_at, id) WHERE state = 'open';
CREATE INDEX attachments_unfinished ON attachments (created_at) WHERE state = 'uploading';
CREATE INDEX ledger_entries_order ON ledger_entries (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX reviews_counted ON reviews (institution_id, grade) WHERE NOT is_system;
CREATE INDEX ledger_entries_of_institutions ON ledger_entries (institution_id, at, id) WHERE institution_id IS NOT NULL;
CREATE INDEX organisations_suspended ON organisations (id) WHERE suspended_at IS NOT NULL;
CREATE INDEX institutions_to_expire ON institutions (valid_until) WHERE state = 'admitted' AND valid_until IS NOT NULL;
CREATE INDEX institutions_to_resume ON institutions (suspended_until) WHERE state = 'suspended';
CREATE INDEX orders_to_scan ON orders (id) WHERE scanned_state IS DISTINCT FROM state OR scanned_at < delivered_at;
CREATE INDEX handovers_by_text ON handovers (md5(regexp_replace(normalize(summary, NFKC), '\s', '', 'g')))
  WHERE char_length(summary) >= 10;
-- Who must be told of a case: a few hundred officials among a million members.
CREATE INDEX memberships_officials ON memberships (role) WHERE state = 'active' AND role NOT IN ('owner', 'handler', 'finance', 'viewer');
CREATE INDEX identities_by_union ON identities (platform, union_id) WHERE union_id IS NOT NULL;

-- Search: any Chinese substring is an AND of its bigrams; price and newness sort without reading the table.
CREATE INDEX products_terms ON products USING gin (terms) WHERE state = 'listed';
CREATE INDEX products_listed_price ON products (price_fen, id) WHERE state = 'listed';
CREATE INDEX products_listed_newest ON products (listed_at DESC, id DESC) INCLUDE (organisation_id) WHERE state = 'listed';
CREATE INDEX products_listed_category ON products (category, price_fen, id) WHERE state = 'listed';
CREATE INDEX products_listed_region ON products (region_code, price_fen, id) WHERE state = 'listed';
CREATE INDEX products_recommended ON products (category, listed_at DESC) WHERE state = 'listed' AND is_recommended;
ALTER TABLE products ALTER COLUMN haystack SET DEFAULT '';

-- The lines of a draw are compressed already.
ALTER TABLE draw_lists ALTER COLUMN lines SET STORAGE EXTERNAL;

-- Hot rows are updated in place.
ALTER TABLE lots SET (fillfactor = 80);
ALTER TABLE orders SET (fillfactor = 80);
ALTER TABLE payment_passwords SET (fillfactor = 50);
ALTER TABLE deliveries SET (fillfactor = 70);

-- The transaction that wrote a row: rows of all transactions below the oldest running one are complete and can be sealed.
ALTER TABLE audit_entries ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE ledger_entries ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX audit_entries_txid ON audit_entries USING btree (txid, id);
CREATE INDEX ledger_entries_txid ON ledger_entries USING btree (txid, id);

-- Append-only, whoever asks: the application's role has no such grant, and the owner meets this.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Channels: queues of held and recalled messages, and what may be overtaken.
CREATE INDEX deliveries_held ON deliveries (due_at) WHERE state = 'held';
CREATE INDEX deliveries_recalling ON deliveries (due_at) WHERE state = 'recalling';
CREATE INDEX deliveries_addressed ON deliveries (finished_at) WHERE address IS NOT NULL;
CREATE INDEX persons_by_email ON persons (email_index) WHERE email_index IS NOT NULL;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'order_delivered', 'order_paid', 'order_placed', 'price_confirmed', 'price_requested', 'review_reminder'
);

-- Demands: the queues' indexes hold what waits, not what is done.
CREATE INDEX demands_to_spread ON demands (spread_at) WHERE spread_at IS NOT NULL;
CREATE INDEX demands_without_taker ON demands (alternatives_at) WHERE alternatives_at IS NOT NULL;
CREATE INDEX demands_to_expire ON demands (expires_at) WHERE state = 'open';
CREATE INDEX demand_responses_to_remind ON demand_responses (remind_at) WHERE remind_at IS NOT NULL;
-- A row is updated as it is viewed, taken, contacted.
ALTER TABLE demand_responses SET (fillfactor = 80);

-- Reviews that are not revealed, texts to check, scores and their rankings.
CREATE INDEX reviews_blind ON reviews (order_id) WHERE is_blind;
CREATE INDEX enterprise_reviews_blind ON enterprise_reviews (order_id) WHERE is_blind;
CREATE INDEX orders_enterprise_to_review ON orders (institution_id, id) WHERE state = 'completed' AND enterprise_reviewed_at IS NULL;
CREATE INDEX content_checks_due ON content_checks (next_at) WHERE state = 'pending';
CREATE INDEX content_checks_asked ON content_checks (asked_at) WHERE asked_at IS NOT NULL;
CREATE INDEX score_events_to_count ON score_events (id) WHERE counted = (revoked_at IS NOT NULL);
-- One row for an institution itself (no consultant) and one for each of its consultants.
CREATE UNIQUE INDEX score_months_once ON score_months (institution_id, coalesce(consultant_id, 0), month);
CREATE UNIQUE INDEX scores_once ON scores (institution_id, coalesce(consultant_id, 0));
-- A page of a ranking is read from the front of an index.
CREATE INDEX score_months_ranked ON score_months (month, points DESC, institution_id) WHERE consultant_id IS NULL;
CREATE INDEX score_months_consultants_ranked ON score_months (month, points DESC, consultant_id) WHERE consultant_id IS NOT NULL;
CREATE INDEX scores_by_activity ON scores (activity DESC, institution_id) WHERE consultant_id IS NULL;
CREATE INDEX scores_by_total ON scores (total DESC, institution_id) WHERE consultant_id IS NULL;
CREATE INDEX scores_consultants_by_activity ON scores (activity DESC, consultant_id) WHERE consultant_id IS NOT NULL;
CREATE INDEX scores_consultants_by_total ON scores (total DESC, consultant_id) WHERE consultant_id IS NOT NULL;


-- Invitations that are about to lapse.
CREATE INDEX invitations_to_lapse ON invitations (expires_at) WHERE state = 'live';

-- Messages of the platforms.
CREATE INDEX inbound_messages_due ON inbound_messages (due_at, id) WHERE state = 'received';
CREATE INDEX inbound_messages_leased ON inbound_messages (leased_until) WHERE state = 'working';
CREATE INDEX inbound_messages_in_turn ON inbound_messages (platform, app_id, open_id, id)
  WHERE state IN ('received', 'working') AND kind = 'said';
CREATE INDEX inbound_messages_finished ON inbound_messages (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE inbound_messages SET (fillfactor = 70);
CREATE INDEX deliveries_by_provider ON deliveries (channel, provider_id) WHERE state = 'accepted';

-- PX-<division>-<serial>: one serial across all divisions (A37).
CREATE SEQUENCE service_serials START 10001;
"""

BACKWARD = """
DROP INDEX inbound_messages_due, inbound_messages_leased, inbound_messages_in_turn, inbound_messages_finished, deliveries_by_provider;
ALTER TABLE inbound_messages RESET (fillfactor);
DROP INDEX invitations_to_lapse;
DROP INDEX reviews_blind; DROP INDEX enterprise_reviews_blind; DROP INDEX orders_enterprise_to_review;
DROP INDEX content_checks_due; DROP INDEX content_checks_asked; DROP INDEX score_events_to_count;
DROP INDEX score_months_once; DROP INDEX scores_once; DROP INDEX score_months_ranked; DROP INDEX score_months_consultants_ranked;
DROP INDEX scores_by_activity; DROP INDEX scores_by_total; DROP INDEX scores_consultants_by_activity;
DROP INDEX scores_consultants_by_total;
DROP INDEX demands_to_spread; DROP INDEX demands_without_taker; DROP INDEX demands_to_expire; DROP INDEX demand_responses_to_remind;
ALTER TABLE demand_responses RESET (fillfactor);
DROP INDEX deliveries_held, deliveries_recalling, deliveries_addressed, persons_by_email, events_supersedable;
DROP SEQUENCE service_serials;
DROP TRIGGER seals_append_only ON seals;
DROP TRIGGER ledger_entries_append_only ON ledger_entries;
DROP TRIGGER audit_entries_append_only ON audit_entries;
DROP FUNCTION refuse_change();
DROP INDEX ledger_entries_txid, audit_entries_txid;
ALTER TABLE ledger_entries DROP COLUMN txid;
ALTER TABLE audit_entries DROP COLUMN txid;
ALTER TABLE deliveries RESET (fillfactor);
ALTER TABLE payment_passwords RESET (fillfactor);
ALTER TABLE orders RESET (fillfactor);
ALTER TABLE lots RESET (fillfactor);
ALTER TABLE draw_lists ALTER COLUMN lines SET STORAGE EXTENDED;
ALTER TABLE products ALTER COLUMN haystack DROP DEFAULT;
DROP INDEX products_recommended, products_listed_region, products_listed_category, products_listed_newest, products_listed_price, products_terms;
DROP INDEX identities_by_union, reviews_counted, ledger_entries_order, attachments_unfinished, approvals_open, reservations_chosen,
  rounds_alive, orders_disputed, orders_to_review, orders_unpaid, lots_to_remind, lots_to_expire, notices_unread,
  deliveries_in_turn, deliveries_dead, deliveries_receipts, deliveries_leased, deliveries_planned, events_waiting,
  memberships_officials, handovers_by_text, orders_to_scan, institutions_to_resume, institutions_to_expire, organisations_suspended,
  ledger_entries_of_institutions;
"""


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]
    operations = [ops.RunSQL(FORWARD, reverse_sql=BACKWARD)]
