"""What is odd about a filing, looked for before it counts: rules that anybody can read, with their facts (D17, D18, F02, F03).

A flag refuses nothing by itself. A reviewer who approves has acknowledged each; what has come up since the submission is found again
at the decision. What waits says as much as what counts: so of two filings the one decided later sees the other, without a lock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from handlers import risk_traits
from handlers.money import yuan
from handlers.product_search import folded
from handlers.risk_signals import FactView, both_sides, crowded
from handlers.transactions import Transaction
from models.filings import FilingKind, FlagKind

PAIR_MAX, PAIR_DAYS = 3, 30

Flags = Mapping[FlagKind, list[FactView]]

# Whatever waits or counts; drafts, and what was refused, taken back or revoked, say nothing.
OTHERS = """
SELECT id, enterprise_code, enterprise_name, amount_fen, happened_on, title, submitted_at FROM filings
WHERE institution_id = $1 AND kind = $2 AND id <> $3 AND happened_on BETWEEN $4 AND $5
  AND state IN ('in_review', 'returned', 'approved') ORDER BY happened_on, id
"""
SAME_FILES = """
SELECT DISTINCT ON (l.filing_id) l.filing_id, o.name AS institution_name, a.display_name, x.submitted_at
FROM filing_files mine JOIN filing_files l ON l.sha256 = mine.sha256 AND l.filing_id <> mine.filing_id
JOIN filings x ON x.id = l.filing_id AND x.submitted_at IS NOT NULL JOIN organisations o ON o.id = x.institution_id
JOIN attachments a ON a.id = mine.attachment_id
WHERE mine.filing_id = $1 ORDER BY l.filing_id LIMIT 20
"""
OBJECTED = """
SELECT o.name, j.reason, j.objected_at FROM filing_objections j JOIN organisations o ON o.id = j.enterprise_id
WHERE j.filing_id = $1 AND j.state = 'open'
"""
PARTIES = "SELECT id, name FROM organisations WHERE id = ANY($1)"
KEEP = """
INSERT INTO filing_flags (filing_id, kind, facts, found_at, acknowledged_by_id)
SELECT $1, g.kind, g.facts, $3, $4 FROM jsonb_to_recordset($2) AS g(kind varchar, facts jsonb)
"""


async def look_at(tx: Transaction, filing: Any) -> Flags:
    """Every flag that stands now, with its facts. `filing`: the row, with its files linked."""
    day = timedelta(days=PAIR_DAYS - 1)
    others = await tx.rows(OTHERS, filing.institution_id, filing.kind, filing.id, filing.happened_on - day, filing.happened_on + day)
    found: dict[FlagKind, list[FactView]] = {FlagKind.SAME_EVIDENCE: await _same_files(tx, filing)}
    if filing.kind == FilingKind.TRANSACTION:
        found[FlagKind.OBJECTED] = await _objected(tx, filing)
        found[FlagKind.PAIR_OFTEN] = pair_too_often(filing, others)
        found[FlagKind.SAME_AMOUNT_AND_DATE] = [_of(other) for other in others if _is_same_deal(filing, other)]
        found[FlagKind.SELF_DEALING] = await _self_dealing(tx, filing)
    else:
        found[FlagKind.SAME_ACTIVITY] = [
            _of(other) for other in others if other.happened_on == filing.happened_on and folded(other.title) == folded(filing.title)
        ]
    return {kind: facts for kind, facts in found.items() if facts}


async def keep(tx: Transaction, filing_id: int, flags: Flags, acknowledged_by_id: int | None = None) -> None:
    """Instead of what was found before."""
    await tx.run("DELETE FROM filing_flags WHERE filing_id = $1", filing_id)
    kept = [{"kind": kind, "facts": facts} for kind, facts in sorted(flags.items())]
    await tx.run(KEEP, filing_id, kept, tx.ctx.now, acknowledged_by_id)


def pair_too_often(filing: Any, others: Iterable[Any]) -> list[FactView]:
    """More than PAIR_MAX of the pair within PAIR_DAYS days, whichever of the days is filed last."""
    of_pair = [other for other in others if other.enterprise_code == filing.enterprise_code]
    days = sorted([filing.happened_on, *(other.happened_on for other in of_pair)])
    if max(_within(days, first) for first in days if first <= filing.happened_on) <= PAIR_MAX:
        return []
    return [_of(other) for other in of_pair]


def _within(days: list[date], first: date) -> int:
    return sum(first <= day < first + timedelta(days=PAIR_DAYS) for day in days)


def _is_same_deal(filing: Any, other: Any) -> bool:
    return bool((other.happened_on, other.amount_fen) == (filing.happened_on, filing.amount_fen))


def _of(other: Any) -> FactView:
    what = f"备案 {other.id}"
    value = other.title or f"{yuan(other.amount_fen)} 元"
    return {"who": other.enterprise_name or "本机构", "what": what, "value": value, "at": other.happened_on.isoformat()}


async def _same_files(tx: Transaction, filing: Any) -> list[FactView]:
    return [
        {"who": same.institution_name, "what": f"备案 {same.filing_id} 的证明材料", "value": same.display_name,
         "at": same.submitted_at.isoformat()}
        for same in await tx.rows(SAME_FILES, filing.id)
    ]


async def _objected(tx: Transaction, filing: Any) -> list[FactView]:
    return [
        {"who": found.name, "what": "异议", "value": found.reason, "at": found.objected_at.isoformat()}
        for found in await tx.rows(OBJECTED, filing.id)
    ]


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two sides, as the rules of handlers/risk_signals.py look at those of an order."""

    id: int
    enterprise_id: int
    institution_id: int
    enterprise_name: str
    institution_name: str


async def _self_dealing(tx: Transaction, filing: Any) -> list[FactView]:
    """What both sides are recognised by; of a company that is not on the platform nothing is known."""
    if filing.enterprise_id is None:
        return []
    parties = [filing.enterprise_id, filing.institution_id]
    names = {party.id: party.name for party in await tx.rows(PARTIES, parties)}
    found = await risk_traits.refresh(tx, parties)
    pair = _Pair(filing.id, filing.enterprise_id, filing.institution_id, names[filing.enterprise_id], names[filing.institution_id])
    return [fact for signal in both_sides([pair], found, await crowded(tx, found)) for fact in signal.facts]
