"""The smallest conversation there is: it repeats what was said. For trying out the way there and back without any business."""

from bot.talk import Reply, Saying
from handlers.context import Context


async def converse(ctx: Context, saying: Saying) -> list[Reply]:
    del ctx
    return [Reply(f"收到：{saying.text}")]
