"""From a kept push to its answer: who says it, what it means, what goes back (docs/decisions/0180).

Any number of processes work side by side. What is done for a message, its answer, and that the message is forgotten are one
transaction (docs/decisions/0211); from then on only the sending is repeated. So neither a platform which is away nor a process that
is killed makes a conversation happen twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.answers import Part, parts_of
from bot.binding_talk import BindingTalk
from bot.channels import Channels
from bot.events import Events, NotYetError
from bot.files import ONLY_TEXT, Files, SentFile
from bot.menus import Tagger
from bot.talk import Reply, Said, Saying
from bot.transport import PlatformError
from clock import Clock
from handlers import inbound, talk_windows
from handlers.context import SYSTEM, Context
from handlers.inbound import LeaseLostError, Taken
from handlers.ports import Ports
from handlers.refusals import Busy, Refusal
from handlers.speakers import Speaker, actor_of, speaker_of
from handlers.talk_windows import Opened
from models.accounts import Platform
from models.inbound import InboundKind
from settings import Settings

log = structlog.get_logger(__name__)

WORK_SECONDS = 30  # half of the lease
GAVE_UP = Reply("抱歉，刚才的消息没有处理成功，请稍后重新发送。")
Converse = Callable[[Context, Saying], Awaitable[list[Reply]]]


class Worker:
    """`turn` does what is due now; `run` does so until it is told to stop."""

    def __init__(
        self, settings: Settings, clock: Clock, ports: Ports, channels: Channels, events: Events, binding: BindingTalk, files: Files,
        tagger: Tagger, converse: Converse,
    ) -> None:
        self._settings, self._clock, self._ports = settings, clock, ports
        self._channels, self._events, self._binding, self._files, self._tagger = channels, events, binding, files, tagger
        self._converse = converse

    def _context(self, name: str) -> Context:
        return Context(SYSTEM, self._clock.now(), self._settings, self._ports, name)

    async def turn(self) -> int:
        """Take what is due and see it through. Returns how much was taken."""
        found = await inbound.claim(self._context("talk"), self._settings.talk_workers)
        await asyncio.gather(*(self._see_through(taken) for taken in found))
        return len(found)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what has been taken is finished. A slow message does not keep the others waiting.

        Cancelled, it leaves nothing running: the lease of what it had ends, and somebody else takes it.
        """
        tasks: set[asyncio.Task[None]] = set()
        try:
            await self._take(stop, tasks)
            if tasks:
                await asyncio.wait(tasks)
        finally:  # behind it the platforms' clients and the pool are closed
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, stop: asyncio.Event, tasks: set[asyncio.Task[None]]) -> None:
        while not stop.is_set():
            found: Sequence[Taken] = ()
            if room := self._settings.talk_workers - len(tasks):
                with suppress(Busy):  # the database is away: the messages wait there
                    found = await inbound.claim(self._context("talk"), room)
            for taken in found:
                task = asyncio.create_task(self._see_through(taken))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._settings.talk_poll_seconds)

    # --- one message --------------------------------------------------------------------------------------------------

    async def _see_through(self, taken: Taken) -> None:
        """Whatever happens, the message is settled or its lease ends; an error's text might hold what was said and is not logged."""
        ctx = self._context(f"talk-{taken.id}")
        try:
            async with asyncio.timeout(WORK_SECONDS):
                await self._work(ctx, taken)
            await inbound.finish(ctx, taken)
        except LeaseLostError:
            return  # somebody else has the message by now, and nothing was done here
        except NotYetError:
            await self._put_off(ctx, taken, "not yet")
        except (Busy, TimeoutError) as error:
            await self._put_off(ctx, taken, type(error).__name__)
        except PlatformError as error:
            log.warning("talk_platform_away", code=error.code, message=error.message)
            await self._put_off(ctx, taken, str(error))
        except Exception as error:  # noqa: BLE001 - one message that breaks its worker must not take the others with it
            log.error("talk_broke", kind=type(error).__name__, at=_place(error))  # noqa: TRY400 - see above
            await self._put_off(ctx, taken, type(error).__name__)

    async def _put_off(self, ctx: Context, taken: Taken, error: str) -> None:
        try:
            will_return = await inbound.put_off(ctx.at(self._clock.now()), taken, error)
            if not will_return and taken.kind is InboundKind.SAID and taken.answer is None:
                apology = {"parts": parts_of(self._settings, Platform(taken.platform), taken.open_id, {"message_id": ""}, [GAVE_UP])}
                await self._channels.send(ctx, taken, {"route": {}, "person_id": None, **apology}, _nobody)
        except (Busy, PlatformError):
            log.warning("talk_not_settled")  # the lease ends, and somebody else takes it

    async def _work(self, ctx: Context, taken: Taken) -> None:
        answer = taken.answer
        if answer is None:
            assert taken.payload is not None, "neither what was said nor its answer is there"
            handle = self._tell_of if taken.kind is InboundKind.EVENT else self._understand
            answer = await handle(ctx, taken, taken.payload)

        async def keep(left: list[Part]) -> bool:
            return await inbound.keep_answer(ctx, taken, {**answer, "parts": left})

        # The moment of sending, not that of asking: windows close while somebody thinks.
        await self._channels.send(ctx.at(self._clock.now()), taken, answer, keep)

    def _answer(self, taken: Taken, replies: Sequence[Reply], person_id: int | None) -> dict[str, Any]:
        payload = taken.payload or {}
        names = ("said", "message_id", "in_group", "session_webhook", "session_until")
        route = {name: payload[name] for name in names if name in payload}
        parts = parts_of(self._settings, Platform(taken.platform), taken.open_id, {"message_id": "", **route}, replies) if replies else []
        return {"parts": parts, "route": route, "person_id": person_id}

    async def _tell_of(self, ctx: Context, taken: Taken, payload: dict[str, Any]) -> dict[str, Any]:
        union_id = await self._events.look_up(taken, payload)

        async def make() -> dict[str, Any]:
            return self._answer(taken, await self._events.handle(ctx, taken, payload, union_id), None)

        return await inbound.answer_once(ctx, taken, make)

    async def _understand(self, ctx: Context, taken: Taken, payload: dict[str, Any]) -> dict[str, Any]:
        said, at = Said(payload["said"]), datetime.fromtimestamp(payload["at"], UTC)
        if taken.platform != Platform.DINGTALK:
            opened = Opened.TAP if said is Said.MENU else Opened.MESSAGE
            await talk_windows.open_window(ctx, taken.platform, taken.app_id, taken.open_id, opened, at)
        saying = Saying(
            Platform(taken.platform), taken.app_id, taken.open_id, said, payload["text"], payload["message_id"], at,
            bool(payload.get("in_group")), payload.get("values") or {},
        )
        speaker = await speaker_of(saying.platform, saying.app_id, saying.open_id)
        union_id = await self._binding.look_up(saying, speaker)
        heard: Saying | Reply = saying
        if said is Said.FILE and speaker is not None:
            heard = await self._files.take_in(await self._as(ctx, speaker), saying, SentFile(**payload["file"]))

        async def make() -> dict[str, Any]:
            if isinstance(heard, Reply):
                return self._answer(taken, [heard], speaker.person_id if speaker else None)
            replies, person_id = await self._replies(ctx, heard, speaker, union_id)
            return self._answer(taken, replies, person_id)

        answer = await inbound.answer_once(ctx, taken, make)
        speaker = await speaker_of(saying.platform, saying.app_id, saying.open_id)
        if speaker is not None and answer["person_id"] is not None:
            # 切换身份 may just have been said: the menu follows.
            await self._tagger.follow(saying.platform, saying.open_id, speaker, await actor_of(speaker.identity_id))
        return answer

    async def _replies(
        self, ctx: Context, saying: Saying, speaker: Speaker | None, union_id: str | None,
    ) -> tuple[list[Reply], int | None]:
        """What is answered, and to which person if it is about their affairs."""
        if not saying.text.strip() and saying.kind is not Said.FILE:
            return [ONLY_TEXT], None
        if (replies := await self._binding.answer(ctx, saying, speaker, union_id)) is not None:
            return replies, None
        speaker = speaker or await speaker_of(saying.platform, saying.app_id, saying.open_id)
        if speaker is None:
            return [self._binding.how_to], None
        return await self._talk(ctx, saying, speaker), speaker.person_id

    async def _as(self, ctx: Context, speaker: Speaker) -> Context:
        return Context(await actor_of(speaker.identity_id), ctx.now, ctx.settings, ctx.ports, ctx.request_id)

    async def _talk(self, ctx: Context, saying: Saying, speaker: Speaker) -> list[Reply]:
        try:
            return await self._converse(await self._as(ctx, speaker), saying)
        except Busy:
            raise
        except Refusal as refusal:
            return [Reply(f"{refusal.title}。", private=True)]


async def _nobody(_: list[Part]) -> bool:
    return True


def _place(error: BaseException) -> str:
    """Where it broke, without a value of any variable."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "-"
