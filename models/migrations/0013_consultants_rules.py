"""What the models of consultants cannot say: the index of what is about to lapse."""

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE INDEX invitations_to_lapse ON invitations (expires_at) WHERE state = 'live';
"""
BACK = """
DROP INDEX invitations_to_lapse;
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0012_consultants')]

    operations = [ops.RunSQL(FORWARD, reverse_sql=BACK)]
