"""From something that happened to a message on a phone (F23, section 5.2)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class Event(Table):
    """The outbox: written in the commit of the change, opened into notices by the jobs."""

    kind = chars(48)
    organisation_id = fields.BigIntField(null=True)  # its members with `roles` ...
    person_id = fields.BigIntField(null=True)        # ... or this person ...
    role = chars(24, null=True)                       # ... or officials with this role over region or park
    region_code = chars(6, null=True)
    park_id = fields.BigIntField(null=True)
    subject = chars(32)
    subject_id = fields.BigIntField()
    data: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    created_at = moment()
    opened_at = moment(null=True)

    class Meta:
        table = "events"


class Notice(Table):
    """One message to one person: the inbox twin. Whatever the channels do, it can be read here."""

    event = reference("Event")
    person = reference("Person")
    organisation_id = fields.BigIntField(null=True)
    kind = chars(48)
    title = chars(64)
    body = chars(500)
    page = chars(200)
    data: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    created_at = moment()
    read_at = moment(null=True)
    superseded_at = moment(null=True)

    class Meta:
        table = "notices"
        unique_together = (("event_id", "person_id"),)
        indexes = (("person_id", "id"),)


class Channel(StrEnum):
    WECHAT_SUBSCRIBE = "wechat_subscribe"
    WECHAT_OA_TEMPLATE = "wechat_oa_template"
    DINGTALK_NOTICE = "dingtalk_notice"
    INBOX = "inbox"


class DeliveryState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"      # the platform took it; a receipt is still awaited (DingTalk)
    DELIVERED = "delivered"
    NO_CONSENT = "no_consent"  # 43101 and its like: not an error, the next channel has it
    FAILED = "failed"          # a terminal code: the next channel has it
    DEAD = "dead"              # 48 hours of retries are over; shown to operators
    SUPERSEDED = "superseded"


S = DeliveryState
DELIVERY_GRAPH = Graph("delivery", "deliveries", DeliveryState, {
    (S.PLANNED, S.SENDING): "delivery.claimed",
    (S.SENDING, S.PLANNED): "delivery.retried",
    (S.SENDING, S.ACCEPTED): "delivery.accepted",
    (S.SENDING, S.DELIVERED): "delivery.delivered",
    (S.SENDING, S.NO_CONSENT): "delivery.no_consent",
    (S.SENDING, S.FAILED): "delivery.failed",
    (S.SENDING, S.DEAD): "delivery.dead",
    (S.ACCEPTED, S.DELIVERED): "delivery.receipt",
    (S.ACCEPTED, S.FAILED): "delivery.refused",
    (S.PLANNED, S.SUPERSEDED): "delivery.superseded",
})


class Delivery(Table):
    """One attempt chain of one notice on one channel; `step` is its place in the fallback chain."""

    notice = reference("Notice")
    person = reference("Person")
    step = fields.SmallIntField()
    channel = chars(24)
    state = state(DeliveryState)
    attempts = fields.SmallIntField(default=0)
    due_at = moment()
    give_up_at = moment()
    leased_until = moment(null=True)
    provider_id = chars(64, null=True)
    error = chars(200, null=True)
    finished_at = moment(null=True)

    class Meta:
        table = "deliveries"
        unique_together = (("notice_id", "step"),)
        indexes = (("person_id", "id"),)


class Subscription(Table):
    """Expected acceptances of a WeChat template by a person: a hint, never the truth (43101 is)."""

    identity = reference("Identity")
    template = chars(48)
    remaining = fields.IntField(default=0)
    updated_at = moment()

    class Meta:
        table = "subscriptions"
        unique_together = (("identity_id", "template"),)
        constraints = (CheckConstraint(check="remaining >= 0", name="subscriptions_not_negative"),)


class SubscriptionReport(Table):
    """A consent that was counted, once, however often the phone or the platform repeats it."""

    identity = reference("Identity")
    template = chars(48)
    nonce = chars(64)
    answer = chars(16)
    source = chars(8, default="phone")  # the phone's own report, or the platform's push about the same popup
    is_paired = fields.BooleanField(default=False)  # the other source has told of it too
    reported_at = moment()

    class Meta:
        table = "subscription_reports"
        constraints = (
            UniqueConstraint(fields=("identity_id", "template", "nonce"), name="subscription_reports_once"),
            CheckConstraint(check="source IN ('phone', 'push')", name="subscription_reports_source_known"),
        )
