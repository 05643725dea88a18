"""What somebody in a role can say."""

from bot.intents import group_of, intents, understand
from bot.wording import phrases
from handlers.context import Context

SENTENCES = 3


def examples(ctx: Context, most: int | None = None) -> str:
    """The titles of what this role may say: what is its own first, then what everybody may."""
    mine = [intent for intent in intents().values() if intent.allows(ctx.actor)]
    return "、".join(f"「{intent.title}」" for intent in sorted(mine, key=lambda intent: "any" in intent.who)[:most])


def sentences(ctx: Context) -> str:
    """Some of examples.toml that this role may say: a group's roles may not all do the same."""
    group = group_of(ctx.actor)
    mine = [said for said in phrases("examples")[group] if (found := understand(group, said).intent) and found.allows(ctx.actor)]
    return "".join(f"「{said}」" for said in mine[:SENTENCES])
