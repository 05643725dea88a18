from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0014_statements')]

    initial = False

    operations = [
        ops.AddIndex(
            model_name='PayoutLine',
            index=Index(fields=['redemption_id']),
        ),
    ]
