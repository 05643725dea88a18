"""What is done on a page: the bot says where, and what to have at hand."""

from bot.answering import Talk, answers
from bot.talk import Reply


@answers("spot_check")
async def spot_check(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.spot_check")
