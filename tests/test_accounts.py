"""Signing in, consent, phones, organisations to act for, and officials: spoken over HTTP."""

import asyncio
import hashlib
from dataclasses import dataclass, field

import pytest

from handlers import accounts, regions
from handlers.accounts import signing_in
from handlers.ports import LoginRefusedError, PlatformDownError, PlatformUser
from handlers.refusals import NotYourRole
from models.accounts import OrganisationKind, Role
from settings import ROOT
from tests.conftest import START
from tests.fakes import Gateway
from tests.races import meet_after, without
from tests.world import Member, World

VERSION = accounts.privacy()["version"]
EVERYTHING = ("persons", "identities", "sessions", "consents", "organisations", "memberships", "audit_entries", "institutions")
COMPANY = {"kind": "enterprise", "name": "济南试验有限公司", "credit_code": "91350100M000100Y43", "region_code": "370103"}


@dataclass
class OneTimeGateway(Gateway):
    """Takes each code once, as the platforms do, and gives a union id where it has one."""

    unions: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    async def exchange(self, code: str) -> PlatformUser:
        user = await super().exchange(code.partition("#")[0])
        if code in self.used:
            raise LoginRefusedError
        self.used.add(code)
        return PlatformUser(self.app_id, user.open_id, self.unions.get(user.open_id))


class DownGateway(Gateway):
    async def exchange(self, code: str) -> PlatformUser:
        raise PlatformDownError

    async def phone(self, code: str, open_id: str) -> str:
        raise PlatformDownError


@pytest.fixture
async def town(world: World) -> World:
    await regions.load_regions()
    return world


async def sign_in(world: World, open_id: str, platform: str = "wechat") -> Member:
    status, body = await world.post("/sessions", {"platform": platform, "code": f"code-{open_id}"})
    assert status == 201, body
    return Member(body["me"]["person_id"], 0, 0, 0, Role.VIEWER, body["token"], open_id)


async def consenting(world: World, open_id: str, platform: str = "wechat") -> Member:
    person = await sign_in(world, open_id, platform)
    assert (await world.post("/consents", {"document": "privacy", "version": VERSION}, by=person))[0] == 200
    return person


async def reachable(world: World, open_id: str, phone: str) -> Member:
    """Somebody who has bound a phone and can be invited."""
    person = await consenting(world, open_id)
    status, body = await world.put("/me/phone", {"code": f"phone-{phone}@{open_id}"}, by=person)
    assert status == 200, body
    return person


async def owner_of_company(world: World, open_id: str = "boss", **changes: object) -> tuple[Member, int, int]:
    """(owner acting for it, organisation id, membership id)."""
    boss = await sign_in(world, open_id)
    status, made = await world.post("/organisations", {**COMPANY, **changes}, by=boss)
    assert status == 201, made
    assert (await world.put("/sessions/current/membership", {"membership_id": made["membership_id"]}, by=boss))[0] == 200
    return boss, made["organisation_id"], made["membership_id"]


async def act_for(world: World, person: Member, membership_id: int) -> None:
    assert (await world.put("/sessions/current/membership", {"membership_id": membership_id}, by=person))[0] == 200


async def refused(world: World, status: int, code: str, method: str, path: str, body: object = None, *, by: Member | None = None):
    """The call is refused with this status and code, and nothing has changed. Returns the problem document."""
    before = await world.snapshot(*EVERYTHING)
    got, problem = await world.call(method, path, body, by=by)
    assert (got, problem["code"]) == (status, code), problem
    assert await world.snapshot(*EVERYTHING) == before
    return problem


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_the_first_log_in_makes_a_person_and_a_session(world):
    status, body = await world.post("/sessions", {"platform": "wechat", "code": "code-anna"})
    assert status == 201
    assert len(body["token"]) == 43  # 256 bits, base64
    assert body["expires_at"] == "2026-04-01T01:00:00+00:00"
    assert body["me"] == {
        "person_id": body["me"]["person_id"], "name": None, "phone": None, "platform": "wechat",
        "session_expires_at": "2026-04-01T01:00:00+00:00", "memberships": [], "acting": None, "consents": [],
        "missing": ["consent", "phone", "membership"],
    }
    session = await world.one("SELECT * FROM sessions")
    assert session["token_hash"] == hashlib.sha256(body["token"].encode()).digest()
    identity = await world.one("SELECT * FROM identities")
    assert (identity["person_id"], identity["platform"], identity["app_id"], identity["open_id"], identity["union_id"]) == (
        body["me"]["person_id"], "wechat", "wx-test", "anna", None,
    )
    actions = [one["action"] for one in await world.owner.fetch("SELECT action FROM audit_entries ORDER BY id")]
    assert actions == ["person.created", "identity.linked", "session.opened"]


async def test_logging_in_again_is_the_same_person_with_another_session(world):
    first, second = await sign_in(world, "anna"), await sign_in(world, "anna")
    assert first.person_id == second.person_id
    assert first.token != second.token
    assert await world.value("SELECT count(*) FROM persons") == 1
    assert await world.value("SELECT count(*) FROM sessions") == 2


async def test_equal_open_ids_of_two_platforms_are_two_people(world):
    wechat, dingtalk = await sign_in(world, "anna"), await sign_in(world, "anna", "dingtalk")
    assert wechat.person_id != dingtalk.person_id
    assert (await world.get("/me", by=dingtalk))[1]["platform"] == "dingtalk"


async def test_a_union_id_links_two_apps_of_one_platform_and_never_two_platforms(world):
    unions = {"anna-1": "u1", "anna-2": "u1"}
    world.ports.logins["wechat"] = OneTimeGateway("wx-1", unions=unions)
    first = await sign_in(world, "anna-1")
    world.ports.logins["wechat"] = OneTimeGateway("wx-2", unions=unions)
    assert (await sign_in(world, "anna-2")).person_id == first.person_id
    world.ports.logins["dingtalk"] = OneTimeGateway("ding", unions=unions)
    assert (await sign_in(world, "anna-1", "dingtalk")).person_id != first.person_id


