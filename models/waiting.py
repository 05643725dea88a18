"""Those who wait for the same thing: in order, and for a second at most."""

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

WAIT_SECONDS = 1.0  # longer than any wait in health; shorter than a phone's patience
Brought = TypeVar("Brought")


class Waiting(Generic[Brought]):
    """Futures in the order in which they joined, each with what it brought. Raises TimeoutError in those whose second is over."""

    def __init__(self) -> None:
        self._turns: deque[tuple[asyncio.Future[Any], float, Brought]] = deque()  # and until when
        self._alarm: asyncio.TimerHandle | None = None

    def join(self, loop: asyncio.AbstractEventLoop, brought: Brought) -> "asyncio.Future[Any]":
        turn = loop.create_future()
        until = loop.time() + WAIT_SECONDS
        self._turns.append((turn, until, brought))
        if self._alarm is None:
            self._alarm = loop.call_at(until, self._give_up_due, loop)
        return turn

    def next(self) -> "tuple[asyncio.Future[Any], Brought] | None":
        """The first who still waits, who does so no longer."""
        while self._turns:
            turn, _, brought = self._turns.popleft()
            if not turn.done():
                return turn, brought
        return None

    def close(self) -> None:
        """Whoever still waits would do so for ever: nothing will come any more."""
        while found := self.next():
            found[0].set_exception(TimeoutError())
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """One alarm for all: their patience is the same, so whoever waits longest is due first."""
        self._alarm = None
        while self._turns:
            turn, until, _ = self._turns[0]
            if not turn.done() and loop.time() < until:
                self._alarm = loop.call_at(until, self._give_up_due, loop)
                return
            self._turns.popleft()
            if not turn.done():
                turn.set_exception(TimeoutError())
