from typing import Any

from models.accounts import Role
from tests.world import SHIZHONG, Member, Programme, World

SECTIONS = {
    "introduction": "年度财务报表审计", "guarantee": "", "process": "约谈、进场、出具报告", "details": "", "time_limit": "二十个工作日",
    "charges": "按项目收费", "price_make_up": "人工与差旅", "deliverables": "审计报告两份",
}
TABLES = ("products", "deductions", "approvals", "audit_entries", "events", "favourites")


def form(programme: Programme | None = None, **changes: object) -> dict[str, Any]:
    deductions = [{"voucher_type_id": programme.audit, "max_fen": 200_000}] if programme else []
    return {
        "name": "高新技术企业专项审计", "category": "audit", "price_fen": 400_000, "sections": SECTIONS, "deductions": deductions,
        **changes,
    }


async def create(world: World, owner: Member, **body: object) -> dict[str, Any]:
    status, product = await world.post("/institution/products", form(**body), by=owner)  # type: ignore[arg-type]
    assert status == 201, product
    return dict(product)


async def decide(world: World, reviewer: Member, product_id: int, decision: str, body: dict[str, object]) -> tuple[int, Any]:
    _, queue = await world.get("/approvals?kind=product", by=reviewer)
    approval = next(item for item in queue["items"] if item["subject_id"] == product_id)
    return await world.post(f"/approvals/{approval['id']}/{decision}", body, by=reviewer)


async def list_new(world: World, owner: Member, reviewer: Member, **body: object) -> int:
    """Through draft, review and listing."""
    product_id = int((await create(world, owner, **body))["id"])
    assert (await world.put(f"/institution/products/{product_id}/submission", by=owner))[0] == 200
    assert (await decide(world, reviewer, product_id, "approval", {}))[0] == 200
    assert (await world.put(f"/institution/products/{product_id}/listing", by=owner))[0] == 200
    return product_id


async def search(world: World, query: str = "") -> tuple[list[int], int]:
    status, body = await world.get(f"/products?{query}")
    assert status == 200, body
    return [item["id"] for item in body["items"]], body["total"]


# --- writing, review, listing ------------------------------------------------------------------------------------------


async def test_a_product_goes_from_draft_through_review_to_the_public_page(world: World) -> None:
    programme, owner, reviewer = await world.programme(), await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    draft = await create(world, owner, programme=programme)
    assert draft["state"] == "draft"
    assert draft["service_number"].startswith(f"PX-{SHIZHONG}-")
    assert len(draft["service_number"].rsplit("-", 1)[1]) == 5
    assert draft["deductions"] == [{
        "voucher_type_id": programme.audit, "voucher_type": "审计服务专用券", "programme_id": programme.id,
        "programme": draft["deductions"][0]["programme"], "max_fen": 200_000,
    }]
    assert await search(world) == ([], 0)

    status, waiting = await world.put(f"/institution/products/{draft['id']}/submission", by=owner)
    assert (status, waiting["state"], waiting["queue"]["position"]) == (200, "in_review", 1)
    assert (await decide(world, reviewer, draft["id"], "approval", {}))[0] == 200
    assert (await world.get(f"/products/{draft['id']}"))[0] == 404

    status, listed = await world.put(f"/institution/products/{draft['id']}/listing", by=owner)
    assert (status, listed["state"], listed["queue"]) == (200, "listed", None)
    status, page = await world.get(f"/products/{draft['id']}")
    assert status == 200
    product = page["product"]
    assert (product["price_fen"], product["max_voucher_fen"], product["offline_fen"]) == (400_000, 200_000, 200_000)
    assert [voucher["voucher_type"] for voucher in page["vouchers"]] == ["审计服务专用券"]
    assert [section["title"] for section in page["sections"]] == ["服务简介", "服务流程", "服务时限", "收费标准", "要价构成", "交付结果"]
    assert page["institution"]["id"] == owner.organisation_id
    assert page["reviews"] == {"good": 0, "medium": 0, "bad": 0, "system": 0}
    assert await search(world) == ([draft["id"]], 1)
    actions = await world.owner.fetch(
        "SELECT action, before, after FROM audit_entries WHERE subject = 'product' AND subject_id = $1 ORDER BY id", draft["id"]
    )
    assert [tuple(row) for row in actions] == [
        ("product.created", None, "draft"), ("product.submitted", "draft", "in_review"), ("product.approved", "in_review", "approved"),
        ("product.listed", "approved", "listed"),
    ]


