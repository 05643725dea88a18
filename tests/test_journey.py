"""The walk's way to the system: where it looks, what it says when nobody is there, and that it leaves nothing open (F19)."""

import aiohttp
import pytest

import settings as configuration
from demo import journey, phones
from demo.visitor import Visitor
from settings import Settings
from tests.families import ports


async def test_the_journey_looks_where_the_settings_say_and_names_the_place(monkeypatch, capsys):
    web, simulator = ports(2)
    monkeypatch.setattr(configuration, "load", lambda: Settings(_env_file=None, port=web, simulator_port=simulator))
    monkeypatch.setattr(phones, "START_SECONDS", 0)
    assert await journey.main(["jinan"]) == 1
    for line in capsys.readouterr().out.splitlines():
        assert f"http://127.0.0.1:{web} " in line
        assert f"http://127.0.0.1:{simulator}" in line


async def test_a_visitor_whom_nobody_answers_leaves_no_connection_behind():
    visitor = Visitor(f"http://127.0.0.1:{ports(1)[0]}")
    with pytest.raises(aiohttp.ClientConnectorError):
        async with visitor:
            pass
    assert visitor._http.closed
