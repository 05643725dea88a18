from tortoise import migrations
from tortoise.migrations import operations as ops


def _indexes(include: str, newest: str | None = None) -> str:
    return f"""
DROP INDEX products_listed_newest, products_listed_price, products_listed_category;
CREATE INDEX products_listed_newest ON products (listed_at DESC, id DESC){include if newest is None else newest} WHERE state = 'listed';
CREATE INDEX products_listed_price ON products (price_fen, id){include} WHERE state = 'listed';
CREATE INDEX products_listed_category ON products (category, price_fen, id){include} WHERE state = 'listed';
"""


class Migration(migrations.Migration):
    """Words are looked for by up to four letters (docs/decisions/0060), and nobody asks for the audit of an organisation."""

    dependencies = [("models", "0005_chats_kept_to_the_end")]

    initial = False

    operations = [
        ops.RemoveIndex(model_name="AuditEntry", fields=["organisation_id", "id"]),
        # A winner's ticket changes twice, days apart. With room on its page it stays there, and the second time no index hears of it.
        ops.RunSQL("ALTER TABLE reservations SET (fillfactor = 90)", reverse_sql="ALTER TABLE reservations RESET (fillfactor)"),
        # What takes vouchers, and is counted most, is counted without looking at the products.
        ops.RunSQL(_indexes(" INCLUDE (organisation_id, takes_vouchers)"), reverse_sql=_indexes("", newest=" INCLUDE (organisation_id)")),
        ops.RunSQL("""
UPDATE products SET terms = ARRAY(
  SELECT unnest(array_remove(terms, '=voucher'))
  UNION SELECT substr(line, first, letters)
  FROM regexp_split_to_table(haystack, E'\\n') line CROSS JOIN generate_series(3, 4) letters
    CROSS JOIN generate_series(1, length(line) - letters + 1) first
)
""", reverse_sql="SELECT 1"),
    ]
