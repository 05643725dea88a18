"""Qualification for vouchers over HTTP (E05-E12, E14), and the papers for it."""

import io
import json
import zipfile
from xml.etree import ElementTree as ET

import pytest

from handlers.application_forms import QualificationForm2, required_fields
from handlers.qualifications import FORM_VERSION
from models.accounts import Role
from tests.applications import QUALIFICATION, applicant, file, qualification, submitted_qualification
from tests.world import Member, Programme, World

TABLES = ("applications", "application_files", "approvals", "events", "audit_entries")


async def qualified(world: World, programme: Programme) -> tuple[Member, Member]:
    """(enterprise, reviewer), through the whole review."""
    owner, reviewer = await applicant(world, certified=True), await world.official(Role.REVIEWER)
    approval = await submitted_qualification(world, owner, programme.id)
    status, body = await world.post(f"/approvals/{approval}/approval", {}, by=reviewer)
    assert status == 200, body
    return owner, reviewer


async def standing(world: World, enterprise: Member, programme: Programme) -> tuple[str | None, int | None, bool]:
    """(state, form version, complete) as the enterprise sees it."""
    _, body = await world.get("/qualifications", by=enterprise)
    return next(
        (one["state"], one["form_version"], one["complete"]) for one in body["items"] if one["programme_id"] == programme.id
    )


async def test_a_certified_enterprise_qualifies(world: World) -> None:
    programme = await world.programme()
    owner, reviewer = await applicant(world, certified=True), await world.official(Role.REVIEWER)
    _, before = await world.get("/qualifications", by=owner)
    assert [(one["programme_id"], one["state"], one["complete"]) for one in before["items"]] == [(programme.id, None, False)]
    approval = await submitted_qualification(world, owner, programme.id)
    _, mine = await world.get(f"/programmes/{programme.id}/qualification", by=owner)
    assert (mine["state"], mine["form_version"], mine["queue"]["position"], mine["queue"]["working_days_left"]) == ("submitted", 2, 1, 5)
    assert await standing(world, owner, programme) == ("submitted", 2, False)

    _, case = await world.get(f"/approvals/{approval}", by=reviewer)
    shown = {one["field"]: (one["title"], one["value"]) for one in case["facts"]["fields"]}
    assert shown["tax_last_year_fen"] == ("上年度纳税额(万元)", 35_000_000)
    assert shown["legal_person_name"] == ("法人姓名", "王**")
    assert [one["slot"] for one in case["facts"]["files"]] == ["admission_form", "business_licence", "commitment_letter"]
    await world.post(f"/approvals/{approval}/approval", {"remark": "材料齐全"}, by=reviewer)

    assert await standing(world, owner, programme) == ("approved", FORM_VERSION, True)


async def test_the_form_asks_what_the_manual_asks(world: World) -> None:
    owner = await applicant(world)
    _, form = await world.get("/qualifications/form", by=owner)
    schema = form["json_schema"]
    titles = {one["title"]: name in schema["required"] for name, one in schema["properties"].items()}
    assert titles == {
        "企业名称": True, "所在区县": True, "上年度纳税额(万元)": True, "主营业务": True, "职工总数": True, "上年度营业收入(万元)": True,
        "所属行业": True, "上年资产总额(万元)": True, "法人姓名": False, "上年度研发投入(万元)": False, "企业类型": False,
        "企业资质": False, "统计上大中小微型企业划分": True,
    }
    honours = [one["title"] for one in schema["properties"]["honours"]["x-choices"]]
    assert honours == ["独角兽(企业)", "瞪羚(后备)企业", "专精特新企业", "一企一技术"]
    assert schema["properties"]["tax_last_year_fen"]["x-scale"] == 1_000_000
    assert [(one["title"], one["required"], one["template"]) for one in form["slots"]] == [
        ("中小微企业入库申请表", True, "admission_form"), ("工商营业执照复印件", True, None),
        ("专项服务券使用承诺书", True, "commitment_letter"), ("近期社会保险参保缴费证明", False, None),
        ("上年度纳税申报表(非零)分页", False, None),
    ]


