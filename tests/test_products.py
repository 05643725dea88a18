import asyncio
from importlib import import_module
from typing import Any

import pytest

from handlers.paging import Page
from handlers.product_search import Wanted, statement
from models.accounts import Role
from tests.library import admitted
from tests.world import SHIZHONG, Member, Programme, World

SECTIONS = {
    "introduction": "年度财务报表审计", "guarantee": "", "process": "约谈、进场、出具报告", "details": "", "time_limit": "二十个工作日",
    "charges": "按项目收费", "price_make_up": "人工与差旅", "deliverables": "审计报告两份",
}
TABLES = ("products", "product_versions", "pictures", "deductions", "approvals", "audit_entries", "events", "favourites")


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


async def test_what_was_reviewed_is_what_is_listed_while_a_later_text_waits(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    path = f"/institution/products/{product_id}"
    public = (await world.get(f"/products/{product_id}"))[1]
    status, edited = await world.put(path, form(version=1, price_fen=500_000, name="高新技术企业年度专项审计"), by=owner)
    assert (status, edited["state"], edited["price_fen"], edited["version"]) == (200, "listed", 400_000, 2)
    assert (edited["pending"]["state"], edited["pending"]["number"], edited["pending"]["text"]["price_fen"]) == ("draft", 2, 500_000)
    status, waiting = await world.put(f"{path}/submission", by=owner)
    assert (status, waiting["state"], waiting["pending"]["state"], waiting["queue"]["position"]) == (200, "listed", "in_review", 1)
    assert (await world.get(f"/products/{product_id}"))[1] == public
    assert await search(world) == ([product_id], 1)

    _, queue = await world.get("/approvals?kind=product", by=reviewer)
    _, case = await world.get(f"/approvals/{queue['items'][0]['id']}", by=reviewer)
    assert (case["facts"]["submitted"]["price_fen"], case["facts"]["before"]["price_fen"]) == (500_000, 400_000)
    assert case["facts"]["changed"] == ["name", "price_fen"]
    assert (await decide(world, reviewer, product_id, "approval", {}))[0] == 200
    _, own = await world.get(path, by=owner)
    assert (own["state"], own["price_fen"], own["version"], own["pending"]) == ("listed", 500_000, 2, None)
    assert (await world.get(f"/products/{product_id}"))[1]["product"]["price_fen"] == 500_000
    assert await search(world, "words=年度专项") == ([product_id], 1)
    assert [tuple(row) for row in await world.owner.fetch("SELECT number, state FROM product_versions ORDER BY number")] == [
        (1, "superseded"), (2, "approved"),
    ]


async def test_a_later_text_that_is_rejected_leaves_the_listed_one_alone(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    path = f"/institution/products/{product_id}"
    public = (await world.get(f"/products/{product_id}"))[1]
    await world.put(path, form(version=1, price_fen=900_000), by=owner)
    await world.put(f"{path}/submission", by=owner)
    assert (await decide(world, reviewer, product_id, "rejection", {"reason": "提价无依据"}))[0] == 200
    _, own = await world.get(path, by=owner)
    assert (own["state"], own["pending"]["state"], own["pending"]["reason"]) == ("listed", "rejected", "提价无依据")
    row = (await world.get("/institution/products", by=owner))[1]["items"][0]
    assert (row["state"], row["pending_state"], row["reason"]) == ("listed", "rejected", "提价无依据")
    assert (await world.get(f"/products/{product_id}"))[1] == public
    status, problem = await world.put(f"{path}/submission", by=owner)
    assert (status, problem["code"]) == (409, "product_state_wrong")
    status, again = await world.put(path, form(version=2, price_fen=450_000), by=owner)
    assert (status, again["pending"]["number"], again["pending"]["state"]) == (200, 3, "draft")


async def test_a_product_is_edited_in_every_state_and_leaves_the_queue_for_it(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    first = await create(world, owner)
    path = f"/institution/products/{first['id']}"
    await world.put(f"{path}/submission", by=owner)
    status, edited = await world.put(path, form(version=1, price_fen=410_000), by=owner)
    assert (status, edited["state"], edited["version"], edited["queue"]) == (200, "draft", 2, None)
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []
    await world.put(f"{path}/submission", by=owner)
    await decide(world, reviewer, first["id"], "rejection", {"reason": "收费标准不清"})
    assert (await world.put(path, form(version=2, price_fen=420_000), by=owner))[1]["state"] == "rejected"
    await world.put(f"{path}/submission", by=owner)
    await decide(world, reviewer, first["id"], "approval", {})
    await world.put(path, form(version=3, price_fen=430_000), by=owner)
    await world.put(f"{path}/submission", by=owner)
    status, again = await world.put(path, form(version=4, price_fen=440_000), by=owner)
    assert (status, again["state"], again["price_fen"], again["pending"]["state"]) == (200, "approved", 420_000, "draft")
    assert again["pending"]["text"]["price_fen"] == 440_000
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []


async def test_a_later_text_may_be_withdrawn_and_given_up(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    path = f"/institution/products/{product_id}"
    before = await world.snapshot(*TABLES)
    status, problem = await world.delete(f"{path}/amendment", by=owner)
    assert (status, problem["code"]) == (409, "product_state_wrong")
    assert (await world.put(path, form(version=1), by=owner))[1]["pending"] is None  # nothing new is nothing to review
    assert await world.snapshot(*TABLES) == before
    await world.put(path, form(version=1, price_fen=500_000), by=owner)
    await world.put(f"{path}/submission", by=owner)
    assert (await world.delete(f"{path}/submission", by=owner))[1]["pending"]["state"] == "draft"
    await world.put(f"{path}/submission", by=owner)
    status, own = await world.delete(f"{path}/amendment", by=owner)
    assert (status, own["state"], own["pending"], own["queue"], own["price_fen"]) == (200, "listed", None, None, 400_000)
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []


async def test_a_deleted_product_is_not_edited_and_takes_its_later_text_along(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    path = f"/institution/products/{product_id}"
    await world.put(path, form(version=1, price_fen=500_000), by=owner)
    await world.put(f"{path}/submission", by=owner)
    assert (await world.delete(path, by=owner))[1]["state"] == "deleted"
    before = await world.snapshot(*TABLES)
    for answer in (
        await world.put(path, form(version=2), by=owner), await world.put(f"{path}/submission", by=owner),
        await world.delete(f"{path}/amendment", by=owner), await world.put(f"{path}/pictures", {"picture_ids": []}, by=owner),
        await world.get(f"{path}/findings", by=owner), await world.delete(path, by=owner),
    ):
        assert (answer[0], answer[1]["code"]) == (404, "not_found")
    assert await world.snapshot(*TABLES) == before
    assert await world.value("SELECT state FROM product_versions WHERE number = 2") == "superseded"
    assert (await world.get("/approvals?kind=product", by=reviewer))[1]["items"] == []


async def test_an_edit_and_a_decision_at_the_same_moment_agree_on_one_text(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer)
    path = f"/institution/products/{product_id}"
    for price in range(500_000, 540_000, 10_000):
        version = (await world.get(path, by=owner))[1]["version"]
        await world.put(path, form(version=version, price_fen=price), by=owner)
        own = (await world.put(f"{path}/submission", by=owner))[1]
        approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
        edited, decided = await asyncio.gather(
            world.put(path, form(version=own["version"], price_fen=price + 1), by=owner),
            world.post(f"/approvals/{approval}/approval", by=reviewer),
        )
        assert edited[0] == 200
        assert (decided[0], decided[1].get("code")) in {(200, None), (409, "already_decided")}
        own = (await world.get(path, by=owner))[1]
        assert (own["price_fen"] == price) is (decided[0] == 200)
        assert own["pending"]["text"]["price_fen"] == price + 1
        await world.delete(f"{path}/amendment", by=owner)


async def test_a_reviewer_of_another_place_or_of_another_office_finds_no_product(world: World) -> None:
    owner = await world.institution()
    product = await create(world, owner)
    await world.put(f"/institution/products/{product['id']}/submission", by=owner)
    approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
    others = [await world.official(Role.CENTRE_REVIEWER, region_code="370200"), await world.official(Role.REVIEWER)]
    before = await world.snapshot(*TABLES)
    for other in others:
        assert (await world.get("/approvals", by=other))[1]["items"] == []
        assert (await world.post(f"/approvals/{approval}/approval", by=other))[1]["code"] == "not_found"
    assert await world.snapshot(*TABLES) == before


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


# --- the checker -------------------------------------------------------------------------------------------------------


async def test_a_product_is_inside_the_approved_scopes_of_its_institution(world: World) -> None:
    centre = await world.official(Role.CENTRE_REVIEWER)
    owner = await admitted(world, centre)
    outside = await create(world, owner, category="legal", content="法律顾问", name="企业法律顾问")
    wrong = await create(world, owner, category="ip", content="版权服务", name="版权登记服务")
    inside = await create(world, owner, category="ip", content="知识产权 申请服务", name="发明申请代理")
    before = await world.snapshot(*TABLES)
    for product, contents in ((outside, []), (wrong, ["知识产权申请服务"])):
        status, problem = await world.put(f"/institution/products/{product['id']}/submission", by=owner)
        assert (status, problem["code"], problem["data"]["contents"]) == (409, "outside_scopes", contents)
    assert await world.snapshot(*TABLES) == before
    assert (await world.put(f"/institution/products/{inside['id']}/submission", by=owner))[0] == 200


async def test_scopes_that_were_narrowed_stop_a_listing(world: World) -> None:
    centre = await world.official(Role.CENTRE_REVIEWER)
    owner = await admitted(world, centre)
    product_id = (await create(world, owner, category="testing", content="计量服务", name="计量校准"))["id"]
    await world.put(f"/institution/products/{product_id}/submission", by=owner)
    await decide(world, centre, product_id, "approval", {})
    await world.owner.execute("DELETE FROM institution_scopes WHERE category = 'testing'")
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{product_id}/listing", by=owner)
    assert (status, problem["code"]) == (409, "outside_scopes")
    assert await world.snapshot(*TABLES) == before


async def test_what_article_eleven_does_not_support_is_refused_or_shown_to_the_reviewer(world: World) -> None:
    owner, reviewer = await world.institution(), await world.official(Role.CENTRE_REVIEWER)
    clear = await create(world, owner, name="办公室装修设计", category="other")
    weak = await create(world, owner, name="智能仓储管理系统开发", category="digital")
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{clear['id']}/submission", by=owner)
    assert (status, problem["code"]) == (409, "scope_unsupported")
    assert problem["data"]["items"] == [{"scope": "室内外装修类服务", "words": ["装修"]}]
    assert await world.snapshot(*TABLES) == before
    assert (await world.put(f"/institution/products/{weak['id']}/submission", by=owner))[0] == 200
    approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
    _, case = await world.get(f"/approvals/{approval}", by=reviewer)
    assert case["facts"]["findings"] == [
        {"check": "unsupported.storage", "title": "仓储类服务", "refused": False, "words": ["仓储"], "others": []},
    ]


async def test_the_same_product_twice_is_refused_and_a_similar_one_shown(world: World) -> None:
    owner, other = await world.institution(), await world.institution()
    reviewer = await world.official(Role.CENTRE_REVIEWER)
    first = await list_new(world, owner, reviewer)
    again = await create(world, owner, name="高新技术企业（专项）审计")
    near = await create(world, owner, name="高新技术企业专项审计服务")
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/institution/products/{again['id']}/submission", by=owner)
    assert (status, problem["code"], problem["data"]) == (409, "product_duplicate", {"others": [first]})
    assert await world.snapshot(*TABLES) == before
    await world.delete(f"/institution/products/{again['id']}", by=owner)
    assert (await world.put(f"/institution/products/{near['id']}/submission", by=owner))[0] == 200
    approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
    _, case = await world.get(f"/approvals/{approval}", by=reviewer)
    assert [(found["check"], found["refused"], found["others"]) for found in case["facts"]["findings"]] == [
        ("near_duplicate", False, [first]), ("same_text", False, [first]),
    ]
    same = await create(world, other)  # of another institution it is competition
    assert (await world.put(f"/institution/products/{same['id']}/submission", by=other))[0] == 200


async def test_a_price_raised_right_after_vouchers_were_handed_out_is_shown(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    buyer, reviewer = await world.enterprise(), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, reviewer, programme=programme)
    path = f"/institution/products/{product_id}"
    await world.lot(buyer, programme)
    for days, price, expected in ((29, 500_000, ["price_raised_after_issue"]), (2, 510_000, []), (0, 300_000, [])):
        world.clock.advance(days=days)
        version = (await world.get(path, by=owner))[1]["version"]
        await world.put(path, form(programme, version=version, price_fen=price), by=owner)
        assert [found["check"] for found in (await world.get(f"{path}/findings", by=owner))[1]["items"]] == expected, days


async def test_the_checker_tells_everything_at_once_before_anybody_submits(world: World) -> None:
    owner = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    product = await create(
        world, owner, name="门店装修", category="ip", content="版权服务", sections=SECTIONS | {"charges": "<p><br></p>", "deliverables": ""}
    )
    status, found = await world.get(f"/institution/products/{product['id']}/findings", by=owner)
    assert (status, [(one["check"], one["title"], one["refused"]) for one in found["items"]]) == (200, [
        ("section_missing", "收费标准", True), ("section_missing", "交付结果", True),
        ("outside_scopes", "该服务大类及内容不在本机构已获批的可用券产品申请表中", True),
        ("unsupported.decoration", "室内外装修类服务", True),
    ])


# --- search ------------------------------------------------------------------------------------------------------------


async def test_any_substring_finds_a_product_and_nothing_else(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    audit = await world.product(owner, programme, name="ＩＳＯ 9001质量管理体系认证", category="certification")
    swapped = await world.product(owner, programme, name="高新技术与新技术企业", category="other")
    legal = await world.product(owner, programme, name="100%合规_法律顾问", category="legal")
    for words, expected in (
        ("认证", [audit]), ("iso9001", [audit]), ("Iso 9001", [audit]), ("质", [audit]), ("体系认证服务", [audit]),
        ("高新技术企业", []),  # all of its fours are there, the word is not
        ("技术与新", [swapped]), ("体系认", [audit]), ("系认服", []),
        ("100%合规", [legal]), ("1%0合规", []), ("%", [legal]), ("合规_法律", [legal]), ("合规X法律", []),
        ("认证 质量", [audit]), ("认证 法律", []), ("测试", [legal, swapped, audit]), ("没有的东西", []), ("=voucher", []),
    ):
        found, total = await search(world, "words=" + words.replace("%", "%25").replace(" ", "%20"))
        assert (found, total) == (expected, len(expected)), words


async def test_products_from_before_longer_terms_and_markers_of_categories_are_found_by_the_migrations(world: World) -> None:
    programme, owner = await world.programme(), await world.institution()
    audit = await world.product(owner, programme, name="ISO9001质量管理体系认证")
    terms = await world.value("SELECT terms FROM products")
    await world.owner.execute(
        "UPDATE products SET terms = ARRAY(SELECT '=voucher' UNION SELECT t FROM unnest(terms) t WHERE length(t) < 3 OR t LIKE '=region%')"
    )
    assert await search(world, "words=体系认证") == ([], 0)
    for name in ("0006_leaner_writes_and_searches", "0007_looked_up_by_category_and_code"):
        await world.owner.execute(import_module(f"models.migrations.{name}").Migration.operations[-1].sql)
    assert sorted(await world.value("SELECT terms FROM products")) == terms
    assert await search(world, "words=体系认证&category=audit") == ([audit], 1)


WITH_PRICES = {"from_fen": 20_000, "to_fen": 400_000}


@pytest.mark.parametrize("wanted", [
    {"words": "审计"}, {"words": "财务审计 公司"}, {"words": "审计", **WITH_PRICES}, {"words": "审计", "region_code": SHIZHONG},
    {"words": "审计", "category": "audit", "vouchers_only": True, **WITH_PRICES}, {"region_code": SHIZHONG},
])
async def test_words_are_looked_up_by_the_plan_that_is_kept_for_all_of_them(world: World, wanted: dict[str, Any]) -> None:
    assert "products_terms" in await kept_plan(world, wanted)


@pytest.mark.parametrize("wanted", [{}, {"category": "audit"}, WITH_PRICES])
async def test_what_takes_vouchers_is_counted_without_looking_at_the_products(world: World, wanted: dict[str, Any]) -> None:
    others = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "bitmapscan", "indexscan"))
    assert "Index Only Scan using products_listed" in await kept_plan(world, {**wanted, "vouchers_only": True}, others)


async def kept_plan(world: World, wanted: dict[str, Any], settings: str = "") -> str:
    """After five runs PostgreSQL may keep a plan that knows no values; with 3,000 products it is the same as with a million."""
    await world.product(await world.institution(), await world.programme())
    columns = ("organisation_id, name, category, region_code, state, sections, is_recommended, institution_name, max_voucher_fen,"
               " haystack, terms, version, created_at, updated_at")
    await world.owner.execute(
        f"INSERT INTO products (service_number, price_fen, listed_at, {columns}) SELECT 'PX-' || n, 10000 + n * 100,"
        f" listed_at + n * interval '1 second', {columns} FROM products, generate_series(1, 3000) n"
    )
    await world.owner.execute("VACUUM ANALYZE products")
    sql, values = statement(Wanted(**wanted), Page())
    await world.owner.execute(f"PREPARE search AS {sql}")
    try:
        async with world.owner.transaction():
            await world.owner.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; {settings}")
            plan = await world.owner.fetch(f"EXPLAIN EXECUTE search({', '.join(map(literal, values))})")
    finally:
        await world.owner.execute("DEALLOCATE search; DELETE FROM products WHERE id NOT IN (SELECT product_id FROM deductions)")
    return "\n".join(row[0] for row in plan)


def literal(value: Any) -> str:
    """As PostgreSQL writes it."""
    text = "{" + ",".join(value) + "}" if isinstance(value, list) else value
    return "NULL" if value is None else f"'{text}'"


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
        ("words=审计&category=audit&min_price_fen=200000", {dear}), ("words=审计&category=legal", {legal}),
        ("words=审计&category=lega", set()), ("words=legal", set()), ("words=%3Dcategory%3Alegal", set()),
        ("category=legal&region_code=370100", {legal}), ("category=legal&region_code=370202", set()),
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
