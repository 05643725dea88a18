"""What a draw chose is found by its rank: the state, which changes when vouchers are issued, is in no index any more."""

from tortoise import migrations
from tortoise.migrations import operations as ops

INDEX = "CREATE INDEX reservations_chosen ON reservations (round_id, voucher_type_id, rank) WHERE {condition}"
DROP = "DROP INDEX reservations_chosen; "


class Migration(migrations.Migration):
    dependencies = [('models', '0014_chosen_ranks')]
    operations = [ops.RunSQL(DROP + INDEX.format(condition="rank IS NOT NULL"), reverse_sql=DROP + INDEX.format(condition="state <> 'submitted'"))]
