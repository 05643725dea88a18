from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0008_recommended_products')]

    initial = False

    operations = [
        ops.AddIndex(
            model_name='Dispute',
            index=Index(fields=['order_id']),
        ),
    ]
