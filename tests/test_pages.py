"""The pages of an invitation as a browser speaks to them: tokens of forms, cookies, headers, codes, limits, and what they do not tell."""

import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, FormData
from aiohttp.test_utils import TestClient, TestServer

from handlers import consultants
from handlers.accounts.consents import privacy
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from miniapp_api.limits import POLICIES
from models.accounts import Role
from tests.applications import picture
from tests.consulting import OTHER_PHONE, PHONE, PROFILE, Consulting, open_consulting
from tests.world import World

VERSION = privacy()["version"]


class Visitor:
    """A browser without eyes: it keeps cookies, and sends the form that it was last shown."""

    def __init__(self, client: TestClient[Any, Any], token: str) -> None:
        self.client, self.token = client, token
        self.text, self.status = "", 0
        self.headers: dict[str, str] = {}

    async def get(self, path: str = "") -> "Visitor":
        return await self._ask("GET", path, None)

    async def post(self, path: str, **fields: Any) -> "Visitor":
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.text)
        return await self._ask("POST", path, {"form_token": found[1] if found else "", **fields})

    async def _ask(self, method: str, path: str, data: Any) -> "Visitor":
        photo = data.pop("photo", None) if data else None
        pairs = [(name, one) for name, value in (data or {}).items() for one in (value if isinstance(value, list) else [value])]
        data = FormData(pairs) if data else None
        if photo is not None:
            data.add_field("photo", io.BytesIO(photo), filename="photo.png", content_type="image/png")
        async with self.client.request(method, f"/i/{self.token}{path}", data=data) as response:
            self.status, self.headers, self.text = response.status, dict(response.headers), await response.text()
        return self

    @property
    def title(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.DOTALL)
        return found[1] if found else ""


@pytest.fixture
async def consulting(world: World) -> Consulting:
    return await open_consulting(world)


async def identified(consulting: Consulting, token: str, phone: str = PHONE) -> Visitor:
    """Through landing, phone and code, up to the form."""
    visitor = await Visitor(consulting.world.client, token).get()
    await visitor.get("/phone")
    assert (await visitor.post("/phone", phone=phone, privacy=VERSION)).title == "填写验证码"
    return await visitor.post("/code", phone=phone, code=await consulting.code())


def form(**changes: Any) -> dict[str, Any]:
    return {**PROFILE, **changes}


# --- the way through --------------------------------------------------------------------------------------------------------


async def test_somebody_without_an_account_accepts_fills_in_and_sees_the_result(consulting, world):
    consultant_id, token = await consulting.invited()
    visitor = await Visitor(world.client, token).get()
    name = await world.value("SELECT name FROM organisations WHERE id = $1", consulting.owner.organisation_id)
    assert (visitor.status, visitor.title) == (200, f"{name} 邀请您成为服务顾问")
    assert await world.value("SELECT count(*) FROM persons WHERE phone IS NOT NULL") == 0
    visitor = await identified(consulting, token)
    assert (visitor.status, visitor.title) == (200, "顾问认证信息")
    person = await world.one("SELECT * FROM persons WHERE phone IS NOT NULL")
    assert await world.value("SELECT state FROM consultants WHERE person_id = $1", person["id"]) == "filling"
    await visitor.post("/case", **form(), photo=picture())
    assert (visitor.status, "审核中" in visitor.text) == (200, True)
    assert await consulting.state(consultant_id) == "in_review"
    items = [{"field": "title", "problem": "请填写执业证上的名称"}, {"field": "files.consultant_photo", "problem": "请上传正面照"}]
    await consulting.decide(consultant_id, "return", {"reason": "请补正", "items": items})
    await visitor.get("/case")
    assert "退回补正" in visitor.text
    assert "职称或职务：请填写执业证上的名称" in visitor.text
    assert "照片：请上传正面照" in visitor.text
    await visitor.post("/case", **form(name="", title="律师"))
    await consulting.decide(consultant_id, "approval", {})
    assert "审核通过" in (await visitor.get("/case")).text
    assert await world.value("SELECT count(*) FROM memberships WHERE role = 'consultant' AND state = 'active'") == 1
    await consulting.deliver()
    assert [message.kind for message in consulting.sms.sent] == [
        "consultant_invited", "phone_code", "consultant_decided", "consultant_decided",
    ]


