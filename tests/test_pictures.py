import io
from typing import Any

import pytest
from PIL import Image

from handlers.pictures import redrawn, withdraw_copies
from handlers.refusals import StorageAway
from models.accounts import Role
from tests.library import admitted, photo
from tests.test_attachments import away, kept
from tests.test_products import SECTIONS, TABLES, create, decide, form, list_new
from tests.world import Member, World


async def seen(world: World, picture_id: int) -> tuple[int, bytes, Any]:
    async with world.client.get(f"/api/v1/pictures/{picture_id}") as answer:
        return answer.status, await answer.read(), answer.headers


async def test_an_introduction_is_stored_safe_with_tables_links_and_own_pictures(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    picture_id = await photo(world, owner)
    hostile = (
        f'<p onclick="x()">流程<script>alert(1)</script></p><img src="attachment:{picture_id}" onerror="x()">'
        '<table><tr><td style="x">一</td></tr></table><a href="javascript:x">甲</a><a href="https://example.cn/">乙</a>'
    )
    product = await create(world, owner, sections=SECTIONS | {"process": hostile})
    assert product["sections"]["process"] == (
        f'<p>流程</p><img src="/api/v1/pictures/{picture_id}"><table><tbody><tr><td>一</td></tr></tbody></table>'
        '<a rel="noopener noreferrer nofollow">甲</a><a href="https://example.cn/" rel="noopener noreferrer nofollow">乙</a>'
    )
    assert (await seen(world, picture_id))[0] == 404
    await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    headers = {"Authorization": f"Bearer {reviewer.token}"}
    async with world.client.get(f"/api/v1/attachments/{picture_id}", headers=headers) as answer:
        assert answer.status == 200  # the reviewer sees what is not public yet
    assert (await world.delete(f"/attachments/{picture_id}", by=owner))[1]["code"] == "file_in_use"
    await decide(world, reviewer, product["id"], "approval", {})
    assert (await seen(world, picture_id))[0] == 404
    await world.put(f"/institution/products/{product['id']}/listing", by=owner)
    status, content, answered = await seen(world, picture_id)
    assert (status, answered["Content-Type"], answered["X-Content-Type-Options"]) == (200, "image/png", "nosniff")
    assert (answered["Cache-Control"], "sandbox" in answered["Content-Security-Policy"]) == ("public, max-age=300", True)
    assert content.startswith(b"\x89PNG")
    assert (await seen(world, picture_id))[1] == content
    page = (await world.get(f"/products/{product['id']}"))[1]
    assert [section["text"] for section in page["sections"] if section["key"] == "process"] == ["流程\n一\n甲乙"]
    await world.delete(f"/institution/products/{product['id']}/listing", by=owner)
    assert (await seen(world, picture_id))[0] == 404


async def test_a_picture_in_a_text_is_of_the_institution_and_is_there(world: World) -> None:
    owner, other = await world.institution(), await world.institution()
    foreign, scan = await photo(world, other), await photo(world, owner, "institution_licence")
    before = await world.snapshot(*TABLES)
    for picture_id in (foreign, scan, 999_999_999):
        sections = SECTIONS | {"process": f'<p>流程</p><img src="attachment:{picture_id}">'}
        status, problem = await world.post("/institution/products", form(sections=sections), by=owner)
        assert (status, problem["code"], problem["data"]) == (422, "picture_unknown", {"picture_ids": [picture_id]})
    assert await world.snapshot(*TABLES) == before


async def test_pictures_beside_the_text_are_changed_at_once_and_public_with_the_product(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    first, second, foreign = await photo(world, owner), await photo(world, owner), await photo(world, await world.institution())
    path = f"/institution/products/{product_id}/pictures"
    status, own = await world.put(path, {"picture_ids": [second, first]}, by=owner)
    assert (status, own["state"], own["picture_ids"], own["pending"]) == (200, "listed", [second, first], None)
    assert (await world.get(f"/products/{product_id}"))[1]["picture_ids"] == [second, first]
    assert [(await seen(world, number))[0] for number in (first, second, foreign)] == [200, 200, 404]
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(path, {"picture_ids": [first, foreign]}, by=owner)
    assert (status, problem["code"], problem["data"]) == (422, "picture_unknown", {"picture_ids": [foreign]})
    assert await world.snapshot(*TABLES) == before
    await world.put(path, {"picture_ids": [first]}, by=owner)
    assert [(await seen(world, number))[0] for number in (first, second)] == [200, 404]
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", owner.organisation_id, world.at())
    assert (await seen(world, first))[0] == 404


async def test_a_public_picture_says_nothing_of_where_it_was_taken(world: World) -> None:
    owner = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    shop = (await world.get(f"/institutions/{owner.organisation_id}"))[1]
    assert [(await seen(world, number))[0] for number in shop["picture_ids"]] == [200]
    licence = await world.value("SELECT id FROM attachments WHERE slot = 'institution_licence'")
    assert (await seen(world, licence))[0] == 404
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (36.0, 39.0, 4.0)}
    exif[0x0112] = 6  # lying on its side
    taken = io.BytesIO()
    Image.new("RGB", (3200, 1600), "red").save(taken, "JPEG", exif=exif)
    drawn = redrawn(taken.getvalue() + b"<script>alert(1)</script>", "image/jpeg")
    assert drawn is not None
    assert b"script" not in drawn
    with Image.open(io.BytesIO(drawn)) as image:
        assert (image.size, dict(image.getexif())) == ((800, 1600), {})


# --- copies go when nothing shows them -------------------------------------------------------------------------------------------------


def copies(world: World) -> int:
    return sum(key.startswith("public/") for key in kept(world))


async def shown(world: World, owner: Member) -> tuple[str, int]:
    """(where the pictures of a listed product are set, one that somebody has looked at)."""
    product_id = await list_new(world, owner, await world.official(Role.CENTRE_REVIEWER))
    path, picture_id = f"/institution/products/{product_id}/pictures", await photo(world, owner)
    await world.put(path, {"picture_ids": [picture_id]}, by=owner)
    assert ((await seen(world, picture_id))[0], copies(world)) == (200, 1)
    return path, picture_id


async def test_a_picture_that_is_taken_off_leaves_no_copy_and_is_drawn_again_when_it_is_back(world: World) -> None:
    owner = await world.institution()
    path, picture_id = await shown(world, owner)
    world.clock.advance(days=1)
    assert [await world.sweep(withdraw_copies) for _ in range(2)] == [1, 0]
    assert copies(world) == 1  # it is still shown
    await world.put(path, {"picture_ids": []}, by=owner)
    assert await world.sweep(withdraw_copies) == 0
    world.clock.advance(days=1)
    assert [await world.sweep(withdraw_copies) for _ in range(2)] == [1, 0]
    assert (copies(world), await world.value("SELECT copy_due_at FROM attachments WHERE id = $1", picture_id)) == (0, None)
    await world.put(path, {"picture_ids": [picture_id]}, by=owner)
    assert ((await seen(world, picture_id))[0], copies(world)) == (200, 1)


async def test_a_copy_goes_when_the_storage_is_back(world: World) -> None:
    owner = await world.institution()
    path, picture_id = await shown(world, owner)
    await world.put(path, {"picture_ids": []}, by=owner)
    world.clock.advance(days=1)
    away(world).add("public/")
    with pytest.raises(StorageAway):
        await world.sweep(withdraw_copies)
    away(world).clear()
    assert (await world.sweep(withdraw_copies), copies(world)) == (0, 1)
    world.clock.advance(minutes=10)
    assert (await world.sweep(withdraw_copies), copies(world)) == (1, 0)
    assert await world.value("SELECT state FROM attachments WHERE id = $1", picture_id) == "stored"


async def test_a_deleted_picture_takes_its_copy_with_it(world: World) -> None:
    owner = await world.institution()
    path, picture_id = await shown(world, owner)
    await world.put(path, {"picture_ids": []}, by=owner)
    before = len(kept(world))
    assert (await world.delete(f"/attachments/{picture_id}", by=owner))[0] == 200
    assert (copies(world), len(kept(world))) == (0, before - 2)


async def test_a_copy_that_is_drawn_while_another_is_taken_away_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the comparison in NO_COPY the row would forget the copy that was drawn in between."""
    owner = await world.institution()
    path, picture_id = await shown(world, owner)
    await world.put(path, {"picture_ids": []}, by=owner)
    world.clock.advance(days=1)
    delete = world.ports.storage.delete

    async def shown_again(key: str) -> None:
        await delete(key)
        await world.put(path, {"picture_ids": [picture_id]}, by=owner)
        assert (await seen(world, picture_id))[0] == 200

    with monkeypatch.context() as patch:
        patch.setattr(world.ports.storage, "delete", shown_again)
        await world.sweep(withdraw_copies)
    assert (copies(world), await world.value("SELECT copy_due_at FROM attachments WHERE id = $1", picture_id)) == (1, world.at(days=1))
