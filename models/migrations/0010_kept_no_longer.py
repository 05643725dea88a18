from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint

from models.fields import Sealed


class Migration(migrations.Migration):
    """Bytes of deleted files and public copies that nothing shows go (docs/decisions/0240), and what is kept for a time ends (0241)."""

    dependencies = [("models", "0009_asked_under_a_key")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Attachment", name="purge_at", field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="Attachment", name="purged_at", field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="Attachment", name="copy_due_at", field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        # Nobody wrote down which deletions reached the storage, and which pictures have a copy: all of them are looked at once.
        ops.RunSQL("""
UPDATE attachments SET purge_at = CASE WHEN state = 'deleted' THEN created_at END,
  copy_due_at = CASE WHEN media_type IN ('image/jpeg', 'image/png') THEN created_at END
WHERE state = 'deleted' OR media_type IN ('image/jpeg', 'image/png')
""", reverse_sql="SELECT 1"),
        ops.AddConstraint(
            model_name="Attachment",
            constraint=CheckConstraint(
                check="num_nonnulls(purge_at, purged_at) = CASE WHEN state = 'deleted' THEN 1 ELSE 0 END",
                name="attachments_deleted_is_purged_or_due",
            ),
        ),
        ops.RunSQL("""
CREATE INDEX attachments_purge_due ON attachments (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX attachments_copy_due ON attachments (copy_due_at) WHERE copy_due_at IS NOT NULL;
""", reverse_sql="DROP INDEX attachments_copy_due, attachments_purge_due"),
        ops.AlterField(model_name="PayoutLine", name="bank_account", field=Sealed(null=True)),
        ops.AddConstraint(
            model_name="PayoutLine",
            constraint=CheckConstraint(check="state <> 'pending' OR bank_account IS NOT NULL", name="payout_lines_go_somewhere"),
        ),
        ops.AddField(
            model_name="Person", name="closed_at", field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddConstraint(
            model_name="Person",
            constraint=CheckConstraint(
                check="closed_at IS NULL OR num_nonnulls(name, phone, phone_index, email, email_index) = 0",
                name="persons_closed_are_nobody",
            ),
        ),
        # Of the millions of files only the photos of consultants are asked for each hour.
        ops.RunSQL(
            "CREATE INDEX attachments_consultant_photos ON attachments (uploaded_by_id) WHERE slot = 'consultant_photo' AND state = 'stored'",
            reverse_sql="DROP INDEX attachments_consultant_photos",
        ),
    ]
