"""What a ticket needs, and how it is shown: the facts, the rules over them, the receipt (E13-E18, F02, F04)."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.draw_rules import entry_digest, ticket_number
from handlers.eligibility import FixPage, Rule, Tree
from handlers.qualifications import NotCertified, is_complete
from handlers.refusals import Kind, NotFound, Refusal
from handlers.rounds import YEAR, is_open
from handlers.sessions import Reading
from handlers.transactions import Transaction, row
from models.reservations import Allocation, ReservationState, RoundState


class RoundNotOpen(Refusal):
    kind, code, title = Kind.CONFLICT, "round_not_open", "不在预约时间内"


class EnterpriseSuspended(Refusal):
    kind, code, title = Kind.FORBIDDEN, "enterprise_suspended", "企业已被暂停使用"


class QualificationMissing(Refusal):
    kind, code, title = Kind.CONFLICT, "qualification_missing", "企业尚未取得该项目的服务券资格"


class QualificationOutdated(Refusal):
    """E14: the form has new fields."""

    kind, code, title = Kind.CONFLICT, "qualification_outdated", "服务券资格信息有新增项目，请先补充完整"


class AlreadyReserved(Refusal):
    kind, code, title = Kind.CONFLICT, "already_reserved", "本企业在该批次已预约"


class NothingReserved(Refusal):
    kind, code, title = Kind.CONFLICT, "nothing_reserved", "本企业在该批次没有有效的预约"


class VoucherTypeNotInRound(Refusal):
    kind, code, title = Kind.INVALID, "voucher_type_not_in_round", "该批次没有此券种"


class VoucherTypeCapped(Refusal):
    """E17, word for word."""

    kind, code, title = Kind.CONFLICT, "voucher_type_capped", "当前服务券已达年度上限"


class VoucherTypeTaken(Refusal):
    """First come, first served: the whole quota is in somebody's wallet."""

    kind, code, title = Kind.CONFLICT, "voucher_type_taken", "该券种已被领完"


STATE_TITLES = {
    "reserved": "已预约", "withdrawn": "已撤回", "awaiting": "待公示", "won": "中签", "alternate": "候补", "lost": "未中签",
    "lapsed": "未递补", "issued": "已发券", "given_back": "已放弃", "declined": "已放弃",
    "disqualified": "已取消资格", "voided": "批次已作废",
}


class ReservationView(TypedDict):
    """Ticket number, salt and entry digest are the receipt: with the credit code they prove the line on the published list."""

    id: int
    round_id: int
    round_number: str
    round: str
    allocation: Allocation
    ticket_no: str
    voucher_type_id: int
    voucher_type: str
    state: str
    state_title: str
    rank: int | None
    salt: str
    entry_digest: str
    submitted_at: datetime
    changed_at: datetime
    publicity_at: datetime
    can_change: bool
    can_decline: bool


# --- facts and rules -------------------------------------------------------------------------------------------------

