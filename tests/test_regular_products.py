"""常规产品上架 without a review, and what tells them from featured ones (D12, D13)."""

from typing import Any

from models.accounts import Role
from tests.supermarket import Supermarket, open_supermarket
from tests.test_products import create, decide, list_new, search
from tests.world import Member, World

TABLES = ("products", "product_versions", "approvals", "audit_entries", "events")
YEAR = [{"name": "服务期限", "value": "12"}]


async def offer(world: World, member: Member, standard_id: int, **changes: Any) -> tuple[int, Any]:
    body = {"standard_id": standard_id, "price_fen": 2_000_000, "remark": "首月免费", "parameters": YEAR} | changes
    return await world.post("/institution/regular-products", body, by=member)


async def offered(world: World, market: Supermarket, member: Member, **changes: Any) -> dict[str, Any]:
    status, product = await offer(world, member, await market.standard(), **changes)
    assert (status, product["state"]) == (201, "listed"), product
    return dict(product)


async def test_a_regular_product_is_listed_at_once(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified()
    product = await offered(world, market, member)
    assert (product["kind"], product["name"], product["category"], product["price_fen"]) == ("regular", "常年法律顾问", "legal", 2_000_000)
    assert product["parameters"] == [{"name": "服务期限", "value": "12", "unit": "月"}]
    assert await world.value("SELECT count(*) FROM approvals WHERE subject = 'product'") == 0

    status, page = await world.get(f"/products/{product['id']}")
    assert status == 200
    assert (page["product"]["kind"], page["parameters"]) == ("regular", product["parameters"])
    assert [(section["key"], section["text"]) for section in page["sections"]] == [
        ("introduction", "为企业日常经营提供法律咨询与合同审查。"), ("details", "首月免费"),
    ]
    actions = await world.owner.fetch("SELECT action, after FROM audit_entries WHERE subject = 'product' ORDER BY id")
    assert [tuple(row) for row in actions] == [("product.created", "draft"), ("product.listed_regular", "listed")]


async def test_it_is_taken_down_changed_listed_again_and_deleted(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified()
    product = await offered(world, market, member, price_fen=None)
    path = f"/institution/products/{product['id']}"
    status, down = await world.delete(f"{path}/listing", by=member)
    assert (status, down["state"]) == (200, "draft")
    assert (await world.get(f"/products/{product['id']}"))[0] == 404

    parameters = [*YEAR, {"name": "服务方式", "value": "上门"}]
    body = {"version": 1, "price_fen": 900_000, "remark": "含上门服务\n<b>优惠</b>", "parameters": parameters}
    status, changed = await world.put(f"/institution/regular-products/{product['id']}", body, by=member)
    assert (status, changed["version"], changed["price_fen"]) == (200, 2, 900_000)
    assert changed["sections"]["details"] == "含上门服务<br>&lt;b&gt;优惠&lt;/b&gt;"
    status, problem = await world.put(f"/institution/regular-products/{product['id']}", body, by=member)
    assert (status, problem["code"], problem["data"]) == (409, "changed_meanwhile", {"version": 2})

    assert (await world.put(f"{path}/listing", by=member))[1]["state"] == "listed"
    status, changed = await world.put(f"/institution/regular-products/{product['id']}", body | {"version": 2, "price_fen": 1}, by=member)
    assert (status, changed["state"]) == (200, "listed")
    assert (await world.get(f"/products/{product['id']}"))[1]["product"]["price_fen"] == 1
    assert (await world.delete(path, by=member))[1]["state"] == "deleted"
    status, again = await offer(world, member, product["standard_id"])
    assert (status, again["state"]) == (201, "listed")


async def test_what_does_not_fit_the_list_is_not_offered(world: World) -> None:
    market = await open_supermarket(world)
    member, standard = await market.certified(), await market.standard()
    assert (await offer(world, member, standard))[0] == 201
    other, gone = await market.standard("商标注册"), await market.standard("专利检索")
    assert (await world.delete(f"/programmes/{market.id}/standard-products/{gone}", by=market.admin))[0] == 200
    before = await world.snapshot(*TABLES)
    for number, changes, expected in (
        (standard, {}, (409, "regular_product_exists")), (gone, {}, (409, "standard_withdrawn")), (gone + 99, {}, (404, "not_found")),
        (other, {"parameters": []}, (422, "parameters_wrong")),
        (other, {"parameters": [*YEAR, {"name": "颜色", "value": "红"}]}, (422, "parameters_wrong")),
        (other, {"parameters": [*YEAR, {"name": "服务方式", "value": "电话"}]}, (422, "parameters_wrong")),
        (other, {"parameters": [*YEAR, *YEAR]}, (422, "parameters_wrong")), (other, {"price_fen": 0}, (422, "invalid_input")),
    ):
        status, problem = await offer(world, member, number, **changes)
        assert (status, problem["code"]) == expected
    assert await world.snapshot(*TABLES) == before


async def test_only_who_is_certified_there_and_open_offers_it(world: World) -> None:
    market = await open_supermarket(world)
    standard, new = await market.standard(), await world.institution(certified=False)
    elsewhere, closed = await world.institution(), await market.certified()
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", closed.organisation_id, world.at())
    before = await world.snapshot(*TABLES)
    for member, expected in (
        (elsewhere, (409, "not_of_this_supermarket")), (closed, (409, "institution_suspended")),
        (new, (409, "institution_not_certified")),
    ):
        status, problem = await offer(world, member, standard)
        assert (status, problem["code"]) == expected
    assert await world.snapshot(*TABLES) == before


async def test_what_was_withdrawn_from_the_list_stays_listed_and_is_not_changed(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified()
    product = await offered(world, market, member)
    assert (await world.delete(f"/programmes/{market.id}/standard-products/{product['standard_id']}", by=market.admin))[0] == 200
    assert (await world.get(f"/products/{product['id']}"))[0] == 200
    before = await world.snapshot(*TABLES)
    body = {"version": 1, "parameters": YEAR}
    status, problem = await world.put(f"/institution/regular-products/{product['id']}", body, by=member)
    assert (status, problem["code"]) == (409, "standard_withdrawn")
    assert await world.snapshot(*TABLES) == before
    assert (await world.delete(f"/institution/products/{product['id']}/listing", by=member))[0] == 200
    status, problem = await world.put(f"/institution/products/{product['id']}/listing", by=member)
    assert (status, problem["code"]) == (409, "standard_withdrawn")


async def test_a_regular_product_is_neither_reviewed_nor_rewritten(world: World) -> None:
    market = await open_supermarket(world)
    member, rival = await market.certified(), await market.certified()
    product = await offered(world, market, member)
    path = f"/institution/products/{product['id']}"
    assert (await world.delete(f"{path}/listing", by=member))[0] == 200
    before = await world.snapshot(*TABLES)
    body = {"version": 1, "name": "自己的名称", "category": "legal"}
    for answer in (await world.put(path, body, by=member), await world.put(f"{path}/submission", by=member)):
        assert (answer[0], answer[1]["code"]) == (409, "regular_product")
    assert (await world.put(f"/institution/regular-products/{product['id']}", {"version": 1}, by=rival))[0] == 404
    assert await world.snapshot(*TABLES) == before


async def test_products_are_found_by_their_kind(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified()
    regular = (await offered(world, market, member))["id"]
    reviewer = await world.official(Role.CENTRE_REVIEWER, region_code=None)
    featured = await list_new(world, member, reviewer)
    assert await search(world, "kind=regular") == ([regular], 1)
    assert await search(world, "kind=featured") == ([featured], 1)
    assert await search(world) == ([featured, regular], 2)
    for kind, expected in (("regular", [regular]), ("featured", [featured])):
        _, own = await world.get(f"/institution/products?kind={kind}", by=member)
        assert [one["id"] for one in own["items"]] == expected


# --- featured ones ---------------------------------------------------------------------------------------------------------------

SAMPLES = [{"name": "样品数量", "value": "30", "unit": "件"}, {"name": "响应时间", "value": "4", "unit": "小时"}]


async def test_parameters_of_a_featured_product_are_reviewed_before_they_show(world: World) -> None:
    member, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product = await list_new(world, member, reviewer, parameters=SAMPLES)
    _, page = await world.get(f"/products/{product}")
    assert (page["product"]["kind"], page["parameters"]) == ("featured", SAMPLES)

    path = f"/institution/products/{product}"
    _, own = await world.get(path, by=member)
    body = {name: own[name] for name in ("name", "category", "price_fen", "sections", "version")} | {"parameters": SAMPLES[:1]}
    status, edited = await world.put(path, body, by=member)
    assert (status, edited["pending"]["text"]["parameters"], edited["parameters"]) == (200, SAMPLES[:1], SAMPLES)
    assert (await world.put(f"{path}/submission", by=member))[0] == 200
    assert (await world.get(f"/products/{product}"))[1]["parameters"] == SAMPLES
    _, queue = await world.get("/approvals?kind=product", by=reviewer)
    _, case = await world.get(f"/approvals/{queue['items'][-1]['id']}", by=reviewer)
    assert (case["facts"]["changed"], case["facts"]["before"]["parameters"]) == (["parameters"], SAMPLES)
    assert (await decide(world, reviewer, product, "approval", {}))[0] == 200
    assert (await world.get(f"/products/{product}"))[1]["parameters"] == SAMPLES[:1]


async def test_a_parameter_stands_once_and_says_something(world: World) -> None:
    member = await world.institution()
    product = await create(world, member, parameters=SAMPLES)
    before = await world.snapshot(*TABLES)
    for parameters, code in (
        ([*SAMPLES, SAMPLES[0]], "parameters_wrong"), ([{"name": "数量", "value": ""}], "invalid_input"),
        ([{"name": "数", "value": "1"}] * 31, "invalid_input"),
    ):
        body = {"name": "专项审计", "category": "audit", "parameters": parameters, "version": 1}
        status, problem = await world.put(f"/institution/products/{product['id']}", body, by=member)
        assert (status, problem["code"]) == (422, code)
    assert await world.snapshot(*TABLES) == before
