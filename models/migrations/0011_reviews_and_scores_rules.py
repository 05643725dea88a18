"""What the models cannot say of reviews and scores: partial and expression indexes; and what counted before there were scores."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
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

INSERT INTO score_events (kind, institution_id, enterprise_id, subject, subject_id, facts, happened_at)
SELECT 'order_completed', institution_id, enterprise_id, 'order', id, '{}', completed_at FROM orders
WHERE state = 'completed' AND completed_at IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO score_events (kind, institution_id, enterprise_id, subject, subject_id, facts, happened_at)
SELECT 'review_received', institution_id, enterprise_id, 'review', id, jsonb_build_object('grade', grade), reviewed_at FROM reviews
WHERE NOT is_system ON CONFLICT DO NOTHING;
"""
BACKWARD = """
DROP INDEX reviews_blind; DROP INDEX enterprise_reviews_blind; DROP INDEX orders_enterprise_to_review;
DROP INDEX content_checks_due; DROP INDEX content_checks_asked; DROP INDEX score_events_to_count;
DROP INDEX score_months_once; DROP INDEX scores_once; DROP INDEX score_months_ranked; DROP INDEX score_months_consultants_ranked;
DROP INDEX scores_by_activity; DROP INDEX scores_by_total; DROP INDEX scores_consultants_by_activity;
DROP INDEX scores_consultants_by_total;
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0010_reviews_and_scores')]

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACKWARD)]
