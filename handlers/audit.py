"""The audit trail and the ledger as a hash chain, looking into the trail, and proving the books (docs/decisions/0061-audit-chain.md).

A state change only inserts its row; nothing of the chain is touched by it. A sweep seals what is complete: rows of transactions
below the oldest one that still runs, so that a slow transaction's rows are never left behind a seal.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from handlers.context import Context
from handlers.invariants import INVARIANTS
from handlers.paging import Page, PageView, page_of
from handlers.regions import OutsideJurisdiction, reaches
from handlers.transactions import Transaction, rows, transaction
from handlers.working_days import SHANGHAI
from models.accounts import Role
from models.engine import lend_transaction

SEALING_LOCK = 0x5345414C
CHECKING_LOCK = 0x424F4F4B
NOTHING = bytes(32)  # what the first seal of a chain follows
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A seal a minute, or as many as there are rows for: under load a sweep that sealed whatever is new would never come to an end.
SEAL_EVERY = timedelta(minutes=1)
# One transaction may have written a draw of a hundred thousand winners; a proof reads everything there is.
SEAL_SECONDS = 120
PROOF_SECONDS = 3600
BREAKS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Chain:
    """A table whose rows are sealed. `line` spells a row out so that equal rows give equal bytes in every session."""

    name: str
    table: str
    line: str


CHAINS = {chain.name: chain for chain in (
    Chain("audit", "audit_entries",
          "jsonb_build_array(id, txid::text, extract(epoch FROM at), person_id, organisation_id, role, action, subject, subject_id,"
          " before, after, data, request_id)"),
    Chain("ledger", "ledger_entries",
          "jsonb_build_array(id, txid::text, programme_id, lot_id, to_lot_id, order_id, organisation_id, institution_id, kind,"
          " from_account, to_account, fen, extract(epoch FROM at))"),
)}


class EntryView(TypedDict):
    """Who did what to what; `before` and `after` are states."""

    id: int
    at: datetime
    person_id: int | None
    organisation_id: int | None
    role: str
    action: str
    subject: str
    subject_id: int
    before: str | None
    after: str | None
    data: dict[str, Any]
    request_id: str


class SealView(TypedDict):
    """`digest` (hex) covers `rows` rows of the transactions from `from_xid` to below `upto_xid`, and all seals before it."""

    id: int
    chain: str
    from_xid: int
    upto_xid: int
    rows: int
    digest: str
    sealed_at: datetime


class BrokenSealView(TypedDict):
    """`reason`: not_linked | rows | digest."""

    seal_id: int
    from_xid: int
    upto_xid: int
    reason: str


# --- sealing -------------------------------------------------------------------------------------------------------------------

LAST = "SELECT upto_xid, digest, sealed_at FROM seals WHERE chain = $1 ORDER BY upto_xid DESC LIMIT 1"
# `complete_xid`: all transactions below it are over. `beyond_xid`: the first that does not fit into this seal.
COMPLETE = """
WITH complete AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid)
SELECT xid::text::bigint AS complete_xid,
  (SELECT txid::text::bigint FROM {table} WHERE txid >= $1::text::xid8 AND txid < xid ORDER BY txid, id LIMIT 1) AS first_xid,
  (SELECT txid::text::bigint FROM {table} WHERE txid >= $1::text::xid8 AND txid < xid ORDER BY txid, id OFFSET $2 LIMIT 1) AS beyond_xid
FROM complete
"""
# Each row is hashed first, so that a seal over a million rows needs 32 MB and not all their text.
DIGEST = """
SELECT count(*) AS rows,
  sha256($1::bytea || coalesce(string_agg(sha256(convert_to({line}::text, 'UTF8')), ''::bytea ORDER BY txid, id), '')) AS digest
