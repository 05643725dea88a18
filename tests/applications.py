"""Filling in the forms of an applicant: the builders that the tests of applications, files and approvals share."""

import io
from typing import Any

from aiohttp import FormData
from PIL import Image

from handlers.accounts.consents import privacy
from handlers.regions import load_regions
from models.accounts import OrganisationKind, Role
from tests.world import SHIZHONG, Member, World

PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"

CERTIFICATION = {
    "region_code": SHIZHONG, "address": "济南市市中区经十路 1 号", "legal_person_name": "王建国",
    "legal_person_id_number": "370103199003071234", "contact_name": "李小红", "contact_phone": "13853112345",
}
QUALIFICATION = {
    "region_code": SHIZHONG, "tax_last_year_fen": 35_000_000, "main_business": "精密零件加工", "employees": 42,
    "revenue_last_year_fen": 1_280_000_000, "industry": "C", "assets_last_year_fen": 900_000_000, "legal_person_name": "王建国",
    "honours": ["specialised"], "size_class": "small",
}


def valid(first_seventeen: str) -> str:
    """A credit code with its check digit."""
    from handlers.accounts.organisations import credit_code_of

    return next(code for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY" if (code := credit_code_of(first_seventeen + letter)))


def identity_number(first_seventeen: str) -> str:
    from handlers.application_forms import is_id_number

    return next(number for letter in "0123456789X" if is_id_number(number := first_seventeen + letter))


CERTIFICATION["legal_person_id_number"] = identity_number("37010319900307123")


def picture(width: int = 8, height: int = 8, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, kind)
    return buffer.getvalue()


async def applicant(world: World, *, certified: bool = False, role: Role = Role.OWNER, park_id: int | None = None) -> Member:
    """A registered enterprise with a real credit code; its member has agreed to the privacy text."""
    await load_regions()
    organisation = await world.organisation(OrganisationKind.ENTERPRISE, certified=certified, park_id=park_id)
    await world.owner.execute(
        "UPDATE organisations SET credit_code = $2 WHERE id = $1", organisation, valid(f"91370103MA{organisation % 10**7:07d}"[:17])
    )
    member = await world.member(organisation, role)
    await consent(world, member)
    return member


async def consent(world: World, member: Member) -> None:
    text = privacy()
    await world.owner.execute(
        "INSERT INTO consents (person_id, document, version, agreed_at) VALUES ($1, $2, $3, $4)",
        member.person_id, text["document"], text["version"], world.clock.now(),
    )


async def upload(
    world: World, member: Member, slot: str, name: str = "扫描件.pdf", content: Any = PDF, *, key: str | None = None
) -> tuple[int, Any]:
    """`content`: bytes, or an async iterator of them."""
    form = FormData()
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    form.add_field("file", stream, filename=name, content_type="application/octet-stream")
    headers = {"Authorization": f"Bearer {member.token}"} | ({"Idempotency-Key": key} if key else {})
    async with world.client.post(f"/api/v1/attachments?slot={slot}", data=form, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def file(world: World, member: Member, slot: str) -> int:
    status, body = await upload(world, member, slot)
    assert status == 201, body
    number: int = body["id"]
    return number


async def certification(world: World, member: Member, **changes: object) -> dict[str, Any]:
    """A whole body for /certification."""
    own = await world.one("SELECT name, credit_code FROM organisations WHERE id = $1", member.organisation_id)
    form = CERTIFICATION | {"enterprise_name": own["name"], "credit_code": own["credit_code"]} | changes
    return {"form": form, "files": {"business_licence": [await file(world, member, "business_licence")]}}


async def qualification(world: World, member: Member, **changes: object) -> dict[str, Any]:
    """A whole body for /programmes/{id}/qualification."""
    own = await world.one("SELECT name FROM organisations WHERE id = $1", member.organisation_id)
    slots = ("admission_form", "business_licence", "commitment_letter")
    return {
        "form": QUALIFICATION | {"enterprise_name": own["name"]} | changes,
        "files": {slot: [await file(world, member, slot)] for slot in slots},
    }


async def submitted_certification(world: World, member: Member) -> int:
    """Certification in the queue; the id of its approval."""
    status, body = await world.put("/certification", await certification(world, member), by=member)
    assert status == 200, body
    status, body = await world.post("/certification/submission", by=member)
    assert status == 200, body
    approval: int = await world.value("SELECT id FROM approvals WHERE subject_id = $1 AND state = 'open'", body["id"])
    return approval


async def submitted_qualification(world: World, member: Member, programme_id: int) -> int:
    """Qualification in the queue; the id of its approval."""
    path = f"/programmes/{programme_id}/qualification"
    status, body = await world.put(path, await qualification(world, member), by=member)
    assert status == 200, body
    status, body = await world.post(f"{path}/submission", by=member)
    assert status == 200, body
    approval: int = await world.value("SELECT id FROM approvals WHERE subject_id = $1 AND state = 'open'", body["id"])
    return approval
