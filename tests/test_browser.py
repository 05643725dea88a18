"""The browser itself: that it is there, has Chinese fonts, and tells on a page that does what ours must not."""

import pytest
from playwright.async_api import Browser, Page

from tests.browser import PHONE, opened
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
