"""Tickets: reserve, change the choice, withdraw, see the result in its time (E13-E18, F02, F04).

Reserving shares the round's advisory lock and closing takes it alone, so that a ticket of the last instant is on the list or
refused. Window, qualification and caps are read in one statement and judged by the rules that are also shown; a new ticket is one
statement more, which looks behind the lock whether the round is still open.
"""

import secrets
from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.draw_rules import SALT_BYTES, entry_digest, ticket_number
from handlers.eligibility import Rule, RuleView, Tree, Verdict, refuse_unless, rule_view
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.qualifications import NotCertified, is_complete
from handlers.refusals import Kind, NotFound, Refusal
from handlers.rounds import TICKETS_LOCK, YEAR, is_open
from handlers.sessions import Reading
from handlers.transactions import Transaction, one_statement, row, rows, transaction
from models.reservations import RESERVATION_GRAPH, ReservationState, RoundState


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


STATE_TITLES = {
    "reserved": "已预约", "withdrawn": "已撤回", "awaiting": "待公示", "won": "中签", "alternate": "候补", "lost": "未中签",
    "issued": "已发券", "declined": "已放弃", "disqualified": "已取消资格", "voided": "批次已作废",
}


class ReservationView(TypedDict):
    """Ticket number, salt and entry digest are the receipt: with the credit code they prove the line on the published list."""

    id: int
    round_id: int
    round_number: str
    round: str
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


class TypeChoiceView(TypedDict):
    """A choice on the reservation page; disabled means greyed out, with `tooltip` as its hover text (E17)."""

    voucher_type_id: int
    code: str
    name: str
    face_fen: int
    enabled: bool
    tooltip: str | None
    rules: list[RuleView]


class EligibilityView(TypedDict):
    """`may_reserve` also says whether a choice may be changed, if there is one. `notes` pop up at the first entry (E13)."""

    round_id: int
    verdict: Verdict
    rules: list[RuleView]
    voucher_types: list[TypeChoiceView]
    reservation_id: int | None
    notes: str
    show_notes: bool


# --- facts and rules -------------------------------------------------------------------------------------------------

SHARE_LOCK = f"SELECT pg_advisory_xact_lock_shared({TICKETS_LOCK})"
FACTS = f"""
SELECT r.id, r.number, r.name, r.state, r.opens_at, r.closes_at, r.publicity_at, r.notes, o.credit_code, o.certified_at,
  o.suspended_at, a.id AS qualification_id, a.form, v.id AS reservation_id, v.state AS reservation_state,
  (SELECT coalesce(json_agg(json_build_object('id', t.id, 'code', t.code, 'name', t.name, 'face_fen', t.face_fen,
     'cap', t.annual_win_cap, 'wins', CASE WHEN t.annual_win_cap IS NULL THEN 0 ELSE (
       SELECT count(*) FROM reservations w WHERE w.organisation_id = $2 AND w.voucher_type_id = t.id
         AND w.win_year = {YEAR.format(round="r")} AND w.win_nth IS NOT NULL) END) ORDER BY t.id), '[]')
   FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id WHERE q.round_id = r.id) AS types
FROM rounds r JOIN organisations o ON o.id = $2
LEFT JOIN applications a
  ON a.organisation_id = o.id AND a.kind = 'qualification' AND a.programme_id = r.programme_id AND a.state = 'approved'
LEFT JOIN reservations v ON v.round_id = r.id AND v.organisation_id = o.id
WHERE r.id = $1 AND r.state <> 'draft'
"""
# A number that is not used after all leaves a gap, as it does when two colleagues take a ticket at once.
FACTS_AND_NEXT_ID = FACTS.replace("SELECT r.id", "SELECT nextval('reservations_id_seq') AS next_id, r.id", 1)
TO_RESERVE = Reading(FACTS_AND_NEXT_ID.replace("$2", "me.organisation_id"))


def share_lock(round_id: int) -> str:
    """How a transaction over a ticket that is there begins: behind the lock that holds the list open."""
    return f"BEGIN; {SHARE_LOCK.replace('$1', str(round_id))}"


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
        fix="请在预约时间内预约", link="pages/rounds/index",
    )


