from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# One index for each question that the workers ask, holding only the rows that are an answer to it: with one index for all
# waiting states, looking for expired leases would read through a backlog of a hundred thousand planned deliveries.
FORWARD = """
DROP INDEX deliveries_waiting;
CREATE INDEX deliveries_planned ON deliveries (due_at, notice_id) WHERE state = 'planned';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'sending';
CREATE INDEX deliveries_receipts ON deliveries (due_at) WHERE state = 'accepted';
CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead';
-- Who must be told of a case: a few hundred officials among a million members.
CREATE INDEX memberships_officials ON memberships (role) WHERE state = 'active' AND role NOT IN ('owner', 'handler', 'finance', 'viewer');
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN ('order_paid', 'order_delivered', 'review_reminder');
"""

BACKWARD = """
DROP INDEX events_supersedable, memberships_officials, deliveries_dead, deliveries_receipts, deliveries_leased, deliveries_planned;
CREATE INDEX deliveries_waiting ON deliveries (due_at) WHERE state IN ('planned', 'sending', 'accepted');
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0006_product_search')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Heartbeat',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('sweep', fields.CharField(unique=True, max_length=48)),
                ('every_seconds', fields.FloatField()),
                ('ran_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('done', fields.BigIntField(default=0)),
                ('failures', fields.IntField(default=0)),
                ('error', fields.CharField(null=True, max_length=200)),
            ],
            options={'table': 'heartbeats', 'app': 'models', 'pk_attr': 'id', 'table_description': "One row per sweep, kept by the leader. `failures` counts the runs in a row that broke; `error` is the last one's kind."},
            bases=['Table'],
        ),
        ops.RunSQL(FORWARD, reverse_sql=BACKWARD),
    ]
