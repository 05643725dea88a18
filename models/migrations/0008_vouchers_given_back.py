from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

# Switches that nobody read go, and so do values that did what another one does: a stored policy says what it did all the time.
POLICIES = """
UPDATE policies SET rules = (rules - 'voucher_shape' - 'hold_protects' - 'notify') #- '{claim,two_steps}';
UPDATE policies SET rules = jsonb_set(rules, '{allocation}', '"none"') WHERE rules ->> 'allocation' = 'ranked';
UPDATE policies SET rules = jsonb_set(rules, '{contract_upload}', '"none"') WHERE rules ->> 'contract_upload' = 'at_claim';
UPDATE policies SET rules = jsonb_set(rules, '{pay_auth}', '"password"') WHERE rules ->> 'pay_auth' = 'otp';
"""
ROUNDS = """
UPDATE rounds r SET give_back_days = coalesce((p.rules ->> 'give_back_days')::smallint, 10) FROM policies p WHERE p.id = r.policy_id
"""


class Migration(migrations.Migration):
    """An unused voucher may be given back, what comes back late has all of its days, and a policy says only what is done."""

    dependencies = [("models", "0007_looked_up_by_category_and_code")]

    initial = False

    operations = [
        ops.AddField(model_name="Round", name="give_back_days", field=fields.SmallIntField(default=0, db_default=0)),
        ops.AddField(model_name="Lot", name="give_back_until", field=fields.DateField(null=True)),
        ops.AddField(model_name="Lot", name="given_back_at", field=fields.DatetimeField(null=True)),
        ops.RemoveConstraint(model_name="Lot", name="lots_one_grace"),
        ops.AddConstraint(
            model_name="Lot",
            constraint=UniqueConstraint(
                fields=("grace_of_id", "valid_until"), name="lots_one_grace_a_day", condition="grace_of_id IS NOT NULL",
            ),
        ),
        ops.AddConstraint(
            model_name="Lot", constraint=CheckConstraint(check="valid_until >= valid_from", name="lots_end_after_they_begin"),
        ),
        ops.AddConstraint(
            model_name="Lot",
            constraint=CheckConstraint(
                check="given_back_at IS NULL OR available_fen = 0 AND held_fen = 0 AND spent_fen = 0 AND expired_fen = 0",
                name="lots_given_back_whole",
            ),
        ),
        ops.AlterField(
            model_name="Reservation", name="state",
            field=fields.CharField(
                description="submitted|withdrawn|won|alternate|issued|declined|disqualified|given_back", max_length=24,
            ),
        ),
        ops.RemoveConstraint(model_name="Reservation", name="reservations_chosen_have_rank"),
        ops.AddConstraint(
            model_name="Reservation",
            constraint=CheckConstraint(
                check="state NOT IN ('won','alternate','issued','given_back') OR rank IS NOT NULL", name="reservations_chosen_have_rank",
            ),
        ),
        ops.RunSQL(ROUNDS, reverse_sql="SELECT 1"),
        ops.RunSQL(POLICIES, reverse_sql="SELECT 1"),
    ]
