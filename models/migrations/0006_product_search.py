from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0005_draw_lists')]

    initial = False

    operations = [
        ops.AlterModelOptions(
            name='Product',
            options={'table': 'products', 'app': 'models', 'unique_together': (('service_number',),), 'constraints': [CheckConstraint(check='price_fen IS NULL OR price_fen > 0', name='products_price_positive')], 'indexes': [Index(fields=['organisation_id'])], 'pk_attr': 'id', 'table_description': '`terms` holds the one- and two-letter parts of `haystack` and the facets of the search: one GIN index answers all of it.'},
        ),
        ops.AddField(
            model_name='Product',
            name='haystack',
            field=fields.TextField(default='', unique=False),
        ),
        # The shops that are closed for now are few; the search asks for them each time, and counts in the index alone.
        ops.RunSQL(
            "CREATE INDEX organisations_suspended ON organisations (id) WHERE suspended_at IS NOT NULL;"
            "ALTER TABLE products ALTER COLUMN haystack SET DEFAULT '';"
            "DROP INDEX products_listed_newest;"
            "CREATE INDEX products_listed_newest ON products (listed_at DESC, id DESC) INCLUDE (organisation_id) WHERE state = 'listed'",
            reverse_sql="DROP INDEX products_listed_newest;"
            "CREATE INDEX products_listed_newest ON products (listed_at DESC, id DESC) WHERE state = 'listed';"
            "ALTER TABLE products ALTER COLUMN haystack DROP DEFAULT; DROP INDEX organisations_suspended",
        ),
    ]
