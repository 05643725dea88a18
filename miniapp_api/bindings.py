"""Chats joined to a person: a code to join one, which there are, and leaving one (decision 0181)."""

from handlers import bindings
from handlers.context import Context
from miniapp_api.routing import Api, Who

api = Api("bindings", "绑定对话")


@api.post("/bindings", title="获取绑定码", who=Who.SIGNED_IN, status=201)
async def start_binding(ctx: Context) -> bindings.BindingView:
    """扫描二维码，或在对话中输入六位字母；十分钟内有效，只能用一次。"""
    return await bindings.start_binding(ctx)


@api.get("/bindings", title="我绑定的对话", who=Who.SIGNED_IN)
async def list_bindings(ctx: Context) -> bindings.BindingsView:
    return await bindings.list_bindings(ctx)


@api.delete("/bindings/{identity_id}", title="解除绑定", who=Who.SIGNED_IN)
async def end_binding(ctx: Context, identity_id: int) -> bindings.UnboundView:
    return await bindings.end_binding(ctx, identity_id)