async def test_without_a_union_id_two_apps_know_two_people_and_a_later_one_merges_nobody(world):
    world.ports.logins["wechat"] = OneTimeGateway("wx-1")
    first = await sign_in(world, "anna-1")
    world.ports.logins["wechat"] = OneTimeGateway("wx-2", unions={"anna-2": "u1"})
    second = await sign_in(world, "anna-2")
    assert first.person_id != second.person_id
    world.ports.logins["wechat"] = OneTimeGateway("wx-1", unions={"anna-1": "u1"})
    assert (await sign_in(world, "anna-1")).person_id == first.person_id
    assert await world.value("SELECT union_id FROM identities WHERE open_id = 'anna-1'") == "u1"


async def test_a_double_tap_signs_in_once(world):
    world.ports.logins["wechat"] = OneTimeGateway("wx-test")
    body = {"platform": "wechat", "code": "code-anna"}
    answers = await asyncio.gather(world.post("/sessions", body), world.post("/sessions", body))
    assert sorted(status for status, _ in answers) == [201, 422]
    assert await world.value("SELECT count(*) FROM persons") == 1
    assert await world.value("SELECT count(*) FROM sessions") == 1


async def first_log_ins_at_once(world: World) -> list[int]:
    body = [{"platform": "wechat", "code": f"code-anna#{number}"} for number in range(2)]
    answers = await asyncio.gather(*(world.post("/sessions", one) for one in body))
    return sorted(status for status, _ in answers)


async def test_two_first_log_ins_at_once_make_one_person(world, monkeypatch):
    meet_after(world.owner, monkeypatch, "handlers.accounts.signing_in.lock_first_log_in")
    world.ports.logins["wechat"] = OneTimeGateway("wx-test", unions={"anna": "u1"})
    assert await first_log_ins_at_once(world) == [201, 201]
    assert await world.value("SELECT count(*) FROM persons") == 1
    assert await world.value("SELECT count(*) FROM identities") == 1
    assert await world.value("SELECT count(*) FROM sessions") == 2


async def test_the_control_without_the_lock_two_first_log_ins_collide(world, monkeypatch):
    without(monkeypatch, "handlers.accounts.signing_in.LOCK", "pg_advisory_xact_lock(hashtextextended($1, 0))", "$1::text")
    meet_after(world.owner, monkeypatch, "handlers.accounts.signing_in._person_of_union")
    world.ports.logins["wechat"] = OneTimeGateway("wx-test")
    assert await first_log_ins_at_once(world) == [201, 500]  # and the UNIQUE keeps the second person out
    assert await world.value("SELECT count(*) FROM persons") == 1


@pytest.mark.parametrize("code", ["expired", "code"])
async def test_a_code_that_the_platform_does_not_know_is_refused(world, code):
    problem = await refused(world, 422, "login_code_refused", "POST", "/sessions", {"platform": "wechat", "code": code})
    assert problem["title"] == "授权已过期或已使用，请重新授权"


async def test_a_platform_that_is_down_or_not_set_up_is_said_to_be(world):
    world.ports.logins["wechat"] = DownGateway()
    await refused(world, 503, "platform_unavailable", "POST", "/sessions", {"platform": "wechat", "code": "code-anna"})
    del world.ports.logins["dingtalk"]
    await refused(world, 503, "platform_unavailable", "POST", "/sessions", {"platform": "dingtalk", "code": "code-anna"})


@pytest.mark.parametrize("body", [
    {"platform": "alipay", "code": "code-anna"}, {"platform": "wechat", "code": ""}, {"platform": "wechat"},
    {"platform": "wechat", "code": 1}, {"platform": "wechat", "code": "code-anna", "person_id": 1},
    {"platform": "wechat", "code": "x" * 513},
])
async def test_a_log_in_that_is_none_is_refused(world, body):
    await refused(world, 422, "invalid_input", "POST", "/sessions", body)


async def test_neither_token_nor_code_is_in_a_log_or_a_table(world, capfd):
    anna = await sign_in(world, "anna")
    await world.get("/me", by=anna)
    world.ports.logins["wechat"] = DownGateway()
    await world.post("/sessions", {"platform": "wechat", "code": "code-secret"})
    logged = "".join(capfd.readouterr())
    assert anna.token not in logged
    assert "code-anna" not in logged
    assert "code-secret" not in logged
    assert not await tables_with(world, anna.token)


