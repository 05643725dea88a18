"""Tickets: reserve, change the choice, withdraw, see the result in its time (E13-E18, F02, F04).

Reserving shares the round's advisory lock and closing takes it alone, so that a ticket of the last instant is on the list or
refused. Window, qualification and caps are read in one statement and judged by the rules that are also shown; a new ticket is one
statement more, which looks behind the lock whether the round is still open.
"""

import secrets
from datetime import datetime
from typing import Any, TypedDict

from handlers import first_come
from handlers.context import Context
from handlers.draw_rules import SALT_BYTES
from handlers.eligibility import RuleView, Tree, Verdict, refuse_unless, rule_view
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import NotFound
from handlers.reservation_rules import (
    FACTS,
    AlreadyReserved,
    NothingReserved,
    ReservationView,
    choice_of,
    first_facts,
    one_ticket_rule,
    read_facts,
    reservation_view,
    round_tree,
    type_tree,
    window_rule,
)
from handlers.rounds import TICKETS_LOCK
from handlers.transactions import Transaction, one_statement, row, rows, transaction
from models.reservations import RESERVATION_GRAPH, Allocation, ReservationState


class TypeChoiceView(TypedDict):
    """A choice on the reservation page; disabled means greyed out, with `tooltip` as its hover text (E17)."""

    voucher_type_id: int
    code: str
    name: str
    face_fen: int
    left: int | None  # of its quota, where who comes first is served; null where a draw decides
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
        "left": choice["left"], "enabled": not tree.broken, "tooltip": tree.broken[0].refusal.title if tree.broken else None,
        "rules": [rule_view(rule) for rule in tree.rules],
    }


# --- changing --------------------------------------------------------------------------------------------------------


async def reserve(ctx: Context, round_id: int, voucher_type_id: int) -> ReservationView:
    """Take the enterprise's one ticket (E15); first come, first served, it is a voucher at once.

    Raises NotFound, VoucherTypeNotInRound, and whatever rule does not pass.
    """
    facts = await first_facts(ctx, round_id)
    choice = choice_of(facts, voucher_type_id)
    refuse_unless(round_tree(ctx, facts, one_ticket_rule(facts)), type_tree(choice))
    if facts.allocation == Allocation.FIRST_COME:
        return await first_come.take(ctx, facts, choice)
    if facts.reservation_id is not None:
        return await _take_again(ctx, round_id, voucher_type_id)
    async with one_statement(ctx) as tx:
        return await _take(tx, facts, choice)


SHARE_LOCK = f"SELECT pg_advisory_xact_lock_shared({TICKETS_LOCK})"
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


def share_lock(round_id: int) -> str:
    """How a transaction over a ticket that is there begins: behind the lock that holds the list open."""
    return f"BEGIN; {SHARE_LOCK.replace('$1', str(round_id))}"


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
SELECT v.*, r.number, r.name, r.allocation, r.opens_at, r.closes_at, r.publicity_at, r.state AS round_state,
  t.name AS voucher_type, o.credit_code
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
