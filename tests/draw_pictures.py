"""`make pictures`: the screenshots of docs/images, taken of the real pages. Not part of a test run: nothing is asserted of their bytes."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from settings import ROOT
from tests.consulting import Consulting, open_consulting
from tests.test_pages_in_chromium import at, fill_form, prove_phone
from tests.world import World

IMAGES = ROOT / "docs" / "images"
BYTES_MAX = 150_000


@pytest.fixture
async def consulting(world: World) -> Consulting:
    found = await open_consulting(world)
    await world.owner.execute(
        "UPDATE organisations SET name = '示范律师事务所' WHERE id = $1", found.owner.organisation_id,
    )
    await world.owner.execute(
        "UPDATE institutions SET introduction = '为中小企业提供公司治理、知识产权与劳动用工方面的法律服务。', address = '示范路 10 号'"
        " WHERE organisation_id = $1", found.owner.organisation_id,
    )
    return found


async def take(page: Page, name: str) -> None:
    keep(await page.screenshot(full_page=True), name)


def keep(content: bytes, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    with Image.open(io.BytesIO(content)) as image:
        out = io.BytesIO()
        image.convert("RGB").quantize(32).save(out, "PNG", optimize=True)
    path: Path = IMAGES / f"{name}.png"
    path.write_bytes(out.getvalue())
    assert path.stat().st_size < BYTES_MAX, f"{name}: {path.stat().st_size}"


async def test_pictures_of_an_invitation(consulting: Consulting, world: World, phone: Page) -> None:
    consultant_id, token = await consulting.invited()
    await phone.goto(at(world, f"/i/{token}"))
    await take(phone, "invitation-landing")
    await phone.goto(at(world, f"/i/{token}/phone"))
    await take(phone, "invitation-phone")
    await prove_phone(phone, consulting)
    await fill_form(phone)
    await take(phone, "invitation-form")
    await phone.get_by_role("button", name="提交审核").tap()
    await expect(phone.get_by_role("status")).to_have_text("审核中")
    await take(phone, "invitation-in-review")
    items = [{"field": "introduction", "problem": "请写明执业年限"}]
    await consulting.decide(consultant_id, "return", {"reason": "简介过于简单", "items": items})
    await phone.reload()
    keep(await phone.screenshot(), "invitation-returned")


async def test_pictures_of_a_poster_and_a_badge(consulting: Consulting, world: World, phone: Page) -> None:
    _, token = await consulting.invited()
    headers = {"Authorization": f"Bearer {consulting.owner.token}"}
    async with world.client.get(f"/api/v1/invitations/{token}/poster.png", headers=headers) as response:
        keep(await response.read(), "invitation-poster")
    _, member = await world.consultant(consulting.owner)
    badge = (await world.get("/badge", by=member))[1]
    await phone.goto(at(world, f"/b/{badge['token']}"))
    await take(phone, "badge-valid")
