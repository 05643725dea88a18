"""The service contract that comes with a payment (C33, C35, C44)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict

from handlers import wallet
from handlers.context import Context
from handlers.orders.views import read_own_order
from handlers.paging import Page, PageView, page_of
from handlers.programmes import Rules
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, rows


class ContractNeeded(Refusal):
    kind, code, title = Kind.INVALID, "contract_needed", "请上传服务合同并填写合同总价和签订日期"


class ContractNotAsked(Refusal):
    """The programme takes no contract with the payment: nobody would look at it."""

    kind, code, title = Kind.INVALID, "contract_not_asked", "本项目支付时无需提交合同"


class ContractTotalDiffers(Refusal):
    """C33. `data.order_fen`: what the institution settled; it settles the price again if the contract says another."""

    kind, code, title = Kind.INVALID, "contract_total_differs", "合同总价与订单金额不一致，请联系服务机构核定价格"


class ContractBeforeAward(Refusal):
    """C44. `data.awarded_on`: the latest award among the vouchers that would pay."""

    kind, code, title = Kind.CONFLICT, "contract_before_award", "获券前签订的服务合同不予支持"


class ContractNotSignedYet(Refusal):
    kind, code, title = Kind.INVALID, "contract_not_signed_yet", "合同签订日期不能晚于今天"


REFUSALS = (ContractNeeded, ContractNotAsked, ContractTotalDiffers, ContractBeforeAward, ContractNotSignedYet)


@dataclass(frozen=True, slots=True)
class GivenContract:
    """`attachment_id`: an own file of the slot `contract` (pdf, 5 MB at most); `signed_on` as written on it."""

    attachment_id: int
    total_fen: int
    signed_on: date


class ContractView(TypedDict):
    id: int
    attachment_id: int
    total_fen: int
    signed_on: date
    given_at: datetime


OWN_FILE = "SELECT id FROM attachments WHERE id = $1 AND organisation_id = $2 AND slot = 'contract' AND state = 'stored' FOR SHARE"
KEEP = """
INSERT INTO contracts (order_id, attachment_id, total_fen, signed_on, awarded_on, given_by_id, given_at)
VALUES ($1,$2,$3,$4,$5,$6,$7) RETURNING *
"""


async def take_contract(
    tx: Transaction, order: Any, rules: Rules, given: GivenContract | None, spends: Sequence[wallet.Spend]
) -> Any:
    """Check and keep what came with a payment. Returns the `contracts` row, None where the policy asks for none.

    Raises REFUSALS, and NotFound for a file that is not there, not a contract or not the enterprise's.
    """
    if rules.contract_upload != "at_pay":
        if given is not None:
            raise ContractNotAsked
        return None
    if given is None:
        raise ContractNeeded
    if given.total_fen != order.order_fen:
        raise ContractTotalDiffers(order_fen=order.order_fen)
    if given.signed_on > wallet.shanghai_date(tx.ctx.now):
        raise ContractNotSignedYet
    awarded = await wallet.awarded_on(tx, [spend.lot_id for spend in spends]) if rules.contract_after_award else None
    if awarded is not None and given.signed_on < awarded:
        raise ContractBeforeAward(awarded_on=awarded.isoformat())
    if not await tx.value(OWN_FILE, given.attachment_id, order.enterprise_id):
        raise NotFound(attachment_id=given.attachment_id)
    return await tx.row(
        KEEP, order.id, given.attachment_id, given.total_fen, given.signed_on, awarded, tx.ctx.person_id, tx.ctx.now
    )


async def list_contracts(ctx: Context, order_id: int, page: Page) -> PageView[ContractView]:
    """What came with each payment of an own order, newest first. Raises OrderNotFound."""
    await read_own_order(ctx, order_id)
    after = page.key()
    found = await rows(
        "SELECT * FROM contracts WHERE order_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        order_id, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, contract_view, lambda each: [each.id])


def contract_view(contract: Any) -> ContractView:
    return {
        "id": contract.id, "attachment_id": contract.attachment_id, "total_fen": contract.total_fen, "signed_on": contract.signed_on,
        "given_at": contract.given_at,
    }
