from tortoise import migrations
from tortoise.migrations import operations as ops
from models.fields import Sealed
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

FORWARD = """
DROP INDEX demands_to_expire;
CREATE INDEX demands_to_expire ON demands (expires_at) WHERE state IN ('held', 'open');
CREATE INDEX demands_contacts_to_forget ON demands (closed_at) WHERE state = 'closed' AND contact_name IS NOT NULL;
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'demand_alternatives', 'demand_posted', 'demand_reminder', 'order_delivered', 'order_paid', 'order_placed',
  'price_confirmed', 'price_requested', 'review_reminder'
);
"""

BACKWARD = """
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'order_delivered', 'order_paid', 'order_placed', 'price_confirmed', 'price_requested', 'review_reminder'
);
DROP INDEX demands_contacts_to_forget;
DROP INDEX demands_to_expire;
CREATE INDEX demands_to_expire ON demands (expires_at) WHERE state = 'open';
"""


class Migration(migrations.Migration):
    dependencies = [('models', '0003_first_come')]

    initial = False

    operations = [
        ops.CreateModel(
            name='FilingObjection',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('filing', fields.ForeignKeyField('models.Filing', source_field='filing_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('enterprise', fields.ForeignKeyField('models.Organisation', source_field='enterprise_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reason', fields.CharField(max_length=500)),
                ('state', fields.CharField(description='open|upheld|dismissed|lapsed', max_length=24)),
                ('objected_by', fields.ForeignKeyField('models.Person', source_field='objected_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('objected_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_by', fields.ForeignKeyField('models.Person', source_field='decided_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('answer', fields.CharField(null=True, max_length=500)),
            ],
            options={'table': 'filing_objections', 'app': 'models', 'constraints': [UniqueConstraint(fields=('filing_id', 'enterprise_id'), name='filing_objections_once', condition="state <> 'lapsed'"), CheckConstraint(check="state IN ('open','upheld','dismissed','lapsed')", name='filing_objections_state_known'), CheckConstraint(check="(state = 'open') = (decided_at IS NULL)", name='filing_objections_decided_once'), CheckConstraint(check="(state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL)", name='filing_objections_decided_by_somebody')], 'indexes': [Index(fields=['filing_id']), Index(fields=['enterprise_id']), Index(fields=['objected_by_id']), Index(fields=['decided_by_id'])], 'pk_attr': 'id', 'table_description': 'The enterprise that a filing names says that it was not so (异议). `answer`: what the official said who decided.'},
            bases=['Table'],
        ),
        ops.RemoveConstraint(
            model_name='ContentCheck',
            name='content_checks_state_known',
            fields=None,
        ),
        ops.RemoveConstraint(
            model_name='ContentCheck',
            name='content_checks_decided_once',
            fields=None,
        ),
        ops.AlterField(
            model_name='ContentCheck',
            name='state',
            field=fields.CharField(description='pending|in_review|passed|hidden|withdrawn', max_length=24),
        ),
        ops.AddConstraint(
            model_name='ContentCheck',
            constraint=CheckConstraint(check="state IN ('pending','in_review','passed','hidden','withdrawn')", name='content_checks_state_known'),
        ),
        ops.AddConstraint(
            model_name='ContentCheck',
            constraint=CheckConstraint(check="(state IN ('passed','hidden','withdrawn')) = (decided_at IS NOT NULL)", name='content_checks_decided_once'),
        ),
        ops.RemoveConstraint(
            model_name='Demand',
            name='demands_open_are_not_taken',
            fields=None,
        ),
        ops.RemoveConstraint(
            model_name='Demand',
            name='demands_spread_while_alive',
            fields=None,
        ),
        ops.AlterModelOptions(
            name='Demand',
            options={'table': 'demands', 'app': 'models', 'constraints': [CheckConstraint(check="CASE target WHEN 'open' THEN institution_id IS NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'institution' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NULL WHEN 'consultant' THEN institution_id IS NOT NULL AND consultant_id IS NOT NULL AND product_id IS NULL WHEN 'product' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NOT NULL ELSE false END", name='demands_addressed_to_one'), CheckConstraint(check="(state = 'closed') = (close_reason IS NOT NULL) AND (state = 'closed') = (closed_at IS NOT NULL)", name='demands_closed_for_a_reason'), CheckConstraint(check="close_reason IS NULL OR (close_reason IN ('settled','given_up') AND taken_at IS NOT NULL) OR (close_reason IN ('withdrawn','expired') AND taken_at IS NULL)", name='demands_taken_are_neither_withdrawn_nor_expired'), CheckConstraint(check="state NOT IN ('held','open') OR taken_at IS NULL", name='demands_open_are_not_taken'), CheckConstraint(check="state <> 'taken' OR taken_at IS NOT NULL", name='demands_taken_say_when'), CheckConstraint(check="(settled_with_id IS NOT NULL) = (close_reason IS NOT DISTINCT FROM 'settled')", name='demands_settled_with_somebody'), CheckConstraint(check="spread_at IS NULL OR (target = 'open' AND state IN ('open','taken'))", name='demands_spread_while_alive'), CheckConstraint(check="state NOT IN ('open','taken') OR released_at IS NOT NULL", name='demands_known_were_released'), CheckConstraint(check="alternatives_at IS NULL OR state = 'open'", name='demands_alternatives_while_open'), CheckConstraint(check='budget_fen IS NULL OR budget_fen > 0', name='demands_budget_positive'), CheckConstraint(check="(contact_name IS NULL) = (contact_phone IS NULL) AND (state = 'closed' OR contact_name IS NOT NULL)", name='demands_alive_have_a_contact')], 'indexes': [Index(fields=['enterprise_id', 'id']), Index(fields=['institution_id']), Index(fields=['consultant_id']), Index(fields=['product_id']), Index(fields=['settled_with_id']), Index(fields=['posted_by_id'])], 'pk_attr': 'id', 'table_description': '`version` is that of its text. `released_at`: when its words had passed for the first time; from then its days count.'},
        ),
        ops.AlterField(
            model_name='Demand',
            name='contact_name',
            field=Sealed(null=True),
        ),
        ops.AlterField(
            model_name='Demand',
            name='contact_phone',
            field=Sealed(null=True),
        ),
        ops.AlterField(
            model_name='Demand',
            name='state',
            field=fields.CharField(description='held|open|taken|closed', max_length=24),
        ),
        ops.AddField(
            model_name='Demand',
            name='released_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.RunSQL("UPDATE demands SET released_at = posted_at", reverse_sql="SELECT 1"),
        ops.AddConstraint(
            model_name='Demand',
            constraint=CheckConstraint(check="state NOT IN ('held','open') OR taken_at IS NULL", name='demands_open_are_not_taken'),
        ),
        ops.AddConstraint(
            model_name='Demand',
            constraint=CheckConstraint(check="spread_at IS NULL OR (target = 'open' AND state IN ('open','taken'))", name='demands_spread_while_alive'),
        ),
        ops.AddConstraint(
            model_name='Demand',
            constraint=CheckConstraint(check="state NOT IN ('open','taken') OR released_at IS NOT NULL", name='demands_known_were_released'),
        ),
        ops.AddConstraint(
            model_name='Demand',
            constraint=CheckConstraint(check="(contact_name IS NULL) = (contact_phone IS NULL) AND (state = 'closed' OR contact_name IS NOT NULL)", name='demands_alive_have_a_contact'),
        ),
        ops.AddField(
            model_name='Filing',
            name='object_by',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddConstraint(
            model_name='Filing',
            constraint=CheckConstraint(check='object_by IS NULL OR enterprise_id IS NOT NULL', name='filings_objected_to_by_somebody'),
        ),
        ops.AddField(
            model_name='Order',
            name='offered_fen',
            field=fields.BigIntField(null=True),
        ),
        ops.AddConstraint(
            model_name='Order',
            constraint=CheckConstraint(check='order_fen <= offered_fen', name='orders_within_the_offer'),
        ),
        ops.RunSQL("""
CREATE UNIQUE INDEX filing_objections_once ON filing_objections (filing_id, enterprise_id) WHERE state <> 'lapsed';
ALTER TABLE filing_objections ADD CONSTRAINT filing_objections_state_known CHECK (state IN ('open','upheld','dismissed','lapsed'));
ALTER TABLE filing_objections ADD CONSTRAINT filing_objections_decided_once CHECK ((state = 'open') = (decided_at IS NULL));
ALTER TABLE filing_objections ADD CONSTRAINT filing_objections_decided_by_somebody CHECK ((state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL));
""", reverse_sql="SELECT 1"),
        ops.RunSQL(FORWARD, reverse_sql=BACKWARD),
    ]
