"""What the platforms pushed to us, until it has been handled, and how many answers each of them still lets us send (0180, 0183)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, moment, reference, state
from models.states import Graph


class InboundState(StrEnum):
    RECEIVED = "received"  # verified and kept; the platform has been told that all is well
    WORKING = "working"    # a worker holds it, until its lease ends
    DONE = "done"
    FAILED = "failed"      # tried several times; the person has been told


S = InboundState
INBOUND_GRAPH = Graph("inbound_message", "inbound_messages", InboundState, {
    (S.RECEIVED, S.WORKING): "inbound_message.claimed",
    (S.WORKING, S.RECEIVED): "inbound_message.retried",
    (S.WORKING, S.DONE): "inbound_message.done",
    (S.WORKING, S.FAILED): "inbound_message.failed",
})


class InboundKind(StrEnum):
    SAID = "said"    # somebody wrote or tapped: one after the other for each person
    EVENT = "event"  # the platform tells of something: in any order


class InboundMessage(Table):
    """One push, once, however often the platform repeats it: the key is unique, and is written with the message, not before it.

    What was said stays only until it is understood, the answer only until it is sent; both are sealed.
    """

    platform = chars(16)
    app_id = chars(64)
    open_id = chars(128)
    kind = chars(8)
    dedupe_hash = fields.BinaryField()  # SHA-256 of what makes a push itself: MsgId, or sender, second, event and its key
    state = state(InboundState)
    payload = Sealed(null=True)
    answer = Sealed(null=True)
    attempts = fields.SmallIntField(default=0)
    received_at = moment()
    due_at = moment()
    leased_until = moment(null=True)
    finished_at = moment(null=True)
    error = chars(64, null=True)

    class Meta:
        table = "inbound_messages"
        constraints = (
            UniqueConstraint(fields=("platform", "app_id", "dedupe_hash"), name="inbound_messages_once"),
            CheckConstraint(
                check="state NOT IN ('done','failed') OR (payload IS NULL AND answer IS NULL)", name="inbound_messages_forget_words",
            ),
            CheckConstraint(check="(state IN ('done','failed')) = (finished_at IS NOT NULL)", name="inbound_messages_finished_when"),
            CheckConstraint(check="(state = 'working') = (leased_until IS NOT NULL)", name="inbound_messages_leased_while_working"),
            CheckConstraint(check="kind IN ('said','event')", name="inbound_messages_kind_known"),
        )


class TalkWindow(Table):
    """What a platform still lets us send to one person: 5 messages in 48 hours after a message, 3 in a minute after a tap.

    Kept for everybody who speaks to us, bound or not; also how often they typed a wrong binding code.
    """

    platform = chars(16)
    app_id = chars(64)
    open_id = chars(128)
    message_left = fields.SmallIntField(default=0)
    message_until = moment()
    tap_left = fields.SmallIntField(default=0)
    tap_until = moment()
    wrong_codes = fields.SmallIntField(default=0)
    wrong_since = moment()
    unbound_at = moment(null=True)  # asked to be forgotten: never bound again by a union id alone

    class Meta:
        table = "talk_windows"
        unique_together = (("platform", "app_id", "open_id"),)
        constraints = (CheckConstraint(check="message_left >= 0 AND tap_left >= 0", name="talk_windows_not_negative"),)


class BotCard(Table):
    """An interactive card that somebody has in their chat: when its matter is settled, everybody's card of that key says so."""

    app_id = chars(64)
    open_id = chars(128)
    card_key = chars(100)
    track_id = chars(100)
    delivered_at = moment()
    approval = reference("Approval", null=True)  # the case it is about, if it is about one
    due_at = moment(null=True)  # not before then is it asked whether the case is over; null: the card says so already
    attempts = fields.SmallIntField(default=0)

    class Meta:
        table = "bot_cards"
        unique_together = (("app_id", "card_key", "open_id"),)
        indexes = (("delivered_at",), ("approval_id",))
        constraints = (
            UniqueConstraint(fields=("track_id",), name="bot_cards_track_once"),
            CheckConstraint(check="due_at IS NULL OR approval_id IS NOT NULL", name="bot_cards_wait_for_a_case"),
        )
