"""A web process from its first connection to its last: half-sent requests, probes, and an end that fails nobody."""

import asyncio
import itertools
import json
import re
import signal
import socket
import sys
import textwrap
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from limits import RateLimitItemPerMinute
from structlog.testing import capture_logs

import app as entry
from clock import OffsetClock, SystemClock
from handlers.context import Context
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from miniapp_api.edge import EDGE
from miniapp_api.limits import POLICIES, By, Policy
from miniapp_api.routing import PREFIX, Api, Body, Download, Who
from miniapp_api.serving import Serving
from models import database as db
from models.accounts import Role
from settings import ROOT
from tests.conftest import here
from tests.fakes import ports

UNLIMITED = {name: Policy(RateLimitItemPerMinute(1_000_000), By.IP, shared=False) for name in POLICIES}


class EchoBody(Body):
    text: str


api = Api("serving", "服务")
arrived, gate = asyncio.Event(), asyncio.Event()


@api.get("/now", title="即答", who=Who.ANYONE)
async def answer_now(ctx: Context) -> dict[str, bool]:
    return {"ok": True}


@api.get("/later", title="等待", who=Who.ANYONE)
async def answer_later(ctx: Context) -> dict[str, bool]:
    arrived.set()
    await gate.wait()
    return {"ok": True}


@api.post("/echo", title="回声", who=Who.ANYONE)
async def echo(ctx: Context, body: EchoBody) -> dict[str, str]:
    return {"text": body.text}


@api.get("/film", title="下载", who=Who.ANYONE)
async def film(ctx: Context) -> Download:
    async def reels():
        yield b"first "
        await gate.wait()
        yield b"last"

    return Download(reels(), "application/octet-stream", "film.bin")


@pytest.fixture
def make_app(settings):
    def make(**changes):
        changed = settings.model_copy(update=changes)
        return create_app(settings=changed, clock=SystemClock(), ports=ports(), apis=[api], redis_url=None, policies=UNLIMITED)

    arrived.clear()
    gate.clear()
    return make


@asynccontextmanager
async def serving(app, port: int = 0):
    server = Serving(app, "127.0.0.1", port)
    bound = await server.start()
    try:
        yield server, bound
    finally:
        server.hurry.set()
        await server.drain(0)


