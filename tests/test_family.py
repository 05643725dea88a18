"""Whole families: nobody outlives the parent, nobody is refused while one of them is started again, and an end is an honest end (F19)."""

import asyncio
import os
import signal
import socket
import urllib.request
from collections import Counter

import pytest

from tests.families import PATIENCE_SECONDS, Running, asked, lives, ports, ready, started


@pytest.fixture
def served(settings, database_urls) -> dict[str, str]:
    """The environment of a family on the servers of the tests."""
    assert settings.redis_url is not None
    return {"DATABASE_URL": database_urls[1], "REDIS_URL": settings.redis_url.get_secret_value(), "WEB_PROCESSES": "2"}


def test_the_children_of_a_web_that_is_killed_end_and_the_next_one_serves_every_request(tmp_path, served):
    [port] = ports(1)
    with started(tmp_path, "web", **served, PORT=str(port)) as first:
        first.until(lambda: set(first.children()) == {"web-1", "web-2"} and first.text().count("serving") == 2 and ready(port))
        first.killed()
        first.until(lambda: not first.left())
        with started(tmp_path, "web", **served, PORT=str(port)) as second:
            second.until(lambda: ready(port))
            assert {asked(port, path) for _ in range(50) for path in ("/livez", "/api/v1/regions")} == {200}


def test_the_children_of_a_run_that_is_killed_end_and_the_next_one_serves_every_request(tmp_path):
    web, simulator, mail = ports(3)
    env = {"PORT": str(web), "SIMULATOR_PORT": str(simulator), "SIMULATOR_SMTP_PORT": str(mail), "WEB_PROCESSES": "2"}
    everybody = {"simulator", "web-1", "web-2", "jobs"}
    with started(tmp_path, "run", **env) as first:
        first.until(lambda: set(first.children()) == everybody and ready(web) and asked(simulator, "/control/clock") == 200)
        first.until(lambda: first.text().count("serving") == 2)
        first.killed()
        first.until(lambda: not first.left())
        with started(tmp_path, "run", **env) as second:
            second.until(lambda: set(second.children()) == everybody and ready(web) and asked(simulator, "/control/clock") == 200)
            assert {asked(web, path) for _ in range(50) for path in ("/livez", "/api/v1/regions")} == {200}
            assert "starting it again" not in second.text()
            second.until(lambda: f"http://127.0.0.1:{web}/docs" in second.text())
            assert second.text().index("serving") < second.text().index("/docs")


async def one_connection_for_each_request(port: int, over: asyncio.Event, seen: Counter[str]) -> None:
    while not over.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            seen[(await reader.read())[:15].decode() or "nothing"] += 1
            writer.close()
        except OSError as error:
            seen[type(error).__name__] += 1


def restarted(family: Running, name: str, port: int) -> None:
    """SIGTERM to one of them, and the next one of that name serves."""
    before, served = family.children()[name], family.text().count("serving")
    os.kill(before, signal.SIGTERM)
    family.until(lambda: not lives(before) and family.text().count("serving") > served and ready(port))


async def test_nobody_is_refused_while_the_processes_are_started_again_one_by_one(tmp_path, served):
    [port] = ports(1)
    with started(tmp_path, "web", **served, PORT=str(port)) as family:
        await asyncio.to_thread(family.until, lambda: family.text().count("serving") == 2 and ready(port))
        over, seen = asyncio.Event(), Counter[str]()
        clients = [asyncio.create_task(one_connection_for_each_request(port, over, seen)) for _ in range(16)]
        for name in ("web-1", "web-2") * 3:
            await asyncio.to_thread(restarted, family, name, port)
        over.set()
        await asyncio.gather(*clients)
    assert set(seen) == {"HTTP/1.1 200 OK"}
    assert seen.total() > 100


@pytest.mark.parametrize(("command", "setting", "processes"), [
    ("web", "PORT", "2"), ("web", "PORT", "1"), ("run", "PORT", "2"), ("run", "SIMULATOR_PORT", "2"), ("run", "SIMULATOR_SMTP_PORT", "2"),
])
def test_a_port_that_somebody_has_is_said_in_one_sentence_before_anything_is_begun(tmp_path, served, command, setting, processes):
    env = dict(zip(("PORT", "SIMULATOR_PORT", "SIMULATOR_SMTP_PORT"), map(str, ports(3)), strict=True)) | {"WEB_PROCESSES": processes}
    given = served | env if command == "web" else env
    with socket.create_server(("127.0.0.1", int(env[setting]))), started(tmp_path, command, **given) as refused:
        assert refused.process.wait(PATIENCE_SECONDS) == 2
        [line] = [line for line in refused.text().splitlines() if "[info" not in line]
    assert f"端口 {env[setting]} 已被占用" in line
    assert f"choose another with {setting}=" in line
    assert not (tmp_path / "var" / "postgres").exists()


def test_a_family_whose_database_is_away_gives_up_and_has_invited_nobody(tmp_path, served):
    [web, nobody] = ports(2)
    away = served | {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{nobody}/nothing", "PORT": str(web)}
    with started(tmp_path, "web", **away) as family:
        assert family.process.wait(PATIENCE_SECONDS) == 1
        assert "for the 4th time before it ever served; giving up" in family.text()
        assert family.text().count("starting it again") <= 6
        assert "database_unreachable" in family.text()
        assert "Traceback" not in family.text()


def numbers(port: int) -> dict[str, float]:
    """Sample -> value, as /metrics shows them to whoever asks once."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)
    return {sample: float(value) for sample, _, value in (line.rpartition(" ") for line in lines)}


def counts(port: int) -> dict[str, float]:
    counted = ("_total", "_count", "_sum", "_bucket")
    return {name: value for name, value in numbers(port).items() if name.partition("{")[0].endswith(counted)}


def test_whichever_process_is_asked_the_numbers_are_of_all_and_never_go_back(tmp_path, served):
    [port] = ports(1)
    livez = 'http_requests_total{operation="livez",status="200"}'
    with started(tmp_path, "web", **served, PORT=str(port)) as family:
        family.until(lambda: family.text().count("serving") == 2 and ready(port))
        seen = counts(port)
        for victim in (None, "web-1", "web-2"):
            if victim is not None:
                killed(family, victim, port)
            for _ in range(20):
                assert asked(port, "/livez") == 200
                found = counts(port)
                assert {name: value for name, value in seen.items() if found.get(name, 0) < value} == {}
                assert found[livez] == seen.get(livez, 0) + 1
                seen = found
        assert seen['http_request_seconds_count{operation="livez"}'] == seen[livez] == 60
        # Of the living alone: one of them is asked at this moment, and each has a pool.
        family.until(lambda: numbers(port)["http_requests_in_flight"] == 1)
        assert len(family.children()) == 2


def killed(family: Running, name: str, port: int) -> None:
    before, served = family.children()[name], family.text().count("serving")
    os.kill(before, signal.SIGKILL)
    family.until(lambda: not lives(before) and family.text().count("serving") > served and ready(port))
