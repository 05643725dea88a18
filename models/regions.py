"""Administrative divisions and the parks below counties (jurisdictions of reviewers, C36)."""

from tortoise import fields
from tortoise.models import Model

from models.fields import Table, chars, moment


class Region(Model):
    """A division by its six-digit code; `parent_code` is null for provinces."""

    code = fields.CharField(max_length=6, primary_key=True)
    name = chars(64)
    level = chars(8)  # province, city, county
    parent_code = fields.CharField(max_length=6, null=True)

    class Meta:
        table = "regions"
        indexes = (("parent_code",),)


class Park(Table):
    name = chars(100)
    county_code = chars(6)
    created_at = moment()

    class Meta:
        table = "parks"
        unique_together = (("county_code", "name"),)
