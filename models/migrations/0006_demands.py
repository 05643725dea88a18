from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import Sealed
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0005_channels_rules')]

    initial = False

    operations = [
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
        ops.AddField(
            model_name='Order',
            name='demand',
            field=fields.ForeignKeyField('models.Demand', source_field='demand_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT),
        ),
        ops.AddIndex(
            model_name='Order',
            index=Index(fields=['demand_id']),
        ),
        ops.RunSQL("""
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
""", reverse_sql="SELECT 1"),
    ]
