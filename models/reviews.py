"""Reviews of orders: three grades, a text, stars for the platform (E34-E36, F18)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference


class Grade(StrEnum):
    GOOD = "good"      # 好评
    MEDIUM = "medium"  # 中评
    BAD = "bad"        # 差评


class Review(Table):
    """`is_system`: nobody reviewed within seven days; shown as 系统默认评价 and never counted in a score."""

    order = reference("Order")
    enterprise = reference("Organisation")
    institution = reference("Organisation")
    product = reference("Product")
    is_system = fields.BooleanField()
    grade = chars(8)
    text = chars(500, default="")
    platform_stars = fields.SmallIntField(null=True)
    platform_text = chars(500, default="")
    reviewed_by = reference("Person", null=True)
    reviewed_at = moment()
    replaced_system_at = moment(null=True)  # when a person's words took the place of the system's

    class Meta:
        table = "reviews"
        indexes = (("enterprise_id", "id"), ("institution_id", "id"), ("product_id", "id"), ("reviewed_by_id",))
        constraints = (
            UniqueConstraint(fields=("order_id",), name="reviews_one_per_order"),
            CheckConstraint(check="grade IN ('good','medium','bad')", name="reviews_grade_known"),
            CheckConstraint(check="platform_stars BETWEEN 0 AND 5", name="reviews_stars_in_range"),
            CheckConstraint(check="is_system = (reviewed_by_id IS NULL)", name="reviews_system_has_no_author"),
        )
