"""What the models cannot say of the channels: queues of held and recalled messages, and what may be overtaken."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = r"""
CREATE INDEX deliveries_held ON deliveries (due_at) WHERE state = 'held';
CREATE INDEX deliveries_recalling ON deliveries (due_at) WHERE state = 'recalling';
CREATE INDEX deliveries_addressed ON deliveries (finished_at) WHERE address IS NOT NULL;
CREATE INDEX persons_by_email ON persons (email_index) WHERE email_index IS NOT NULL;
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'order_delivered', 'order_paid', 'order_placed', 'price_confirmed', 'price_requested', 'review_reminder'
);
"""

BACKWARD = r"""
DROP INDEX deliveries_held, deliveries_recalling, deliveries_addressed, persons_by_email, events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN ('order_paid', 'order_delivered', 'review_reminder');
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0004_channels')]

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACKWARD)]
