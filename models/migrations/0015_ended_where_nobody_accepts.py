from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint


def _whole(states: str) -> CheckConstraint:
    return CheckConstraint(
        check="num_nulls(termination_side, termination_fen, termination_reason, termination_until) IN (0, 4) AND"
              " (termination_side IS NULL OR termination_side IN ('enterprise','institution')"
              f" AND state IN ({states})"
              " AND termination_fen BETWEEN 1 AND voucher_fen)",
        name="orders_terminations_are_whole",
    )


class Migration(migrations.Migration):
    """Where nobody accepts, an order is in service from its payment on, and both may end it from then (docs/decisions/0245)."""

    dependencies = [("models", "0014_reminded_in_time")]

    initial = False

    operations = [
        ops.RemoveConstraint(model_name="Order", name="orders_terminations_are_whole"),
        ops.AddConstraint(model_name="Order", constraint=_whole("'paid','accepted','delivered'")),
    ]
