from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint


def _person(name: str) -> fields.Field[object]:
    return fields.ForeignKeyField(
        "models.Person", source_field=f"{name}_id", null=True, db_constraint=True, to_field="id", related_name=False,
        on_delete=OnDelete.RESTRICT,
    )


class Migration(migrations.Migration):
    """From the commitment on a round is voided by two, and what cannot be committed is told once (docs/decisions/0243)."""

    dependencies = [("models", "0007_looked_up_by_category_and_code")]

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
    ]