async def tables_with(world: World, text: str) -> list[str]:
    """Where a text stands readable, or as the bytes of a binary column."""
    names = [one["tablename"] for one in await world.owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found = "SELECT count(*) FROM {} t WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || $2 || '%'"
    return [name for name in names if await world.value(found.format(name), text, text.encode().hex())]


async def test_somebody_with_one_membership_acts_for_it_at_once_and_with_two_chooses(world):
    boss, _, first = await owner_of_company(await loaded(world))
    again = await sign_in(world, "boss")
    assert (await world.get("/me", by=again))[1]["acting"]["id"] == first
    await world.post("/organisations", {**COMPANY, "kind": "institution"}, by=boss)
    assert (await world.get("/me", by=await sign_in(world, "boss")))[1]["acting"] is None


async def loaded(world: World) -> World:
    await regions.load_regions()
    return world


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_ends_at_its_time_and_not_before(world):
    anna = await sign_in(world, "anna")
    world.clock.set(START.replace(month=4, day=1, minute=0, microsecond=0) - world.clock.now().resolution)
    assert (await world.get("/me", by=anna))[0] == 200
    world.clock.advance(microseconds=1)
    status, body = await world.get("/me", by=anna)
    assert (status, body["code"]) == (401, "session_ended")


async def test_logging_out_ends_this_session_only(world):
    phone, tablet = await sign_in(world, "anna"), await sign_in(world, "anna")
    assert await world.delete("/sessions/current", by=phone) == (200, {"revoked": 1})
    assert (await world.get("/me", by=phone))[1]["code"] == "session_ended"
    assert (await world.get("/me", by=tablet))[0] == 200


async def test_of_a_crowd_at_one_moment_each_is_who_they_are(world):
    """Their sessions are looked up together (models/gathering.py)."""
    crowd = [await world.enterprise() for _ in range(40)]
    gone = crowd[::7]
    for each in gone:
        await world.delete("/sessions/current", by=each)
    answers = await asyncio.gather(*(world.get("/me", by=each) for each in crowd))
    for each, (status, body) in zip(crowd, answers, strict=True):
        assert (status, body["code"] if each in gone else body["acting"]["id"]) == (
            (401, "session_ended") if each in gone else (200, each.membership_id)
        )


async def test_my_sessions_are_listed_newest_first_page_by_page_and_only_mine(world):
    anna = [await sign_in(world, "anna") for _ in range(3)]
    await sign_in(world, "bert")
    status, page = await world.get("/sessions?limit=2", by=anna[0])
    assert status == 200
    newest = await world.value("SELECT max(id) FROM sessions WHERE person_id = $1", anna[0].person_id)
    assert page["items"][0] == {
        "id": newest, "platform": "wechat", "organisation_name": None, "created_at": "2026-03-02T01:00:00+00:00",
        "expires_at": "2026-04-01T01:00:00+00:00", "is_current": False,
    }
    _, rest = await world.get(f"/sessions?limit=2&after={page['next']}", by=anna[0])
    assert [one["is_current"] for one in page["items"] + rest["items"]] == [False, False, True]
    assert rest["next"] is None


async def test_a_lost_phone_is_signed_out_from_another(world):
    lost, mine = await sign_in(world, "anna"), await sign_in(world, "anna")
    session = await world.value("SELECT min(id) FROM sessions")
    assert await world.delete(f"/sessions/{session}", by=mine) == (200, {"revoked": 1})
    assert (await world.get("/me", by=lost))[1]["code"] == "session_ended"
    await refused(world, 404, "not_found", "DELETE", f"/sessions/{session}", by=mine)


async def test_somebody_elses_session_is_not_there(world):
    await sign_in(world, "anna")
    session, bert = await world.value("SELECT id FROM sessions"), await sign_in(world, "bert")
    await refused(world, 404, "not_found", "DELETE", f"/sessions/{session}", by=bert)
    await refused(world, 404, "not_found", "DELETE", "/sessions/999999", by=bert)


async def test_all_other_sessions_end_together(world):
    anna = [await sign_in(world, "anna") for _ in range(3)]
    bert = await sign_in(world, "bert")
    assert await world.delete("/sessions", by=anna[1]) == (200, {"revoked": 2})
    assert [(await world.get("/me", by=one))[0] for one in (*anna, bert)] == [401, 200, 401, 200]
    assert await world.delete("/sessions", by=anna[1]) == (200, {"revoked": 0})


async def test_of_more_than_ten_sessions_of_one_identity_the_oldest_ends(world):
    anna = [await sign_in(world, "anna") for _ in range(11)]
    assert [(await world.get("/me", by=one))[0] for one in anna] == [401] + [200] * 10


async def test_sessions_are_forgotten_a_month_after_their_time(world):
    await sign_in(world, "anna")
    over = START + 2 * signing_in.FORGOTTEN_AFTER  # 30 days of session, 30 days of memory
    world.clock.set(over - world.clock.now().resolution)
    assert await world.sweep(accounts.forget_sessions) == 0
    world.clock.set(over)
    assert await world.sweep(accounts.forget_sessions) == 1
    assert await world.sweep(accounts.forget_sessions) == 0
    assert await world.value("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/me"), ("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", "/sessions/current"), ("GET", "/members"),
    ("GET", "/officials"),
])
async def test_without_a_session_nothing_is_shown(world, method, path):
    status, body = await world.call(method, path)
    assert (status, body["code"]) == (401, "not_signed_in")


# --- consent, phone, name ---------------------------------------------------------------------------------------------


def test_the_privacy_text_changes_only_with_its_version():
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    assert (VERSION, hashlib.sha256(text.encode()).hexdigest()[:16]) == ("2026-11-29", "f182f5b90df1e6ea")


async def test_everybody_can_read_the_privacy_text(world):
    status, body = await world.get("/privacy")
    assert (status, body["document"], body["version"]) == (200, "privacy", VERSION)
    assert body["text"].startswith("# 企服券隐私政策")


async def test_consent_is_recorded_once_with_its_version_and_time(world):
    anna = await consenting(world, "anna")
    world.clock.advance(days=1)
    assert await world.post("/consents", {"document": "privacy", "version": VERSION}, by=anna) == (
        200, {"document": "privacy", "version": VERSION},
    )
    consent = await world.one("SELECT * FROM consents")
    assert (consent["person_id"], consent["document"], consent["version"], consent["agreed_at"]) == (
        anna.person_id, "privacy", VERSION, START,
    )
    assert (await world.get("/me", by=anna))[1]["missing"] == ["phone", "membership"]


async def test_agreeing_to_an_old_text_is_refused_and_told_the_new_one(world):
    anna = await sign_in(world, "anna")
    problem = await refused(
        world, 409, "consent_outdated", "POST", "/consents", {"document": "privacy", "version": "2020-01-01"}, by=anna
    )
    assert problem["data"] == {"document": "privacy", "version": VERSION}


async def test_no_personal_value_is_stored_before_consent_and_the_platform_is_not_even_asked(world):
    anna = await sign_in(world, "anna")
    world.ports.logins["wechat"] = DownGateway()  # asking it would answer 503
    problem = await refused(world, 403, "consent_needed", "PUT", "/me/phone", {"code": "phone-13800138000@anna"}, by=anna)
    assert problem["data"] == {"document": "privacy", "version": VERSION}
    await refused(world, 403, "consent_needed", "PUT", "/me/name", {"name": "张三"}, by=anna)


