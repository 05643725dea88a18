"""The rules an order was placed under. A confirmed policy never changes, so it is read once per process."""

from handlers.programmes import Rules, rules_of
from handlers.transactions import Transaction

_known: dict[int, Rules] = {}
KNOWN_MAX = 1_000


async def rules_of_order(tx: Transaction, policy_id: int) -> Rules:
    """The typed rules of a confirmed policy."""
    if policy_id not in _known:
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        policy = await tx.row("SELECT rules FROM policies WHERE id = $1 AND state = 'confirmed'", policy_id)
        _known[policy_id] = rules_of(policy)
    return _known[policy_id]
