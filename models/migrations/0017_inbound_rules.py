"""What the models cannot say of inbound messages: a queue's index holds what waits, not what is done."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE INDEX inbound_messages_due ON inbound_messages (due_at, id) WHERE state = 'received';
CREATE INDEX inbound_messages_leased ON inbound_messages (leased_until) WHERE state = 'working';
CREATE INDEX inbound_messages_in_turn ON inbound_messages (platform, app_id, open_id, id)
  WHERE state IN ('received', 'working') AND kind = 'said';
CREATE INDEX inbound_messages_finished ON inbound_messages (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE inbound_messages SET (fillfactor = 70);
CREATE INDEX deliveries_by_provider ON deliveries (channel, provider_id) WHERE state = 'accepted';
"""
BACKWARD = """
DROP INDEX inbound_messages_due, inbound_messages_leased, inbound_messages_in_turn, inbound_messages_finished, deliveries_by_provider;
ALTER TABLE inbound_messages RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0016_inbound')]

    initial = False

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACKWARD)]