def round_tree(ctx: Context, facts: Any, *ticket_rules: Rule) -> Tree:
    """What every ticket of the round needs, whatever its type."""
    certified = facts.certified_at is not None and facts.credit_code is not None
    qualified, complete = facts.qualification_id is not None, is_complete(facts)
    return Tree("reservation", "预约服务券", (
        window_rule(ctx, facts),
        Rule("certified", "企业已实名认证", certified, NotCertified, expected=True, actual=certified, fix="请先完成企业实名认证",
             link="pages/enterprise/certification"),
        Rule("not_suspended", "企业状态正常", facts.suspended_at is None, EnterpriseSuspended, expected=True,
             actual=facts.suspended_at is None, fix="请联系 4006-0531-77"),
        Rule("qualified", "已取得服务券资格", qualified, QualificationMissing, expected=True, actual=qualified,
             fix="请先申请服务券资格", link="pages/qualification/show"),
        # Unknown, not broken, while there is no qualification at all: the rule before says what to do.
        Rule("qualification_complete", "资格信息完整", complete if qualified else None, QualificationOutdated, expected=True,
             actual=complete, fix="请补充服务券资格信息（无需再次审核）", link="pages/qualification/show"),
        *ticket_rules,
    ))


def one_ticket_rule(facts: Any) -> Rule:
    """F02: one ticket per enterprise and round."""
    free = facts.reservation_state in {None, ReservationState.WITHDRAWN}
    return Rule("one_ticket", "本批次尚未预约", free, AlreadyReserved, expected=True, actual=free, fix="可在预约时间内更改所选券种",
                link="pages/reservations/index")


def type_tree(choice: dict[str, Any]) -> Tree:
    cap, wins = choice["cap"], choice["wins"]
    return Tree(choice["code"], choice["name"], (
        Rule("annual_cap", "未达年度中签上限", cap is None or wins < cap, VoucherTypeCapped, expected=cap, actual=wins,
             fix="请选择其他券种"),
    ))


def choice_of(facts: Any, voucher_type_id: int) -> dict[str, Any]:
    for choice in facts.types:
        if choice["id"] == voucher_type_id:
            found: dict[str, Any] = choice
            return found
    raise VoucherTypeNotInRound


async def explain(ctx: Context, round_id: int) -> EligibilityView:
    """May the enterprise reserve (or, if it has, change) now, type by type, and if not why (F04). Raises NotFound."""
    facts = await row(FACTS, round_id, ctx.organisation_id)
    if facts is None:
        raise NotFound
    has_ticket = facts.reservation_state not in {None, ReservationState.WITHDRAWN}
    tree = round_tree(ctx, facts) if has_ticket else round_tree(ctx, facts, one_ticket_rule(facts))
    return {
        "round_id": round_id, "verdict": tree.verdict, "rules": [rule_view(rule) for rule in tree.rules],
        "voucher_types": [_choice_view(choice) for choice in facts.types],
        "reservation_id": facts.reservation_id if has_ticket else None, "notes": facts.notes,
        "show_notes": facts.reservation_id is None,
    }


def _choice_view(choice: dict[str, Any]) -> TypeChoiceView:
    tree = type_tree(choice)
    return {
        "voucher_type_id": choice["id"], "code": choice["code"], "name": choice["name"], "face_fen": choice["face_fen"],
        "enabled": not tree.broken, "tooltip": tree.broken[0].refusal.title if tree.broken else None,
        "rules": [rule_view(rule) for rule in tree.rules],
    }


# --- changing --------------------------------------------------------------------------------------------------------


async def reserve(ctx: Context, round_id: int, voucher_type_id: int) -> ReservationView:
    """Take the enterprise's one ticket (E15). Raises NotFound, VoucherTypeNotInRound, and whatever rule does not pass."""
    facts = await first_facts(ctx, round_id)
    choice = choice_of(facts, voucher_type_id)
    refuse_unless(round_tree(ctx, facts, one_ticket_rule(facts)), type_tree(choice))
    if facts.reservation_id is not None:
        return await _take_again(ctx, round_id, voucher_type_id)
    async with one_statement(ctx) as tx:
        return await _take(tx, facts, choice)


