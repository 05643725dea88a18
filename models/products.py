"""Service products, regular and featured, which vouchers they take, and who likes them (D12, D13, E24-E29)."""

from enum import StrEnum

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, fen, moment, reference, state
from models.states import Graph


class ProductKind(StrEnum):
    REGULAR = "regular"    # 常规产品: from the standard list, listed without a review (D12)
    FEATURED = "featured"  # 特色产品: in its institution's own words, reviewed (D13)


class ProductState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"  # 审核中
    APPROVED = "approved"    # 审核通过, not listed
    REJECTED = "rejected"    # 审核拒绝
    LISTED = "listed"        # 已上架
    DELETED = "deleted"


D = ProductState
PRODUCT_GRAPH = Graph("product", "products", ProductState, {
    (D.DRAFT, D.IN_REVIEW): "product.submitted",
    (D.DRAFT, D.DELETED): "product.deleted",
    (D.DRAFT, D.LISTED): "product.listed_regular",
    (D.LISTED, D.DRAFT): "product.unlisted_regular",
    (D.IN_REVIEW, D.APPROVED): "product.approved",
    (D.IN_REVIEW, D.REJECTED): "product.rejected",
    (D.IN_REVIEW, D.DRAFT): "product.withdrawn",
    (D.IN_REVIEW, D.DELETED): "product.deleted",
    (D.REJECTED, D.IN_REVIEW): "product.resubmitted",
    (D.REJECTED, D.DELETED): "product.deleted",
    (D.APPROVED, D.LISTED): "product.listed",
    (D.APPROVED, D.DELETED): "product.deleted",
    (D.LISTED, D.APPROVED): "product.unlisted",
    (D.LISTED, D.DELETED): "product.deleted",
})


class VersionState(StrEnum):
    """A later text of a product that was approved once; the approved one is what the product's own row says."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"    # 审核中
    APPROVED = "approved"      # in force
    REJECTED = "rejected"      # 审核拒绝
    SUPERSEDED = "superseded"  # replaced by a newer one, or given up


V = VersionState
VERSION_GRAPH = Graph("product_version", "product_versions", VersionState, {
    (V.DRAFT, V.IN_REVIEW): "product_version.submitted",
    (V.DRAFT, V.SUPERSEDED): "product_version.discarded",
    (V.IN_REVIEW, V.DRAFT): "product_version.withdrawn",
    (V.IN_REVIEW, V.APPROVED): "product_version.approved",
    (V.IN_REVIEW, V.REJECTED): "product_version.rejected",
    (V.IN_REVIEW, V.SUPERSEDED): "product_version.discarded",
    (V.REJECTED, V.IN_REVIEW): "product_version.reopened",  # an appeal was right (F10)
    (V.APPROVED, V.SUPERSEDED): "product_version.superseded",
})


class Product(Table):
    """`terms` holds the parts of `haystack` of up to four letters and the facets of the search, for one GIN index.

    `haystack` is name, institution and category in one spelling, to prove longer words (handlers/product_search.py).
    """

    service_number = chars(24)  # PX-<division>-<serial> (A37)
    organisation = reference("Organisation")
    kind = chars(8, default="featured", db_default="featured")
    standard = reference("StandardProduct", null=True)
    name = chars(100)
    category = chars(32)
    content = chars(64, default="", db_default="")  # 服务小类 (C24, C28); empty where it is not said
    region_code = chars(6)
    price_fen = fen(null=True)  # null = 面议 (A38)
    state = state(ProductState)
    sections: fields.Field[dict[str, str]] = fields.JSONField(default=dict)  # 服务简介, 服务保障, 服务流程, 服务详情 …
    parameters: fields.Field[list[dict[str, str]]] = fields.JSONField(default=list, db_default=[])  # [{name, value, unit}] (D13)
    is_recommended = fields.BooleanField(default=False)
    # What a card shows beside the product's own, kept here by `index_product`: twenty look-ups a page took a third of a search.
    institution_name = chars(200, default="", db_default="")
    max_voucher_fen = fields.BigIntField(default=0, db_default=0)  # the most of its deductions; 0: it takes no vouchers
    haystack = fields.TextField(default="")
    terms: fields.Field[list[str]] = ArrayField(element_type="text", default=list)
    version = fields.IntField(default=1)
    listed_at = moment(null=True)
    created_at = moment()
    updated_at = moment()

    class Meta:
        table = "products"
        unique_together = (("service_number",),)
        indexes = (("organisation_id",), ("standard_id",))
        constraints = (
            CheckConstraint(check="price_fen IS NULL OR price_fen > 0", name="products_price_positive"),
            CheckConstraint(check="kind IN ('regular','featured')", name="products_kind_known"),
            CheckConstraint(check="(kind = 'regular') = (standard_id IS NOT NULL)", name="products_regular_has_standard"),
            CheckConstraint(check="kind = 'featured' OR state IN ('draft','listed','deleted')", name="products_regular_not_reviewed"),
            UniqueConstraint(
                fields=("organisation_id", "standard_id"), name="products_standard_once",
                condition="standard_id IS NOT NULL AND state <> 'deleted'",
            ),
        )


class ProductVersion(Table):
    """`number` is the product's version once this is in force. `content`: name, category, content, price_fen, sections,
    parameters, deductions.
    """

    product = reference("Product")
    number = fields.IntField()
    content: fields.Field[dict[str, object]] = fields.JSONField()
    state = state(VersionState)
    made_by = reference("Person")
    reason = chars(500, null=True)
    created_at = moment()
    decided_at = moment(null=True)

    class Meta:
        table = "product_versions"
        unique_together = (("product_id", "number"),)
        indexes = (("made_by_id",),)
        constraints = (
            UniqueConstraint(fields=("product_id",), name="product_versions_one_waits", condition="state IN ('draft','in_review')"),
            UniqueConstraint(fields=("product_id",), name="product_versions_one_in_force", condition="state = 'approved'"),
            CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name="product_versions_rejected_with_reason"),
        )


class Picture(Table):
    """A picture that everybody may see while its product is listed; without a product, while its institution is open."""

    attachment = reference("Attachment")
    organisation = reference("Organisation")
    product = reference("Product", null=True)
    in_text = fields.BooleanField()  # it stands in the approved introduction; otherwise it is shown beside it
    position = fields.SmallIntField()

    class Meta:
        table = "pictures"
        indexes = (("attachment_id",), ("organisation_id",), ("product_id",))


class Deduction(Table):
    """The most that vouchers of a type may pay of this product (抵扣金额)."""

    product = reference("Product")
    voucher_type = reference("VoucherType")
    max_fen = fen()

    class Meta:
        table = "deductions"
        unique_together = (("product_id", "voucher_type_id"),)
        indexes = (("voucher_type_id",),)
        constraints = (CheckConstraint(check="max_fen > 0", name="deductions_positive"),)


class Favourite(Table):
    person = reference("Person")
    product = reference("Product")
    created_at = moment()

    class Meta:
        table = "favourites"
        unique_together = (("person_id", "product_id"),)
        indexes = (("product_id",),)
