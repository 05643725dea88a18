"""认证成为超市平台的服务机构, with the tick for the association, and the zone of enterprise users (D01-D06, D22)."""

from typing import Any

from demo import people
from demo.planter import Planter
from demo.seed import STANDARD_LIST, plant_suzhou
from handlers.notices import open_events
from handlers.personal import open_sealed
from handlers.regions import load_regions
from models.accounts import Role
from tests.applications import valid
from tests.library import admitted, photo
from tests.supermarket import SHANGHAI_PUDONG, SIP, Supermarket, applying, open_supermarket
from tests.world import JINAN, Member, World

TABLES = ("organisations", "institutions", "applications", "application_files", "approvals", "events", "audit_entries", "pictures")


async def of(world: World, market: Supermarket, member: Member, path: str | None = None) -> Any:
    return await world.get(path or market.path, by=member)


async def membership_state(world: World, member: Member) -> str | None:
    found: str | None = await world.value(
        "SELECT state FROM applications WHERE kind = 'association_membership' AND organisation_id = $1 ORDER BY id DESC LIMIT 1",
        member.organisation_id,
    )
    return found


async def membership_id(world: World, member: Member) -> int:
    return int(await world.value(
        "SELECT max(id) FROM applications WHERE kind = 'association_membership' AND organisation_id = $1", member.organisation_id
    ))


# --- the zone ------------------------------------------------------------------------------------------------------------------


def company(region_code: str, programme_id: int | None, number: int = 1, kind: str = "enterprise") -> dict[str, Any]:
    return {
        "kind": kind, "name": "区内外示例有限公司", "credit_code": valid(f"91320594MA{number:07d}"), "region_code": region_code,
        "programme_id": programme_id,
    }


async def test_a_company_outside_the_zone_does_not_become_an_enterprise_user_and_may_still_look(world: World) -> None:
    market, person = await open_supermarket(world), await world.enterprise()
    before = await world.snapshot(*TABLES, "memberships")
    status, problem = await world.post("/organisations", company(SHANGHAI_PUDONG, market.id), by=person)
    assert (status, problem["code"], problem["data"]) == (409, "outside_zone", {"zone": [SIP]})
    assert await world.snapshot(*TABLES, "memberships") == before
    assert (await world.get("/products"))[0] == 200
    assert (await world.get(f"/programmes/{market.id}/standard-products"))[0] == 200
    status, zone = await world.get(f"/programmes/{market.id}/zone", by=await world.institution())
    assert (status, zone) == (200, {"programme_id": market.id, "zone": [{"code": SIP, "name": "苏州工业园区"}], "is_inside": None})


async def test_a_company_inside_the_zone_registers_and_whatever_company_registers_elsewhere(world: World) -> None:
    market, person = await open_supermarket(world), await world.enterprise()
    assert (await world.post("/organisations", company(SIP, market.id, 1), by=person))[0] == 201
    assert (await world.post("/organisations", company(SHANGHAI_PUDONG, None, 2), by=person))[0] == 201
    status, problem = await world.post("/organisations", company(SIP, market.id + 10_000, 3), by=person)
    assert (status, problem["code"]) == (404, "not_found")


async def test_institutions_are_bound_by_no_zone(world: World) -> None:
    market, person = await open_supermarket(world), await world.enterprise()
    status, _ = await world.post("/organisations", company(SHANGHAI_PUDONG, market.id, kind="institution"), by=person)
    assert status == 201
    member = await market.certified(region_code=SHANGHAI_PUDONG)
    assert (await world.get(f"/institutions/{member.organisation_id}"))[0] == 200


async def test_an_enterprise_is_told_whether_it_is_inside(world: World) -> None:
    market = await open_supermarket(world)
    for region_code, inside in ((SIP, True), ("320505", False), (SHANGHAI_PUDONG, False)):
        member = await world.enterprise(region_code=region_code)
        _, zone = await world.get(f"/programmes/{market.id}/zone", by=member)
        assert zone["is_inside"] is inside
    jinan = await world.programme()
    _, zone = await world.get(f"/programmes/{jinan.id}/zone", by=await world.enterprise(region_code=SHANGHAI_PUDONG))
    assert (zone["zone"], zone["is_inside"]) == ([], True)


# --- certification --------------------------------------------------------------------------------------------------------------


