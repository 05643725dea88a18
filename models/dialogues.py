"""Where somebody is in a conversation of several steps with the bot, and links that are used once (decisions 0190, 0192)."""

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, moment, reference


class Dialogue(Table):
    """One for each identity: a new one takes the place of the old. `slots` holds what has been answered, nothing personal in clear.

    `message_id` moved it last. It is kept after the end (`finished_at`), so that the same message said twice has one effect and one answer.
    """

    identity = reference("Identity")
    person = reference("Person")
    membership = reference("Membership")
    intent = chars(32)
    step = chars(32)
    slots: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    private = Sealed(null=True)  # what is personal among the answers, as JSON
    message_id = chars(128)
    version = fields.IntField(default=1)
    expires_at = moment()
    finished_at = moment(null=True)
    updated_at = moment()

    class Meta:
        table = "dialogues"
        indexes = (("person_id",), ("membership_id",), ("expires_at",))
        constraints = (
            UniqueConstraint(fields=("identity_id",), name="dialogues_one_for_each_identity"),
            CheckConstraint(check="expires_at > updated_at", name="dialogues_expire_later"),
        )


class TalkLines(Table):
    """The last things that one identity said, scrubbed, as JSON: for half an hour, in case they ask for a human."""

    identity = reference("Identity")
    lines = Sealed()
    said_at = moment()

    class Meta:
        table = "talk_lines"
        indexes = (("said_at",),)
        constraints = (UniqueConstraint(fields=("identity_id",), name="talk_lines_one_for_each_identity"),)


class HelpRequest(Table):
    """转人工: somebody waits for a human of their division. `lines`, what they said before, go with the answer."""

    person = reference("Person")
    organisation = reference("Organisation", null=True)
    region_code = chars(6, null=True)  # of the organisation; null: for those who are responsible for the whole platform
    lines = Sealed(null=True)
    asked_at = moment()
    due_at = moment()
    answer = chars(480, null=True)
    answered_by = reference("Person", null=True)
    answered_at = moment(null=True)

    class Meta:
        table = "help_requests"
        indexes = (("person_id",), ("organisation_id",), ("answered_by_id",), ("answered_at", "region_code"))
        constraints = (
            UniqueConstraint(fields=("person_id",), name="help_requests_one_open", condition="answered_at IS NULL"),
            CheckConstraint(check="num_nonnulls(answer, answered_by_id, answered_at) IN (0, 3)", name="help_requests_answered_by_somebody"),
            CheckConstraint(check="answered_at IS NULL OR lines IS NULL", name="help_requests_forget_words"),
        )


class StatementLink(Table):
    """A statement that can be fetched once by whoever holds the link. Only the SHA-256 of the token is kept."""

    token_hash = fields.BinaryField()
    person = reference("Person")
    membership = reference("Membership")
    organisation = reference("Organisation")
    since = fields.DateField()
    before = fields.DateField()
    kind = chars(4)
    made_at = moment()
    expires_at = moment()
    used_at = moment(null=True)

    class Meta:
        table = "statement_links"
        indexes = (("person_id",), ("membership_id",), ("organisation_id",), ("expires_at",))
        constraints = (
            UniqueConstraint(fields=("token_hash",), name="statement_links_token_once"),
            CheckConstraint(check="since < before", name="statement_links_have_a_period"),
            CheckConstraint(check="kind IN ('xlsx','pdf')", name="statement_links_kind_known"),
            CheckConstraint(check="used_at IS NULL OR used_at < expires_at", name="statement_links_used_in_time"),
        )


class ReviewDigest(Table):
    """A reviewer was told of the queue as it was at nine o'clock: once a day and person, whatever memberships there are."""

    person = reference("Person")
    day = fields.DateField()  # Asia/Shanghai
    waiting = fields.IntField()
    late = fields.IntField()
    sent_at = moment()

    class Meta:
        table = "review_digests"
        constraints = (
            UniqueConstraint(fields=("person_id", "day"), name="digests_once_a_day"),
            CheckConstraint(check="waiting > 0 AND late BETWEEN 0 AND waiting", name="digests_say_something"),
        )
