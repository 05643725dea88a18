from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint

class Migration(migrations.Migration):
    dependencies = [('models', '0013_consultants_rules')]

    initial = False

    operations = [
        ops.AddConstraint(
            model_name='Reservation',
            constraint=CheckConstraint(check="state NOT IN ('won','alternate','issued') OR rank IS NOT NULL", name='reservations_chosen_have_rank'),
        ),
    ]
