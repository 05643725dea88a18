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
    dependencies = [('models', '0007_demands_rules')]

    initial = False

    operations = [
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
        ops.RunSQL("""
ALTER TABLE dialogues ADD CONSTRAINT dialogues_one_for_each_identity UNIQUE (identity_id);
ALTER TABLE dialogues ADD CONSTRAINT dialogues_expire_later CHECK (expires_at > updated_at);
ALTER TABLE review_digests ADD CONSTRAINT digests_once_a_day UNIQUE (person_id, day);
ALTER TABLE review_digests ADD CONSTRAINT digests_say_something CHECK (waiting > 0 AND late BETWEEN 0 AND waiting);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_token_once UNIQUE (token_hash);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_have_a_period CHECK (since < before);
ALTER TABLE statement_links ADD CONSTRAINT statement_links_kind_known CHECK (kind IN ('xlsx','pdf'));
ALTER TABLE statement_links ADD CONSTRAINT statement_links_used_in_time CHECK (used_at IS NULL OR used_at < expires_at);
""", reverse_sql="SELECT 1"),
    ]
