from tortoise import migrations
from tortoise import fields
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Who has not reserved hears that the window closes, and who left a form unfinished, that it waits (F05)."""

    dependencies = [("models", "0013_what_a_product_takes")]

    initial = False

    operations = [
        ops.AddField(model_name="Round", name="closing_told_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Application", name="reminded_at", field=fields.DatetimeField(null=True)),
        ops.RunSQL("""
CREATE INDEX applications_unfinished ON applications (updated_at)
  WHERE state IN ('draft', 'returned') AND (reminded_at IS NULL OR reminded_at < updated_at);
""", reverse_sql="DROP INDEX applications_unfinished"),
    ]
