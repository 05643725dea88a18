"""The browser itself: that it is there, has Chinese fonts, and tells on a page that does what ours must not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from settings import ROOT
from tests.browser import PHONE, executable, opened
from tests.world import World


async def test_a_phone_shows_what_the_application_serves(world: World, phone: Page):
    answer = await phone.goto(str(world.client.make_url("/livez")))
    assert answer and answer.status == 200
    assert phone.viewport_size == PHONE["viewport"]


async def test_chinese_has_glyphs(phone: Page):
    """Boxes for missing glyphs are all alike; two characters of the font are not."""
    await phone.set_content("<p id=a style='font-size:60px'>企</p><p id=b style='font-size:60px'>券</p>")
    assert await phone.locator("#a").screenshot() != await phone.locator("#b").screenshot()


async def test_a_page_that_asks_another_host_is_told_on(browser: Browser, world: World):
    with pytest.raises(AssertionError, match="other hosts"):
        async with opened(browser) as page:
            await page.goto(str(world.client.make_url("/livez")))
            await page.set_content("<img src='http://127.0.0.2:9/pixel.png'>", wait_until="commit")
            await page.wait_for_event("requestfailed", predicate=lambda request: "pixel" in request.url)


async def test_a_page_with_an_error_is_told_on(browser: Browser):
    with pytest.raises(AssertionError, match="broken"):
        async with opened(browser) as page:
            await page.set_content("<script>console.error('broken')</script>")


# --- where there is none ------------------------------------------------------------------------------------------------

APT = """echo "$@" >> {folder}/asked; [ {works} = yes ] || exit 100
[ "$1" = update ] || {{ echo '#!/bin/sh' > {folder}/chromium; /bin/chmod +x {folder}/chromium; }}"""
MAY_NOT, ASKED = "网页测试将被跳过", ["update -qq", "install -y -qq --no-install-recommends chromium"]
Install = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """What `make browser` does on a machine with these commands: (exit code, what it says, what apt-get was asked for)."""

    def run(*, user: int, sudo: bool = False, apt: str | None = "yes", **env: str) -> tuple[int, str, list[str]]:
        commands = {"id": f"echo {user}", "sudo": 'shift; exec "$@"' if sudo else "exit 1"}
        if apt is not None:
            commands["apt-get"] = APT.format(folder=tmp_path, works=apt)
        for name, script in commands.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        (tmp_path / "true").symlink_to("/bin/true")
        done = subprocess.run(
            ["/bin/sh", "tests/install_chromium.sh"], cwd=ROOT, env={"PATH": str(tmp_path), **env}, capture_output=True, text=True,
            check=False,
        )
        asked = tmp_path / "asked"
        return done.returncode, done.stderr, asked.read_text(encoding="utf-8").splitlines() if asked.exists() else []

    return run


@pytest.mark.parametrize("who", [{"user": 0}, {"user": 1000, "sudo": True}])
def test_who_may_install_a_browser_gets_one(install: Install, who: dict[str, int]):
    assert install(**who) == (0, "", ASKED)


@pytest.mark.parametrize("who", [{"user": 1000}, {"user": 0, "apt": None}])
def test_who_may_not_is_told_in_both_languages_and_goes_on(install: Install, who: dict[str, int]):
    code, said, asked = install(**who)
    assert (code, asked) == (0, []) and MAY_NOT in said and "the tests of pages are skipped" in said


def test_who_answers_for_the_pages_does_not_go_on_without_a_browser(install: Install):
    code, said, asked = install(user=1000, BROWSER_REQUIRED="1")
    assert (code, asked) == (1, []) and MAY_NOT in said
    assert "BROWSER_REQUIRED=1 make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("who", [{"user": 0}, {"user": 1000, "sudo": True}])
def test_an_installation_that_fails_is_an_error(install: Install, who: dict[str, int]):
    code, said, asked = install(apt="no", **who)
    assert (code, asked) == (1, ASKED[:1]) and "安装 Chromium 失败" in said


def test_a_test_without_a_browser_is_skipped_with_the_reason_or_fails_where_pages_must_be_tested(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BROWSER_REQUIRED", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make browser"):
        executable()
    monkeypatch.setenv("BROWSER_REQUIRED", "1")
    with pytest.raises(pytest.fail.Exception, match="make browser"):
        executable()
