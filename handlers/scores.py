"""What counts for an institution and its consultants (A07, D18, D21, F27)."""

from handlers.transactions import Transaction
from models.scores import ScoreKind

COUNT = """
INSERT INTO score_events (kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, happened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, subject, subject_id) DO NOTHING
"""
REVOKE = "UPDATE score_events SET revoked_at = $4 WHERE kind = $1 AND subject = $2 AND subject_id = $3 AND revoked_at IS NULL"


async def count(
    tx: Transaction, kind: ScoreKind, subject: str, subject_id: int, *, institution_id: int, consultant_id: int | None = None,
    enterprise_id: int | None = None, **facts: object,
) -> None:
    """Note something that counts, in the commit in which it happened; a second time it changes nothing."""
    await tx.run(COUNT, kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, tx.ctx.now)


async def revoke(tx: Transaction, kind: ScoreKind, subject: str, subject_id: int) -> None:
    """It counts no more, from the commit in which it was found false; that it once did stays visible."""
    await tx.run(REVOKE, kind, subject, subject_id, tx.ctx.now)
