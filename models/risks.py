"""Fraud signals with their facts, and freezes that a second person lifts (F02, F03, F12, O13)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import BlindIndex, Table, chars, moment, reference


class Trait(StrEnum):
    """What two organisations may have in common without having it by chance."""

    PERSON = "person"
    LEGAL_PERSON = "legal_person"
    PHONE = "phone"
    ADDRESS = "address"
    BANK_ACCOUNT = "bank_account"
    DEVICE = "device"


class SignalKind(StrEnum):
    SAME_PERSON = "same_person"
    SAME_LEGAL_PERSON = "same_legal_person"
    SAME_PHONE = "same_phone"
    SAME_ADDRESS = "same_address"
    SAME_BANK_ACCOUNT = "same_bank_account"
    SAME_DEVICE = "same_device"
    QUICK_CONFIRMATION = "quick_confirmation"
    MAXIMUM_AT_ONCE = "maximum_at_once"
    CLUSTER_SHARE = "cluster_share"
    SAME_TEXTS = "same_texts"


class Verdict(StrEnum):
    """What the sum of an order's weights proposes; only a risk officer does anything."""

    NONE = "none"
    SAMPLE = "sample"  # 抽查
    FREEZE = "freeze"  # 建议冻结


class PartyTrait(Table):
    """Keyed hashes of what an organisation is recognised by, brought up to date when its orders are looked at."""

    organisation = reference("Organisation")
    kind = chars(16)
    digest = BlindIndex()
    noted_at = moment()

    class Meta:
        table = "party_traits"
        unique_together = (("organisation_id", "kind", "digest"),)
        indexes = (("kind", "digest"),)


class RiskSignal(Table):
    """One reason to look at an order. `facts`: [{who, what, value, at}], personal values masked.

    `digest` (SHA-256) is of what makes it this reason and no other, so that it is kept once however often it is found.
    """

    order = reference("Order")
    kind = chars(24)
    weight = fields.SmallIntField()
    digest = chars(64)
    facts: fields.Field[list[dict[str, object]]] = fields.JSONField()
    found_at = moment()

    class Meta:
        table = "risk_signals"
        unique_together = (("order_id", "kind", "digest"),)
        constraints = (CheckConstraint(check="weight > 0", name="risk_signals_weigh_something"),)


class OrderRisk(Table):
    """The sum of an order's signals, each kind counted once. An order without signals has no row."""

    order = reference("Order")
    score = fields.IntField()
    verdict = chars(8)
    assessed_at = moment()

    class Meta:
        table = "order_risks"
        constraints = (
            UniqueConstraint(fields=("order_id",), name="order_risks_once"),
            CheckConstraint(check="verdict IN ('none','sample','freeze')", name="order_risks_verdict_known"),
        )


class Freeze(Table):
    """冻结 of an order (O13): by one officer, lifted by another. While it lasts the order carries `frozen_at`."""

    order = reference("Order")
    reason = chars(500)
    frozen_by = reference("Person")
    frozen_at = moment()
    lift_reason = chars(500, null=True)
    lifted_by = reference("Person", null=True)
    lifted_at = moment(null=True)

    class Meta:
        table = "freezes"
        indexes = (("order_id",), ("frozen_by_id",), ("lifted_by_id",))
        constraints = (
            UniqueConstraint(fields=("order_id",), name="freezes_one_alive", condition="lifted_at IS NULL"),
            CheckConstraint(check="lifted_by_id IS DISTINCT FROM frozen_by_id", name="freezes_four_eyes"),
            CheckConstraint(
                check="(lifted_at IS NULL) = (lifted_by_id IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL)",
                name="freezes_lifted_with_reason",
            ),
        )
