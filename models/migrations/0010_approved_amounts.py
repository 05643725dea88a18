from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0009_disputes_of_an_order')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Contract',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('total_fen', fields.BigIntField()),
                ('signed_on', fields.DateField()),
                ('awarded_on', fields.DateField(null=True)),
                ('given_by', fields.ForeignKeyField('models.Person', source_field='given_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('given_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'contracts', 'app': 'models', 'indexes': [Index(fields=['order_id']), Index(fields=['attachment_id']), Index(fields=['given_by_id'])], 'pk_attr': 'id', 'table_description': 'The service contract that came with a payment (C35): one row for each submission, so that a reviewer sees what was put right.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Grant',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('application', fields.ForeignKeyField('models.Application', source_field='application_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('applied_fen', fields.BigIntField()),
                ('amount_fen', fields.BigIntField()),
                ('directions', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('awarded_on', fields.DateField()),
                ('valid_until', fields.DateField()),
                ('granted_by', fields.ForeignKeyField('models.Person', source_field='granted_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'grants', 'app': 'models', 'indexes': [Index(fields=['application_id']), Index(fields=['programme_id']), Index(fields=['organisation_id', 'programme_id']), Index(fields=['voucher_type_id']), Index(fields=['granted_by_id'])], 'pk_attr': 'id', 'table_description': '获批的服务券金额及使用方向 (C24): one decision of a reviewer, one lot. `directions`: [{category, content}], 服务大类 and 服务小类.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='PriceChange',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('from_fen', fields.BigIntField()),
                ('to_fen', fields.BigIntField()),
                ('settled_by', fields.ForeignKeyField('models.Person', source_field='settled_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('settled_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'price_changes', 'app': 'models', 'indexes': [Index(fields=['order_id']), Index(fields=['settled_by_id'])], 'pk_attr': 'id', 'table_description': '核定价格: each time the institution settled what the contract says (C29, O2).'},
            bases=['Table'],
        ),
        ops.AddField(
            model_name='Lot',
            name='grant',
            field=fields.ForeignKeyField('models.Grant', source_field='grant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddIndex(
            model_name='Lot',
            index=Index(fields=['grant_id']),
        ),
        ops.AddConstraint(
            model_name='Lot',
            constraint=UniqueConstraint(fields=('grant_id',), name='lots_one_per_grant', condition='grant_id IS NOT NULL AND grace_of_id IS NULL'),
        ),
        ops.AddField(
            model_name='Order',
            name='content',
            field=fields.CharField(default='', db_default='', max_length=64),
        ),
        ops.AddField(
            model_name='Order',
            name='remark',
            field=fields.CharField(null=True, max_length=500),
        ),
        ops.AddConstraint(
            model_name='Order',
            constraint=CheckConstraint(check="state <> 'pay_review' OR voucher_fen > 0", name='orders_in_review_hold_something'),
        ),
        ops.AddConstraint(
            model_name='Order',
            constraint=CheckConstraint(check="state <> 'pay_rejected' OR (voucher_fen = 0 AND remark IS NOT NULL)", name='orders_refused_show_nothing_paid'),
        ),
        ops.AddField(
            model_name='Product',
            name='content',
            field=fields.CharField(default='', db_default='', max_length=64),
        ),
        ops.AddField(
            model_name='Programme',
            name='budget_fen',
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name='Programme',
            name='granted_fen',
            field=fields.BigIntField(default=0, db_default=0),
        ),
        ops.AddConstraint(
            model_name='Programme',
            constraint=CheckConstraint(check='granted_fen >= 0 AND (budget_fen IS NULL OR granted_fen <= budget_fen)', name='programmes_within_budget'),
        ),
        ops.AddConstraint(
            model_name='Contract',
            constraint=CheckConstraint(check='total_fen > 0', name='contracts_positive'),
        ),
        ops.AddConstraint(
            model_name='Contract',
            constraint=CheckConstraint(check='awarded_on IS NULL OR signed_on >= awarded_on', name='contracts_after_the_award'),
        ),
        ops.AddConstraint(
            model_name='Grant',
            constraint=CheckConstraint(check='amount_fen > 0 AND amount_fen <= applied_fen', name='grants_within_what_was_applied_for'),
        ),
        ops.AddConstraint(
            model_name='Grant',
            constraint=CheckConstraint(check='valid_until >= awarded_on', name='grants_end_after_they_begin'),
        ),
        ops.AddConstraint(
            model_name='Grant',
            constraint=CheckConstraint(check='jsonb_array_length(directions) > 0', name='grants_have_a_direction'),
        ),
        ops.AddConstraint(
            model_name='PriceChange',
            constraint=CheckConstraint(check='to_fen > 0', name='price_changes_positive'),
        ),
    ]
