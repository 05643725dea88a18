import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from handlers import institutions_standing
from handlers.accounts.consents import privacy
from models.accounts import Role
from tests.applications import PDF, picture, upload
from tests.library import ADMISSION, admission, admitted, applying, submitted, waiting
from tests.shop import open_shop
from tests.world import Member, World

PROFILE = {
    "introduction": "专注高新技术企业审计", "address": "济南市市中区英雄山路1号", "website": "https://audit.example.cn",
    "landline": "0531-88880000", "email": "office@audit.example.cn",
}


async def agree(world: World, member: object) -> None:
    status, _ = await world.post("/consents", {"document": "privacy", "version": privacy()["version"]}, by=member)  # type: ignore[arg-type]
    assert status == 200


async def test_an_institution_shows_itself_to_everybody_but_never_its_mobile(world: World) -> None:
    owner = await world.institution()
    await agree(world, owner)
    assert (await world.put("/institution/profile", PROFILE, by=owner))[0] == 200
    status, own = await world.put("/institution/contact", {"name": "张三丰", "phone": "13800138000"}, by=owner)
    assert (status, own["contact_name"], own["contact_phone"]) == (200, "张**", "138****8000")

    status, shop = await world.get(f"/institutions/{owner.organisation_id}")
    assert status == 200
    assert {name: shop[name] for name in PROFILE} == PROFILE
    assert shop["contact_name"] == "张**"
    assert set(shop) == {
        "id", "name", "region_code", "products", "contact_name", "category", "position", "picture_ids", "scopes", "valid_until", *PROFILE,
    }
    assert "13800138000" not in str(shop)
    stored = await world.one("SELECT contact_name, contact_phone FROM institutions WHERE organisation_id = $1", owner.organisation_id)
    assert "张三丰".encode() not in stored["contact_name"]
    assert b"13800138000" not in stored["contact_phone"]


async def test_a_mobile_is_not_published_as_an_office_phone(world: World) -> None:
    owner = await world.institution()
    before = await world.snapshot("institutions", "audit_entries")
    for landline in ("13800138000", "+86 138-0013-8000"):
        status, problem = await world.put("/institution/profile", PROFILE | {"landline": landline}, by=owner)
        assert (status, problem["code"]) == (422, "landline_is_mobile")
    assert await world.snapshot("institutions", "audit_entries") == before


async def test_a_link_that_is_a_script_is_refused(world: World) -> None:
    owner = await world.institution()
    before = await world.snapshot("institutions")
    for field, value in (("website", "javascript:alert(1)"), ("email", "a@b"), ("address", "一\n二")):
        status, problem = await world.put("/institution/profile", PROFILE | {field: value}, by=owner)
        assert (status, problem["code"]) == (422, "invalid_input")
    assert await world.snapshot("institutions") == before


async def test_a_contact_is_stored_only_after_consent(world: World) -> None:
    owner = await world.institution()
    before = await world.snapshot("institutions", "audit_entries")
    status, problem = await world.put("/institution/contact", {"name": "张三", "phone": "13800138000"}, by=owner)
    assert (status, problem["code"]) == (403, "consent_needed")
    assert await world.snapshot("institutions", "audit_entries") == before


async def test_only_those_who_act_for_an_institution_change_its_page(world: World) -> None:
    owner = await world.institution()
    before = await world.snapshot("institutions")
    for other in (
        await world.member(owner.organisation_id, Role.VIEWER), await world.member(owner.organisation_id, Role.FINANCE),
        await world.enterprise(), await world.official(Role.ADMIN),
    ):
        status, problem = await world.put("/institution/profile", PROFILE, by=other)
        assert (status, problem["code"]) == (403, "not_your_role")
    assert await world.snapshot("institutions") == before


