"""Certification over HTTP (E02-E04, C14, C15)."""

import json
from datetime import datetime

from handlers.personal import open_sealed
from models.accounts import Role
from tests.applications import applicant, certification, consent, submitted_certification
from tests.world import JINAN, SHIZHONG, Member, World

TABLES = ("applications", "application_files", "approvals", "organisations", "events", "audit_entries")


async def test_a_draft_is_returned_resubmitted_and_approved(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    body = await certification(world, owner)
    partial = {"form": {"enterprise_name": body["form"]["enterprise_name"], "contact_phone": "13853112345"}}
    status, draft = await world.put("/certification", partial, by=owner)
    assert (status, draft["state"], draft["personal"], draft["allowed_actions"]) == (
        200, "draft", {"contact_phone": "138****2345"}, ["save", "submit", "withdraw"])

    assert (await world.put("/certification", body, by=owner))[0] == 200
    status, sent = await world.post("/certification/submission", by=owner)
    assert (status, sent["state"], sent["is_complete"]) == (200, "submitted", True)
    # Monday 2 March; three working days are Thursday.
    assert sent["queue"] == {"position": 1, "working_days_left": 3, "due_at": "2026-03-05T15:59:59.999999+00:00"}

    _, queue = await world.get("/approvals", by=admin)
    assert [(one["title"], one["state"]) for one in queue["items"]] == [("企业实名认证", "open")]
    first = queue["items"][0]["id"]
    status, _ = await world.post(f"/approvals/{first}/return", {
        "reason": "联系电话无人接听", "items": [{"field": "contact_phone", "problem": "请更换"},
                                          {"field": "files.business_licence", "problem": "看不清"}],
    }, by=admin)
    assert status == 200
    _, returned = await world.get("/certification", by=owner)
    assert (returned["state"], returned["reason"], returned["queue"]) == ("returned", "联系电话无人接听", None)
    assert returned["items"] == [
        {"field": "contact_phone", "title": "联系人手机号", "problem": "请更换"},
        {"field": "files.business_licence", "title": "工商营业执照复印件", "problem": "看不清"},
    ]

    body["form"]["contact_phone"] = "13964011111"
    assert (await world.put("/certification", body, by=owner))[0] == 200
    status, again = await world.post("/certification/submission", by=owner)
    assert (status, again["state"], again["reason"], again["items"]) == (200, "submitted", None, [])
    _, queue = await world.get("/approvals", by=admin)
    second = queue["items"][0]["id"]
    _, case = await world.get(f"/approvals/{second}", by=admin)
    assert [one["field"] for one in case["facts"]["fields"] if one["is_changed"]] == ["contact_phone"]
    assert [(one["state"], one["reason"]) for one in case["history"]] == [("returned", "联系电话无人接听")]

    status, decided = await world.post(f"/approvals/{second}/approval", {}, by=admin)
    assert (status, decided["state"]) == (200, "approved")
    _, done = await world.get("/certification", by=owner)
    assert (done["state"], done["allowed_actions"]) == ("approved", ["amend"])
    certified = await world.value("SELECT certified_at FROM organisations WHERE id = $1", owner.organisation_id)
    assert certified == world.clock.now()
    await told_of_both_rounds(world, owner, body["form"]["enterprise_name"])


async def told_of_both_rounds(world: World, owner: Member, name: str) -> None:
    told = await world.owner.fetch("SELECT kind, organisation_id, role, region_code, data FROM events ORDER BY id")
    assert [(one["kind"], one["organisation_id"], one["role"], one["region_code"]) for one in told] == [
        ("approval_waiting", None, "admin", SHIZHONG), ("approval_result", owner.organisation_id, None, None),
        ("approval_closed", None, None, None),
        ("approval_waiting", None, "admin", SHIZHONG), ("approval_result", owner.organisation_id, None, None),
        ("approval_closed", None, None, None),
    ]
    assert json.loads(told[0]["data"]) == {
        "approval_kind": "application", "title": "企业实名认证", "applicant": name, "due_at": "2026-03-05T23:59:59.999999+08:00"}
    assert json.loads(told[1]["data"]) == {
        "result": "returned", "application_kind": "enterprise_certification", "title": "企业实名认证", "programme_id": None,
        "reason": "联系电话无人接听"}


async def test_personal_values_are_sealed_and_masked(world: World) -> None:
    owner = await applicant(world)
    _, view = await world.put("/certification", await certification(world, owner), by=owner)
    assert view["personal"] == {
        "contact_name": "李**", "contact_phone": "138****2345", "legal_person_name": "王**",
        "legal_person_id_number": f"3701{'*' * 10}{view['personal']['legal_person_id_number'][-4:]}",
    }
    kept = await world.one("SELECT * FROM applications")
    assert "13853112345" not in str(kept["form"])
    assert open_sealed(world.settings, kept["contact_phone"]) == "13853112345"
    assert set(view["form"]) == {"enterprise_name", "credit_code", "region_code", "address"}


async def test_a_personal_field_left_out_stays_and_null_removes_it(world: World) -> None:
    owner = await applicant(world)
    await world.put("/certification", {"form": {"contact_name": "李小红", "contact_phone": "13853112345"}}, by=owner)
    _, view = await world.put("/certification", {"form": {"contact_name": None}}, by=owner)
    assert view["personal"] == {"contact_phone": "138****2345"}


async def test_nothing_personal_is_stored_before_consent(world: World) -> None:
    owner = await world.enterprise(certified=False)
    before = await world.snapshot(*TABLES)
    status, problem = await world.put("/certification", {"form": {"contact_name": "李小红"}}, by=owner)
    assert (status, problem["code"]) == (403, "consent_needed")
    assert await world.snapshot(*TABLES) == before
    await consent(world, owner)
    assert (await world.put("/certification", {"form": {"contact_name": "李小红"}}, by=owner))[0] == 200


async def test_an_incomplete_form_is_refused_with_what_is_missing(world: World) -> None:
    owner = await applicant(world)
    body = await certification(world, owner)
    for field in ("address", "contact_phone"):
        del body["form"][field]
    await world.put("/certification", {"form": body["form"]}, by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/certification/submission", by=owner)
    assert (status, problem["code"]) == (422, "form_incomplete")
    assert problem["data"]["items"] == [
        {"field": "address", "title": "注册地址", "problem": "必填"},
        {"field": "contact_phone", "title": "联系人手机号", "problem": "必填"},
        {"field": "files.business_licence", "title": "工商营业执照复印件", "problem": "必须上传"},
    ]
    assert await world.snapshot(*TABLES) == before


async def test_wrong_values_are_not_even_kept_as_a_draft(world: World) -> None:
    owner = await applicant(world)
    before = await world.snapshot(*TABLES)
    status, problem = await world.put("/certification", {"form": {
        "credit_code": "913701030000000000", "legal_person_id_number": "370103199003071230", "contact_phone": "138****2345",
        "contact_name": "李**", "region_code": 370103, "nickname": "小李",
    }}, by=owner)
    assert (status, problem["code"]) == (422, "form_incomplete")
    assert sorted((one["field"], one["problem"]) for one in problem["data"]["items"]) == [
        ("*", "没有这一项"), ("contact_name", "格式不正确"), ("contact_phone", "格式不正确"), ("credit_code", "统一社会信用代码不正确"),
        ("legal_person_id_number", "身份证号不正确"), ("region_code", "应为文字"),
    ]
    assert "小李" not in str(problem)
    assert await world.snapshot(*TABLES) == before


async def test_the_form_must_say_what_the_organisation_registered_with(world: World) -> None:
    owner, other = await applicant(world), await applicant(world)
    theirs = await world.value("SELECT credit_code FROM organisations WHERE id = $1", other.organisation_id)
    await world.put("/certification", await certification(world, owner, credit_code=theirs, region_code="370102"), by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/certification/submission", by=owner)
    assert (status, [one["field"] for one in problem["data"]["items"]]) == (422, ["credit_code", "region_code"])
    assert await world.snapshot(*TABLES) == before


async def test_files_of_others_and_of_other_slots_are_refused(world: World) -> None:
    owner, other = await applicant(world), await applicant(world)
    own, theirs = await certification(world, owner), await certification(world, other)
    before = await world.snapshot(*TABLES)
    for files in (theirs["files"], {"tax_return": own["files"]["business_licence"]}, {"business_licence": [1, 2]},
                  {"business_licence": [own["files"]["business_licence"][0] + 10_000]}):
        status, problem = await world.put("/certification", {"form": {}, "files": files}, by=owner)
        assert (status, problem["code"]) == (422, "form_incomplete")
    assert await world.snapshot(*TABLES) == before


async def test_what_is_submitted_cannot_be_edited_but_withdrawn_and_begun_anew(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    before = await world.snapshot(*TABLES)
    for method, path in (("PUT", "/certification"), ("POST", "/certification/amendment"), ("POST", "/certification/submission")):
        status, problem = await world.call(method, path, {"form": {}} if "submission" not in path else {}, by=owner)
        assert (status, problem["data"]["state"]) == (409, "submitted")
    assert await world.snapshot(*TABLES) == before

    status, view = await world.post("/certification/withdrawal", by=owner)
    assert (status, view["state"], view["allowed_actions"]) == (200, "withdrawn", ["save"])
    assert await world.value("SELECT state FROM approvals WHERE id = $1", approval) == "withdrawn"
    status, problem = await world.post(f"/approvals/{approval}/approval", {}, by=admin)
    assert (status, problem["code"]) == (409, "already_decided")
    # The next one takes the sealed values along: they were shown masked, nobody could type them over.
    _, anew = await world.put("/certification", {"form": {}}, by=owner)
    assert (anew["id"] > view["id"], anew["state"], anew["form"], anew["personal"]) == (True, "draft", {}, view["personal"])


async def test_a_rejection_needs_a_reason_and_shows_it(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    before = await world.snapshot(*TABLES)
    assert (await world.post(f"/approvals/{approval}/rejection", {"reason": "  "}, by=admin))[1]["code"] == "reason_needed"
    assert (await world.post(f"/approvals/{approval}/rejection", {"reason": "长" * 501}, by=admin))[0] == 422
    assert await world.snapshot(*TABLES) == before
    assert (await world.post(f"/approvals/{approval}/rejection", {"reason": "执照已吊销"}, by=admin))[0] == 200
    _, view = await world.get("/certification", by=owner)
    assert (view["state"], view["reason"], view["allowed_actions"]) == ("rejected", "执照已吊销", ["save"])
    assert await world.value("SELECT certified_at FROM organisations WHERE id = $1", owner.organisation_id) is None


async def test_only_sensitive_changes_of_a_certified_enterprise_are_reviewed_again(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    await world.post(f"/approvals/{await submitted_certification(world, owner)}/approval", {}, by=admin)
    first = world.clock.now()
    world.clock.advance(days=1)
    moved = await certification(world, owner, address="济南市市中区二环南路 2 号")
    status, view = await world.post("/certification/amendment", moved, by=owner)
    assert (status, view["state"], view["form"]["address"]) == (200, "approved", "济南市市中区二环南路 2 号")
    changed = await world.one("SELECT data FROM audit_entries WHERE action = 'application.updated'")
    assert '"address"' in changed["data"]

    status, view = await world.post("/certification/amendment", moved | {"form": moved["form"] | {"legal_person_name": "赵敏"}}, by=owner)
    assert (status, view["state"], view["allowed_actions"]) == (200, "submitted", [])
    status, problem = await world.post("/certification/withdrawal", by=owner)
    assert (status, problem["code"]) == (409, "application_not_withdrawable")
    approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
    _, case = await world.get(f"/approvals/{approval}", by=admin)
    assert case["facts"]["is_amendment"] is True
    assert [(one["field"], one["value"]) for one in case["facts"]["fields"] if one["is_changed"]] == [
        ("address", "济南市市中区二环南路 2 号"), ("legal_person_name", "赵*")]
    await world.post(f"/approvals/{approval}/approval", {}, by=admin)
    assert await world.value("SELECT certified_at FROM organisations WHERE id = $1", owner.organisation_id) == first


async def test_the_form_is_described_with_titles_pages_and_files(world: World) -> None:
    owner = await applicant(world)
    status, form = await world.get("/certification/form", by=owner)
    schema = form["json_schema"]["properties"]
    assert (status, form["form_version"], form["title"]) == (200, 1, "企业实名认证")
    assert {name: (one["title"], one["x-page"]) for name, one in schema.items()}["contact_phone"] == ("联系人手机号", "联系信息")
    assert form["slots"] == [{
        "slot": "business_licence", "title": "工商营业执照复印件", "required": True, "max_bytes": 20 * 1024 * 1024, "max_files": 1,
        "extensions": ["jpeg", "jpg", "gif", "png", "rar", "zip", "7z", "pdf"], "template": None,
    }]


async def test_viewers_look_and_do_not_touch(world: World) -> None:
    owner = await applicant(world)
    viewer = await world.member(owner.organisation_id, Role.VIEWER)
    await world.put("/certification", {"form": {"address": "经十路"}}, by=owner)
    assert (await world.get("/certification", by=viewer))[1]["form"] == {"address": "经十路"}
    before = await world.snapshot(*TABLES)
    for method, path in (("PUT", "/certification"), ("POST", "/certification/submission"), ("POST", "/certification/withdrawal")):
        status, problem = await world.call(method, path, {"form": {}} if method == "PUT" else {}, by=viewer)
        assert (status, problem["code"]) == (403, "not_your_role")
    assert await world.snapshot(*TABLES) == before


async def test_an_enterprise_sees_no_application_of_another(world: World) -> None:
    owner, other = await applicant(world), await applicant(world)
    await world.put("/certification", {"form": {"address": "经十路"}}, by=owner)
    status, problem = await world.get("/certification", by=other)
    assert (status, problem["code"]) == (404, "not_found")


async def test_the_place_in_the_queue_counts_who_came_before(world: World) -> None:
    first, second = await applicant(world), await applicant(world)
    await submitted_certification(world, first)
    await submitted_certification(world, second)
    admin = await world.official(Role.ADMIN, region_code=JINAN)
    assert (await world.get("/certification", by=second))[1]["queue"]["position"] == 2
    _, queue = await world.get("/approvals?limit=1", by=admin)
    await world.post(f"/approvals/{queue['items'][0]['id']}/approval", {}, by=admin)
    world.clock.advance(days=4)  # Friday: the promise was Thursday
    place = (await world.get("/certification", by=second))[1]["queue"]
    assert (place["position"], place["working_days_left"]) == (1, 0)
    assert datetime.fromisoformat(place["due_at"]) < world.clock.now()
    assert (await world.get("/approvals", by=admin))[1]["items"][0]["is_late"] is True
