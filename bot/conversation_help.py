"""What somebody in a role can say."""

from bot.intents import intents
from handlers.context import Context


def examples(ctx: Context, most: int | None = None) -> str:
    """The titles of what this role may say: what is its own first, then what everybody may."""
    mine = [intent for intent in intents().values() if intent.allows(ctx.actor)]
    return "、".join(f"「{intent.title}」" for intent in sorted(mine, key=lambda intent: "any" in intent.who)[:most])
