"""Where the time comes from. Edges read a clock once per request or sweep and hand the moment on as `ctx.now`."""

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

OFFSET = struct.Struct("<d")


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment: aware, UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class OffsetClock:
    """The machine's time plus what a shared file says, so that all processes of a demonstration move together.

    The file holds 8 bytes, a little-endian float64 of seconds ahead; it is mapped, so reading costs no system call.
    Production refuses the setting that leads here.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size < OFFSET.size:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(OFFSET.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), OFFSET.size)

    @property
    def offset(self) -> timedelta:
        return timedelta(seconds=OFFSET.unpack(self._shared[:])[0])

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        """Move the time of every process that maps the file."""
        self._shared[:] = OFFSET.pack((self.offset + by).total_seconds())
