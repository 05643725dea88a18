"""常规产品目录: what its administrator lets institutions offer without a review (D12)."""

from models.accounts import Role
from tests.supermarket import STANDARD, open_supermarket
from tests.world import JINAN, World

TABLES = ("standard_products", "products", "audit_entries")


async def test_the_administrator_keeps_the_list_and_everybody_reads_it(world: World) -> None:
    market = await open_supermarket(world)
    first, second = await market.standard(), await market.standard("商标注册", category="ip", parameters=[])
    status, page = await world.get(f"/programmes/{market.id}/standard-products")
    assert (status, [one["id"] for one in page["items"]]) == (200, [first, second])
    assert page["items"][0]["parameters"] == [
        {"name": "服务期限", "unit": "月", "required": True, "choices": []},
        {"name": "服务方式", "unit": "", "required": False, "choices": ["上门", "远程"]},
    ]
    _, page = await world.get(f"/programmes/{market.id}/standard-products?category=ip")
    assert [one["name"] for one in page["items"]] == ["商标注册"]
    _, first_page = await world.get(f"/programmes/{market.id}/standard-products?limit=1")
    _, rest = await world.get(f"/programmes/{market.id}/standard-products?limit=1&after={first_page['next']}")
    assert [one["id"] for one in rest["items"]] == [second]

    status, withdrawn = await world.delete(f"/programmes/{market.id}/standard-products/{first}", by=market.admin)
    assert (status, withdrawn["withdrawn_at"] is not None) == (200, True)
    _, page = await world.get(f"/programmes/{market.id}/standard-products")
    assert [one["id"] for one in page["items"]] == [second]
    assert await market.standard() > second  # written anew under the same name


async def test_a_wrong_entry_is_not_taken_in(world: World) -> None:
    market = await open_supermarket(world)
    await market.standard()
    before = await world.snapshot(*TABLES)
    path = f"/programmes/{market.id}/standard-products"
    for changes, expected in (
        ({}, (409, "standard_exists")), ({"category": "magic"}, (422, "category_unknown")),
        ({"parameters": [{"name": "期限"}, {"name": "期限"}]}, (422, "parameters_wrong")), ({"introduction": ""}, (422, "invalid_input")),
    ):
        status, problem = await world.post(path, STANDARD | {"name": "常年法律顾问"} | changes, by=market.admin)
        assert (status, problem["code"]) == expected
    assert await world.snapshot(*TABLES) == before


async def test_nobody_else_keeps_it(world: World) -> None:
    market = await open_supermarket(world)
    standard = await market.standard()
    jinan = await world.programme()
    before = await world.snapshot(*TABLES)
    elsewhere = await world.official(Role.ADMIN, region_code=JINAN)
    body = STANDARD | {"name": "新服务"}
    for by, programme_id, expected in (
        (elsewhere, market.id, 404), (elsewhere, jinan.id, 404),  # no supermarket
        (await world.institution(), market.id, 403), (await world.official(Role.CENTRE_REVIEWER), market.id, 403),
    ):
        assert (await world.post(f"/programmes/{programme_id}/standard-products", body, by=by))[0] == expected
    assert (await world.delete(f"/programmes/{market.id}/standard-products/{standard}", by=elsewhere))[0] == 404
    assert (await world.delete(f"/programmes/{market.id}/standard-products/{standard + 99}", by=market.admin))[0] == 404
    assert await world.snapshot(*TABLES) == before
