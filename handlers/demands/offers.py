"""转订单: an institution offers a product at a price to who asked; the enterprise places an ordinary order that names the demand."""

from typing import Any

from handlers.context import Context
from handlers.demands.answering import TALKING, NotTakenUp, OutcomeNotPossible, count_answer, tell_enterprise
from handlers.demands.rules import DemandClosed, lock_posted, lock_received
from handlers.demands.views import ReceivedView, received_view
from handlers.moves import move
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, transaction
from models.demands import RESPONSE_GRAPH, DemandState, ResponseState


class ProductNotOffered(Refusal):
    """Not listed, not one's own, or of no price (面议)."""

    kind, code, title = Kind.CONFLICT, "product_not_offerable", "只能推荐本机构已上架且有标价的产品"


class OfferAboveList(Refusal):
    """`data.price_fen`: the price it is listed at, above which nobody orders."""

    kind, code, title = Kind.INVALID, "offer_above_list", "报价不能高于产品标价"


class NotOffered(Refusal):
    """The demand's order is for the product that its institution offered."""

    kind, code, title = Kind.CONFLICT, "demand_not_offered", "该产品不是机构针对此需求推荐的产品"


OWN_PRODUCT = "SELECT id, name, price_fen FROM products WHERE id = $1 AND organisation_id = $2 AND state = 'listed' FOR SHARE"
OFFER = "UPDATE demand_responses SET product_id = $2, price_fen = $3, offered_at = $4 WHERE id = $1"
LOCK_OFFER = "SELECT * FROM demand_responses WHERE demand_id = $1 AND product_id = $2 AND institution_id = $3 FOR UPDATE"


async def offer_product(ctx: Context, demand_id: int, product_id: int, price_fen: int) -> ReceivedView:
    """推荐产品: at most at its list price; a new offer replaces the last. The enterprise hears of it.

    Raises NotFound, DemandClosed, NotTakenUp, OutcomeNotPossible, ProductNotOffered, OfferAboveList.
    """
    async with transaction(ctx) as tx:
        demand, response = await lock_received(ctx, tx, demand_id)
        if demand.state == DemandState.CLOSED:
            raise DemandClosed(reason=demand.close_reason)
        if response.taken_at is None:
            raise NotTakenUp
        if response.state not in TALKING - {ResponseState.CONVERTED}:
            raise OutcomeNotPossible(state=response.state)
        product = await tx.row(OWN_PRODUCT, product_id, ctx.organisation_id)
        if product is None or product.price_fen is None:
            raise ProductNotOffered
        if price_fen > product.price_fen:
            raise OfferAboveList(price_fen=product.price_fen)
        await tx.run(OFFER, response.id, product_id, price_fen, ctx.now)
        tx.record("demand_response.offered", "demand_response", response.id, product_id=product_id, price_fen=price_fen)
        await tell_enterprise(tx, demand, response, "offered", service=product.name, price_fen=price_fen)
        return tx.reply(await received_view(ctx, tx, demand_id))


async def lock_offer(ctx: Context, tx: Transaction, demand_id: int, product_id: int, institution_id: int) -> tuple[Any, Any]:
    """Before an order is placed: the own demand and the response that offered this product. Raises NotFound, DemandClosed, NotOffered."""
    demand = await lock_posted(ctx, tx, demand_id)
    if demand.state == DemandState.CLOSED:
        raise DemandClosed(reason=demand.close_reason)
    response = await tx.row(LOCK_OFFER, demand_id, product_id, institution_id)
    if response is None:
        raise NotOffered
    return demand, response


async def convert(tx: Transaction, demand: Any, response: Any, order_id: int) -> None:
    """The order is there: that is the outcome. A second order of the same offer only names the demand. Raises NotOffered."""
    if response.state == ResponseState.CONVERTED:
        return
    if ResponseState.CONVERTED not in RESPONSE_GRAPH.next_states(response.state):
        raise NotOffered
    response = await move(
        tx, RESPONSE_GRAPH, response, ResponseState.CONVERTED, note={"order_id": order_id}, outcome_at=tx.ctx.now
    )
    await count_answer(tx, demand, response)


REFUSALS = (NotFound, DemandClosed, NotOffered)
