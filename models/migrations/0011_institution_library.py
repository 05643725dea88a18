from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0010_approved_amounts')]

    initial = False

    operations = [
        ops.CreateModel(
            name='InstitutionScope',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('category', fields.CharField(max_length=32)),
                ('content', fields.CharField(max_length=64)),
            ],
            options={'table': 'institution_scopes', 'app': 'models', 'unique_together': (('organisation_id', 'category', 'content'),), 'pk_attr': 'id', 'table_description': 'A line of the approved 可用券产品申请表 (C19): only such products may be published.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Picture',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('in_text', fields.BooleanField()),
                ('position', fields.SmallIntField()),
            ],
            options={'table': 'pictures', 'app': 'models', 'indexes': [Index(fields=['attachment_id']), Index(fields=['organisation_id']), Index(fields=['product_id'])], 'pk_attr': 'id', 'table_description': 'A picture that everybody may see while its product is listed; without a product, while its institution is open.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='ProductVersion',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('number', fields.IntField()),
                ('content', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('state', fields.CharField(description='draft|in_review|approved|rejected|superseded', max_length=24)),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'product_versions', 'app': 'models', 'unique_together': (('product_id', 'number'),), 'indexes': [Index(fields=['made_by_id'])], 'pk_attr': 'id', 'table_description': "`number` is the product's version once this is in force. `content`: name, category, content, price_fen, sections, deductions."},
            bases=['Table'],
        ),
        ops.AlterModelOptions(
            name='Institution',
            options={'table': 'institutions', 'app': 'models', 'constraints': [UniqueConstraint(fields=('organisation_id',), name='institutions_once'), CheckConstraint(check="(state = 'suspended') = (suspended_until IS NOT NULL AND suspension_reason IS NOT NULL)", name='institutions_suspended_with_reason_and_end')], 'indexes': [Index(fields=['application_id'])], 'pk_attr': 'id', 'table_description': 'Facts that are in force. What an amendment says waits in its application until it is approved (C15).'},
        ),
        ops.AddField(
            model_name='Institution',
            name='application',
            field=fields.ForeignKeyField('models.Application', source_field='application_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddField(
            model_name='Institution',
            name='category',
            field=fields.CharField(null=True, max_length=32),
        ),
        ops.AddField(
            model_name='Institution',
            name='state',
            field=fields.CharField(description='applying|admitted|suspended|expired', db_default='applying', max_length=24),
        ),
        ops.AddField(
            model_name='Institution',
            name='suspended_until',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Institution',
            name='suspension_reason',
            field=fields.CharField(null=True, max_length=500),
        ),
        ops.AddField(
            model_name='Institution',
            name='valid_until',
            field=fields.DateField(null=True),
        ),
        ops.AddIndex(
            model_name='Institution',
            index=Index(fields=['application_id']),
        ),
        ops.AddConstraint(
            model_name='Institution',
            constraint=CheckConstraint(check="(state = 'suspended') = (suspended_until IS NOT NULL AND suspension_reason IS NOT NULL)", name='institutions_suspended_with_reason_and_end'),
        ),
        ops.AddConstraint(
            model_name='ProductVersion',
            constraint=UniqueConstraint(fields=('product_id',), name='product_versions_one_waits', condition="state IN ('draft','in_review')"),
        ),
        ops.AddConstraint(
            model_name='ProductVersion',
            constraint=UniqueConstraint(fields=('product_id',), name='product_versions_one_in_force', condition="state = 'approved'"),
        ),
        ops.AddConstraint(
            model_name='ProductVersion',
            constraint=CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name='product_versions_rejected_with_reason'),
        ),
        # Whoever was admitted before there was a library is in it, without an end.
        ops.RunSQL(
            "UPDATE institutions i SET state = 'admitted' FROM organisations o"
            " WHERE o.id = i.organisation_id AND o.certified_at IS NOT NULL;"
            "CREATE INDEX institutions_to_expire ON institutions (valid_until) WHERE state = 'admitted' AND valid_until IS NOT NULL;"
            "CREATE INDEX institutions_to_resume ON institutions (suspended_until) WHERE state = 'suspended';",
            reverse_sql="DROP INDEX institutions_to_resume; DROP INDEX institutions_to_expire;",
        ),
    ]