async def test_consent_is_recorded_before_the_phone_is_stored(consulting, world):
    _, token = await consulting.invited()
    await identified(consulting, token)
    assert [row["action"] for row in await world.owner.fetch(
        "SELECT action FROM audit_entries WHERE action IN ('consent.given', 'person.created', 'person.phone_bound') ORDER BY id"
    )] == ["person.created", "consent.given", "person.phone_bound"]
    assert await world.value("SELECT agreed_at FROM consents") == world.clock.now()


async def test_without_consent_nothing_is_sent_and_nothing_is_stored(consulting, world):
    _, token = await consulting.invited()
    visitor = await (await Visitor(world.client, token).get()).get("/phone")
    async with await consulting.unchanged():
        await visitor.post("/phone", phone=PHONE)
        assert (visitor.status, "请先阅读并同意《隐私政策》" in visitor.text) == (422, True)
        await visitor.post("/phone", phone=PHONE, privacy="2020-01-01")
        assert (visitor.status, "已更新" in visitor.text) == (422, True)
        await visitor.post("/phone", phone="1380013", privacy=VERSION)
        assert (visitor.status, "请填写 11 位手机号" in visitor.text) == (422, True)
    assert await world.value("SELECT count(*) FROM phone_codes") == 0


async def test_a_forwarded_link_sends_no_code_to_another_phone(consulting, world):
    _, token = await consulting.invited()
    visitor = await (await Visitor(world.client, token).get()).get("/phone")
    async with await consulting.unchanged():
        await visitor.post("/phone", phone=OTHER_PHONE, privacy=VERSION)
    assert (visitor.status, "该邀请不是发给此手机号的" in visitor.text) == (403, True)
    assert PHONE not in visitor.text


async def test_declining_needs_no_phone_and_the_institution_hears_of_it(consulting, world):
    consultant_id, token = await consulting.invited()
    visitor = await Visitor(world.client, token).get()
    await visitor.post("/refusal")
    assert (visitor.status, visitor.title) == (200, "已谢绝邀请")
    assert await consulting.state(consultant_id) == "added"
    assert [what["step"] for _, _, what in await consulting.told("consultant_progress")] == ["declined"]
    assert (await visitor.get()).status == 404


async def test_an_expired_page_offers_to_ask_the_institution(consulting, world):
    _, token = await consulting.invited()
    visitor = await Visitor(world.client, token).get()
    world.clock.advance(days=7)
    assert (await visitor.get()).title == "邀请已过期"
    assert (await visitor.get("/phone")).title == "邀请已过期"
    assert (await visitor.post("/renewal")).title == "已请服务机构重新邀请"
    assert [what["step"] for _, _, what in await consulting.told("consultant_progress")] == ["renewal_asked"]


async def test_a_code_that_was_asked_for_before_the_end_accepts_nothing_after_it(consulting, world):
    _, token = await consulting.invited()
    visitor = await (await Visitor(world.client, token).get()).get("/phone")
    world.clock.set(world.at(days=7, minutes=-1))
    await visitor.post("/phone", phone=PHONE, privacy=VERSION)
    code = await consulting.code()
    world.clock.advance(minutes=1)
    async with await consulting.unchanged():
        await visitor.post("/code", phone=PHONE, code=code)
    assert (visitor.status, visitor.title) == (409, "邀请已过期，请联系服务机构重新邀请")


async def test_the_invited_person_comes_back_with_the_phone_and_nobody_else_does(consulting, world):
    consultant_id, token = await consulting.invited(phone=None, email="zhang.min@example.com")
    await identified(consulting, token)
    world.client.session.cookie_jar.clear()
    visitor = await Visitor(world.client, token).get()
    assert "该邀请已被接受" in visitor.text
    async with await consulting.unchanged():
        assert (await visitor.get("/case")).title == "验证手机号"
        await visitor.post("/phone", phone=OTHER_PHONE, privacy=VERSION)
        assert visitor.status == 403
    world.clock.advance(minutes=2)
    await visitor.post("/phone", phone=PHONE, privacy=VERSION)
    await visitor.post("/code", phone=PHONE, code=await consulting.code())
    assert visitor.title == "顾问认证信息"
    assert await consulting.state(consultant_id) == "filling"


