"""What both servers need: a lock, a way to start, to find and to stop processes, a port and a short socket folder."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
SOCKET_PATH_BYTES = 107  # sockaddr_un holds 108 with the closing zero
HELPER = Path(__file__).with_name("exec_as.py")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # a developer's PGDATA or PGOPTIONS must not steer us


class EmbeddedServerError(RuntimeError):
    """A server could not be started or stopped; the text holds the end of its log and never a password."""


@dataclass(frozen=True)
class Identity:
    """Who the server runs as; "own" is the caller, the others are explained in exec_as.py."""

    kind: Literal["own", "namespace", "capability"] = "own"
    uid: int = -1
    gid: int = -1


@dataclass(frozen=True)
class Process:
    pid: int
    argv: tuple[str, ...]

    def option(self, flag: str) -> str:
        return self.argv[self.argv.index(flag) + 1]


def package_folder(package: str) -> Path:
    """Find a wheel's folder without running its code: importing the PostgreSQL one would touch permissions."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(f"the wheel {package} is not installed; set DATABASE_URL and REDIS_URL to use other servers")
    return Path(spec.origin).parent


def private_folder(folder: Path) -> Path:
    """Make what is missing, ours alone; leave what is there as it is. Returns the absolute path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of this folder; a killed holder frees the lock."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def marker(folder: Path) -> str:
    """A word on the command line of every process of the folder's server, by which they are found again."""
    return "qifuquan-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def find(folder: Path, *programs: str) -> list[Process]:
    """Every living process of our server, children too: a pid file may be stale and its number in use by a stranger.

    `cmdline` is read because, unlike `exe` and `cwd`, it needs no ptrace right over a server with another identity.
    A zombie has an empty one, so it counts as gone. The start helper counts: it is about to become the server.
    """
    word, found = marker(folder), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            names = {Path(argument).name for argument in argv[:4]} | {argv[0].partition(":")[0]}
            if names & {*programs, HELPER.name} and any(word in argument for argument in argv):
                found.append(Process(int(entry.name), tuple(argv)))
    return found


def run(command: list[str], folder: Path, identity: Identity, *, text: str = "", log: Path | None = None) -> str:
    """Run to the end, or with `log` detach and return the pid as text. Raises EmbeddedServerError with stderr."""
    spec = {"command": command, "folder": str(folder), "identity": identity.kind, "uid": identity.uid, "gid": identity.gid}
    spec_json = json.dumps({**spec, "log": None if log is None else str(log)})
    helper = [sys.executable, "-I", "-S", str(HELPER), spec_json]
    done = subprocess.run(
        helper, input=text, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=4 * PATIENCE_SECONDS
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def wait_until(look: Callable[[], T | None]) -> T | None:
    """The first answer of `look` that is neither None nor False, or None after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = look()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """True also between fork and exec, when `find` does not know the process yet, and in the middle of an exec, when it has no
    command line; False for a zombie.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def end(folder: Path, *programs: str) -> None:
    """Kill what lives, again and again because it may have been forking. Raises EmbeddedServerError when that fails."""

    def none_left() -> bool:
        processes = find(folder, *programs)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return not processes

    if not wait_until(none_left):
        raise EmbeddedServerError(f"{programs[0]} does not end")


def free_port() -> int:
    """A TCP port nobody holds now; another may take it before the server does, so starters try more than once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def socket_folder(folder: Path, name: str) -> Path:
    """`folder`/run, or what it links to: a short private folder when the path of a socket called `name` would not fit."""
    link = folder / "run"
    if not link.exists():
        clear_socket_folder(folder)
        if len(os.fsencode(link / name)) <= SOCKET_PATH_BYTES:
            link.mkdir(mode=0o700)
        else:
            link.symlink_to(tempfile.mkdtemp(prefix="qifuquan-", dir="/tmp"))  # not $TMPDIR: that may be as long as ours
    return link.resolve()


def clear_socket_folder(folder: Path) -> None:
    """Forget the short folder, which others could take over once /tmp is cleaned; only call it with the server down."""
    link = folder / "run"
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
