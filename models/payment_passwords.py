"""The payment password of a member and how often it was tried (E20, F09)."""

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference


class PaymentPassword(Table):
    """A try is spent before it is evaluated, and given back by a right one, so parallel guesses share the same five."""

    membership = reference("Membership")
    hash = chars(200)
    tries_spent = fields.SmallIntField(default=0)
    last_try_at = moment(null=True)
    locked_until = moment(null=True)
    usable_at = moment()  # later than `set_at` after a reset: 24 hours in which a thief cannot pay (F09)
    set_at = moment()

    class Meta:
        table = "payment_passwords"
        constraints = (
            UniqueConstraint(fields=("membership_id",), name="payment_passwords_once"),
            CheckConstraint(check="tries_spent BETWEEN 0 AND 5", name="payment_passwords_five_tries"),
        )
