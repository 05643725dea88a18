"""券包: what an enterprise has, its bills, and what it gives back (E19, E21)."""

from handlers import wallet
from handlers.context import Context
from handlers.paging import PageView
from handlers.wallet import WalletTab
from miniapp_api.routing import Api, Query, Who

api = Api("wallet", "券包")


class LotsQuery(Query):
    tab: WalletTab = WalletTab.USABLE


@api.get("/wallet/lots", title="我的券包（可使用、已使用、已过期）", who=Who.ENTERPRISE)
async def list_lots(ctx: Context, query: LotsQuery) -> PageView[wallet.LotView]:
    return await wallet.list_lots(ctx, query.tab, query.page())


@api.get("/wallet/balances", title="各券种可用余额", who=Who.ENTERPRISE)
async def list_balances(ctx: Context) -> list[wallet.BalanceView]:
    return await wallet.list_balances(ctx)


@api.get("/wallet/bills", title="账单管理", who=Who.ENTERPRISE)
async def list_bills(ctx: Context, query: Query) -> PageView[wallet.BillView]:
    return await wallet.list_bills(ctx, query.page())


@api.post("/wallet/lots/{lot_id}/return", title="放弃未使用的服务券", who=Who.ENTERPRISE_OWNER, refusals=(wallet.CannotGiveBack,))
async def give_back_lot(ctx: Context, lot_id: int) -> wallet.LotView:
    """从未使用过的中签服务券，可在到账后规定天数内（give_back_until 当日止）整张放弃；放弃后不计入年度中签次数，不可恢复。"""
    return await wallet.give_back_lot(ctx, lot_id)
