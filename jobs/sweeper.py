"""Runs sweeps when they are woken: each in a task of its own, batch after batch until nothing is left, whatever the others do."""

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from clock import Clock
from handlers.context import SYSTEM, Context
from handlers.ports import Ports
from handlers.refusals import Busy
from jobs.heartbeat import Heartbeats
from jobs.schedule import Entry
from settings import Settings

log = structlog.get_logger(__name__)

# Of the pool's connections: the delivery workers of the same process need some too.
BATCHES_AT_ONCE = 3
BATCHES_PER_WAKE_MAX = 10_000  # a sweep that claims to have work for ever gives the word back to its ticks


class Sweeper:
    """`wake` starts a sweep or, if it is running, has it look once more."""

    def __init__(self, entries: Sequence[Entry], settings: Settings, clock: Clock, ports: Ports, heartbeats: Heartbeats) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._settings, self._clock, self._ports, self._heartbeats = settings, clock, ports, heartbeats
        self._woken = {name: asyncio.Event() for name in self._entries}
        self._turn = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._stopping = False

    @property
    def poll_seconds(self) -> float:
        return self._settings.sweep_seconds

    def context(self, name: str) -> Context:
        return Context(SYSTEM, self._clock.now(), self._settings, self._ports, f"{name[:31]}:{secrets.token_hex(4)}")

    async def wake(self, name: str) -> None:
        self._woken[name].set()

    def stop(self) -> None:
        """Each task ends after the batch that it is in."""
        self._stopping = True
        for event in self._woken.values():
            event.set()

    async def run(self) -> None:
        """Until `stop`; then everything that was begun is finished."""
        await asyncio.gather(*(self._serve(entry) for entry in self._entries.values()))

    async def _serve(self, entry: Entry) -> None:
        woken = self._woken[entry.name]
        while not self._stopping:
            await woken.wait()
            woken.clear()
            if not self._stopping:
                await self.sweep(entry)

    async def sweep(self, entry: Entry) -> int:
        """Run batches until one finds nothing. Errors are written down and do not get out. Returns how much was done."""
        done = 0
        try:
            for _ in range(BATCHES_PER_WAKE_MAX):
                async with self._turn:
                    batch = await entry.sweep(self.context(entry.name))
                done += batch
                if not batch or self._stopping:
                    break
        except Busy:
            log.warning("sweep_busy", sweep=entry.name)  # the database is away or a row is held: the next tick tries again
            self._heartbeats.broke(entry, self._clock.now(), done, "busy")
        except Exception as error:
            log.exception("sweep_failed", sweep=entry.name)
            self._heartbeats.broke(entry, self._clock.now(), done, type(error).__name__)
        else:
            self._heartbeats.ran(entry, self._clock.now(), done)
        if done:
            log.info("swept", sweep=entry.name, done=done)
        return done
