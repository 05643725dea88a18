"""Whole families of processes as somebody starts them, `python -m app run` or `web`, and what the machine says of them."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from settings import ROOT

T = TypeVar("T")
PATIENCE_SECONDS = 120  # a family that makes a database cluster, on a busy machine
# What a developer's shell may have set would lead a family to servers and platforms that are not its own.
FOREIGN = re.compile("DATABASE_|REDIS_|STORAGE_|CLOCK_FILE|WECHAT_|DINGTALK_|SMTP_|SMS_|MODE$|HOST$|PORT$|PUBLIC_URL$|WEB_PROCESSES$")


@dataclass
class Running:
    """One start of a command. `log` is what it and its children have printed."""

    process: subprocess.Popen[bytes]
    log: Path
    known: set[int] = field(default_factory=set)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> dict[str, int]:
        """Name -> pid of its living children."""
        found = {name_of(pid): pid for pid in offspring(self.process.pid)}
        self.known |= set(found.values())
        return {name: pid for name, pid in found.items() if name}

    def left(self) -> list[int]:
        """Of all children that were ever seen, those that live."""
        return [pid for pid in self.known if lives(pid)]

    def until(self, look: Callable[[], T]) -> T:
        """The first answer that is true, while the command runs."""
        return until(look, lambda: f"{self.process.poll()}\n{self.text()[-4000:]}")

    def killed(self) -> None:
        self.children()
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever a test has left."""
        self.children()
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_SECONDS)
        self.process.kill()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def started(folder: Path, command: str, **env: str) -> Iterator[Running]:
    clean = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    log = folder / f"{command}-{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=clean | {"VAR_DIR": str(folder / "var"), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | env,
        )
    running = Running(process, log)
    try:
        yield running
    finally:
        running.end()


def until(look: Callable[[], T], said: Callable[[], str] = str) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, said()
        time.sleep(0.01)
    return found


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


def offspring(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    return []


def name_of(pid: int) -> str:
    with suppress(OSError):
        found = re.search(rb"(?:^|\0)FAMILY_NAME=([^\0]+)", Path(f"/proc/{pid}/environ").read_bytes())
        return found[1].decode() if found else ""
    return ""


def ready(port: int) -> bool:
    return asked(port, "/readyz") == 200


def asked(port: int, path: str) -> int:
    """The status, over a connection of its own; 0 if nobody is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def ports(count: int) -> list[int]:
    """Held together, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def json_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]