async def test_consent_to_an_older_text_is_no_consent_to_the_present_one(world):
    anna = await consenting(world, "anna")
    await world.owner.execute("UPDATE consents SET version = '2020-01-01'")
    await refused(world, 403, "consent_needed", "PUT", "/me/name", {"name": "张三"}, by=anna)
    assert (await world.get("/me", by=anna))[1]["missing"] == ["consent", "phone", "membership"]


async def test_a_bound_phone_is_sealed_at_rest_and_masked_when_shown(world, capfd):
    anna = await consenting(world, "anna")
    status, body = await world.put("/me/phone", {"code": "phone-13800138000@anna"}, by=anna)
    assert (status, body["phone"], body["missing"]) == (200, "138****8000", ["membership"])
    assert (await world.put("/me/name", {"name": "张三"}, by=anna))[1]["name"] == "张*"
    assert (await world.get("/me", by=anna))[1]["phone"] == "138****8000"
    assert not await tables_with(world, "13800138000")
    assert not await tables_with(world, "张三")
    logged = "".join(capfd.readouterr())
    assert "13800138000" not in logged
    assert "张三" not in logged


async def test_a_new_number_replaces_the_old_one_which_is_free_again(world):
    anna = await reachable(world, "anna", "13800138000")
    assert (await world.put("/me/phone", {"code": "phone-13900139000@anna"}, by=anna))[1]["phone"] == "139****9000"
    await reachable(world, "bert", "13800138000")


async def test_one_phone_is_one_persons_and_the_refusal_says_nothing_of_the_other(world):
    anna = await reachable(world, "anna", "13800138000")
    bert = await consenting(world, "bert")
    problem = await refused(world, 409, "phone_taken", "PUT", "/me/phone", {"code": "phone-13800138000@bert"}, by=bert)
    assert problem.get("data") in (None, {})
    assert str(anna.person_id) not in problem["title"]
    await refused(world, 409, "phone_taken", "PUT", "/me/phone", {"code": "phone-+8613800138000@bert"}, by=bert)


async def test_two_people_who_bind_one_phone_at_once_get_it_once(world):
    people = [await consenting(world, name) for name in ("anna", "bert")]
    answers = await asyncio.gather(*(
        world.put("/me/phone", {"code": f"phone-13800138000@{person.open_id}"}, by=person) for person in people
    ))
    assert sorted(status for status, _ in answers) == [200, 409]
    assert await world.value("SELECT count(*) FROM persons WHERE phone IS NOT NULL") == 1


async def test_a_phone_code_of_somebody_else_or_of_a_silent_platform_is_refused(world):
    anna = await consenting(world, "anna")
    await refused(world, 422, "login_code_refused", "PUT", "/me/phone", {"code": "phone-13800138000@bert"}, by=anna)
    world.ports.logins["wechat"] = DownGateway()
    await refused(world, 503, "platform_unavailable", "PUT", "/me/phone", {"code": "phone-13800138000@anna"}, by=anna)


@pytest.mark.parametrize("name", ["张", "", "  张 ", "张\n三", "张" * 41, 7])
async def test_what_is_no_name_is_refused(world, name):
    anna = await consenting(world, "anna")
    await refused(world, 422, "invalid_input", "PUT", "/me/name", {"name": name}, by=anna)


# --- organisations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "code"), [
    ("91350100M000100Y43", "91350100M000100Y43"),    # the example of GB 32100-2015
    (" 91350100m000100y43 ", "91350100M000100Y43"),
    ("９１３５０１００Ｍ０００１００Ｙ４３", "91350100M000100Y43"),
    ("91350100M000100Y44", None),
    ("91350100M000100Y4", None),
    ("91350100M000100Y433", None),
    ("19350100M000100Y43", None),                    # two digits exchanged
    ("91350100I000100Y43", None),                    # I, O, S, V, Z are no letters of the code
    ("91350100M000100Y4三", None),
    ("", None),
])
def test_a_credit_code_has_the_check_character_of_the_standard(typed, code):
    assert accounts.credit_code_of(typed) == code


def test_every_single_wrong_character_of_a_credit_code_is_noticed():
    right = "91350100M000100Y43"
    for place in range(18):
        for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY":
            wrong = right[:place] + letter + right[place + 1:]
            assert (accounts.credit_code_of(wrong) == wrong) is (wrong == right)


async def test_whoever_registers_a_company_first_owns_it(town):
    boss = await sign_in(town, "boss")
    status, body = await town.post("/organisations", {**COMPANY, "credit_code": "91350100m000100y43"}, by=boss)
    assert status == 201
    organisation = await town.one("SELECT * FROM organisations")
    assert body == {"organisation_id": organisation["id"], "membership_id": body["membership_id"]}
    assert (organisation["kind"], organisation["name"], organisation["credit_code"], organisation["region_code"]) == (
        "enterprise", "济南试验有限公司", "91350100M000100Y43", "370103",
    )
    assert organisation["certified_at"] is None
    _, me = await town.get("/me", by=boss)
    assert me["acting"] is None
    assert me["memberships"] == [{
        "id": body["membership_id"], "organisation_id": organisation["id"], "organisation_name": "济南试验有限公司",
        "organisation_kind": "enterprise", "role": "owner", "region_code": None, "park_id": None,
    }]
    _, me = await town.put("/sessions/current/membership", {"membership_id": body["membership_id"]}, by=boss)
    assert me["acting"] == me["memberships"][0]
    _, me = await town.put("/sessions/current/membership", {"membership_id": None}, by=boss)
    assert me["acting"] is None


