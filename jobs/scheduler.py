"""The ticker: APScheduler on the leader. It does no work and keeps no state; it wakes sweeps, which ask the database what is due."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from jobs.leader import leading
from jobs.schedule import Entry


class Wakes(Protocol):
    """A sweeper, as far as the ticker is concerned."""

    async def wake(self, name: str) -> None: ...


def make_scheduler(entries: Sequence[Entry], sweeper: Wakes) -> AsyncIOScheduler:
    # Its defaults lose ticks: a grace of one second skips a job whenever the process was busy for two.
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for entry in entries:
        # The first tick comes at once: whoever takes over catches up with what the last leader left.
        scheduler.add_job(
            sweeper.wake, "interval", [entry.name], seconds=entry.every_seconds, id=entry.name, next_run_time=datetime.now(UTC)
        )
    return scheduler


async def tick_while_leading(url: str, entries: Sequence[Entry], sweeper: Wakes) -> None:
    """Stand for election, tick while leading, and again, until cancelled."""
    while True:
        async with leading(url) as leadership:
            scheduler = make_scheduler(entries, sweeper)
            scheduler.start()
            try:
                await leadership.lost.wait()
            finally:
                scheduler.shutdown(wait=False)
