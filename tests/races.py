"""Making a race happen every time, instead of hoping for it.

`asyncio.gather` alone does not test a race: with the lock taken out, such a test still passed in one run of three.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

PATIENCE_SECONDS = 1.0  # a connection that is opened meanwhile takes a third of a second on a busy machine


def _target(dotted: str) -> tuple[Any, str]:
    module, _, name = dotted.rpartition(".")
    return importlib.import_module(module), name


def meet_after(monkeypatch: pytest.MonkeyPatch, dotted: str, count: int = 2) -> None:
    """Hold every caller of a function after it returns until `count` have returned, or a moment has passed.

    With the lock the second never arrives and the first goes on alone; without it both have read the same state.
    """
    module, name = _target(dotted)
    original: Callable[..., Awaitable[Any]] = getattr(module, name)
    arrived, gate = 0, asyncio.Event()

    async def meeting(*args: Any, **kwargs: Any) -> Any:
        nonlocal arrived
        answer = await original(*args, **kwargs)
        arrived += 1
        if arrived >= count:
            gate.set()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await gate.wait()
        except TimeoutError:
            pass
        return answer

    monkeypatch.setattr(module, name, meeting)


def without(monkeypatch: pytest.MonkeyPatch, dotted: str, old: str, new: str) -> None:
    """The control: take a protection out of an SQL constant, to see the test fail without it."""
    module, name = _target(dotted)
    text = getattr(module, name)
    assert old in text, f"{dotted} has no {old!r} any more: the control proves nothing"
    monkeypatch.setattr(module, name, text.replace(old, new))
