from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import BlindIndex
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0012_redemptions')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Freeze',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reason', fields.CharField(max_length=500)),
                ('frozen_by', fields.ForeignKeyField('models.Person', source_field='frozen_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('frozen_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('lift_reason', fields.CharField(null=True, max_length=500)),
                ('lifted_by', fields.ForeignKeyField('models.Person', source_field='lifted_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('lifted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'freezes', 'app': 'models', 'indexes': [Index(fields=['order_id']), Index(fields=['frozen_by_id']), Index(fields=['lifted_by_id'])], 'pk_attr': 'id', 'table_description': '冻结 of an order (O13): by one officer, lifted by another. While it lasts the order carries `frozen_at`.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Appeal',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=32)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('approval', fields.ForeignKeyField('models.Approval', source_field='approval_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('freeze', fields.ForeignKeyField('models.Freeze', source_field='freeze_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='in_review|returned|upheld|overturned', max_length=24)),
                ('statement', fields.CharField(max_length=1000)),
                ('days_left', fields.SmallIntField(null=True)),
                ('filed_by', fields.ForeignKeyField('models.Person', source_field='filed_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('filed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_by', fields.ForeignKeyField('models.Person', source_field='decided_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('reopened', fields.ForeignKeyField('models.Approval', source_field='reopened_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'appeals', 'app': 'models', 'indexes': [Index(fields=['organisation_id', 'id']), Index(fields=['filed_by_id']), Index(fields=['decided_by_id']), Index(fields=['reopened_id']), Index(fields=['freeze_id']), Index(fields=['approval_id'])], 'pk_attr': 'id', 'table_description': "Against exactly one decision: a rejected approval, or a freeze. `days_left`: of the reviewers' working days, while returned."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='AppealFile',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('appeal', fields.ForeignKeyField('models.Appeal', source_field='appeal_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'appeal_files', 'app': 'models', 'unique_together': (('appeal_id', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id'])], 'pk_attr': 'id', 'table_description': 'Evidence (slot `appeal`).'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='OrderRisk',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('score', fields.IntField()),
                ('verdict', fields.CharField(max_length=8)),
                ('assessed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'order_risks', 'app': 'models', 'pk_attr': 'id', 'table_description': "The sum of an order's signals, each kind counted once. An order without signals has no row."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='PartyTrait',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('kind', fields.CharField(max_length=16)),
                ('digest', BlindIndex()),
                ('noted_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'party_traits', 'app': 'models', 'unique_together': (('organisation_id', 'kind', 'digest'),), 'indexes': [Index(fields=['kind', 'digest'])], 'pk_attr': 'id', 'table_description': 'Keyed hashes of what an organisation is recognised by, brought up to date when its orders are looked at.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='RiskSignal',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('kind', fields.CharField(max_length=24)),
                ('weight', fields.SmallIntField()),
                ('digest', fields.CharField(max_length=64)),
                ('facts', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('found_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'risk_signals', 'app': 'models', 'unique_together': (('order_id', 'kind', 'digest'),), 'pk_attr': 'id', 'table_description': 'One reason to look at an order. `facts`: [{who, what, value, at}], personal values masked.'},
            bases=['Table'],
        ),
        ops.AddField(
            model_name='Order',
            name='clock_from',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Order',
            name='scanned_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Order',
            name='scanned_state',
            field=fields.CharField(null=True, max_length=24),
        ),
        ops.AddField(
            model_name='Session',
            name='device_index',
            field=BlindIndex(null=True),
        ),
        ops.AddConstraint(
            model_name='Freeze',
            constraint=UniqueConstraint(fields=('order_id',), name='freezes_one_alive', condition='lifted_at IS NULL'),
        ),
        ops.AddConstraint(
            model_name='Freeze',
            constraint=CheckConstraint(check='lifted_by_id IS DISTINCT FROM frozen_by_id', name='freezes_four_eyes'),
        ),
        ops.AddConstraint(
            model_name='Freeze',
            constraint=CheckConstraint(check='(lifted_at IS NULL) = (lifted_by_id IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL)', name='freezes_lifted_with_reason'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=UniqueConstraint(fields=('approval_id',), name='appeals_one_of_a_decision', condition='approval_id IS NOT NULL'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=UniqueConstraint(fields=('freeze_id', 'organisation_id'), name='appeals_one_of_a_freeze', condition='freeze_id IS NOT NULL'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=CheckConstraint(check='(approval_id IS NULL) <> (freeze_id IS NULL)', name='appeals_against_one_decision'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=CheckConstraint(check="(freeze_id IS NOT NULL) = (kind = 'freeze')", name='appeals_kind_is_of_its_decision'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=CheckConstraint(check="state = 'in_review' OR reason IS NOT NULL", name='appeals_answered_with_reason'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=CheckConstraint(check="(state = 'returned') = (days_left IS NOT NULL)", name='appeals_clock_stops_while_returned'),
        ),
        ops.AddConstraint(
            model_name='Appeal',
            constraint=CheckConstraint(check="(state IN ('upheld','overturned')) = (decided_at IS NOT NULL AND decided_by_id IS NOT NULL)", name='appeals_decided_by_somebody'),
        ),
        ops.AddConstraint(
            model_name='OrderRisk',
            constraint=UniqueConstraint(fields=('order_id',), name='order_risks_once'),
        ),
        ops.AddConstraint(
            model_name='OrderRisk',
            constraint=CheckConstraint(check="verdict IN ('none','sample','freeze')", name='order_risks_verdict_known'),
        ),
        ops.AddConstraint(
            model_name='RiskSignal',
            constraint=CheckConstraint(check='weight > 0', name='risk_signals_weigh_something'),
        ),
        # An order whose state is not the one it was last looked at in enters this index by itself, whoever moved it.
        ops.RunSQL(
            "CREATE INDEX orders_to_scan ON orders (id) WHERE scanned_state IS DISTINCT FROM state OR scanned_at < delivered_at;"
            "CREATE INDEX handovers_by_text ON handovers (md5(regexp_replace(normalize(summary, NFKC), '\\s', '', 'g')))"
            " WHERE char_length(summary) >= 10;",
            reverse_sql="DROP INDEX handovers_by_text; DROP INDEX orders_to_scan;",
        ),
    ]
