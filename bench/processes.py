"""Processes under measurement: starting them, and the CPU time that a tree of them has used, from /proc."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.load import Outcome, Plan
from settings import ROOT

TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(module: str, log: Path, env: dict[str, str], first_line: str = "") -> Iterator[tuple[int, int]]:
    """(pid, port) of `python -m module`, which prints its port and serves on it. Ended on the way out."""
    with log.open("wb") as errors, subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{first_line}\n".encode())
            process.stdin.close()
            port = process.stdout.readline()
            if not port:
                raise RuntimeError(f"{module} does not start: {log.read_text(encoding='utf-8')[-2000:]}")
            _await_listening(int(port))
            yield process.pid, int(port)
        finally:
            process.terminate()
            process.wait(10)


def _await_listening(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}")


def load(plan: Plan) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, input=json.dumps(asdict(plan)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{plan}: {done.stderr[-3000:]}")
    return Outcome(**json.loads(done.stdout))


def cpu_seconds(root: int) -> float:
    """User and system time of a process and all below it, those that have ended included."""
    total, children = 0, _children()
    todo = [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, ())
        total += sum(_stat(pid)[11:15])  # utime, stime, and those of children that were waited for
    return total / TICK


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(fields[1], []).append(int(entry.name))
    return found


def _stat(pid: int) -> list[int]:
    """The fields after the name, numbered from the state, which is left as 0; empty for a process that is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [0, *map(int, after_name[1:])]
