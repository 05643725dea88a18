from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Words are looked for together with their category (docs/decisions/0060), and filings by the code of who was just certified."""

    dependencies = [("models", "0006_leaner_writes_and_searches")]

    initial = False

    operations = [
        ops.AddIndex(model_name="Filing", index=Index(fields=["enterprise_code"])),
        ops.RunSQL(
            "UPDATE products SET terms = terms || ('=category:' || category)",
            reverse_sql="UPDATE products SET terms = array_remove(terms, '=category:' || category)",
        ),
    ]
