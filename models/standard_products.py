"""The standard list of regular services of a supermarket (D12): what every institution may offer without a review."""

from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

from models.fields import Table, chars, moment, reference


class StandardProduct(Table):
    """Never edited, because products stand on it: withdrawn, and written anew.

    `parameters`: [{name, unit, required, choices}], what an institution says of its own offer; `choices` empty: any text.
    """

    programme = reference("Programme")
    category = chars(32)
    name = chars(60)
    introduction = fields.TextField()
    parameters: fields.Field[list[dict[str, object]]] = fields.JSONField(default=list)
    made_by = reference("Person")
    created_at = moment()
    withdrawn_at = moment(null=True)

    class Meta:
        table = "standard_products"
        indexes = (("programme_id", "id"), ("made_by_id",))
        constraints = (
            UniqueConstraint(fields=("programme_id", "name"), name="standard_products_name_once", condition="withdrawn_at IS NULL"),
        )