FROM {table} WHERE txid >= $2::text::xid8 AND txid < $3::text::xid8
"""


async def seal_due(ctx: Context, limit: int = 20_000) -> int:
    """Seal what is complete, one seal for each chain of about `limit` rows. Returns how many rows. One sealer at a time.

    Due is a chain whose last seal is a minute old, or that has more rows than fit into a seal.
    """
    sealed = 0
    for chain in CHAINS.values():
        async with transaction(ctx) as tx:
            if await tx.value("SELECT pg_try_advisory_xact_lock($1)", SEALING_LOCK):
                sealed += await _seal(tx, chain, limit)
    return sealed


async def _seal(tx: Transaction, chain: Chain, limit: int) -> int:
    last = await tx.row(LAST, chain.name)
    from_xid, previous = (last.upto_xid, last.digest) if last else (0, NOTHING)
    due = await tx.row(COMPLETE.format(table=chain.table), str(from_xid), limit)
    if due.first_xid is None or (last and due.beyond_xid is None and tx.ctx.now < last.sealed_at + SEAL_EVERY):
        return 0
    upto_xid = due.complete_xid
    if due.beyond_xid is not None:  # a transaction is never divided, however many rows it wrote
        upto_xid = max(due.beyond_xid, due.first_xid + 1)
    await tx.run("SELECT set_config('statement_timeout', $1, true)", f"{SEAL_SECONDS}s")
    found = await _digest(tx.connection, chain, previous, from_xid, upto_xid, tx.ctx.now, SEAL_SECONDS)
    await tx.run(
        "INSERT INTO seals (chain, from_xid, upto_xid, rows, previous, digest, sealed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        chain.name, from_xid, upto_xid, found.rows, previous, found.digest, tx.ctx.now,
    )
    return int(found.rows)


async def _digest(
    connection: Any, chain: Chain, previous: bytes, from_xid: int, upto_xid: int, sealed_at: datetime, seconds: float
) -> Any:
    """The chain's name, the bounds and the moment are hashed with the rows: no column of a seal can be changed unnoticed."""
    micros = (sealed_at - EPOCH) // timedelta(microseconds=1)
    head = previous + f"{chain.name}|{from_xid}|{upto_xid}|{micros}|".encode()
    return await connection.fetchrow(
        DIGEST.format(table=chain.table, line=chain.line), head, str(from_xid), str(upto_xid), timeout=seconds
    )


# --- proving -------------------------------------------------------------------------------------------------------------------


async def check_books() -> dict[str, list[dict[str, object]]]:
    """Every broken invariant with up to ten of its breaks, from one snapshot; empty when the books balance.

    The chains are proved with it: `audit_chain_unbroken`, `ledger_chain_unbroken`.
    """
    broken: dict[str, list[dict[str, object]]] = {}
    async with lend_transaction() as connection:
        await _prepare_proof(connection)
        for name, sql in INVARIANTS.items():
            if breaks := await connection.fetch(f"SELECT * FROM ({sql}) broken LIMIT {BREAKS_SHOWN}", timeout=PROOF_SECONDS):
                broken[name] = [dict(found) for found in breaks]
        for chain in CHAINS.values():
            if first := await _first_broken(connection, chain):
                broken[f"{chain.name}_chain_unbroken"] = [dict(first)]
    return broken


async def _prepare_proof(connection: Any) -> None:
    # One snapshot, or a payment between two queries would look like a break.
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    await connection.execute("SELECT set_config('statement_timeout', '0', true), set_config('work_mem', '128MB', true)")


async def _first_broken(connection: Any, chain: Chain) -> BrokenSealView | None:
    upto_xid, previous = 0, NOTHING
    seals = await connection.fetch("SELECT * FROM seals WHERE chain = $1 ORDER BY upto_xid", chain.name, timeout=PROOF_SECONDS)
    for seal in seals:
        found = await _digest(connection, chain, previous, seal.from_xid, seal.upto_xid, seal.sealed_at, PROOF_SECONDS)
        reason = _why_broken(seal, found, upto_xid, previous)
        if reason:
            return {"seal_id": seal.id, "from_xid": seal.from_xid, "upto_xid": seal.upto_xid, "reason": reason}
        upto_xid, previous = seal.upto_xid, seal.digest
    return None


