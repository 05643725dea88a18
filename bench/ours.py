"""Our own web process as production runs it, with one more route: a payment whose password was proved, to measure it without the hash.

The limits count as always, with numbers that nobody reaches: one address asks everything here.
"""

from dataclasses import replace
from typing import Annotated

import uvloop
from limits import RateLimitItemPerMinute
from pydantic import Field

import app
import logs
from bot.assembly import mount
from handlers import orders
from handlers.context import Context
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from miniapp_api.limits import POLICIES
from miniapp_api.orders import LOTS_REFUSALS
from miniapp_api.routing import Api, Body, Who
from miniapp_api.serving import serve
from settings import Mode, Settings, load

HIGH = {name: replace(policy, item=RateLimitItemPerMinute(10_000_000)) for name, policy in POLICIES.items()}
api = Api("bench", "测量")


class PayBody(Body):
    voucher_fen: Annotated[int, Field(ge=1, le=10**12)]


@api.post("/bench/orders/{order_id}/payment", title="支付（不含密码散列）", who=Who.ENTERPRISE_PAYER, key_required=True,
          refusals=LOTS_REFUSALS)
async def pay_verified(ctx: Context, order_id: int, body: PayBody) -> orders.OrderView:
    return await orders.pay_verified(ctx, order_id, body.voucher_fen)


async def main(settings: Settings) -> None:
    assert settings.redis_url is not None
    async with app.database(settings, "web"), app.outside(settings) as (gateways, ports):
        logs.configure(Mode.PRODUCTION, "web")  # JSON lines, as on servers
        web = create_app(
            settings=settings, clock=app.clock_of(settings), ports=ports, apis=[*APIS, api],
            redis_url=settings.redis_url.get_secret_value(), policies=HIGH,
        )
        mount(web, settings, app.clock_of(settings), ports, gateways)
        print(settings.port, flush=True)
        await serve(web, settings.host, settings.port, drain_seconds=1)


if __name__ == "__main__":
    uvloop.run(main(load()))
