"""How a filing is shown: to its institution and consultant with whether it counts (加分情况), to officials with what is odd about it."""

from datetime import date, datetime
from typing import Any, TypedDict

from handlers.approvals import QueueView, queue_place
from handlers.context import Context
from handlers.risk_signals import FactView
from handlers.transactions import row, rows
from models.filings import ActivityPart, FilingKind, FilingState, FlagKind

FLAG_TITLES = {
    FlagKind.PAIR_OFTEN: "同一企业与本机构三十天内备案过多", FlagKind.SELF_DEALING: "双方有同一人员、电话、地址、账户或设备",
    FlagKind.SAME_AMOUNT_AND_DATE: "本机构同日同金额的交易已备案", FlagKind.SAME_EVIDENCE: "证明材料与其他备案相同",
    FlagKind.SAME_ACTIVITY: "本机构同日同名的活动已备案", FlagKind.OBJECTED: "备案所指的企业提出异议",
}


class TransactionView(TypedDict):
    enterprise_code: str
    enterprise_name: str
    product_id: int | None
    order_id: int | None
    amount_fen: int


class ActivityView(TypedDict):
    """`partner`: the government department; `part`: 主办, 承办, 协办. `is_public_benefit`: declared as 纯公益性."""

    title: str
    place: str
    partner: str
    part: ActivityPart
    participants: int
    is_public_benefit: bool


class FilingView(TypedDict):
    """One of `transaction` and `activity`. `counts`: it stands in the scores now (加分); `counted_at`: since when, also once revoked."""

    id: int
    kind: FilingKind
    state: FilingState
    institution_id: int
    institution_name: str
    consultant_id: int | None
    consultant_name: str | None
    happened_on: date
    summary: str
    transaction: TransactionView | None
    activity: ActivityView | None
    attachment_ids: list[int]
    version: int
    submitted_at: datetime | None
    decided_at: datetime | None
    reason: str | None
    counts: bool
    counted_at: datetime | None
    revoke_reason: str | None
    revoke_proposed_at: datetime | None
    revoked_at: datetime | None
    queue: QueueView | None


class FlagView(TypedDict):
    """`is_acknowledged`: whoever approved it has seen this."""

    kind: FlagKind
    title: str
    facts: list[FactView]
    is_acknowledged: bool


class FiledCaseView(TypedDict):
    filing: FilingView
    flags: list[FlagView]


SHOWN = """
SELECT f.*, i.name AS institution_name, c.display_name AS consultant_name, s.happened_at AS counted_at,
  s.id IS NOT NULL AND s.revoked_at IS NULL AS counts,
  ARRAY(SELECT l.attachment_id FROM filing_files l WHERE l.filing_id = f.id ORDER BY l.attachment_id) AS attachment_ids
FROM filings f JOIN organisations i ON i.id = f.institution_id LEFT JOIN consultants c ON c.id = f.consultant_id
LEFT JOIN score_events s ON s.subject = 'filing' AND s.subject_id = f.id AND s.kind = f.kind || '_filed'
"""
FLAGS = "SELECT * FROM filing_flags WHERE filing_id = $1 ORDER BY kind"


async def view_of(ctx: Context, filing_id: int) -> FilingView:
    """By its id, inside a transaction or out of one."""
    found = await row(f"{SHOWN} WHERE f.id = $1", filing_id)
    return view(found, await queue_place(ctx.now, "filing", filing_id))


def view(filing: Any, queue: QueueView | None = None) -> FilingView:
    """`filing`: a row of SHOWN."""
    return {
        "id": filing.id, "kind": FilingKind(filing.kind), "state": FilingState(filing.state), "institution_id": filing.institution_id,
        "institution_name": filing.institution_name, "consultant_id": filing.consultant_id, "consultant_name": filing.consultant_name,
        "happened_on": filing.happened_on, "summary": filing.summary,
        "transaction": _transaction(filing) if filing.kind == FilingKind.TRANSACTION else None,
        "activity": _activity(filing) if filing.kind == FilingKind.ACTIVITY else None,
        "attachment_ids": filing.attachment_ids, "version": filing.version, "submitted_at": filing.submitted_at,
        "decided_at": filing.decided_at, "reason": filing.reason, "counts": filing.counts, "counted_at": filing.counted_at,
        "revoke_reason": filing.revoke_reason, "revoke_proposed_at": filing.revoke_proposed_at, "revoked_at": filing.revoked_at,
        "queue": queue,
    }


def _transaction(filing: Any) -> TransactionView:
    return {
        "enterprise_code": filing.enterprise_code, "enterprise_name": filing.enterprise_name, "product_id": filing.product_id,
        "order_id": filing.order_id, "amount_fen": filing.amount_fen,
    }


def _activity(filing: Any) -> ActivityView:
    return {
        "title": filing.title, "place": filing.place, "partner": filing.partner, "part": ActivityPart(filing.part),
        "participants": filing.participants, "is_public_benefit": filing.is_public_benefit,
    }


async def flags_of(filing_id: int) -> list[FlagView]:
    """What was found when it was submitted, or, once it is approved, what its reviewer acknowledged."""
    return [flag_view(flag.kind, flag.facts, is_acknowledged=flag.acknowledged_by_id is not None) for flag in await rows(FLAGS, filing_id)]


def flag_view(kind: str, facts: list[FactView], *, is_acknowledged: bool) -> FlagView:
    return {"kind": FlagKind(kind), "title": FLAG_TITLES[FlagKind(kind)], "facts": facts, "is_acknowledged": is_acknowledged}