async def test_a_rejected_product_shows_why_and_may_be_submitted_again(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product = await create(world, owner)
    await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    assert (await decide(world, reviewer, product["id"], "rejection", {"reason": "收费标准不清"}))[0] == 200
    status, own = await world.get(f"/institution/products/{product['id']}", by=owner)
    assert (status, own["state"], own["reason"]) == (200, "rejected", "收费标准不清")
    status, again = await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    assert (status, again["state"]) == (200, "in_review")


async def test_a_product_is_approved_or_rejected_but_not_returned(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product = await create(world, owner)
    await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await decide(world, reviewer, product["id"], "return", {"reason": "请补充"})
    assert (status, problem["code"]) == (422, "decision_not_offered")
    assert await world.snapshot(*TABLES) == before


async def test_what_was_reviewed_is_what_is_listed(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{product_id}", form(version=1), by=owner)
    assert (status, problem["code"], problem["data"]) == (409, "product_state_wrong", {"state": "listed"})
    assert await world.snapshot(*TABLES) == before

    assert (await world.delete(f"/institution/products/{product_id}/listing", by=owner))[1]["state"] == "approved"
    assert await search(world) == ([], 0)
    status, edited = await world.put(f"/institution/products/{product_id}", form(version=1, price_fen=500_000), by=owner)
    assert (status, edited["state"], edited["version"], edited["price_fen"]) == (200, "draft", 2, 500_000)
    status, problem = await world.put(f"/institution/products/{product_id}/listing", by=owner)
    assert (status, problem["code"]) == (409, "product_state_wrong")


async def test_an_edit_of_an_older_version_is_refused(world: World) -> None:
    owner = await world.institution()
    product = await create(world, owner)
    assert (await world.put(f"/institution/products/{product['id']}", form(version=1, name="新的名称"), by=owner))[0] == 200
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{product['id']}", form(version=1, name="旧的名称"), by=owner)
    assert (status, problem["code"], problem["data"]) == (409, "changed_meanwhile", {"version": 2})
    assert await world.snapshot(*TABLES) == before


async def test_a_submission_may_be_withdrawn_and_leaves_the_queue(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product = await create(world, owner)
    await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    status, draft = await world.delete(f"/institution/products/{product['id']}/submission", by=owner)
    assert (status, draft["state"], draft["queue"]) == (200, "draft", None)
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []
    status, problem = await world.delete(f"/institution/products/{product['id']}/submission", by=owner)
    assert (status, problem["code"]) == (409, "product_state_wrong")


async def test_mandatory_sections_are_written_before_the_review(world: World) -> None:
    owner = await world.institution()
    product = await create(world, owner, sections=SECTIONS | {"charges": "  ", "deliverables": ""})
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    assert (status, problem["code"]) == (422, "sections_incomplete")
    assert problem["data"]["missing"] == [{"field": "charges", "title": "收费标准"}, {"field": "deliverables", "title": "交付结果"}]
    assert await world.snapshot(*TABLES) == before


async def test_an_institution_that_is_not_open_prepares_but_does_not_publish(world: World) -> None:
    new, suspended = await world.institution(certified=False), await world.institution()
    products = [(await create(world, owner))["id"] for owner in (new, suspended)]
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", suspended.organisation_id, world.at())
    before = await world.snapshot(*TABLES)
    answers = [
        await world.put(f"/institution/products/{product}/submission", by=owner)
        for product, owner in zip(products, (new, suspended), strict=True)
    ]
    assert [(status, problem["code"]) for status, problem in answers] == [
        (409, "institution_not_certified"), (409, "institution_suspended"),
    ]
    assert await world.snapshot(*TABLES) == before


async def test_a_deduction_fits_the_voucher_and_the_price(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    before = await world.snapshot(*TABLES)

    def of(*pairs: tuple[int, int]) -> list[dict[str, int]]:
        return [{"voucher_type_id": voucher_type, "max_fen": fen} for voucher_type, fen in pairs]

    for body, reason in (
        (form(deductions=of((999_999, 100))), "unknown_voucher_type"),
        (form(deductions=of((programme.audit, 100)), category="legal"), "category_differs"),
        (form(deductions=of((programme.general, 100)), price_fen=None), "price_missing"),
        (form(deductions=of((programme.audit, 400_001))), "above_price"),
        (form(deductions=of((programme.audit, 100), (programme.audit, 200))), "twice"),
    ):
        status, problem = await world.post("/institution/products", body, by=owner)
        assert (status, problem["code"], problem["data"]["reason"]) == (422, "deduction_not_allowed", reason)
    status, problem = await world.post("/institution/products", form(category="casino"), by=owner)
    assert (status, problem["code"]) == (422, "category_unknown")
    assert await world.snapshot(*TABLES) == before
    assert (await create(world, owner, deductions=of((programme.general, 400_000)), category="legal"))["state"] == "draft"


async def test_a_product_of_another_institution_is_as_if_it_were_not_there(world: World) -> None:
    owner, stranger = await world.institution(), await world.institution()
    product = await create(world, owner)
    before = await world.snapshot(*TABLES)
    path = f"/institution/products/{product['id']}"
    answers = [
        await world.get(path, by=stranger), await world.put(path, form(version=1), by=stranger), await world.delete(path, by=stranger),
        await world.put(f"{path}/submission", by=stranger), await world.put(f"{path}/listing", by=stranger),
        await world.delete(f"{path}/listing", by=stranger), await world.get("/institution/products/999999999", by=owner),
    ]
    assert {(status, problem["code"], problem["title"]) for status, problem in answers} == {(404, "not_found", "没有找到")}
    assert await world.snapshot(*TABLES) == before


async def test_a_deleted_product_is_gone_for_everybody_and_stays_for_its_orders(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    listed = await list_new(world, owner, reviewer)
    waiting = (await create(world, owner))["id"]
    await world.put(f"/institution/products/{waiting}/submission", by=owner)
    for product_id in (listed, waiting):
        assert (await world.delete(f"/institution/products/{product_id}", by=owner))[1]["state"] == "deleted"
        assert (await world.get(f"/institution/products/{product_id}", by=owner))[0] == 404
    assert (await world.get("/institution/products", by=owner))[1]["items"] == []
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []
    assert await search(world) == ([], 0)
    assert await world.value("SELECT count(*) FROM products") == 2


# --- search ------------------------------------------------------------------------------------------------------------


async def test_any_substring_finds_a_product_and_nothing_else(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    audit = await world.product(owner, programme, name="ＩＳＯ 9001质量管理体系认证", category="certification")
    swapped = await world.product(owner, programme, name="企业高新企业高技术企业", category="other")
    legal = await world.product(owner, programme, name="100%合规_法律顾问", category="legal")
    for words, expected in (
        ("认证", [audit]), ("iso9001", [audit]), ("Iso 9001", [audit]), ("质", [audit]), ("体系认证服务", [audit]),
        ("高新技术企业", []),  # all of its pairs are there, the word is not
        ("企业高新企业", [swapped]), ("100%合规", [legal]), ("1%0合规", []), ("%", [legal]), ("合规_法律", [legal]), ("合规X法律", []),
        ("认证 质量", [audit]), ("认证 法律", []), ("测试", [legal, swapped, audit]), ("没有的东西", []), ("=voucher", []),
    ):
        found, total = await search(world, "words=" + words.replace("%", "%25").replace(" ", "%20"))
        assert (found, total) == (expected, len(expected)), words


async def test_filters_narrow_the_search_together(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    far = await world.institution(region_code="370202")
    reviewer = await world.official(Role.CENTRE_REVIEWER, region_code="370000")
    cheap = await world.product(owner, programme, name="年度审计", price_fen=100_000, deduction_fen=50_000)
    dear = await world.product(owner, programme, name="专项审计", price_fen=900_000)
    legal = await world.product(owner, programme, name="法律审计", category="legal", price_fen=300_000)
    plain = await list_new(world, far, reviewer, price_fen=None, name="面议审计")
    for query, expected in (
        ("", {cheap, dear, legal, plain}), ("vouchers_only=true", {cheap, dear, legal}), ("category=legal", {legal}),
        ("region_code=370000", {cheap, dear, legal, plain}), ("region_code=370100", {cheap, dear, legal}), ("region_code=370202", {plain}),
        ("min_price_fen=100001", {dear, legal}), ("max_price_fen=100000", {cheap}), ("min_price_fen=300000&max_price_fen=300000", {legal}),
        ("words=审计&category=audit&min_price_fen=200000", {dear}),
        ("words=审计&vouchers_only=true&region_code=370100", {cheap, dear, legal}),
        ("category=unknown", set()),
    ):
        found, total = await search(world, query)
        assert (set(found), total) == (expected, len(expected)), query


async def test_products_are_sorted_and_paged_with_the_same_exact_total(world: World) -> None:
    programme, owner, reviewer = await world.programme(), await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    prices = [300_000, 100_000, 200_000, 100_000]
    ids = []
    for price in prices:
        world.clock.advance(seconds=1)
        ids.append(await world.product(owner, programme, name="年度审计", price_fen=price, deduction_fen=50_000))
    world.clock.advance(seconds=1)
    negotiable = await list_new(world, owner, reviewer, price_fen=None, name="审计面议")
    by_price = [ids[1], ids[3], ids[2], ids[0], negotiable]
    by_price_down = [ids[0], ids[2], ids[3], ids[1], negotiable]
    for sort, expected in (
        ("newest", [negotiable, *reversed(ids)]), ("price_asc", by_price), ("price_desc", by_price_down),
    ):
        for words in ("", "&words=审计"):
            seen, after = [], ""
            while after is not None:
                status, page = await world.get(f"/products?sort={sort}{words}&limit=2" + (f"&after={after}" if after else ""))
                assert (status, page["total"]) == (200, 5)
                seen += [item["id"] for item in page["items"]]
                after = page["next"]
            assert seen == expected, (sort, words)


async def test_a_cursor_of_another_sort_or_a_forged_one_is_refused(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    for _ in range(2):
        await world.product(owner, programme)
    _, page = await world.get("/products?sort=price_asc&limit=1")
    for query in (f"sort=newest&after={page['next']}", "after=WyJuZXdlc3QiLDkyMjMzNzIwMzY4NTQ3NzU4MDcsMV0", "after=xx"):
        status, problem = await world.get(f"/products?{query}")
        assert (status, problem["code"]) == (422, "cursor_unknown")


async def test_products_of_a_suspended_institution_are_not_found_until_it_is_back(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    product = await world.product(owner, programme)
    assert await search(world, "words=审计") == ([product], 1)
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", owner.organisation_id, world.at())
    for query in ("words=审计", ""):
        assert await search(world, query) == ([], 0)
    assert (await world.get(f"/products/{product}"))[0] == 404
    await world.owner.execute("UPDATE organisations SET suspended_at = NULL WHERE id = $1", owner.organisation_id)
    assert await search(world, "words=审计") == ([product], 1)


# --- recommendations and favourites ------------------------------------------------------------------------------------


async def test_the_page_recommends_products_of_the_same_kind_the_recommended_first(world: World) -> None:
    programme, owner, admin = await world.programme(), await world.institution(), await world.official(Role.ADMIN)
    shown = await world.product(owner, programme)
    chosen = await world.product(owner, programme)
    world.clock.advance(seconds=1)
    newer = await world.product(owner, programme)
    await world.product(owner, programme, category="legal")
    status, card = await world.put(f"/products/{chosen}/recommendation", by=admin)
    assert (status, card["is_recommended"]) == (200, True)
    _, page = await world.get(f"/products/{shown}")
    assert [other["id"] for other in page["recommended"]] == [chosen, newer]
    assert (await world.delete(f"/products/{chosen}/recommendation", by=admin))[1]["is_recommended"] is False
    _, page = await world.get(f"/products/{shown}")
    assert [other["id"] for other in page["recommended"]] == [newer, chosen]


async def test_an_administrator_recommends_only_in_the_own_jurisdiction(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    product, elsewhere = await world.product(owner, programme), await world.official(Role.ADMIN, region_code="370200")
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/products/{product}/recommendation", by=elsewhere)
    assert (status, problem["code"]) == (403, "outside_jurisdiction")
    assert await world.snapshot(*TABLES) == before


async def test_favourites_are_kept_once_per_person_and_show_what_is_listed(world: World) -> None:
    programme, owner, buyer, other = await world.programme(), await world.institution(), await world.enterprise(), await world.enterprise()
    first, second = await world.product(owner, programme), await world.product(owner, programme)
    for product in (first, second, first):
        assert await world.put(f"/products/{product}/favourite", by=buyer) == (200, {"product_id": product, "is_favourite": True})
    assert await world.value("SELECT count(*) FROM favourites") == 2
    assert [card["id"] for card in (await world.get("/favourites", by=buyer))[1]["items"]] == [second, first]
    assert (await world.get("/favourites", by=other))[1]["items"] == []
    assert (await world.get(f"/products/{first}/favourite", by=other))[1] == {"product_id": first, "is_favourite": False}
    await world.delete(f"/institution/products/{second}/listing", by=owner)
    assert [card["id"] for card in (await world.get("/favourites", by=buyer))[1]["items"]] == [first]
    assert await world.delete(f"/products/{first}/favourite", by=buyer) == (200, {"product_id": first, "is_favourite": False})
    assert (await world.get("/favourites", by=buyer))[1]["items"] == []
    assert (await world.put("/products/999999999/favourite", by=buyer))[0] == 404
