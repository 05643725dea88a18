from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0002_database_rules')]

    initial = False

    operations = [
        ops.AddField(
            model_name='BotCard',
            name='approval',
            field=fields.ForeignKeyField('models.Approval', source_field='approval_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddField(
            model_name='BotCard',
            name='attempts',
            field=fields.SmallIntField(default=0),
        ),
        ops.AddField(
            model_name='BotCard',
            name='due_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddIndex(
            model_name='BotCard',
            index=Index(fields=['approval_id']),
        ),
        ops.AddConstraint(
            model_name='BotCard',
            constraint=CheckConstraint(check='due_at IS NULL OR approval_id IS NOT NULL', name='bot_cards_wait_for_a_case'),
        ),
        # A queue's index holds what waits.
        ops.RunSQL(
            "CREATE INDEX bot_cards_waiting ON bot_cards (due_at) WHERE due_at IS NOT NULL", reverse_sql="DROP INDEX bot_cards_waiting",
        ),
    ]
