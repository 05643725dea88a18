"""The walks through the manuals, against whole families of processes with servers, ports and a clock of their own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from clock import OffsetClock
from demo.states import LABELS
from demo.walks import MISSING
from handlers.working_days import SHANGHAI
from settings import ROOT

WALK_SECONDS = 360  # with the start of the family, which makes a database cluster, on a busy machine in minutes
STOP_SECONDS = 30
# What a developer's shell may have set would lead the family to servers and platforms that are not its own.
# Parts of file names and addresses are none.
CODES = "|".join({*MISSING, *(state for states in LABELS.values() for state in states)})
CODE = re.compile(rf"(?<![\w./@-])(?:{CODES})(?![\w./@-])", re.ASCII)
FOREIGN = re.compile("DATABASE_|REDIS_|STORAGE_|CLOCK_FILE|WECHAT_|DINGTALK_|SMTP_|SMS_|MODE$|HOST$|PUBLIC_URL$")


@dataclass(frozen=True)
class Family:
    """`python -m app run` with a var folder of its own; `log` is what it prints."""

    env: dict[str, str]
    log: Path

    def walk(self, manual: str) -> str:
        """What `python -m demo.journey` prints: for people, so no state by its code. It ends with 0."""
        done = self._run("demo.journey", manual)
        assert done.returncode == 0, f"{done.stdout}\n{self.log.read_text(errors='replace')[-8000:]}"
        assert CODE.findall(done.stdout) == []
        return done.stdout

    def check_books(self) -> str:
        done = self._run("app", "check-books")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _run(self, module: str, argument: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, argument], cwd=ROOT, env=self.env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=WALK_SECONDS, check=False,
        )


@contextmanager
def family(folder: Path) -> Iterator[Family]:
    web, simulator, mail = _free_ports()
    env = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)} | {
        "VAR_DIR": str(folder), "PORT": str(web), "SIMULATOR_PORT": str(simulator), "SIMULATOR_SMTP_PORT": str(mail),
        "WEB_PROCESSES": "1", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1",
    }
    OffsetClock(folder / "clock").advance(_until_night())
    log = folder / "run.log"
    with log.open("wb") as output, subprocess.Popen(
        [sys.executable, "-m", "app", "run"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield Family(env, log)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _until_night() -> timedelta:
    """What messages wait in the night must not depend on the hour of the machine that walks."""
    now = datetime.now(SHANGHAI)
    return now.replace(hour=23, minute=0) - now


def _free_ports() -> list[int]:
    """For the web, the simulator and its mail server; held together, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
