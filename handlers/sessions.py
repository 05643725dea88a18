"""Who a bearer token stands for, and whether the request has been carried out before: one statement answers both, and more."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import asyncpg

from handlers.context import Actor, Idempotency
from handlers.refusals import Busy, Kind, Refusal
from handlers.transactions import gathered_row, row
from models.accounts import OrganisationKind, Role

# A membership that has ended leaves the person signed in without an organisation, free to switch to another one.
RESOLVE = """
SELECT s.id AS session_id, s.person_id, s.identity_id, s.revoked_at IS NULL AND s.expires_at > $2 AS is_open,
       m.id AS membership_id, m.role, m.region_code, m.park_id, m.organisation_id, o.kind AS organisation_kind,
       k.body_hash, k.answer
FROM sessions s
LEFT JOIN memberships m ON m.id = s.membership_id AND m.state = 'active'
LEFT JOIN organisations o ON o.id = m.organisation_id
LEFT JOIN idempotency_keys k
  ON k.principal = 'p' || s.person_id || ':m' || coalesce(m.id, 0) AND k.operation = $3 AND k.key = $4
WHERE s.token_hash = $1
"""
ASKED = ("bytea", "timestamptz", "varchar", "varchar")  # token's hash, now, operation, idempotency key


@dataclass(frozen=True)
class Reading:
    """What a use-case looks at first, read by the statement that resolves the session: a round trip less (`Context.read`).

    `sql` selects at most one row of the acting organisation, which is `me.organisation_id`; what is in the path is $1 and so on.
    Whoever asks may turn out to have no right to it: then nobody looks at what was read. No column may be called as one of RESOLVE,
    or `asker`.
    """

    sql: str
    kinds: tuple[str, ...]  # PostgreSQL's, of what is in the path

    @cached_property
    def with_session(self) -> str:
        own = re.sub(r"\$(\d+)", lambda number: f"${int(number[1]) + 4}", self.sql)
        return f"SELECT * FROM ({RESOLVE}) me LEFT JOIN LATERAL ({own}) found ON true"


KEPT = "SELECT body_hash, answer FROM idempotency_keys WHERE principal = $1 AND operation = $2 AND key = $3"


class NotSignedIn(Refusal):
    kind, code, title = Kind.UNAUTHENTICATED, "not_signed_in", "请先登录"


class SessionEnded(Refusal):
    """Expired, signed out elsewhere, or revoked by an administrator."""

    kind, code, title = Kind.UNAUTHENTICATED, "session_ended", "登录已失效，请重新登录"


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier request with the same key asked (keyed) and was answered (JSON, always a success)."""

    body_hash: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class Resolved:
    """`read`: a row with what a `Reading` asked for; its columns are null if there is nothing."""

    actor: Actor
    kept: Kept | None
    read: Any = None

    @property
    def principal(self) -> str:
        """Whose idempotency keys these are: the same person in another organisation is another one."""
        return f"p{self.actor.person_id}:m{self.actor.membership_id or 0}"


def token_hash(token: str) -> bytes:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode()).digest()


async def resolve(
    token: str, now: datetime, operation: str, key: str | None, reading: Reading | None = None, path: Sequence[object] = ()
) -> Resolved:
    """The actor of a token, the answer kept for `key`, and what is read with them, if any. Raises NotSignedIn, SessionEnded, Busy."""
    if reading is None:
        found = await gathered_row(RESOLVE, ASKED, token_hash(token), now, operation, key)
    else:
        found = await gathered_row(reading.with_session, (*ASKED, *reading.kinds), token_hash(token), now, operation, key, *path)
    if found is None:
        raise NotSignedIn
    if not found["is_open"]:
        raise SessionEnded
    return Resolved(_actor(found), _kept(found), found if reading is not None else None)


async def kept_answer(asked: Idempotency) -> Kept | None:
    """Look again, after a refusal or a lost race: has the same request been answered meanwhile? Raises Busy."""
    found = await row(KEPT, asked.principal, asked.operation, asked.key)
    return _kept(found) if found is not None else None


def worth_another_try(busy: Busy) -> bool:
    """Deadlocks and serialization failures undo everything and usually pass the second time; time-outs have had their wait."""
    return isinstance(busy.__cause__, asyncpg.DeadlockDetectedError | asyncpg.SerializationError)


def _actor(found: Any) -> Actor:
    # By index, as in lists: each request comes by here.
    member = found["membership_id"] is not None
    return Actor(
        role=Role(found["role"]) if member else None, person_id=found["person_id"], session_id=found["session_id"],
        identity_id=found["identity_id"], membership_id=found["membership_id"], organisation_id=found["organisation_id"],
        organisation_kind=OrganisationKind(found["organisation_kind"]) if member else None,
        region_code=found["region_code"], park_id=found["park_id"],
    )


def _kept(found: Any) -> Kept | None:
    return Kept(bytes(found["body_hash"]), bytes(found["answer"])) if found["body_hash"] is not None else None