@pytest.mark.parametrize("field", required_fields(QualificationForm2))
async def test_each_required_field_is_required(world: World, field: str) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    body = await qualification(world, owner)
    del body["form"][field]
    path = f"/programmes/{programme.id}/qualification"
    assert (await world.put(path, body, by=owner))[0] == 200
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/submission", by=owner)
    assert (status, [(one["field"], one["problem"]) for one in problem["data"]["items"]]) == (422, [(field, "必填")])
    assert await world.snapshot(*TABLES) == before


@pytest.mark.parametrize("slot", ["admission_form", "business_licence", "commitment_letter"])
async def test_each_required_file_is_required(world: World, slot: str) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    body = await qualification(world, owner)
    del body["files"][slot]
    path = f"/programmes/{programme.id}/qualification"
    await world.put(path, body, by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/submission", by=owner)
    assert (status, [one["field"] for one in problem["data"]["items"]]) == (422, [f"files.{slot}"])
    assert await world.snapshot(*TABLES) == before


@pytest.mark.parametrize(("field", "value"), [
    ("tax_last_year_fen", -1), ("tax_last_year_fen", 10**15 + 1), ("tax_last_year_fen", 35.5), ("tax_last_year_fen", "3500"),
    ("employees", 0), ("industry", "Z"), ("honours", ["unicorn", "unicorn"]), ("honours", ["rich"]), ("honours", "unicorn"),
    ("enterprise_type", "shop"), ("main_business", " "), ("size_class", "large"), ("region_code", "37010"),
])
async def test_values_out_of_range_are_refused(world: World, field: str, value: object) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    before = await world.snapshot(*TABLES)
    status, problem = await world.put(f"/programmes/{programme.id}/qualification", {"form": {field: value}}, by=owner)
    assert (status, [one["field"] for one in problem["data"]["items"]]) == (422, [field])
    assert await world.snapshot(*TABLES) == before


async def test_an_enterprise_that_is_not_certified_may_fill_in_but_not_submit(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world)
    path = f"/programmes/{programme.id}/qualification"
    await world.put(path, await qualification(world, owner), by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/submission", by=owner)
    assert (status, problem["code"]) == (409, "not_certified")
    assert await world.snapshot(*TABLES) == before


async def test_a_programme_of_another_city_is_not_for_this_enterprise(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    await world.owner.execute("UPDATE programmes SET region_code = '370200' WHERE id = $1", programme.id)
    path = f"/programmes/{programme.id}/qualification"
    await world.put(path, await qualification(world, owner), by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/submission", by=owner)
    assert (status, problem["code"], problem["data"]) == (409, "outside_programme", {"region_code": "370200"})
    assert await world.snapshot(*TABLES) == before


async def test_programmes_that_are_not_published_are_not_there(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    await world.owner.execute("UPDATE programmes SET state = 'draft' WHERE id = $1", programme.id)
    before = await world.snapshot(*TABLES)
    for number in (programme.id, programme.id + 1):
        assert (await world.put(f"/programmes/{number}/qualification", {"form": {}}, by=owner))[0] == 404
        assert (await world.get(f"/programmes/{number}/qualification", by=owner))[0] == 404
    assert await world.snapshot(*TABLES) == before


async def test_an_update_in_jinan_needs_no_new_review(world: World) -> None:
    programme = await world.programme(requalify_on_update="none")
    owner, _ = await qualified(world, programme)
    approvals = await world.snapshot("approvals")
    body = await qualification(world, owner, employees=57, enterprise_name=(await name_of(world, owner)))
    status, view = await world.post(f"/programmes/{programme.id}/qualification/amendment", body, by=owner)
    assert (status, view["state"], view["form"]["employees"]) == (200, "approved", 57)
    assert await world.snapshot("approvals") == approvals
    changed = await world.one("SELECT data FROM audit_entries WHERE action = 'application.updated'")
    declared = json.loads(changed["data"])
    assert declared["fields"] == ["employees"]
    [[before, after]] = declared["values"].values()  # what was declared when earlier vouchers were reserved can still be shown
    assert (before is not None and before != 57, after) == (True, 57)


async def name_of(world: World, member: Member) -> str:
    name: str = await world.value("SELECT name FROM organisations WHERE id = $1", member.organisation_id)
    return name


@pytest.mark.parametrize(("policy", "change", "state"), [
    ("always", {"employees": 57}, "submitted"), ("sensitive_fields", {"employees": 57}, "approved"),
    ("sensitive_fields", {"industry": "I"}, "submitted"), ("none", {"industry": "I"}, "approved"),
])
async def test_the_policy_says_whether_an_update_is_reviewed(
    world: World, policy: str, change: dict[str, object], state: str
) -> None:
    programme = await world.programme(requalify_on_update=policy)
    owner, _ = await qualified(world, programme)
    body = await qualification(world, owner, **change)
    status, view = await world.post(f"/programmes/{programme.id}/qualification/amendment", body, by=owner)
    assert (status, view["state"]) == (200, state)


async def test_an_update_must_be_whole(world: World) -> None:
    programme = await world.programme()
    owner, _ = await qualified(world, programme)
    body = await qualification(world, owner)
    before = await world.snapshot(*TABLES)
    without = {"form": body["form"], "files": {slot: ids for slot, ids in body["files"].items() if slot != "admission_form"}}
    status, problem = await world.post(f"/programmes/{programme.id}/qualification/amendment", without, by=owner)
    assert (status, [one["field"] for one in problem["data"]["items"]]) == (422, ["files.admission_form"])
    assert await world.snapshot(*TABLES) == before


async def test_only_what_is_approved_is_amended(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    path = f"/programmes/{programme.id}/qualification"
    await world.put(path, {"form": {"employees": 3}}, by=owner)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/amendment", {"form": {"employees": 4}}, by=owner)
    assert (status, problem["code"], problem["data"]) == (409, "application_not_approved", {"state": "draft"})
    assert await world.snapshot(*TABLES) == before


async def test_a_form_of_an_earlier_version_must_be_completed(world: World) -> None:
    programme = await world.programme()
    owner, _ = await qualified(world, programme)
    await world.owner.execute("UPDATE applications SET form_version = 1, form = form - 'size_class'")
    assert await standing(world, owner, programme) == ("approved", 1, False)
    _, view = await world.get(f"/programmes/{programme.id}/qualification", by=owner)
    assert (view["is_complete"], view["form_version"], view["current_form_version"]) == (False, 1, 2)

    body = await qualification(world, owner, size_class="micro")
    status, view = await world.post(f"/programmes/{programme.id}/qualification/amendment", body, by=owner)
    assert (status, view["state"], view["is_complete"], view["form_version"]) == (200, "approved", True, 2)
    assert await standing(world, owner, programme) == ("approved", 2, True)


async def test_one_enterprise_applies_to_two_programmes_and_once_to_each(world: World) -> None:
    first, second, owner = await world.programme(), await world.programme(), await applicant(world, certified=True)
    for programme in (first, second, first):
        assert (await world.put(f"/programmes/{programme.id}/qualification", {"form": {"employees": programme.id}}, by=owner))[0] == 200
    kept = await world.owner.fetch("SELECT programme_id, form FROM applications ORDER BY id")
    assert [(one["programme_id"], json.loads(one["form"])) for one in kept] == [
        (first.id, {"employees": first.id}), (second.id, {"employees": second.id})]


async def test_optional_files_come_in_their_numbers(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    path = f"/programmes/{programme.id}/qualification"
    pages = [await file(world, owner, "tax_return") for _ in range(6)]
    assert (await world.put(path, {"form": QUALIFICATION, "files": {"tax_return": pages[:5]}}, by=owner))[0] == 200
    status, problem = await world.put(path, {"form": QUALIFICATION, "files": {"tax_return": pages}}, by=owner)
    assert (status, problem["data"]["items"][0]["problem"]) == (422, "最多 5 个文件")


@pytest.mark.parametrize(("name", "title"), [
    ("admission_form", "中小微企业入库申请表"), ("commitment_letter", "专项服务券使用承诺书"),
])
async def test_templates_are_word_documents_that_anybody_may_download(world: World, name: str, title: str) -> None:
    async with world.client.get(f"/api/v1/templates/{name}") as response:
        content = await response.read()
        assert response.status == 200
        assert response.headers["Content-Disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        document = ET.fromstring(archive.read("word/document.xml"))
    text = "".join(document.itertext())
    assert title in text
    assert "盖章" in text
    if name == "admission_form":
        assert all(str(field.title) in text for field in QualificationForm2.model_fields.values())
    assert (await world.get("/templates/payroll"))[0] == 404
