from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE INDEX orders_to_deliver ON orders (due_at) WHERE state = 'accepted';
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'demand_alternatives', 'demand_posted', 'demand_reminder', 'order_delivered', 'order_paid', 'order_placed',
  'order_undelivered', 'price_confirmed', 'price_requested', 'review_reminder'
);
UPDATE orders SET due_at = now() + interval '28 days', reminded = 0 WHERE state = 'accepted';
"""

BACKWARD = """
UPDATE orders SET due_at = NULL WHERE state = 'accepted';
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'demand_alternatives', 'demand_posted', 'demand_reminder', 'order_delivered', 'order_paid', 'order_placed',
  'price_confirmed', 'price_requested', 'review_reminder'
);
DROP INDEX orders_to_deliver;
"""


class Migration(migrations.Migration):
    """What was accepted is delivered by a day (docs/decisions/0245): twenty working days from here for what is in service."""

    dependencies = [("models", "0007_looked_up_by_category_and_code")]

    initial = False

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACKWARD)]
