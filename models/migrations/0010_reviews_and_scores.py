from tortoise import migrations
from tortoise.migrations import operations as ops
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0009_filings')]

    initial = False

    operations = [
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
        ops.AddField(
            model_name='Order',
            name='enterprise_reviewed_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Review',
            name='is_blind',
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name='Review',
            name='revealed_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddConstraint(
            model_name='Review',
            constraint=CheckConstraint(check='NOT (is_blind AND (is_system OR revealed_at IS NOT NULL))', name='reviews_blind_are_of_people_and_unrevealed'),
        ),
        ops.AddField(
            model_name='ScoreEvent',
            name='counted',
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.RunSQL("""
ALTER TABLE content_checks ADD CONSTRAINT content_checks_one_per_subject UNIQUE (subject, subject_id);
ALTER TABLE content_checks ADD CONSTRAINT content_checks_state_known CHECK (state IN ('pending','in_review','passed','hidden'));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_asked_while_pending CHECK ((state = 'pending') = (next_at IS NOT NULL));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_decided_once CHECK ((state IN ('passed','hidden')) = (decided_at IS NOT NULL));
ALTER TABLE content_checks ADD CONSTRAINT content_checks_hidden_with_reason CHECK (state <> 'hidden' OR reason IS NOT NULL);
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_one_per_order UNIQUE (order_id);
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_grade_known CHECK (grade IN ('good','medium','bad'));
ALTER TABLE enterprise_reviews ADD CONSTRAINT enterprise_reviews_blind_until_revealed CHECK (is_blind = (revealed_at IS NULL));
ALTER TABLE review_replies ADD CONSTRAINT review_replies_one_per_review UNIQUE (review_id);
ALTER TABLE review_replies ADD CONSTRAINT review_replies_one_per_enterprise_review UNIQUE (enterprise_review_id);
ALTER TABLE review_replies ADD CONSTRAINT review_replies_to_one_review CHECK (num_nonnulls(review_id, enterprise_review_id) = 1);
ALTER TABLE scores ADD CONSTRAINT scores_are_their_parts CHECK (total = reviews + transactions + activities + answers);
ALTER TABLE scores ADD CONSTRAINT scores_never_negative CHECK (least(reviews, transactions, activities, answers, activity) >= 0);
ALTER TABLE score_changes ADD CONSTRAINT score_changes_change CHECK (before <> after);
ALTER TABLE score_changes ADD CONSTRAINT score_changes_component_known CHECK (component IN ('reviews','transactions','activities','answers'));
ALTER TABLE score_changes ADD CONSTRAINT score_changes_cause_known CHECK (cause IN ('events','decay','formula','recomputed'));
ALTER TABLE score_months ADD CONSTRAINT score_months_never_negative CHECK (least(orders, transactions, activities, answers, reviews, review_value, points) >= 0 AND review_value <= reviews * 100);
""", reverse_sql="SELECT 1"),
    ]
