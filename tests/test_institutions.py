from handlers.accounts.consents import privacy
from models.accounts import Role
from tests.world import World

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
    assert set(shop) == {"id", "name", "region_code", "products", "contact_name", *PROFILE}
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
