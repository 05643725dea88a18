"""A jobs process: sweeps when it leads, and always delivers. Any number of them may run, on any number of machines."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from clock import Clock
from handlers.deliveries import Pauses, deliver_due
from handlers.ports import Ports
from handlers.refusals import Busy
from jobs.heartbeat import KEEP_SECONDS, Heartbeats
from jobs.schedule import schedule
from jobs.scheduler import tick_while_leading
from jobs.sweeper import Sweeper
from settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

log = structlog.get_logger(__name__)

LAST_SECONDS = 5.0  # what is in flight may end; a lease or a rollback takes care of the rest
DELIVERERS = 4      # while one of them writes to the database the others send


@dataclass(frozen=True, slots=True)
class Delivering:
    """The deliverers' heartbeat: they have no entry in the schedule, since they run in every process."""

    every_seconds: float
    name: str = "deliveries.deliver"


async def run_jobs(
    settings: Settings, clock: Clock, ports: Ports, stop: asyncio.Event | None = None,
    beside: "Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]" = (),
) -> None:
    """Work until SIGTERM or SIGINT, or until `stop` is set. The database is connected; `settings.database_url` is set.

    beside: what else this process does until the event is set (app.py gives the bot's work here).
    On the way out what is in flight is finished, for up to five seconds.
    """
    assert settings.database_url is not None, "the leader's lock needs a connection of its own"
    stop = stop or stop_on_signals()
    entries, heartbeats, pauses = schedule(settings), Heartbeats(), Pauses()
    sweeper = Sweeper(entries, settings, clock, ports, heartbeats)
    works = [
        asyncio.create_task(sweeper.run()),
        *(asyncio.create_task(deliver(share, sweeper, clock, heartbeats, pauses, stop)) for share in shares(settings.notice_workers)),
    ]
    works += [asyncio.create_task(work(stop)) for work in beside]
    helpers = [
        asyncio.create_task(tick_while_leading(settings.database_url.get_secret_value(), entries, sweeper)),
        asyncio.create_task(keep_beating(sweeper, heartbeats)),
    ]
    log.info("jobs_started", sweeps=len(entries))
    stopping = asyncio.create_task(stop.wait())
    try:
        # None of these ends by itself: one that does has broken, and half a jobs process is worse than a new one.
        await asyncio.wait((stopping, *works, *helpers), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        sweeper.stop()
        await end([*helpers, stopping], cancel=True)
        await end(works)
        with suppress(Busy):
            await heartbeats.keep(sweeper.context("heartbeats"))
    raise_first_error([*works, *helpers])
    log.info("jobs_stopped")


def stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def end(tasks: "Sequence[asyncio.Task[Any]]", *, cancel: bool = False) -> None:
    """Let tasks finish, or cancel them now; those that take too long are cancelled too."""
    if not cancel:
        await asyncio.wait(tasks, timeout=LAST_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def raise_first_error(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def shares(workers: int) -> list[int]:
    """How many messages each deliverer has in flight: together as many as the setting says."""
    return [workers // DELIVERERS + (number < workers % DELIVERERS) for number in range(min(DELIVERERS, workers))]


async def deliver(
    share: int, sweeper: Sweeper, clock: Clock, heartbeats: Heartbeats, pauses: Pauses, stop: asyncio.Event
) -> None:
    """Send what is due, and look again after a moment, until told to stop."""
    beat = Delivering(sweeper.poll_seconds)
    while not stop.is_set():
        done = 0
        try:
            done = await deliver_due(sweeper.context(beat.name), share, pauses)
            heartbeats.ran(beat, clock.now(), done)
        except Busy:
            heartbeats.broke(beat, clock.now(), 0, "busy")
        except Exception as error:
            log.exception("deliverer_failed")
            heartbeats.broke(beat, clock.now(), 0, type(error).__name__)
        if not done:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), beat.every_seconds)


async def keep_beating(sweeper: Sweeper, heartbeats: Heartbeats) -> None:
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        try:
            await heartbeats.keep(sweeper.context("heartbeats"))
        except Busy:
            log.warning("heartbeats_not_kept")
