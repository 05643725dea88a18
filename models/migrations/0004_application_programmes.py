from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0003_reminders')]

    initial = False

    operations = [
        ops.RemoveConstraint(
            model_name='Application',
            name='applications_one_alive',
            fields=None,
        ),
        ops.AddConstraint(
            model_name='Application',
            constraint=UniqueConstraint(fields=('organisation_id', 'kind'), name='applications_one_alive', condition="programme_id IS NULL AND state NOT IN ('rejected','withdrawn')"),
        ),
        ops.AddConstraint(
            model_name='Application',
            constraint=UniqueConstraint(fields=('organisation_id', 'kind', 'programme_id'), name='applications_one_alive_in_programme', condition="state NOT IN ('rejected','withdrawn')"),
        ),
        ops.AddField(
            model_name='Approval',
            name='data',
            field=fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads),
        ),
    ]
