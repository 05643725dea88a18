"""The walk's way to the system: where it looks, what it says when nobody is there, and that it leaves nothing open (F19)."""

import json
import shlex
import subprocess

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import settings as configuration
from demo import journey, phones
from demo.visitor import Visitor
from demo.walks import Walk, from_here, verifying
from settings import ROOT, Settings
from tests.families import ports
from tests.test_draw_rules import small_bundle


async def test_the_journey_looks_where_the_settings_say_and_names_the_place(monkeypatch, capsys):
    web, simulator = ports(2)
    monkeypatch.setattr(configuration, "load", lambda: Settings(_env_file=None, port=web, simulator_port=simulator))
    monkeypatch.setattr(phones, "START_SECONDS", 0)
    assert await journey.main(["jinan"]) == 1
    for line in capsys.readouterr().out.splitlines():
        assert f"http://127.0.0.1:{web} " in line
        assert f"http://127.0.0.1:{simulator}" in line


@pytest.mark.parametrize("folder", ["", "var", "elsewhere"])
def test_the_command_that_verifies_a_draw_works_where_it_is_printed(tmp_path, monkeypatch, folder):
    (tmp_path / "var").mkdir()
    (tmp_path / "elsewhere").mkdir()
    bundle = tmp_path / "var" / "bundle-1 2.json"
    bundle.write_text(json.dumps(small_bundle()), encoding="utf-8")
    monkeypatch.chdir(tmp_path / folder)
    done = subprocess.run(shlex.split(verifying(bundle)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "结论：全部通过")


def test_a_file_below_the_folder_one_is_in_is_named_from_there(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert from_here(ROOT / "var" / "bundle-1.json") == "var/bundle-1.json"


class Backend:
    """As much of both servers as a log-in needs. `busy`: how many log-ins are refused for the limit before one is not."""

    def __init__(self) -> None:
        self.log_ins, self.busy, self.ended = 0, 0, False

    async def phone(self, request: web.Request) -> web.Response:
        return web.json_response({"id": (await request.json())["name"], "mobile": ""})

    async def code(self, request: web.Request) -> web.Response:
        return web.json_response({"code": request.match_info["id"]})

    async def log_in(self, _: web.Request) -> web.Response:
        if self.busy:
            self.busy -= 1
            return web.json_response({"code": "too_many_requests"}, status=429, headers={"Retry-After": "0"})
        self.log_ins, self.ended = self.log_ins + 1, False
        return web.json_response({"token": "t", "me": {}}, status=201)

    async def me(self, _: web.Request) -> web.Response:
        return web.json_response({"code": "session_ended"}, status=401) if self.ended else web.json_response({})


@pytest.fixture
async def backend():
    """(the servers' stand-in, a town of it)"""
    made, app = Backend(), web.Application()
    app.add_routes([
        web.post("/control/phones", made.phone), web.post("/control/phones/{id}/login-code", made.code),
        web.post("/api/v1/sessions", made.log_in), web.get("/api/v1/me", made.me),
    ])
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield made, phones.Town(http, f"http://127.0.0.1:{server.port}", f"http://127.0.0.1:{server.port}")


async def test_who_is_signed_in_already_does_not_sign_in_for_the_next_walk(backend):
    served, town = backend
    await Walk(town).sign_in("管理员", "审核员")
    await Walk(town).sign_in("管理员")
    assert served.log_ins == 2
    served.ended = True
    await Walk(town).sign_in("管理员")
    assert served.log_ins == 3


async def test_a_walk_says_that_it_waits_for_the_limit(backend, capsys):
    served, town = backend
    served.busy = 1
    await Walk(town).sign_in("管理员")
    assert (served.log_ins, capsys.readouterr().out) == (1, "     等待限流 0 秒（POST /sessions）\n")


async def test_a_visitor_whom_nobody_answers_leaves_no_connection_behind():
    visitor = Visitor(f"http://127.0.0.1:{ports(1)[0]}")
    with pytest.raises(aiohttp.ClientConnectorError):
        async with visitor:
            pass
    assert visitor._http.closed
