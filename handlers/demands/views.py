"""What each side sees of a demand: the enterprise its answers, an institution what it may know at its step."""

from datetime import date, datetime
from typing import Any, TypedDict

from handlers.content_checks import JOIN, SHOWN, text_of
from handlers.context import Context
from handlers.demands.rules import UNCHECKED, consultants_membership, mask_company
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_name, mask_phone, open_sealed
from handlers.refusals import NotFound
from handlers.steps import Steps, offered
from handlers.transactions import Transaction, row, rows
from models.categories import CATEGORIES
from models.content_checks import CheckState
from models.demands import CloseReason, DemandState, DemandTarget, ResponseState


class OfferView(TypedDict):
    """`price_fen`: what the institution asks, at most the product's list price."""

    product_id: int
    product: str
    price_fen: int
    offered_at: datetime


class AnswerView(TypedDict):
    """One institution that was chosen or has taken it up; of the many that were only told of an open demand there are just counts.

    `remark` is there when it has passed: `remark_state`.
    """

    institution_id: int
    institution: str
    state: ResponseState
    is_chosen: bool
    viewed_at: datetime | None
    taken_at: datetime | None
    reached_at: datetime | None
    outcome_at: datetime | None
    remark: str | None
    remark_state: CheckState
    offer: OfferView | None
    order_ids: list[int]


class AlternativeView(TypedDict):
    institution_id: int
    institution: str
    region_code: str | None
    forwarded_at: datetime | None


class DemandCardView(TypedDict):
    """`told`, `viewed`, `taken`: how many institutions were told, have looked, have taken it up.

    `text_state`: of title and text; while a demand is held, 待审 or 未通过 with `text_reason`.
    """

    id: int
    target: DemandTarget
    title: str
    category: str
    category_title: str
    region_code: str
    state: DemandState
    close_reason: CloseReason | None
    text_state: CheckState
    text_reason: str | None
    posted_at: datetime
    expires_at: datetime
    told: int
    viewed: int
    taken: int


class DemandView(DemandCardView):
    """The enterprise's own. The contact is masked here too; long after the closing there is none."""

    text: str
    budget_fen: int | None
    wanted_by: date | None
    contact_name: str | None
    contact_phone: str | None
    attachment_ids: list[int]
    institution_id: int | None
    institution: str | None
    consultant_id: int | None
    consultant: str | None
    product_id: int | None
    product: str | None
    settled_with_id: int | None
    version: int
    updated_at: datetime
    closed_at: datetime | None
    answers: list[AnswerView]
    alternatives: list[AlternativeView]
    allowed_actions: list[str]


class ReceivedCardView(TypedDict):
    """`enterprise` is masked until this institution has taken the demand up; `consultant` is whom it is addressed to.

    Changed words that have not passed are shown to nobody here.
    """

    id: int
    enterprise: str
    title: str
    category: str
    category_title: str
    region_code: str
    budget_fen: int | None
    demand_state: DemandState
    close_reason: CloseReason | None
    state: ResponseState
    is_chosen: bool
    consultant: str | None
    notified_at: datetime
    viewed_at: datetime | None
    taken_at: datetime | None
    expires_at: datetime


class ReceivedView(ReceivedCardView):
    """`text` and files are there once somebody has opened it (查看需求); `places_left` is null for whom the enterprise chose.

    The enterprise reads `remark` when it has passed: `remark_state`, `remark_reason`.
    """

    text: str | None
    attachment_ids: list[int]
    wanted_by: date | None
    version: int
    places_left: int | None
    viewed_by_id: int | None
    taken_by_id: int | None
    reached_at: datetime | None
    outcome_at: datetime | None
    remark: str | None
    remark_state: CheckState
    remark_reason: str | None
    offer: OfferView | None
    order_ids: list[int]
    settled_here: bool


