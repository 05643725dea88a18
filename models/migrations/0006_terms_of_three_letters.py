from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Words of three letters and more are looked for by threes (docs/decisions/0060)."""

    dependencies = [("models", "0005_chats_kept_to_the_end")]

    initial = False

    operations = [
        ops.RunSQL("""
UPDATE products SET terms = ARRAY(
  SELECT unnest(terms)
  UNION SELECT substr(line, first, 3)
  FROM regexp_split_to_table(haystack, E'\\n') line CROSS JOIN generate_series(1, length(line) - 2) first
)
""", reverse_sql="SELECT 1"),
    ]
