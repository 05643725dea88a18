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
        ops.CreateModel(
            name='RoundShare',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('first_place', fields.IntField()),
                ('size', fields.IntField()),
                ('remaining', fields.IntField()),
                ('is_open', fields.BooleanField()),
            ],
            options={'table': 'round_shares', 'app': 'models', 'unique_together': (('round_id', 'voucher_type_id', 'first_place'),), 'constraints': [CheckConstraint(check='remaining >= 0 AND remaining <= size', name='round_shares_within_size')], 'indexes': [Index(fields=['voucher_type_id'])], 'pk_attr': 'id', 'table_description': "A part of a type's quota in a round of first come, first served: its places `first_place` to `first_place + size - 1`."},
            bases=['Table'],
        ),
        ops.AddField(
            model_name='Round',
            name='allocation',
            field=fields.CharField(default='lottery', db_default='lottery', max_length=16),
        ),
        ops.AddConstraint(
            model_name='Round',
            constraint=CheckConstraint(check="allocation = 'lottery' OR allocation = 'first_come' AND publicity_until = closes_at AND state NOT IN ('closed','committed','drawn','publicity')", name='rounds_first_come_without_draw'),
        ),
        ops.RunSQL("""
ALTER TABLE round_shares ADD CONSTRAINT round_shares_within_size CHECK (remaining >= 0 AND remaining <= size);
""", reverse_sql="SELECT 1"),
    ]