async def test_one_account_is_enterprise_and_institution_of_one_company(town):
    """F08: C02 made such a person register two accounts."""
    boss, _, enterprise = await owner_of_company(town)
    status, institution = await town.post("/organisations", {**COMPANY, "kind": "institution"}, by=boss)
    assert status == 201
    assert (await town.get("/members", by=boss))[1]["items"][0]["id"] == enterprise
    await act_for(town, boss, institution["membership_id"])
    assert (await town.get("/members", by=boss))[1]["items"][0]["id"] == institution["membership_id"]
    assert await town.value("SELECT organisation_id FROM institutions") == institution["organisation_id"]


async def test_registering_twice_with_one_key_registers_once(town):
    boss = await sign_in(town, "boss")
    first = await town.post("/organisations", COMPANY, by=boss, key="tap")
    assert await town.post("/organisations", COMPANY, by=boss, key="tap") == first
    assert await town.value("SELECT count(*) FROM organisations") == 1


async def test_a_registered_company_is_refused_with_the_way_in_and_nothing_about_its_owner(town):
    await owner_of_company(town)
    other = await sign_in(town, "other")
    problem = await refused(town, 409, "organisation_exists", "POST", "/organisations", {**COMPANY, "name": "别名公司"}, by=other)
    assert problem["title"] == "该单位已登记，请联系本单位负责人将您加为成员"
    assert problem.get("data") in (None, {})


async def test_two_who_register_one_company_at_once_get_it_once(town):
    people = [await sign_in(town, name) for name in ("anna", "bert")]
    answers = await asyncio.gather(*(town.post("/organisations", COMPANY, by=person) for person in people))
    assert sorted(status for status, _ in answers) == [201, 409]
    assert await town.value("SELECT count(*) FROM memberships") == 1


@pytest.mark.parametrize(("changes", "code"), [
    ({"credit_code": "91350100M000100Y44"}, "credit_code_invalid"),
    ({"credit_code": ""}, "credit_code_invalid"),
    ({"region_code": "379999"}, "region_unknown"),
    ({"region_code": "370100"}, "region_too_wide"),
    ({"region_code": "370000"}, "region_too_wide"),
    ({"park_id": 999999}, "park_unknown"),
    ({"kind": "office"}, "invalid_input"),
    ({"name": " "}, "invalid_input"),
    ({"owner_id": 1}, "invalid_input"),
])
async def test_an_organisation_that_cannot_be_is_refused(town, changes, code):
    boss = await sign_in(town, "boss")
    await refused(town, 422, code, "POST", "/organisations", {**COMPANY, **changes}, by=boss)


async def test_a_company_sits_in_a_park_of_its_own_county_only(town):
    now = town.clock.now()
    park = await town.value("INSERT INTO parks (name, county_code, created_at) VALUES ('高新园', '370103', $1) RETURNING id", now)
    boss = await sign_in(town, "boss")
    await refused(town, 422, "park_unknown", "POST", "/organisations", {**COMPANY, "region_code": "370102", "park_id": park}, by=boss)
    assert (await town.post("/organisations", {**COMPANY, "park_id": park}, by=boss))[0] == 201
    assert await town.value("SELECT park_id FROM organisations") == park


async def test_a_city_without_counties_is_a_place(town):
    boss = await sign_in(town, "boss")
    assert (await town.post("/organisations", {**COMPANY, "region_code": "441900"}, by=boss))[0] == 201


async def test_nobody_sits_on_more_than_ten_uncertified_companies(town):
    boss = await sign_in(town, "boss")
    for number in range(10):
        organisation = await town.organisation(OrganisationKind.ENTERPRISE, certified=False)
        await town.member(organisation, Role.OWNER, person=(boss.person_id, await any_identity(town, boss), f"x{number}"))
    problem = await refused(town, 409, "organisations_too_many", "POST", "/organisations", COMPANY, by=boss)
    assert problem["data"] == {"limit": 10}
    await town.owner.execute("UPDATE organisations SET certified_at = $1 WHERE id = (SELECT min(id) FROM organisations)", town.at())
    assert (await town.post("/organisations", COMPANY, by=boss))[0] == 201


async def any_identity(world: World, person: Member) -> int:
    found: int = await world.value("SELECT id FROM identities WHERE person_id = $1", person.person_id)
    return found


@pytest.mark.parametrize("membership", ["others", "ended", "none"])
async def test_a_membership_that_is_not_mine_now_cannot_be_acted_for(town, membership):
    boss, _, mine = await owner_of_company(town)
    other = await town.enterprise()
    asked = {"others": other.membership_id, "ended": mine, "none": 999999}[membership]
    if membership == "ended":
        await town.owner.execute("UPDATE memberships SET state = 'ended', ended_at = created_at WHERE id = $1", mine)
    await refused(town, 404, "not_found", "PUT", "/sessions/current/membership", {"membership_id": asked}, by=boss)


# --- members ----------------------------------------------------------------------------------------------------------


async def test_an_owner_adds_a_colleague_by_phone_who_then_acts_for_the_company(town):
    boss, organisation, owned = await owner_of_company(town)
    mary = await reachable(town, "mary", "13800138000")
    await town.put("/me/name", {"name": "张三丰"}, by=mary)
    status, body = await town.post("/members", {"phone": "138 0013 8000", "role": "finance"}, by=boss)
    expected = {
        "id": body["id"], "person_id": mary.person_id, "name": "张**", "phone": "138****8000", "role": "finance",
        "created_at": "2026-03-02T01:00:00+00:00", "is_me": False,
    }
    assert (status, body) == (201, expected)
    await act_for(town, mary, body["id"])
    _, page = await town.get("/members", by=mary)
    assert [one["id"] for one in page["items"]] == [owned, body["id"]]
    assert page["items"][1] == {**expected, "is_me": True}
    granted = await town.one("SELECT * FROM audit_entries WHERE action = 'membership.granted' ORDER BY id DESC LIMIT 1")
    assert (granted["person_id"], granted["organisation_id"], granted["subject_id"], granted["after"]) == (
        boss.person_id, organisation, body["id"], "active",
    )


