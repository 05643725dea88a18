"""A person who was known by a phone alone, from the page of an invitation, signs in for the first time and binds that phone (F08).

Whoever the platform vouches for has the phone, so they are that person: what hangs on the phone comes over, and the other is a name
without anything. Two persons who both sign in stay two.
"""

from typing import Any

from handlers.transactions import Transaction

# Whoever gives or takes a phone waits here for the others of the same number: one person for one phone.
LOCK_PHONE = "SELECT pg_advisory_xact_lock(hashtextextended('phone|' || encode($1, 'hex'), 0))"
KNOWN_BY_PHONE = """
SELECT * FROM persons p WHERE phone_index = $1 AND id <> $2 AND NOT EXISTS (SELECT FROM identities i WHERE i.person_id = p.id)
FOR NO KEY UPDATE
"""
COME_OVER = (
    "UPDATE consultants SET person_id = $2 WHERE person_id = $1",
    "UPDATE memberships SET person_id = $2 WHERE person_id = $1",
    "UPDATE approvals SET submitted_by_id = $2 WHERE submitted_by_id = $1 AND state = 'open'",
    "UPDATE attachments SET uploaded_by_id = $2 WHERE uploaded_by_id = $1",
    "UPDATE notices SET person_id = $2 WHERE person_id = $1",
    "UPDATE persons SET name = coalesce(name, (SELECT name FROM persons WHERE id = $1)) WHERE id = $2",
    "UPDATE persons SET name = NULL, phone = NULL, phone_index = NULL WHERE id = $1 AND id <> $2::bigint",
)


async def lock_phone(tx: Transaction, index: bytes) -> None:
    await tx.value(LOCK_PHONE, index)


async def take_over(tx: Transaction, index: bytes, person_id: int) -> None:
    """Everything of the person whom nothing but this phone identified; nothing where there is none."""
    known: Any = await tx.row(KNOWN_BY_PHONE, index, person_id)
    if known is None:
        return
    for statement in COME_OVER:
        await tx.run(statement, known.id, person_id)
    tx.record("person.signed_in_at_last", "person", person_id, known_as=known.id)