# A win that is drawn and not yet public is not counted in anything that is shown: the count would tell the result (E18). It is counted
# where vouchers are given out, at the next commitment.
HIDDEN = "w.state = 'won' AND EXISTS (SELECT FROM rounds d WHERE d.id = w.round_id AND d.state = 'drawn')"
_FACTS = f"""
SELECT {{more}}r.id, r.number, r.name, r.state, r.allocation, r.programme_id, r.valid_until, r.opens_at, r.closes_at, r.publicity_at,
  r.give_back_days, r.notes, o.credit_code, o.certified_at, o.suspended_at, a.id AS qualification_id, a.form, v.id AS reservation_id,
  v.state AS reservation_state,
  (SELECT coalesce(json_agg(json_build_object('id', t.id, 'code', t.code, 'name', t.name, 'face_fen', t.face_fen,
     'cap', t.annual_win_cap, 'wins', CASE WHEN t.annual_win_cap IS NULL THEN 0 ELSE (
       SELECT count(*) FROM reservations w WHERE w.organisation_id = {{enterprise}} AND w.voucher_type_id = t.id
         AND w.win_year = {YEAR.format(round="r")} AND w.win_nth IS NOT NULL AND NOT ({HIDDEN})) END,
     'left', CASE WHEN r.allocation = 'first_come' THEN ({{left}}) END){{order}}), '[]')
   FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id WHERE q.round_id = r.id) AS types
FROM rounds r JOIN organisations o ON o.id = {{enterprise}}
LEFT JOIN applications a
  ON a.organisation_id = o.id AND a.kind = 'qualification' AND a.programme_id = r.programme_id AND a.state = 'approved'
LEFT JOIN reservations v ON v.round_id = r.id AND v.organisation_id = o.id
WHERE r.id = $1 AND r.state <> 'draft'
"""
_SHARES = "round_shares s WHERE s.round_id = r.id AND s.voucher_type_id = t.id"
FACTS = _FACTS.format(
    more="", enterprise="$2", left=f"SELECT coalesce(sum(s.remaining), 0) FROM {_SHARES}", order=" ORDER BY t.id",
)
# For whoever takes a ticket: with its number, which leaves a gap if it is not used after all, as when two colleagues take one at once;
# and of what is left only whether it is anything, since the shares are the busiest rows of a round.
_TO_RESERVE = {
    "more": "nextval('reservations_id_seq') AS next_id, ", "order": "",
    "left": f"SELECT count(*) FROM (SELECT FROM {_SHARES} AND s.remaining > 0 LIMIT 1) found",
}
FACTS_AND_NEXT_ID = _FACTS.format(enterprise="$2", **_TO_RESERVE)
TO_RESERVE = Reading(_FACTS.format(enterprise="me.organisation_id", **_TO_RESERVE), ("bigint",))


async def read_facts(ctx: Context, tx: Transaction, round_id: int) -> Any:
    """What all rules look at. Raises NotFound."""
    facts = await tx.row(FACTS, round_id, ctx.organisation_id)
    if facts is None:
        raise NotFound
    return facts


async def first_facts(ctx: Context, round_id: int) -> Any:
    """The same, and the number of a new ticket; read with the session where the route says so. Raises NotFound."""
    facts = ctx.read if ctx.read is not None else await row(FACTS_AND_NEXT_ID, round_id, ctx.organisation_id)
    if facts is None or facts.id is None:
        raise NotFound
    return facts


def window_rule(ctx: Context, facts: Any) -> Rule:
    return Rule(
        "window", "在预约时间内", is_open(facts, ctx.now), RoundNotOpen, expected=(facts.opens_at, facts.closes_at), actual=ctx.now,
        fix="请在预约时间内预约", link=FixPage.ROUNDS,
    )


def round_tree(ctx: Context, facts: Any, *ticket_rules: Rule) -> Tree:
    """What every ticket of the round needs, whatever its type."""
    certified = facts.certified_at is not None and facts.credit_code is not None
    qualified, complete = facts.qualification_id is not None, is_complete(facts)
    return Tree("reservation", "预约服务券", (
        window_rule(ctx, facts),
        Rule("certified", "企业已实名认证", certified, NotCertified, expected=True, actual=certified, fix="请先完成企业实名认证",
             link=FixPage.APPLICATIONS),
        Rule("not_suspended", "企业状态正常", facts.suspended_at is None, EnterpriseSuspended, expected=True,
             actual=facts.suspended_at is None, fix=_whom_to_ask(ctx)),
        Rule("qualified", "已取得服务券资格", qualified, QualificationMissing, expected=True, actual=qualified,
             fix="请先申请服务券资格", link=FixPage.QUALIFICATIONS),
        # Unknown, not broken, while there is no qualification at all: the rule before says what to do.
        Rule("qualification_complete", "资格信息完整", complete if qualified else None, QualificationOutdated, expected=True,
             actual=complete, fix="请补充服务券资格信息（无需再次审核）", link=FixPage.QUALIFICATIONS),
        *ticket_rules,
    ))