def _why_broken(seal: Any, found: Any, upto_xid: int, previous: bytes) -> str | None:
    if seal.from_xid != upto_xid or seal.previous != previous:
        return "not_linked"
    if seal.rows != found.rows:
        return "rows"
    return None if seal.digest == found.digest else "digest"


# --- looking -------------------------------------------------------------------------------------------------------------------


# What a draw wrote is shown once its round publishes it: whoever reads here before could tell a winner (E18).
ENTRIES = """
SELECT * FROM audit_entries WHERE subject = $1 AND subject_id = $2 AND id < $3 AND NOT (
  subject = 'reservation' AND action IN ('reservation.won', 'reservation.alternate')
  AND EXISTS (SELECT FROM reservations v JOIN rounds r ON r.id = v.round_id WHERE v.id = $2 AND r.state = 'drawn'))
ORDER BY id DESC LIMIT $4
"""


async def list_entries(ctx: Context, subject: str, subject_id: int, page: Page) -> PageView[EntryView]:
    """What happened to one thing, newest first. For administrators of the whole platform. Raises OutsideJurisdiction."""
    _require_whole_platform(ctx)
    after = page.key()
    found = await rows(ENTRIES, subject, subject_id, after[0] if after else 2**63 - 1, page.limit + 1)
    return page_of(found, page, _entry, lambda entry: [entry.id])


async def list_seals(ctx: Context, chain: str, page: Page) -> PageView[SealView]:
    """Newest first. Whoever keeps a digest elsewhere can prove later that nothing before it was taken away.

    Raises OutsideJurisdiction.
    """
    _require_whole_platform(ctx)
    after = page.key()
    found = await rows(
        "SELECT * FROM seals WHERE chain = $1 AND upto_xid < $2 ORDER BY upto_xid DESC LIMIT $3",
        chain, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, _seal_view, lambda seal: [seal.upto_xid])


def _require_whole_platform(ctx: Context) -> None:
    # An entry names no division, and its data may speak of any.
    if not reaches(ctx.actor, None):
        raise OutsideJurisdiction


def _entry(entry: Any) -> EntryView:
    return {
        "id": entry.id, "at": entry.at, "person_id": entry.person_id, "organisation_id": entry.organisation_id, "role": entry.role,
        "action": entry.action, "subject": entry.subject, "subject_id": entry.subject_id, "before": entry.before, "after": entry.after,
        "data": entry.data, "request_id": entry.request_id,
    }


def _seal_view(seal: Any) -> SealView:
    return {
        "id": seal.id, "chain": seal.chain, "from_xid": seal.from_xid, "upto_xid": seal.upto_xid, "rows": seal.rows,
        "digest": seal.digest.hex(), "sealed_at": seal.sealed_at,
    }


CHECK_HOUR = 3  # Asia/Shanghai: after the nightly expiry, before anybody is at work


async def check_nightly(ctx: Context, limit: int = 1) -> int:
    """Prove the books once a day, and tell every administrator of the whole platform about a break. Returns 1 when it did.

    The day is in the audit trail, so that a restart at night does not prove twice and a night without jobs is made up for.
    """
    local = ctx.now.astimezone(SHANGHAI)
    day = int((local if local.hour >= CHECK_HOUR else local - timedelta(days=1)).strftime("%Y%m%d"))
    if limit < 1 or await rows("SELECT 1 AS done FROM audit_entries WHERE subject = 'books' AND subject_id = $1", day):
        return 0
    broken = sorted(await check_books())
    async with transaction(ctx) as tx:
        if await tx.value("SELECT pg_try_advisory_xact_lock($1)", CHECKING_LOCK):
            tx.record("books.broken" if broken else "books.proved", "books", day, broken=broken)
            if broken:
                tx.announce("approval_waiting", "books", day, role=Role.ADMIN, title=f"账目核对不平：{len(broken)} 项"[:50])
    return 1
