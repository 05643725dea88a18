"""The end of what is kept for a time: each promise of models/personal.py that a clock can keep (PIPL 19, 47; docs/decisions/0241).

Nothing here waits for anybody: a row that is held is taken the next day.
"""

from typing import Any

from handlers.attachments import KEEPERS
from handlers.context import Context
from handlers.moves import move
from handlers.transactions import Transaction, transaction
from models.attachments import ATTACHMENT_GRAPH, AttachmentState
from models.personal import kept_for

# A form that nobody decides on counts from when somebody last wrote it; one that waits for a decision is not over.
APPLICATIONS = """
UPDATE applications SET contact_name = NULL, contact_phone = NULL, contact_email = NULL, legal_person_name = NULL,
  legal_person_id_number = NULL, bank_account = NULL
WHERE id IN (
  SELECT id FROM applications WHERE state <> 'submitted' AND greatest(decided_at, updated_at) <= $1
    AND num_nonnulls(contact_name, contact_phone, contact_email, legal_person_name, legal_person_id_number, bank_account) > 0
  ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""
TRANSFERS = """
UPDATE payout_lines SET bank_account = NULL, bank_branch = '', bank_reference = NULL WHERE id IN (
  SELECT id FROM payout_lines WHERE answered_at <= $1 AND bank_account IS NOT NULL ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""
# By what both sides of an order were compared: as long as one of its orders may be audited.
TRAITS = """
DELETE FROM party_traits WHERE id IN (
  SELECT t.id FROM party_traits t WHERE t.noted_at <= $1 AND NOT EXISTS (
    SELECT 1 FROM orders o WHERE t.organisation_id IN (o.enterprise_id, o.institution_id)
      AND (coalesce(o.completed_at, o.closed_at) IS NULL OR coalesce(o.completed_at, o.closed_at) > $1))
  ORDER BY t.id LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id
"""
CONSULTANTS = """
UPDATE consultants SET name = NULL, phone = NULL, phone_index = NULL, email = NULL WHERE id IN (
  SELECT id FROM consultants WHERE state = 'ended' AND ended_at <= $1 AND num_nonnulls(name, phone, phone_index, email) > 0
  ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""
INVITATIONS = """
UPDATE invitations SET phone_index = NULL WHERE id IN (
  SELECT id FROM invitations WHERE ended_at <= $1 AND phone_index IS NOT NULL ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
)
"""
# Also those that were uploaded and never chosen.
PHOTOS = """
SELECT f.* FROM attachments f JOIN consultants c ON c.institution_id = f.organisation_id AND c.person_id = f.uploaded_by_id
WHERE f.slot = 'consultant_photo' AND f.state = 'stored' AND c.state = 'ended' AND c.ended_at <= $1
ORDER BY f.id LIMIT $2 FOR NO KEY UPDATE OF f SKIP LOCKED
"""
NO_PHOTO = "UPDATE consultants SET photo_id = NULL WHERE photo_id = ANY($1::bigint[]) AND state = 'ended'"
ELSEWHERE = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} l WHERE l.attachment_id = f.id)"
    for table in KEEPERS if table not in {"application_files", "redemption_files", "invoices"}
)
# Papers of applications and redemptions, when all that they were handed in for is over and nothing else has them.
PAPERS = f"""
SELECT f.* FROM attachments f
WHERE f.state = 'stored' AND f.created_at <= $1 AND (
    EXISTS (SELECT 1 FROM application_files l WHERE l.attachment_id = f.id)
    OR EXISTS (SELECT 1 FROM redemption_files l WHERE l.attachment_id = f.id)
    OR EXISTS (SELECT 1 FROM invoices l WHERE l.attachment_id = f.id))
  AND NOT EXISTS (
    SELECT 1 FROM application_files l JOIN applications a ON a.id = l.application_id
    WHERE l.attachment_id = f.id AND (a.state = 'submitted' OR greatest(a.decided_at, a.updated_at) > $1))
  AND NOT EXISTS (
    SELECT 1 FROM (SELECT redemption_id FROM redemption_files WHERE attachment_id = f.id
                   UNION SELECT redemption_id FROM invoices WHERE attachment_id = f.id) l
    JOIN redemptions r ON r.id = l.redemption_id
    WHERE r.state NOT IN ('redeemed', 'rejected') OR coalesce(r.paid_at, r.decided_at, r.submitted_at) > $1)
  AND {ELSEWHERE}
  AND NOT EXISTS (SELECT 1 FROM consultants l WHERE l.photo_id = f.id)
ORDER BY f.id LIMIT $2 FOR NO KEY UPDATE OF f SKIP LOCKED
"""


async def forget_applications(ctx: Context, limit: int = 500) -> int:
    """Sweep: the personal values of forms that were decided on ten years ago. Returns how many forms."""
    return await _forget(ctx, APPLICATIONS, "applications", "legal_person_id_number", "application.personal_forgotten", limit)


async def forget_transfers(ctx: Context, limit: int = 500) -> int:
    """Sweep: the accounts of transfers that the bank answered for ten years ago. Returns how many."""
    return await _forget(ctx, TRANSFERS, "payout_lines", "bank_account", "payout_line.account_forgotten", limit)


async def forget_traits(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: keyed hashes of organisations whose last order was over ten years ago. Returns how many."""
    return await _forget(ctx, TRAITS, "party_traits", "digest", "party_trait.forgotten", limit)


async def forget_consultants(ctx: Context, limit: int = 500) -> int:
    """Sweep: who somebody was and how to reach them, ten years after they left an institution. Returns how many."""
    return await _forget(ctx, CONSULTANTS, "consultants", "name", "consultant.forgotten", limit)


async def forget_invited(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: whom an invitation was for, a month after it was over. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(INVITATIONS, ctx.now - kept_for("invitations", "phone_index"), limit)


async def forget_photos(ctx: Context, limit: int = 100) -> int:
    """Sweep: a photo was public by consent while its consultant was; with the link it goes. Returns how many files."""
    async with transaction(ctx) as tx:
        photos = await tx.rows(PHOTOS, ctx.now - kept_for("consultants", "photo_id"), limit)
        await tx.run(NO_PHOTO, [photo.id for photo in photos])
        return await _delete(tx, photos)


async def forget_papers(ctx: Context, limit: int = 100) -> int:
    """Sweep: what was handed in for applications and redemptions that were over ten years ago. Returns how many files."""
    async with transaction(ctx) as tx:
        return await _delete(tx, await tx.rows(PAPERS, ctx.now - kept_for("applications", "legal_person_id_number"), limit))


async def _forget(ctx: Context, statement: str, table: str, column: str, action: str, limit: int) -> int:
    async with transaction(ctx) as tx:
        found = await tx.rows(statement, ctx.now - kept_for(table, column), limit)
        if found:
            tx.record(action, table, min(one.id for one in found), count=len(found))
        return len(found)


async def _delete(tx: Transaction, files: list[Any]) -> int:
    """The rows now, the bytes behind the commit by `attachments.purge_deleted`."""
    for each in files:
        await move(tx, ATTACHMENT_GRAPH, each, AttachmentState.DELETED, purge_at=tx.ctx.now)
    return len(files)