async def test_a_proof_is_for_one_link_one_browser_and_an_hour(consulting, world):
    _, token = await consulting.invited()
    visitor = await identified(consulting, token)
    cookies = {cookie.key: cookie.value for cookie in world.client.session.cookie_jar}
    assert set(cookies) == {"visitor", "proof"}
    world.clock.set(world.at(hours=1, microseconds=-1))
    assert (await visitor.get("/case")).title == "顾问认证信息"
    stolen = {"Cookie": f"visitor={'0' * 32}; proof={cookies['proof']}"}
    async with ClientSession(cookie_jar=DummyCookieJar()) as thief, thief.get(
        world.client.make_url(f"/i/{token}/case"), headers=stolen
    ) as response:
        assert "验证手机号" in await response.text()
    world.clock.advance(microseconds=1)
    assert (await visitor.get("/case")).title == "验证手机号"


async def test_unlinking_while_the_form_is_open_ends_it(consulting, world):
    consultant_id, token = await consulting.invited()
    visitor = await identified(consulting, token)
    await consulting.end(consultant_id)
    async with await consulting.unchanged():
        await visitor.post("/case", **form())
    assert (visitor.status, "已解除关联" in visitor.text) == (200, True)


async def test_a_form_that_is_sent_twice_is_one_submission(consulting, world):
    _, token = await consulting.invited()
    visitor = await identified(consulting, token)
    form_page = visitor.text
    await visitor.post("/case", **form())
    visitor.text = form_page
    async with await consulting.unchanged():
        await visitor.post("/case", **form(title="另一职务"))
    assert "审核中" in visitor.text


async def test_the_consultant_ends_it_on_the_page(consulting, world):
    consultant_id, token = await consulting.invited()
    visitor = await identified(consulting, token)
    await visitor.post("/end")
    assert "已解除关联" in visitor.text
    assert await consulting.state(consultant_id) == "ended"


@pytest.mark.parametrize(("changes", "problem"), [
    ({"name": ""}, "必填"), ({"title": ""}, "必填"), ({"specialities": []}, "选项过少"), ({"introduction": "短"}, "过短"),
    ({"photo": b"GIF89a not a photo"}, "文件类型不符合要求"), ({"photo": b""}, "文件是空的"),
    ({"photo": picture() + b"\0" * 2 * 1024 * 1024}, "文件过大"),
])
async def test_a_form_that_is_not_whole_comes_back_with_what_was_typed(consulting, world, changes, problem):
    consultant_id, token = await consulting.invited()
    visitor = await identified(consulting, token)
    await visitor.post("/case", **form(**changes))
    assert visitor.status == 422
    assert problem in visitor.text
    assert 'aria-invalid="true"' in visitor.text
    if "introduction" not in changes:
        assert PROFILE["introduction"] in visitor.text
    assert await consulting.state(consultant_id) == "filling"


# --- codes ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def asked(consulting: Consulting, world: World) -> AsyncIterator[tuple[Visitor, str]]:
    """A visitor who waits for the code, and the code."""
    _, token = await consulting.invited()
    visitor = await (await Visitor(world.client, token).get()).get("/phone")
    await visitor.post("/phone", phone=PHONE, privacy=VERSION)
    yield visitor, await consulting.code()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_five_wrong_guesses_spend_a_code_and_each_is_counted(asked, consulting, world):
    visitor, code = asked
    for left in (4, 3, 2, 1, 0):
        await visitor.post("/code", phone=PHONE, code=wrong(code))
        assert (visitor.status, f"还可以试 {left} 次" in visitor.text) == (422, True)
    async with await consulting.unchanged():
        await visitor.post("/code", phone=PHONE, code=code)
    assert (visitor.status, "验证码已失效" in visitor.text) == (409, True)
    assert await world.value("SELECT tries FROM phone_codes") == 5


@pytest.mark.parametrize(("late_us", "title"), [(-1, "顾问认证信息"), (0, "验证手机号"), (1, "验证手机号")])
async def test_a_code_is_good_for_five_minutes_to_the_instant(asked, world, late_us, title):
    visitor, code = asked
    world.clock.set(world.at(minutes=5) + timedelta(microseconds=late_us))
    assert (await visitor.post("/code", phone=PHONE, code=code)).title == title


async def test_a_code_is_for_its_own_phone_and_its_own_link(asked, consulting, world):
    visitor, code = asked
    _, other = await consulting.invited(phone=None, email="x.li@example.com")
    elsewhere = await (await Visitor(world.client, other).get()).get("/phone")
    async with await consulting.unchanged():
        await visitor.post("/code", phone=OTHER_PHONE, code=code)
        await elsewhere.post("/code", phone=PHONE, code=code)
    assert (visitor.status, elsewhere.status) == (409, 409)