async def test_a_shop_that_is_not_open_is_as_if_it_were_not_there(world: World) -> None:
    open_shop, new = await world.institution(), await world.institution(certified=False)
    enterprise = await world.enterprise()
    suspended = await world.institution()
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", suspended.organisation_id, world.at())
    answers = [await world.get(f"/institutions/{member.organisation_id}") for member in (new, enterprise, suspended)]
    answers.append(await world.get("/institutions/999999999"))
    assert {(status, problem["code"], problem["title"]) for status, problem in answers} == {(404, "not_found", "没有找到")}
    assert [shop["id"] for shop in (await world.get("/institutions"))[1]["items"]] == [open_shop.organisation_id]


async def test_shops_are_found_by_any_part_of_their_name_and_by_division(world: World) -> None:
    jinan, qingdao = await world.institution(), await world.institution(region_code="370202")
    for member, name in ((jinan, "济南ＡＢＣ会计师事务所"), (qingdao, "青岛法律服务所")):
        await world.owner.execute("UPDATE organisations SET name = $2 WHERE id = $1", member.organisation_id, name)

    async def found(query: str) -> list[int]:
        status, body = await world.get(f"/institutions?{query}")
        assert status == 200
        return [shop["id"] for shop in body["items"]]

    assert await found("words=abc会计") == [jinan.organisation_id]
    assert await found("words=服务所") == [qingdao.organisation_id]
    assert await found("words=%25") == []
    assert await found("region_code=370000") == [jinan.organisation_id, qingdao.organisation_id]
    assert await found("region_code=370200") == [qingdao.organisation_id]
    _, first = await world.get("/institutions?limit=1")
    assert [shop["id"] for shop in first["items"]] == [jinan.organisation_id]
    assert await found(f"limit=1&after={first['next']}") == [qingdao.organisation_id]


# --- into the library --------------------------------------------------------------------------------------------------

TABLES = ("organisations", "institutions", "institution_scopes", "pictures", "applications", "application_files", "approvals",
          "audit_entries", "events")


def problems(body: Any) -> dict[str, str]:
    return {item["field"]: item["problem"] for item in body["data"]["items"]}


async def test_an_institution_applies_is_approved_and_is_in_the_library(world: World) -> None:
    owner, centre = await applying(world), await world.official(Role.CENTRE_REVIEWER)
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "applying"
    approval = await submitted(world, owner)
    status, waits = await world.get("/institution/admission", by=owner)
    assert (status, waits["state"], waits["queue"]["position"]) == (200, "submitted", 1)
    assert waits["personal"] == {"bank_account": "****5678", "contact_name": "李**", "contact_phone": "138****2345"}
    status, case = await world.get(f"/approvals/{approval}", by=centre)
    assert (status, case["facts"]["kind"], len(case["facts"]["files"])) == (200, "institution_admission", 6)
    file = case["facts"]["files"][0]["id"]
    async with world.client.get(f"/api/v1/attachments/{file}", headers={"Authorization": f"Bearer {centre.token}"}) as answer:
        assert answer.status == 200

    assert (await world.post(f"/approvals/{approval}/approval", by=centre))[0] == 200
    status, own = await world.get("/institution/profile", by=owner)
    assert (own["state"], own["valid_until"], own["category"], own["bank_account"]) == ("admitted", "2027-03-02", "ip", "****5678")
    assert (own["bank_account_name"], own["bank_branch"]) == (own["name"], "中国银行郑州高新区支行")
    status, shop = await world.get(f"/institutions/{owner.organisation_id}")
    assert (status, shop["landline"], shop["address"]) == (200, "0531-88880000", ADMISSION["address"])
    assert shop["position"] == {"latitude": 36.651234, "longitude": 117.001234}
    assert [(scope["category"], scope["content"]) for scope in shop["scopes"]] == [("ip", "知识产权申请服务"), ("testing", "计量服务")]
    assert [shop["id"] for shop in (await world.get("/institutions"))[1]["items"]] == [owner.organisation_id]
    stored = await world.one("SELECT * FROM institutions WHERE organisation_id = $1", owner.organisation_id)
    for secret in ("13853112345", "6217858012345678", "6217 8580 1234 5678", "李小红"):
        assert secret not in str(shop)
        assert secret not in str(own)
        assert secret not in str(dict(stored))


