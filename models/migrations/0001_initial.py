from tortoise import migrations
from tortoise.migrations import operations as ops
from models.create_tables import CreateTables
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
        CreateTables(
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
                name='BotCard',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('app_id', fields.CharField(max_length=64)),
                    ('open_id', fields.CharField(max_length=128)),
                    ('card_key', fields.CharField(max_length=100)),
                    ('track_id', fields.CharField(max_length=100)),
                    ('delivered_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'bot_cards', 'app': 'models', 'unique_together': (('app_id', 'card_key', 'open_id'),), 'constraints': [UniqueConstraint(fields=('track_id',), name='bot_cards_track_once')], 'indexes': [Index(fields=['delivered_at'])], 'pk_attr': 'id', 'table_description': "An interactive card that somebody has in their chat: when its matter is settled, everybody's card of that key says so."},
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
                    ('address', Sealed(null=True)),
                    ('secrets', Sealed(null=True)),
                    ('channel', fields.CharField(null=True, max_length=24)),
                    ('actor_id', fields.BigIntField(null=True)),
                    ('subject', fields.CharField(max_length=32)),
                    ('subject_id', fields.BigIntField()),
                    ('data', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('opened_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'events', 'app': 'models', 'constraints': [CheckConstraint(check='address IS NULL OR (channel IS NOT NULL AND person_id IS NULL)', name='events_one_reader'), CheckConstraint(check='opened_at IS NULL OR (address IS NULL AND secrets IS NULL)', name='events_opened_forget')], 'pk_attr': 'id', 'table_description': 'The outbox: written in the commit of the change, opened into notices by the jobs.'},
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
                name='InboundMessage',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('platform', fields.CharField(max_length=16)),
                    ('app_id', fields.CharField(max_length=64)),
                    ('open_id', fields.CharField(max_length=128)),
                    ('kind', fields.CharField(max_length=8)),
                    ('dedupe_hash', fields.BinaryField()),
                    ('state', fields.CharField(description='received|working|done|failed', max_length=24)),
                    ('payload', Sealed(null=True)),
                    ('answer', Sealed(null=True)),
                    ('attempts', fields.SmallIntField(default=0)),
                    ('received_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('due_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('leased_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('finished_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('error', fields.CharField(null=True, max_length=64)),
                ],
                options={'table': 'inbound_messages', 'app': 'models', 'constraints': [UniqueConstraint(fields=('platform', 'app_id', 'dedupe_hash'), name='inbound_messages_once'), CheckConstraint(check="state NOT IN ('done','failed') OR (payload IS NULL AND answer IS NULL)", name='inbound_messages_forget_words'), CheckConstraint(check="(state IN ('done','failed')) = (finished_at IS NOT NULL)", name='inbound_messages_finished_when'), CheckConstraint(check="(state = 'working') = (leased_until IS NOT NULL)", name='inbound_messages_leased_while_working'), CheckConstraint(check="kind IN ('said','event')", name='inbound_messages_kind_known')], 'pk_attr': 'id', 'table_description': 'One push, once, however often the platform repeats it: the key is unique, and is written with the message, not before it.'},
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
                    ('email', Sealed(null=True)),
                    ('email_index', BlindIndex(null=True)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'persons', 'app': 'models', 'constraints': [UniqueConstraint(fields=('phone_index',), name='persons_phone_once'), CheckConstraint(check='(email IS NULL) = (email_index IS NULL)', name='persons_email_with_its_index')], 'pk_attr': 'id'},
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
                name='EmailCode',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('email', Sealed()),
                    ('email_index', BlindIndex()),
                    ('code_hash', fields.BinaryField()),
                    ('tries_left', fields.SmallIntField()),
                    ('sent_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('used_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'email_codes', 'app': 'models', 'constraints': [CheckConstraint(check='tries_left >= 0', name='email_codes_tries_not_negative')], 'indexes': [Index(fields=['person_id', 'sent_at']), Index(fields=['email_index', 'sent_at']), Index(fields=['sent_at'])], 'pk_attr': 'id', 'table_description': 'A mailbox that somebody says is theirs: they know the code that was sent to it. The newest one of a person counts, once.'},
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
                name='Binding',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('scene_hash', fields.BinaryField()),
                    ('code_hash', fields.BinaryField()),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('used_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ],
                options={'table': 'bindings', 'app': 'models', 'constraints': [UniqueConstraint(fields=('scene_hash',), name='bindings_scene_once'), UniqueConstraint(fields=('code_hash',), name='bindings_code_once', condition='used_at IS NULL'), CheckConstraint(check='identity_id IS NULL OR used_at IS NOT NULL', name='bindings_used_when')], 'indexes': [Index(fields=['person_id']), Index(fields=['identity_id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A code that joins the chat which shows it to the person who asked for it: once, and for ten minutes. Only hashes are kept.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='ContentCheck',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('subject', fields.CharField(max_length=32)),
                    ('subject_id', fields.BigIntField()),
                    ('text', fields.TextField(unique=False)),
                    ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('state', fields.CharField(description='pending|in_review|passed|hidden', max_length=24)),
                    ('tries', fields.SmallIntField(default=0)),
                    ('next_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('asked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('suggest', fields.CharField(null=True, max_length=16)),
                    ('label', fields.IntField(null=True)),
                    ('trace_id', fields.CharField(null=True, max_length=64)),
                    ('reason', fields.CharField(null=True, max_length=500)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'content_checks', 'app': 'models', 'constraints': [UniqueConstraint(fields=('subject', 'subject_id'), name='content_checks_one_per_subject'), CheckConstraint(check="state IN ('pending','in_review','passed','hidden')", name='content_checks_state_known'), CheckConstraint(check="(state = 'pending') = (next_at IS NOT NULL)", name='content_checks_asked_while_pending'), CheckConstraint(check="(state IN ('passed','hidden')) = (decided_at IS NOT NULL)", name='content_checks_decided_once'), CheckConstraint(check="state <> 'hidden' OR reason IS NOT NULL", name='content_checks_hidden_with_reason')], 'indexes': [Index(fields=['identity_id']), Index(fields=['person_id']), Index(fields=['organisation_id'])], 'pk_attr': 'id', 'table_description': 'The newest text of a subject. A subject without a row has nothing to be checked: it is shown.'},
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
                name='BotIdentity',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('has_chosen', fields.BooleanField(default=False)),
                    ('tagged_as', fields.CharField(null=True, max_length=16)),
                    ('bound_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('left_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'bot_identities', 'app': 'models', 'constraints': [UniqueConstraint(fields=('identity_id',), name='bot_identities_once')], 'indexes': [Index(fields=['membership_id'])], 'pk_attr': 'id', 'table_description': "A person's identity in a chat. Whom they act for there is independent of their phones' sessions."},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Consultant',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('display_name', fields.CharField(max_length=50)),
                    ('name', Sealed(null=True)),
                    ('phone', Sealed(null=True)),
                    ('phone_index', BlindIndex(null=True)),
                    ('email', Sealed(null=True)),
                    ('specialities', fields.JSONField(default=list, db_default='[]', encoder=JSON_DUMPS, decoder=loads)),
                    ('title', fields.CharField(default='', db_default='', max_length=50)),
                    ('introduction', fields.TextField(default='', db_default='', unique=False)),
                    ('photo', fields.ForeignKeyField('models.Attachment', source_field='photo_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('state', fields.CharField(description='added|invited|filling|in_review|returned|rejected|active|ended', max_length=24)),
                    ('version', fields.IntField(default=1)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('submitted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'consultants', 'app': 'models', 'constraints': [UniqueConstraint(fields=('institution_id', 'person_id'), name='consultants_person_once', condition='person_id IS NOT NULL'), UniqueConstraint(fields=('institution_id', 'phone_index'), name='consultants_phone_once', condition='phone_index IS NOT NULL'), CheckConstraint(check='(phone IS NULL) = (phone_index IS NULL)', name='consultants_phone_with_its_index'), CheckConstraint(check="(state = 'active') = (membership_id IS NOT NULL)", name='consultants_active_may_represent'), CheckConstraint(check="state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL", name='consultants_accepted_is_somebody')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['person_id']), Index(fields=['membership_id']), Index(fields=['photo_id'])], 'pk_attr': 'id', 'table_description': 'One person for one institution. `membership` is the right to represent it, there while `state` is active.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Dialogue',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('intent', fields.CharField(max_length=32)),
                    ('step', fields.CharField(max_length=32)),
                    ('slots', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                    ('private', Sealed(null=True)),
                    ('message_id', fields.CharField(max_length=128)),
                    ('version', fields.IntField(default=1)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('finished_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'dialogues', 'app': 'models', 'constraints': [UniqueConstraint(fields=('identity_id',), name='dialogues_one_for_each_identity'), CheckConstraint(check='expires_at > updated_at', name='dialogues_expire_later')], 'indexes': [Index(fields=['person_id']), Index(fields=['membership_id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'One for each identity: a new one takes the place of the old. `slots` holds what has been answered, nothing personal in clear.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Invitation',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('token_hash', fields.BinaryField()),
                    ('phone_index', BlindIndex(null=True)),
                    ('state', fields.CharField(description='live|accepted|declined|revoked|expired', max_length=24)),
                    ('invited_by', fields.ForeignKeyField('models.Person', source_field='invited_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('renewal_asked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'invitations', 'app': 'models', 'constraints': [UniqueConstraint(fields=('token_hash',), name='invitations_token_once'), UniqueConstraint(fields=('consultant_id',), name='invitations_one_live', condition="state = 'live'"), CheckConstraint(check='octet_length(token_hash) = 32', name='invitations_keep_only_hashes'), CheckConstraint(check="(state = 'live') = (ended_at IS NULL)", name='invitations_ended_have_their_moment'), CheckConstraint(check="expires_at = created_at + interval '7 days'", name='invitations_last_seven_days')], 'indexes': [Index(fields=['consultant_id', 'id']), Index(fields=['invited_by_id'])], 'pk_attr': 'id', 'table_description': 'A link that was handed out. Of its token only the SHA-256 is kept: whoever reads this table accepts nothing.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Notice',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('event', fields.ForeignKeyField('models.Event', source_field='event_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
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
                options={'table': 'notices', 'app': 'models', 'unique_together': (('event_id', 'person_id'),), 'constraints': [UniqueConstraint(fields=('event_id',), name='notices_outside_once', condition='person_id IS NULL')], 'indexes': [Index(fields=['person_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One message to one person: the inbox twin. Whatever the channels do, it can be read here.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Delivery',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('notice', fields.ForeignKeyField('models.Notice', source_field='notice_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('address', Sealed(null=True)),
                    ('secrets', Sealed(null=True)),
                    ('step', fields.SmallIntField()),
                    ('channel', fields.CharField(max_length=24)),
                    ('state', fields.CharField(description='planned|held|sending|accepted|delivered|no_consent|failed|dead|superseded|recalling|recalled', max_length=24)),
                    ('attempts', fields.SmallIntField(default=0)),
                    ('due_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('give_up_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('leased_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('provider_id', fields.CharField(null=True, max_length=64)),
                    ('error', fields.CharField(null=True, max_length=200)),
                    ('finished_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'deliveries', 'app': 'models', 'unique_together': (('notice_id', 'step'),), 'constraints': [CheckConstraint(check='person_id IS NULL OR (address IS NULL AND secrets IS NULL)', name='deliveries_one_reader'), CheckConstraint(check="person_id IS NOT NULL OR address IS NOT NULL OR state NOT IN ('held','planned','sending')", name='deliveries_have_an_address_while_they_wait')], 'indexes': [Index(fields=['person_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One attempt chain of one notice on one channel; `step` is its place in the fallback chain.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='NoticePreference',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('muted', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                    ('quiet_from', fields.SmallIntField(null=True)),
                    ('quiet_until', fields.SmallIntField(null=True)),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'notice_preferences', 'app': 'models', 'constraints': [UniqueConstraint(fields=('person_id',), name='notice_preferences_once'), CheckConstraint(check='(quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from BETWEEN 0 AND 1439 AND quiet_until BETWEEN 0 AND 1439 AND quiet_from <> quiet_until', name='notice_preferences_quiet_hours')], 'pk_attr': 'id', 'table_description': 'What somebody does not want to be told where, and when not at all. Without a row: everything, quiet at night.'},
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
                name='PhoneCode',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('invitation', fields.ForeignKeyField('models.Invitation', source_field='invitation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('phone_index', BlindIndex()),
                    ('code_hash', fields.BinaryField()),
                    ('tries', fields.SmallIntField(default=0)),
                    ('consent_version', fields.CharField(max_length=32)),
                    ('agreed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('used_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'phone_codes', 'app': 'models', 'constraints': [CheckConstraint(check='tries BETWEEN 0 AND 5', name='phone_codes_five_tries')], 'indexes': [Index(fields=['invitation_id', 'id']), Index(fields=['phone_index', 'agreed_at']), Index(fields=['agreed_at'])], 'pk_attr': 'id', 'table_description': 'A code sent to somebody who opens an invitation and has no account; what they agreed to is written here before anything else.'},
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
                    ('contact_email', Sealed(null=True)),
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
                name='ReviewDigest',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('day', fields.DateField()),
                    ('waiting', fields.IntField()),
                    ('late', fields.IntField()),
                    ('sent_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'review_digests', 'app': 'models', 'constraints': [UniqueConstraint(fields=('person_id', 'day'), name='digests_once_a_day'), CheckConstraint(check='waiting > 0 AND late BETWEEN 0 AND waiting', name='digests_say_something')], 'pk_attr': 'id', 'table_description': "A reviewer was told of the queue as it was at nine o'clock: once a day and person, whatever memberships there are."},
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
                name='Score',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('formula_version', fields.IntField()),
                    ('month', fields.IntField()),
                    ('reviews', fields.IntField()),
                    ('transactions', fields.IntField()),
                    ('activities', fields.IntField()),
                    ('answers', fields.IntField()),
                    ('total', fields.IntField()),
                    ('activity', fields.IntField()),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'scores', 'app': 'models', 'constraints': [CheckConstraint(check='total = reviews + transactions + activities + answers', name='scores_are_their_parts'), CheckConstraint(check='least(reviews, transactions, activities, answers, activity) >= 0', name='scores_never_negative')], 'indexes': [Index(fields=['institution_id']), Index(fields=['consultant_id']), Index(fields=['month'])], 'pk_attr': 'id', 'table_description': 'The score of an institution or a consultant as of a month: the sum of its parts, all in hundredths of a point.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='ScoreChange',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('component', fields.CharField(max_length=16)),
                    ('before', fields.IntField()),
                    ('after', fields.IntField()),
                    ('cause', fields.CharField(max_length=16)),
                    ('facts', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                ],
                options={'table': 'score_changes', 'app': 'models', 'constraints': [CheckConstraint(check='before <> after', name='score_changes_change'), CheckConstraint(check="component IN ('reviews','transactions','activities','answers')", name='score_changes_component_known'), CheckConstraint(check="cause IN ('events','decay','formula','recomputed')", name='score_changes_cause_known')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['consultant_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One part of a score that became another, and why: `facts` holds how many events of each kind were counted or taken back.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='ScoreEvent',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('kind', fields.CharField(max_length=32)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('subject', fields.CharField(max_length=32)),
                    ('subject_id', fields.BigIntField()),
                    ('facts', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                    ('happened_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('counted', fields.BooleanField(default=False, db_default=False)),
                ],
                options={'table': 'score_events', 'app': 'models', 'constraints': [UniqueConstraint(fields=('kind', 'subject', 'subject_id'), name='score_events_once'), CheckConstraint(check="kind IN ('transaction_filed','activity_filed','order_completed','review_received','demand_answered')", name='score_events_kind_known')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['consultant_id']), Index(fields=['enterprise_id'])], 'pk_attr': 'id', 'table_description': 'One thing that counts, once. Append-only in meaning: what turns out not to count is marked with `revoked_at`.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='ScoreMonth',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('month', fields.IntField()),
                    ('orders', fields.IntField(default=0)),
                    ('transactions', fields.IntField(default=0)),
                    ('activities', fields.IntField(default=0)),
                    ('answers', fields.IntField(default=0)),
                    ('reviews', fields.IntField(default=0)),
                    ('review_value', fields.IntField(default=0)),
                    ('points', fields.IntField(default=0)),
                ],
                options={'table': 'score_months', 'app': 'models', 'constraints': [CheckConstraint(check='least(orders, transactions, activities, answers, reviews, review_value, points) >= 0 AND review_value <= reviews * 100', name='score_months_never_negative')], 'indexes': [Index(fields=['institution_id']), Index(fields=['consultant_id'])], 'pk_attr': 'id', 'table_description': 'How much of each kind counted in one month, for an institution or one of its consultants: what a score is computed from.'},
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
            ops.CreateModel(
                name='Product',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('service_number', fields.CharField(max_length=24)),
                    ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('kind', fields.CharField(default='featured', db_default='featured', max_length=8)),
                    ('standard', fields.ForeignKeyField('models.StandardProduct', source_field='standard_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('name', fields.CharField(max_length=100)),
                    ('category', fields.CharField(max_length=32)),
                    ('content', fields.CharField(default='', db_default='', max_length=64)),
                    ('region_code', fields.CharField(max_length=6)),
                    ('price_fen', fields.BigIntField(null=True)),
                    ('state', fields.CharField(description='draft|in_review|approved|rejected|listed|deleted', max_length=24)),
                    ('sections', fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
                    ('parameters', fields.JSONField(default=list, db_default=[], encoder=JSON_DUMPS, decoder=loads)),
                    ('is_recommended', fields.BooleanField(default=False)),
                    ('takes_vouchers', fields.BooleanField(default=False)),
                    ('haystack', fields.TextField(default='', unique=False)),
                    ('terms', ArrayField(default=list, element_type='TEXT')),
                    ('version', fields.IntField(default=1)),
                    ('listed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'products', 'app': 'models', 'unique_together': (('service_number',),), 'constraints': [CheckConstraint(check='price_fen IS NULL OR price_fen > 0', name='products_price_positive'), CheckConstraint(check="kind IN ('regular','featured')", name='products_kind_known'), CheckConstraint(check="(kind = 'regular') = (standard_id IS NOT NULL)", name='products_regular_has_standard'), CheckConstraint(check="kind = 'featured' OR state IN ('draft','listed','deleted')", name='products_regular_not_reviewed'), UniqueConstraint(fields=('organisation_id', 'standard_id'), name='products_standard_once', condition="standard_id IS NOT NULL AND state <> 'deleted'")], 'indexes': [Index(fields=['organisation_id']), Index(fields=['standard_id'])], 'pk_attr': 'id', 'table_description': '`terms` holds the parts of `haystack` of up to four letters and the facets of the search, for one GIN index.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='Demand',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('target', fields.CharField(max_length=16)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('consultant', fields.ForeignKeyField('models.Consultant', source_field='consultant_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('product', fields.ForeignKeyField('models.Product', source_field='product_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('title', fields.CharField(max_length=50)),
                    ('text', fields.CharField(max_length=2000)),
                    ('category', fields.CharField(max_length=32)),
                    ('region_code', fields.CharField(max_length=6)),
                    ('budget_fen', fields.BigIntField(null=True)),
                    ('wanted_by', fields.DateField(null=True)),
                    ('contact_name', Sealed()),
                    ('contact_phone', Sealed()),
                    ('state', fields.CharField(description='open|taken|closed', max_length=24)),
                    ('close_reason', fields.CharField(null=True, max_length=16)),
                    ('settled_with', fields.ForeignKeyField('models.Organisation', source_field='settled_with_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('version', fields.IntField(default=1)),
                    ('posted_by', fields.ForeignKeyField('models.Person', source_field='posted_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('posted_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('taken_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('closed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('spread_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('alternatives_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'demands', 'app': 'models', 'constraints': [CheckConstraint(check="CASE target WHEN 'open' THEN institution_id IS NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'institution' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'consultant' THEN institution_id IS NOT NULL AND consultant_id IS NOT NULL AND product_id IS NULL WHEN 'product' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NOT NULL ELSE false END", name='demands_addressed_to_one'), CheckConstraint(check="(state = 'closed') = (close_reason IS NOT NULL) AND (state = 'closed') = (closed_at IS NOT NULL)", name='demands_closed_for_a_reason'), CheckConstraint(check="close_reason IS NULL OR (close_reason IN ('settled','given_up') AND taken_at IS NOT NULL) OR (close_reason IN ('withdrawn','expired') AND taken_at IS NULL)", name='demands_taken_are_neither_withdrawn_nor_expired'), CheckConstraint(check="state <> 'open' OR taken_at IS NULL", name='demands_open_are_not_taken'), CheckConstraint(check="state <> 'taken' OR taken_at IS NOT NULL", name='demands_taken_say_when'), CheckConstraint(check="(settled_with_id IS NOT NULL) = (close_reason IS NOT DISTINCT FROM 'settled')", name='demands_settled_with_somebody'), CheckConstraint(check="spread_at IS NULL OR (target = 'open' AND state <> 'closed')", name='demands_spread_while_alive'), CheckConstraint(check="alternatives_at IS NULL OR state = 'open'", name='demands_alternatives_while_open'), CheckConstraint(check='budget_fen IS NULL OR budget_fen > 0', name='demands_budget_positive')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id']), Index(fields=['consultant_id']), Index(fields=['product_id']), Index(fields=['settled_with_id']), Index(fields=['posted_by_id'])], 'pk_attr': 'id', 'table_description': '`version` is that of its text. `spread_at`: when the next institutions hear of an open one; null when all have.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='DemandAlternative',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('demand', fields.ForeignKeyField('models.Demand', source_field='demand_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('rank', fields.SmallIntField()),
                    ('offered_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('forwarded_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'demand_alternatives', 'app': 'models', 'unique_together': (('demand_id', 'institution_id'),), 'indexes': [Index(fields=['institution_id'])], 'pk_attr': 'id', 'table_description': 'An institution that the enterprise was offered because nobody had taken its demand up.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='DemandFile',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('demand', fields.ForeignKeyField('models.Demand', source_field='demand_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ],
                options={'table': 'demand_files', 'app': 'models', 'unique_together': (('demand_id', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id'])], 'pk_attr': 'id'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='DemandResponse',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('demand', fields.ForeignKeyField('models.Demand', source_field='demand_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('state', fields.CharField(description='notified|viewed|passed|taken|contacted|signed|declined|no_contact|converted_to_order', max_length=24)),
                    ('is_chosen', fields.BooleanField()),
                    ('place', fields.SmallIntField(null=True)),
                    ('notified_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('remind_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('viewed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('viewed_by', fields.ForeignKeyField('models.Person', source_field='viewed_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('taken_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('taken_by', fields.ForeignKeyField('models.Person', source_field='taken_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('reached_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('outcome_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('remark', fields.CharField(null=True, max_length=500)),
                    ('product', fields.ForeignKeyField('models.Product', source_field='product_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('price_fen', fields.BigIntField(null=True)),
                    ('offered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'demand_responses', 'app': 'models', 'unique_together': (('demand_id', 'institution_id'),), 'constraints': [UniqueConstraint(fields=('demand_id', 'place'), name='demand_responses_places_once', condition='place IS NOT NULL'), CheckConstraint(check='place BETWEEN 1 AND 3', name='demand_responses_places_are_few'), CheckConstraint(check='(place IS NOT NULL) = (taken_at IS NOT NULL AND NOT is_chosen)', name='demand_responses_take_a_place'), CheckConstraint(check="(state IN ('notified','viewed','passed')) = (taken_at IS NULL) AND (taken_at IS NULL) = (taken_by_id IS NULL)", name='demand_responses_taken_by_somebody'), CheckConstraint(check="(state = 'notified') = (viewed_at IS NULL) AND (viewed_at IS NULL) = (viewed_by_id IS NULL)", name='demand_responses_viewed_by_somebody'), CheckConstraint(check="remind_at IS NULL OR (state = 'notified' AND is_chosen)", name='demand_responses_remind_the_chosen'), CheckConstraint(check="state NOT IN ('signed','declined','no_contact','converted_to_order') OR outcome_at IS NOT NULL", name='demand_responses_outcome_has_its_moment'), CheckConstraint(check='(product_id IS NULL) = (price_fen IS NULL) AND (product_id IS NULL) = (offered_at IS NULL) AND (price_fen IS NULL OR price_fen > 0) AND (product_id IS NULL OR taken_at IS NOT NULL)', name='demand_responses_offers_are_whole'), CheckConstraint(check="state <> 'converted_to_order' OR product_id IS NOT NULL", name='demand_responses_ordered_what_was_offered')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['viewed_by_id']), Index(fields=['taken_by_id']), Index(fields=['product_id'])], 'pk_attr': 'id', 'table_description': 'What one institution does about one demand. `is_chosen`: the enterprise chose it; the others take one of three places.'},
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
                    ('demand', fields.ForeignKeyField('models.Demand', source_field='demand_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('placed_by', fields.ForeignKeyField('models.Person', source_field='placed_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('placed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('paid_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('accepted_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('delivered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('completed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('closed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('reviewed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('enterprise_reviewed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('due_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('reminded', fields.SmallIntField(default=0)),
                    ('frozen_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('clock_from', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('scanned_state', fields.CharField(null=True, max_length=24)),
                    ('scanned_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('disputed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                    ('version', fields.IntField(default=1)),
                ],
                options={'table': 'orders', 'app': 'models', 'constraints': [UniqueConstraint(fields=('number',), name='orders_number_once'), UniqueConstraint(fields=('enterprise_id', 'product_id', 'use_year', 'use_nth'), name='orders_yearly_uses_counted', condition='use_nth IS NOT NULL'), CheckConstraint(check='list_price_fen >= order_fen AND order_fen >= voucher_fen AND voucher_fen >= returned_fen AND returned_fen >= 0 AND order_fen > 0', name='orders_price_chain'), CheckConstraint(check='voucher_fen <= max_voucher_fen', name='orders_within_deduction'), CheckConstraint(check="state <> 'pay_review' OR voucher_fen > 0", name='orders_in_review_hold_something'), CheckConstraint(check="state <> 'pay_rejected' OR (voucher_fen = 0 AND remark IS NOT NULL)", name='orders_refused_show_nothing_paid'), CheckConstraint(check='enterprise_id <> institution_id', name='orders_two_parties'), CheckConstraint(check="(state = 'closed') = (close_reason IS NOT NULL)", name='orders_closed_for_a_reason'), CheckConstraint(check="state NOT IN ('paid','accepted','delivered','completed') OR (voucher_fen > 0 AND paid_at IS NOT NULL)", name='orders_paid_is_paid')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id', 'id']), Index(fields=['product_id']), Index(fields=['programme_id']), Index(fields=['policy_id']), Index(fields=['placed_by_id']), Index(fields=['demand_id'])], 'pk_attr': 'id', 'table_description': "Snapshots of the product keep the order's meaning when the product changes. Overlays: `frozen_at`, `disputed_at`."},
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
                name='EnterpriseReview',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('order', fields.ForeignKeyField('models.Order', source_field='order_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('grade', fields.CharField(max_length=8)),
                    ('text', fields.CharField(default='', max_length=500)),
                    ('reviewed_by', fields.ForeignKeyField('models.Person', source_field='reviewed_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('reviewed_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('is_blind', fields.BooleanField()),
                    ('revealed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'enterprise_reviews', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='enterprise_reviews_one_per_order'), CheckConstraint(check="grade IN ('good','medium','bad')", name='enterprise_reviews_grade_known'), CheckConstraint(check='is_blind = (revealed_at IS NULL)', name='enterprise_reviews_blind_until_revealed')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id', 'id']), Index(fields=['reviewed_by_id'])], 'pk_attr': 'id', 'table_description': 'What an institution says of the enterprise that bought (D19), where the policy has `mutual_review`; for the two sides only.'},
                bases=['Table'],
            ),
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
                options={'table': 'product_versions', 'app': 'models', 'unique_together': (('product_id', 'number'),), 'constraints': [UniqueConstraint(fields=('product_id',), name='product_versions_one_waits', condition="state IN ('draft','in_review')"), UniqueConstraint(fields=('product_id',), name='product_versions_one_in_force', condition="state = 'approved'"), CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name='product_versions_rejected_with_reason')], 'indexes': [Index(fields=['made_by_id'])], 'pk_attr': 'id', 'table_description': "`number` is the product's version once this is in force. `content`: name, category, content, price_fen, sections,"},
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
                    ('is_blind', fields.BooleanField(default=False, db_default=False)),
                    ('revealed_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'reviews', 'app': 'models', 'constraints': [UniqueConstraint(fields=('order_id',), name='reviews_one_per_order'), CheckConstraint(check="grade IN ('good','medium','bad')", name='reviews_grade_known'), CheckConstraint(check='platform_stars BETWEEN 0 AND 5', name='reviews_stars_in_range'), CheckConstraint(check='is_system = (reviewed_by_id IS NULL)', name='reviews_system_has_no_author'), CheckConstraint(check='NOT (is_blind AND (is_system OR revealed_at IS NOT NULL))', name='reviews_blind_are_of_people_and_unrevealed')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id', 'id']), Index(fields=['product_id', 'id']), Index(fields=['reviewed_by_id'])], 'pk_attr': 'id', 'table_description': '`is_system`: nobody reviewed within seven days; shown as 系统默认评价 and never counted in a score.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='ReviewReply',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('review', fields.ForeignKeyField('models.Review', source_field='review_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('enterprise_review', fields.ForeignKeyField('models.EnterpriseReview', source_field='enterprise_review_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('text', fields.CharField(max_length=500)),
                    ('replied_by', fields.ForeignKeyField('models.Person', source_field='replied_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('replied_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'review_replies', 'app': 'models', 'constraints': [UniqueConstraint(fields=('review_id',), name='review_replies_one_per_review'), UniqueConstraint(fields=('enterprise_review_id',), name='review_replies_one_per_enterprise_review'), CheckConstraint(check='num_nonnulls(review_id, enterprise_review_id) = 1', name='review_replies_to_one_review')], 'indexes': [Index(fields=['replied_by_id'])], 'pk_attr': 'id', 'table_description': '回复: one by whoever was reviewed, to a review of either direction.'},
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
                name='StatementLink',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('token_hash', fields.BinaryField()),
                    ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                    ('since', fields.DateField()),
                    ('before', fields.DateField()),
                    ('kind', fields.CharField(max_length=4)),
                    ('made_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('expires_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('used_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'statement_links', 'app': 'models', 'constraints': [UniqueConstraint(fields=('token_hash',), name='statement_links_token_once'), CheckConstraint(check='since < before', name='statement_links_have_a_period'), CheckConstraint(check="kind IN ('xlsx','pdf')", name='statement_links_kind_known'), CheckConstraint(check='used_at IS NULL OR used_at < expires_at', name='statement_links_used_in_time')], 'indexes': [Index(fields=['person_id']), Index(fields=['membership_id']), Index(fields=['organisation_id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A statement that can be fetched once by whoever holds the link. Only the SHA-256 of the token is kept.'},
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
                    ('source', fields.CharField(default='phone', max_length=8)),
                    ('is_paired', fields.BooleanField(default=False)),
                    ('reported_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'subscription_reports', 'app': 'models', 'constraints': [UniqueConstraint(fields=('identity_id', 'template', 'nonce'), name='subscription_reports_once'), CheckConstraint(check="source IN ('phone', 'push')", name='subscription_reports_source_known')], 'pk_attr': 'id', 'table_description': 'A consent that was counted, once, however often the phone or the platform repeats it.'},
                bases=['Table'],
            ),
            ops.CreateModel(
                name='TalkWindow',
                fields=[
                    ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                    ('platform', fields.CharField(max_length=16)),
                    ('app_id', fields.CharField(max_length=64)),
                    ('open_id', fields.CharField(max_length=128)),
                    ('message_left', fields.SmallIntField(default=0)),
                    ('message_until', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('tap_left', fields.SmallIntField(default=0)),
                    ('tap_until', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('wrong_codes', fields.SmallIntField(default=0)),
                    ('wrong_since', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                    ('unbound_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ],
                options={'table': 'talk_windows', 'app': 'models', 'unique_together': (('platform', 'app_id', 'open_id'),), 'constraints': [CheckConstraint(check='message_left >= 0 AND tap_left >= 0', name='talk_windows_not_negative')], 'pk_attr': 'id', 'table_description': 'What a platform still lets us send to one person: 5 messages in 48 hours after a message, 3 in a minute after a tap.'},
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
                options={'table': 'reservations', 'app': 'models', 'constraints': [UniqueConstraint(fields=('round_id', 'organisation_id'), name='reservations_one_ticket'), UniqueConstraint(fields=('organisation_id', 'voucher_type_id', 'win_year', 'win_nth'), name='reservations_wins_counted', condition='win_nth IS NOT NULL'), CheckConstraint(check="state NOT IN ('won','alternate','issued') OR rank IS NOT NULL", name='reservations_chosen_have_rank'), CheckConstraint(check="(win_nth IS NULL) = (state NOT IN ('won','issued'))", name='reservations_win_is_counted')], 'indexes': [Index(fields=['organisation_id', 'id']), Index(fields=['voucher_type_id']), Index(fields=['reserved_by_id'])], 'pk_attr': 'id', 'table_description': "One ticket of one enterprise in one round. Losers are not written at the draw: they follow from the round's state."},
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
        ),
        ops.RunSQL("""
ALTER TABLE bot_cards ADD CONSTRAINT bot_cards_track_once UNIQUE (track_id);
ALTER TABLE events ADD CONSTRAINT events_one_reader CHECK (address IS NULL OR (channel IS NOT NULL AND person_id IS NULL));
ALTER TABLE events ADD CONSTRAINT events_opened_forget CHECK (opened_at IS NULL OR (address IS NULL AND secrets IS NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_once UNIQUE (platform, app_id, dedupe_hash);
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_forget_words CHECK (state NOT IN ('done','failed') OR (payload IS NULL AND answer IS NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_finished_when CHECK ((state IN ('done','failed')) = (finished_at IS NOT NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_leased_while_working CHECK ((state = 'working') = (leased_until IS NOT NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_kind_known CHECK (kind IN ('said','event'));
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_positive CHECK (fen > 0);
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_move CHECK (from_account <> to_account OR to_lot_id IS NOT NULL);
ALTER TABLE organisations ADD CONSTRAINT organisations_credit_code_once UNIQUE (kind, credit_code);
ALTER TABLE organisations ADD CONSTRAINT organisations_kind_known CHECK (kind IN ('enterprise','institution','office'));
ALTER TABLE persons ADD CONSTRAINT persons_phone_once UNIQUE (phone_index);
ALTER TABLE persons ADD CONSTRAINT persons_email_with_its_index CHECK ((email IS NULL) = (email_index IS NULL));
CREATE UNIQUE INDEX approvals_one_open ON approvals (subject, subject_id) WHERE state = 'open';
ALTER TABLE approvals ADD CONSTRAINT approvals_not_by_the_applicant CHECK (decided_by_id IS DISTINCT FROM submitted_by_id);
ALTER TABLE approvals ADD CONSTRAINT approvals_refused_with_reason CHECK (state NOT IN ('returned','rejected') OR reason IS NOT NULL);
ALTER TABLE attachments ADD CONSTRAINT attachments_stored_is_known CHECK (state <> 'stored' OR (media_type IS NOT NULL AND size > 0 AND sha256 IS NOT NULL));
ALTER TABLE email_codes ADD CONSTRAINT email_codes_tries_not_negative CHECK (tries_left >= 0);
ALTER TABLE bindings ADD CONSTRAINT bindings_scene_once UNIQUE (scene_hash);
CREATE UNIQUE INDEX bindings_code_once ON bindings (code_hash) WHERE used_at IS NULL;
ALTER TABLE bindings ADD CONSTRAINT bindings_used_when CHECK (identity_id IS NULL OR used_at IS NOT NULL);
ALTER TABLE content_checks ADD CONSTRAINT content_checks_one_per_subject UNIQUE (subject, subject_id);
ALTER TABLE content_checks ADD CONSTRAINT content_checks_state_known CHECK (state IN ('pending','in_review','passed','hidden'));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_asked_while_pending CHECK ((state = 'pending') = (next_at IS NOT NULL));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_decided_once CHECK ((state IN ('passed','hidden')) = (decided_at IS NOT NULL));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_hidden_with_reason CHECK (state <> 'hidden' OR reason IS NOT NULL);
CREATE UNIQUE INDEX memberships_once ON memberships (person_id, organisation_id, role) WHERE state = 'active';
ALTER TABLE memberships ADD CONSTRAINT memberships_one_jurisdiction CHECK (region_code IS NULL OR park_id IS NULL);
ALTER TABLE bot_identities ADD CONSTRAINT bot_identities_once UNIQUE (identity_id);
CREATE UNIQUE INDEX consultants_person_once ON consultants (institution_id, person_id) WHERE person_id IS NOT NULL;
CREATE UNIQUE INDEX consultants_phone_once ON consultants (institution_id, phone_index) WHERE phone_index IS NOT NULL;
ALTER TABLE consultants ADD CONSTRAINT consultants_phone_with_its_index CHECK ((phone IS NULL) = (phone_index IS NULL));
ALTER TABLE consultants ADD CONSTRAINT consultants_active_may_represent CHECK ((state = 'active') = (membership_id IS NOT NULL));
ALTER TABLE consultants ADD CONSTRAINT consultants_accepted_is_somebody CHECK (state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL);
ALTER TABLE dialogues ADD CONSTRAINT dialogues_one_for_each_identity UNIQUE (identity_id);
ALTER TABLE dialogues ADD CONSTRAINT dialogues_expire_later CHECK (expires_at > updated_at);
ALTER TABLE invitations ADD CONSTRAINT invitations_token_once UNIQUE (token_hash);
CREATE UNIQUE INDEX invitations_one_live ON invitations (consultant_id) WHERE state = 'live';
ALTER TABLE invitations ADD CONSTRAINT invitations_keep_only_hashes CHECK (octet_length(token_hash) = 32);
ALTER TABLE invitations ADD CONSTRAINT invitations_ended_have_their_moment CHECK ((state = 'live') = (ended_at IS NULL));
ALTER TABLE invitations ADD CONSTRAINT invitations_last_seven_days CHECK (expires_at = created_at + interval '7 days');
CREATE UNIQUE INDEX notices_outside_once ON notices (event_id) WHERE person_id IS NULL;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_one_reader CHECK (person_id IS NULL OR (address IS NULL AND secrets IS NULL));
ALTER TABLE deliveries ADD CONSTRAINT deliveries_have_an_address_while_they_wait CHECK (person_id IS NOT NULL OR address IS NOT NULL OR state NOT IN ('held','planned','sending'));
ALTER TABLE notice_preferences ADD CONSTRAINT notice_preferences_once UNIQUE (person_id);
ALTER TABLE notice_preferences ADD CONSTRAINT notice_preferences_quiet_hours CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from BETWEEN 0 AND 1439 AND quiet_until BETWEEN 0 AND 1439 AND quiet_from <> quiet_until);
ALTER TABLE payment_passwords ADD CONSTRAINT payment_passwords_once UNIQUE (membership_id);
ALTER TABLE payment_passwords ADD CONSTRAINT payment_passwords_five_tries CHECK (tries_spent BETWEEN 0 AND 5);
ALTER TABLE phone_codes ADD CONSTRAINT phone_codes_five_tries CHECK (tries BETWEEN 0 AND 5);
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
ALTER TABLE reminders ADD CONSTRAINT reminders_once UNIQUE (organisation_id, valid_until, rung);
ALTER TABLE review_digests ADD CONSTRAINT digests_once_a_day UNIQUE (person_id, day);
ALTER TABLE review_digests ADD CONSTRAINT digests_say_something CHECK (waiting > 0 AND late BETWEEN 0 AND waiting);
ALTER TABLE rounds ADD CONSTRAINT rounds_number_once UNIQUE (number);
ALTER TABLE rounds ADD CONSTRAINT rounds_in_order CHECK (opens_at < closes_at AND closes_at <= draw_at AND draw_at <= publicity_at AND publicity_at <= publicity_until);
ALTER TABLE rounds ADD CONSTRAINT rounds_four_eyes CHECK (confirmed_by_id IS DISTINCT FROM made_by_id);
ALTER TABLE rounds ADD CONSTRAINT rounds_final_four_eyes CHECK (finalised_by_id IS NULL OR finalised_by_id <> made_by_id);
ALTER TABLE rounds ADD CONSTRAINT rounds_voided_with_reason CHECK ((state = 'voided') = (void_reason IS NOT NULL));
ALTER TABLE draws ADD CONSTRAINT draws_once UNIQUE (round_id);
ALTER TABLE scores ADD CONSTRAINT scores_are_their_parts CHECK (total = reviews + transactions + activities + answers);
ALTER TABLE scores ADD CONSTRAINT scores_never_negative CHECK (least(reviews, transactions, activities, answers, activity) >= 0);
ALTER TABLE score_changes ADD CONSTRAINT score_changes_change CHECK (before <> after);
ALTER TABLE score_changes ADD CONSTRAINT score_changes_component_known CHECK (component IN ('reviews','transactions','activities','answers'));
ALTER TABLE score_changes ADD CONSTRAINT score_changes_cause_known CHECK (cause IN ('events','decay','formula','recomputed'));
ALTER TABLE score_events ADD CONSTRAINT score_events_once UNIQUE (kind, subject, subject_id);
ALTER TABLE score_events ADD CONSTRAINT score_events_kind_known CHECK (kind IN ('transaction_filed','activity_filed','order_completed','review_received','demand_answered'));
ALTER TABLE score_months ADD CONSTRAINT score_months_never_negative CHECK (least(orders, transactions, activities, answers, reviews, review_value, points) >= 0 AND review_value <= reviews * 100);
ALTER TABLE sessions ADD CONSTRAINT sessions_token_once UNIQUE (token_hash);
CREATE UNIQUE INDEX standard_products_name_once ON standard_products (programme_id, name) WHERE withdrawn_at IS NULL;
ALTER TABLE products ADD CONSTRAINT products_price_positive CHECK (price_fen IS NULL OR price_fen > 0);
ALTER TABLE products ADD CONSTRAINT products_kind_known CHECK (kind IN ('regular','featured'));
ALTER TABLE products ADD CONSTRAINT products_regular_has_standard CHECK ((kind = 'regular') = (standard_id IS NOT NULL));
ALTER TABLE products ADD CONSTRAINT products_regular_not_reviewed CHECK (kind = 'featured' OR state IN ('draft','listed','deleted'));
CREATE UNIQUE INDEX products_standard_once ON products (organisation_id, standard_id) WHERE standard_id IS NOT NULL AND state <> 'deleted';
ALTER TABLE demands ADD CONSTRAINT demands_addressed_to_one CHECK (CASE target WHEN 'open' THEN institution_id IS NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'institution' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'consultant' THEN institution_id IS NOT NULL AND consultant_id IS NOT NULL AND product_id IS NULL WHEN 'product' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NOT NULL ELSE false END);
ALTER TABLE demands ADD CONSTRAINT demands_closed_for_a_reason CHECK ((state = 'closed') = (close_reason IS NOT NULL) AND (state = 'closed') = (closed_at IS NOT NULL));
ALTER TABLE demands ADD CONSTRAINT demands_taken_are_neither_withdrawn_nor_expired CHECK (close_reason IS NULL OR (close_reason IN ('settled','given_up') AND taken_at IS NOT NULL) OR (close_reason IN ('withdrawn','expired') AND taken_at IS NULL));
ALTER TABLE demands ADD CONSTRAINT demands_open_are_not_taken CHECK (state <> 'open' OR taken_at IS NULL);
ALTER TABLE demands ADD CONSTRAINT demands_taken_say_when CHECK (state <> 'taken' OR taken_at IS NOT NULL);
ALTER TABLE demands ADD CONSTRAINT demands_settled_with_somebody CHECK ((settled_with_id IS NOT NULL) = (close_reason IS NOT DISTINCT FROM 'settled'));
ALTER TABLE demands ADD CONSTRAINT demands_spread_while_alive CHECK (spread_at IS NULL OR (target = 'open' AND state <> 'closed'));
ALTER TABLE demands ADD CONSTRAINT demands_alternatives_while_open CHECK (alternatives_at IS NULL OR state = 'open');
ALTER TABLE demands ADD CONSTRAINT demands_budget_positive CHECK (budget_fen IS NULL OR budget_fen > 0);
CREATE UNIQUE INDEX demand_responses_places_once ON demand_responses (demand_id, place) WHERE place IS NOT NULL;
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_places_are_few CHECK (place BETWEEN 1 AND 3);
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_take_a_place CHECK ((place IS NOT NULL) = (taken_at IS NOT NULL AND NOT is_chosen));
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_taken_by_somebody CHECK ((state IN ('notified','viewed','passed')) = (taken_at IS NULL) AND (taken_at IS NULL) = (taken_by_id IS NULL));
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_viewed_by_somebody CHECK ((state = 'notified') = (viewed_at IS NULL) AND (viewed_at IS NULL) = (viewed_by_id IS NULL));
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_remind_the_chosen CHECK (remind_at IS NULL OR (state = 'notified' AND is_chosen));
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_outcome_has_its_moment CHECK (state NOT IN ('signed','declined','no_contact','converted_to_order') OR outcome_at IS NOT NULL);
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_offers_are_whole CHECK ((product_id IS NULL) = (price_fen IS NULL) AND (product_id IS NULL) = (offered_at IS NULL) AND (price_fen IS NULL OR price_fen > 0) AND (product_id IS NULL OR taken_at IS NOT NULL));
ALTER TABLE demand_responses ADD CONSTRAINT demand_responses_ordered_what_was_offered CHECK (state <> 'converted_to_order' OR product_id IS NOT NULL);
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
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_one_per_order UNIQUE (order_id);
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_grade_known CHECK (grade IN ('good','medium','bad'));
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_blind_until_revealed CHECK (is_blind = (revealed_at IS NULL));
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
CREATE UNIQUE INDEX product_versions_one_waits ON product_versions (product_id) WHERE state IN ('draft','in_review');
CREATE UNIQUE INDEX product_versions_one_in_force ON product_versions (product_id) WHERE state = 'approved';
ALTER TABLE product_versions ADD CONSTRAINT product_versions_rejected_with_reason CHECK (state <> 'rejected' OR reason IS NOT NULL);
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
ALTER TABLE reviews ADD CONSTRAINT reviews_one_per_order UNIQUE (order_id);
ALTER TABLE reviews ADD CONSTRAINT reviews_grade_known CHECK (grade IN ('good','medium','bad'));
ALTER TABLE reviews ADD CONSTRAINT reviews_stars_in_range CHECK (platform_stars BETWEEN 0 AND 5);
ALTER TABLE reviews ADD CONSTRAINT reviews_system_has_no_author CHECK (is_system = (reviewed_by_id IS NULL));
ALTER TABLE reviews ADD CONSTRAINT reviews_blind_are_of_people_and_unrevealed CHECK (NOT (is_blind AND (is_system OR revealed_at IS NOT NULL)));
ALTER TABLE review_replies ADD CONSTRAINT review_replies_one_per_review UNIQUE (review_id);
ALTER TABLE review_replies ADD CONSTRAINT review_replies_one_per_enterprise_review UNIQUE (enterprise_review_id);
ALTER TABLE review_replies ADD CONSTRAINT review_replies_to_one_review CHECK (num_nonnulls(review_id, enterprise_review_id) = 1);
ALTER TABLE risk_signals ADD CONSTRAINT risk_signals_weigh_something CHECK (weight > 0);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_token_once UNIQUE (token_hash);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_have_a_period CHECK (since < before);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_kind_known CHECK (kind IN ('xlsx','pdf'));
ALTER TABLE statement_links ADD CONSTRAINT statement_links_used_in_time CHECK (used_at IS NULL OR used_at < expires_at);
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_not_negative CHECK (remaining >= 0);
ALTER TABLE subscription_reports ADD CONSTRAINT subscription_reports_once UNIQUE (identity_id, template, nonce);
ALTER TABLE subscription_reports ADD CONSTRAINT subscription_reports_source_known CHECK (source IN ('phone', 'push'));
ALTER TABLE talk_windows ADD CONSTRAINT talk_windows_not_negative CHECK (message_left >= 0 AND tap_left >= 0);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_code_once UNIQUE (programme_id, code);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_face_positive CHECK (face_fen > 0);
ALTER TABLE voucher_types ADD CONSTRAINT voucher_types_cap_positive CHECK (annual_win_cap IS NULL OR annual_win_cap > 0);
ALTER TABLE deductions ADD CONSTRAINT deductions_positive CHECK (max_fen > 0);
ALTER TABLE grants ADD CONSTRAINT grants_within_what_was_applied_for CHECK (amount_fen > 0 AND amount_fen <= applied_fen);
ALTER TABLE grants ADD CONSTRAINT grants_end_after_they_begin CHECK (valid_until >= awarded_on);
ALTER TABLE grants ADD CONSTRAINT grants_have_a_direction CHECK (jsonb_array_length(directions) > 0);
ALTER TABLE reservations ADD CONSTRAINT reservations_one_ticket UNIQUE (round_id, organisation_id);
CREATE UNIQUE INDEX reservations_wins_counted ON reservations (organisation_id, voucher_type_id, win_year, win_nth) WHERE win_nth IS NOT NULL;
ALTER TABLE reservations ADD CONSTRAINT reservations_chosen_have_rank CHECK (state NOT IN ('won','alternate','issued') OR rank IS NOT NULL);
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
