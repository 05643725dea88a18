from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0004_application_programmes')]

    initial = False

    operations = [
        ops.CreateModel(
            name='DrawList',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('number', fields.IntField()),
                ('first_ticket', fields.CharField(max_length=32)),
                ('lines', fields.TextField(unique=False)),
            ],
            options={'table': 'draw_lists', 'app': 'models', 'unique_together': (('round_id', 'number'),), 'pk_attr': 'id', 'table_description': 'The committed ticket list as published, in pieces of a thousand lines: the draw reads these very bytes (docs/draw.md).'},
            bases=['Table'],
        ),
        # Hashes do not shrink: trying to compress them took as long as making the list.
        ops.RunSQL('ALTER TABLE draw_lists ALTER COLUMN lines SET STORAGE EXTERNAL',
                   reverse_sql='ALTER TABLE draw_lists ALTER COLUMN lines SET STORAGE EXTENDED'),
        ops.AlterField(
            model_name='Reservation',
            name='state',
            field=fields.CharField(description='submitted|withdrawn|won|alternate|issued|declined|disqualified', max_length=24),
        ),
        ops.AddField(
            model_name='Round',
            name='void_reason',
            field=fields.CharField(null=True, max_length=200),
        ),
        ops.AddConstraint(
            model_name='Round',
            constraint=CheckConstraint(check='finalised_by_id IS NULL OR finalised_by_id <> made_by_id', name='rounds_final_four_eyes'),
        ),
        ops.AddConstraint(
            model_name='Round',
            constraint=CheckConstraint(check="(state = 'voided') = (void_reason IS NOT NULL)", name='rounds_voided_with_reason'),
        ),
    ]