async def test_a_mobile_is_nowhere_in_public_and_no_landline_is_a_mobile(world: World) -> None:
    owner = await applying(world)
    body = await admission(world, owner, landline="13853112345")
    before = await world.snapshot(*TABLES)
    status, problem = await world.put("/institution/admission", body, by=owner)
    assert (status, problem["code"], problems(problem)) == (
        422, "form_incomplete", {"landline": "会对外公布，请填写座机；手机号请填在联系人手机号"},
    )
    assert await world.snapshot(*TABLES) == before


async def test_a_draft_is_kept_with_what_is_there_and_submitted_when_it_is_whole(world: World) -> None:
    owner = await applying(world)
    status, draft = await world.put("/institution/admission", {"form": {"category": "ip", "introduction": "简介"}}, by=owner)
    assert (status, draft["state"], draft["is_complete"]) == (200, "draft", False)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/institution/admission/submission", by=owner)
    missing = problems(problem)
    assert (status, problem["code"]) == (422, "form_incomplete")
    assert {"latitude", "longitude", "pinned", "bank_account", "scopes", "files.institution_picture"} <= set(missing)
    assert await world.snapshot(*TABLES) == before
    assert (await world.get("/institution/admission", by=owner))[1]["form"] == {"category": "ip", "introduction": "简介"}


@pytest.mark.parametrize(("field", "value", "said"), [
    ("pinned", False, "请在地图上将图标拖动到机构实际位置并确定"), ("latitude", 0.0, "过小"), ("longitude", 200.0, "过大"),
    ("bank_branch", "郑州高新区支行", "格式不正确"), ("bank_branch", "中国银行", "格式不正确"),
    ("bank_account", "****5678", "银行账号应为 8-30 位数字"),
    ("category", "casino", "没有该服务类别"), ("scopes", [], "选项过少"),
    ("scopes", [{"category": "ip", "content": "版权服务"}] * 2, "不能重复填写"),
    ("scopes", [{"category": "casino", "content": "版权服务"}], "没有该服务类别"), ("no_contracts", {"none": False}, "格式不正确"),
    ("contact_phone", "0531-88880000", "格式不正确"),
])
async def test_what_is_wrong_is_not_even_kept(world: World, field: str, value: object, said: str) -> None:
    owner = await applying(world)
    before = await world.snapshot(*TABLES)
    status, problem = await world.put("/institution/admission", {"form": {field: value}}, by=owner)
    assert (status, problem["code"], problems(problem)) == (422, "form_incomplete", {field: said})
    assert await world.snapshot(*TABLES) == before


async def test_an_unpinned_position_is_not_submitted(world: World) -> None:
    owner = await applying(world)
    body = await admission(world, owner)
    del body["form"]["pinned"]
    assert (await world.put("/institution/admission", body, by=owner))[0] == 200
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/institution/admission/submission", by=owner)
    assert (status, problems(problem)) == (422, {"pinned": "必填"})
    assert await world.snapshot(*TABLES) == before


async def test_the_account_is_in_the_name_of_the_unit_and_the_unit_is_the_registered_one(world: World) -> None:
    owner = await applying(world)
    for changes, field in (
        ({"bank_account_name": "张三"}, "bank_account_name"), ({"institution_name": "别的公司"}, "institution_name"),
        ({"region_code": "370102"}, "region_code"),
    ):
        assert (await world.put("/institution/admission", await admission(world, owner, **changes), by=owner))[0] == 200
        before = await world.snapshot(*TABLES)
        status, problem = await world.post("/institution/admission/submission", by=owner)
        assert (status, problem["code"]) == (422, "form_incomplete")
        assert field in problems(problem)
        assert await world.snapshot(*TABLES) == before


