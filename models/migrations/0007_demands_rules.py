"""The queues of demands: their indexes hold what waits, not what is done."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE INDEX demands_to_spread ON demands (spread_at) WHERE spread_at IS NOT NULL;
CREATE INDEX demands_without_taker ON demands (alternatives_at) WHERE alternatives_at IS NOT NULL;
CREATE INDEX demands_to_expire ON demands (expires_at) WHERE state = 'open';
CREATE INDEX demand_responses_to_remind ON demand_responses (remind_at) WHERE remind_at IS NOT NULL;
-- A row is updated as it is viewed, taken, contacted.
ALTER TABLE demand_responses SET (fillfactor = 80);
"""
BACK = """
DROP INDEX demands_to_spread; DROP INDEX demands_without_taker; DROP INDEX demands_to_expire; DROP INDEX demand_responses_to_remind;
ALTER TABLE demand_responses RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0006_demands')]

    initial = False

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACK)]
