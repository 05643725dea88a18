"""An institution on its way into the library: the builders that the tests of institutions and products share."""

from typing import Any

from models.accounts import OrganisationKind, Role
from tests.applications import PDF, consent, picture, upload, valid
from tests.world import SHIZHONG, Member, World

ADMISSION: dict[str, Any] = {
    "category": "ip", "introduction": "专注知识产权服务十年。", "region_code": SHIZHONG, "address": "济南市市中区英雄山路 1 号",
    "latitude": 36.651234, "longitude": 117.001234, "pinned": True, "contact_name": "李小红", "contact_phone": "13853112345",
    "landline": "0531-88880000", "qualification_info": "无", "business_info": "上年度服务企业 120 家。",
    "finance_info": "上年度营业收入 800 万元。",
    "bank_branch": "中国银行郑州高新区支行", "bank_account": "6217 8580 1234 5678",
    "scopes": [{"category": "ip", "content": "知识产权申请服务"}, {"category": "testing", "content": "计量服务"}],
    "no_licence_photos": {"none": True}, "no_other_photos": {"none": True}, "no_ranking_photos": {"none": True},
    "no_business_photos": {"none": True}, "no_client_list": {"none": True}, "no_recommendation": {"none": True},
}
PHOTO_SLOTS = ("institution_picture", "institution_licence", "qualification_photos")
PAPER_SLOTS = ("admission_letter", "product_application", "contracts")


async def applying(world: World, role: Role = Role.OWNER) -> Member:
    """A registered institution that is not in the library; its member has agreed to the privacy text."""
    organisation = await world.organisation(OrganisationKind.INSTITUTION, certified=False)
    code = valid(f"91370103MB{organisation % 10**7:07d}"[:17])
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", organisation, code)
    await world.owner.execute("INSERT INTO regions (code, name, level) VALUES ($1, '市中区', 'county') ON CONFLICT DO NOTHING", SHIZHONG)
    member = await world.member(organisation, role)
    await consent(world, member)
    return member


async def photo(world: World, member: Member, slot: str = "photo") -> int:
    status, body = await upload(world, member, slot, "图片.png", picture(width=sum(slot.encode()) % 97 + 8))
    assert status == 201, body
    return int(body["id"])


async def admission(world: World, member: Member, **changes: Any) -> dict[str, Any]:
    """A whole body for /institution/admission."""
    own = await world.one("SELECT name, credit_code FROM organisations WHERE id = $1", member.organisation_id)
    files = {slot: [await photo(world, member, slot)] for slot in PHOTO_SLOTS}
    for slot in PAPER_SLOTS:
        status, body = await upload(world, member, slot, "扫描件.pdf", PDF)
        assert status == 201, body
        files[slot] = [body["id"]]
    named = {"institution_name": own["name"], "credit_code": own["credit_code"], "bank_account_name": own["name"]}
    return {"form": ADMISSION | named | changes, "files": files}


async def submitted(world: World, member: Member, **changes: Any) -> int:
    """An admission in the queue; the id of its approval."""
    body = await admission(world, member, **changes)
    status, answer = await world.put("/institution/admission", body, by=member)
    assert status == 200, answer
    status, answer = await world.post("/institution/admission/submission", by=member)
    assert status == 200, answer
    return await waiting(world, answer["id"])


async def waiting(world: World, application_id: int) -> int:
    return int(await world.value(
        "SELECT id FROM approvals WHERE subject = 'application' AND subject_id = $1 AND state = 'open'", application_id
    ))


async def admitted(world: World, reviewer: Member, **changes: Any) -> Member:
    """An institution in the library."""
    member = await applying(world)
    status, answer = await world.post(f"/approvals/{await submitted(world, member, **changes)}/approval", by=reviewer)
    assert status == 200, answer
    return member
