from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0013_risks_appeals')]

    initial = False

    operations = [
        ops.AddIndex(
            model_name='LedgerEntry',
            index=Index(fields=['programme_id', 'at', 'id']),
        ),
        # Half of the entries are of no institution.
        ops.RunSQL(
            "CREATE INDEX ledger_entries_of_institutions ON ledger_entries (institution_id, at, id) WHERE institution_id IS NOT NULL",
            reverse_sql="DROP INDEX ledger_entries_of_institutions",
        ),
    ]
