from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import Sealed
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0011_institution_library')]

    initial = False

    operations = [
        ops.CreateModel(
            name='PayoutBatch',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('number', fields.CharField(max_length=24)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='draft|confirmed|settled|cancelled', max_length=24)),
                ('lines', fields.IntField()),
                ('total_fen', fields.BigIntField()),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('checked_by', fields.ForeignKeyField('models.Person', source_field='checked_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('file_digest', fields.CharField(null=True, max_length=64)),
                ('made_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('confirmed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('settled_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'payout_batches', 'app': 'models', 'indexes': [Index(fields=['programme_id']), Index(fields=['made_by_id']), Index(fields=['checked_by_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Redemption',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('number', fields.CharField(max_length=24)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('policy', fields.ForeignKeyField('models.Policy', source_field='policy_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='in_review|returned|rejected|pre_redeemed|in_batch|redeemed', max_length=24)),
                ('voucher_fen', fields.BigIntField()),
                ('actual_fen', fields.BigIntField()),
                ('ratio_ppm', fields.IntField()),
                ('payable_fen', fields.BigIntField()),
                ('shortfall_fen', fields.BigIntField()),
                ('summary', fields.CharField(max_length=500)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('applied_by', fields.ForeignKeyField('models.Person', source_field='applied_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('submitted_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('prepared_by', fields.ForeignKeyField('models.Person', source_field='prepared_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('prepared_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('preparation', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('paid_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('version', fields.IntField(default=1)),
            ],
            options={'table': 'redemptions', 'app': 'models', 'indexes': [Index(fields=['order_id']), Index(fields=['institution_id', 'id']), Index(fields=['programme_id', 'state']), Index(fields=['policy_id']), Index(fields=['applied_by_id']), Index(fields=['prepared_by_id'])], 'pk_attr': 'id', 'table_description': '`payable_fen` = min(voucher paid, floor(ratio x actual amount)); the rest of the vouchers is the shortfall (C39).'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Invoice',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('redemption', fields.ForeignKeyField('models.Redemption', source_field='redemption_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('code', fields.CharField(default='', max_length=20)),
                ('number', fields.CharField(max_length=20)),
                ('buyer_name', fields.CharField(max_length=200)),
                ('seller_name', fields.CharField(max_length=200)),
                ('amount_fen', fields.BigIntField()),
                ('issued_on', fields.DateField()),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('released_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'invoices', 'app': 'models', 'indexes': [Index(fields=['redemption_id']), Index(fields=['attachment_id'])], 'pk_attr': 'id', 'table_description': 'An invoice pays one claim in the whole system, ever; a rejected claim lets it go.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='PayoutLine',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('batch', fields.ForeignKeyField('models.PayoutBatch', source_field='batch_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('redemption', fields.ForeignKeyField('models.Redemption', source_field='redemption_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('fen', fields.BigIntField()),
                ('account_name', fields.CharField(max_length=200)),
                ('bank_branch', fields.CharField(max_length=200)),
                ('bank_account', Sealed()),
                ('state', fields.CharField(description='pending|paid|bounced|cancelled', max_length=24)),
                ('bank_reference', fields.CharField(null=True, max_length=64)),
                ('reason', fields.CharField(null=True, max_length=200)),
                ('answered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'payout_lines', 'app': 'models', 'indexes': [Index(fields=['batch_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One transfer; the account is the one that the institution had when the batch was made.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='RedemptionFile',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('redemption', fields.ForeignKeyField('models.Redemption', source_field='redemption_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'redemption_files', 'app': 'models', 'unique_together': (('redemption_id', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id'])], 'pk_attr': 'id', 'table_description': 'Evidence of the service (服务过程性材料, C41).'},
            bases=['Table'],
        ),
        ops.AddConstraint(
            model_name='PayoutBatch',
            constraint=UniqueConstraint(fields=('number',), name='payout_batches_number_once'),
        ),
        ops.AddConstraint(
            model_name='PayoutBatch',
            constraint=CheckConstraint(check='checked_by_id IS DISTINCT FROM made_by_id', name='payout_batches_four_eyes'),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=UniqueConstraint(fields=('number',), name='redemptions_number_once'),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=UniqueConstraint(fields=('order_id',), name='redemptions_one_alive', condition="state <> 'rejected'"),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=CheckConstraint(check='payable_fen + shortfall_fen = voucher_fen AND payable_fen >= 0 AND shortfall_fen >= 0 AND actual_fen > 0', name='redemptions_add_up'),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=CheckConstraint(check='ratio_ppm BETWEEN 1 AND 1000000', name='redemptions_ratio_in_range'),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=CheckConstraint(check='payable_fen <= actual_fen', name='redemptions_within_actual'),
        ),
        ops.AddConstraint(
            model_name='Redemption',
            constraint=CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name='redemptions_refused_with_reason'),
        ),
        ops.AddConstraint(
            model_name='Invoice',
            constraint=UniqueConstraint(fields=('code', 'number'), name='invoices_used_once', condition='released_at IS NULL'),
        ),
        ops.AddConstraint(
            model_name='Invoice',
            constraint=CheckConstraint(check='amount_fen > 0', name='invoices_positive'),
        ),
        ops.AddConstraint(
            model_name='PayoutLine',
            constraint=UniqueConstraint(fields=('redemption_id',), name='payout_lines_one_alive', condition="state IN ('pending','paid')"),
        ),
        ops.AddConstraint(
            model_name='PayoutLine',
            constraint=CheckConstraint(check='fen > 0', name='payout_lines_positive'),
        ),
    ]
