"""服务顾问 (D07-D11): added, invited by a link, accepted once by the right person, reviewed, and ended by either side at once."""

import hashlib
import io
import re
from datetime import timedelta

import pytest
from aiohttp import FormData
from PIL import Image

from handlers import consultants
from handlers.ports import PlatformDownError
from models.accounts import Role
from tests.applications import consent, picture
from tests.consulting import OTHER_PHONE, PHONE, PROFILE, Consulting, open_consulting
from tests.world import Member, World


@pytest.fixture
async def consulting(world: World) -> Consulting:
    return await open_consulting(world)


# --- the list of the institution -------------------------------------------------------------------------------------------


async def test_an_institution_adds_a_consultant_and_sees_personal_values_masked(consulting):
    consultant_id = await consulting.add(email="zhang.min@example.com")
    shown = await consulting.shown(consultant_id)
    assert (shown["display_name"], shown["name"], shown["phone"], shown["email"]) == (
        "张顾问", "张*", "138****8000", "z****@example.com",
    )
    assert shown["specialities"] == [{"code": "legal", "title": "法律服务"}]
    assert (shown["state"], shown["invitation"], shown["accepted_by"]) == ("added", None, None)
    assert shown["allowed_actions"] == ["invite", "change", "end"]
    row = await consulting.world.one("SELECT * FROM consultants")
    stored = b"".join(bytes(row[column]) for column in ("name", "phone", "email"))
    assert PHONE.encode() not in stored
    assert "张敏".encode() not in stored


@pytest.mark.parametrize(("changes", "code"), [
    ({"phone": None}, "contact_needed"),
    ({"specialities": ["astrology"]}, "speciality_unknown"),
    ({"phone": "12345"}, "invalid_input"),
    ({"email": "a@b"}, "invalid_input"),
    ({"name": "张*"}, "invalid_input"),
])
async def test_a_consultant_needs_a_way_to_be_reached_and_a_known_speciality(consulting, changes, code):
    async with await consulting.unchanged():
        body = {"name": "张敏", "phone": PHONE, "specialities": ["legal"], **changes}
        status, answer = await consulting.world.post("/institution/consultants", body, by=consulting.owner)
    assert (status, answer["code"]) == (422, code)


async def test_a_mobile_is_on_an_institutions_list_once_and_may_be_on_anothers(consulting, world):
    await consulting.add()
    async with await consulting.unchanged():
        status, body = await world.post("/institution/consultants", {"name": "张敏", "phone": PHONE}, by=consulting.owner)
    assert (status, body["code"]) == (409, "consultant_exists")
    rival = await world.institution()
    status, _ = await world.post("/institution/consultants", {"name": "张敏", "phone": PHONE}, by=rival)
    assert status == 201


@pytest.mark.parametrize("change", ["certified_at = NULL", "suspended_at = now()"])
async def test_only_an_open_institution_adds_and_invites(consulting, world, change):
    consultant_id = await consulting.add()
    await world.owner.execute(f"UPDATE organisations SET {change} WHERE id = $1", consulting.owner.organisation_id)
    await world.owner.execute(
        "UPDATE institutions SET state = $2, suspended_until = $3, suspension_reason = $4 WHERE organisation_id = $1",
        consulting.owner.organisation_id, *(("applying", None, None) if "cert" in change else ("suspended", world.at(days=9), "核查")),
    )
    async with await consulting.unchanged():
        for path, body in (("", {"name": "李雷", "phone": OTHER_PHONE}), (f"/{consultant_id}/invitation", {})):
            status, answer = await world.post(f"/institution/consultants{path}", body, by=consulting.owner)
            assert (status, answer["code"]) == (409, "institution_not_certified" if "cert" in change else "institution_suspended")


async def test_what_was_written_is_corrected_while_nobody_was_asked_with_it(consulting, world):
    consultant_id = await consulting.add()
    body = {"name": "张明", "display_name": "张律师", "phone": OTHER_PHONE, "specialities": ["ip", "ip"]}
    status, changed = await world.put(f"/institution/consultants/{consultant_id}", body, by=consulting.owner)
    assert (status, changed["display_name"], changed["phone"]) == (200, "张律师", "139****9000")
    assert changed["specialities"] == [{"code": "ip", "title": "知识产权服务"}]
    await consulting.invite(consultant_id)
    async with await consulting.unchanged():
        status, answer = await world.put(f"/institution/consultants/{consultant_id}", body, by=consulting.owner)
    assert (status, answer["code"], answer["data"]) == (409, "consultant_state_wrong", {"state": "invited"})


