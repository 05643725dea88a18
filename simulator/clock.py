"""The clock that a whole development system shares: real time plus an offset kept in a small file."""

import math
import mmap
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

OFFSET = struct.Struct("<d")  # seconds, as a little-endian float64
SHANGHAI = ZoneInfo("Asia/Shanghai")


class ClockError(Exception):
    """The clock cannot be moved as asked; the text is for the person who asked."""


class Clock:
    """Real time plus an offset. The other processes map the same file, so a move reaches them without a message."""

    def __init__(self, path: Path, real_now: Callable[[], float]) -> None:
        self._real_now = real_now
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("r+b") as file:
            # An existing offset is kept: the database already holds moments of the moved time.
            if path.stat().st_size < OFFSET.size:
                file.write(OFFSET.pack(0.0))
                file.flush()
            self._map = mmap.mmap(file.fileno(), OFFSET.size)

    def close(self) -> None:
        self._map.close()

    @property
    def offset_seconds(self) -> float:
        return float(OFFSET.unpack_from(self._map)[0])

    def timestamp(self) -> float:
        """Simulated seconds since 1970."""
        return self._real_now() + self.offset_seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def day(self) -> str:
        """The calendar day by which both platforms count their daily quotas: China's."""
        return self.now().astimezone(SHANGHAI).date().isoformat()

    def advance(self, seconds: float) -> None:
        if not math.isfinite(seconds) or seconds < 0:
            raise ClockError("时钟不能倒退")
        try:
            datetime.fromtimestamp(self.timestamp() + seconds, UTC)
        except (OverflowError, ValueError, OSError):
            raise ClockError("时间超出可表示的范围") from None
        self._write(self.offset_seconds + seconds)

    def move_to(self, moment: datetime) -> None:
        self.advance(moment.timestamp() - self.timestamp())

    def reset(self) -> None:
        """Back to real time: the only way that leads backwards, and one has to ask for it by name."""
        self._write(0.0)

    def _write(self, offset_seconds: float) -> None:
        # One aligned store of eight bytes, so no reader sees half of it.
        self._map[:] = OFFSET.pack(offset_seconds)
