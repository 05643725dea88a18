"""When each sweep last ran, gathered in memory and written to the database every few seconds: one that stands still is seen."""

from datetime import datetime
from typing import Protocol

from handlers.context import Context
from handlers.housekeeping import Beat, keep_heartbeats

KEEP_SECONDS = 10.0


class Ticking(Protocol):
    """What beats: a schedule's entry."""

    @property
    def name(self) -> str: ...
    @property
    def every_seconds(self) -> float: ...


class Heartbeats:
    def __init__(self) -> None:
        self._beats: dict[str, Beat] = {}
        self._failures: dict[str, int] = {}

    def ran(self, entry: Ticking, now: datetime, done: int) -> None:
        self._failures[entry.name] = 0
        self._note(entry, now, done, None)

    def broke(self, entry: Ticking, now: datetime, done: int, error: str) -> None:
        self._failures[entry.name] = self._failures.get(entry.name, 0) + 1
        self._note(entry, now, done, error)

    def _note(self, entry: Ticking, now: datetime, done: int, error: str | None) -> None:
        before = self._beats.get(entry.name)
        self._beats[entry.name] = Beat(
            entry.name, entry.every_seconds, now, done + (before.done if before else 0), self._failures[entry.name], error
        )

    async def keep(self, ctx: Context) -> None:
        """Write what has gathered. If the database is away it gathers on."""
        beats = sorted(self._beats.values(), key=lambda beat: beat.sweep)
        if beats:
            await keep_heartbeats(ctx, beats)
            for beat in beats:
                if self._beats.get(beat.sweep) is beat:
                    del self._beats[beat.sweep]