async def test_an_institution_lists_its_own_consultants_newest_first_page_by_page(consulting, world):
    ids = [await consulting.add(phone=f"1380000000{number}") for number in range(3)]
    rival = await world.institution()
    status, page = await world.get("/institution/consultants?limit=2", by=consulting.owner)
    assert (status, [one["id"] for one in page["items"]]) == (200, [ids[2], ids[1]])
    _, page = await world.get(f"/institution/consultants?limit=2&after={page['next']}", by=consulting.owner)
    assert ([one["id"] for one in page["items"]], page["next"]) == ([ids[0]], None)
    assert (await world.get("/institution/consultants", by=rival))[1]["items"] == []
    assert (await world.get("/institution/consultants?state=active", by=consulting.owner))[1]["items"] == []


# --- the invitation --------------------------------------------------------------------------------------------------------


async def test_an_invitation_is_shown_once_and_only_its_hash_is_kept(consulting, world):
    consultant_id = await consulting.add(email="zhang.min@example.com")
    path, key = f"/institution/consultants/{consultant_id}/invitation", "the-same-key"
    status, body = await world.post(path, by=consulting.owner, key=key)
    assert (status, body["link"]) == (201, f"http://127.0.0.1:8080/i/{body['token']}")
    assert re.fullmatch(r"[A-Za-z0-9_-]{24}", body["token"])  # 18 random bytes
    assert body["consultant"]["state"] == "invited"
    assert await world.value("SELECT token_hash FROM invitations") == hashlib.sha256(body["token"].encode()).digest()
    again = await world.post(path, by=consulting.owner, key=key)
    assert again == (201, {**body, "link": None, "token": None})
    names = [row["tablename"] for row in await world.owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found = await world.snapshot(*sorted(set(names) - {"write_probes"}))
    assert body["token"] not in str(found)
    assert body["token"].encode().hex() not in str({name: [[v.hex() if isinstance(v, bytes) else v for v in row] for row in rows]
                                                    for name, rows in found.items()})


async def test_an_invitation_reaches_its_person_by_sms_and_e_mail_with_the_institutions_name(consulting):
    consultant_id = await consulting.add(email="zhang.min@example.com")
    token = await consulting.invite(consultant_id)
    await consulting.deliver()
    link, name = f"http://127.0.0.1:8080/i/{token}", await consulting.world.value(
        "SELECT name FROM organisations WHERE id = $1", consulting.owner.organisation_id
    )
    (sms,), (mail,) = consulting.sms.sent, consulting.mail.sent
    assert (sms.open_id, mail.open_id) == (PHONE, "zhang.min@example.com")
    assert sms.fields == {"institution": name, "until": "2026-03-09T01:00:00+00:00", "link": link}
    assert mail.title == f"{name} 邀请您成为服务顾问"
    assert link in mail.body
    assert "3月9日 09:00" in mail.body


async def test_a_lost_link_is_a_new_invitation_and_the_old_one_is_dead(consulting, world):
    consultant_id, old = await consulting.invited()
    new = await consulting.invite(consultant_id)
    person = await consulting.somebody()
    assert (await world.get(f"/invitations/{old}", by=person))[0] == 404
    assert (await world.get(f"/invitations/{new}", by=person))[1]["state"] == "live"
    assert await world.value("SELECT array_agg(state ORDER BY id) FROM invitations") == ["revoked", "live"]


async def test_unknown_revoked_declined_and_another_persons_invitation_have_one_answer(consulting, world):
    person, stranger = await consulting.somebody(), await consulting.somebody(OTHER_PHONE)
    revoked_id, revoked = await consulting.invited(phone="13800000001")
    assert (await world.delete(f"/institution/consultants/{revoked_id}/invitation", by=consulting.owner))[1]["state"] == "added"
    declined_id, declined = await consulting.invited(phone=None, email="a.li@example.com")
    status, body = await world.post(f"/invitations/{declined}/refusal", by=person)
    assert (status, body["state"]) == (200, "declined")
    assert await consulting.state(declined_id) == "added"
    _, accepted = await consulting.invited(phone=PHONE)
    assert (await consulting.accept(accepted, person))[0] == 200
    same = {"X-Request-Id": "same-for-all"}
    answers = [await world.call("GET", f"/invitations/{token}", by=stranger, headers=same)
               for token in ("y" * 24, revoked, declined, accepted)]
    assert answers == [answers[0]] * 4
    assert (answers[0][0], answers[0][1]["code"]) == (404, "not_found")
    for token in ("y" * 24, revoked, declined):
        assert (await consulting.accept(token, stranger))[0] == 404


async def test_who_opens_an_invitation_sees_who_invites_and_what_becomes_public(consulting, world):
    await world.owner.execute(
        "UPDATE institutions SET introduction = '律师事务所', address = '月亮湾路10号', landline = '0512-67068000', contact_name = $2,"
        " bank_account_name = '户名' WHERE organisation_id = $1", consulting.owner.organisation_id, b"sealed",
    )
    _, token = await consulting.invited()
    status, body = await world.get(f"/invitations/{token}", by=await consulting.somebody())
    assert status == 200
    assert body["institution"] == {
        "id": consulting.owner.organisation_id, "name": body["institution"]["name"], "introduction": "律师事务所",
        "address": "月亮湾路10号", "website": "", "landline": "0512-67068000", "category": None,
    }
    assert (body["state"], body["display_name"], body["phone_named"], body["consultancy_id"]) == ("live", "张顾问", True, None)
    assert "手机号" in body["stays_private"]
    assert PHONE not in str(body)
    assert "张敏" not in str(body)


async def test_only_the_phone_that_was_named_may_accept(consulting, world):
    consultant_id, token = await consulting.invited()
    forwarded = await consulting.somebody(OTHER_PHONE)
    async with await consulting.unchanged():
        for path in ("acceptance", "refusal"):
            status, body = await world.post(f"/invitations/{token}/{path}", by=forwarded)
            assert (status, body["code"]) == (403, "invited_other")
    right = await consulting.somebody()
    status, body = await consulting.accept(token, right)
    assert (status, body["state"], body["allowed_actions"]) == (200, "filling", ["submit", "end"])
    assert await world.value("SELECT person_id FROM consultants WHERE id = $1", consultant_id) == right.person_id
    assert await consulting.told("consultant_progress") == [
        (consulting.owner.organisation_id, None, {"consultant": "张顾问", "step": "accepted"}),
    ]


async def test_where_no_phone_was_named_the_institution_sees_who_accepted(consulting):
    consultant_id, token = await consulting.invited(phone=None, email="zhang.min@example.com")
    status, _ = await consulting.accept(token, await consulting.somebody(OTHER_PHONE))
    shown = await consulting.shown(consultant_id)
    assert (status, shown["accepted_phone"], shown["invitation"]["state"]) == (200, "139****9000", "accepted")


async def test_accepting_needs_consent_and_a_phone_of_ones_own(consulting):
    _, token = await consulting.invited(phone=None, email="zhang.min@example.com")
    for person, code in (
        (await consulting.somebody(agreed=False), "consent_needed"), (await consulting.somebody(None), "phone_needed"),
    ):
        async with await consulting.unchanged():
            status, body = await consulting.accept(token, person)
        assert body["code"] == code
        assert status in {403, 409}


async def test_an_invitation_is_used_once(consulting):
    _, token = await consulting.invited(phone=None, email="zhang.min@example.com")
    person = await consulting.somebody()
    assert (await consulting.accept(token, person))[0] == 200
    for again in (person, await consulting.somebody(OTHER_PHONE)):
        async with await consulting.unchanged():
            status, body = await consulting.accept(token, again)
        assert (status, body["code"]) == (409, "invitation_used")


@pytest.mark.parametrize(("late_us", "status", "code"), [(-1, 200, None), (0, 409, "invitation_expired"), (1, 409, "invitation_expired")])
async def test_an_invitation_ends_after_seven_days_to_the_instant(consulting, world, late_us, status, code):
    _, token = await consulting.invited()
    person = await consulting.somebody()
    world.clock.set(world.at(days=7) + timedelta(microseconds=late_us))
    answer = await consulting.accept(token, person)
    assert (answer[0], answer[1].get("code")) == (status, code)


@pytest.mark.parametrize(("late_us", "lapsed"), [(-1, 0), (0, 1), (1, 1)])
async def test_the_sweep_ends_what_is_over_once_and_tells_the_institution(consulting, world, late_us, lapsed):
    consultant_id, _ = await consulting.invited()
    world.clock.set(world.at(days=7) + timedelta(microseconds=late_us))
    assert await world.sweep(consultants.lapse_due) == lapsed
    assert await world.sweep(consultants.lapse_due) == 0
    assert await consulting.state(consultant_id) == ("added" if lapsed else "invited")
    told = [(consulting.owner.organisation_id, None, {"consultant": "张顾问", "step": "expired"})]
    assert await consulting.told("consultant_progress") == told[:lapsed]


@pytest.mark.parametrize("swept", [True, False])
async def test_whoever_finds_the_link_expired_asks_for_another_once(consulting, world, swept):
    consultant_id, token = await consulting.invited()
    person = await consulting.somebody()
    async with await consulting.unchanged():
        assert (await world.post(f"/invitations/{token}/renewal", by=person))[1]["code"] == "consultant_state_wrong"
    world.clock.advance(days=7)
    if swept:
        await world.sweep(consultants.lapse_due)
    assert (await world.get(f"/invitations/{token}", by=person))[1]["state"] == "expired"
    for _ in range(2):
        status, body = await world.post(f"/invitations/{token}/renewal", by=person)
        assert (status, body["state"]) == (200, "expired")
    asked = [what for what in await consulting.told("consultant_progress") if what[2]["step"] == "renewal_asked"]
    assert len(asked) == 1
    assert (await consulting.shown(consultant_id))["invitation"]["renewal_asked_at"] == "2026-03-09T01:00:00+00:00"
    new = await consulting.invite(consultant_id)
    assert (await consulting.accept(new, person))[0] == 200


async def test_a_poster_has_the_institutions_name_and_the_code_of_the_link(consulting, world):
    _, token = await consulting.invited()
    name = await world.value("SELECT name FROM organisations WHERE id = $1", consulting.owner.organisation_id)
    png, svg = [await _download(world, f"/invitations/{token}/poster.{kind}", consulting.owner) for kind in ("png", "svg")]
    assert (png[0], png[1], svg[0], svg[1]) == (200, "image/png", 200, "image/svg+xml")
    with Image.open(io.BytesIO(png[2])) as image:
        assert (image.format, image.size) == ("PNG", (720, 1000))
    text = svg[2].decode()
    assert f">{name}</text>" in text
    assert "3月9日 09:00 前有效" in text
    assert token not in text  # only as modules
    assert len(png[2]) < 60_000
    rival = await world.institution()
    assert (await _download(world, f"/invitations/{token}/poster.png", rival))[0] == 404
    assert (await _download(world, f"/invitations/{'z' * 24}/poster.png", consulting.owner))[0] == 404


async def test_the_code_on_a_poster_is_the_link(consulting, world):
    from handlers.qr_codes import modules

    _, token = await consulting.invited()
    _, _, content = await _download(world, f"/invitations/{token}/poster.png", consulting.owner)
    dark = modules(f"http://127.0.0.1:8080/i/{token}")
    with Image.open(io.BytesIO(content)) as image:
        grey, scale = image.convert("L"), 480 // len(dark)
        left, top = (720 - scale * len(dark)) // 2, 330 + (480 - scale * len(dark)) // 2
        read = [[grey.getpixel((left + x * scale + scale // 2, top + y * scale + scale // 2)) < 128 for x in range(len(dark))]
                for y in range(len(dark))]
    assert read == dark


@pytest.mark.parametrize("length", [1, 14, 40, 200])
def test_a_name_of_any_length_fits_on_the_poster(length):
    from handlers.consultants.posters import NAME_LINES, _fitted

    size, lines = _fitted("苏" * length)
    assert size >= 24
    assert 1 <= len(lines) <= NAME_LINES
    assert lines[-1].endswith("…") == (length == 200)


class Drawer:
    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def draw(self, scene: str, page: str) -> bytes:
        self.asked.append((scene, page))
        if self.answer is None:
            raise PlatformDownError("40169 invalid length for scene")
        return self.answer


async def test_a_mini_program_code_opens_the_invitation_and_a_failure_is_no_picture(consulting, world, monkeypatch):
    from bot.links import INVITATION, PUBLISHED_PAGES, is_scene

    _, token = await consulting.invited()
    path = f"/invitations/{token}/mini-program-code"
    assert (await _download(world, path, consulting.owner))[0] == 503  # no WeChat here
    drawer = Drawer(picture())
    object.__setattr__(world.ports, "codes", drawer)
    status, media_type, content = await _download(world, path, consulting.owner)
    assert (status, media_type, content) == (200, "image/png", picture())
    ((scene, page),) = drawer.asked
    assert scene == f"i.{token}"
    assert is_scene(scene)
    assert page == INVITATION
    assert page in PUBLISHED_PAGES
    drawer.answer = None
    assert (await _download(world, path, consulting.owner))[0] == 503
    assert (await _download(world, path, await world.institution()))[0] == 404


async def _download(world: World, path: str, by: Member) -> tuple[int, str, bytes]:
    async with world.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {by.token}"}) as response:
        return response.status, response.content_type, await response.read()


# --- the form and its review -------------------------------------------------------------------------------------------------


async def test_the_administrator_of_the_place_reviews_and_then_the_consultant_represents_the_institution(consulting, world):
    consultant_id, person = await consulting.in_review()
    elsewhere = await world.official(Role.ADMIN, region_code="410100")
    approval = await consulting.waiting(consultant_id)
    assert (await world.get(f"/approvals/{approval}", by=elsewhere))[0] == 404
    status, case = await world.get(f"/approvals/{approval}", by=consulting.admin)
    assert status == 200
    assert case["facts"]["name"] == "张*"
    assert (case["facts"]["title"], case["facts"]["phone_named"], case["facts"]["photos"]) == ("执业律师", True, [])
    assert PROFILE["name"] not in str(case)
    assert (await consulting.decide(consultant_id, "approval", {}))[0] == 200
    assert await consulting.state(consultant_id) == "active"
    membership = await world.one("SELECT * FROM memberships WHERE role = 'consultant'")
    assert (membership["person_id"], membership["organisation_id"], membership["state"]) == (
        person.person_id, consulting.owner.organisation_id, "active",
    )
    status, me = await world.put("/sessions/current/membership", {"membership_id": membership["id"]}, by=person)
    assert (status, me["acting"]["role"]) == (200, "consultant")
    assert [(who[:2], who[2]["result"]) for who in await consulting.told("approval_result")] == [
        ((consulting.owner.organisation_id, None), "approved"), ((None, person.person_id), "approved"),
    ]


async def test_a_returned_form_says_what_to_correct_and_is_submitted_again(consulting, world):
    consultant_id, person = await consulting.in_review()
    items = [{"field": "introduction", "problem": "请写明执业年限"}]
    status, _ = await consulting.decide(consultant_id, "return", {"reason": "简介过于简单", "items": items})
    assert status == 200
    status, mine = await world.get(f"/consultancies/{consultant_id}", by=person)
    assert (mine["state"], mine["reason"]) == ("returned", "简介过于简单")
    assert mine["items"] == [{"field": "introduction", "title": "个人简介", "problem": "请写明执业年限"}]
    status, mine = await consulting.submit(consultant_id, person, name="", introduction="执业十二年，擅长公司与知识产权。")
    assert (status, mine["state"], mine["items"], mine["name"]) == (200, "in_review", [], "张*")
    assert (await consulting.decide(consultant_id, "approval", {}))[0] == 200


async def test_a_field_that_the_form_does_not_have_is_no_reason_to_return(consulting):
    consultant_id, _ = await consulting.in_review()
    async with await consulting.unchanged():
        status, body = await consulting.decide(
            consultant_id, "return", {"reason": "有误", "items": [{"field": "shoe_size", "problem": "过大"}]}
        )
    assert (status, body["code"]) == (422, "decision_incomplete")


async def test_a_rejected_person_represents_nobody_and_may_be_invited_again(consulting, world):
    consultant_id, person = await consulting.in_review()
    assert (await consulting.decide(consultant_id, "rejection", {"reason": "资质不符"}))[0] == 200
    assert await world.value("SELECT count(*) FROM memberships WHERE role = 'consultant'") == 0
    async with await consulting.unchanged():
        assert (await consulting.submit(consultant_id, person))[1]["code"] == "consultant_state_wrong"
    token = await consulting.invite(consultant_id)
    assert (await consulting.accept(token, person))[1]["state"] == "filling"


@pytest.mark.parametrize(("changes", "field"), [
    ({"name": ""}, "name"), ({"name": "张*"}, "name"), ({"title": ""}, "title"), ({"specialities": []}, "specialities"),
    ({"specialities": ["astrology"]}, "specialities"), ({"introduction": "短"}, "introduction"),
])
async def test_a_form_that_is_not_whole_is_not_submitted(consulting, changes, field):
    consultant_id, token = await consulting.invited()
    person = await consulting.somebody()
    await consulting.accept(token, person)
    async with await consulting.unchanged():
        status, body = await consulting.submit(consultant_id, person, **changes)
    assert (status, body["code"], [item["field"] for item in body["data"]["items"]]) == (422, "form_incomplete", [field])


async def test_nobody_decides_the_case_of_the_own_institution(consulting, world):
    consultant_id, _ = await consulting.in_review()
    colleague = await world.member(consulting.owner.organisation_id, Role.VIEWER)
    admin = await world.official(Role.ADMIN)
    await world.owner.execute("UPDATE memberships SET person_id = $2 WHERE id = $1", colleague.membership_id, admin.person_id)
    async with await consulting.unchanged():
        status, body = await consulting.decide(consultant_id, "approval", {}, by=admin)
    assert (status, body["code"]) == (403, "own_case")


async def test_a_photo_is_for_the_reviewer_first_and_public_once_the_consultant_is(consulting, world):
    consultant_id, token = await consulting.invited()
    person = await consulting.somebody()
    await consulting.accept(token, person)
    photo = await _photo(world, consultant_id, person)
    assert (await _photo(world, consultant_id, await consulting.somebody(OTHER_PHONE), expect=404)) == 0
    await consulting.submit(consultant_id, person, photo_id=photo)
    assert (await _download(world, f"/attachments/{photo}", consulting.admin))[0] == 200
    assert (await world.get(f"/pictures/{photo}"))[0] == 404
    await consulting.decide(consultant_id, "approval", {})
    async with world.client.get(f"/api/v1/pictures/{photo}") as response:
        assert (response.status, response.content_type) == (200, "image/png")
    await consulting.end(consultant_id)
    assert (await world.get(f"/pictures/{photo}"))[0] == 404


async def test_no_more_than_five_photos_and_none_of_them_counts_against_the_institution(consulting, world):
    consultant_id, token = await consulting.invited()
    person = await consulting.somebody()
    await consulting.accept(token, person)
    for _ in range(5):
        await _photo(world, consultant_id, person)
    assert await _photo(world, consultant_id, person, expect=409) == 0
    from handlers.attachments import UNUSED

    assert await world.value(UNUSED, consulting.owner.organisation_id) == 0


async def _photo(world: World, consultant_id: int, by: Member, expect: int = 201) -> int:
    form = FormData()
    form.add_field("file", io.BytesIO(picture()), filename="photo.png", content_type="image/png")
    headers = {"Authorization": f"Bearer {by.token}"}
    async with world.client.post(f"/api/v1/consultancies/{consultant_id}/photo", data=form, headers=headers) as response:
        body = await response.json(content_type=None)
        assert response.status == expect, body
        return int(body.get("id", 0))


# --- the end -----------------------------------------------------------------------------------------------------------------


async def test_an_institution_unlinks_at_once_and_the_session_falls_back(consulting, world):
    consultant_id, person = await consulting.active()
    membership = await world.value("SELECT id FROM memberships WHERE role = 'consultant'")
    await world.put("/sessions/current/membership", {"membership_id": membership}, by=person)
    assert (await world.get("/badge", by=person))[0] == 200
    status, body = await consulting.end(consultant_id)
    assert (status, body["state"], body["allowed_actions"]) == (200, "ended", ["invite", "change"])
    status, body = await world.get("/badge", by=person)
    assert (status, body["code"]) == (403, "not_your_role")
    assert (await world.get("/me", by=person))[1]["acting"] is None
    assert tuple(await world.one("SELECT state, ended_at FROM memberships WHERE id = $1", membership)) == ("ended", world.clock.now())
    assert (await consulting.told("consultant_progress"))[-1][1:] == (
        person.person_id, {"consultant": "张顾问", "institution": (await consulting.told("consultant_progress"))[-1][2]["institution"],
                           "step": "unlinked"},
    )
    async with await consulting.unchanged():
        assert (await consulting.end(consultant_id))[1]["code"] == "consultant_state_wrong"


async def test_a_consultant_leaves_at_once_and_the_institution_hears_of_it(consulting, world):
    consultant_id, person = await consulting.active()
    status, body = await world.delete(f"/consultancies/{consultant_id}", by=person)
    assert (status, body["state"]) == (200, "ended")
    assert await world.value("SELECT count(*) FROM memberships WHERE role = 'consultant' AND state = 'active'") == 0
    assert (await consulting.told("consultant_progress"))[-1] == (
        consulting.owner.organisation_id, None, {"consultant": "张顾问", "step": "unlinked"},
    )


async def test_unlinking_takes_the_case_out_of_the_queue_and_kills_the_link(consulting, world):
    consultant_id, _ = await consulting.in_review()
    approval = await consulting.waiting(consultant_id)
    await consulting.end(consultant_id)
    assert await world.value("SELECT state FROM approvals WHERE id = $1", approval) == "withdrawn"
    token = await consulting.invite(consultant_id)
    await consulting.end(consultant_id)
    assert (await world.get(f"/invitations/{token}", by=await consulting.somebody(OTHER_PHONE)))[0] == 404


async def test_who_was_unlinked_comes_back_only_by_a_new_invitation_and_only_in_person(consulting, world):
    consultant_id, person = await consulting.active()
    await consulting.end(consultant_id)
    async with await consulting.unchanged():
        assert (await consulting.submit(consultant_id, person))[1]["code"] == "consultant_state_wrong"
    await world.put(
        f"/institution/consultants/{consultant_id}", {"name": "李雷", "email": "lei.li@example.com"}, by=consulting.owner
    )
    token = await consulting.invite(consultant_id)
    other = await consulting.somebody(OTHER_PHONE)
    async with await consulting.unchanged():
        assert (await consulting.accept(token, other))[1]["code"] == "invited_other"
    assert (await consulting.accept(token, person))[1]["state"] == "filling"
    await consulting.submit(consultant_id, person)
    await consulting.decide(consultant_id, "approval", {})
    assert await world.value("SELECT count(*) FROM memberships WHERE role = 'consultant' AND state = 'active'") == 1


async def test_one_person_is_one_consultant_of_an_institution(consulting):
    _, first = await consulting.invited()
    _, second = await consulting.invited(phone=None, email="zhang.min@example.com")
    person = await consulting.somebody()
    assert (await consulting.accept(first, person))[0] == 200
    async with await consulting.unchanged():
        status, body = await consulting.accept(second, person)
    assert (status, body["code"]) == (409, "already_consultant")


async def test_one_person_may_represent_two_institutions_and_switches_between_them(consulting, world):
    _, person = await consulting.active()
    other = Consulting(world, await world.institution(), consulting.admin, consulting.sms, consulting.mail)
    await other.in_review(person)
    second = await world.value("SELECT max(id) FROM consultants")
    await other.decide(second, "approval", {})
    status, page = await world.get("/consultancies", by=person)
    assert (status, [one["state"] for one in page["items"]]) == (200, ["active", "active"])
    status, me = await world.get("/me", by=person)
    assert [one["role"] for one in me["memberships"]].count("consultant") == 2


# --- what a consultant is not --------------------------------------------------------------------------------------------------


async def test_a_consultant_is_none_of_the_staff(consulting, world):
    """Not in the list of members, not to be ended or promoted there, and no reader of the institution's files."""
    consultant_id, member = await world.consultant(consulting.owner)
    await consent(world, consulting.owner)
    form = FormData()
    form.add_field("file", io.BytesIO(picture()), filename="licence.png")
    headers = {"Authorization": f"Bearer {consulting.owner.token}"}
    async with world.client.post("/api/v1/attachments?slot=institution_licence", data=form, headers=headers) as response:
        licence = (await response.json())["id"]
    assert (await _download(world, f"/attachments/{licence}", consulting.owner))[0] == 200
    assert (await _download(world, f"/attachments/{licence}", member))[0] == 404
    _, page = await world.get("/members", by=consulting.owner)
    assert [one["id"] for one in page["items"]] == [consulting.owner.membership_id]
    async with await consulting.unchanged():
        assert (await world.delete(f"/members/{member.membership_id}", by=consulting.owner))[0] == 404
        assert (await world.put(f"/members/{member.membership_id}/role", {"role": "owner"}, by=consulting.owner))[0] == 404
    assert await consulting.state(consultant_id) == "active"


async def test_everybody_sees_active_consultants_and_nothing_that_is_private(consulting, world):
    consultant_id, _ = await consulting.active()
    path = f"/institutions/{consulting.owner.organisation_id}/consultants"
    status, page = await world.get(path)
    assert (status, page["items"]) == (200, [{
        "id": consultant_id, "display_name": "张顾问", "title": "执业律师", "introduction": PROFILE["introduction"], "picture_id": None,
        "specialities": [{"code": "legal", "title": "法律服务"}, {"code": "ip", "title": "知识产权服务"}],
    }])
    await consulting.end(consultant_id)
    assert (await world.get(path))[1]["items"] == []
    assert (await world.get("/institutions/999999/consultants"))[0] == 404


# --- somebody known by a phone alone -------------------------------------------------------------------------------------------


async def test_who_accepted_on_the_page_signs_in_later_and_is_the_same_person(consulting, world):
    """The page made a person of a phone; the platform vouches for the phone, so the consultancy is theirs in the app too (F08)."""
    consultant_id, token = await consulting.invited()
    ctx = world.context()
    from dataclasses import replace

    from handlers.context import Actor

    nobody = replace(ctx, actor=Actor())
    from handlers.accounts.consents import privacy

    await consultants.send_phone_code(nobody, token, PHONE, privacy()["version"])
    who = await consultants.identify(nobody, token, PHONE, await consulting.code())
    status, signed_in = await world.call("POST", "/sessions", {"platform": "wechat", "code": "code-onew"})
    assert status == 201
    person = Member(0, 0, 0, 0, Role.VIEWER, signed_in["token"])
    await world.post("/consents", {"document": "privacy", "version": privacy()["version"]}, by=person)
    status, me = await world.put("/me/phone", {"code": f"phone-{PHONE}@onew"}, by=person)
    assert (status, me["phone"]) == (200, "138****8000")
    assert me["person_id"] != who.person_id
    status, mine = await world.get(f"/consultancies/{consultant_id}", by=person)
    assert (status, mine["state"]) == (200, "filling")
    assert (await consulting.submit(consultant_id, person))[0] == 200
    assert tuple(await world.one("SELECT name, phone, phone_index FROM persons WHERE id = $1", who.person_id)) == (None, None, None)


async def test_a_phone_of_somebody_who_signed_in_is_not_taken_over(consulting, world):
    owner = await consulting.somebody()
    status, signed_in = await world.call("POST", "/sessions", {"platform": "wechat", "code": "code-othr"})
    person = Member(0, 0, 0, 0, Role.VIEWER, signed_in["token"])
    from handlers.accounts.consents import privacy

    await world.post("/consents", {"document": "privacy", "version": privacy()["version"]}, by=person)
    status, body = await world.put("/me/phone", {"code": f"phone-{PHONE}@othr"}, by=person)
    assert (status, body["code"]) == (409, "phone_taken")
    assert (await world.get("/me", by=owner))[1]["phone"] == "138****8000"


# --- the badge -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def holder(consulting: Consulting, world: World) -> tuple[int, Member]:
    return await world.consultant(consulting.owner)


async def test_a_badge_changes_every_thirty_seconds_and_is_believed_for_sixty(holder, world):
    _, member = holder
    status, badge = await world.get("/badge", by=member)
    assert (status, badge["url"]) == (200, f"http://127.0.0.1:8080/b/{badge['token']}")
    assert len(badge["token"]) == 30
    issued = world.clock.now()
    for late, standing in ((0, "valid"), (59.999999, "valid"), (60, "expired"), (3600, "expired")):
        world.clock.set(issued + timedelta(seconds=late))
        status, found = await world.get(f"/badges/{badge['token']}")
        assert (status, found["standing"]) == (200, standing)
    world.clock.set(issued + timedelta(seconds=29.999999))
    assert (await world.get("/badge", by=member))[1]["token"] == badge["token"]
    world.clock.set(issued + timedelta(seconds=30))
    assert (await world.get("/badge", by=member))[1]["token"] != badge["token"]


async def test_an_ended_consultants_badge_says_so_at_once(holder, consulting, world):
    consultant_id, member = holder
    badge = (await world.get("/badge", by=member))[1]
    await consulting.end(consultant_id)
    status, found = await world.get(f"/badges/{badge['token']}")
    assert (status, found["standing"], found["display_name"], found["title"]) == (200, "ended", "张顾问", "")


async def test_the_badge_of_a_suspended_institution_is_worth_nothing(holder, consulting, world):
    badge = (await world.get("/badge", by=holder[1]))[1]
    await world.owner.execute("UPDATE organisations SET suspended_at = $1 WHERE kind = 'institution'", world.clock.now())
    assert (await world.get(f"/badges/{badge['token']}"))[1]["standing"] == "ended"


async def test_a_badge_that_was_not_signed_here_is_unknown(holder, consulting, world):
    import base64

    badge = (await world.get("/badge", by=holder[1]))[1]["token"]
    raw = base64.urlsafe_b64decode(badge + "==")
    forged = []
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        forged.append(base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())
    for token in [*forged, badge[:-1], badge + "A", "x", "x" * 64]:
        assert (await world.get(f"/badges/{token}"))[0] == 404, token


async def test_only_a_consultant_has_a_badge(consulting, world):
    assert (await world.get("/badge", by=consulting.owner))[1]["code"] == "not_your_role"