async def test_a_number_that_nobody_has_bound_is_refused_with_what_to_do(town):
    boss, _, _ = await owner_of_company(town)
    problem = await refused(town, 409, "person_unknown", "POST", "/members", {"phone": "13800138000", "role": "viewer"}, by=boss)
    assert problem["title"] == "该手机号尚未绑定账号，请对方先登录小程序并绑定手机号"
    assert "13800138000" not in str(problem)


async def test_a_member_is_not_added_again(town):
    boss, _, _ = await owner_of_company(town)
    await reachable(town, "mary", "13800138000")
    await town.post("/members", {"phone": "13800138000", "role": "finance"}, by=boss)
    await refused(town, 409, "already_member", "POST", "/members", {"phone": "13800138000", "role": "viewer"}, by=boss)


@pytest.mark.parametrize("role", ["owner", "admin", "reviewer", "system", ""])
async def test_only_working_roles_are_given_by_invitation(town, role):
    boss, _, _ = await owner_of_company(town)
    await reachable(town, "mary", "13800138000")
    await refused(town, 422, "invalid_input", "POST", "/members", {"phone": "13800138000", "role": role}, by=boss)


@pytest.mark.parametrize("role", [Role.HANDLER, Role.FINANCE, Role.VIEWER])
async def test_only_owners_change_who_is_a_member(town, role):
    owner = await town.enterprise()
    clerk = await town.member(owner.organisation_id, role)
    await reachable(town, "mary", "13800138000")
    await refused(town, 403, "not_your_role", "POST", "/members", {"phone": "13800138000", "role": "viewer"}, by=clerk)
    await refused(town, 403, "not_your_role", "PUT", f"/members/{clerk.membership_id}/role", {"role": "owner"}, by=clerk)
    await refused(town, 403, "not_your_role", "DELETE", f"/members/{owner.membership_id}", by=clerk)


async def test_another_companys_members_are_not_there(town):
    owner, other = await town.enterprise(), await town.enterprise()
    await refused(town, 404, "not_found", "PUT", f"/members/{other.membership_id}/role", {"role": "viewer"}, by=owner)
    await refused(town, 404, "not_found", "DELETE", f"/members/{other.membership_id}", by=owner)
    assert [one["id"] for one in (await town.get("/members", by=owner))[1]["items"]] == [owner.membership_id]


async def test_a_changed_role_counts_from_the_next_request(town):
    owner = await town.enterprise()
    clerk = await town.member(owner.organisation_id, Role.VIEWER)
    status, body = await town.put(f"/members/{clerk.membership_id}/role", {"role": "owner"}, by=owner)
    assert (status, body["role"]) == (200, "owner")
    assert (await town.put(f"/members/{owner.membership_id}/role", {"role": "handler"}, by=clerk))[1]["role"] == "handler"
    await refused(town, 403, "not_your_role", "PUT", f"/members/{clerk.membership_id}/role", {"role": "viewer"}, by=owner)


async def test_the_last_owner_neither_leaves_nor_steps_down(town):
    owner = await town.enterprise()
    await town.member(owner.organisation_id, Role.HANDLER)
    await refused(town, 409, "last_owner", "DELETE", f"/members/{owner.membership_id}", by=owner)
    await refused(town, 409, "last_owner", "PUT", f"/members/{owner.membership_id}/role", {"role": "viewer"}, by=owner)
    assert (await town.put(f"/members/{owner.membership_id}/role", {"role": "owner"}, by=owner))[0] == 200


async def test_a_role_that_the_person_holds_already_is_not_given_twice(town):
    owner = await town.enterprise()
    mary = await town.member(owner.organisation_id, Role.HANDLER)
    second = await town.member(owner.organisation_id, Role.FINANCE, person=(mary.person_id, mary.identity_id, mary.open_id))
    await refused(town, 409, "already_member", "PUT", f"/members/{second.membership_id}/role", {"role": "handler"}, by=owner)


async def test_an_ended_membership_stops_working_at_once_but_not_the_person(town):
    owner = await town.enterprise()
    clerk = await town.member(owner.organisation_id, Role.FINANCE)
    assert (await town.get("/members", by=clerk))[0] == 200
    world_now = town.clock.now()
    assert await town.delete(f"/members/{clerk.membership_id}", by=owner) == (200, {"id": clerk.membership_id, "state": "ended"})
    assert (await town.get("/members", by=clerk))[1]["code"] == "not_your_role"
    status, me = await town.get("/me", by=clerk)
    assert (status, me["acting"], me["memberships"]) == (200, None, [])
    ended = await town.one("SELECT * FROM memberships WHERE id = $1", clerk.membership_id)
    assert (ended["state"], ended["ended_at"]) == ("ended", world_now)
    assert await town.value("SELECT count(*) FROM audit_entries WHERE action = 'membership.ended'") == 1
    await refused(town, 404, "not_found", "DELETE", f"/members/{clerk.membership_id}", by=owner)


async def test_anybody_may_leave_and_may_be_added_again(town):
    boss, _, _ = await owner_of_company(town)
    mary = await reachable(town, "mary", "13800138000")
    _, member = await town.post("/members", {"phone": "13800138000", "role": "finance"}, by=boss)
    await act_for(town, mary, member["id"])
    assert (await town.delete(f"/members/{member['id']}", by=mary))[0] == 200
    status, again = await town.post("/members", {"phone": "13800138000", "role": "finance"}, by=boss)
    assert status == 201
    assert again["id"] != member["id"]


