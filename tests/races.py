"""Making a race happen every time, instead of hoping for it.

`asyncio.gather` alone does not test a race: with the lock taken out, such a test still passed in one run of three.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from tests.referee import WAITING

PATIENCE_SECONDS = 2.0  # a connection that is opened meanwhile takes a third of a second on a busy machine


def _target(dotted: str) -> tuple[Any, str]:
    module, _, name = dotted.rpartition(".")
    return importlib.import_module(module), name


def meet_after(owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, dotted: str, count: int = 2) -> None:
    """Hold every caller of a function after it returns until `count` have returned, or the others wait for a lock in the database.

    Without the lock both have read the same state. Whoever does something else instead is waited for a moment.
    """
    module, name = _target(dotted)
    original: Callable[..., Awaitable[Any]] = getattr(module, name)
    arrived, looking = 0, asyncio.Lock()

    async def alone() -> bool:
        async with looking:
            return arrived < count and await owner.fetchval(WAITING) < count - arrived

    async def meeting(*args: Any, **kwargs: Any) -> Any:
        nonlocal arrived
        answer = await original(*args, **kwargs)
        arrived += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        while loop.time() < until and await alone():
            pass
        return answer

    monkeypatch.setattr(module, name, meeting)


def without(monkeypatch: pytest.MonkeyPatch, dotted: str, old: str, new: str) -> None:
    """The control: take a protection out of an SQL constant, to see the test fail without it."""
    module, name = _target(dotted)
    text = getattr(module, name)
    assert old in text, f"{dotted} has no {old!r} any more: the control proves nothing"
    monkeypatch.setattr(module, name, text.replace(old, new))