# First the tickets' lock, then the round as it is by then: FOR SHARE looks at the newest version of a row, where the rest of the
# statement sees what was there when it began. So a list that was closed meanwhile takes no ticket any more.
TAKE = f"""
WITH held AS MATERIALIZED ({SHARE_LOCK} AS held)
INSERT INTO reservations (id, round_id, organisation_id, voucher_type_id, state, salt, reserved_by_id, submitted_at, changed_at)
SELECT $2, round.id, $3, $4, $5, $6, $7, $8, $9 FROM held CROSS JOIN LATERAL (
  SELECT id FROM rounds WHERE id = $1 AND state IN ('announced', 'open') AND held.held IS NOT NULL FOR SHARE) round
ON CONFLICT (round_id, organisation_id) DO NOTHING RETURNING id
"""


async def _take(tx: Transaction, facts: Any, choice: dict[str, Any]) -> ReservationView:
    """The ticket's number is known before it is written, so ticket, audit row, notice and receipt are one statement."""
    ctx = tx.ctx
    ticket = {
        "round_id": facts.id, "id": facts.next_id, "organisation_id": ctx.organisation_id, "voucher_type_id": choice["id"],
        "state": ReservationState.SUBMITTED.value, "salt": secrets.token_bytes(SALT_BYTES), "reserved_by_id": ctx.person_id,
        "submitted_at": ctx.now, "changed_at": ctx.now,
    }
    tx.record("reservation.submitted", "reservation", facts.next_id, after="submitted", voucher_type_id=choice["id"])
    view = _receipt(tx, facts, choice, {**ticket, "rank": None})
    if await tx.last(TAKE, *ticket.values()) is None:
        # The list was closed, or a colleague was faster.
        facts = await read_facts(ctx, tx, facts.id)
        refuse_unless(round_tree(ctx, facts, one_ticket_rule(facts)))
        raise AlreadyReserved
    return view


def _receipt(tx: Transaction, facts: Any, choice: dict[str, Any], ticket: Any) -> ReservationView:
    view = reservation_view({**facts, **ticket}, choice["name"], tx.ctx.now)
    tx.announce(
        "reservation_received", "reservation", view["id"], organisation_id=tx.ctx.organisation_id, round=facts.name,
        ticket_no=view["ticket_no"], voucher_type=choice["name"], publicity_at=facts.publicity_at.isoformat(),
    )
    return tx.reply(view, 201)


async def _take_again(ctx: Context, round_id: int, voucher_type_id: int) -> ReservationView:
    """After a withdrawal, the same ticket with its number and salt: a receipt that is out stays true."""
    async with transaction(ctx, share_lock(round_id)) as tx:
        facts = await read_facts(ctx, tx, round_id)
        choice = choice_of(facts, voucher_type_id)
        refuse_unless(round_tree(ctx, facts, one_ticket_rule(facts)), type_tree(choice))
        withdrawn = await tx.row(
            "SELECT * FROM reservations WHERE id = $1 AND state = 'withdrawn' FOR NO KEY UPDATE", facts.reservation_id
        )
        if withdrawn is None:
            raise AlreadyReserved
        return _receipt(tx, facts, choice, await move(
            tx, RESERVATION_GRAPH, withdrawn, ReservationState.SUBMITTED, note={"voucher_type_id": voucher_type_id},
            voucher_type_id=voucher_type_id, reserved_by_id=ctx.person_id, submitted_at=ctx.now, changed_at=ctx.now,
        ))


async def change_type(ctx: Context, round_id: int, voucher_type_id: int) -> ReservationView:
    """Another voucher type for the same ticket, at any time in the window (E16). Raises like `reserve`, and NothingReserved."""
    async with transaction(ctx, share_lock(round_id)) as tx:
        facts = await read_facts(ctx, tx, round_id)
        choice = choice_of(facts, voucher_type_id)
        refuse_unless(round_tree(ctx, facts), type_tree(choice))
        changed = await tx.row(
            "UPDATE reservations SET voucher_type_id = $2, changed_at = $3 WHERE id = $1 AND state = 'submitted' RETURNING *",
            facts.reservation_id, voucher_type_id, ctx.now,
        )
        if changed is None:
            raise NothingReserved
        tx.record("reservation.changed", "reservation", changed.id, voucher_type_id=voucher_type_id)
        return tx.reply(reservation_view({**facts, **changed}, choice["name"], ctx.now))


