"""What the tests of jobs run in processes of their own, to kill them: `python -m tests.jobs_worker <what> <database url> ...`."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import aiohttp
from pydantic import SecretStr

from clock import SystemClock
from handlers import deliveries
from handlers.context import Context
from handlers.ports import Message, Outcome, Ports, SendResult
from handlers.transactions import transaction
from jobs import main as jobs_main
from jobs.schedule import Entry
from jobs.scheduler import tick_while_leading
from models import database as db
from models.notices import DeliveryState
from settings import Settings
from tests.fakes import MemoryStorage


class Endpoint:
    """Sends to the counting endpoint of the test, which is told who we are."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def send(self, message: Message) -> SendResult:
        try:
            async with self._session.post(self._url, json={"reference": message.reference, "pid": os.getpid()}) as response:
                return SendResult(Outcome.DELIVERED if response.status == 200 else Outcome.RETRY)
        except aiohttp.ClientError as error:
            return SendResult(Outcome.RETRY, error=type(error).__name__)

    async def receipt(self, provider_id: str) -> SendResult:
        return SendResult(Outcome.DELIVERED, provider_id)


async def mark_first(ctx: Context, limit: int = 50, _pauses: object = None) -> int:
    """The control: what many systems do. What is marked and not yet sent is lost with its worker."""
    async with transaction(ctx) as tx:
        claimed = await tx.rows(deliveries.CLAIM, ctx.now, limit, ctx.now + deliveries.LEASE, [])
    if claimed:
        done = SendResult(Outcome.DELIVERED)
        await deliveries.settle(ctx, DeliveryState.SENDING, [(delivery, done) for delivery in claimed])
        for delivery in claimed:
            await deliveries._send(ctx, delivery)
    return len(claimed)


async def deliver(url: str, endpoint: str, lease_seconds: str, way: str) -> None:
    """A whole jobs process whose messages go to `endpoint`."""
    deliveries.LEASE = timedelta(seconds=float(lease_seconds))
    if way == "mark-first":
        setattr(jobs_main, "deliver_due", mark_first)  # noqa: B010 - it is not ours to assign
    settings = Settings(_env_file=None, database_url=SecretStr(url), sweep_seconds=0.1)
    await db.connect(url, application="qifuquan-jobs")
    async with aiohttp.ClientSession() as session:
        ports = Ports(logins={}, senders={"wechat_subscribe": Endpoint(session, endpoint)}, storage=MemoryStorage())
        say("ready")
        await jobs_main.run_jobs(settings, SystemClock(), ports)
    await db.disconnect()
    say("left")


class Sayer:
    """Stands in for the sweeper: says that it was woken."""

    async def wake(self, name: str) -> None:
        say(name)


async def lead(url: str) -> None:
    say("ready")

    async def nothing(_ctx: Context) -> int:
        return 0

    await tick_while_leading(url, [Entry("test.tick", 0.05, nothing)], Sayer())


def say(word: str) -> None:
    sys.stdout.write(f"{os.getpid()} {word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    whats: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"deliver": deliver, "lead": lead}
    asyncio.run(whats[sys.argv[1]](*sys.argv[2:]))
