"""W11 to W14: a park decides on payments, the centre on claims, a programme's statement is made, and claims go into a payout batch.

The decisions are the use-case behind the route, one after the other, each with its idempotency key; the token is resolved on neither side.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import asyncpg

from bench import settlement_floor
from bench.data import APPROVED, CENTRE_REVIEWER, CLAIMED, IN_REVIEW, PARK_REVIEWER, PAYABLE_FEN, PAYOUT_OFFICER, STATED
from bench.sizes import FACE_FEN, Size
from handlers import approvals, redemptions, statements
from handlers.approvals import Decision
from handlers.context import Context, Idempotency
from handlers.working_days import SHANGHAI
from models.accounts import Role

WORKS = ("W11", "W12", "W13", "W14")
PARK, CITY = 1, "370100"
OFFICE = 1  # of the officials; only the audit names it
_DECIDED = """
UPDATE approvals SET state = 'open', decided_by_id = NULL, decided_at = NULL WHERE kind = '{kind}';
DELETE FROM idempotency_keys WHERE operation = 'approve'
"""
UNDO = {
    "W11": f"""UPDATE orders SET state = 'pay_review', paid_at = NULL WHERE programme_id = {IN_REVIEW};
               UPDATE lots SET held_fen = spent_fen, spent_fen = 0 WHERE programme_id = {IN_REVIEW} AND spent_fen > 0;
               {_DECIDED.format(kind="payment")}""",
    "W12": f"""UPDATE redemptions SET state = 'in_review', decided_at = NULL WHERE programme_id = {CLAIMED};
               {_DECIDED.format(kind="redemption")}""",
    "W13": "SELECT 1",
    "W14": f"""UPDATE redemptions SET state = 'pre_redeemed' WHERE programme_id = {APPROVED};
               DELETE FROM payout_lines; DELETE FROM payout_batches""",
}
CHANGED = {
    "W11": "orders, lots, approvals, ledger_entries, idempotency_keys, audit_entries, events",
    "W12": "redemptions, approvals, ledger_entries, idempotency_keys, audit_entries, events",
    "W13": "ledger_entries", "W14": "redemptions, payout_batches, payout_lines, audit_entries",
}
# What both sides must have left behind, whatever else ours writes; $1 the last ledger entry, audit row and event before it.
LEDGER = """
SELECT kind, from_account, to_account, count(*), sum(fen)::bigint, count(DISTINCT order_id) FROM ledger_entries WHERE id > $1
GROUP BY 1, 2, 3 ORDER BY 1
"""
STATES = f"""
SELECT 'order', state, count(*), sum(voucher_fen)::bigint FROM orders WHERE programme_id = {IN_REVIEW} GROUP BY 1, 2
UNION ALL SELECT 'lot', held_fen::text, count(*), sum(spent_fen)::bigint FROM lots WHERE programme_id = {IN_REVIEW} GROUP BY 1, 2
UNION ALL SELECT 'redemption ' || programme_id, state, count(*), sum(payable_fen)::bigint FROM redemptions GROUP BY 1, 2
UNION ALL SELECT 'approval ' || kind, state, count(*), count(decided_by_id) FROM approvals GROUP BY 1, 2
UNION ALL SELECT 'key', operation, count(*), 0 FROM idempotency_keys WHERE operation = 'approve' GROUP BY 1, 2
UNION ALL SELECT 'batch', state, sum(lines), sum(total_fen)::bigint FROM payout_batches GROUP BY 1, 2
UNION ALL SELECT 'line', state, count(DISTINCT redemption_id), sum(fen)::bigint FROM payout_lines GROUP BY 1, 2 ORDER BY 1, 2
"""
RECORDED = """
SELECT 'audit', action, count(*) FROM audit_entries WHERE id > $1 GROUP BY 1, 2
UNION ALL SELECT 'event', kind, count(*) FROM events WHERE id > $2 GROUP BY 1, 2 ORDER BY 1, 2
"""
CELL = re.compile(r"<v>(.*?)</v>|<t[^>]*>(.*?)</t>|</row>")


class Settlement:
    """`seconds(work, side)` carries a work out, proves what it left behind, and returns how long it took."""

    def __init__(self, size: Size, owner: asyncpg.Connection, context: Callable[..., Context]) -> None:
        self._size, self._owner, self._context = size, owner, context
        self._found: dict[str, Any] = {}
        yesterday = datetime.now(SHANGHAI).date() - timedelta(days=1)
        self._period = statements.Period(date(2020, 1, 1), yesterday)
        self._instants = self._period.instants(context())
        self._payments, self._claims = range(1, size.decisions + 1), range(size.decisions + 1, 2 * size.decisions + 1)

    async def seconds(self, work: str, side: str) -> float:
        marks = [await self._owner.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")
                 for table in ("ledger_entries", "audit_entries", "events")]
        run: Callable[[], Awaitable[bytes | None]] = getattr(self, f"_{side}_{work.lower()}")
        began = time.perf_counter()
        file = await run()
        taken = time.perf_counter() - began
        self._same(work, await self._left(work, marks, file))
        return taken

    async def _left(self, work: str, marks: list[int], file: bytes | None) -> list[Any]:
        if file is not None:
            found = sheet_of(file)
            assert len(found) == self._size.lines + 2, len(found)  # with the header and the sum
            return found
        ledger, states = await self._owner.fetch(LEDGER, marks[0]), await self._owner.fetch(STATES)
        # A batch's floor writes no audit; the decisions' floors write what ours write.
        recorded = await self._owner.fetch(RECORDED, *marks[1:]) if work != "W14" else []
        assert [tuple(row) for row in ledger] == self._expected(work), ledger
        return [tuple(row) for rows in (ledger, states, recorded) for row in rows]

    def _expected(self, work: str) -> list[tuple[Any, ...]]:
        """The entries of the ledger, which no comparison of the sides shows to be right."""
        count = self._size.decisions
        short_fen = FACE_FEN - PAYABLE_FEN
        return {
            "W11": [("commit", "held", "receivable", count, count * FACE_FEN, count)],
            "W12": [("pre_redeem", "receivable", "pre_redeemed", count, count * PAYABLE_FEN, count),
                    ("shortfall", "receivable", "shortfall", count, count * short_fen, count)],
            "W14": [],
        }[work]

    def _same(self, work: str, found: list[Any]) -> None:
        before = self._found.setdefault(work, found)
        assert before == found, [pair for pair in zip(before, found, strict=False) if pair[0] != pair[1]][:3] or (len(before), len(found))

    # --- ours -------------------------------------------------------------------------------------------------------

    def _official(self, role: Role, person: int, **reach: Any) -> Context:
        return self._context(role=role, person_id=self._size.enterprises + person, organisation_id=OFFICE, **reach)

    async def _decide(self, ctx: Context, cases: range) -> None:
        for case in cases:
            key = Idempotency(f"p{ctx.person_id}", "approve", f"ours-{case}", bytes(32))
            await approvals.decide(replace(ctx, now=datetime.now(UTC), idempotency=key), case, Decision.APPROVE)

    async def _ours_w11(self) -> None:
        await self._decide(self._official(Role.REVIEWER, PARK_REVIEWER, park_id=PARK), self._payments)

    async def _ours_w12(self) -> None:
        await self._decide(self._official(Role.CENTRE_REVIEWER, CENTRE_REVIEWER, region_code=CITY), self._claims)

    async def _ours_w13(self) -> bytes:
        """As the route gives it: sums, lines, digest, and the workbook from a process of its own."""
        ctx = self._official(Role.PROGRAMME_MANAGER, PAYOUT_OFFICER, region_code=CITY)
        subject = await statements.programme_subject(ctx, STATED)
        content, _ = await statements.statement_file(ctx, subject, self._period, "xlsx")
        return content

    async def _ours_w14(self) -> None:
        batch = await redemptions.draft_batch(self._official(Role.PAYOUT_OFFICER, PAYOUT_OFFICER, region_code=CITY), APPROVED)
        assert (batch["lines"], batch["total_fen"]) == (self._size.claims, self._size.claims * PAYABLE_FEN), batch

    # --- floor ------------------------------------------------------------------------------------------------------

    async def _floor_w11(self) -> None:
        await settlement_floor.decide(self._owner, settlement_floor.PAYMENT, self._payments, self._size.enterprises + PARK_REVIEWER, PARK)

    async def _floor_w12(self) -> None:
        await settlement_floor.decide(self._owner, settlement_floor.CLAIM, self._claims, self._size.enterprises + CENTRE_REVIEWER, CITY[:4])

    async def _floor_w13(self) -> bytes:
        return await settlement_floor.statement(self._owner, *self._instants)

    async def _floor_w14(self) -> None:
        await settlement_floor.pay_out(self._owner, self._size.enterprises + PAYOUT_OFFICER)


def sheet_of(workbook: bytes) -> list[list[str]]:
    """The texts and numbers of the last sheet, row by row; for texts within the sheet, as the writer has them in constant memory."""
    with ZipFile(BytesIO(workbook)) as parts:
        last = max(name for name in parts.namelist() if name.startswith("xl/worksheets/sheet"))
        text = parts.read(last).decode()
    rows: list[list[str]] = [[]]
    for cell in CELL.finditer(text):
        if cell.group() == "</row>":
            rows.append([])
        else:
            rows[-1].append(cell.group(1) or cell.group(2) or "")
    return rows[:-1]
