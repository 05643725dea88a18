"""From something that happened to a message on a phone (F23)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import BlindIndex, Sealed, Table, chars, moment, reference, state
from models.states import Graph


class Event(Table):
    """The outbox: written in the commit of the change, opened into notices by the jobs."""

    kind = chars(48)
    organisation_id = fields.BigIntField(null=True)  # its members with `roles` ...
    person_id = fields.BigIntField(null=True)        # ... or this person ...
    role = chars(24, null=True)                       # ... or officials with this role over region or park
    region_code = chars(6, null=True)
    park_id = fields.BigIntField(null=True)
    address = Sealed(null=True)                       # ... or whoever reads this phone or mailbox, with an account or without
    secrets = Sealed(null=True)                       # facts that only the message may show, as JSON: a link, a code
    channel = chars(24, null=True)                    # of `address`
    actor_id = fields.BigIntField(null=True)          # whose doing it tells: the answer to that person waits for no morning
    subject = chars(32)
    subject_id = fields.BigIntField()
    data: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    created_at = moment()
    opened_at = moment(null=True)

    class Meta:
        table = "events"
        constraints = (
            CheckConstraint(check="address IS NULL OR (channel IS NOT NULL AND person_id IS NULL)", name="events_one_reader"),
            # Both move to the delivery when the event is opened.
            CheckConstraint(check="opened_at IS NULL OR (address IS NULL AND secrets IS NULL)", name="events_opened_forget"),
        )


class Notice(Table):
    """One message to one person: the inbox twin. Whatever the channels do, it can be read here.

    Without a person it is one to a bare address, whose reader has no inbox.
    """

    event = reference("Event")
    person = reference("Person", null=True)
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
        constraints = (UniqueConstraint(fields=("event_id",), name="notices_outside_once", condition="person_id IS NULL"),)


class Channel(StrEnum):
    WECHAT_SUBSCRIBE = "wechat_subscribe"
    WECHAT_OA_TEMPLATE = "wechat_oa_template"
    DINGTALK_NOTICE = "dingtalk_notice"
    EMAIL = "email"
    SMS = "sms"
    INBOX = "inbox"


class DeliveryState(StrEnum):
    PLANNED = "planned"
    HELD = "held"              # for the end of the reader's quiet hours
    SENDING = "sending"
    ACCEPTED = "accepted"      # the platform took it; a receipt is still awaited (DingTalk)
    DELIVERED = "delivered"
    NO_CONSENT = "no_consent"  # 43101 and its like: not an error, the next channel has it
    FAILED = "failed"          # a terminal code: the next channel has it
    DEAD = "dead"              # 48 hours of retries are over; shown to operators
    SUPERSEDED = "superseded"
    RECALLING = "recalling"    # overtaken after it was sent: the platform is asked to take it back
    RECALLED = "recalled"


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
    (S.SENDING, S.SUPERSEDED): "delivery.over",
    (S.SENDING, S.HELD): "delivery.held",
    (S.HELD, S.PLANNED): "delivery.released",
    (S.HELD, S.SUPERSEDED): "delivery.digested",
    (S.ACCEPTED, S.RECALLING): "delivery.recall_due",
    (S.DELIVERED, S.RECALLING): "delivery.recall_due",
    (S.RECALLING, S.RECALLED): "delivery.recalled",
    (S.RECALLING, S.DELIVERED): "delivery.recall_refused",
})


class Delivery(Table):
    """One attempt chain of one notice on one channel; `step` is its place in the fallback chain.

    With an `address` it has no person: it waits for nobody's other messages, and what is secret is forgotten when it is over.
    """

    notice = reference("Notice")
    person = reference("Person", null=True)
    address = Sealed(null=True)
    secrets = Sealed(null=True)
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
        constraints = (
            CheckConstraint(check="person_id IS NULL OR (address IS NULL AND secrets IS NULL)", name="deliveries_one_reader"),
            CheckConstraint(
                check="person_id IS NOT NULL OR address IS NOT NULL OR state NOT IN ('held','planned','sending')",
                name="deliveries_have_an_address_while_they_wait",
            ),
        )


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


class NoticePreference(Table):
    """What somebody does not want to be told where, and when not at all. Without a row: everything, quiet at night."""

    person = reference("Person")
    muted: fields.Field[dict[str, list[str]]] = fields.JSONField(default=dict)  # group of kinds -> channels that are off
    quiet_from = fields.SmallIntField(null=True)   # minutes of the day in Shanghai; both null: no quiet hours
    quiet_until = fields.SmallIntField(null=True)
    updated_at = moment()

    class Meta:
        table = "notice_preferences"
        constraints = (
            UniqueConstraint(fields=("person_id",), name="notice_preferences_once"),
            CheckConstraint(
                check="(quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from BETWEEN 0 AND 1439"
                      " AND quiet_until BETWEEN 0 AND 1439 AND quiet_from <> quiet_until",
                name="notice_preferences_quiet_hours",
            ),
        )


class EmailCode(Table):
    """A mailbox that somebody says is theirs: they know the code that was sent to it. The newest one of a person counts, once."""

    person = reference("Person")
    email = Sealed()
    email_index = BlindIndex()
    code_hash = fields.BinaryField()
    tries_left = fields.SmallIntField()
    sent_at = moment()
    expires_at = moment()
    used_at = moment(null=True)

    class Meta:
        table = "email_codes"
        indexes = (("person_id", "sent_at"), ("email_index", "sent_at"), ("sent_at",))
        constraints = (CheckConstraint(check="tries_left >= 0", name="email_codes_tries_not_negative"),)