async def test_a_used_code_opens_nothing_again(asked, consulting, world):
    visitor, code = asked
    code_page = visitor.text
    await visitor.post("/code", phone=PHONE, code=code)
    world.client.session.cookie_jar.clear(lambda cookie: cookie.key == "proof")
    visitor.text = code_page
    async with await consulting.unchanged():
        await visitor.post("/code", phone=PHONE, code=code)
    assert (visitor.status, visitor.title) == (409, "验证手机号")


async def test_a_minute_between_codes_and_five_a_day(asked, consulting, world):
    visitor, _ = asked
    await visitor.get("/phone")
    page = visitor.text
    for minutes, status in ((0, 429), (1, 200), (1, 200), (1, 200), (1, 200), (1, 429)):
        world.clock.advance(minutes=minutes)
        visitor.text = page
        await visitor.post("/phone", phone=PHONE, privacy=VERSION)
        assert visitor.status == status
    assert int(visitor.headers["Retry-After"]) == 24 * 3600 - 5 * 60 + 1
    assert await world.value("SELECT count(*) FROM phone_codes") == 5
    world.clock.advance(days=1)
    assert await world.sweep(consultants.forget_codes) == 5
    visitor.text = page
    assert (await visitor.post("/phone", phone=PHONE, privacy=VERSION)).status == 200


async def test_a_code_is_kept_as_a_keyed_hash_and_its_phone_as_a_blind_index(asked, world):
    _, code = asked
    row = dict(await world.one("SELECT * FROM phone_codes"))
    assert code.encode() not in b"|".join(value for value in row.values() if isinstance(value, bytes))
    assert PHONE not in str(row)
    assert len(row["code_hash"]) == 32


# --- what a page tells and does not ------------------------------------------------------------------------------------------


async def test_every_dead_link_has_the_same_page(consulting, world):
    revoked_id, revoked = await consulting.invited()
    await world.delete(f"/institution/consultants/{revoked_id}/invitation", by=consulting.owner)
    pages = {}
    for token in ("x" * 24, revoked, "%E9%82%80", "x", "x" * 128):
        async with world.client.get(f"/i/{token}") as response:
            shown = (response.status, re.sub(r'value="[0-9a-f]+"', "", await response.text()))
        pages[token] = shown
    assert set(pages.values()) == {(404, pages["x"][1])}
    assert "链接无效" in pages["x"][1]


