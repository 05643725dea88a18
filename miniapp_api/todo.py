"""待办."""

from handlers import todo
from handlers.context import Context
from miniapp_api.routing import Api, Who

api = Api("todo", "待办")


@api.get("/todo", title="我的待办", who=Who.SIGNED_IN)
async def list_todos(ctx: Context) -> todo.TodosView:
    """按当前身份列出等待本人或本单位处理的事项；每类给出数量、最早期限和前五项。"""
    return await todo.list_todos(ctx)
