"""The same pages in a real Chromium at the size of a phone, mostly with JavaScript off: seen, tapped, typed, and with a keyboard alone."""

import io
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.applications import picture
from tests.browser import opened
from tests.consulting import OTHER_PHONE, PHONE, PROFILE, Consulting, open_consulting
from tests.world import World

# Everything that a finger must hit is at least this high and wide (WCAG 2.5.8 asks for 24; the platforms' own guides for 44).
TOUCH_POINTS = 44
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Each text's contrast against the first opaque ground behind it (WCAG 2.1, 1.4.3), worst first.
CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = at => { for (; at; at = at.parentElement) { const c = rgb(getComputedStyle(at).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('body *')].filter(at => [...at.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(at => at.checkVisibility())
  .map(at => { const a = light(rgb(getComputedStyle(at).color)), b = light(ground(at));
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), at.tagName, at.textContent.trim().slice(0, 20)]; })
    .sort((x, y) => x[0] - y[0])[0];
}"""
UNNAMED = """() => [...document.querySelectorAll('input:not([type=hidden]), textarea, button, a, fieldset')]
  .filter(at => !(at.labels?.length || at.textContent.trim() || at.getAttribute('aria-label'))).map(at => at.outerHTML)"""
UNKNOWN_REFERENCES = """() => [...document.querySelectorAll('[aria-describedby], label[for]')].flatMap(at =>
  (at.getAttribute('aria-describedby') || at.getAttribute('for')).split(' ')).filter(id => !document.getElementById(id))"""
SMALL = """points => [...document.querySelectorAll('button, .button, input:not([type=hidden]), textarea, summary')]
  .filter(at => at.checkVisibility()).map(at => [(at.closest('label') || at).getBoundingClientRect(), at.outerHTML])
  .filter(([box]) => box.height < points || box.width < 24)
  .map(([box, html]) => html)"""


@pytest.fixture
async def consulting(world: World) -> Consulting:
    return await open_consulting(world)


def at(world: World, path: str) -> str:
    return str(world.client.make_url(path))


async def is_sound(page: Page) -> None:
    """What holds for each page, whatever it says."""
    assert await page.evaluate(OVERFLOW) <= 0, "it scrolls sideways"
    assert await page.locator("html").get_attribute("lang") == "zh-CN"
    assert await page.locator("main").count() == await page.locator("h1").count() == 1
    assert await page.evaluate(UNNAMED) == []
    assert await page.evaluate(UNKNOWN_REFERENCES) == []
    assert await page.evaluate(SMALL, TOUCH_POINTS) == []
    ids = await page.evaluate("() => [...document.querySelectorAll('[id]')].map(at => at.id)")
    assert len(ids) == len(set(ids))
    worst = await page.evaluate(CONTRAST)
    assert worst[0] >= 4.5, worst


async def prove_phone(page: Page, consulting: Consulting, phone: str = PHONE) -> None:
    await page.get_by_label("手机号").fill(phone)
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="获取验证码").tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("填写验证码")
    await is_sound(page)
    await page.get_by_label("短信验证码").fill(await consulting.code())
    await page.get_by_role("button", name="确认并接受邀请").tap()


async def fill_form(page: Page, **changes: Any) -> None:
    given = {**PROFILE, **changes}
    await page.get_by_label("姓名").fill(given["name"])
    await page.get_by_label("职称或职务").fill(given["title"])
    for title in ("法律服务", "知识产权服务"):
        await page.get_by_label(title).check()
    await page.get_by_label("个人简介").fill(given["introduction"])


async def test_from_the_link_to_the_result_without_scripts(consulting, world, phone_without_scripts):
    page = phone_without_scripts
    consultant_id, token = await consulting.invited()
    await page.goto(at(world, f"/i/{token}"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("邀请您成为服务顾问")
    await expect(page.get_by_text("通过审核后将公开")).to_be_visible()
    await is_sound(page)
    await page.get_by_role("link", name="接受邀请").tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("验证手机号")
    await is_sound(page)
    await prove_phone(page, consulting)
    await expect(page.get_by_role("heading", level=1)).to_have_text("顾问认证信息")
    await is_sound(page)
    await fill_form(page)
    await page.get_by_label("照片（选填）").set_input_files({"name": "我.png", "mimeType": "image/png", "buffer": picture()})
    await page.get_by_role("button", name="提交审核").tap()
    await expect(page.get_by_role("status")).to_have_text("审核中")
    await is_sound(page)
    assert await world.value("SELECT specialities::text FROM consultants") == '["legal", "ip"]'
    assert await world.value("SELECT photo_id IS NOT NULL FROM consultants")
    items = [{"field": "introduction", "problem": "请写明执业年限"}]
    await consulting.decide(consultant_id, "return", {"reason": "简介过于简单", "items": items})
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("个人简介：请写明执业年限")
    await is_sound(page)
    await page.get_by_label("个人简介").fill("执业十二年，擅长公司法与知识产权。")
    await page.get_by_role("button", name="提交审核").tap()
    await expect(page.get_by_role("status")).to_have_text("审核中")
    await consulting.decide(consultant_id, "approval", {})
    await page.reload()
    await expect(page.get_by_role("status")).to_have_text("审核通过")
    await is_sound(page)
    assert await consulting.state(consultant_id) == "active"


async def test_declining_and_the_page_of_a_dead_link(consulting, world, phone_without_scripts):
    page = phone_without_scripts
    consultant_id, token = await consulting.invited()
    await page.goto(at(world, f"/i/{token}"))
    await page.get_by_role("button", name="谢绝邀请").tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("已谢绝邀请")
    await is_sound(page)
    assert await consulting.state(consultant_id) == "added"
    await page.goto(at(world, f"/i/{token}"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("链接无效")
    await is_sound(page)


async def test_an_expired_link_asks_for_another(consulting, world, phone_without_scripts):
    page = phone_without_scripts
    _, token = await consulting.invited()
    world.clock.advance(days=7)
    await page.goto(at(world, f"/i/{token}"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("邀请已过期")
    await is_sound(page)
    await page.get_by_role("button", name="请机构重新邀请").tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("已请服务机构重新邀请")


async def test_mistakes_are_named_where_they_are(consulting, world, phone_without_scripts):
    page = phone_without_scripts
    _, token = await consulting.invited()
    await page.goto(at(world, f"/i/{token}/phone"))
    await page.get_by_label("手机号").fill(OTHER_PHONE)
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="获取验证码").tap()
    await expect(page.get_by_label("手机号")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("alert")).to_contain_text("该邀请不是发给此手机号的")
    await is_sound(page)
    await prove_phone(page, consulting)
    await fill_form(page, title="", introduction="短")
    await page.get_by_role("button", name="提交审核").tap()
    for label in ("职称或职务", "个人简介"):
        await expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("姓名")).to_have_value(PROFILE["name"])
    await expect(page.get_by_label("法律服务")).to_be_checked()
    await is_sound(page)


async def test_a_keyboard_alone_is_enough(consulting, world, phone):
    _, token = await consulting.invited()
    await phone.goto(at(world, f"/i/{token}"))
    for _ in range(20):
        await phone.keyboard.press("Tab")
        if await phone.evaluate("document.activeElement.textContent") == "接受邀请":
            break
    assert await phone.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    await phone.keyboard.press("Enter")
    await expect(phone.get_by_label("手机号")).to_be_visible()
    await phone.keyboard.press("Tab")
    await phone.keyboard.type(PHONE)
    await phone.keyboard.press("Tab")
    await phone.keyboard.press("Space")
    await phone.keyboard.press("Enter")  # sends the form from a field of it
    await expect(phone.get_by_role("heading", level=1)).to_have_text("填写验证码")


async def test_the_address_of_the_invitation_goes_nowhere(consulting, world, phone):
    """The token is in the address: neither the privacy page nor a style sheet is told where the reader came from."""
    _, token = await consulting.invited()
    seen: list[str | None] = []
    phone.on("request", lambda request: seen.append(request.headers.get("referer")))
    await phone.goto(at(world, f"/i/{token}"))
    await phone.get_by_role("link", name="《隐私政策》").click()
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("隐私政策")
    await is_sound(phone)
    assert len(seen) >= 3
    assert not any(seen)


async def test_unlinking_while_the_page_is_open(consulting, world, phone_without_scripts):
    page = phone_without_scripts
    consultant_id, token = await consulting.invited()
    await page.goto(at(world, f"/i/{token}/phone"))
    await prove_phone(page, consulting)
    await fill_form(page)
    await consulting.end(consultant_id)
    await page.get_by_role("button", name="提交审核").tap()
    await expect(page.get_by_role("status")).to_have_text("已解除关联")
    assert await consulting.state(consultant_id) == "ended"


async def test_a_page_is_small_and_takes_two_requests(consulting, world, phone):
    """Fast on a phone: bytes and round trips, which are the same on every machine."""
    _, token = await consulting.invited()
    responses: list[Any] = []

    def note(response: Any) -> None:  # Playwright takes no built-in
        responses.append(response)

    phone.on("response", note)
    await phone.goto(at(world, f"/i/{token}"), wait_until="networkidle")
    sizes = {response.url.rpartition("/")[2]: len(await response.body()) for response in responses}
    assert set(sizes) == {token, "pages.css"}
    assert sum(sizes.values()) < 14_000  # what a first congestion window carries


async def test_a_name_without_spaces_and_a_very_long_one_do_not_break_the_page(consulting, world, phone_without_scripts):
    await world.owner.execute("UPDATE organisations SET name = $1", "Supercalifragilisticexpialidocious" * 5)
    _, token = await consulting.invited()
    await phone_without_scripts.goto(at(world, f"/i/{token}"))
    await is_sound(phone_without_scripts)


async def test_the_page_fits_the_smallest_phone(consulting, world, browser):
    _, token = await consulting.invited()
    async with opened(browser, viewport={"width": 320, "height": 568}) as page:
        await page.goto(at(world, f"/i/{token}"))
        await is_sound(page)


async def test_a_scanned_badge_in_a_browser(consulting, world, phone_without_scripts):
    consultant_id, member = await world.consultant(consulting.owner)
    badge = (await world.get("/badge", by=member))[1]
    await phone_without_scripts.goto(at(world, f"/b/{badge['token']}"))
    await expect(phone_without_scripts.get_by_role("status")).to_have_text("有效")
    await is_sound(phone_without_scripts)
    await consulting.end(consultant_id)
    await phone_without_scripts.reload()
    await expect(phone_without_scripts.get_by_role("status")).to_contain_text("已失效")
    await is_sound(phone_without_scripts)


async def test_the_poster_is_a_picture_that_a_browser_shows(consulting, world, phone):
    _, token = await consulting.invited()
    async with world.client.get(
        f"/api/v1/invitations/{token}/poster.svg", headers={"Authorization": f"Bearer {consulting.owner.token}"}
    ) as response:
        drawn = await response.text()
    await phone.set_content(drawn)
    box = await phone.locator("svg").bounding_box()
    assert box
    assert (round(box["width"]), round(box["height"])) == (720, 1000)
    shown = await phone.locator("svg").screenshot()
    with Image.open(io.BytesIO(shown)) as image:
        assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 2
