"""The rules an order was placed under. A confirmed policy never changes, so it is read once per process."""

from collections.abc import Iterable
from typing import Any

from handlers import wallet
from handlers.programmes import Rules, rules_of
from handlers.transactions import Transaction, rows

_known: dict[int, Rules] = {}
KNOWN_MAX = 10_000  # whoever was learnt first goes first: what a request has just learnt stays until it has answered
POLICIES = "SELECT id, rules FROM policies WHERE id = ANY($1) AND state = 'confirmed'"


async def rules_of_order(tx: Transaction, policy_id: int) -> Rules:
    """The typed rules of a confirmed policy."""
    if policy_id not in _known:
        _keep(await tx.rows(POLICIES, [policy_id]))
    return _known[policy_id]


async def learn(policy_ids: Iterable[int]) -> None:
    """Have the rules of these orders at hand for `rules_known`, outside a transaction."""
    if unknown := {*policy_ids} - _known.keys():
        _keep(await rows(POLICIES, list(unknown)))


def rules_known(policy_id: int) -> Rules:
    """The rules of an order that was read by `lock_own_order`, `get_order` or `list_orders`, which learn them."""
    return _known[policy_id]


def settles_prices(rules: Rules) -> bool:
    """Whether the institution may say what the contract costs (核定价格)."""
    return rules.pricing == "contract" and rules.price_confirm != "never"


def direction_of(order: Any, rules: Rules) -> wallet.Direction | None:
    """What the vouchers that pay must have been granted for; None where their type says it."""
    return wallet.Direction(order.category, order.content) if rules.direction_match == "category_content" else None


def _keep(policies: Iterable[Any]) -> None:
    for policy in policies:
        while len(_known) >= KNOWN_MAX:
            del _known[next(iter(_known))]
        _known[policy.id] = rules_of(policy)
