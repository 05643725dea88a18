from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import Sealed
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0015_chosen_ranks_rules')]

    initial = False

    operations = [
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
        ops.AddField(
            model_name='SubscriptionReport',
            name='is_paired',
            field=fields.BooleanField(default=False),
        ),
        ops.AddField(
            model_name='SubscriptionReport',
            name='source',
            field=fields.CharField(default='phone', max_length=8),
        ),
        ops.AddConstraint(
            model_name='SubscriptionReport',
            constraint=CheckConstraint(check="source IN ('phone', 'push')", name='subscription_reports_source_known'),
        ),
        ops.RunSQL("""
ALTER TABLE bindings ADD CONSTRAINT bindings_scene_once UNIQUE (scene_hash);
CREATE UNIQUE INDEX bindings_code_once ON bindings (code_hash) WHERE used_at IS NULL;
ALTER TABLE bindings ADD CONSTRAINT bindings_used_when CHECK (identity_id IS NULL OR used_at IS NOT NULL);
ALTER TABLE bot_cards ADD CONSTRAINT bot_cards_track_once UNIQUE (track_id);
ALTER TABLE bot_identities ADD CONSTRAINT bot_identities_once UNIQUE (identity_id);
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_once UNIQUE (platform, app_id, dedupe_hash);
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_forget_words CHECK (state NOT IN ('done','failed') OR (payload IS NULL AND answer IS NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_finished_when CHECK ((state IN ('done','failed')) = (finished_at IS NOT NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_leased_while_working CHECK ((state = 'working') = (leased_until IS NOT NULL));
ALTER TABLE inbound_messages ADD CONSTRAINT inbound_messages_kind_known CHECK (kind IN ('said','event'));
ALTER TABLE talk_windows ADD CONSTRAINT talk_windows_not_negative CHECK (message_left >= 0 AND tap_left >= 0);
""", reverse_sql="SELECT 1"),
    ]
