"""What is done on a page: the bot says where, and what to have at hand."""

from bot.answering import Talk, answers
from bot.talk import Reply


@answers("switch_identity")
async def switch_identity(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.switch_identity")


@answers("post_demand")
async def post_demand(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.post_demand")


@answers("invite_consultant")
async def invite_consultant(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.invite_consultant")


@answers("end_consultant")
async def end_consultant(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.end_consultant")


@answers("badge")
async def badge(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.badge")


@answers("spot_check")
async def spot_check(talk: Talk) -> list[Reply]:
    return talk.tell("elsewhere.spot_check")
