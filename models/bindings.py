"""Who somebody is in a chat, for whom they act there, and the codes that join a chat to a person."""

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, moment, reference


class BotIdentity(Table):
    """A person's identity in a chat. Whom they act for there is independent of their phones' sessions.

    `left_at`: they no longer follow the account, so nothing can be sent; the binding stays for when they return.
    `ended_at`: unbound, while the identity itself stays because the person also signs in with it (DingTalk).
    """

    identity = reference("Identity")
    membership = reference("Membership", null=True)
    has_chosen = fields.BooleanField(default=False)  # also for "nobody": then the only membership is not taken by itself
    tagged_as = fields.CharField(max_length=16, null=True)  # the Official Account's tag, which decides on the menu
    bound_at = moment()
    left_at = moment(null=True)
    ended_at = moment(null=True)

    class Meta:
        table = "bot_identities"
        indexes = (("membership_id",),)
        constraints = (UniqueConstraint(fields=("identity_id",), name="bot_identities_once"),)


class Binding(Table):
    """A code that joins the chat which shows it to the person who asked for it: once, and for ten minutes. Only hashes are kept."""

    person = reference("Person")
    scene_hash = fields.BinaryField()
    code_hash = fields.BinaryField()
    created_at = moment()
    expires_at = moment()
    used_at = moment(null=True)
    identity = reference("Identity", null=True)

    class Meta:
        table = "bindings"
        indexes = (("person_id",), ("identity_id",), ("expires_at",))
        constraints = (
            UniqueConstraint(fields=("scene_hash",), name="bindings_scene_once"),
            # Two that are open at the same time never share a code.
            UniqueConstraint(fields=("code_hash",), name="bindings_code_once", condition="used_at IS NULL"),
            CheckConstraint(check="identity_id IS NULL OR used_at IS NOT NULL", name="bindings_used_when"),
        )
