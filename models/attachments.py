"""Files that people upload (E08-E10, C13)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class AttachmentState(StrEnum):
    UPLOADING = "uploading"
    STORED = "stored"
    DELETED = "deleted"


ATTACHMENT_GRAPH = Graph("attachment", "attachments", AttachmentState, {
    (AttachmentState.UPLOADING, AttachmentState.STORED): "attachment.stored",
    (AttachmentState.UPLOADING, AttachmentState.DELETED): "attachment.abandoned",
    (AttachmentState.STORED, AttachmentState.DELETED): "attachment.deleted",
})


class Attachment(Table):
    """`slot` says what the file is for (business_licence, …); its row is there before its bytes are, so none is orphaned.

    `purge_at`: deleted, and from then on its bytes are to be; `purged_at`: they are gone. `copy_due_at`: there may be a public copy
    (handlers/pictures.py), and then it is looked at whether anything shows it.
    """

    organisation = reference("Organisation")
    uploaded_by = reference("Person")
    slot = chars(48)
    display_name = chars(200)
    media_type = chars(100, null=True)
    size = fields.BigIntField(null=True)
    sha256 = fields.BinaryField(null=True)
    storage_key = chars(100, unique=True)
    state = state(AttachmentState)
    created_at = moment()
    purge_at = moment(null=True)
    purged_at = moment(null=True)
    copy_due_at = moment(null=True)

    class Meta:
        table = "attachments"
        indexes = (("organisation_id",), ("uploaded_by_id",))
        constraints = (
            CheckConstraint(
                check="num_nonnulls(purge_at, purged_at) = CASE WHEN state = 'deleted' THEN 1 ELSE 0 END",
                name="attachments_deleted_is_purged_or_due",
            ),
            CheckConstraint(
                check="state <> 'stored' OR (media_type IS NOT NULL AND size > 0 AND sha256 IS NOT NULL)",
                name="attachments_stored_is_known",
            ),
        )


class ApplicationFile(Table):
    application = reference("Application")
    attachment = reference("Attachment")
    slot = chars(48)

    class Meta:
        table = "application_files"
        unique_together = (("application_id", "slot", "attachment_id"),)
        indexes = (("attachment_id",),)
