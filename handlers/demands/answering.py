"""What an institution, or its consultant, does about a demand: look, take it up or pass, talk, and say what became of it (D16)."""

from enum import StrEnum
from typing import Any, TypedDict

from handlers import content_checks, institutions, scores
from handlers.context import Context
from handlers.demands.rules import DemandClosed, DemandHeld, lock_received, refuse_related, require_within_reach
from handlers.demands.views import ReceivedView, received_view
from handlers.moves import move
from handlers.personal import open_sealed
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, transaction
from models.demands import DEMAND_GRAPH, RESPONSE_GRAPH, TAKERS_MAX, CloseReason, DemandState, ResponseState
from models.scores import ScoreKind


class DemandFull(Refusal):
    """`data.max`: so many have taken it up."""

    kind, code, title = Kind.CONFLICT, "demand_full", "该需求的接单机构已满"


class DemandPassed(Refusal):
    kind, code, title = Kind.CONFLICT, "demand_passed", "本机构已选择无意向"


class DemandAlreadyTaken(Refusal):
    """By this institution itself."""

    kind, code, title = Kind.CONFLICT, "demand_already_taken", "本机构已接单"


class NotTakenUp(Refusal):
    """Talking, offering and outcomes come after taking it up."""

    kind, code, title = Kind.CONFLICT, "demand_not_taken_up", "请先接单"


class OutcomeNotPossible(Refusal):
    """`data.state`: what it is now, from where that outcome does not follow."""

    kind, code, title = Kind.CONFLICT, "outcome_not_possible", "当前状态不能登记该对接结果"


class OutcomeByOrder(Refusal):
    kind, code, title = Kind.INVALID, "outcome_by_order", "“已转订单”在企业下单后自动登记"


class ContactNotVisible(Refusal):
    """Before it is taken up, after 未达成合作, when it was closed with somebody else, and when it has been forgotten."""

    kind, code, title = Kind.FORBIDDEN, "contact_not_visible", "接单后且在对接期间方可查看联系方式"


class Outcome(StrEnum):
    """对接结果 (D16)."""

    SIGNED = ResponseState.SIGNED.value
    DECLINED = ResponseState.DECLINED.value
    NO_CONTACT = ResponseState.NO_CONTACT.value
    CONVERTED = ResponseState.CONVERTED.value


class ContactView(TypedDict):
    name: str
    phone: str


R = ResponseState
UNTAKEN = frozenset({R.NOTIFIED, R.VIEWED, R.PASSED})
TALKING = frozenset({R.TAKEN, R.CONTACTED, R.NO_CONTACT, R.SIGNED, R.CONVERTED})
COUNTED = frozenset({R.SIGNED, R.DECLINED, R.CONVERTED})
# The third has taken the last place: what the others were told asks for nothing that they could do.
NO_PLACE_LEFT = """
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'demand_handled', institution_id, 'demand', demand_id, '{}', $2 FROM demand_responses
WHERE demand_id = $1 AND NOT is_chosen AND state IN ('notified', 'viewed')
"""
FREE_PLACE = """
SELECT min(n)::smallint FROM generate_series(1, $2::int) n
WHERE NOT EXISTS (SELECT 1 FROM demand_responses WHERE demand_id = $1 AND place = n)
"""


async def view_demand(ctx: Context, demand_id: int) -> ReceivedView:
    """查看需求: the first look is recorded, who and when; again is no error.

    Raises NotFound; DemandClosed, DemandHeld before a first look.
    """
    async with transaction(ctx) as tx:
        demand, response = await lock_received(ctx, tx, demand_id)
        if response.state == R.NOTIFIED:
            _refuse_unless_alive(ctx, demand)
            await _looked_at(ctx, tx, response)
        return tx.reply(await received_view(ctx, tx, demand_id))


async def pass_demand(ctx: Context, demand_id: int, remark: str | None) -> ReceivedView:
    """无意向. Raises NotFound, DemandClosed, DemandHeld, DemandAlreadyTaken, DemandPassed."""
    async with transaction(ctx) as tx:
        demand, response = await lock_received(ctx, tx, demand_id)
        _refuse_unless_alive(ctx, demand)
        response = await _undecided(ctx, tx, response)
        await move(tx, RESPONSE_GRAPH, response, R.PASSED, remark=remark)
        await content_checks.ask(tx, "demand_response", response.id, remark or "")
        _handled(tx, response)
        return tx.reply(await received_view(ctx, tx, demand_id))


async def take_demand(ctx: Context, demand_id: int) -> ReceivedView:
    """接单: whom the enterprise chose always, of the others the first three. From now on the contact may be seen.

    Raises NotFound, DemandClosed, DemandHeld, DemandFull, DemandAlreadyTaken, DemandPassed, RelatedAddressee,
    OutsideZone, InstitutionSuspended, InstitutionNotCertified.
    """
    async with transaction(ctx) as tx:
        await institutions.require_open_shop(tx, ctx.organisation_id)
        demand, response = await lock_received(ctx, tx, demand_id)
        _refuse_unless_alive(ctx, demand)
        await refuse_related(tx, demand.enterprise_id, ctx.organisation_id)
        await require_within_reach(tx, demand.enterprise_id, ctx.organisation_id)
        response = await _undecided(ctx, tx, response)
        place = None if response.is_chosen else await _free_place(tx, demand_id)
        await move(tx, RESPONSE_GRAPH, response, R.TAKEN, taken_at=ctx.now, taken_by_id=ctx.person_id, place=place)
        if demand.state == DemandState.OPEN:
            await move(tx, DEMAND_GRAPH, demand, DemandState.TAKEN, taken_at=ctx.now, updated_at=ctx.now, alternatives_at=None)
        if place == TAKERS_MAX:
            await tx.run("UPDATE demands SET spread_at = NULL WHERE id = $1", demand_id)
            await tx.run(NO_PLACE_LEFT, demand_id, ctx.now)
        _handled(tx, response)
        await tell_enterprise(tx, demand, response, "taken")
        return tx.reply(await received_view(ctx, tx, demand_id))