@asynccontextmanager
async def raw(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


# --- half-sent requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /api/v1/now HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_never_ends_is_cut_off(make_app, sent):
    async with serving(make_app(header_timeout_seconds=0.05)) as (_, port), raw(port) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_a_second_head_that_never_ends_is_cut_off_too(make_app):
    async with serving(make_app(header_timeout_seconds=0.05)) as (_, port), raw(port) as (reader, writer):
        writer.write(b"GET /api/v1/now HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b'{"ok":true}')
        writer.write(b"GET /api/v1/now HTT")
        assert await reader.read() == b""


async def test_an_answer_may_take_longer_than_a_head(make_app):
    async with serving(make_app(header_timeout_seconds=0.02)) as (_, port), raw(port) as (reader, writer):
        writer.write(b"GET /api/v1/later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        asyncio.get_running_loop().call_later(0.1, gate.set)
        assert (await reader.read()).endswith(b'{"ok":true}')


async def test_a_body_that_never_ends_is_answered_with_408(make_app):
    async with serving(make_app(body_timeout_seconds=0.05)) as (_, port), raw(port) as (reader, writer):
        writer.write(b"POST /api/v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in head
        assert b'"code":"body_timed_out"' in body


@pytest.mark.parametrize("sent", [
    b"HELLO\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +9\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 9000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
])
async def test_what_is_no_http_is_a_problem_and_the_end(make_app, sent):
    async with serving(make_app()) as (_, port), raw(port) as (reader, writer):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert json.loads(body)["code"] == "bad_request"


async def test_a_body_in_broken_chunks_is_a_problem(make_app):
    async with serving(make_app()) as (_, port), raw(port) as (reader, writer):
        writer.write(
            b"POST /api/v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(b"zz\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert json.loads(body)["code"] == "bad_request"


async def test_a_client_that_leaves_in_the_middle_is_no_error(make_app):
    app = make_app()
    with capture_logs() as lines:
        async with serving(app) as (_, port):
            async with raw(port) as (_, writer):
                writer.write(b"POST /api/v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
                await writer.drain()
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/api/v1/now") as response:
                assert response.status == 200
    assert [(line["event"], line["status"]) for line in lines] in (
        [("request", 400), ("request", 200)], [("request", 200), ("request", 400)],
    )


async def test_a_bomb_in_deflate_is_never_unpacked(make_app):
    async with serving(make_app()) as (_, port), aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
        async with session.post(f"http://127.0.0.1:{port}/api/v1/echo", data=b"x" * 1000, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (415, "content_type_not_accepted")


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_sixteen_keep_alive_clients_see_no_failure_while_a_process_ends(make_app):
    """The first of two processes on the port ends while they ask; afterwards the second one answers everything."""
    started, ended = asyncio.Barrier(17), asyncio.Event()
    async with serving(make_app()) as (first, port), serving(make_app(), port):
        async def client() -> list[int]:
            answers: list[int] = []
            # POST on purpose: aiohttp's client tries a GET a second time, which would hide a failure.
            async with aiohttp.ClientSession() as session:
                while not ended.is_set() or len(answers) < 50:
                    async with session.post(f"http://127.0.0.1:{port}/api/v1/echo", json={"text": "x"}) as response:
                        answers.append(response.status)
                    if len(answers) == 1:
                        await started.wait()
            return answers

        clients = [asyncio.create_task(client()) for _ in range(16)]
        await started.wait()
        await first.drain(5)
        ended.set()
        answers = await asyncio.gather(*clients)
    assert {status for client_answers in answers for status in client_answers} == {200}


async def test_who_waits_to_be_accepted_when_the_end_begins_is_answered(make_app):
    async with serving(make_app()) as (server, port):
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(32)]  # blocks the loop: nobody is accepted
        for each in waiting:
            each.sendall(b"GET /api/v1/now HTTP/1.1\r\nHost: a\r\n\r\n")
        await server.drain(5)
        assert {each.recv(100)[:15] for each in waiting} == {b"HTTP/1.1 200 OK"}
        for each in waiting:
            each.close()


async def test_what_is_in_flight_is_finished(make_app):
    async with serving(make_app()) as (server, port), aiohttp.ClientSession() as session:
        later = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/api/v1/later"))
        download = await session.get(f"http://127.0.0.1:{port}/api/v1/film")
        assert await download.content.readexactly(6) == b"first "
        await arrived.wait()
        drain = asyncio.create_task(server.drain(5))
        await server._app[EDGE].draining.wait()
        gate.set()
        response = await later
        assert (response.status, await response.json(), response.headers["Connection"]) == (200, {"ok": True}, "close")
        assert await download.read() == b"last"
        await drain
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/api/v1/now")


async def test_an_idle_connection_gets_one_more_answer_and_is_told_to_go(make_app):
    async with serving(make_app()) as (server, port), raw(port) as (reader, writer):
        ask = b"GET /api/v1/now HTTP/1.1\r\nHost: a\r\n\r\n"
        writer.write(ask)
        assert b"Connection: close" not in await reader.readuntil(b'{"ok":true}')
        drain = asyncio.create_task(server.drain(5))
        await server._app[EDGE].draining.wait()
        writer.write(ask)
        assert b"Connection: close" in await reader.readuntil(b'{"ok":true}')
        assert await reader.read() == b""
        await drain


async def test_what_never_ends_is_cancelled_in_the_end(make_app):
    async with serving(make_app()) as (server, port), aiohttp.ClientSession() as session:
        later = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/api/v1/later"))
        await arrived.wait()
        await server.drain(0.05)
        with pytest.raises(aiohttp.ClientError):
            await later
        assert server._app[EDGE].in_flight == 0


PROGRAM = """
    import sys
    import uvloop
    sys.path.insert(0, sys.argv[1])
    from miniapp_api.application import create_app
    from miniapp_api.serving import serve
    from settings import Settings
    from clock import SystemClock
    from tests.fakes import ports
    from tests.test_serving import UNLIMITED, api

    app = create_app(settings=Settings(_env_file=None), clock=SystemClock(), ports=ports(), apis=[api], redis_url=None,
                     policies=UNLIMITED)
    uvloop.run(serve(app, "127.0.0.1", int(sys.argv[2]), 5))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_ends_on_a_signal_with_status_zero(unused_tcp_port, number):
    root = here("..").resolve()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(PROGRAM), str(root), str(unused_tcp_port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while b"serving" not in (line := await process.stdout.readline()):
            assert line, await process.wait()
        response = await session.get(f"http://127.0.0.1:{unused_tcp_port}/api/v1/now")
        assert await response.json() == {"ok": True}
        process.send_signal(number)
        assert await process.wait() == 0


def resident_mb(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


async def test_a_process_takes_less_than_150_mb_after_all_that_can_be_read_has_been(world, database_urls, unused_tcp_port):
    """The whole application as servers run it: what is loaded or kept with the first answers of each route counts."""
    people = [await world.enterprise(), await world.institution(), await world.official(Role.ADMIN)]
    reads = [PREFIX + re.sub(r"\{\w+\}", "1", each.path) for own in APIS for each in own.operations if each.method == "GET"]
    env = entry.environment(world.settings) | {"DATABASE_URL": database_urls[1], "PORT": str(unused_tcp_port), "WEB_PROCESSES": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "web", cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120), aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session:
            while b"serving" not in (line := await process.stdout.readline()):
                assert line, await process.wait()
            log = asyncio.create_task(process.stdout.read())  # a pipe that nobody empties would stop it
            for path in ("/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/readyz", "/metrics", "/api/v1/products?words=审计"):
                for _ in range(20):
                    async with session.get(path) as answer:
                        assert (answer.status, bool(await answer.read())) == (200, True), path
            for path, person in itertools.product(reads, people):
                async with session.get(path, headers={"Authorization": f"Bearer {person.token}"}) as answer:
                    assert answer.status < 500, (path, await answer.text())
            held = resident_mb(process.pid)
    finally:
        process.terminate()
        await process.wait()
    await log
    assert len(reads) * len(people) > 300
    assert 40 < held < 150


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def phone(connected, make_app):
    async with TestClient(TestServer(make_app())) as client:
        yield client


async def test_a_process_that_can_write_is_ready(phone):
    assert await (await phone.get("/livez")).json() == {"alive": True}
    response = await phone.get("/readyz")
    assert (response.status, await response.json()) == (200, {"ready": True, "draining": False, "database": "up", "redis": "none"})


async def test_redis_is_told_but_does_not_count(connected, settings, servers, unused_tcp_port):
    for url, state in ((servers.redis_url, "up"), (f"redis://127.0.0.1:{unused_tcp_port}/0", "down")):
        app = create_app(settings=settings, clock=SystemClock(), ports=ports(), apis=[api], redis_url=url)
        async with TestClient(TestServer(app)) as client:
            response = await client.get("/readyz")
            assert (response.status, (await response.json())["redis"]) == (200, state)


async def test_a_database_that_refuses_writes_is_not_ready(phone, owner, database_urls):
    name = database_urls[0].rpartition("/")[2]
    await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        await db.disconnect()
        await db.connect(database_urls[1])
        response = await phone.get("/readyz")
        assert (response.status, (await response.json())["database"]) == (503, "down")
        assert (await phone.get("/livez")).status == 200
    finally:
        await owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await db.disconnect()
        await db.connect(database_urls[1], db.Limits(pool_max=20))
    assert (await phone.get("/readyz")).status == 200


async def test_a_draining_process_is_not_ready_but_alive(phone):
    phone.server.app[EDGE].draining.set()
    assert ((await phone.get("/readyz")).status, (await phone.get("/livez")).status) == (503, 200)


async def test_metrics_count_by_operation_and_status(phone):
    await phone.get("/api/v1/now")
    await phone.post("/api/v1/echo", json={})
    await phone.get("/api/v1/unknown/7")
    text = await (await phone.get("/metrics")).text()
    assert 'http_requests_total{operation="answer_now",status="200"} 1.0' in text
    assert 'http_requests_total{operation="echo",status="422"} 1.0' in text
    assert 'http_requests_total{operation="-",status="404"} 1.0' in text
    assert 'http_request_seconds_count{operation="answer_now"} 1.0' in text
    assert "http_requests_in_flight 1.0" in text
    assert 'database_pool_connections{state="idle"}' in text


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_processes_that_share_a_clock_file_share_the_time(tmp_path):
    one, two = OffsetClock(tmp_path / "clock" / "offset"), OffsetClock(tmp_path / "clock" / "offset")
    assert one.offset == timedelta(0)
    one.advance(timedelta(days=7, seconds=1))
    two.advance(timedelta(seconds=-1))
    assert one.offset == two.offset == timedelta(days=7)
    assert abs(two.now() - SystemClock().now() - timedelta(days=7)) < timedelta(minutes=1)
