"""Placing an order (O1; E27, E28)."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from handlers import accounts, demands, programmes
from handlers.context import Context
from handlers.eligibility import refuse_unless
from handlers.orders import rules as order_rules
from handlers.orders.policy import rules_of_order, settles_prices
from handlers.orders.uses import lowest_free, taken, year_of
from handlers.orders.views import SELECT, OrderView, view
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, transaction
from handlers.working_days import SHANGHAI
from models.orders import OrderState

AGREEMENT_VERSION = accounts.agreement()["version"]  # 《专项服务券交易协议》


class AgreementNeeded(Refusal):
    kind, code, title = Kind.INVALID, "agreement_needed", "请阅读并同意《专项服务券交易协议》"


def order_number(now: datetime) -> str:
    """24 digits: the order's time in Shanghai and ten random ones (E37)."""
    return now.astimezone(SHANGHAI).strftime("%Y%m%d%H%M%S") + f"{secrets.randbelow(10**10):010d}"


INSERT = """
INSERT INTO orders (number, programme_id, policy_id, enterprise_id, institution_id, product_id, product_name, product_version,
  category, content, deductions, list_price_fen, order_fen, max_voucher_fen, voucher_fen, returned_fen, state, message, agreement_version,
  rework_count, use_year, use_nth, placed_by_id, placed_at, due_at, demand_id, offered_fen, reminded, version)
VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$21,$10,$11,coalesce($23::bigint, $11),$12,0,0,$13,$14,$15,0,$16,$17,$18,$19,$20,$22,$23,0,1)
RETURNING id
"""


async def place_order(
    ctx: Context, product_id: int, programme_id: int, *, agreement_version: str, message: str = "", demand_id: int | None = None
) -> OrderView:
    """提交订单: one product, for the acting enterprise; at its list price, or at what was offered on its demand.

    The yearly use is taken now, counts in the year of the payment (E28), and is given back when the order is closed unpaid or wholly
    returned.
    `demand_id`: the own demand for which the institution offered this product (D16); the order is its outcome, and never costs more.
    Raises NotFound, AgreementNeeded, order_rules.REFUSALS and demands.ORDER_REFUSALS.
    """
    if agreement_version != AGREEMENT_VERSION:
        raise AgreementNeeded(agreement_version=AGREEMENT_VERSION)
    async with transaction(ctx) as tx:
        facts = await order_rules.lock_facts(ctx, tx, product_id, programme_id)
        refuse_unless(order_rules.order_tree(facts))
        offer = None if demand_id is None else await demands.lock_offer(ctx, tx, demand_id, product_id, facts.institution_id)
        offered_fen = None if offer is None else min(offer[1].price_fen, facts.price_fen)
        order_id = await _insert(ctx, tx, facts, programme_id, message, demand_id, offered_fen)
        if offer is not None:
            await demands.convert(tx, *offer, order_id)
        order = await tx.row(f"{SELECT} WHERE o.id = $1", order_id)
        tx.record("order.placed", "order", order_id, after=order.state, product_id=product_id, price_fen=order.order_fen)
        asks_price = settles_prices(await rules_of_order(tx, facts.policy_id))
        tx.announce(
            "price_requested" if asks_price else "order_placed", "order", order_id, organisation_id=facts.institution_id,
            number=order.number, service=facts.product_name, price_fen=order.order_fen,
        )
        return tx.reply(view(ctx, order))


async def _insert(
    ctx: Context, tx: Transaction, facts: Any, programme_id: int, message: str, demand_id: int | None, offered_fen: int | None
) -> int:
    rules = programmes.rules_of(facts)
    year = year_of(ctx.now)
    nth = lowest_free(await taken(tx, ctx.organisation_id, facts.product_id, year))
    state = OrderState.AWAITING_PRICE if rules.price_confirm == "always" else OrderState.UNPAID
    deductions = _deductions(facts, rules)
    order_id: int = await tx.value(
        INSERT, order_number(ctx.now), programme_id, facts.policy_id, ctx.organisation_id, facts.institution_id, facts.product_id,
        facts.product_name, facts.product_version, facts.category, deductions, facts.price_fen,
        min(max(deductions.values()), offered_fen or facts.price_fen), state.value, message, AGREEMENT_VERSION, year, nth,
        ctx.person_id, ctx.now, ctx.now + timedelta(days=rules.unpaid_timeout_days), facts.content, demand_id, offered_fen,
    )
    return order_id


def _deductions(facts: Any, rules: programmes.Rules) -> dict[str, int]:
    """The most of each voucher type: what the product says, or by policy the order's whole amount (C30)."""
    if "product_max_deduct" in rules.max_voucher:
        return dict(facts.deductions)
    return dict.fromkeys(facts.deductions, facts.price_fen)
