"""Somebody who talks to the bot: what they type goes through `converse` as the callbacks bring it, with the membership as it is then."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

from bot.conversation import converse
from bot.talk import Button, Reply, Said, Saying
from handlers.context import Actor, Context
from models.accounts import OrganisationKind, Platform, Role
from tests.world import Member, World

_messages = itertools.count(1)
ACTING = """
SELECT m.id AS membership_id, m.role, m.region_code, m.park_id, m.organisation_id, o.kind FROM memberships m
JOIN organisations o ON o.id = m.organisation_id WHERE m.id = $1 AND m.state = 'active'
"""


@dataclass
class Speaker:
    """`member` None: nobody is bound to this chat. `heard` is the transcript: (who, text, buttons)."""

    world: World
    member: Member | None
    platform: Platform = Platform.DINGTALK
    in_group: bool = False
    heard: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    last: list[Reply] = field(default_factory=list)

    async def context(self) -> Context:
        actor = Actor()
        if self.member is not None:
            found = await self.world.one(ACTING, self.member.membership_id)
            actor = Actor(person_id=self.member.person_id, identity_id=self.member.identity_id)
            if found is not None:
                actor = Actor(
                    Role(found["role"]), self.member.person_id, None, self.member.identity_id, found["membership_id"],
                    found["organisation_id"], OrganisationKind(found["kind"]), found["region_code"], found["park_id"],
                )
        return Context(actor, self.world.clock.now(), self.world.settings, self.world.ports, "chat")

    def saying(self, text: str, kind: Said = Said.TEXT, message_id: str | None = None, **values: str) -> Saying:
        open_id = self.member.open_id if self.member else "stranger"
        return Saying(
            self.platform, "ding-test", open_id, kind, text, message_id or f"msg{next(_messages):06d}", self.world.clock.now(),
            in_group=self.in_group, values=values,
        )

    async def hears(self, saying: Saying) -> list[Reply]:
        self.last = await converse(await self.context(), saying)
        return self.last

    async def say(self, text: str, *, message_id: str | None = None) -> str:
        """All that is answered, as one text."""
        replies = await self.hears(self.saying(text, message_id=message_id))
        self.heard.append(("me", text, ()))
        self.heard += [("bot", reply.text, tuple(button.title for button in reply.buttons)) for reply in replies]
        return "\n".join(reply.text for reply in replies)

    async def menu(self, key: str) -> str:
        return "\n".join(reply.text for reply in await self.hears(self.saying(key, Said.MENU)))

    def button(self, title: str, *, among: list[Reply] | None = None) -> Button:
        return next(button for reply in among or self.last for button in reply.buttons if button.title == title)

    async def tap(self, title: str, *, message_id: str | None = None, **values: str) -> str:
        return await self.tap_button(self.button(title), message_id=message_id, **values)

    async def tap_button(self, button: Button, *, message_id: str | None = None, **values: str) -> str:
        replies = await self.hears(self.saying(button.action, Said.CARD, message_id, **values))
        self.heard.append(("me", f"〔{button.title}〕", ()))
        self.heard += [("bot", reply.text, tuple(each.title for each in reply.buttons)) for reply in replies]
        return "\n".join(reply.text for reply in replies)


def group(speaker: Speaker) -> Speaker:
    return replace(speaker, in_group=True, heard=[], last=[])


async def everything_said(world: World) -> str:
    """Every value of every table, as text: to look for what must be in none of them."""
    tables = await world.owner.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('regions', 'tortoise_migrations')"
    )
    found: list[Any] = []
    for table in tables:
        found += [row["row"] for row in await world.owner.fetch(f"SELECT t::text AS row FROM {table['tablename']} t")]
    return "\n".join(found)
