"""State machines of hypothesis that play on the database: what they stand on, how they are run, and bugs to put before them."""

import asyncio
import inspect
import sys
import textwrap
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from settings import Settings
from tests.books import Books


@dataclass
class Stage:
    """The database, and the one event loop that may use it. The machine itself runs in a thread beside it."""

    loop: asyncio.AbstractEventLoop
    owner: asyncpg.Connection
    tables: list[str]
    books: Books
    settings: Settings
    steps: int = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


async def play(machine: type[RuleBasedStateMachine], stage: Stage, examples: int, steps: int, **more: Any) -> None:
    """`more`: settings of hypothesis."""
    playing = type("Playing", (machine,), {"stage": stage})
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=list(HealthCheck), **more
    )
    await asyncio.to_thread(run_state_machine_as_test, playing, settings=how)


def mutate(monkeypatch: pytest.MonkeyPatch, dotted: str, old: str, new: str) -> None:
    """Rewrite a constant or the source of a function, wherever it has been imported to."""
    path, _, name = dotted.rpartition(".")
    module = sys.modules[path]
    original = getattr(module, name)
    text = original if isinstance(original, str) else textwrap.dedent(inspect.getsource(original))
    assert text.count(old) == 1, f"{dotted} has {text.count(old)} times {old!r}: the mutant proves nothing"
    changed: Any = text.replace(old, new)
    if not isinstance(original, str):
        made: dict[str, Any] = {}
        exec(compile(changed, path, "exec"), vars(module), made)  # the module's own names, its function aside
        changed = made[name]
    for other in [each for key, each in sys.modules.items() if key.startswith("handlers")]:
        if getattr(other, name, None) is original:
            monkeypatch.setattr(other, name, changed)