async def test_the_form_asks_what_the_manual_shows(world: World) -> None:
    market = await open_supermarket(world)
    member = await applying(world)
    status, form = await world.get("/supermarket-forms/supermarket-certification", by=member)
    assert (status, form["title"], form["working_days"]) == (200, "认证服务机构申请", 5)
    assert {"contact_email", "join_association", "introduction", "landline"} <= set(form["json_schema"]["properties"])
    assert [(slot["slot"], slot["required"]) for slot in form["slots"]] == [("institution_licence", True), ("institution_logo", False)]
    assert (await of(world, market, member))[0] == 404


async def test_approval_opens_the_functions_of_an_institution(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    application = await market.submitted(member)
    assert (await world.get(f"/institutions/{member.organisation_id}"))[0] == 404
    status, queue = await world.get("/approvals", by=market.admin)
    assert (status, [(one["title"], one["subject_id"]) for one in queue["items"]]) == (200, [("认证服务机构申请", application)])

    assert (await market.decide(application, "approval"))[0] == 200
    status, shop = await world.get(f"/institutions/{member.organisation_id}")
    assert status == 200
    assert (shop["introduction"], shop["category"], shop["landline"], shop["valid_until"]) == (
        "专注知识产权与公司法律服务。", "legal", "0512-67060000", None,
    )
    assert len(shop["picture_ids"]) == 1
    assert "example.com" not in str(shop)
    _, profile = await world.get("/institution/profile", by=member)
    assert profile["state"] == "admitted"
    await world.sweep(open_events)
    titles = await world.owner.fetch("SELECT title FROM notices WHERE person_id = $1", member.person_id)
    assert [row["title"] for row in titles] == ["审核结果：审核通过"]


async def test_the_address_for_the_conclusion_is_sealed_and_shown_masked(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    draft = await market.saved(member)
    assert draft["personal"]["contact_email"] == "l****@example.com"
    stored = await world.one("SELECT contact_email, form FROM applications WHERE id = $1", draft["id"])
    assert "example.com" not in stored["form"]
    assert open_sealed(world.settings, stored["contact_email"]) == "li.xiaohong@example.com"
    body = {"form": {"contact_email": "l****@example.com"}, "files": {}}
    status, problem = await world.put(market.path, body, by=member)
    assert (status, problem["code"]) == (422, "form_incomplete")
    assert [item["field"] for item in problem["data"]["items"]] == ["contact_email"]


async def test_an_application_without_licence_address_or_name_of_its_own_is_not_submitted(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    await market.saved(member, institution_name="别的单位", contact_email=None)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{market.path}/submission", by=member)
    assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, ["contact_email"])
    await market.saved(member, institution_name="别的单位")
    status, problem = await world.post(f"{market.path}/submission", by=member)
    assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, ["institution_name"])
    assert (await world.snapshot("approvals", "events"))["approvals"] == before["approvals"]


async def test_a_licence_is_no_logo(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    draft = await market.saved(member)
    licence = next(one["id"] for one in draft["files"] if one["slot"] == "institution_licence")
    await world.owner.execute(
        "UPDATE attachments SET sha256 = (SELECT sha256 FROM attachments WHERE id = $1) WHERE slot = 'institution_logo'", licence
    )
    status, problem = await world.post(f"{market.path}/submission", by=member)
    assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, ["files.institution_logo"])


async def test_a_programme_that_is_no_supermarket_certifies_nobody(world: World) -> None:
    programme, member = await world.programme(), await applying(world)
    before = await world.snapshot(*TABLES)
    for number in (programme.id, programme.id + 10_000):
        status, problem = await world.put(f"/programmes/{number}/supermarket-certification", {"form": {}, "files": {}}, by=member)
        assert (status, problem["code"]) == (404, "not_found")
    assert await world.snapshot(*TABLES) == before


async def test_only_the_supermarkets_administrator_decides_wherever_the_institution_sits(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world, SHANGHAI_PUDONG)
    application = await market.submitted(member, region_code=SHANGHAI_PUDONG)
    elsewhere = await world.official(Role.ADMIN, region_code=SHANGHAI_PUDONG)
    reviewer, jinan = await world.official(Role.REVIEWER, region_code=SIP), await world.official(Role.ADMIN, region_code=JINAN)
    before = await world.snapshot(*TABLES)
    for other in (elsewhere, reviewer, jinan):
        assert (await market.decide(application, "approval", by=other))[0] == 404
    assert await world.snapshot(*TABLES) == before
    assert (await market.decide(application, "approval"))[0] == 200


async def test_a_rejection_says_why_and_may_be_appealed_against(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    application = await market.submitted(member)
    assert (await market.decide(application, "rejection", "营业执照不清晰"))[0] == 200
    status, own = await of(world, market, member)
    assert (status, own["state"], own["reason"]) == (200, "rejected", "营业执照不清晰")
    appeal = {"against": "application", "subject_id": application, "statement": "执照清晰，请复核"}
    status, filed = await world.post("/appeals", appeal, by=member)
    assert (status, filed["kind"]) == (201, "supermarket_certification")
    second = await world.official(Role.ADMIN, region_code=SIP)
    approval = await world.value("SELECT id FROM approvals WHERE subject = 'appeal' AND state = 'open'")
    assert (await world.post(f"/approvals/{approval}/approval", {"remark": "属实"}, by=second))[0] == 200
    assert (await of(world, market, member))[1]["state"] == "submitted"
    assert (await market.decide(application, "approval"))[0] == 403
    assert (await market.decide(application, "approval", by=second))[0] == 200
    assert (await world.get(f"/institutions/{member.organisation_id}"))[0] == 200


async def test_an_institution_of_another_library_stays_as_it_is(world: World) -> None:
    """Its bank account, scopes and last day are that library's, which reviews them (C15)."""
    market = await open_supermarket(world)
    member = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    before = await world.snapshot("institutions", "institution_scopes", "pictures")
    region = await world.value("SELECT region_code FROM organisations WHERE id = $1", member.organisation_id)
    application = await market.submitted(member, region_code=region, category="other")
    assert (await market.decide(application, "approval"))[0] == 200
    assert await world.snapshot("institutions", "institution_scopes", "pictures") == before


async def test_a_suspended_institution_does_not_apply(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    await market.saved(member)
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", member.organisation_id, world.at())
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{market.path}/submission", by=member)
    assert (status, problem["code"]) == (409, "institution_suspended")
    assert await world.snapshot(*TABLES) == before


async def test_an_amendment_waits_while_what_was_approved_stays_in_force(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified()
    own = await world.one("SELECT name, credit_code FROM organisations WHERE id = $1", member.organisation_id)
    _, application = await of(world, market, member)
    form = application["form"] | {"introduction": "新的简介。", "credit_code": own["credit_code"]}
    files = {"institution_licence": [await photo(world, member, "institution_licence")]}
    status, amended = await world.post(f"{market.path}/amendment", {"form": form, "files": files}, by=member)
    assert (status, amended["state"]) == (200, "submitted")
    assert (await world.get(f"/institutions/{member.organisation_id}"))[1]["introduction"] == "专注知识产权与公司法律服务。"
    standard = await market.standard()
    body = {"standard_id": standard, "parameters": [{"name": "服务期限", "value": "12"}]}
    assert (await world.post("/institution/regular-products", body, by=member))[0] == 201
    assert (await market.decide(amended["id"], "approval"))[0] == 200
    assert (await world.get(f"/institutions/{member.organisation_id}"))[1]["introduction"] == "新的简介。"


# --- and of the association -------------------------------------------------------------------------------------------------------


async def test_one_submission_makes_two_applications_each_with_its_own_conclusion(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    application = await market.submitted(member, join_association=True)
    status, queue = await world.get("/approvals", by=market.admin)
    assert sorted(one["title"] for one in queue["items"]) == ["企业发展服务促进会入会申请", "认证服务机构申请"]
    waiting = await world.value("SELECT count(*) FROM events WHERE kind = 'approval_waiting'")
    assert waiting == 2

    membership = await membership_id(world, member)
    assert (await market.decide(membership, "rejection", "会员名额已满"))[0] == 200
    assert (await market.decide(application, "approval"))[0] == 200
    status, own = await of(world, market, member, market.membership_path)
    assert (status, own["state"], own["reason"]) == (200, "rejected", "会员名额已满")
    assert own["personal"]["contact_email"] == "l****@example.com"
    assert [one["slot"] for one in own["files"]] == ["institution_licence"]
    assert (await of(world, market, member))[1]["state"] == "approved"
    told = await world.owner.fetch(
        "SELECT coalesce(channel, 'members'), data ->> 'title', data ->> 'result' FROM events WHERE kind = 'approval_result'")
    assert sorted(tuple(row) for row in told) == [  # D06: the mailbox of the application hears of it too
        ("email", "企业发展服务促进会入会申请", "rejected"), ("email", "认证服务机构申请", "approved"),
        ("members", "企业发展服务促进会入会申请", "rejected"), ("members", "认证服务机构申请", "approved"),
    ]


async def test_without_the_tick_there_is_one_application(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    await market.submitted(member)
    assert await membership_state(world, member) is None


async def test_both_are_withdrawn_together_and_each_alone(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    await market.submitted(member, join_association=True)
    assert (await world.post(f"{market.path}/withdrawal", by=member))[0] == 200
    assert await membership_state(world, member) == "withdrawn"
    assert await world.value("SELECT count(*) FROM approvals WHERE state = 'open'") == 0

    await market.submitted(member, join_association=True)
    assert (await world.post(f"{market.membership_path}/withdrawal", by=member))[0] == 200
    assert await membership_state(world, member) == "withdrawn"
    assert (await of(world, market, member))[1]["state"] == "submitted"


async def test_a_resubmission_takes_the_membership_along_or_back(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    application = await market.submitted(member, join_association=True)
    membership = await membership_id(world, member)
    assert (await market.decide(membership, "return", "地址不完整"))[0] == 200
    assert (await market.decide(application, "return", "地址不完整"))[0] == 200
    assert await market.submitted(member, join_association=True, address="苏州工业园区星湖街 328 号 9 幢") == application
    assert (await membership_id(world, member), await membership_state(world, member)) == (membership, "submitted")
    address = await world.value("SELECT form ->> 'address' FROM applications WHERE id = $1", membership)
    assert address == "苏州工业园区星湖街 328 号 9 幢"

    assert (await market.decide(application, "return", "再次核对"))[0] == 200
    await market.submitted(member, join_association=False)
    assert await membership_state(world, member) == "withdrawn"


async def test_what_the_association_has_decided_stays_decided(world: World) -> None:
    market, member = await open_supermarket(world), await applying(world)
    application = await market.submitted(member, join_association=True)
    membership = await membership_id(world, member)
    assert (await market.decide(membership, "rejection", "会员名额已满"))[0] == 200
    assert (await market.decide(application, "return", "地址不完整"))[0] == 200
    await market.submitted(member, join_association=True)
    assert (await membership_id(world, member), await membership_state(world, member)) == (membership, "rejected")
    assert (await world.post(f"{market.path}/withdrawal", by=member))[0] == 200
    await market.submitted(member, join_association=True)  # a new application asks anew
    assert (await membership_id(world, member) > membership, await membership_state(world, member)) == (True, "submitted")


async def test_both_are_submitted_in_one_commit_or_neither(world: World) -> None:
    """A membership draft that a colleague has just begun is taken along; the key of the request keeps one answer for both."""
    market, member = await open_supermarket(world), await applying(world)
    await market.saved(member, join_association=True)
    first = await world.post(f"{market.path}/submission", by=member, key="once")
    assert first == await world.post(f"{market.path}/submission", by=member, key="once")
    assert await world.value("SELECT count(*) FROM applications") == 2
    xids = await world.owner.fetch("SELECT DISTINCT xmin::text FROM approvals")
    assert len(xids) == 1


# --- the demonstration ----------------------------------------------------------------------------------------------------------------


async def test_the_demonstrations_supermarket_is_planted_once(world: World) -> None:
    await load_regions()
    planter = Planter(world.settings, world.clock, world.ports)
    for _ in range(2):
        await plant_suzhou(planter)
        found = await world.one("SELECT id, region_code, state FROM programmes WHERE name = $1", people.SUZHOU_PROGRAMME)
        assert (found["region_code"], found["state"]) == (SIP, "published")
        _, page = await world.get(f"/programmes/{found['id']}/standard-products")
        assert [one["name"] for one in page["items"]] == [name for _, name, _, _ in STANDARD_LIST]