async def withdraw(ctx: Context, round_id: int) -> ReservationView:
    """Within the window; the enterprise may reserve again in it. Raises NotFound, RoundNotOpen, NothingReserved."""
    async with transaction(ctx, share_lock(round_id)) as tx:
        facts = await read_facts(ctx, tx, round_id)
        refuse_unless(Tree("withdrawal", "撤回预约", (window_rule(ctx, facts),)))
        found = await tx.row(
            "SELECT * FROM reservations WHERE id = $1 AND state = 'submitted' FOR NO KEY UPDATE", facts.reservation_id
        )
        if found is None:
            raise NothingReserved
        gone = await move(tx, RESERVATION_GRAPH, found, ReservationState.WITHDRAWN, changed_at=ctx.now)
        return tx.reply(reservation_view({**facts, **gone}, choice_of(facts, gone.voucher_type_id)["name"], ctx.now))


# --- looking ---------------------------------------------------------------------------------------------------------

SELECT = """
SELECT v.*, r.number, r.name, r.opens_at, r.closes_at, r.publicity_at, r.state AS round_state, t.name AS voucher_type, o.credit_code
FROM reservations v JOIN rounds r ON r.id = v.round_id JOIN voucher_types t ON t.id = v.voucher_type_id
JOIN organisations o ON o.id = v.organisation_id
"""


async def list_reservations(ctx: Context, page: Page) -> PageView[ReservationView]:
    """预约记录 of the acting enterprise, newest first; results only after the publicity time (E18)."""
    key = page.key()
    found = await rows(
        SELECT + " WHERE v.organisation_id = $1 AND ($2::bigint IS NULL OR v.id < $2) ORDER BY v.id DESC LIMIT $3",
        ctx.organisation_id, key[0] if key else None, page.limit + 1,
    )
    return page_of(found, page, lambda each: view_of(each, ctx.now), lambda each: [each.id])


async def get_reservation(ctx: Context, reservation_id: int) -> ReservationView:
    found = await row(SELECT + " WHERE v.id = $1 AND v.organisation_id = $2", reservation_id, ctx.organisation_id)
    if found is None:
        raise NotFound
    return view_of(found, ctx.now)


def view_of(found: Any, now: datetime) -> ReservationView:
    return reservation_view(dict(found), found.voucher_type, now)


def shown_state(state: str, round_state: str, publicity_at: datetime, now: datetime) -> str:
    """A loser is not written: a ticket that is still `submitted` when results are public has lost."""
    if state == ReservationState.WITHDRAWN:
        return "withdrawn"
    if round_state == RoundState.VOIDED:
        return "voided"
    if round_state in {RoundState.ANNOUNCED, RoundState.OPEN}:
        return "reserved"
    if round_state in {RoundState.CLOSED, RoundState.COMMITTED} or now < publicity_at:
        return "awaiting"
    return "lost" if state == ReservationState.SUBMITTED else state


def reservation_view(facts: dict[str, Any], voucher_type: str, now: datetime) -> ReservationView:
    """`facts`: the reservation's columns with its round's; `round_state` where the round's state is not `state`."""
    round_state = facts.get("round_state", RoundState.OPEN)
    number = ticket_number(facts["number"], facts["id"])
    state = shown_state(facts["state"], round_state, facts["publicity_at"], now)
    salt = bytes(facts["salt"])
    in_window = round_state in {RoundState.ANNOUNCED, RoundState.OPEN} and facts["opens_at"] <= now < facts["closes_at"]
    return {
        "id": facts["id"], "round_id": facts["round_id"], "round_number": facts["number"], "round": facts["name"],
        "ticket_no": number, "voucher_type_id": facts["voucher_type_id"], "voucher_type": voucher_type, "state": state,
        "state_title": STATE_TITLES[state], "rank": facts["rank"] if state in {"won", "alternate", "issued"} else None,
        "salt": salt.hex(), "entry_digest": entry_digest(number, facts["credit_code"], salt),
        "submitted_at": facts["submitted_at"], "changed_at": facts["changed_at"], "publicity_at": facts["publicity_at"],
        "can_change": in_window and state == "reserved",
        "can_decline": round_state == RoundState.PUBLICITY and state in {"won", "alternate"},
    }