async def test_each_of_the_nine_items_is_there_or_said_to_be_nothing(world: World) -> None:
    owner = await applying(world)
    body = await admission(world, owner)
    del body["form"]["no_client_list"]
    body["form"]["no_contracts"] = {"none": True}
    assert (await world.put("/institution/admission", body, by=owner))[0] == 200
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/institution/admission/submission", by=owner)
    assert (status, problems(problem)) == (422, {
        "files.client_list": "请上传，没有的请填“无”", "files.contracts": "已上传文件，不能同时填“无”",
    })
    assert await world.snapshot(*TABLES) == before


async def test_the_licence_is_not_the_picture_that_everybody_sees(world: World) -> None:
    owner = await applying(world)
    body = await admission(world, owner)
    _, same = await upload(world, owner, "institution_picture", "图片.png", picture(width=sum(b"institution_licence") % 97 + 8))
    body["files"]["institution_picture"] = [same["id"]]
    assert (await world.put("/institution/admission", body, by=owner))[0] == 200
    before = await world.snapshot(*TABLES)
    status, problem = await world.post("/institution/admission/submission", by=owner)
    assert (status, problems(problem)) == (422, {"files.institution_picture": "请勿使用营业执照，可使用单位标识等图片"})
    assert await world.snapshot(*TABLES) == before


async def test_files_keep_to_the_limits_of_their_items(world: World) -> None:
    owner = await applying(world)
    before = await world.snapshot("attachments")
    for slot, name, content, code in (
        ("institution_picture", "图片.pdf", PDF, "file_type_refused"), ("contracts", "合同.png", picture(), "file_type_refused"),
        ("institution_picture", "图片.png", PDF, "file_type_refused"), ("contracts", "合同.pdf", b"", "file_empty"),
    ):
        status, problem = await upload(world, owner, slot, name, content)
        assert (status, problem["code"]) == (422, code)
    assert await world.snapshot("attachments") == before
    for slot, name, head, size in (
        ("qualification_photos", "照片.png", picture(), 2 * 1024 * 1024), ("contracts", "合同.pdf", PDF, 5 * 1024 * 1024),
    ):
        status, problem = await upload(world, owner, slot, name, head + b"0" * (size + 1 - len(head)))
        assert (status, problem["code"], problem["data"]) == (422, "file_too_large", {"max_bytes": size})
    assert await world.value("SELECT count(*) FROM attachments WHERE state = 'stored'") == 0


