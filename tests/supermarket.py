"""A supermarket with its administrator, and institutions that it certifies: what the tests of its features begin with."""

from dataclasses import dataclass
from typing import Any

from handlers.programmes import SUZHOU
from handlers.regions import load_regions
from models.accounts import OrganisationKind, Role
from tests.applications import consent, upload, valid
from tests.library import photo, waiting
from tests.world import Member, World

SIP, SHANGHAI_PUDONG = "320571", "310115"
CERTIFICATION: dict[str, Any] = {
    "region_code": SIP, "address": "苏州工业园区星湖街 328 号", "category": "legal", "introduction": "专注知识产权与公司法律服务。",
    "service_scope": "常年法律顾问、专项法律服务", "contact_name": "李小红", "contact_phone": "13853112345",
    "contact_email": "li.xiaohong@example.com", "landline": "0512-67060000",
}


@dataclass
class Supermarket:
    world: World
    id: int
    admin: Member

    @property
    def path(self) -> str:
        return f"/programmes/{self.id}/supermarket-certification"

    @property
    def membership_path(self) -> str:
        return f"/programmes/{self.id}/association-membership"

    async def saved(self, member: Member, **changes: Any) -> dict[str, Any]:
        """A whole certification as a draft."""
        own = await self.world.one("SELECT name, credit_code FROM organisations WHERE id = $1", member.organisation_id)
        form = CERTIFICATION | {"institution_name": own["name"], "credit_code": own["credit_code"]} | changes
        files = {slot: [await photo(self.world, member, slot)] for slot in ("institution_licence", "institution_logo")}
        status, answer = await self.world.put(self.path, {"form": form, "files": files}, by=member)
        assert status == 200, answer
        return dict(answer)

    async def submitted(self, member: Member, **changes: Any) -> int:
        """In the queue; the id of the application."""
        await self.saved(member, **changes)
        status, answer = await self.world.post(f"{self.path}/submission", by=member)
        assert (status, answer["state"]) == (200, "submitted"), answer
        return int(answer["id"])

    async def decide(self, application_id: int, verb: str, reason: str | None = None, *, by: Member | None = None) -> tuple[int, Any]:
        approval = await waiting(self.world, application_id)
        return await self.world.post(f"/approvals/{approval}/{verb}", {"reason": reason} if reason else {}, by=by or self.admin)

    async def certified(self, **changes: Any) -> Member:
        member = await applying(self.world, changes.get("region_code", SIP))
        status, answer = await self.decide(await self.submitted(member, **changes), "approval")
        assert status == 200, answer
        return member

    async def standard(self, name: str = "常年法律顾问", **changes: Any) -> int:
        body = STANDARD | {"name": name} | changes
        status, answer = await self.world.post(f"/programmes/{self.id}/standard-products", body, by=self.admin)
        assert status == 201, answer
        return int(answer["id"])


STANDARD: dict[str, Any] = {
    "category": "legal", "introduction": "为企业日常经营提供法律咨询与合同审查。",
    "parameters": [
        {"name": "服务期限", "unit": "月", "required": True}, {"name": "服务方式", "choices": ["上门", "远程"]},
    ],
}
ACTIVITY: dict[str, Any] = {
    "happened_on": "2026-02-20", "title": "知识产权公益讲座", "place": "市中区政务服务中心", "partner": "市中区市场监督管理局",
    "part": "organiser", "participants": 80, "is_public_benefit": True,
}


async def open_supermarket(world: World, region_code: str = SIP, admin: Member | None = None) -> Supermarket:
    await load_regions()
    maker, second, now = (await world.person())[0], (await world.person())[0], world.clock.now()
    programme = await world.owner.fetchval(
        "INSERT INTO programmes (name, region_code, state, made_by_id, created_at) VALUES ('园区企业服务超市',$1,'published',$2,$3)"
        " RETURNING id", region_code, maker, now,
    )
    await world.owner.execute(
        "INSERT INTO policies (programme_id, number, rules, state, made_by_id, confirmed_by_id, confirmed_at, created_at)"
        " VALUES ($1,1,$2,'confirmed',$3,$4,$5,$5)", programme, SUZHOU.model_dump_json(), maker, second, now,
    )
    return Supermarket(world, programme, admin or await world.official(Role.ADMIN, region_code=region_code))


async def applying(world: World, region_code: str = SIP) -> Member:
    """A registered institution that nobody has admitted; its member has agreed to the privacy text."""
    organisation = await world.organisation(OrganisationKind.INSTITUTION, certified=False, region_code=region_code)
    code = valid(f"91320594MB{organisation % 10**7:07d}"[:17])
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", organisation, code)
    member = await world.member(organisation, Role.OWNER)
    await consent(world, member)
    return member


async def evidence(world: World, member: Member, content: str = "合同") -> int:
    """Each content is another file."""
    status, body = await upload(world, member, "filing_evidence", "证明.pdf", b"%PDF-1.4\n" + content.encode() + b"\n%%EOF\n")
    assert status == 201, body
    return int(body["id"])
