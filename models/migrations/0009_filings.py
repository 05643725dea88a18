from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0008_dialogues')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Filing',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=16)),
                ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='draft|in_review|returned|approved|rejected|withdrawn|revoked', max_length=24)),
                ('happened_on', fields.DateField()),
                ('summary', fields.CharField(default='', max_length=500)),
                ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('enterprise_code', fields.CharField(null=True, max_length=18)),
                ('enterprise_name', fields.CharField(null=True, max_length=200)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('amount_fen', fields.BigIntField(null=True)),
                ('title', fields.CharField(null=True, max_length=100)),
                ('place', fields.CharField(null=True, max_length=200)),
                ('partner', fields.CharField(null=True, max_length=200)),
                ('part', fields.CharField(null=True, max_length=16)),
                ('participants', fields.IntField(null=True)),
                ('is_public_benefit', fields.BooleanField(null=True)),
                ('filed_by', fields.ForeignKeyField('models.Person', source_field='filed_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('version', fields.IntField(default=1)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('submitted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('revoke_reason', fields.CharField(null=True, max_length=500)),
                ('revoke_proposed_by', fields.ForeignKeyField('models.Person', source_field='revoke_proposed_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('revoke_proposed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('revoked_by', fields.ForeignKeyField('models.Person', source_field='revoked_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'filings', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='filings_order_once', condition="order_id IS NOT NULL AND state NOT IN ('rejected','withdrawn','revoked')"), CheckConstraint(check="kind IN ('transaction','activity')", name='filings_kind_known'), CheckConstraint(check="(kind = 'transaction') = (enterprise_code IS NOT NULL AND enterprise_name IS NOT NULL AND amount_fen IS NOT NULL)", name='filings_transaction_is_whole'), CheckConstraint(check="(kind = 'activity') = (title IS NOT NULL AND place IS NOT NULL AND partner IS NOT NULL AND part IS NOT NULL AND participants IS NOT NULL AND is_public_benefit IS NOT NULL)", name='filings_activity_is_whole'), CheckConstraint(check='amount_fen IS NULL OR amount_fen > 0', name='filings_amount_positive'), CheckConstraint(check='participants IS NULL OR participants > 0', name='filings_participants_positive'), CheckConstraint(check="part IS NULL OR part IN ('host','organiser','supporter')", name='filings_part_known'), CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name='filings_refused_with_reason'), CheckConstraint(check='(revoke_reason IS NULL) = (revoke_proposed_at IS NULL) AND (revoke_reason IS NULL) = (revoke_proposed_by_id IS NULL)', name='filings_revocation_has_reason'), CheckConstraint(check="(state = 'revoked') = (revoked_at IS NOT NULL AND revoked_by_id IS NOT NULL AND revoke_reason IS NOT NULL)", name='filings_revoked_by_somebody'), CheckConstraint(check='revoked_by_id IS NULL OR revoked_by_id IS DISTINCT FROM revoke_proposed_by_id', name='filings_four_eyes')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['consultant_id']), Index(fields=['enterprise_id']), Index(fields=['product_id']), Index(fields=['order_id']), Index(fields=['filed_by_id']), Index(fields=['revoke_proposed_by_id']), Index(fields=['revoked_by_id']), Index(fields=['institution_id', 'happened_on'])], 'pk_attr': 'id', 'table_description': '`enterprise_code` names the other side whether or not it is on the platform; `enterprise` is who has it, if somebody has.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='FilingFile',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('filing', fields.ForeignKeyField('models.Filing', source_field='filing_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('sha256', fields.BinaryField()),
            ],
            options={'table': 'filing_files', 'app': 'models', 'unique_together': (('filing_id', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id']), Index(fields=['sha256'])], 'pk_attr': 'id', 'table_description': 'Evidence (slot `filing_evidence`). Its SHA-256 again, because here it is indexed: the same paper proves one thing, once.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='FilingFlag',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('filing', fields.ForeignKeyField('models.Filing', source_field='filing_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('kind', fields.CharField(max_length=24)),
                ('facts', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('found_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('acknowledged_by', fields.ForeignKeyField('models.Person', source_field='acknowledged_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'filing_flags', 'app': 'models', 'unique_together': (('filing_id', 'kind'),), 'indexes': [Index(fields=['acknowledged_by_id'])], 'pk_attr': 'id', 'table_description': '`facts`: [{who, what, value, at}], personal values masked. Whoever approves has acknowledged each.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='StandardProduct',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('category', fields.CharField(max_length=32)),
                ('name', fields.CharField(max_length=60)),
                ('introduction', fields.TextField(unique=False)),
                ('parameters', fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('withdrawn_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'standard_products', 'app': 'models', 'constraints': [UniqueConstraint(fields=('programme_id', 'name'), name='standard_products_name_once', condition='withdrawn_at IS NULL')], 'indexes': [Index(fields=['programme_id', 'id']), Index(fields=['made_by_id'])], 'pk_attr': 'id', 'table_description': 'Never edited, because products stand on it: withdrawn, and written anew.'},
            bases=['Table'],
        ),
        ops.AddField(
            model_name='Product',
            name='kind',
            field=fields.CharField(default='featured', db_default='featured', max_length=8),
        ),
        ops.AddField(
            model_name='Product',
            name='parameters',
            field=fields.JSONField(default=list, db_default=[], encoder=JSON_DUMPS, decoder=loads),
        ),
        ops.AddField(
            model_name='Product',
            name='standard',
            field=fields.ForeignKeyField('models.StandardProduct', source_field='standard_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddIndex(
            model_name='Product',
            index=Index(fields=['standard_id']),
        ),
        ops.AddConstraint(
            model_name='Product',
            constraint=CheckConstraint(check="kind IN ('regular','featured')", name='products_kind_known'),
        ),
        ops.AddConstraint(
            model_name='Product',
            constraint=CheckConstraint(check="(kind = 'regular') = (standard_id IS NOT NULL)", name='products_regular_has_standard'),
        ),
        ops.AddConstraint(
            model_name='Product',
            constraint=CheckConstraint(check="kind = 'featured' OR state IN ('draft','listed','deleted')", name='products_regular_not_reviewed'),
        ),
        ops.AddConstraint(
            model_name='Product',
            constraint=UniqueConstraint(fields=('organisation_id', 'standard_id'), name='products_standard_once', condition="standard_id IS NOT NULL AND state <> 'deleted'"),
        ),
        ops.AlterModelOptions(
            name='ProductVersion',
            options={'table': 'product_versions', 'app': 'models', 'unique_together': (('product_id', 'number'),), 'constraints': [UniqueConstraint(fields=('product_id',), name='product_versions_one_waits', condition="state IN ('draft','in_review')"), UniqueConstraint(fields=('product_id',), name='product_versions_one_in_force', condition="state = 'approved'"), CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name='product_versions_rejected_with_reason')], 'indexes': [Index(fields=['made_by_id'])], 'pk_attr': 'id', 'table_description': "`number` is the product's version once this is in force. `content`: name, category, content, price_fen, sections,"},
        ),
        ops.RunSQL("""
CREATE UNIQUE INDEX filings_order_once ON filings (order_id) WHERE order_id IS NOT NULL AND state NOT IN ('rejected','withdrawn','revoked');
ALTER TABLE filings ADD CONSTRAINT filings_kind_known CHECK (kind IN ('transaction','activity'));
ALTER TABLE filings ADD CONSTRAINT filings_transaction_is_whole CHECK ((kind = 'transaction') = (enterprise_code IS NOT NULL AND enterprise_name IS NOT NULL AND amount_fen IS NOT NULL));
ALTER TABLE filings ADD CONSTRAINT filings_activity_is_whole CHECK ((kind = 'activity') = (title IS NOT NULL AND place IS NOT NULL AND partner IS NOT NULL AND part IS NOT NULL AND participants IS NOT NULL AND is_public_benefit IS NOT NULL));
ALTER TABLE filings ADD CONSTRAINT filings_amount_positive CHECK (amount_fen IS NULL OR amount_fen > 0);
ALTER TABLE filings ADD CONSTRAINT filings_participants_positive CHECK (participants IS NULL OR participants > 0);
ALTER TABLE filings ADD CONSTRAINT filings_part_known CHECK (part IS NULL OR part IN ('host','organiser','supporter'));
ALTER TABLE filings ADD CONSTRAINT filings_refused_with_reason CHECK (state NOT IN ('returned','rejected') OR reason IS NOT NULL);
ALTER TABLE filings ADD CONSTRAINT filings_revocation_has_reason CHECK ((revoke_reason IS NULL) = (revoke_proposed_at IS NULL) AND (revoke_reason IS NULL) = (revoke_proposed_by_id IS NULL));
ALTER TABLE filings ADD CONSTRAINT filings_revoked_by_somebody CHECK ((state = 'revoked') = (revoked_at IS NOT NULL AND revoked_by_id IS NOT NULL AND revoke_reason IS NOT NULL));
ALTER TABLE filings ADD CONSTRAINT filings_four_eyes CHECK (revoked_by_id IS NULL OR revoked_by_id IS DISTINCT FROM revoke_proposed_by_id);
CREATE UNIQUE INDEX standard_products_name_once ON standard_products (programme_id, name) WHERE withdrawn_at IS NULL;
""", reverse_sql="SELECT 1"),
    ]
