"""What the public sees of a service institution (E25, C07-C10); its admission is an application."""

from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

from models.fields import Sealed, Table, chars, moment, reference


class Institution(Table):
    organisation = reference("Organisation")
    introduction = fields.TextField(default="")
    address = chars(200, default="")
    website = chars(200, default="")
    landline = chars(32, default="")  # public; the mobile is not (C09)
    email = chars(100, default="")
    contact_name = Sealed(null=True)
    contact_phone = Sealed(null=True)
    bank_account_name = chars(200, null=True)
    bank_branch = chars(200, null=True)
    bank_account = Sealed(null=True)
    latitude = fields.DecimalField(max_digits=9, decimal_places=6, null=True)
    longitude = fields.DecimalField(max_digits=9, decimal_places=6, null=True)
    updated_at = moment()

    class Meta:
        table = "institutions"
        constraints = (UniqueConstraint(fields=("organisation_id",), name="institutions_once"),)
