"""A real Chromium at the size of a phone: the one of the system, driven by Playwright, with fonts from our own wheel.

Playwright's own browsers are never downloaded. A page that asks another host for anything, writes an error to its console or
breaks its own policy fails the test that opened it.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright
from pylopdf_fonts_zh_cn import sans_path

NAMES = ("chromium", "google-chrome")
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True, "locale": "zh-CN",
    "timezone_id": "Asia/Shanghai",
}
PATIENCE_MS = 20_000  # a cold start on a busy machine; nothing waits this long when all is well
MISSING = "没有 Chromium，网页测试需要它；`make browser` 在有权限时安装 / no Chromium: `make browser` installs it for root"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def executable() -> str:
    """The system's browser. Without one the test that asks is skipped, or fails where BROWSER_REQUIRED says that pages must be tested."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("BROWSER_REQUIRED"):
        pytest.fail(MISSING, pytrace=False)
    return found or pytest.skip(MISSING)


@asynccontextmanager
async def launched(folder: Path) -> AsyncIterator[Browser]:
    """`folder` keeps the font cache. One browser, many contexts: a context costs milliseconds."""
    program, fonts = executable(), folder / "fonts.conf"
    fonts.write_text(FONTS.format(folder=sans_path().parent, cache=folder / "fonts"), encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, env={**os.environ, "FONTCONFIG_FILE": str(fonts)}, timeout=3 * PATIENCE_MS,
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """A page in a context of its own: `options` of Playwright's new_context go over those of a phone."""
    context = await browser.new_context(**{**PHONE, **options})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    hosts: set[str] = set()
    troubles: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: troubles.append(message.text) if _is_trouble(message.type, message.text) else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    await context.close()
    assert len(hosts) <= 1, f"a page of ours asked other hosts: {hosts}"
    assert not troubles, troubles


def _is_trouble(kind: str, text: str) -> bool:
    # Chromium writes an error for each answer of 400 and above; those are what some tests are about.
    return kind in {"error", "warning"} and not text.startswith("Failed to load resource: the server responded with a status of 4")


@pytest.fixture(scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with launched(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
async def phone(browser: Browser) -> AsyncIterator[Page]:
    """A page on a phone of 390 x 844 points."""
    async with opened(browser) as page:
        yield page


@pytest.fixture
async def phone_without_scripts(browser: Browser) -> AsyncIterator[Page]:
    async with opened(browser, java_script_enabled=False) as page:
        yield page


