from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import Sealed
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0004_supermarket_gaps')]

    initial = False

    operations = [
        ops.CreateModel(
            name='HelpRequest',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('person', fields.ForeignKeyField('models.Person', source_field='person_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('region_code', fields.CharField(null=True, max_length=6)),
                ('lines', Sealed(null=True)),
                ('asked_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('due_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('answer', fields.CharField(null=True, max_length=480)),
                ('answered_by', fields.ForeignKeyField('models.Person', source_field='answered_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('answered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'help_requests', 'app': 'models', 'constraints': [UniqueConstraint(fields=('person_id',), name='help_requests_one_open', condition='answered_at IS NULL'), CheckConstraint(check='num_nonnulls(answer, answered_by_id, answered_at) IN (0, 3)', name='help_requests_answered_by_somebody'), CheckConstraint(check='answered_at IS NULL OR lines IS NULL', name='help_requests_forget_words')], 'indexes': [Index(fields=['person_id']), Index(fields=['organisation_id']), Index(fields=['answered_by_id']), Index(fields=['answered_at', 'region_code'])], 'pk_attr': 'id', 'table_description': '转人工: somebody waits for a human of their division. `lines`, what they said before, go with the answer.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='TalkLines',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('identity', fields.ForeignKeyField('models.Identity', source_field='identity_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('lines', Sealed()),
                ('said_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'talk_lines', 'app': 'models', 'constraints': [UniqueConstraint(fields=('identity_id',), name='talk_lines_one_for_each_identity')], 'indexes': [Index(fields=['said_at'])], 'pk_attr': 'id', 'table_description': 'The last things that one identity said, scrubbed, as JSON: for half an hour, in case they ask for a human.'},
            bases=['Table'],
        ),
        ops.AddField(
            model_name='BotCard',
            name='approval',
            field=fields.ForeignKeyField('models.Approval', source_field='approval_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddField(
            model_name='BotCard',
            name='attempts',
            field=fields.SmallIntField(default=0),
        ),
        ops.AddField(
            model_name='BotCard',
            name='due_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddIndex(
            model_name='BotCard',
            index=Index(fields=['approval_id']),
        ),
        ops.AddConstraint(
            model_name='BotCard',
            constraint=CheckConstraint(check='due_at IS NULL OR approval_id IS NOT NULL', name='bot_cards_wait_for_a_case'),
        ),
        ops.RunSQL("""
CREATE UNIQUE INDEX help_requests_one_open ON help_requests (person_id) WHERE answered_at IS NULL;
ALTER TABLE help_requests ADD CONSTRAINT help_requests_answered_by_somebody CHECK (num_nonnulls(answer, answered_by_id, answered_at) IN (0, 3));
ALTER TABLE help_requests ADD CONSTRAINT help_requests_forget_words CHECK (answered_at IS NULL OR lines IS NULL);
ALTER TABLE talk_lines ADD CONSTRAINT talk_lines_one_for_each_identity UNIQUE (identity_id);
""", reverse_sql="SELECT 1"),
        # A queue's index holds what waits.
        ops.RunSQL(
            "CREATE INDEX bot_cards_waiting ON bot_cards (due_at) WHERE due_at IS NOT NULL", reverse_sql="DROP INDEX bot_cards_waiting",
        ),
    ]
