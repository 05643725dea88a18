"""What a party hears of a step of its order: the same facts for every step, in the commit of the step."""

from typing import Any

from handlers.transactions import Transaction


def tell(tx: Transaction, kind: str, order: Any, organisation_id: int, **data: Any) -> None:
    tx.announce(
        kind, "order", order.id, organisation_id=organisation_id, number=order.number, service=order.product_name,
        voucher_fen=order.voucher_fen, at=tx.ctx.now.isoformat(), **data,
    )
