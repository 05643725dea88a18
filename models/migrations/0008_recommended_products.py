from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0007_jobs")]
    operations = [ops.RunSQL(
        "CREATE INDEX products_recommended ON products (category, listed_at DESC) WHERE state = 'listed' AND is_recommended",
        reverse_sql="DROP INDEX products_recommended",
    )]