async def reveal_contact(ctx: Context, demand_id: int) -> ContactView:
    """Name and phone of who asks, for those who have taken it up. Each look is in the audit trail (D16). Raises ContactNotVisible."""
    async with transaction(ctx) as tx:
        demand, response = await lock_received(ctx, tx, demand_id)
        elsewhere = demand.close_reason == CloseReason.GIVEN_UP or demand.settled_with_id not in (None, ctx.organisation_id)
        if response.state not in TALKING or elsewhere or demand.contact_name is None:
            raise ContactNotVisible
        tx.record("demand.contact_revealed", "demand", demand_id, response_id=response.id)
        return {
            "name": open_sealed(ctx.settings, demand.contact_name), "phone": open_sealed(ctx.settings, demand.contact_phone),
        }


async def contact_made(ctx: Context, demand_id: int) -> ReceivedView:
    """已联系. Raises NotFound, NotTakenUp, OutcomeNotPossible."""
    async with transaction(ctx) as tx:
        _, response = await lock_received(ctx, tx, demand_id)
        _refuse_step(response, R.CONTACTED)
        await move(tx, RESPONSE_GRAPH, response, R.CONTACTED, reached_at=ctx.now)
        return tx.reply(await received_view(ctx, tx, demand_id))


async def record_outcome(ctx: Context, demand_id: int, outcome: Outcome, remark: str | None) -> ReceivedView:
    """维护对接结果, also after the enterprise has closed it. An answer counts once for the score, 联系不上 does not.

    Raises NotFound, NotTakenUp, OutcomeNotPossible, OutcomeByOrder.
    """
    if outcome is Outcome.CONVERTED:
        raise OutcomeByOrder
    async with transaction(ctx) as tx:
        demand, response = await lock_received(ctx, tx, demand_id)
        _refuse_step(response, R(outcome))
        response = await move(
            tx, RESPONSE_GRAPH, response, R(outcome), note={"remark": remark}, outcome_at=ctx.now, remark=remark
        )
        await content_checks.ask(tx, "demand_response", response.id, remark or "")
        await count_answer(tx, demand, response)
        return tx.reply(await received_view(ctx, tx, demand_id))


# --- steps -----------------------------------------------------------------------------------------------------------------------


async def count_answer(tx: Transaction, demand: Any, response: Any) -> None:
    """The score counts an answered demand once, whatever outcomes follow each other."""
    if response.state in COUNTED:
        await scores.count(
            tx, ScoreKind.DEMAND_ANSWERED, "demand_response", response.id, institution_id=response.institution_id,
            consultant_id=demand.consultant_id if response.institution_id == demand.institution_id else None,
            enterprise_id=demand.enterprise_id, outcome=response.state,
            minutes=int((response.taken_at - response.notified_at).total_seconds() // 60),
        )


async def tell_enterprise(tx: Transaction, demand: Any, response: Any, answer: str, **data: Any) -> None:
    name = await tx.value("SELECT name FROM organisations WHERE id = $1", response.institution_id)
    tx.announce(
        "demand_answered", "demand", demand.id, organisation_id=demand.enterprise_id, title=demand.title, institution=name, answer=answer,
        **data,
    )


def _handled(tx: Transaction, response: Any) -> None:
    """Whatever asked this institution for an answer has it."""
    tx.announce("demand_handled", "demand", response.demand_id, organisation_id=response.institution_id)


def _refuse_unless_alive(ctx: Context, demand: Any) -> None:
    """Also in the moment before the sweep closes it. Raises DemandClosed, DemandHeld."""
    if demand.state == DemandState.CLOSED:
        raise DemandClosed(reason=demand.close_reason)
    if demand.expires_at <= ctx.now:
        raise DemandClosed(reason=CloseReason.EXPIRED)
    if demand.state == DemandState.HELD:
        raise DemandHeld


async def _looked_at(ctx: Context, tx: Transaction, response: Any) -> Any:
    return await move(tx, RESPONSE_GRAPH, response, R.VIEWED, viewed_at=ctx.now, viewed_by_id=ctx.person_id, remind_at=None)


async def _undecided(ctx: Context, tx: Transaction, response: Any) -> Any:
    """The response as looked at: who answers has seen it. Raises DemandAlreadyTaken, DemandPassed."""
    if response.state == R.PASSED:
        raise DemandPassed
    if response.state not in UNTAKEN:
        raise DemandAlreadyTaken
    return await _looked_at(ctx, tx, response) if response.state == R.NOTIFIED else response


async def _free_place(tx: Transaction, demand_id: int) -> int:
    """The lowest free one; UNIQUE makes the same place impossible twice, even without the lock. Raises DemandFull."""
    place: int | None = await tx.value(FREE_PLACE, demand_id, TAKERS_MAX)
    if place is None:
        raise DemandFull(max=TAKERS_MAX)
    return place


def _refuse_step(response: Any, to: ResponseState) -> None:
    """Raises NotTakenUp, OutcomeNotPossible."""
    if response.state in UNTAKEN:
        raise NotTakenUp
    if to not in RESPONSE_GRAPH.next_states(response.state):
        raise OutcomeNotPossible(state=response.state)