@pytest.mark.parametrize("protected", [True, False])
async def test_two_owners_who_end_each_other_at_once_leave_one(town, monkeypatch, protected):
    meet_after(town.owner, monkeypatch, "handlers.accounts.members._refuse_last_owner")
    if not protected:
        without(monkeypatch, "handlers.accounts.members.LOCK_ORGANISATION", " FOR NO KEY UPDATE", "")
    first = await town.enterprise()
    second = await town.member(first.organisation_id, Role.OWNER)
    await asyncio.gather(
        town.delete(f"/members/{second.membership_id}", by=first), town.delete(f"/members/{first.membership_id}", by=second)
    )
    left = await town.value("SELECT count(*) FROM memberships WHERE state = 'active'")
    assert left == (1 if protected else 0)


async def test_what_an_owner_wanted_while_being_removed_does_not_happen(town):
    first = await town.enterprise()
    second = await town.member(first.organisation_id, Role.OWNER)
    await reachable(town, "mary", "13800138000")
    await town.owner.execute("UPDATE memberships SET state = 'ended', ended_at = created_at WHERE id = $1", first.membership_id)
    with pytest.raises(NotYourRole):
        await accounts.invite_member(town.context(first), "13800138000", Role.VIEWER)
    assert [one["id"] for one in (await town.get("/members", by=second))[1]["items"]] == [second.membership_id]


# --- offices and officials --------------------------------------------------------------------------------------------


async def an_office(world: World, admin: Member, **changes: object) -> int:
    status, body = await world.post("/offices", {"name": "市工信局", "region_code": "370100", **changes}, by=admin)
    assert status == 201, body
    return int(body["id"])


async def test_an_administrator_makes_an_office_and_appoints_a_reviewer_over_a_county(town):
    admin = await town.official(Role.ADMIN)
    office = await an_office(town, admin)
    assert {"id": office, "name": "市工信局", "region_code": "370100"} in (await town.get("/offices", by=admin))[1]["items"]
    mary = await reachable(town, "mary", "13800138000")
    status, body = await town.post(
        "/officials", {"phone": "13800138000", "role": "reviewer", "office_id": office, "region_code": "370103"}, by=admin
    )
    expected = {
        "id": body["id"], "person_id": mary.person_id, "name": None, "phone": "138****8000", "role": "reviewer",
        "office_id": office, "office_name": "市工信局", "region_code": "370103", "park_id": None,
        "created_at": "2026-03-02T01:00:00+00:00",
    }
    assert (status, body) == (201, expected)
    assert expected in (await town.get("/officials", by=admin))[1]["items"]
    _, me = await town.get("/me", by=mary)
    assert me["memberships"][0]["region_code"] == "370103"


async def test_a_reviewer_of_a_park_has_that_park_and_no_division(town):
    admin = await town.official(Role.ADMIN)
    office = await an_office(town, admin)
    _, park = await town.post("/parks", {"name": "高新园", "county_code": "370103"}, by=admin)
    await reachable(town, "mary", "13800138000")
    asked = {"phone": "13800138000", "role": "reviewer", "office_id": office, "park_id": park["id"]}
    status, body = await town.post("/officials", asked, by=admin)
    assert (status, body["park_id"], body["region_code"]) == (201, park["id"], None)
    assert body["id"] in [one["id"] for one in (await town.get("/officials", by=admin))[1]["items"]]
    await refused(town, 409, "already_member", "POST", "/officials", asked, by=admin)


@pytest.mark.parametrize(("changes", "status", "code"), [
    ({"region_code": None}, 422, "jurisdiction_needed"),
    ({"park_id": 1}, 422, "jurisdiction_needed"),
    ({"region_code": None, "park_id": 999999}, 422, "park_unknown"),
    ({"region_code": "379999"}, 422, "region_unknown"),
    ({"region_code": "330100"}, 403, "outside_jurisdiction"),
    ({"region_code": "370000"}, 403, "outside_jurisdiction"),
    ({"region_code": None, "role": "witness"}, 403, "outside_jurisdiction"),  # a city's admin makes nobody for the whole platform
    ({"office_id": 999999}, 422, "office_unknown"),
    ({"phone": "13900139000"}, 409, "person_unknown"),
    ({"role": "owner"}, 422, "invalid_input"),
    ({"role": "system"}, 422, "invalid_input"),
])
async def test_an_appointment_that_cannot_be_is_refused(town, changes, status, code):
    admin = await town.official(Role.ADMIN)
    asked = {"phone": "13800138000", "role": "reviewer", "office_id": await an_office(town, admin), "region_code": "370103"}
    await reachable(town, "mary", "13800138000")
    await refused(town, status, code, "POST", "/officials", {**asked, **changes}, by=admin)


async def test_a_company_is_no_office(town):
    admin, company = await town.official(Role.ADMIN), await town.enterprise()
    await reachable(town, "mary", "13800138000")
    await refused(town, 422, "office_unknown", "POST", "/officials", {
        "phone": "13800138000", "role": "reviewer", "office_id": company.organisation_id, "region_code": "370103",
    }, by=admin)


async def test_nobody_appoints_or_ends_themselves(town):
    chief = await reachable(town, "chief", "13800138000")
    office = await town.organisation(OrganisationKind.OFFICE)
    admin = await town.member(office, Role.ADMIN, person=(chief.person_id, await any_identity(town, chief), "chief"))
    await refused(town, 403, "second_person_needed", "POST", "/officials", {
        "phone": "13800138000", "role": "reviewer", "office_id": office, "region_code": "370103",
    }, by=admin)
    await refused(town, 403, "second_person_needed", "DELETE", f"/officials/{admin.membership_id}", by=admin)
    reviewer = await town.member(office, Role.REVIEWER, region_code="370103", person=(chief.person_id, admin.identity_id, "chief"))
    await refused(town, 403, "second_person_needed", "DELETE", f"/officials/{reviewer.membership_id}", by=admin)