POSTED = f"""
SELECT d.*, {SHOWN}, i.name AS institution_name, c.display_name AS consultant_name, p.name AS product_name, n.*
FROM demands d LEFT JOIN organisations i ON i.id = d.institution_id LEFT JOIN consultants c ON c.id = d.consultant_id
LEFT JOIN products p ON p.id = d.product_id {JOIN.format(subject="demand", id="d.id")}
CROSS JOIN LATERAL (SELECT count(*) AS told, count(viewed_at) AS viewed, count(r.taken_at) AS taken
                    FROM demand_responses r WHERE r.demand_id = d.id) n
"""
ONE_POSTED = f"""
SELECT d.*, ARRAY(SELECT attachment_id FROM demand_files f WHERE f.demand_id = d.id ORDER BY attachment_id) AS attachment_ids
FROM ({POSTED}) d WHERE d.id = $1 AND d.enterprise_id = $2
"""
ORDERS = """
ARRAY(SELECT o.id FROM orders o WHERE o.demand_id = r.demand_id AND o.institution_id = r.institution_id ORDER BY o.id) AS order_ids
"""
ANSWERS = f"""
SELECT r.*, {SHOWN}, i.name AS institution_name, p.name AS product_name, {ORDERS}
FROM demand_responses r JOIN organisations i ON i.id = r.institution_id LEFT JOIN products p ON p.id = r.product_id
{JOIN.format(subject="demand_response", id="r.id")}
WHERE r.demand_id = $1 AND (r.is_chosen OR r.taken_at IS NOT NULL) ORDER BY r.taken_at, r.id
"""
ALTERNATIVES = """
SELECT t.*, o.name, o.region_code FROM demand_alternatives t JOIN organisations o ON o.id = t.institution_id
WHERE t.demand_id = $1 ORDER BY t.offered_at, t.rank
"""
# $1 the institution, $2 the membership of a consultant.
RECEIVED = f"""
SELECT r.*, {SHOWN}, coalesce(w.state, 'passed') = 'passed' AS is_passed,
  d.title, d.text, d.category, d.region_code, d.budget_fen, d.wanted_by, d.state AS demand_state, d.close_reason, d.version,
  d.expires_at, d.settled_with_id, e.name AS enterprise_name, p.name AS product_name, {ORDERS},
  CASE WHEN c.institution_id = r.institution_id THEN c.display_name END AS consultant_name,
  ARRAY(SELECT attachment_id FROM demand_files f WHERE f.demand_id = d.id ORDER BY attachment_id) AS attachment_ids,
  3 - (SELECT count(*) FROM demand_responses t WHERE t.demand_id = d.id AND t.place IS NOT NULL) AS places_left
FROM demand_responses r JOIN demands d ON d.id = r.demand_id JOIN organisations e ON e.id = d.enterprise_id
LEFT JOIN consultants c ON c.id = d.consultant_id LEFT JOIN products p ON p.id = r.product_id
LEFT JOIN content_checks w ON w.subject = 'demand' AND w.subject_id = d.id {JOIN.format(subject="demand_response", id="r.id")}
WHERE r.institution_id = $1
  AND ($2::bigint IS NULL OR (c.institution_id = $1 AND c.membership_id = $2 AND c.state = 'active'))
"""
INBOX = f"{RECEIVED} AND ($3::text IS NULL OR r.state = $3) AND r.id < $4 ORDER BY r.id DESC LIMIT $5"
ONE_RECEIVED = f"{RECEIVED} AND r.demand_id = $3"
NEWEST = 2**63 - 1
UNTAKEN = frozenset({DemandState.HELD, DemandState.OPEN})
STEPS: Steps = {
    "edit": UNTAKEN, "withdraw": UNTAKEN, "close": frozenset({DemandState.TAKEN}), "forward": frozenset({DemandState.OPEN}),
}


# --- the enterprise --------------------------------------------------------------------------------------------------------------


async def list_demands(ctx: Context, state: DemandState | None, page: Page) -> PageView[DemandCardView]:
    """One's own, newest first."""
    before = (page.key() or [NEWEST])[0]
    found = await rows(
        f"{POSTED} WHERE d.enterprise_id = $1 AND d.id < $2 AND ($3::text IS NULL OR d.state = $3) ORDER BY d.id DESC LIMIT $4",
        ctx.organisation_id, before, state, page.limit + 1,
    )
    return page_of(found, page, _card, lambda demand: [demand.id])


async def get_demand(ctx: Context, demand_id: int) -> DemandView:
    """One's own with its answers. Raises NotFound."""
    demand = await row(ONE_POSTED, demand_id, ctx.organisation_id)
    if demand is None:
        raise NotFound
    return _demand(ctx, demand, await rows(ANSWERS, demand_id), await rows(ALTERNATIVES, demand_id))


async def demand_view(ctx: Context, tx: Transaction, demand_id: int) -> DemandView:
    """The same inside the transaction that has just changed it."""
    demand = await tx.row(ONE_POSTED, demand_id, ctx.organisation_id)
    return _demand(ctx, demand, await tx.rows(ANSWERS, demand_id), await tx.rows(ALTERNATIVES, demand_id))


def _card(demand: Any) -> DemandCardView:
    _, text_state = text_of(demand.text, demand, author=True)
    return {
        "id": demand.id, "target": DemandTarget(demand.target), "title": demand.title, "category": demand.category,
        "category_title": CATEGORIES[demand.category], "region_code": demand.region_code, "state": DemandState(demand.state),
        "close_reason": demand.close_reason and CloseReason(demand.close_reason), "text_state": text_state,
        "text_reason": demand.check_reason, "posted_at": demand.posted_at, "expires_at": demand.expires_at, "told": demand.told,
        "viewed": demand.viewed, "taken": demand.taken,
    }


