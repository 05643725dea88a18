from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """What requests asked is kept under a key (docs/decisions/0242). Plain hashes, from which passwords can be read, go at once."""

    dependencies = [("models", "0007_looked_up_by_category_and_code")]

    initial = False

    operations = [
        ops.RunSQL("DELETE FROM idempotency_keys", reverse_sql="DELETE FROM idempotency_keys"),
    ]
