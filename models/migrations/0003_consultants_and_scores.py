from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0002_database_rules')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Consultant',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('institution', fields.ForeignKeyField('models.Organisation', source_field='institution_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('membership', fields.ForeignKeyField('models.Membership', source_field='membership_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('display_name', fields.CharField(max_length=50)),
                ('state', fields.CharField(description='added|invited|filling|in_review|returned|rejected|active|ended', max_length=24)),
                ('version', fields.IntField(default=1)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'consultants', 'app': 'models', 'constraints': [UniqueConstraint(fields=('institution_id', 'person_id'), name='consultants_person_once', condition='person_id IS NOT NULL'), CheckConstraint(check="(state = 'active') = (membership_id IS NOT NULL)", name='consultants_active_may_represent'), CheckConstraint(check="state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL", name='consultants_accepted_is_somebody')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['person_id']), Index(fields=['membership_id'])], 'pk_attr': 'id', 'table_description': 'One person for one institution. `membership` is the right to represent it, there while `state` is active.'},
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
            ],
            options={'table': 'score_events', 'app': 'models', 'constraints': [UniqueConstraint(fields=('kind', 'subject', 'subject_id'), name='score_events_once'), CheckConstraint(check="kind IN ('transaction_filed','activity_filed','order_completed','review_received','demand_answered')", name='score_events_kind_known')], 'indexes': [Index(fields=['institution_id', 'id']), Index(fields=['consultant_id']), Index(fields=['enterprise_id'])], 'pk_attr': 'id', 'table_description': 'One thing that counts, once. Append-only in meaning: what turns out not to count is marked with `revoked_at`.'},
            bases=['Table'],
        ),
        ops.RunSQL("""
CREATE UNIQUE INDEX consultants_person_once ON consultants (institution_id, person_id) WHERE person_id IS NOT NULL;
ALTER TABLE consultants ADD CONSTRAINT consultants_active_may_represent CHECK ((state = 'active') = (membership_id IS NOT NULL));
ALTER TABLE consultants ADD CONSTRAINT consultants_accepted_is_somebody CHECK (state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL);
ALTER TABLE score_events ADD CONSTRAINT score_events_once UNIQUE (kind, subject, subject_id);
ALTER TABLE score_events ADD CONSTRAINT score_events_kind_known CHECK (kind IN ('transaction_filed','activity_filed','order_completed','review_received','demand_answered'));
""", reverse_sql="SELECT 1"),
    ]
