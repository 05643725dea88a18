"""Reviews of orders: three grades, a text, stars for the platform; both sides where a policy wants it (E34-E36, F18, D19)."""

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
    is_blind = fields.BooleanField(default=False, db_default=False)  # mutual_review: nobody but its author sees it yet
    revealed_at = moment(null=True)  # when it ceased to be blind; null where it never was

    class Meta:
        table = "reviews"
        indexes = (("enterprise_id", "id"), ("institution_id", "id"), ("product_id", "id"), ("reviewed_by_id",))
        constraints = (
            UniqueConstraint(fields=("order_id",), name="reviews_one_per_order"),
            CheckConstraint(check="grade IN ('good','medium','bad')", name="reviews_grade_known"),
            CheckConstraint(check="platform_stars BETWEEN 0 AND 5", name="reviews_stars_in_range"),
            CheckConstraint(check="is_system = (reviewed_by_id IS NULL)", name="reviews_system_has_no_author"),
            CheckConstraint(
                check="NOT (is_blind AND (is_system OR revealed_at IS NOT NULL))", name="reviews_blind_are_of_people_and_unrevealed",
            ),
        )


class EnterpriseReview(Table):
    """What an institution says of the enterprise that bought (D19), where the policy has `mutual_review`; for the two sides only."""

    order = reference("Order")
    enterprise = reference("Organisation")
    institution = reference("Organisation")
    grade = chars(8)
    text = chars(500, default="")
    reviewed_by = reference("Person")
    reviewed_at = moment()
    is_blind = fields.BooleanField()
    revealed_at = moment(null=True)

    class Meta:
        table = "enterprise_reviews"
        indexes = (("enterprise_id", "id"), ("institution_id", "id"), ("reviewed_by_id",))
        constraints = (
            UniqueConstraint(fields=("order_id",), name="enterprise_reviews_one_per_order"),
            CheckConstraint(check="grade IN ('good','medium','bad')", name="enterprise_reviews_grade_known"),
            CheckConstraint(check="is_blind = (revealed_at IS NULL)", name="enterprise_reviews_blind_until_revealed"),
        )


class ReviewReply(Table):
    """回复: one by whoever was reviewed, to a review of either direction."""

    review = reference("Review", null=True)
    enterprise_review = reference("EnterpriseReview", null=True)
    text = chars(500)
    replied_by = reference("Person")
    replied_at = moment()

    class Meta:
        table = "review_replies"
        indexes = (("replied_by_id",),)
        constraints = (
            UniqueConstraint(fields=("review_id",), name="review_replies_one_per_review"),
            UniqueConstraint(fields=("enterprise_review_id",), name="review_replies_one_per_enterprise_review"),
            CheckConstraint(check="num_nonnulls(review_id, enterprise_review_id) = 1", name="review_replies_to_one_review"),
        )