@pytest.mark.parametrize(("held", "asked"), [
    ("draw_officer", "witness"), ("witness", "draw_officer"), ("admin", "reviewer"), ("reviewer", "admin"), ("risk_officer", "admin"),
])
async def test_roles_that_watch_each_other_are_not_held_by_one_person_in_whatever_office(town, held, asked):
    admin = await town.official(Role.ADMIN)
    mary = await reachable(town, "mary", "13800138000")
    first, second = await an_office(town, admin), await an_office(town, admin, name="市财政局")
    body = {"phone": "13800138000", "region_code": "370100"}
    assert (await town.post("/officials", {**body, "office_id": first, "role": held}, by=admin))[0] == 201
    problem = await refused(
        town, 409, "roles_not_separate", "POST", "/officials", {**body, "office_id": second, "role": asked}, by=admin
    )
    assert problem["data"] == {"role": held}
    assert await town.value("SELECT count(*) FROM memberships WHERE person_id = $1", mary.person_id) == 1


@pytest.mark.parametrize("protected", [True, False])
async def test_two_appointments_at_once_do_not_mix_roles_that_watch_each_other(town, monkeypatch, protected):
    if not protected:
        without(monkeypatch, "handlers.accounts.organisations.LOCK_PERSON", " FOR NO KEY UPDATE", "")
    admin = await town.official(Role.ADMIN)
    body = {"region_code": "370100", "office_id": await an_office(town, admin)}
    rounds = []
    for number in range(1 if protected else 5):  # a slow connection may keep the two from meeting; not five times
        phone = f"1380013800{number}"
        await reachable(town, f"mary{number}", phone)
        meet_after(town.owner, monkeypatch, "handlers.accounts.officials.lock_person")
        answers = await asyncio.gather(*(
            town.post("/officials", {**body, "phone": phone, "role": role}, by=admin) for role in ("draw_officer", "witness")
        ))
        rounds.append(sorted(status for status, _ in answers))
    assert ([201, 201] in rounds) is not protected
    assert set(map(tuple, rounds)) <= {(201, 409), (201, 201)}


async def test_roles_that_go_together_are_held_together(town):
    admin = await town.official(Role.ADMIN)
    office = await an_office(town, admin)
    await reachable(town, "mary", "13800138000")
    body = {"phone": "13800138000", "region_code": "370100", "office_id": office}
    assert [(await town.post("/officials", {**body, "role": role}, by=admin))[0] for role in ("reviewer", "witness")] == [201, 201]


async def test_an_ended_official_is_none_with_the_next_request(town):
    admin, other = await town.official(Role.ADMIN), await town.official(Role.ADMIN)
    assert await town.delete(f"/officials/{other.membership_id}", by=admin) == (200, {"id": other.membership_id, "state": "ended"})
    assert (await town.get("/officials", by=other))[1]["code"] == "not_your_role"
    await refused(town, 404, "not_found", "DELETE", f"/officials/{other.membership_id}", by=admin)


async def test_officials_of_another_place_and_members_of_companies_are_not_there(town):
    admin = await town.official(Role.ADMIN, region_code="370100")
    far, wide, company = await town.official(Role.REVIEWER, region_code="330100"), await town.official(Role.ADMIN, region_code=None), \
        await town.enterprise()
    for other in (far, wide, company):
        await refused(town, 404, "not_found", "DELETE", f"/officials/{other.membership_id}", by=admin)
    assert [one["id"] for one in (await town.get("/officials", by=admin))[1]["items"]] == [admin.membership_id]
    assert len((await town.get("/officials", by=wide))[1]["items"]) == 3


@pytest.mark.parametrize(("region", "status", "code"), [
    ("379999", 422, "region_unknown"), ("330100", 403, "outside_jurisdiction"), (None, 403, "outside_jurisdiction"),
])
async def test_an_office_outside_ones_jurisdiction_is_refused(town, region, status, code):
    admin = await town.official(Role.ADMIN)
    await refused(town, status, code, "POST", "/offices", {"name": "某局", "region_code": region}, by=admin)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.PROGRAMME_MANAGER, Role.RISK_OFFICER])
async def test_only_administrators_appoint(town, role):
    official = await town.official(role)
    body = {"phone": "13800138000", "role": "admin", "office_id": official.organisation_id}
    await refused(town, 403, "not_your_role", "POST", "/officials", body, by=official)
    await refused(town, 403, "not_your_role", "POST", "/officials", body, by=await town.enterprise())
    await refused(town, 403, "not_your_role", "DELETE", f"/officials/{official.membership_id}", by=official)


@pytest.mark.parametrize("protected", [True, False])
async def test_two_administrators_who_end_each_other_at_once_leave_one(town, monkeypatch, protected):
    meet_after(town.owner, monkeypatch, "handlers.accounts.officials.require_still")
    if not protected:
        without(monkeypatch, "handlers.accounts.officials.LOCK_MEMBERSHIPS", " FOR NO KEY UPDATE", "")
    first, second = await town.official(Role.ADMIN), await town.official(Role.ADMIN)
    await asyncio.gather(
        town.delete(f"/officials/{second.membership_id}", by=first), town.delete(f"/officials/{first.membership_id}", by=second)
    )
    left = await town.value("SELECT count(*) FROM memberships WHERE state = 'active'")
    assert left == (1 if protected else 0)


async def test_the_first_administrator_comes_from_the_command_line_and_only_the_first(town):
    with pytest.raises(accounts.PersonUnknown):
        await accounts.appoint_first_admin(town.context(), "13800138000", "省中小企业局")
    mary = await reachable(town, "mary", "13800138000")
    made = await accounts.appoint_first_admin(town.context(), "13800138000", "省中小企业局")
    assert (made["person_id"], made["role"], made["office_name"], made["region_code"]) == (mary.person_id, "admin", "省中小企业局", None)
    before = await town.snapshot(*EVERYTHING)
    with pytest.raises(accounts.AdminExists):
        await accounts.appoint_first_admin(town.context(), "13800138000", "另一个局")
    assert await town.snapshot(*EVERYTHING) == before
