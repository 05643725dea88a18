from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import BlindIndex, Sealed
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0011_reviews_and_scores_rules')]

    initial = False

    operations = [
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
        ops.AddField(
            model_name='Consultant',
            name='email',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Consultant',
            name='introduction',
            field=fields.TextField(default='', db_default='', unique=False),
        ),
        ops.AddField(
            model_name='Consultant',
            name='name',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Consultant',
            name='phone',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Consultant',
            name='phone_index',
            field=BlindIndex(null=True),
        ),
        ops.AddField(
            model_name='Consultant',
            name='photo',
            field=fields.ForeignKeyField('models.Attachment', source_field='photo_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddField(
            model_name='Consultant',
            name='specialities',
            field=fields.JSONField(default=list, db_default='[]', encoder=JSON_DUMPS, decoder=loads),
        ),
        ops.AddField(
            model_name='Consultant',
            name='submitted_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Consultant',
            name='title',
            field=fields.CharField(default='', db_default='', max_length=50),
        ),
        ops.AddIndex(
            model_name='Consultant',
            index=Index(fields=['photo_id']),
        ),
        ops.AddConstraint(
            model_name='Consultant',
            constraint=UniqueConstraint(fields=('institution_id', 'phone_index'), name='consultants_phone_once', condition='phone_index IS NOT NULL'),
        ),
        ops.AddConstraint(
            model_name='Consultant',
            constraint=CheckConstraint(check='(phone IS NULL) = (phone_index IS NULL)', name='consultants_phone_with_its_index'),
        ),
        ops.RunSQL("""
ALTER TABLE invitations ADD CONSTRAINT invitations_token_once UNIQUE (token_hash);
CREATE UNIQUE INDEX invitations_one_live ON invitations (consultant_id) WHERE state = 'live';
ALTER TABLE invitations ADD CONSTRAINT invitations_keep_only_hashes CHECK (octet_length(token_hash) = 32);
ALTER TABLE invitations ADD CONSTRAINT invitations_ended_have_their_moment CHECK ((state = 'live') = (ended_at IS NULL));
ALTER TABLE invitations ADD CONSTRAINT invitations_last_seven_days CHECK (expires_at = created_at + interval '7 days');
ALTER TABLE phone_codes ADD CONSTRAINT phone_codes_five_tries CHECK (tries BETWEEN 0 AND 5);
""", reverse_sql="SELECT 1"),
    ]
