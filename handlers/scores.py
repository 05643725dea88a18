"""What counts for an institution and its consultants (A07, D18, D21, F27)."""

from handlers.transactions import Transaction
from models.scores import ScoreKind

COUNT = """
INSERT INTO score_events (kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, happened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, subject, subject_id) DO NOTHING
"""


async def count(
    tx: Transaction, kind: ScoreKind, subject: str, subject_id: int, *, institution_id: int, consultant_id: int | None = None,
    enterprise_id: int | None = None, **facts: object,
) -> None:
    """Note something that counts, in the commit in which it happened; a second time it changes nothing."""
    await tx.run(COUNT, kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, tx.ctx.now)
