"""The walk's way to the system: where it looks, what it says when nobody is there, and that it leaves nothing open (F19)."""

import json
import shlex
import subprocess

import aiohttp
import pytest

import settings as configuration
from demo import journey, phones
from demo.visitor import Visitor
from demo.walks import from_here, verifying
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


async def test_a_visitor_whom_nobody_answers_leaves_no_connection_behind():
    visitor = Visitor(f"http://127.0.0.1:{ports(1)[0]}")
    with pytest.raises(aiohttp.ClientConnectorError):
        async with visitor:
            pass
    assert visitor._http.closed