HEADERS = {
    "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


@pytest.mark.parametrize("path", ["/i/{token}", "/i/{token}/phone", "/i/unknown", "/b/unknown", "/privacy"])
async def test_every_page_has_its_headers_and_no_script(consulting, world, path):
    _, token = await consulting.invited()
    async with world.client.get(path.format(token=token)) as response:
        text = await response.text()
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in text
    assert not re.search(r"(src|href|action)=[\"'](https?:)?//", text)
    assert 'lang="zh-CN"' in text


async def test_cookies_are_for_the_server_alone_and_only_where_they_are_needed(consulting, world):
    _, token = await consulting.invited()
    async with world.client.get(f"/i/{token}") as response:
        (cookie,) = response.headers.getall("Set-Cookie")
    assert re.fullmatch(r"visitor=[0-9a-f]{32}; HttpOnly; Max-Age=3600; Path=/i; SameSite=Lax", cookie), cookie
    await identified(consulting, token)
    proof = next(one for one in world.client.session.cookie_jar if one.key == "proof")
    assert (proof["path"], proof["httponly"], proof["samesite"]) == (f"/i/{token}", True, "Lax")


@pytest.mark.parametrize("path", ["/refusal", "/phone", "/code", "/case", "/end", "/renewal"])
async def test_a_form_of_another_site_or_browser_does_nothing(consulting, world, path):
    _, token = await consulting.invited()
    visitor = await identified(consulting, token)
    right = re.search(r'name="form_token" value="([0-9a-f]+)"', visitor.text)[1]
    fields = {"phone": PHONE, "privacy": VERSION, "code": "000000", "name": "张敏"}
    mine = "; ".join(f"{cookie.key}={cookie.value}" for cookie in world.client.session.cookie_jar)
    others = re.sub(r"visitor=\w+", f"visitor={'a' * 32}", mine)
    async with await consulting.unchanged(), ClientSession(cookie_jar=DummyCookieJar()) as browser:
        for cookies, site, form_token in (
            (mine, "same-origin", ""), (mine, "same-origin", "0" * 32), (mine, "cross-site", right), (others, "same-origin", right),
            ("", "same-origin", right),
        ):
            async with browser.post(
                world.client.make_url(f"/i/{token}{path}"), data={**fields, "form_token": form_token},
                headers={"Cookie": cookies, "Sec-Fetch-Site": site},
            ) as response:
                assert (response.status, "页面已失效" in await response.text()) == (403, True), (cookies, site)


async def test_what_an_institution_writes_is_text_and_never_a_page(consulting, world):
    evil = "<img src=x onerror=alert(1)>\"'</title>"
    await world.owner.execute("UPDATE organisations SET name = $2 WHERE id = $1", consulting.owner.organisation_id, evil)
    await world.owner.execute("UPDATE institutions SET introduction = $1, address = $2", evil, evil)
    consultant_id, token = await consulting.invited()
    await world.owner.execute("UPDATE consultants SET display_name = $2 WHERE id = $1", consultant_id, evil)
    visitor = await Visitor(world.client, token).get()
    assert "<img" not in visitor.text
    assert "&lt;img src=x" in visitor.text
    async with world.client.get(
        f"/api/v1/invitations/{token}/poster.svg", headers={"Authorization": f"Bearer {consulting.owner.token}"}
    ) as response:
        assert b"<img" not in await response.read()


@pytest.mark.parametrize("body", [
    b"", b"form_token=%ff%fe", b"a=" + b"x" * 20_000, b"phone=" + b"\x00" * 10, b"&".join(b"a=%d" % number for number in range(2000)),
])
async def test_hostile_bodies_are_refused_as_pages(consulting, world, body):
    _, token = await consulting.invited()
    await Visitor(world.client, token).get()
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain"):
        async with world.client.post(f"/i/{token}/phone", data=body, headers={"Content-Type": kind}) as response:
            assert response.status in {403, 413, 422}, (kind, response.status)
            assert response.content_type == "text/html"


async def test_an_address_and_a_link_are_limited(database, clock, settings, world, consulting):
    """With the real limits: sixty a minute for an address, and for a link whoever opens it."""
    _, token = await consulting.invited()
    app = create_app(settings=settings, clock=clock, ports=world.ports, apis=APIS, redis_url=None, policies=POLICIES)
    async with TestClient(TestServer(app)) as client:
        statuses = []
        for number in range(61):
            async with client.get(f"/i/{token if number else 'unknown'}") as response:
                statuses.append(response.status)
        assert statuses == [404] + [200] * 59 + [429]
        assert int(response.headers["Retry-After"]) >= 1


async def test_a_link_is_limited_whoever_opens_it(clock, settings, world, consulting):
    _, token = await consulting.invited()
    trusting = settings.model_copy(update={"trust_forwarded_for": True})
    app = create_app(settings=trusting, clock=clock, ports=world.ports, apis=APIS, redis_url=None, policies=POLICIES)
    async with TestClient(TestServer(app)) as client:
        statuses = []
        for number in range(61):
            async with client.get(f"/i/{token}", headers={"X-Forwarded-For": f"203.0.113.{number}"}) as response:
                statuses.append(response.status)
    assert statuses == [200] * 60 + [429]


# --- the badge --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "ended", "standing"), [
    (0, False, "有效"), (60, False, "二维码已过期"), (0, True, "已失效"),
])
async def test_anybody_who_scans_a_badge_sees_whether_it_is_good(consulting, world, seconds, ended, standing):
    consultant_id, member = await world.consultant(consulting.owner)
    badge = (await world.get("/badge", by=member))[1]
    world.clock.advance(seconds=seconds)
    if ended:
        await consulting.end(consultant_id)
    async with world.client.get(f"/b/{badge['token']}") as response:
        text = await response.text()
        assert response.status == 200
    assert f'role="status">{standing}' in text
    assert "张顾问" in text
    assert badge["institution_name"] in text


async def test_a_role_of_somebody_else_is_not_shown_on_any_page(consulting, world):
    """The pages speak for nobody's session: a bearer token changes nothing on them."""
    _, token = await consulting.invited()
    admin = await world.official(Role.ADMIN)
    async with world.client.get(f"/i/{token}/case", headers={"Authorization": f"Bearer {admin.token}"}) as response:
        assert "验证手机号" in await response.text()
