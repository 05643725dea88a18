from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint


def _person(name: str) -> fields.Field[object]:
    return fields.ForeignKeyField(
        "models.Person", source_field=f"{name}_id", null=True, db_constraint=True, to_field="id", related_name=False,
        on_delete=OnDelete.RESTRICT,
    )


class Migration(migrations.Migration):
    """From the commitment on a round is voided by two, and what cannot be committed is told once (docs/decisions/0243);
    a published draw and its wins can be objected to (docs/decisions/0244).
    """

    dependencies = [("models", "0010_kept_no_longer")]

    initial = False

    operations = [
        ops.AddField(model_name="Round", name="missed_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Round", name="void_proposal", field=fields.CharField(null=True, max_length=200)),
        ops.AddField(model_name="Round", name="void_proposed_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Round", name="void_proposed_by", field=_person("void_proposed_by")),
        ops.AddField(model_name="Round", name="voided_by", field=_person("voided_by")),
        ops.AddIndex(model_name="Round", index=Index(fields=["void_proposed_by_id"])),
        ops.AddIndex(model_name="Round", index=Index(fields=["voided_by_id"])),
        ops.AddConstraint(model_name="Round", constraint=CheckConstraint(
            check="(void_proposal IS NULL) = (void_proposed_by_id IS NULL) AND (void_proposal IS NULL) = (void_proposed_at IS NULL)",
            name="rounds_voiding_has_reason",
        )),
        ops.AddConstraint(model_name="Round", constraint=CheckConstraint(
            check="voided_by_id IS NULL OR voided_by_id IS DISTINCT FROM void_proposed_by_id", name="rounds_void_four_eyes",
        )),
        ops.CreateModel(
            name='DrawObjection',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('round', fields.ForeignKeyField('models.Round', source_field='round_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('reservation', fields.ForeignKeyField('models.Reservation', source_field='reservation_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('state', fields.CharField(description='open|upheld|dismissed|lapsed', max_length=24)),
                ('reason', fields.CharField(max_length=500)),
                ('objected_by', fields.ForeignKeyField('models.Person', source_field='objected_by_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('objected_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_by', fields.ForeignKeyField('models.Person', source_field='decided_by_id', null=True, db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('decided_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('answer', fields.CharField(null=True, max_length=500)),
            ],
            options={'table': 'draw_objections', 'app': 'models', 'constraints': [UniqueConstraint(fields=('round_id', 'organisation_id'), name='draw_objections_one_open', condition="state = 'open'"), CheckConstraint(check="(state = 'open') = (decided_at IS NULL)", name='draw_objections_decided_once'), CheckConstraint(check="(state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL AND answer IS NOT NULL)", name='draw_objections_answered_by_somebody'), CheckConstraint(check='decided_by_id IS DISTINCT FROM objected_by_id', name='draw_objections_not_by_the_objector')], 'indexes': [Index(fields=['round_id', 'organisation_id']), Index(fields=['organisation_id']), Index(fields=['reservation_id']), Index(fields=['objected_by_id']), Index(fields=['decided_by_id'])], 'pk_attr': 'id', 'table_description': 'Of an enterprise with a ticket of the round, one open at a time. `reservation`: the win it is about; null for the draw itself.'},
            bases=['Table'],
        ),
        ops.CreateModel(
            name='DrawObjectionFile',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('draw_objection', fields.ForeignKeyField('models.DrawObjection', source_field='draw_objection_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
                ('attachment', fields.ForeignKeyField('models.Attachment', source_field='attachment_id', db_constraint=True, to_field='id', related_name=False, on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'draw_objection_files', 'app': 'models', 'unique_together': (('draw_objection_id', 'attachment_id'),), 'indexes': [Index(fields=['attachment_id'])], 'pk_attr': 'id', 'table_description': 'Evidence (slot `appeal`).'},
            bases=['Table'],
        ),
        ops.RunSQL("""
CREATE UNIQUE INDEX draw_objections_one_open ON draw_objections (round_id, organisation_id) WHERE state = 'open';
ALTER TABLE draw_objections ADD CONSTRAINT draw_objections_decided_once CHECK ((state = 'open') = (decided_at IS NULL));
ALTER TABLE draw_objections ADD CONSTRAINT draw_objections_answered_by_somebody CHECK ((state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL AND answer IS NOT NULL));
ALTER TABLE draw_objections ADD CONSTRAINT draw_objections_not_by_the_objector CHECK (decided_by_id IS DISTINCT FROM objected_by_id);
""", reverse_sql="SELECT 1"),
    ]
