"""A family of processes: what a child writes never stops its keeper, and none of them outlives the family (F19)."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from family import supervisor
from family.supervisor import LINE_BYTES_MAX, Child, Family, supervise

PATIENCE_SECONDS = 60

WAITS = """
import os, signal
print("pid", os.getpid())
signal.pause()
"""


STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: print("once more", flush=True))
print("pid", os.getpid())
while True:
    signal.pause()
"""


# Does its work, and dies of it.
SERVES = """
import os, socket
socket.socket(fileno=int(os.environ["FAMILY_LIFELINE"])).send(b"+")
"""


@pytest.fixture
def family(tmp_path: Path) -> Callable[[str], Family]:
    """A family with one child, whose program is the given one instead of ours."""

    def made(program: str) -> Family:
        (tmp_path / "app.py").write_text(program, encoding="utf-8")
        return Family([Child("child", [])], {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}, PATIENCE_SECONDS)

    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> "asyncio.Queue[str]":
    lines: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(supervisor, "say", lambda _, line: lines.put_nowait(line))
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0)
    return lines


async def heard(said: "asyncio.Queue[str]") -> str:
    return await asyncio.wait_for(said.get(), PATIENCE_SECONDS)


async def ended(living: "asyncio.Task[None]") -> None:
    await asyncio.wait_for(asyncio.shield(living), PATIENCE_SECONDS)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_line_of_any_length_is_cut_and_the_child_is_still_watched_over(family, said):
    members = family("print('x' * 1_000_000); print('y' * 20_000 + '\\nafter'); raise SystemExit(3)")
    living = asyncio.create_task(members.live())
    for _ in range(2):
        assert [await heard(said) for _ in range(4)] == [
            "x" * LINE_BYTES_MAX + " …", "y" * LINE_BYTES_MAX + " …", "after", "ended with 3; starting it again",
        ]
    members.stop()
    await ended(living)


async def test_lines_are_whole_wherever_the_pipe_cuts_them_and_the_last_needs_no_end():
    stream = asyncio.StreamReader()
    reading = asyncio.create_task(all_lines(stream))
    for piece in ("一二".encode()[:4], "一二".encode()[4:] + b"\nb", b"\n\n", b"last"):
        stream.feed_data(piece)
        await asyncio.sleep(0)
    stream.feed_eof()
    assert await reading == ["一二", "b", "", "last"]


async def all_lines(stream: asyncio.StreamReader) -> list[str]:
    return [line async for line in supervisor.lines_of(stream)]


async def test_a_keeper_that_breaks_ends_the_family_and_says_why(family, monkeypatch):
    pids: list[int] = []

    def broken(_: str, line: str) -> None:
        pids.append(int(line.removeprefix("pid ")))
        raise OSError("the terminal is gone")

    monkeypatch.setattr(supervisor, "say", broken)
    with pytest.raises(OSError, match="the terminal is gone"):
        await asyncio.wait_for(family(WAITS).live(), PATIENCE_SECONDS)
    assert [is_there(pid) for pid in pids] == [False]


async def test_a_child_that_is_being_started_when_the_family_stops_is_ended_too(family, said, monkeypatch):
    members, start, started = family(WAITS), asyncio.create_subprocess_exec, []

    async def late(*command, **options):
        members.stop()
        for _ in range(10):  # whoever ends the others has done so by now
            await asyncio.sleep(0)
        started.append(await start(*command, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", late)
    living = asyncio.create_task(members.live())
    try:
        await ended(living)
        assert [process.returncode is not None for process in started] == [True]
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()


async def test_a_family_that_is_stopped_ends_its_children(family, said):
    living = asyncio.create_task((members := family(WAITS)).live())
    pid = int((await heard(said)).removeprefix("pid "))
    members.stop()
    await ended(living)
    assert not is_there(pid)


async def test_a_child_that_does_not_end_is_killed_and_the_family_says_so(family, said):
    members = family(STUBBORN)
    members._stop_seconds = 0.01
    living = asyncio.create_task(members.live())
    pid = int((await heard(said)).removeprefix("pid "))
    members.stop()
    await ended(living)
    assert (members.failed, is_there(pid)) == (True, False)


async def test_whoever_asks_a_second_time_is_passed_on_to_the_children(family, said):
    members = family(STUBBORN)
    living = asyncio.create_task(members.live())
    pid = int((await heard(said)).removeprefix("pid "))
    for _ in range(2):
        members.interrupt()
        assert await heard(said) == "once more"
    os.kill(pid, signal.SIGKILL)
    await ended(living)
    assert not members.failed


@pytest.mark.parametrize(("program", "stop_seconds", "code"), [(STUBBORN, 0.01, 1), (WAITS, PATIENCE_SECONDS, 0)])
async def test_the_command_ends_with_zero_only_if_nobody_was_killed(family, said, settings, monkeypatch, program, stop_seconds, code):
    members = family(program)
    monkeypatch.setattr(type(settings), "stop_seconds", stop_seconds)
    living = asyncio.create_task(supervise(members._children, members._env, settings))
    try:
        await heard(said)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(living, PATIENCE_SECONDS) == code
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_child_that_dies_again_and_again_before_it_ever_served_is_given_up(family, said):
    members = family("raise SystemExit(7)")
    await ended(asyncio.create_task(members.live()))
    assert members.failed
    assert [said.get_nowait() for _ in range(said.qsize())] == [
        *["ended with 7; starting it again"] * 3, "ended with 7, for the 4th time before it ever served; giving up",
    ]


async def test_a_child_that_has_served_is_started_again_however_often_it_dies(family, said):
    members = family(SERVES)
    living = asyncio.create_task(members.live())
    await asyncio.wait_for(members.all_serve(), PATIENCE_SECONDS)
    assert {await heard(said) for _ in range(6)} == {"ended with 0; starting it again"}
    members.stop()
    await ended(living)
    assert not members.failed


@pytest.mark.parametrize(("deaths", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (1000, 30)])
async def test_the_more_often_it_has_died_the_longer_is_the_wait(family, said, monkeypatch, deaths, seconds):
    members, waits = family(WAITS), []

    @contextlib.asynccontextmanager
    async def at_once(delay: float):
        waits.append(delay)
        members.stop()
        yield

    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 1)
    monkeypatch.setattr(asyncio, "timeout", at_once)
    members._served["child"].set()
    await members._mourn(members._children[0], 7, deaths)
    assert waits == [seconds]
