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
    dependencies = [('models', '0003_consultants_and_scores')]

    initial = False

    operations = [
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
        ops.AddField(
            model_name='Application',
            name='contact_email',
            field=Sealed(null=True),
        ),
        ops.AlterField(
            model_name='Delivery',
            name='person',
            field=fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AlterField(
            model_name='Delivery',
            name='state',
            field=fields.CharField(description='planned|held|sending|accepted|delivered|no_consent|failed|dead|superseded|recalling|recalled', max_length=24),
        ),
        ops.AddField(
            model_name='Delivery',
            name='address',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Delivery',
            name='secrets',
            field=Sealed(null=True),
        ),
        ops.AddConstraint(
            model_name='Delivery',
            constraint=CheckConstraint(check='person_id IS NULL OR (address IS NULL AND secrets IS NULL)', name='deliveries_one_reader'),
        ),
        ops.AddConstraint(
            model_name='Delivery',
            constraint=CheckConstraint(check="person_id IS NOT NULL OR address IS NOT NULL OR state NOT IN ('held','planned','sending')", name='deliveries_have_an_address_while_they_wait'),
        ),
        ops.AddField(
            model_name='Event',
            name='actor_id',
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name='Event',
            name='address',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Event',
            name='channel',
            field=fields.CharField(null=True, max_length=24),
        ),
        ops.AddField(
            model_name='Event',
            name='secrets',
            field=Sealed(null=True),
        ),
        ops.AddConstraint(
            model_name='Event',
            constraint=CheckConstraint(check='address IS NULL OR (channel IS NOT NULL AND person_id IS NULL)', name='events_one_reader'),
        ),
        ops.AddConstraint(
            model_name='Event',
            constraint=CheckConstraint(check='opened_at IS NULL OR (address IS NULL AND secrets IS NULL)', name='events_opened_forget'),
        ),
        ops.AlterField(
            model_name='Notice',
            name='person',
            field=fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddConstraint(
            model_name='Notice',
            constraint=UniqueConstraint(fields=('event_id',), name='notices_outside_once', condition='person_id IS NULL'),
        ),
        ops.AddField(
            model_name='Person',
            name='email',
            field=Sealed(null=True),
        ),
        ops.AddField(
            model_name='Person',
            name='email_index',
            field=BlindIndex(null=True),
        ),
        ops.AddConstraint(
            model_name='Person',
            constraint=CheckConstraint(check='(email IS NULL) = (email_index IS NULL)', name='persons_email_with_its_index'),
        ),
        ops.RunSQL("""
ALTER TABLE email_codes ADD CONSTRAINT email_codes_tries_not_negative CHECK (tries_left >= 0);
ALTER TABLE notice_preferences ADD CONSTRAINT notice_preferences_once UNIQUE (person_id);
ALTER TABLE notice_preferences ADD CONSTRAINT notice_preferences_quiet_hours CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from BETWEEN 0 AND 1439 AND quiet_until BETWEEN 0 AND 1439 AND quiet_from <> quiet_until);
""", reverse_sql="SELECT 1"),
    ]
