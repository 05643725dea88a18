from tortoise import migrations
from tortoise import fields
from tortoise.migrations import operations as ops


def _indexes(column: str) -> str:
    return f"""
DROP INDEX products_listed_newest, products_listed_price, products_listed_category;
CREATE INDEX products_listed_newest ON products (listed_at DESC, id DESC) INCLUDE (organisation_id, {column}) WHERE state = 'listed';
CREATE INDEX products_listed_price ON products (price_fen, id) INCLUDE (organisation_id, {column}) WHERE state = 'listed';
CREATE INDEX products_listed_category ON products (category, price_fen, id) INCLUDE (organisation_id, {column}) WHERE state = 'listed';
"""


class Migration(migrations.Migration):
    """A product says itself whose it is and how much it takes in vouchers: what its card shows (docs/decisions/0060)."""

    dependencies = [("models", "0012_a_day_to_deliver_by")]

    initial = False

    operations = [
        ops.AddField(model_name="Product", name="institution_name", field=fields.CharField(default="", db_default="", max_length=200)),
        ops.AddField(model_name="Product", name="max_voucher_fen", field=fields.BigIntField(default=0, db_default=0)),
        ops.RunSQL(
            "UPDATE products p SET institution_name = (SELECT name FROM organisations o WHERE o.id = p.organisation_id),"
            " max_voucher_fen = coalesce((SELECT max(max_fen) FROM deductions d WHERE d.product_id = p.id), 0)",
            reverse_sql="UPDATE products SET takes_vouchers = max_voucher_fen > 0",
        ),
        ops.RunSQL(_indexes("max_voucher_fen"), reverse_sql=_indexes("takes_vouchers")),
        # The way back adds it to products that are there.
        ops.AlterField(model_name="Product", name="takes_vouchers", field=fields.BooleanField(default=False, db_default=False)),
        ops.RemoveField(model_name="Product", name="takes_vouchers"),
    ]