def _whom_to_ask(ctx: Context) -> str:
    return f"请致电服务热线 {ctx.settings.hotline}" if ctx.settings.hotline else "请联系当地主管部门"


def one_ticket_rule(facts: Any) -> Rule:
    """F02: one ticket per enterprise and round."""
    free = facts.reservation_state in {None, ReservationState.WITHDRAWN}
    return Rule("one_ticket", "本批次尚未预约", free, AlreadyReserved, expected=True, actual=free, fix="可在预约时间内更改所选券种",
                link=FixPage.RESERVATIONS)


def type_tree(choice: dict[str, Any]) -> Tree:
    cap, wins, left = choice["cap"], choice["wins"], choice["left"]
    capped = Rule("annual_cap", "未达年度中签上限", cap is None or wins < cap, VoucherTypeCapped, expected=cap, actual=wins,
                  fix="请选择其他券种")
    taken = Rule("left", "尚有余量", left != 0, VoucherTypeTaken, expected=1, actual=left, fix="请选择其他券种")
    return Tree(choice["code"], choice["name"], (capped,) if left is None else (capped, taken))


def choice_of(facts: Any, voucher_type_id: int) -> dict[str, Any]:
    for choice in facts.types:
        if choice["id"] == voucher_type_id:
            found: dict[str, Any] = choice
            return found
    raise VoucherTypeNotInRound


# --- the receipt -----------------------------------------------------------------------------------------------------


def shown_state(state: str, round_state: str, publicity_at: datetime, now: datetime) -> str:
    """A loser is not written: a ticket that is still `submitted` when results are public has lost, and an alternate for whom no place
    was left when the vouchers were issued has lapsed.
    """
    if state in {ReservationState.WITHDRAWN, ReservationState.ISSUED, ReservationState.GIVEN_BACK}:
        return state
    if round_state == RoundState.VOIDED:
        return "voided"
    if round_state in {RoundState.ANNOUNCED, RoundState.OPEN}:
        return "reserved"
    if round_state in {RoundState.CLOSED, RoundState.COMMITTED} or now < publicity_at:
        return "awaiting"
    if round_state == RoundState.FINAL and state == ReservationState.ALTERNATE:
        return "lapsed"
    return "lost" if state == ReservationState.SUBMITTED else state


def reservation_view(facts: dict[str, Any], voucher_type: str, now: datetime) -> ReservationView:
    """`facts`: the reservation's columns with its round's; `round_state` where the round's state is not `state`."""
    round_state = facts.get("round_state", RoundState.OPEN)
    number = ticket_number(facts["number"], facts["id"])
    state = shown_state(facts["state"], round_state, facts["publicity_at"], now)
    salt = bytes(facts["salt"])
    drawn = facts["allocation"] == Allocation.LOTTERY and state in {"won", "alternate", "issued", "given_back", "lapsed"}
    in_window = round_state in {RoundState.ANNOUNCED, RoundState.OPEN} and facts["opens_at"] <= now < facts["closes_at"]
    return {
        "id": facts["id"], "round_id": facts["round_id"], "round_number": facts["number"], "round": facts["name"],
        "allocation": facts["allocation"],
        "ticket_no": number, "voucher_type_id": facts["voucher_type_id"], "voucher_type": voucher_type, "state": state,
        "state_title": STATE_TITLES[state], "rank": facts["rank"] if drawn else None,
        "salt": salt.hex(), "entry_digest": entry_digest(number, facts["credit_code"], salt),
        "submitted_at": facts["submitted_at"], "changed_at": facts["changed_at"], "publicity_at": facts["publicity_at"],
        "can_change": in_window and state == "reserved",
        "can_decline": round_state == RoundState.PUBLICITY and state in {"won", "alternate"},
    }