def _demand(ctx: Context, demand: Any, answers: list[Any], alternatives: list[Any]) -> DemandView:
    has_others = any(each.forwarded_at is None for each in alternatives)
    return {
        **_card(demand), "text": demand.text, "budget_fen": demand.budget_fen, "wanted_by": demand.wanted_by,
        "contact_name": demand.contact_name and mask_name(open_sealed(ctx.settings, demand.contact_name)),
        "contact_phone": demand.contact_phone and mask_phone(open_sealed(ctx.settings, demand.contact_phone)),
        "attachment_ids": demand.attachment_ids,
        "institution_id": demand.institution_id, "institution": demand.institution_name, "consultant_id": demand.consultant_id,
        "consultant": demand.consultant_name, "product_id": demand.product_id, "product": demand.product_name,
        "settled_with_id": demand.settled_with_id, "version": demand.version, "updated_at": demand.updated_at,
        "closed_at": demand.closed_at, "answers": [_answer(answer) for answer in answers],
        "alternatives": [{"institution_id": each.institution_id, "institution": each.name, "region_code": each.region_code,
                          "forwarded_at": each.forwarded_at} for each in alternatives],
        "allowed_actions": [verb for verb in offered(ctx, STEPS, demand.state) if verb != "forward" or has_others],
    }


def _answer(answer: Any) -> AnswerView:
    remark, remark_state = text_of(answer.remark or "", answer, author=False)
    return {
        "institution_id": answer.institution_id, "institution": answer.institution_name, "state": ResponseState(answer.state),
        "is_chosen": answer.is_chosen, "viewed_at": answer.viewed_at, "taken_at": answer.taken_at,
        "reached_at": answer.reached_at, "outcome_at": answer.outcome_at, "remark": remark or None, "remark_state": remark_state,
        "offer": _offer(answer), "order_ids": answer.order_ids,
    }


def _offer(response: Any) -> OfferView | None:
    if response.product_id is None:
        return None
    return {
        "product_id": response.product_id, "product": response.product_name, "price_fen": response.price_fen,
        "offered_at": response.offered_at,
    }


# --- the institution -------------------------------------------------------------------------------------------------------------


async def list_received(ctx: Context, state: ResponseState | None, page: Page) -> PageView[ReceivedCardView]:
    """需求管理: what the institution was told of, newest first; a consultant's only what is addressed to them."""
    before = (page.key() or [NEWEST])[0]
    found = await rows(INBOX, ctx.organisation_id, consultants_membership(ctx), state, before, page.limit + 1)
    return page_of(found, page, _received_card, lambda response: [response.id])


async def get_received(ctx: Context, demand_id: int) -> ReceivedView:
    """Without its text and files before it was opened. Raises NotFound."""
    found = await row(ONE_RECEIVED, ctx.organisation_id, consultants_membership(ctx), demand_id)
    if found is None:
        raise NotFound
    return _received(found)


async def received_view(ctx: Context, tx: Transaction, demand_id: int) -> ReceivedView:
    return _received(await tx.row(ONE_RECEIVED, ctx.organisation_id, consultants_membership(ctx), demand_id))


def _received_card(found: Any) -> ReceivedCardView:
    return {
        "id": found.demand_id, "enterprise": found.enterprise_name if found.taken_at else mask_company(found.enterprise_name),
        "title": found.title if found.is_passed else UNCHECKED, "category": found.category, "category_title": CATEGORIES[found.category],
        "region_code": found.region_code, "budget_fen": found.budget_fen, "demand_state": DemandState(found.demand_state),
        "close_reason": found.close_reason and CloseReason(found.close_reason), "state": ResponseState(found.state),
        "is_chosen": found.is_chosen, "consultant": found.consultant_name, "notified_at": found.notified_at,
        "viewed_at": found.viewed_at, "taken_at": found.taken_at, "expires_at": found.expires_at,
    }


def _received(found: Any) -> ReceivedView:
    opened = found.viewed_at is not None and found.is_passed
    _, remark_state = text_of(found.remark or "", found, author=True)
    return {
        **_received_card(found), "text": found.text if opened else None, "attachment_ids": found.attachment_ids if opened else [],
        "wanted_by": found.wanted_by, "version": found.version, "places_left": None if found.is_chosen else found.places_left,
        "viewed_by_id": found.viewed_by_id, "taken_by_id": found.taken_by_id, "reached_at": found.reached_at,
        "outcome_at": found.outcome_at, "remark": found.remark, "remark_state": remark_state, "remark_reason": found.check_reason,
        "offer": _offer(found), "order_ids": found.order_ids, "settled_here": found.settled_with_id == found.institution_id,
    }
