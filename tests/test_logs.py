"""What a process writes of itself: one line each time, in a form that machines read on servers, and without secrets."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys

import aiohttp
import pytest

import logs
from settings import ROOT
from tests.families import PATIENCE_SECONDS, asked, json_lines, ports, ready, started
from tests.test_settings import SERIOUS

PROGRAM = """
import logging, structlog, logs
from settings import Mode
logs.configure(Mode.{mode}, "web")
structlog.contextvars.bind_contextvars(request_id="r-1")
log = structlog.get_logger("web")
log.info("request", operation="预约", status=201, token="t0ken", ms=1.5)
log.debug("not shown")
logging.getLogger("aiohttp").warning("a library %s", "warns")
logging.getLogger("aiohttp").info("not shown")
try:
    password = "s3cret" + "-of-a-person"
    raise ValueError("broken")
except ValueError as error:
    log.error("internal_error", exc_info=error)
    logging.getLogger("asyncio").exception("lost")
"""


def written(mode: str) -> str:
    return subprocess.run([sys.executable, "-c", PROGRAM.format(mode=mode)], cwd=ROOT, capture_output=True, check=True, text=True).stderr


def test_on_servers_each_line_is_one_json_object_with_its_instant():
    found = [json.loads(line) for line in written("PRODUCTION").splitlines()]
    instants = [line.pop("timestamp") for line in found]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", each) for each in instants)
    assert instants == sorted(instants)
    usual = {"process": "web", "request_id": "r-1"}
    assert found[:2] == [
        usual | {"event": "request", "level": "info", "operation": "预约", "status": 201, "token": "***", "ms": 1.5},
        usual | {"event": "a library warns", "level": "warning"},
    ]
    assert [(line["event"], line["level"], line["exception"][0]["exc_type"]) for line in found[2:]] == [
        ("internal_error", "error", "ValueError"), ("lost", "error", "ValueError"),
    ]
    assert "s3cret" not in str(found)


def test_on_a_screen_each_line_is_tidy():
    lines = written("DEVELOPMENT").splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info     \] web   request +ms=1.5 operation=预约 status=201 token=\*\*\*", lines[0])
    assert "web   a library warns" in lines[1]
    assert not any("s3cret" in line or "r-1" in line for line in lines)


@pytest.mark.parametrize("mode", ["PRODUCTION", "DEVELOPMENT"])
def test_a_log_that_nobody_reads_any_more_breaks_nothing(mode):
    """The reader of a pipe may have been killed; who asks for something is answered all the same."""
    program = PROGRAM.format(mode=mode) + "print('went on')\n"
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as nobody:
        ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=nobody, text=True, check=False)
    assert ended.stdout == "went on\n"


def test_a_crash_on_a_server_is_one_json_object_too():
    program = PROGRAM.format(mode="PRODUCTION") + "raise RuntimeError('at the end')\n"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    last = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, last["event"], last["exception"][0]["exc_value"]) == (1, "crashed", "at the end")


def test_two_processes_of_a_server_and_their_parent_write_json_lines_that_name_them(tmp_path, settings, database_urls):
    [port] = ports(1)
    env = SERIOUS | {
        "DATABASE_URL": database_urls[1], "REDIS_URL": settings.redis_url.get_secret_value(), "PORT": str(port), "WEB_PROCESSES": "2",
    }
    with started(tmp_path, "web", **env) as family:
        family.until(lambda: family.text().count('"serving"') == 2 and ready(port))
        os.kill(family.children()["web-1"], signal.SIGKILL)
        family.until(lambda: family.text().count('"serving"') == 3)
        family.until(lambda: asked(port, "/livez") == 200 and len(requests_by(family.text())) == 2)
        family.process.terminate()
        assert family.process.wait(PATIENCE_SECONDS) == 0
    found = json_lines(family.text())
    assert {line["process"] for line in found} == {"web-1", "web-2", "family"}
    assert [line["child"] for line in found if line["process"] == "family"] == ["web-1"]


def requests_by(text: str) -> set[object]:
    return {line["process"] for line in json_lines(text[:text.rfind("\n") + 1]) if line["event"] == "request"}


# --- a log that cannot be written -----------------------------------------------------------------------------------------

SERVER = """
import asyncio, logging, sys
import logs
from clock import SystemClock
from miniapp_api.application import create_app
from miniapp_api.serving import Serving
from models import database
from settings import Mode, Settings
from tests.fakes import ports
from tests.test_serving import UNLIMITED, api

async def main():
    logs.configure(Mode[sys.argv[1]], "web")
    await database.connect(sys.argv[2])
    logging.getLogger("aiohttp").warning("a library warns")
    app = create_app(settings=Settings(_env_file=None), clock=SystemClock(), ports=ports(), apis=[api], redis_url=None, policies=UNLIMITED)
    print(await Serving(app, "127.0.0.1", 0).start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await database.disconnect()

asyncio.run(main())
"""


def gone() -> int:
    """Where whoever read our lines has ended."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    """A disk without space."""
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("mode", ["PRODUCTION", "DEVELOPMENT"])
@pytest.mark.parametrize("where", [gone, full])
async def test_a_log_that_cannot_be_written_costs_its_lines_and_no_answer(database_urls, mode, where):
    errors = where()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, mode, database_urls[1], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
    )
    os.close(errors)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                for _ in range(3):
                    async with session.post("/api/v1/echo", json={"text": "好"}) as answer:
                        assert (answer.status, await answer.json()) == (200, {"text": "好"})
                async with session.get("/metrics") as answer:
                    told = await answer.text()
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "log_lines_lost_total 4.0" in told  # three requests and the library's warning


def test_what_no_json_can_hold_is_written_all_the_same():
    assert json.loads(logs._bytes(None, "info", {"event": "\ud800", "number": 2**70})) == {"event": "\ud800", "number": 2**70}


def test_a_line_after_a_torn_one_stands_alone():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines = logs.Lines(writing)
    lines.msg(b"x" * 2**20)  # more than a pipe holds
    assert lines.lost == 1
    assert set(os.read(reading, 2**20)) == {ord("x")}
    lines.msg("next")
    os.close(writing)
    assert os.read(reading, 2**20) == b"\nnext\n"
    os.close(reading)
