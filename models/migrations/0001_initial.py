from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import BlindIndex, Sealed
from orjson import loads
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('person_id', fields.BigIntField(null=True)),
                ('organisation_id', fields.BigIntField(null=True)),
                ('role', fields.CharField(max_length=24)),
                ('action', fields.CharField(max_length=64)),
                ('subject', fields.CharField(max_length=32)),
                ('subject_id', fields.BigIntField()),
                ('before', fields.CharField(null=True, max_length=24)),
                ('after', fields.CharField(null=True, max_length=24)),
                ('data', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('request_id', fields.CharField(max_length=40)),
            ],
            options={'table': 'audit_entries', 'app': 'models', 'indexes': [Index(fields=['subject', 'subject_id']), Index(fields=['organisation_id', 'id'])], 'pk_attr': 'id', 'table_description': 'No foreign keys: an entry outlives whatever it speaks of. `txid` lets the sealer know what is complete.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Event',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=48)),
                ('organisation_id', fields.BigIntField(null=True)),
                ('person_id', fields.BigIntField(null=True)),
                ('role', fields.CharField(null=True, max_length=24)),
                ('region_code', fields.CharField(null=True, max_length=6)),
                ('park_id', fields.BigIntField(null=True)),
                ('subject', fields.CharField(max_length=32)),
                ('subject_id', fields.BigIntField()),
                ('data', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('opened_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'events', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The outbox: written in the commit of the change, opened into notices by the jobs.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Heartbeat',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('sweep', fields.CharField(unique=True, max_length=48)),
                ('every_seconds', fields.FloatField()),
                ('ran_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('done', fields.BigIntField(default=0)),
                ('failures', fields.IntField(default=0)),
                ('error', fields.CharField(null=True, max_length=200)),
            ],
            options={'table': 'heartbeats', 'app': 'models', 'pk_attr': 'id', 'table_description': "One row per sweep, kept by the leader. `failures` counts the runs in a row that broke; `error` is the last one's kind."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('principal', fields.CharField(max_length=64)),
                ('operation', fields.CharField(max_length=96)),
                ('key', fields.CharField(max_length=255)),
                ('body_hash', fields.BinaryField()),
                ('status', fields.SmallIntField()),
                ('answer', fields.BinaryField()),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'idempotency_keys', 'app': 'models', 'unique_together': (('principal', 'operation', 'key'),), 'indexes': [Index(fields=['created_at'])], 'pk_attr': 'id', 'table_description': 'The answer to a request that was carried out, written in the commit of its effect; kept seven days.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme_id', fields.BigIntField()),
                ('lot_id', fields.BigIntField()),
                ('to_lot_id', fields.BigIntField(null=True)),
                ('order_id', fields.BigIntField(null=True)),
                ('organisation_id', fields.BigIntField()),
                ('institution_id', fields.BigIntField(null=True)),
                ('kind', fields.CharField(max_length=16)),
                ('from_account', fields.CharField(max_length=16)),
                ('to_account', fields.CharField(max_length=16)),
                ('fen', fields.BigIntField()),
                ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'ledger_entries', 'app': 'models', 'constraints': [CheckConstraint(check='fen > 0', name='ledger_entries_positive'), CheckConstraint(check='from_account <> to_account OR to_lot_id IS NOT NULL', name='ledger_entries_move')], 'indexes': [Index(fields=['lot_id']), Index(fields=['organisation_id', 'id']), Index(fields=['programme_id', 'at', 'id'])], 'pk_attr': 'id', 'table_description': 'One movement of `fen` from an account to another. Append-only (trigger and missing grants), sealed into the hash chain.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Park',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('name', fields.CharField(max_length=100)),
                ('county_code', fields.CharField(max_length=6)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'parks', 'app': 'models', 'unique_together': (('county_code', 'name'),), 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Organisation',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=16)),
                ('name', fields.CharField(max_length=200)),
                ('credit_code', fields.CharField(null=True, max_length=18)),
                ('region_code', fields.CharField(null=True, max_length=6)),
                ('park', fields.ForeignKeyField('models.Park', source_field='park_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('certified_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('suspended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'organisations', 'app': 'models', 'constraints': [UniqueConstraint(fields=('kind', 'credit_code'), name='organisations_credit_code_once'), CheckConstraint(check="kind IN ('enterprise','institution','office')", name='organisations_kind_known')], 'indexes': [Index(fields=['park_id']), Index(fields=['region_code'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
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
            name='Person',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('name', Sealed(null=True)),
                ('phone', Sealed(null=True)),
                ('phone_index', BlindIndex(null=True)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'persons', 'app': 'models', 'constraints': [UniqueConstraint(fields=('phone_index',), name='persons_phone_once')], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Approval',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=24)),
                ('title', fields.CharField(max_length=100)),
                ('subject', fields.CharField(max_length=32)),
                ('subject_id', fields.BigIntField()),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('role', fields.CharField(max_length=24)),
                ('region_code', fields.CharField(null=True, max_length=6)),
                ('park', fields.ForeignKeyField('models.Park', source_field='park_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='open|approved|returned|rejected|withdrawn', max_length=24)),
                ('submitted_by', fields.ForeignKeyField('models.Person', source_field='submitted_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('submitted_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('due_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_by', fields.ForeignKeyField('models.Person', source_field='decided_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('data', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
            ],
            options={'table': 'approvals', 'app': 'models', 'constraints': [UniqueConstraint(fields=('subject', 'subject_id'), name='approvals_one_open', condition="state = 'open'"), CheckConstraint(check='decided_by_id IS DISTINCT FROM submitted_by_id', name='approvals_not_by_the_applicant'), CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name='approvals_refused_with_reason')], 'indexes': [Index(fields=['state', 'role', 'id']), Index(fields=['organisation_id']), Index(fields=['park_id']), Index(fields=['submitted_by_id']), Index(fields=['decided_by_id'])], 'pk_attr': 'id', 'table_description': 'A place in the queue. `role` with `region_code` or `park` says who may decide; the applicant never may (F12).'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Attachment',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('uploaded_by', fields.ForeignKeyField('models.Person', source_field='uploaded_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('slot', fields.CharField(max_length=48)),
                ('display_name', fields.CharField(max_length=200)),
                ('media_type', fields.CharField(null=True, max_length=100)),
                ('size', fields.BigIntField(null=True)),
                ('sha256', fields.BinaryField(null=True)),
                ('storage_key', fields.CharField(unique=True, max_length=100)),
                ('state', fields.CharField(description='uploading|stored|deleted', max_length=24)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'attachments', 'app': 'models', 'constraints': [CheckConstraint(check="state <> 'stored' OR (media_type IS NOT NULL AND size > 0 AND sha256 IS NOT NULL)", name='attachments_stored_is_known')], 'indexes': [Index(fields=['organisation_id']), Index(fields=['uploaded_by_id'])], 'pk_attr': 'id', 'table_description': '`slot` says what the file is for (business_licence, …); its row is there before its bytes are, so none is orphaned.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Consent',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('document', fields.CharField(max_length=32)),
                ('version', fields.CharField(max_length=32)),
                ('agreed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'consents', 'app': 'models', 'unique_together': (('person_id', 'document', 'version'),), 'pk_attr': 'id', 'table_description': 'The privacy text somebody agreed to; recorded before the first personal field of theirs is stored.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Identity',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('platform', fields.CharField(max_length=16)),
                ('app_id', fields.CharField(max_length=64)),
                ('open_id', fields.CharField(max_length=128)),
                ('union_id', fields.CharField(null=True, max_length=128)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'identities', 'app': 'models', 'unique_together': (('platform', 'app_id', 'open_id'),), 'indexes': [Index(fields=['person_id']), Index(fields=['union_id'])], 'pk_attr': 'id', 'table_description': 'Who a platform says this is. One person may have many; equal openids of two apps are two people.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Membership',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('role', fields.CharField(max_length=24)),
                ('region_code', fields.CharField(null=True, max_length=6)),
                ('park', fields.ForeignKeyField('models.Park', source_field='park_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='active|ended', max_length=24)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'memberships', 'app': 'models', 'constraints': [UniqueConstraint(fields=('person_id', 'organisation_id', 'role'), name='memberships_once', condition="state = 'active'"), CheckConstraint(check='region_code IS NULL OR park_id IS NULL', name='memberships_one_jurisdiction')], 'indexes': [Index(fields=['person_id']), Index(fields=['organisation_id']), Index(fields=['park_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Notice',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('event', fields.ForeignKeyField('models.Event', source_field='event_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation_id', fields.BigIntField(null=True)),
                ('kind', fields.CharField(max_length=48)),
                ('title', fields.CharField(max_length=64)),
                ('body', fields.CharField(max_length=500)),
                ('page', fields.CharField(max_length=200)),
                ('data', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('read_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('superseded_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'notices', 'app': 'models', 'unique_together': (('event_id', 'person_id'),), 'indexes': [Index(fields=['person_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One message to one person: the inbox twin. Whatever the channels do, it can be read here.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Delivery',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('notice', fields.ForeignKeyField('models.Notice', source_field='notice_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('step', fields.SmallIntField()),
                ('channel', fields.CharField(max_length=24)),
                ('state', fields.CharField(description='planned|sending|accepted|delivered|no_consent|failed|dead|superseded', max_length=24)),
                ('attempts', fields.SmallIntField(default=0)),
                ('due_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('give_up_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('leased_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('provider_id', fields.CharField(null=True, max_length=64)),
                ('error', fields.CharField(null=True, max_length=200)),
                ('finished_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'deliveries', 'app': 'models', 'unique_together': (('notice_id', 'step'),), 'indexes': [Index(fields=['person_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One attempt chain of one notice on one channel; `step` is its place in the fallback chain.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='PaymentPassword',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('hash', fields.CharField(max_length=200)),
                ('tries_spent', fields.SmallIntField(default=0)),
                ('last_try_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('locked_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('usable_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('set_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'payment_passwords', 'app': 'models', 'constraints': [UniqueConstraint(fields=('membership_id',), name='payment_passwords_once'), CheckConstraint(check='tries_spent BETWEEN 0 AND 5', name='payment_passwords_five_tries')], 'pk_attr': 'id', 'table_description': 'A try is spent before it is evaluated, and given back by a right one, so parallel guesses share the same five.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Product',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('service_number', fields.CharField(max_length=24)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('name', fields.CharField(max_length=100)),
                ('category', fields.CharField(max_length=32)),
                ('content', fields.CharField(default='', db_default='', max_length=64)),
                ('region_code', fields.CharField(max_length=6)),
                ('price_fen', fields.BigIntField(null=True)),
                ('state', fields.CharField(description='draft|in_review|approved|rejected|listed|deleted', max_length=24)),
                ('sections', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('is_recommended', fields.BooleanField(default=False)),
                ('takes_vouchers', fields.BooleanField(default=False)),
                ('haystack', fields.TextField(default='', unique=False)),
                ('terms', ArrayField(default=list, element_type='TEXT')),
                ('version', fields.IntField(default=1)),
                ('listed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'products', 'app': 'models', 'unique_together': (('service_number',),), 'constraints': [CheckConstraint(check='price_fen IS NULL OR price_fen > 0', name='products_price_positive')], 'indexes': [Index(fields=['organisation_id'])], 'pk_attr': 'id', 'table_description': '`terms` holds the one- and two-letter parts of `haystack` and the facets of the search: one GIN index answers all of it.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Favourite',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'favourites', 'app': 'models', 'unique_together': (('person_id', 'product_id'),), 'indexes': [Index(fields=['product_id'])], 'pk_attr': 'id'},
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
            options={'table': 'product_versions', 'app': 'models', 'unique_together': (('product_id', 'number'),), 'constraints': [UniqueConstraint(fields=('product_id',), name='product_versions_one_waits', condition="state IN ('draft','in_review')"), UniqueConstraint(fields=('product_id',), name='product_versions_one_in_force', condition="state = 'approved'"), CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name='product_versions_rejected_with_reason')], 'indexes': [Index(fields=['made_by_id'])], 'pk_attr': 'id', 'table_description': "`number` is the product's version once this is in force. `content`: name, category, content, price_fen, sections, deductions."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Programme',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('name', fields.CharField(max_length=100)),
                ('region_code', fields.CharField(max_length=6)),
                ('state', fields.CharField(description='draft|published|ended', max_length=24)),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('budget_fen', fields.BigIntField(null=True)),
                ('granted_fen', fields.BigIntField(default=0, db_default=0)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'programmes', 'app': 'models', 'unique_together': (('region_code', 'name'),), 'constraints': [CheckConstraint(check='granted_fen >= 0 AND (budget_fen IS NULL OR granted_fen <= budget_fen)', name='programmes_within_budget')], 'indexes': [Index(fields=['made_by_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Application',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('kind', fields.CharField(max_length=32)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='draft|submitted|returned|approved|rejected|withdrawn', max_length=24)),
                ('form_version', fields.SmallIntField()),
                ('form', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ('contact_name', Sealed(null=True)),
                ('contact_phone', Sealed(null=True)),
                ('legal_person_name', Sealed(null=True)),
                ('legal_person_id_number', Sealed(null=True)),
                ('bank_account', Sealed(null=True)),
                ('applied_by', fields.ForeignKeyField('models.Person', source_field='applied_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('submitted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reason', fields.CharField(null=True, max_length=500)),
                ('version', fields.IntField(default=1)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'applications', 'app': 'models', 'constraints': [UniqueConstraint(fields=('organisation_id', 'kind'), name='applications_one_alive', condition="programme_id IS NULL AND state NOT IN ('rejected','withdrawn')"), UniqueConstraint(fields=('organisation_id', 'kind', 'programme_id'), name='applications_one_alive_in_programme', condition="state NOT IN ('rejected','withdrawn')"), CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name='applications_rejected_with_reason')], 'indexes': [Index(fields=['organisation_id', 'kind']), Index(fields=['programme_id']), Index(fields=['applied_by_id'])], 'pk_attr': 'id', 'table_description': 'A form somebody fills and somebody else decides on. What differs by kind is in handlers/application_kinds.py.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='ApplicationFile',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('application', fields.ForeignKeyField('models.Application', source_field='application_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('slot', fields.CharField(max_length=48)),
            ],
            options={'table': 'application_files', 'app': 'models', 'unique_together': (('application_id', 'slot', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Institution',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('introduction', fields.TextField(default='', unique=False)),
                ('address', fields.CharField(default='', max_length=200)),
                ('website', fields.CharField(default='', max_length=200)),
                ('landline', fields.CharField(default='', max_length=32)),
                ('email', fields.CharField(default='', max_length=100)),
                ('contact_name', Sealed(null=True)),
                ('contact_phone', Sealed(null=True)),
                ('bank_account_name', fields.CharField(null=True, max_length=200)),
                ('bank_branch', fields.CharField(null=True, max_length=200)),
                ('bank_account', Sealed(null=True)),
                ('latitude', fields.DecimalField(null=True, max_digits=9, decimal_places=6)),
                ('longitude', fields.DecimalField(null=True, max_digits=9, decimal_places=6)),
                ('state', fields.CharField(description='applying|admitted|suspended|expired', db_default='applying', max_length=24)),
                ('application', fields.ForeignKeyField('models.Application', source_field='application_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('category', fields.CharField(null=True, max_length=32)),
                ('valid_until', fields.DateField(null=True)),
                ('suspended_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('suspension_reason', fields.CharField(null=True, max_length=500)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'institutions', 'app': 'models', 'constraints': [UniqueConstraint(fields=('organisation_id',), name='institutions_once'), CheckConstraint(check="(state = 'suspended') = (suspended_until IS NOT NULL AND suspension_reason IS NOT NULL)", name='institutions_suspended_with_reason_and_end')], 'indexes': [Index(fields=['application_id'])], 'pk_attr': 'id', 'table_description': 'Facts that are in force. What an amendment says waits in its application until it is approved (C15).'},
            bases=['Table'],
        ),
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
            options={'table': 'payout_batches', 'app': 'models', 'constraints': [UniqueConstraint(fields=('number',), name='payout_batches_number_once'), CheckConstraint(check='checked_by_id IS DISTINCT FROM made_by_id', name='payout_batches_four_eyes')], 'indexes': [Index(fields=['programme_id']), Index(fields=['made_by_id']), Index(fields=['checked_by_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Policy',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('number', fields.IntField()),
                ('rules', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('state', fields.CharField(description='draft|confirmed|discarded', max_length=24)),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('confirmed_by', fields.ForeignKeyField('models.Person', source_field='confirmed_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('confirmed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'policies', 'app': 'models', 'unique_together': (('programme_id', 'number'),), 'constraints': [CheckConstraint(check='confirmed_by_id IS DISTINCT FROM made_by_id', name='policies_four_eyes'), CheckConstraint(check="(state = 'confirmed') = (confirmed_by_id IS NOT NULL)", name='policies_confirmed_by_someone')], 'indexes': [Index(fields=['made_by_id']), Index(fields=['confirmed_by_id'])], 'pk_attr': 'id', 'table_description': "One version of a programme's rules. Confirmed by a second person, it never changes; the next version follows it."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Order',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('number', fields.CharField(max_length=24)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('policy', fields.ForeignKeyField('models.Policy', source_field='policy_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('product_name', fields.CharField(max_length=100)),
                ('product_version', fields.IntField()),
                ('category', fields.CharField(max_length=32)),
                ('content', fields.CharField(default='', db_default='', max_length=64)),
                ('deductions', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('list_price_fen', fields.BigIntField()),
                ('order_fen', fields.BigIntField()),
                ('max_voucher_fen', fields.BigIntField()),
                ('voucher_fen', fields.BigIntField(default=0)),
                ('returned_fen', fields.BigIntField(default=0)),
                ('state', fields.CharField(description='awaiting_price|unpaid|pay_review|pay_rejected|paid|accepted|delivered|completed|closed', max_length=24)),
                ('close_reason', fields.CharField(null=True, max_length=16)),
                ('message', fields.CharField(default='', max_length=500)),
                ('remark', fields.CharField(null=True, max_length=500)),
                ('agreement_version', fields.CharField(max_length=16)),
                ('rework_count', fields.SmallIntField(default=0)),
                ('use_year', fields.SmallIntField(null=True)),
                ('use_nth', fields.SmallIntField(null=True)),
                ('placed_by', fields.ForeignKeyField('models.Person', source_field='placed_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('placed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('paid_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('accepted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('delivered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('completed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('closed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reviewed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('due_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reminded', fields.SmallIntField(default=0)),
                ('frozen_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('clock_from', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('scanned_state', fields.CharField(null=True, max_length=24)),
                ('scanned_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('disputed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('version', fields.IntField(default=1)),
            ],
            options={'table': 'orders', 'app': 'models', 'constraints': [UniqueConstraint(fields=('number',), name='orders_number_once'), UniqueConstraint(fields=('enterprise_id', 'product_id', 'use_year', 'use_nth'), name='orders_yearly_uses_counted', condition='use_nth IS NOT NULL'), CheckConstraint(check='list_price_fen >= order_fen AND order_fen >= voucher_fen AND voucher_fen >= returned_fen AND returned_fen >= 0 AND order_fen > 0', name='orders_price_chain'), CheckConstraint(check='voucher_fen <= max_voucher_fen', name='orders_within_deduction'), CheckConstraint(check="state <> 'pay_review' OR voucher_fen > 0", name='orders_in_review_hold_something'), CheckConstraint(check="state <> 'pay_rejected' OR (voucher_fen = 0 AND remark IS NOT NULL)", name='orders_refused_show_nothing_paid'), CheckConstraint(check='enterprise_id <> institution_id', name='orders_two_parties'), CheckConstraint(check="(state = 'closed') = (close_reason IS NOT NULL)", name='orders_closed_for_a_reason'), CheckConstraint(check="state NOT IN ('paid','accepted','delivered','completed') OR (voucher_fen > 0 AND paid_at IS NOT NULL)", name='orders_paid_is_paid')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id', 'id']), Index(fields=['product_id']), Index(fields=['programme_id']), Index(fields=['policy_id']), Index(fields=['placed_by_id'])], 'pk_attr': 'id', 'table_description': "Snapshots of the product keep the order's meaning when the product changes. Overlays: `frozen_at`, `disputed_at`."},
            bases=['Table'],
        ),
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
            options={'table': 'contracts', 'app': 'models', 'constraints': [CheckConstraint(check='total_fen > 0', name='contracts_positive'), CheckConstraint(check='awarded_on IS NULL OR signed_on >= awarded_on', name='contracts_after_the_award')], 'indexes': [Index(fields=['order_id']), Index(fields=['attachment_id']), Index(fields=['given_by_id'])], 'pk_attr': 'id', 'table_description': 'The service contract that came with a payment (C35): one row for each submission, so that a reviewer sees what was put right.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Dispute',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reason', fields.CharField(max_length=500)),
                ('opened_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('ruling', fields.CharField(null=True, max_length=16)),
                ('returned_fen', fields.BigIntField(null=True)),
                ('ruled_by', fields.ForeignKeyField('models.Person', source_field='ruled_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('ruled_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'disputes', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='disputes_one_open', condition='ruled_at IS NULL')], 'indexes': [Index(fields=['order_id']), Index(fields=['ruled_by_id'])], 'pk_attr': 'id', 'table_description': 'Opened when the rework limit is passed; a reviewer rules how much of the vouchers goes back (O12).'},
            bases=['Table'],
        ),
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
            options={'table': 'freezes', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='freezes_one_alive', condition='lifted_at IS NULL'), CheckConstraint(check='lifted_by_id IS DISTINCT FROM frozen_by_id', name='freezes_four_eyes'), CheckConstraint(check='(lifted_at IS NULL) = (lifted_by_id IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL)', name='freezes_lifted_with_reason')], 'indexes': [Index(fields=['order_id']), Index(fields=['frozen_by_id']), Index(fields=['lifted_by_id'])], 'pk_attr': 'id', 'table_description': '冻结 of an order (O13): by one officer, lifted by another. While it lasts the order carries `frozen_at`.'},
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
            options={'table': 'appeals', 'app': 'models', 'constraints': [UniqueConstraint(fields=('approval_id',), name='appeals_one_of_a_decision', condition='approval_id IS NOT NULL'), UniqueConstraint(fields=('freeze_id', 'organisation_id'), name='appeals_one_of_a_freeze', condition='freeze_id IS NOT NULL'), CheckConstraint(check='(approval_id IS NULL) <> (freeze_id IS NULL)', name='appeals_against_one_decision'), CheckConstraint(check="(freeze_id IS NOT NULL) = (kind = 'freeze')", name='appeals_kind_is_of_its_decision'), CheckConstraint(check="state = 'in_review' OR reason IS NOT NULL", name='appeals_answered_with_reason'), CheckConstraint(check="(state = 'returned') = (days_left IS NOT NULL)", name='appeals_clock_stops_while_returned'), CheckConstraint(check="(state IN ('upheld','overturned')) = (decided_at IS NOT NULL AND decided_by_id IS NOT NULL)", name='appeals_decided_by_somebody')], 'indexes': [Index(fields=['organisation_id', 'id']), Index(fields=['filed_by_id']), Index(fields=['decided_by_id']), Index(fields=['reopened_id']), Index(fields=['freeze_id']), Index(fields=['approval_id'])], 'pk_attr': 'id', 'table_description': "Against exactly one decision: a rejected approval, or a freeze. `days_left`: of the reviewers' working days, while returned."},
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
            name='Handover',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('summary', fields.CharField(max_length=500)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('delivered_by', fields.ForeignKeyField('models.Person', source_field='delivered_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('delivered_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('sent_back_reason', fields.CharField(null=True, max_length=500)),
                ('sent_back_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'handovers', 'app': 'models', 'indexes': [Index(fields=['order_id']), Index(fields=['attachment_id']), Index(fields=['delivered_by_id'])], 'pk_attr': 'id', 'table_description': 'What the institution handed over: one row per 提交完成, with its evidence, and what the enterprise said to it.'},
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
            options={'table': 'order_risks', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='order_risks_once'), CheckConstraint(check="verdict IN ('none','sample','freeze')", name='order_risks_verdict_known')], 'pk_attr': 'id', 'table_description': "The sum of an order's signals, each kind counted once. An order without signals has no row."},
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
            options={'table': 'price_changes', 'app': 'models', 'constraints': [CheckConstraint(check='to_fen > 0', name='price_changes_positive')], 'indexes': [Index(fields=['order_id']), Index(fields=['settled_by_id'])], 'pk_attr': 'id', 'table_description': '核定价格: each time the institution settled what the contract says (C29, O2).'},
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
            options={'table': 'redemptions', 'app': 'models', 'constraints': [UniqueConstraint(fields=('number',), name='redemptions_number_once'), UniqueConstraint(fields=('order_id',), name='redemptions_one_alive', condition="state <> 'rejected'"), CheckConstraint(check='payable_fen + shortfall_fen = voucher_fen AND payable_fen >= 0 AND shortfall_fen >= 0 AND actual_fen > 0', name='redemptions_add_up'), CheckConstraint(check='ratio_ppm BETWEEN 1 AND 1000000', name='redemptions_ratio_in_range'), CheckConstraint(check='payable_fen <= actual_fen', name='redemptions_within_actual'), CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name='redemptions_refused_with_reason')], 'indexes': [Index(fields=['order_id']), Index(fields=['institution_id', 'id']), Index(fields=['programme_id', 'state']), Index(fields=['policy_id']), Index(fields=['applied_by_id']), Index(fields=['prepared_by_id'])], 'pk_attr': 'id', 'table_description': '`payable_fen` = min(voucher paid, floor(ratio x actual amount)); the rest of the vouchers is the shortfall (C39).'},
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
            options={'table': 'invoices', 'app': 'models', 'constraints': [UniqueConstraint(fields=('code', 'number'), name='invoices_used_once', condition='released_at IS NULL'), CheckConstraint(check='amount_fen > 0', name='invoices_positive')], 'indexes': [Index(fields=['redemption_id']), Index(fields=['attachment_id'])], 'pk_attr': 'id', 'table_description': 'An invoice pays one claim in the whole system, ever; a rejected claim lets it go.'},
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
            options={'table': 'payout_lines', 'app': 'models', 'constraints': [UniqueConstraint(fields=('redemption_id',), name='payout_lines_one_alive', condition="state IN ('pending','paid')"), CheckConstraint(check='fen > 0', name='payout_lines_positive')], 'indexes': [Index(fields=['batch_id', 'id']), Index(fields=['redemption_id'])], 'pk_attr': 'id', 'table_description': 'One transfer; the account is the one that the institution had when the batch was made.'},
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
        ops.CreateModel(
            name='Region',
            fields=[
                ('code', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=6)),
                ('name', fields.CharField(max_length=64)),
                ('level', fields.CharField(max_length=8)),
                ('parent_code', fields.CharField(null=True, max_length=6)),
            ],
            options={'table': 'regions', 'app': 'models', 'indexes': [Index(fields=['parent_code'])], 'pk_attr': 'code', 'table_description': 'A division by its six-digit code; `parent_code` is null for provinces.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Reminder',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('valid_until', fields.DateField()),
                ('rung', fields.CharField(max_length=8)),
                ('sent_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reminders', 'app': 'models', 'constraints': [UniqueConstraint(fields=('organisation_id', 'valid_until', 'rung'), name='reminders_once')], 'pk_attr': 'id', 'table_description': 'A rung of the reminder ladder that was sent (F05): once per enterprise, last day and rung, whatever restarts.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Review',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('is_system', fields.BooleanField()),
                ('grade', fields.CharField(max_length=8)),
                ('text', fields.CharField(default='', max_length=500)),
                ('platform_stars', fields.SmallIntField(null=True)),
                ('platform_text', fields.CharField(default='', max_length=500)),
                ('reviewed_by', fields.ForeignKeyField('models.Person', source_field='reviewed_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reviewed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('replaced_system_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reviews', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='reviews_one_per_order'), CheckConstraint(check="grade IN ('good','medium','bad')", name='reviews_grade_known'), CheckConstraint(check='platform_stars BETWEEN 0 AND 5', name='reviews_stars_in_range'), CheckConstraint(check='is_system = (reviewed_by_id IS NULL)', name='reviews_system_has_no_author')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id', 'id']), Index(fields=['product_id', 'id']), Index(fields=['reviewed_by_id'])], 'pk_attr': 'id', 'table_description': '`is_system`: nobody reviewed within seven days; shown as 系统默认评价 and never counted in a score.'},
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
            options={'table': 'risk_signals', 'app': 'models', 'unique_together': (('order_id', 'kind', 'digest'),), 'constraints': [CheckConstraint(check='weight > 0', name='risk_signals_weigh_something')], 'pk_attr': 'id', 'table_description': 'One reason to look at an order. `facts`: [{who, what, value, at}], personal values masked.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Round',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('policy', fields.ForeignKeyField('models.Policy', source_field='policy_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('number', fields.CharField(max_length=16)),
                ('name', fields.CharField(max_length=100)),
                ('state', fields.CharField(description='draft|announced|open|closed|committed|drawn|publicity|final|voided', max_length=24)),
                ('opens_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('closes_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('draw_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('publicity_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('publicity_until', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('valid_until', fields.DateField()),
                ('randomness', fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ('notes', fields.TextField(default='', unique=False)),
                ('made_by', fields.ForeignKeyField('models.Person', source_field='made_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('confirmed_by', fields.ForeignKeyField('models.Person', source_field='confirmed_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('finalised_by', fields.ForeignKeyField('models.Person', source_field='finalised_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('void_reason', fields.CharField(null=True, max_length=200)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'rounds', 'app': 'models', 'constraints': [UniqueConstraint(fields=('number',), name='rounds_number_once'), CheckConstraint(check='opens_at < closes_at AND closes_at <= draw_at AND draw_at <= publicity_at AND publicity_at <= publicity_until', name='rounds_in_order'), CheckConstraint(check='confirmed_by_id IS DISTINCT FROM made_by_id', name='rounds_four_eyes'), CheckConstraint(check='finalised_by_id IS NULL OR finalised_by_id <> made_by_id', name='rounds_final_four_eyes'), CheckConstraint(check="(state = 'voided') = (void_reason IS NOT NULL)", name='rounds_voided_with_reason')], 'indexes': [Index(fields=['programme_id']), Index(fields=['policy_id']), Index(fields=['made_by_id']), Index(fields=['confirmed_by_id']), Index(fields=['finalised_by_id'])], 'pk_attr': 'id', 'table_description': 'One reservation batch (批次). All instants UTC; `valid_until` is a date of Asia/Shanghai, inclusive (E22).'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Draw',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('rules_version', fields.CharField(max_length=16)),
                ('ticket_count', fields.IntField()),
                ('list_digest', fields.CharField(max_length=64)),
                ('quotas_digest', fields.CharField(max_length=64)),
                ('commitment', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('reveal', fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ('seed', fields.CharField(null=True, max_length=64)),
                ('committed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('drawn_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'draws', 'app': 'models', 'constraints': [UniqueConstraint(fields=('round_id',), name='draws_once')], 'pk_attr': 'id', 'table_description': 'The published bundle: the commitment at close, the reveal and the result at the draw (docs/draw.md).'},
            bases=['Table'],
        ),
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
        ops.CreateModel(
            name='DrawSecret',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('role', fields.CharField(max_length=16)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('commitment', fields.CharField(max_length=64)),
                ('secret', fields.BinaryField()),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'draw_secrets', 'app': 'models', 'unique_together': (('round_id', 'role'), ('round_id', 'person_id')), 'indexes': [Index(fields=['person_id'])], 'pk_attr': 'id', 'table_description': 'What one of the two people committed to; the secret stays sealed until the draw reveals it.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='PublicValue',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('source', fields.CharField(max_length=100)),
                ('value', fields.CharField(max_length=200)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('role', fields.CharField(max_length=16)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'public_values', 'app': 'models', 'unique_together': (('round_id', 'source', 'role'), ('round_id', 'source', 'person_id')), 'indexes': [Index(fields=['person_id'])], 'pk_attr': 'id', 'table_description': 'The public random value as two people typed it after its time had come; it counts when both agree.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Seal',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('chain', fields.CharField(max_length=24)),
                ('from_xid', fields.BigIntField()),
                ('upto_xid', fields.BigIntField()),
                ('rows', fields.BigIntField()),
                ('previous', fields.BinaryField()),
                ('digest', fields.BinaryField()),
                ('sealed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'seals', 'app': 'models', 'unique_together': (('chain', 'upto_xid'),), 'pk_attr': 'id', 'table_description': "A link of the hash chain over a table's rows of transactions below `upto_xid` (see handlers/audit.py)."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Session',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('token_hash', fields.BinaryField()),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('device_index', BlindIndex(null=True)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'sessions', 'app': 'models', 'constraints': [UniqueConstraint(fields=('token_hash',), name='sessions_token_once')], 'indexes': [Index(fields=['person_id']), Index(fields=['identity_id']), Index(fields=['membership_id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A signed-in phone. Only the SHA-256 of the token is kept, so a stolen dump opens nothing.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Subscription',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('template', fields.CharField(max_length=48)),
                ('remaining', fields.IntField(default=0)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'subscriptions', 'app': 'models', 'unique_together': (('identity_id', 'template'),), 'constraints': [CheckConstraint(check='remaining >= 0', name='subscriptions_not_negative')], 'pk_attr': 'id', 'table_description': 'Expected acceptances of a WeChat template by a person: a hint, never the truth (43101 is).'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='SubscriptionReport',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('template', fields.CharField(max_length=48)),
                ('nonce', fields.CharField(max_length=64)),
                ('answer', fields.CharField(max_length=16)),
                ('reported_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'subscription_reports', 'app': 'models', 'constraints': [UniqueConstraint(fields=('identity_id', 'template', 'nonce'), name='subscription_reports_once')], 'pk_attr': 'id', 'table_description': 'A consent that was counted, once, however often the phone or the platform repeats it.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='VoucherType',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('code', fields.CharField(max_length=16)),
                ('name', fields.CharField(max_length=50)),
                ('is_universal', fields.BooleanField()),
                ('categories', fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ('face_fen', fields.BigIntField()),
                ('annual_win_cap', fields.IntField(null=True)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'voucher_types', 'app': 'models', 'constraints': [UniqueConstraint(fields=('programme_id', 'code'), name='voucher_types_code_once'), CheckConstraint(check='face_fen > 0', name='voucher_types_face_positive'), CheckConstraint(check='annual_win_cap IS NULL OR annual_win_cap > 0', name='voucher_types_cap_positive')], 'pk_attr': 'id', 'table_description': "审计服务专用券, 服务通用券 … A universal type has no categories: it pays for any product that takes the programme's vouchers."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Deduction',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('product', fields.ForeignKeyField('models.Product', source_field='product_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('max_fen', fields.BigIntField()),
            ],
            options={'table': 'deductions', 'app': 'models', 'unique_together': (('product_id', 'voucher_type_id'),), 'constraints': [CheckConstraint(check='max_fen > 0', name='deductions_positive')], 'indexes': [Index(fields=['voucher_type_id'])], 'pk_attr': 'id', 'table_description': 'The most that vouchers of a type may pay of this product (抵扣金额).'},
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
            options={'table': 'grants', 'app': 'models', 'constraints': [CheckConstraint(check='amount_fen > 0 AND amount_fen <= applied_fen', name='grants_within_what_was_applied_for'), CheckConstraint(check='valid_until >= awarded_on', name='grants_end_after_they_begin'), CheckConstraint(check='jsonb_array_length(directions) > 0', name='grants_have_a_direction')], 'indexes': [Index(fields=['application_id']), Index(fields=['programme_id']), Index(fields=['organisation_id', 'programme_id']), Index(fields=['voucher_type_id']), Index(fields=['granted_by_id'])], 'pk_attr': 'id', 'table_description': '获批的服务券金额及使用方向 (C24): one decision of a reviewer, one lot. `directions`: [{category, content}], 服务大类 and 服务小类.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Reservation',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='submitted|withdrawn|won|alternate|issued|declined|disqualified', max_length=24)),
                ('salt', fields.BinaryField()),
                ('rank', fields.IntField(null=True)),
                ('win_year', fields.SmallIntField(null=True)),
                ('win_nth', fields.SmallIntField(null=True)),
                ('reserved_by', fields.ForeignKeyField('models.Person', source_field='reserved_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('submitted_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('changed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reservations', 'app': 'models', 'constraints': [UniqueConstraint(fields=('round_id', 'organisation_id'), name='reservations_one_ticket'), UniqueConstraint(fields=('organisation_id', 'voucher_type_id', 'win_year', 'win_nth'), name='reservations_wins_counted', condition='win_nth IS NOT NULL'), CheckConstraint(check="(win_nth IS NULL) = (state NOT IN ('won','issued'))", name='reservations_win_is_counted')], 'indexes': [Index(fields=['organisation_id', 'id']), Index(fields=['voucher_type_id']), Index(fields=['reserved_by_id'])], 'pk_attr': 'id', 'table_description': "One ticket of one enterprise in one round. Losers are not written at the draw: they follow from the round's state."},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='Lot',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('programme', fields.ForeignKeyField('models.Programme', source_field='programme_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reservation', fields.ForeignKeyField('models.Reservation', source_field='reservation_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('grant', fields.ForeignKeyField('models.Grant', source_field='grant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('grace_of', fields.ForeignKeyField('models.Lot', source_field='grace_of_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('face_fen', fields.BigIntField()),
                ('available_fen', fields.BigIntField()),
                ('held_fen', fields.BigIntField(default=0)),
                ('spent_fen', fields.BigIntField(default=0)),
                ('expired_fen', fields.BigIntField(default=0)),
                ('valid_from', fields.DateField()),
                ('valid_until', fields.DateField()),
                ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expired_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'lots', 'app': 'models', 'constraints': [UniqueConstraint(fields=('reservation_id',), name='lots_one_per_win', condition='reservation_id IS NOT NULL'), UniqueConstraint(fields=('grant_id',), name='lots_one_per_grant', condition='grant_id IS NOT NULL AND grace_of_id IS NULL'), UniqueConstraint(fields=('grace_of_id',), name='lots_one_grace', condition='grace_of_id IS NOT NULL'), CheckConstraint(check='available_fen >= 0 AND held_fen >= 0 AND spent_fen >= 0 AND expired_fen >= 0 AND face_fen > 0', name='lots_never_negative'), CheckConstraint(check='available_fen + held_fen + spent_fen + expired_fen <= face_fen', name='lots_within_face'), CheckConstraint(check='grace_of_id IS NULL OR reservation_id IS NULL', name='lots_grace_is_no_win')], 'indexes': [Index(fields=['organisation_id', 'expires_at']), Index(fields=['voucher_type_id']), Index(fields=['programme_id']), Index(fields=['grant_id'])], 'pk_attr': 'id', 'table_description': 'Vouchers of one type that came to one enterprise together and expire together.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='RoundQuota',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('voucher_type', fields.ForeignKeyField('models.VoucherType', source_field='voucher_type_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('quota', fields.IntField()),
                ('alternates', fields.IntField(default=0)),
            ],
            options={'table': 'round_quotas', 'app': 'models', 'unique_together': (('round_id', 'voucher_type_id'),), 'constraints': [CheckConstraint(check='quota >= 0 AND alternates >= 0', name='round_quotas_not_negative')], 'indexes': [Index(fields=['voucher_type_id'])], 'pk_attr': 'id'},
            bases=['Table'],
        ),
        ops.RunSQL("""
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_positive CHECK (fen > 0);
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_move CHECK (from_account <> to_account OR to_lot_id IS NOT NULL);
ALTER TABLE organisations ADD CONSTRAINT organisations_credit_code_once UNIQUE (kind, credit_code);
ALTER TABLE organisations ADD CONSTRAINT organisations_kind_known CHECK (kind IN ('enterprise','institution','office'));
ALTER TABLE persons ADD CONSTRAINT persons_phone_once UNIQUE (phone_index);
CREATE UNIQUE INDEX approvals_one_open ON approvals (subject, subject_id) WHERE state = 'open';
ALTER TABLE approvals ADD CONSTRAINT approvals_not_by_the_applicant CHECK (decided_by_id IS DISTINCT FROM submitted_by_id);
ALTER TABLE approvals ADD CONSTRAINT approvals_refused_with_reason CHECK (state NOT IN ('returned','rejected') OR reason IS NOT NULL);
ALTER TABLE attachments ADD CONSTRAINT attachments_stored_is_known CHECK (state <> 'stored' OR (media_type IS NOT NULL AND size > 0 AND sha256 IS NOT NULL));
CREATE UNIQUE INDEX memberships_once ON memberships (person_id, organisation_id, role) WHERE state = 'active';
ALTER TABLE memberships ADD CONSTRAINT memberships_one_jurisdiction CHECK (region_code IS NULL OR park_id IS NULL);
ALTER TABLE payment_passwords ADD CONSTRAINT payment_passwords_once UNIQUE (membership_id);
ALTER TABLE payment_passwords ADD CONSTRAINT payment_passwords_five_tries CHECK (tries_spent BETWEEN 0 AND 5);
ALTER TABLE products ADD CONSTRAINT products_price_positive CHECK (price_fen IS NULL OR price_fen > 0);
CREATE UNIQUE INDEX product_versions_one_waits ON product_versions (product_id) WHERE state IN ('draft','in_review');
CREATE UNIQUE INDEX product_versions_one_in_force ON product_versions (product_id) WHERE state = 'approved';
ALTER TABLE product_versions ADD CONSTRAINT product_versions_rejected_with_reason CHECK (state <> 'rejected' OR reason IS NOT NULL);
ALTER TABLE programmes ADD CONSTRAINT programmes_within_budget CHECK (granted_fen >= 0 AND (budget_fen IS NULL OR granted_fen <= budget_fen));
CREATE UNIQUE INDEX applications_one_alive ON applications (organisation_id, kind) WHERE programme_id IS NULL AND state NOT IN ('rejected','withdrawn');
CREATE UNIQUE INDEX applications_one_alive_in_programme ON applications (organisation_id, kind, programme_id) WHERE state NOT IN ('rejected','withdrawn');
ALTER TABLE applications ADD CONSTRAINT applications_rejected_with_reason CHECK (state <> 'rejected' OR reason IS NOT NULL);
ALTER TABLE institutions ADD CONSTRAINT institutions_once UNIQUE (organisation_id);
ALTER TABLE institutions ADD CONSTRAINT institutions_suspended_with_reason_and_end CHECK ((state = 'suspended') = (suspended_until IS NOT NULL AND suspension_reason IS NOT NULL));
ALTER TABLE payout_batches ADD CONSTRAINT payout_batches_number_once UNIQUE (number);
ALTER TABLE payout_batches ADD CONSTRAINT payout_batches_four_eyes CHECK (checked_by_id IS DISTINCT FROM made_by_id);
ALTER TABLE policies ADD CONSTRAINT policies_four_eyes CHECK (confirmed_by_id IS DISTINCT FROM made_by_id);
ALTER TABLE policies ADD CONSTRAINT policies_confirmed_by_someone CHECK ((state = 'confirmed') = (confirmed_by_id IS NOT NULL));
ALTER TABLE orders ADD CONSTRAINT orders_number_once UNIQUE (number);
CREATE UNIQUE INDEX orders_yearly_uses_counted ON orders (enterprise_id, product_id, use_year, use_nth) WHERE use_nth IS NOT NULL;
ALTER TABLE orders ADD CONSTRAINT orders_price_chain CHECK (list_price_fen >= order_fen AND order_fen >= voucher_fen AND voucher_fen >= returned_fen AND returned_fen >= 0 AND order_fen > 0);
ALTER TABLE orders ADD CONSTRAINT orders_within_deduction CHECK (voucher_fen <= max_voucher_fen);
ALTER TABLE orders ADD CONSTRAINT orders_in_review_hold_something CHECK (state <> 'pay_review' OR voucher_fen > 0);
ALTER TABLE orders ADD CONSTRAINT orders_refused_show_nothing_paid CHECK (state <> 'pay_rejected' OR (voucher_fen = 0 AND remark IS NOT NULL));
ALTER TABLE orders ADD CONSTRAINT orders_two_parties CHECK (enterprise_id <> institution_id);
ALTER TABLE orders ADD CONSTRAINT orders_closed_for_a_reason CHECK ((state = 'closed') = (close_reason IS NOT NULL));
ALTER TABLE orders ADD CONSTRAINT orders_paid_is_paid CHECK (state NOT IN ('paid','accepted','delivered','completed') OR (voucher_fen > 0 AND paid_at IS NOT NULL));
ALTER TABLE contracts ADD CONSTRAINT contracts_positive CHECK (total_fen > 0);
ALTER TABLE contracts ADD CONSTRAINT contracts_after_the_award CHECK (awarded_on IS NULL OR signed_on >= awarded_on);
CREATE UNIQUE INDEX disputes_one_open ON disputes (order_id) WHERE ruled_at IS NULL;
CREATE UNIQUE INDEX freezes_one_alive ON freezes (order_id) WHERE lifted_at IS NULL;
ALTER TABLE freezes ADD CONSTRAINT freezes_four_eyes CHECK (lifted_by_id IS DISTINCT FROM frozen_by_id);
ALTER TABLE freezes ADD CONSTRAINT freezes_lifted_with_reason CHECK ((lifted_at IS NULL) = (lifted_by_id IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL));
CREATE UNIQUE INDEX appeals_one_of_a_decision ON appeals (approval_id) WHERE approval_id IS NOT NULL;
CREATE UNIQUE INDEX appeals_one_of_a_freeze ON appeals (freeze_id, organisation_id) WHERE freeze_id IS NOT NULL;
ALTER TABLE appeals ADD CONSTRAINT appeals_against_one_decision CHECK ((approval_id IS NULL) <> (freeze_id IS NULL));
ALTER TABLE appeals ADD CONSTRAINT appeals_kind_is_of_its_decision CHECK ((freeze_id IS NOT NULL) = (kind = 'freeze'));
ALTER TABLE appeals ADD CONSTRAINT appeals_answered_with_reason CHECK (state = 'in_review' OR reason IS NOT NULL);
ALTER TABLE appeals ADD CONSTRAINT appeals_clock_stops_while_returned CHECK ((state = 'returned') = (days_left IS NOT NULL));
ALTER TABLE appeals ADD CONSTRAINT appeals_decided_by_somebody CHECK ((state IN ('upheld','overturned')) = (decided_at IS NOT NULL AND decided_by_id IS NOT NULL));
ALTER TABLE order_risks ADD CONSTRAINT order_risks_once UNIQUE (order_id);
ALTER TABLE order_risks ADD CONSTRAINT order_risks_verdict_known CHECK (verdict IN ('none','sample','freeze'));
ALTER TABLE price_changes ADD CONSTRAINT price_changes_positive CHECK (to_fen > 0);
ALTER TABLE redemptions ADD CONSTRAINT redemptions_number_once UNIQUE (number);
CREATE UNIQUE INDEX redemptions_one_alive ON redemptions (order_id) WHERE state <> 'rejected';
ALTER TABLE redemptions ADD CONSTRAINT redemptions_add_up CHECK (payable_fen + shortfall_fen = voucher_fen AND payable_fen >= 0 AND shortfall_fen >= 0 AND actual_fen > 0);
ALTER TABLE redemptions ADD CONSTRAINT redemptions_ratio_in_range CHECK (ratio_ppm BETWEEN 1 AND 1000000);
ALTER TABLE redemptions ADD CONSTRAINT redemptions_within_actual CHECK (payable_fen <= actual_fen);
ALTER TABLE redemptions ADD CONSTRAINT redemptions_refused_with_reason CHECK (state NOT IN ('returned','rejected') OR reason IS NOT NULL);
CREATE UNIQUE INDEX invoices_used_once ON invoices (code, number) WHERE released_at IS NULL;
ALTER TABLE invoices ADD CONSTRAINT invoices_positive CHECK (amount_fen > 0);
CREATE UNIQUE INDEX payout_lines_one_alive ON payout_lines (redemption_id) WHERE state IN ('pending','paid');
ALTER TABLE payout_lines ADD CONSTRAINT payout_lines_positive CHECK (fen > 0);
ALTER TABLE reminders ADD CONSTRAINT reminders_once UNIQUE (organisation_id, valid_until, rung);
ALTER TABLE reviews ADD CONSTRAINT reviews_one_per_order UNIQUE (order_id);
ALTER TABLE reviews ADD CONSTRAINT reviews_grade_known CHECK (grade IN ('good','medium','bad'));
ALTER TABLE reviews ADD CONSTRAINT reviews_stars_in_range CHECK (platform_stars BETWEEN 0 AND 5);
ALTER TABLE reviews ADD CONSTRAINT reviews_system_has_no_author CHECK (is_system = (reviewed_by_id IS NULL));
ALTER TABLE risk_signals ADD CONSTRAINT risk_signals_weigh_something CHECK (weight > 0);
ALTER TABLE rounds ADD CONSTRAINT rounds_number_once UNIQUE (number);
ALTER TABLE rounds ADD CONSTRAINT rounds_in_order CHECK (opens_at < closes_at AND closes_at <= draw_at AND draw_at <= publicity_at AND publicity_at <= publicity_until);
ALTER TABLE rounds ADD CONSTRAINT rounds_four_eyes CHECK (confirmed_by_id IS DISTINCT FROM made_by_id);
ALTER TABLE rounds ADD CONSTRAINT rounds_final_four_eyes CHECK (finalised_by_id IS NULL OR finalised_by_id <> made_by_id);
ALTER TABLE rounds ADD CONSTRAINT rounds_voided_with_reason CHECK ((state = 'voided') = (void_reason IS NOT NULL));
ALTER TABLE draws ADD CONSTRAINT draws_once UNIQUE (round_id);
ALTER TABLE sessions ADD CONSTRAINT sessions_token_once UNIQUE (token_hash);
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_not_negative CHECK (remaining >= 0);
ALTER TABLE subscription_reports ADD CONSTRAINT subscription_reports_once UNIQUE (identity_id, template, nonce);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_code_once UNIQUE (programme_id, code);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_face_positive CHECK (face_fen > 0);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_cap_positive CHECK (annual_win_cap IS NULL OR annual_win_cap > 0);
ALTER TABLE deductions ADD CONSTRAINT deductions_positive CHECK (max_fen > 0);
ALTER TABLE grants ADD CONSTRAINT grants_within_what_was_applied_for CHECK (amount_fen > 0 AND amount_fen <= applied_fen);
ALTER TABLE grants ADD CONSTRAINT grants_end_after_they_begin CHECK (valid_until >= awarded_on);
ALTER TABLE grants ADD CONSTRAINT grants_have_a_direction CHECK (jsonb_array_length(directions) > 0);
ALTER TABLE reservations ADD CONSTRAINT reservations_one_ticket UNIQUE (round_id, organisation_id);
CREATE UNIQUE INDEX reservations_wins_counted ON reservations (organisation_id, voucher_type_id, win_year, win_nth) WHERE win_nth IS NOT NULL;
ALTER TABLE reservations ADD CONSTRAINT reservations_win_is_counted CHECK ((win_nth IS NULL) = (state NOT IN ('won','issued')));
CREATE UNIQUE INDEX lots_one_per_win ON lots (reservation_id) WHERE reservation_id IS NOT NULL;
CREATE UNIQUE INDEX lots_one_per_grant ON lots (grant_id) WHERE grant_id IS NOT NULL AND grace_of_id IS NULL;
CREATE UNIQUE INDEX lots_one_grace ON lots (grace_of_id) WHERE grace_of_id IS NOT NULL;
ALTER TABLE lots ADD CONSTRAINT lots_never_negative CHECK (available_fen >= 0 AND held_fen >= 0 AND spent_fen >= 0 AND expired_fen >= 0 AND face_fen > 0);
ALTER TABLE lots ADD CONSTRAINT lots_within_face CHECK (available_fen + held_fen + spent_fen + expired_fen <= face_fen);
ALTER TABLE lots ADD CONSTRAINT lots_grace_is_no_win CHECK (grace_of_id IS NULL OR reservation_id IS NULL);
ALTER TABLE round_quotas ADD CONSTRAINT round_quotas_not_negative CHECK (quota >= 0 AND alternates >= 0);
""", reverse_sql="SELECT 1"),
    ]