def words(document: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        return " ".join(re.findall(r"<w:t[^>]*>([^<]*)</w:t>", archive.read("word/document.xml").decode()))


async def test_papers_to_seal_come_empty_for_all_and_filled_for_the_institution(world: World) -> None:
    owner = await applying(world)
    async with world.client.get("/api/v1/templates/product_application") as answer:
        assert answer.status == 200
        empty = words(await answer.read())
    assert "可用券产品申请表" in empty
    assert "□知识产权服务" in empty
    body = await admission(world, owner)
    assert (await world.put("/institution/admission", body, by=owner))[0] == 200
    for name, said in (
        ("admission_letter", ADMISSION["address"]), ("product_application", "知识产权申请服务"), ("recommendation_letter", "推荐单位意见"),
    ):
        path = f"/api/v1/institution/admission/papers/{name}"
        async with world.client.get(path, headers={"Authorization": f"Bearer {owner.token}"}) as answer:
            assert answer.status == 200
            text = words(await answer.read())
        assert said in text
        assert body["form"]["institution_name"] in text
        assert "知识产权服务" in text
        assert "13853112345" not in text


async def test_a_reviewer_of_another_place_or_of_another_office_finds_nothing(world: World) -> None:
    owner = await applying(world)
    approval = await submitted(world, owner)
    officials = (
        await world.official(Role.CENTRE_REVIEWER, region_code="370200"), await world.official(Role.REVIEWER),
        await world.official(Role.ADMIN),
    )
    before = await world.snapshot(*TABLES)
    for official in officials:
        assert (await world.get(f"/approvals/{approval}", by=official))[1]["code"] == "not_found"
        assert (await world.post(f"/approvals/{approval}/approval", by=official))[1]["code"] == "not_found"
    assert await world.snapshot(*TABLES) == before


async def test_nobody_decides_on_the_own_institution(world: World) -> None:
    owner, centre = await applying(world), await world.official(Role.CENTRE_REVIEWER)
    approval = await submitted(world, owner)
    await world.member(owner.organisation_id, Role.VIEWER, person=(centre.person_id, centre.identity_id, centre.open_id))
    before = await world.snapshot(*TABLES)
    assert (await world.post(f"/approvals/{approval}/approval", by=centre))[1]["code"] == "own_case"
    assert await world.snapshot(*TABLES) == before


async def test_what_is_returned_or_rejected_says_why_and_may_come_again(world: World) -> None:
    owner, centre = await applying(world), await world.official(Role.CENTRE_REVIEWER)
    approval = await submitted(world, owner)
    items = [{"field": "files.admission_letter", "problem": "未盖章"}]
    assert (await world.post(f"/approvals/{approval}/return", {"reason": "请补充", "items": items}, by=centre))[0] == 200
    own = (await world.get("/institution/admission", by=owner))[1]
    assert (own["state"], own["items"]) == ("returned", [{"field": "files.admission_letter", "title": "入库申请书", "problem": "未盖章"}])
    _, again = await world.post("/institution/admission/submission", by=owner)
    approval = await waiting(world, again["id"])
    assert (await world.post(f"/approvals/{approval}/rejection", {"reason": "经营范围不符"}, by=centre))[0] == 200
    assert (await world.get("/institution/admission", by=owner))[1]["reason"] == "经营范围不符"
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "applying"
    assert (await world.get(f"/institutions/{owner.organisation_id}"))[0] == 404


async def amend(world: World, owner: Member, **changes: object) -> int:
    """修改认证资料; the id of its approval."""
    status, body = await world.post("/institution/admission/amendment", await admission(world, owner, **changes), by=owner)
    assert (status, body["state"]) == (200, "submitted"), body
    return await waiting(world, body["id"])


async def test_an_amendment_is_reviewed_always_and_the_old_facts_stay_in_force_until_then(world: World) -> None:
    centre = await world.official(Role.CENTRE_REVIEWER)
    owner = await admitted(world, centre)
    facts = await world.snapshot("institutions", "institution_scopes", "organisations", "pictures")
    world.clock.advance(days=10)
    scopes = [{"category": "ip", "content": "版权服务"}]
    approval = await amend(world, owner, finance_info="上年度营业收入 900 万元。", address="新地址 2 号", scopes=scopes)
    assert await world.snapshot("institutions", "institution_scopes", "organisations", "pictures") == facts
    assert (await world.get(f"/institutions/{owner.organisation_id}"))[1]["address"] == ADMISSION["address"]
    assert (await world.post("/institution/admission/withdrawal", by=owner))[1]["code"] == "application_not_withdrawable"
    _, case = await world.get(f"/approvals/{approval}", by=centre)
    changed = {field["field"] for field in case["facts"]["fields"] if field["is_changed"]}
    assert changed == {"finance_info", "address", "scopes"}

    assert (await world.post(f"/approvals/{approval}/approval", by=centre))[0] == 200
    shop = (await world.get(f"/institutions/{owner.organisation_id}"))[1]
    assert (shop["address"], shop["valid_until"]) == ("新地址 2 号", "2027-03-12")
    assert [scope["content"] for scope in shop["scopes"]] == ["版权服务"]


async def test_an_amendment_that_is_rejected_changes_nothing_that_is_in_force(world: World) -> None:
    centre = await world.official(Role.CENTRE_REVIEWER)
    owner = await admitted(world, centre)
    facts = await world.snapshot("institutions", "institution_scopes", "organisations", "pictures")
    approval = await amend(world, owner, bank_account="99887766554433")
    assert (await world.post(f"/approvals/{approval}/rejection", {"reason": "账户不符"}, by=centre))[0] == 200
    assert await world.snapshot("institutions", "institution_scopes", "organisations", "pictures") == facts
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "admitted"
    assert (await world.put("/institution/admission", {"form": {}}, by=owner))[1]["personal"]["bank_account"] == "****4433"


async def test_what_was_reviewed_does_not_change_beside_the_review(world: World) -> None:
    owner = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    kept = {"introduction": ADMISSION["introduction"], "address": ADMISSION["address"]}
    before = await world.snapshot(*TABLES)
    for field in kept:
        status, problem = await world.put("/institution/profile", PROFILE | kept | {field: "别的"}, by=owner)
        assert (status, problem["code"]) == (409, "profile_reviewed")
    assert await world.snapshot(*TABLES) == before
    status, own = await world.put("/institution/profile", PROFILE | kept | {"landline": "0531-12345678"}, by=owner)
    assert (status, own["landline"], own["website"]) == (200, "0531-12345678", PROFILE["website"])


async def test_only_those_who_act_for_an_institution_apply_for_it(world: World) -> None:
    owner = await applying(world)
    for other in (await world.member(owner.organisation_id, Role.VIEWER), await world.enterprise(), await world.official(Role.ADMIN)):
        before = await world.snapshot("applications")
        assert (await world.put("/institution/admission", {"form": {}}, by=other))[1]["code"] == "not_your_role"
        assert await world.snapshot("applications") == before


# --- suspended, expired ------------------------------------------------------------------------------------------------

STOPPED = {"reason": "投诉核查中", "until": "2026-03-31"}


async def test_a_suspended_institution_gets_no_orders_and_its_running_ones_go_on(world: World) -> None:
    shop = await open_shop(world)
    running = await shop.paid()
    admin, seller = await world.official(Role.ADMIN), shop.seller
    path = f"/institutions/{seller.organisation_id}/suspension"
    status, standing = await world.put(path, STOPPED, by=admin)
    assert (status, standing["state"], standing["suspension_reason"]) == (200, "suspended", "投诉核查中")
    assert standing["suspended_until"] == "2026-03-31T15:59:59.999999+00:00"
    assert (await world.get(f"/institutions/{seller.organisation_id}"))[0] == 404
    assert (await world.get("/products"))[1]["total"] == 0
    before = await shop.unchanged()
    status, problem = await shop.place()
    assert (status, problem["code"]) == (409, "institution_not_active")
    assert await shop.unchanged() == before
    await shop.ok(seller, running, "acceptance")
    assert await shop.state(running) == "accepted"
    assert await world.value("SELECT data ->> 'standing' FROM events WHERE kind = 'institution_standing'") == "suspended"

    assert (await world.delete(path, by=admin))[1]["state"] == "admitted"
    assert (await shop.place())[0] == 201


async def test_a_suspension_ends_by_itself_on_its_day_and_not_before(world: World) -> None:
    owner, admin = await world.institution(), await world.official(Role.ADMIN)
    await world.put(f"/institutions/{owner.organisation_id}/suspension", STOPPED, by=admin)
    world.clock.set(world.clock.now().replace(month=3, day=31, hour=15, minute=59, second=59))
    assert await world.sweep(institutions_standing.resume_due) == 0
    world.clock.advance(seconds=1)
    assert await world.sweep(institutions_standing.resume_due) == 1
    assert await world.sweep(institutions_standing.resume_due) == 0
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "admitted"
    assert (await world.get(f"/institutions/{owner.organisation_id}"))[0] == 200


async def test_a_suspension_has_an_end_a_place_and_a_state_to_start_from(world: World) -> None:
    owner, admin = await world.institution(), await world.official(Role.ADMIN)
    new, far = await world.institution(certified=False), await world.official(Role.ADMIN, region_code="370200")
    path = f"/institutions/{owner.organisation_id}/suspension"
    before = await world.snapshot(*TABLES)
    for by, where, body, status, code in (
        (admin, path, STOPPED | {"until": "2026-03-02"}, 422, "suspension_end_wrong"),
        (admin, path, STOPPED | {"until": "2030-01-01"}, 422, "suspension_end_wrong"),
        (admin, path, STOPPED | {"reason": " "}, 422, "invalid_input"), (far, path, STOPPED, 403, "outside_jurisdiction"),
        (owner, path, STOPPED, 403, "not_your_role"), (admin, "/institutions/999999999/suspension", STOPPED, 404, "not_found"),
        (admin, f"/institutions/{new.organisation_id}/suspension", STOPPED, 409, "institution_state_wrong"),
    ):
        answer, problem = await world.put(where, body, by=by)
        assert (answer, problem["code"]) == (status, code)
    status, problem = await world.delete(path, by=admin)
    assert (status, problem["code"], problem["data"]) == (409, "institution_state_wrong", {"state": "admitted"})
    assert await world.snapshot(*TABLES) == before


async def test_an_admission_is_reminded_of_runs_out_and_is_renewed_by_a_review(world: World) -> None:
    centre = await world.official(Role.CENTRE_REVIEWER)
    owner = await admitted(world, centre)
    start = world.clock.now()
    for days, sent in ((304, 0), (305, 1), (306, 0), (351, 1), (360, 0)):
        world.clock.set(start + timedelta(days=days))
        assert await world.sweep(institutions_standing.remind_expiring) == sent, days
    world.clock.set(start + timedelta(days=365))
    assert await world.sweep(institutions_standing.expire_due) == 0
    world.clock.set(start.replace(year=2027, month=3, day=2, hour=16))  # midnight in Shanghai
    assert await world.sweep(institutions_standing.expire_due) == 1
    assert await world.sweep(institutions_standing.expire_due) == 0
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "expired"
    assert (await world.get(f"/institutions/{owner.organisation_id}"))[0] == 404
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'institution_standing'") == 3

    approval = await amend(world, owner)
    assert (await world.post(f"/approvals/{approval}/approval", by=centre))[0] == 200
    own = (await world.get("/institution/profile", by=owner))[1]
    assert (own["state"], own["valid_until"], own["suspended_at"]) == ("admitted", "2028-03-03", None)


async def test_a_review_does_not_lift_a_suspension(world: World) -> None:
    centre, admin = await world.official(Role.CENTRE_REVIEWER), await world.official(Role.ADMIN)
    owner = await admitted(world, centre)
    await world.put(f"/institutions/{owner.organisation_id}/suspension", STOPPED, by=admin)
    approval = await amend(world, owner)
    assert (await world.post(f"/approvals/{approval}/approval", by=centre))[0] == 200
    own = (await world.get("/institution/profile", by=owner))[1]
    assert (own["state"], own["suspended_at"] is None) == ("suspended", False)


async def test_a_suspension_that_outlasts_the_admission_ends_as_expired(world: World) -> None:
    admin = await world.official(Role.ADMIN)
    owner = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    await world.put(f"/institutions/{owner.organisation_id}/suspension", STOPPED | {"until": "2027-03-31"}, by=admin)
    world.clock.set(world.clock.now().replace(year=2027, month=4, day=1))
    assert await world.sweep(institutions_standing.expire_due) == 0
    assert await world.sweep(institutions_standing.resume_due) == 1
    own = (await world.get("/institution/profile", by=owner))[1]
    assert (own["state"], own["suspended_until"], own["suspended_at"] is None) == ("expired", None, False)


async def test_one_person_acts_for_both_sides_but_not_of_one_order(world: World) -> None:
    shop = await open_shop(world)
    await shop.lot()
    await world.member(shop.seller.organisation_id, Role.HANDLER, person=(shop.buyer.person_id, shop.buyer.identity_id, shop.buyer.open_id))
    before = await shop.unchanged()
    status, problem = await shop.place()
    assert (status, problem["code"]) == (403, "related_parties")
    assert await shop.unchanged() == before
