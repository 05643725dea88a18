"""The HTTP layer on its own, with a tiny API over the real database: who, what, how often, once, and what is refused."""

import asyncio
import hashlib
import json
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, TypedDict
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer
from limits import RateLimitItemPerMinute
from pydantic import Field, SecretStr, field_validator
from structlog.testing import capture_logs

from handlers.context import Context
from handlers.refusals import Kind, NotFound, Refusal
from handlers.sessions import resolve, token_hash
from handlers.transactions import transaction
from miniapp_api.application import create_app
from miniapp_api.edge import EDGE
from miniapp_api.limits import POLICIES, By, Policy
from miniapp_api.problems import STATUS
from miniapp_api.reading import parse_body
from miniapp_api.routing import Api, Body, Download, Query, Upload, Who
from models import database as db
from models.accounts import OrganisationKind, Role
from models.engine import lend_transaction
from tests.fakes import ports

UNLIMITED = {name: Policy(RateLimitItemPerMinute(1_000_000), By.IP, shared=False) for name in POLICIES}
SECRET = "Tr0ub4dor-and-3"


class TooRed(Refusal):
    kind, code, title = Kind.CONFLICT, "test_too_red", "太红了"


class Unmentioned(Refusal):
    kind, code, title = Kind.CONFLICT, "test_unmentioned", "没有写进文档"


class PaintBody(Body):
    colour: Annotated[str, Field(min_length=1, max_length=20)]
    amount_fen: int = 1
    password: SecretStr = SecretStr("")


    @field_validator("colour")
    @classmethod
    def _no_pink(cls, colour: str) -> str:
        if colour == "pink":
            raise ValueError("不能是粉色")
        return colour


class PaintView(TypedDict):
    thing: int
    colour: str
    amount_fen: int


class ShelfQuery(Query):
    colour: str | None = None
    sizes: tuple[int, ...] = ()


class ShelfView(TypedDict):
    colour: str | None
    sizes: list[int]
    limit: int
    after: str | None


api = Api("things", "测试")
calls: list[int] = []


@api.post("/things/{thing_id}/paint", title="上色", who=Who.ENTERPRISE_ACTOR, refusals=(TooRed,), status=201)
async def paint(ctx: Context, thing_id: int, body: PaintBody) -> PaintView:
    calls.append(thing_id)
    async with transaction(ctx) as tx:
        await tx.row("SELECT pg_advisory_xact_lock($1)", thing_id)
        if body.colour == "red":
            raise TooRed(thing=thing_id)
        if body.colour == "unmentioned":
            raise Unmentioned
        if body.colour == "broken":
            raise RuntimeError(f"the password was {body.password.get_secret_value()}")
        tx.record("paint", "thing", thing_id, after=body.colour)
        painted: PaintView = {"thing": thing_id, "colour": body.colour, "amount_fen": body.amount_fen}
        return tx.reply(painted)


@api.post("/things/{thing_id}/gift", title="赠送", who=Who.SIGNED_IN, key_required=True)
async def give(ctx: Context, thing_id: int) -> None:
    async with transaction(ctx) as tx:
        tx.record("give", "thing", thing_id)
        tx.reply(None)


@api.post("/things/forgetful", title="不留答复", who=Who.SIGNED_IN)
async def forget(ctx: Context) -> dict[str, bool]:
    async with transaction(ctx) as tx:
        tx.record("forget", "thing", 1)
    return {"kept": False}


@api.post("/things/{thing_id}/clash", title="冲突两次", who=Who.SIGNED_IN)
async def clash(ctx: Context, thing_id: int) -> dict[str, int]:
    """PostgreSQL itself reports the first `thing_id` serialization failures."""
    calls.append(thing_id)
    async with transaction(ctx) as tx:
        if len(calls) <= thing_id:
            await tx.run("DO $$ BEGIN RAISE serialization_failure; END $$")
        tx.record("clash", "thing", thing_id)
        return tx.reply({"tries": len(calls)})


@api.get("/shelf", title="货架", who=Who.ANYONE)
async def shelf(ctx: Context, query: ShelfQuery) -> ShelfView:
    query.page().key()
    return {"colour": query.colour, "sizes": list(query.sizes), "limit": query.limit, "after": query.after}


@api.get("/things/{thing_id}", title="查看", who=Who.ANYONE)
async def show(ctx: Context, thing_id: int) -> dict[str, int]:
    if thing_id == 404:
        raise NotFound
    return {"thing": thing_id}


@api.post("/scans", title="上传", who=Who.SIGNED_IN, limit="upload", body_max_bytes=100_000)
async def scan(ctx: Context, upload: Upload) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    async for chunk in upload.chunks:
        digest.update(chunk)
        size += len(chunk)
    return {"name": upload.file_name, "size": size, "sha256": digest.hexdigest()}


@api.get("/scans/{name}", title="下载", who=Who.ANYONE)
async def fetch(ctx: Context, name: str) -> Download:
    async def chunks():
        yield b"half "
        yield name.encode()

    return Download(chunks(), "application/pdf", "营业执照.pdf")


@api.post("/log-in", title="登录", who=Who.ANYONE, limit="login")
async def knock(ctx: Context, body: PaintBody) -> dict[str, bool]:
    return {"key": ctx.idempotency is not None}


@pytest.fixture
async def phone(database, settings, clock):
    calls.clear()
    app = create_app(
        settings=settings, clock=clock, ports=ports(), apis=[api], redis_url=None, strict_refusals=True, policies=UNLIMITED
    )
    async with TestClient(TestServer(app)) as client:
        yield client


async def sign_in(
    database: asyncpg.Connection, clock, kind: str = OrganisationKind.ENTERPRISE, role: str = Role.OWNER, token: str = "token-of-anna"
) -> dict[str, str]:
    """A signed-in member of a new organisation, as the headers of a request."""
    now = clock.now()
    person = await database.fetchval("INSERT INTO persons (created_at) VALUES ($1) RETURNING id", now)
    identity = await database.fetchval(
        "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1, 'wechat', 'wx', $2, $3) RETURNING id",
        person, token, now,
    )
    organisation = await database.fetchval(
        "INSERT INTO organisations (kind, name, created_at) VALUES ($1, '甲公司', $2) RETURNING id", kind, now
    )
    membership = await database.fetchval(
        "INSERT INTO memberships (person_id, organisation_id, role, state, created_at) VALUES ($1, $2, $3, 'active', $4) RETURNING id",
        person, organisation, role, now,
    )
    await database.execute(
        "INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        token_hash(token), person, identity, membership, now, now + timedelta(days=30),
    )
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def anna(database, clock):
    return await sign_in(database, clock)


async def effects(database: asyncpg.Connection) -> int:
    return int(await database.fetchval("SELECT count(*) FROM audit_entries"))


async def problem_of(response) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = await response.json()
    assert set(document) == {"type", "title", "status", "code", "data", "request_id"}
    assert document["type"] == f"urn:qifuquan:problem:{document['code']}"
    assert document["status"] == response.status
    assert document["request_id"] == response.headers["X-Request-Id"]
    return document


async def refused(response, status: int, code: str) -> dict[str, Any]:
    document = await problem_of(response)
    assert (response.status, document["code"]) == (status, code)
    return document


PAINT = "/api/v1/things/7/paint"


# --- who --------------------------------------------------------------------------------------------------------------


async def test_a_member_with_the_role_gets_an_answer(phone, anna, database):
    response = await phone.post(PAINT, json={"colour": "green"}, headers=anna | {"X-Request-Id": "trace-0001"})
    assert response.status == 201
    assert await response.json() == {"thing": 7, "colour": "green", "amount_fen": 1}
    assert response.headers["X-Request-Id"] == "trace-0001"
    row = await database.fetchrow("SELECT * FROM audit_entries")
    assert (row["action"], row["role"], row["request_id"], row["after"]) == ("paint", "owner", "trace-0001", "green")


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic token-of-anna", "Bearer other", "Bearer ünknown", "Bearer a\tb"])
async def test_without_a_known_token_nobody_is_signed_in(phone, anna, database, header):
    response = await phone.post(PAINT, json={"colour": "green"}, headers={"Authorization": header} if header else {})
    await refused(response, 401, "not_signed_in")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert await effects(database) == 0


@pytest.mark.parametrize("ending", ["revoked_at = created_at", "expires_at = created_at + interval '1 second'"])
async def test_an_ended_session_says_so(phone, anna, database, clock, ending):
    await database.execute(f"UPDATE sessions SET {ending}")
    clock.advance(seconds=1)
    await refused(await phone.post(PAINT, json={"colour": "green"}, headers=anna), 401, "session_ended")
    assert await effects(database) == 0


async def test_a_session_ends_at_the_very_microsecond(phone, anna, clock, database):
    clock.advance(days=30, microseconds=-1)
    assert (await phone.post(PAINT, json={"colour": "green"}, headers=anna)).status == 201
    clock.advance(microseconds=1)
    await refused(await phone.post(PAINT, json={"colour": "green"}, headers=anna), 401, "session_ended")


@pytest.mark.parametrize(("kind", "role"), [
    ("enterprise", "finance"), ("enterprise", "viewer"), ("institution", "owner"), ("office", "admin"),
])
async def test_another_role_or_kind_of_organisation_is_turned_away(phone, database, clock, kind, role):
    headers = await sign_in(database, clock, kind, role)
    await refused(await phone.post(PAINT, json={"colour": "green"}, headers=headers), 403, "not_your_role")
    assert await effects(database) == 0


async def test_an_ended_membership_leaves_a_person_without_organisation(phone, anna, database):
    await database.execute("UPDATE memberships SET state = 'ended', ended_at = created_at")
    await refused(await phone.post(PAINT, json={"colour": "green"}, headers=anna), 403, "not_your_role")
    response = await phone.post("/api/v1/things/1/gift", headers=anna | {"Idempotency-Key": "k"})
    assert response.status == 204
    assert await database.fetchval("SELECT organisation_id IS NULL AND role = 'person' FROM audit_entries")


# --- once -------------------------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_replay_the_first_answer(phone, anna, database):
    keyed = anna | {"Idempotency-Key": "order-1"}
    first = await phone.post(PAINT, json={"colour": "green"}, headers=keyed)
    second = await phone.post(PAINT, json={"colour": "green"}, headers=keyed)
    assert (first.status, second.status) == (201, 201)
    assert await first.read() == await second.read()
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (await effects(database), calls) == (1, [7])


@pytest.mark.parametrize(("path", "colour"), [(PAINT, "blue"), ("/api/v1/things/8/paint", "green"), (PAINT + "?x=1", "green")])
async def test_the_same_key_for_something_else_is_refused(phone, anna, database, path, colour):
    keyed = anna | {"Idempotency-Key": "order-1"}
    await phone.post(PAINT, json={"colour": "green"}, headers=keyed)
    await refused(await phone.post(path, json={"colour": colour}, headers=keyed), 422, "idempotency_key_reused")
    assert await effects(database) == 1


async def test_a_key_belongs_to_one_person_and_one_operation(phone, anna, database, clock):
    bert = await sign_in(database, clock, token="token-of-bert")
    for headers in (anna, bert):
        response = await phone.post(PAINT, json={"colour": "green"}, headers=headers | {"Idempotency-Key": "k"})
        assert response.status == 201
        assert (await phone.post("/api/v1/things/7/gift", headers=headers | {"Idempotency-Key": "k"})).status == 204
    assert await effects(database) == 4


async def test_twenty_four_at_once_with_one_key_have_one_effect(phone, anna, database):
    keyed = anna | {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(*(phone.post(PAINT, json={"colour": "green"}, headers=keyed) for _ in range(24)))
    assert {answer.status for answer in answers} == {201}
    assert {await answer.read() for answer in answers} == {b'{"thing":7,"colour":"green","amount_fen":1}'}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert await effects(database) == 1


async def test_a_refusal_is_not_kept(phone, anna, database):
    keyed = anna | {"Idempotency-Key": "order-1"}
    document = await refused(await phone.post(PAINT, json={"colour": "red"}, headers=keyed), 409, "test_too_red")
    assert (document["title"], document["data"]) == ("太红了", {"thing": 7})
    assert await database.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert (await phone.post(PAINT, json={"colour": "green"}, headers=keyed)).status == 201


async def test_a_retry_over_a_new_pepper_has_no_second_effect(phone, anna, database, settings, clock):
    """What was asked is not recognised any more, and so refused like another request: its key is taken."""
    keyed = anna | {"Idempotency-Key": "order-1"}
    assert (await phone.post(PAINT, json={"colour": "green"}, headers=keyed)).status == 201
    rotated = settings.model_copy(update={"payment_pepper": SecretStr("of next year")})
    app = create_app(
        settings=rotated, clock=clock, ports=ports(), apis=[api], redis_url=None, strict_refusals=True, policies=UNLIMITED
    )
    async with TestClient(TestServer(app)) as restarted:
        await refused(await restarted.post(PAINT, json={"colour": "green"}, headers=keyed), 422, "idempotency_key_reused")
        assert (await effects(database), calls) == (1, [7])
        response = await restarted.post(PAINT, json={"colour": "green"}, headers=keyed | {"Idempotency-Key": "order-2"})
        assert response.status == 201


@pytest.mark.parametrize("key", [None, "", "with space", "钥匙", "x" * 256])
async def test_a_required_key_must_be_there_and_be_visible_ascii(phone, anna, database, key):
    headers = anna if key is None else anna | {"Idempotency-Key": key}
    await refused(await phone.post("/api/v1/things/1/gift", headers=headers), 422, "idempotency_key_invalid")
    assert await effects(database) == 0


async def test_an_answer_without_content_is_replayed_without_content(phone, anna, database):
    for _ in range(2):
        response = await phone.post("/api/v1/things/1/gift", headers=anna | {"Idempotency-Key": "x" * 255})
        assert (response.status, await response.read()) == (204, b"")
    assert await effects(database) == 1


async def test_logging_in_ignores_the_key(phone):
    response = await phone.post("/api/v1/log-in", json={"colour": "x"}, headers={"Idempotency-Key": "not valid"})
    assert (response.status, await response.json()) == (200, {"key": False})


async def test_an_operation_that_keeps_no_answer_is_found_by_the_tests(phone, anna):
    response = await phone.post("/api/v1/things/forgetful", headers=anna | {"Idempotency-Key": "k"})
    await refused(response, 500, "internal_error")


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_has_its_status(database, settings, clock, kind):
    class Said(Refusal):
        code, title = f"test_kind_{kind}", "不行"

    Said.kind = kind
    one = Api("one", "一")

    @one.get("/one", title="一", who=Who.ANYONE, refusals=(Said,))
    async def one_of_them(ctx: Context) -> None:
        raise Said(retry_after_seconds=17)

    app = create_app(settings=settings, clock=clock, ports=ports(), apis=[one], redis_url=None, policies=UNLIMITED)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/api/v1/one")
        document = await refused(response, STATUS[kind], f"test_kind_{kind}")
    assert document["title"] == "不行"
    assert response.headers.get("Retry-After") == ("17" if kind in {Kind.TOO_MANY, Kind.UNAVAILABLE} else None)


async def test_an_undeclared_refusal_is_a_bug_in_strict_mode(phone, anna, database):
    await refused(await phone.post(PAINT, json={"colour": "unmentioned"}, headers=anna), 500, "internal_error")
    assert await effects(database) == 0


async def test_a_bug_is_logged_once_and_shows_nothing_of_itself(phone, anna, database):
    with capture_logs() as lines:
        response = await phone.post(PAINT, json={"colour": "broken", "password": SECRET}, headers=anna)
    document = await refused(response, 500, "internal_error")
    assert document["title"] == "系统出现错误，请稍后再试"
    assert SECRET not in await response.text()
    assert await effects(database) == 0
    assert [line["event"] for line in lines] == ["internal_error", "request"]
    assert isinstance(lines[0]["exc_info"], RuntimeError)


async def test_the_access_log_has_no_query_no_body_and_no_token(phone, anna):
    with capture_logs() as lines:
        await phone.post(PAINT + "?session_token=s3", json={"colour": "green", "password": SECRET}, headers=anna)
    line = lines[0]
    assert line.pop("ms") > 0
    assert lines == [{"event": "request", "log_level": "info", "method": "POST", "operation": "paint", "status": 201}]


async def test_unknown_paths_and_methods_are_problems_too(phone):
    await refused(await phone.get("/api/v1/nothing"), 404, "not_found")
    response = await phone.delete("/api/v1/shelf")
    await refused(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET"


async def test_a_lost_race_of_the_database_is_run_again(phone, anna, database):
    response = await phone.post("/api/v1/things/2/clash", headers=anna | {"Idempotency-Key": "k"})
    assert (response.status, await response.json()) == (200, {"tries": 3})
    assert await effects(database) == 1


async def test_the_third_lost_race_is_told(phone, anna, database):
    with capture_logs() as lines:
        response = await phone.post("/api/v1/things/9/clash", headers=anna)
    await refused(response, 503, "busy")
    assert lines[0] == {"event": "busy", "log_level": "warning", "cause": "SerializationError"}
    assert response.headers["Retry-After"] == "1"
    assert (await effects(database), len(calls)) == (0, 3)


@pytest.mark.parametrize("sent", ["short", "x" * 41, "with space", "a" * 20 + "\u00e9"])
async def test_a_request_id_that_could_spoil_a_log_is_replaced(phone, sent):
    response = await phone.get("/api/v1/things/1", headers={"X-Request-Id": sent})
    assert response.headers["X-Request-Id"] != sent
    assert len(response.headers["X-Request-Id"]) == 16


class Cable:
    """Between the pool and PostgreSQL, to be pulled out and put back; while `flows` is not set nothing gets through."""

    def __init__(self, url: str) -> None:
        self.flows = asyncio.Event()
        self.flows.set()
        self._parts = urlsplit(url)
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._port = 0

    async def plug(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        who = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{who}@127.0.0.1:{self._port}"))

    async def pull(self) -> None:
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._ends += [writer, there[1]]
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
        writer.close()


async def test_a_database_that_is_away_is_told_and_forgotten_when_it_is_back(phone, anna, database, database_urls):
    cable = Cable(database_urls[1])
    await db.disconnect()
    await db.connect(await cable.plug())
    try:
        assert (await phone.post(PAINT, json={"colour": "green"}, headers=anna)).status == 201
        await cable.pull()
        for _ in range(3):
            await refused(await phone.post(PAINT, json={"colour": "green"}, headers=anna), 503, "busy")
        assert (await phone.get("/readyz")).status == 503
        assert (await phone.get("/livez")).status == 200
        await cable.plug()
        assert (await phone.post(PAINT, json={"colour": "green"}, headers=anna)).status == 201
        assert await effects(database) == 2
    finally:
        await db.disconnect()
        await cable.pull()
        await db.connect(database_urls[1], db.Limits(pool_max=20))


async def test_a_refusal_is_told_even_if_its_rollback_takes_too_long(phone, database, database_urls):
    cable = Cable(database_urls[1])
    await db.disconnect()
    await db.connect(await cable.plug(), db.Limits(pool_max=1))
    try:
        with pytest.raises(NotFound):
            async with lend_transaction() as connection:
                await connection.execute("INSERT INTO persons (created_at) VALUES (now())")
                cable.flows.clear()
                raise NotFound
        assert connection.is_closed()
        cable.flows.set()
        async with lend_transaction() as another:
            assert await another.fetchval("SELECT count(*) FROM persons") == 0
    finally:
        await db.disconnect()
        await cable.pull()
        await db.connect(database_urls[1], db.Limits(pool_max=20))


# --- hostile input ----------------------------------------------------------------------------------------------------

HOSTILE = {
    "nothing": (b"", "json_syntax"),
    "half": (b'{"colour": "x"', "json_syntax"),
    "two documents": (b'{"colour": "x"} {}', "json_syntax"),
    "no utf-8": (b'{"colour": "\xff"}', "json_syntax"),
    "byte order mark": (b'\xef\xbb\xbf{"colour": "x"}', "json_syntax"),
    "raw NUL": (b'{"colour": "\x00"}', "json_syntax"),
    "NUL": (b'{"colour": "a\\u0000b"}', "json_character"),
    "NUL in a name": (b'{"colour": "x", "\\u0000": 1}', "json_character"),
    "lone surrogate": (b'{"colour": "\\ud800"}', "json_character"),
    "surrogates in the wrong order": (b'{"colour": "\\udc00\\ud800"}', "json_character"),
    "beyond int64": (b'{"colour": "x", "amount_fen": 9223372036854775808}', "int64"),
    "an integer of 30,000 digits": (b'{"colour": "x", "amount_fen": ' + b"9" * 30_000 + b"}", "int64"),
    "beyond int64 as a fraction": (b'{"colour": "x", "amount_fen": 1' + b"0" * 30 + b".0}", "int64"),
    "repeated name": (b'{"colour": "x", "colour": "y"}', "json_repeated_name"),
    "NaN": (b'{"colour": "x", "amount_fen": NaN}', "json_syntax"),
    "Infinity": (b'{"colour": "x", "amount_fen": -Infinity}', "json_syntax"),
    "deep": (b"[" * 30_000 + b"]" * 30_000, "json_depth"),
    "exponent": (b'{"colour": "x", "amount_fen": 1e2}', "int_type"),
    "overflow": (b'{"colour": "x", "amount_fen": 1e400}', "int_type"),
    "fraction": (b'{"colour": "x", "amount_fen": 1.5}', "int_type"),
    "text for a number": (b'{"colour": "x", "amount_fen": "1"}', "int_type"),
    "arabic digits": ('{"colour": "x", "amount_fen": "١٢"}'.encode(), "int_type"),
    "truth for a number": (b'{"colour": "x", "amount_fen": true}', "int_type"),
    "number for text": (b'{"colour": 1}', "string_type"),
    "a list": (b"[]", "model_type"),
    "missing": (b"{}", "missing"),
    "unknown": (b'{"colour": "x", "state": "paid"}', "extra_forbidden"),
    "too long": (b'{"colour": "' + b"x" * 21 + b'"}', "string_too_long"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_json_is_refused_before_anything_happens(phone, anna, database, case):
    raw, code = HOSTILE[case]
    response = await phone.post(PAINT, data=raw, headers=anna | {"Content-Type": "application/json"})
    document = await refused(response, 422, "invalid_input")
    assert [found["code"] for found in document["data"]["fields"]] == [code]
    assert (await effects(database), calls) == (0, [])


def test_two_hundred_thousand_levels_are_no_crash():
    for raw in (b"[" * 200_000, b'{"a":' * 200_000, b"[" * 200_000 + b"]" * 200_000):
        with pytest.raises(Refusal) as refusal:
            parse_body(raw, api.operations[0].body)
        assert refusal.value.data["fields"][0]["code"] == "json_depth"


async def test_a_whole_number_may_be_written_with_a_fraction_of_zero(phone, anna):
    raw = b'{"colour": "1.0", "amount_fen": 13793964.0}'
    response = await phone.post(PAINT, data=raw, headers=anna | {"Content-Type": "application/json"})
    assert await response.json() == {"thing": 7, "colour": "1.0", "amount_fen": 13_793_964}


@pytest.mark.parametrize("body", [
    {"colour": SECRET * 5, "password": SECRET}, {"colour": "x", "password": [SECRET]}, {"colour": "x", SECRET: SECRET},
    {"colour": "x", "amount_fen": SECRET}, {"password": SECRET}, SECRET, [SECRET],
])
async def test_an_error_never_repeats_what_was_sent(phone, anna, body):
    response = await phone.post(PAINT, json=body, headers=anna)
    document = await refused(response, 422, "invalid_input")
    assert SECRET not in await response.text()
    assert all(found["path"].startswith("body") and found["message"] for found in document["data"]["fields"])


async def test_field_errors_speak_chinese(phone, anna):
    response = await phone.post(PAINT, json={"colour": "", "amount_fen": "x"}, headers=anna)
    assert (await response.json())["data"]["fields"] == [
        {"path": "body.colour", "code": "string_too_short", "message": "至少 1 个字符"},
        {"path": "body.amount_fen", "code": "int_type", "message": "应为整数"},
    ]
    response = await phone.post(PAINT, json={"colour": "pink"}, headers=anna)
    assert (await response.json())["data"]["fields"] == [{"path": "body.colour", "code": "value_error", "message": "不能是粉色"}]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_another_content_type_is_not_accepted(phone, anna, content_type):
    response = await phone.post(PAINT, data=b'{"colour": "x"}', headers=anna | {"Content-Type": content_type})
    await refused(response, 415, "content_type_not_accepted")


async def test_a_compressed_body_is_not_accepted(phone, anna):
    response = await phone.post(
        PAINT, data=b'{"colour": "x"}', headers=anna | {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    )
    assert response.status in {400, 415}


async def test_a_body_may_have_so_many_bytes_and_no_more(phone, anna, database, settings):
    exact = b'{"colour": "x"}'.ljust(settings.body_max_bytes)
    json_type = anna | {"Content-Type": "application/json"}
    assert (await phone.post(PAINT, data=exact, headers=json_type)).status == 201
    await refused(await phone.post(PAINT, data=exact + b" ", headers=json_type), 413, "body_too_large")

    async def chunked():
        for _ in range(3):
            yield b" " * (settings.body_max_bytes // 2)

    await refused(await phone.post(PAINT, data=chunked(), headers=json_type), 413, "body_too_large")
    assert await effects(database) == 1


@pytest.mark.parametrize("identifier", [
    "0", "-1", "+1", "1.0", "1e2", "01", "abc", "%D9%A1", "１", "9" * 19, "9223372036854775808", "1%00", "1%2F2", "%ff", "1 ",
])
async def test_an_id_is_ascii_digits_within_int64(phone, identifier):
    await refused(await phone.get(f"/api/v1/things/{identifier}"), 404, "not_found")


async def test_the_largest_id_is_looked_for(phone):
    response = await phone.get("/api/v1/things/" + "9" * 18)
    assert await response.json() == {"thing": 10**18 - 1}


# --- query strings ----------------------------------------------------------------------------------------------------


async def test_a_query_string_is_typed(phone):
    response = await phone.get("/api/v1/shelf?colour=%E7%BB%BF&sizes=1&sizes=2&limit=100")
    assert await response.json() == {"colour": "绿", "sizes": [1, 2], "limit": 100, "after": None}


@pytest.mark.parametrize(("query", "code"), [
    ("limit=0", "greater_than_equal"), ("limit=101", "less_than_equal"), ("limit=x", "int_parsing"), ("limit=%D9%A1", "int_parsing"),
    ("limit=1&limit=2", "repeated"), ("colour=%00", "json_character"), ("colour=a&%00=1", "json_character"),
    ("state=paid", "extra_forbidden"), ("sizes=a", "int_parsing"),
])
async def test_a_bad_query_string_is_refused(phone, query, code):
    document = await refused(await phone.get(f"/api/v1/shelf?{query}"), 422, "invalid_input")
    assert [found["code"] for found in document["data"]["fields"]] == [code]


@pytest.mark.parametrize("after", ["x", "!!!", "%E7%BB%BF", "bnVsbA", "W10", "WzFlOTld"])
async def test_a_cursor_of_somebody_elses_making_is_refused(phone, after):
    await refused(await phone.get(f"/api/v1/shelf?after={after}"), 422, "cursor_unknown")


# --- files ------------------------------------------------------------------------------------------------------------


def form(content: bytes, name: str = "营业执照.jpg") -> FormData:
    data = FormData()
    data.add_field("kind", "licence")
    data.add_field("file", content, filename=name, content_type="image/jpeg")
    return data


async def test_a_file_is_streamed_to_the_operation(phone, anna):
    content = bytes(range(256)) * 300
    response = await phone.post("/api/v1/scans", data=form(content), headers=anna)
    assert await response.json() == {"name": "营业执照.jpg", "size": 76_800, "sha256": hashlib.sha256(content).hexdigest()}


async def test_a_file_too_large_is_refused_while_it_streams(phone, anna):
    await refused(await phone.post("/api/v1/scans", data=form(b"x" * 100_001), headers=anna), 413, "body_too_large")


@pytest.mark.parametrize(("raw", "content_type", "status", "code"), [
    (b"x", "application/octet-stream", 415, "content_type_not_accepted"),
    (b"x", "multipart/form-data", 422, "invalid_input"),
    (b"x", "multipart/form-data; boundary=b", 422, "invalid_input"),
    (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 422, "invalid_input"),
    (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx', "multipart/form-data; boundary=b", 422, "invalid_input"),
])
async def test_what_is_no_upload_is_refused(phone, anna, raw, content_type, status, code):
    await refused(await phone.post("/api/v1/scans", data=raw, headers=anna | {"Content-Type": content_type}), status, code)


async def test_a_file_is_sent_as_an_attachment_that_no_browser_runs(phone):
    response = await phone.get("/api/v1/scans/abc")
    assert await response.read() == b"half abc"
    assert response.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''%E8%90%A5")
    assert (response.content_type, response.headers["X-Content-Type-Options"]) == ("application/pdf", "nosniff")


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def strict_phone(database, settings, clock, servers):
    """Makes a client with two log-ins a minute, counted at a Redis URL."""
    policies = UNLIMITED | {"login": Policy(RateLimitItemPerMinute(2), By.IP)}
    made: list[TestClient[Any, Any]] = []

    async def make(redis_url: str | None, forwarded: bool = False) -> TestClient[Any, Any]:
        changed = settings.model_copy(update={"trust_forwarded_for": forwarded})
        app = create_app(settings=changed, clock=clock, ports=ports(), apis=[api], redis_url=redis_url, policies=policies)
        made.append(TestClient(TestServer(app)))
        await made[-1].start_server()
        return made[-1]

    yield make
    for client in made:
        await client.close()


async def knock_at(*clients: TestClient[Any, Any], **headers: str) -> list[int]:
    return [(await client.post("/api/v1/log-in", json={"colour": "x"}, headers=headers)).status for client in clients]


@pytest.fixture
async def wary_phone(database, settings, clock):
    """An application behind a proxy that bears three refused tokens or roles of an address in a minute."""
    policies = UNLIMITED | {"strangers": Policy(RateLimitItemPerMinute(3), By.IP, shared=False)}
    changed = settings.model_copy(update={"trust_forwarded_for": True})
    app = create_app(settings=changed, clock=clock, ports=ports(), apis=[api], redis_url=None, policies=policies)
    async with TestClient(TestServer(app)) as client:
        yield client


async def paint_green(client, headers: dict[str, str], ip: str = "203.0.113.7") -> str:
    response = await client.post(PAINT, json={"colour": "green"}, headers=headers | {"X-Forwarded-For": ip})
    return str((await response.json()).get("code", response.status))


@pytest.mark.parametrize("why", ["not_signed_in", "session_ended", "not_your_role"])
async def test_who_is_refused_too_often_is_not_even_looked_up(wary_phone, database, clock, monkeypatch, why):
    headers = await sign_in(database, clock, role=Role.VIEWER if why == "not_your_role" else Role.OWNER)
    if why == "session_ended":
        await database.execute("UPDATE sessions SET revoked_at = created_at")
    if why == "not_signed_in":
        headers = {"Authorization": "Bearer invented"}
    looked_up = []

    async def counted(*asked):
        looked_up.append(asked)
        return await resolve(*asked)

    monkeypatch.setattr("miniapp_api.edge.resolve", counted)
    assert [await paint_green(wary_phone, headers) for _ in range(5)] == [why] * 3 + ["too_many_requests"] * 2
    assert len(looked_up) == 3
    assert await paint_green(wary_phone, headers, "203.0.113.8") == why


async def test_who_is_signed_in_uses_nothing_up_of_what_strangers_have(wary_phone, anna):
    assert [await paint_green(wary_phone, anna) for _ in range(5)] == ["201"] * 5
    assert [await paint_green(wary_phone, {}) for _ in range(4)] == ["not_signed_in"] * 3 + ["too_many_requests"]
    response = await wary_phone.post(PAINT, json={"colour": "green"}, headers={"X-Forwarded-For": "203.0.113.7"})
    assert 1 <= (await refused(response, 429, "too_many_requests"))["data"]["retry_after_seconds"] <= 60


async def test_redis_counts_over_all_processes(strict_phone, servers):
    one, two = await strict_phone(servers.redis_url, forwarded=True), await strict_phone(servers.redis_url, forwarded=True)
    # Valkey outlives a run of the tests, and with it the counts of the last minute.
    mine, other = {"X-Forwarded-For": f"mine-{uuid4()}"}, {"X-Forwarded-For": f"somebody, other-{uuid4()}"}
    assert await knock_at(one, two, one, two, **mine) == [200, 200, 429, 429]
    response = await one.post("/api/v1/log-in", json={"colour": "x"}, headers=mine)
    document = await refused(response, 429, "too_many_requests")
    assert 1 <= document["data"]["retry_after_seconds"] <= 60
    assert response.headers["Retry-After"] == str(document["data"]["retry_after_seconds"])
    assert await knock_at(one, **other) == [200]


async def test_limits_hold_when_redis_is_away(strict_phone, unused_tcp_port):
    phone = await strict_phone(f"redis://127.0.0.1:{unused_tcp_port}/0")
    assert await knock_at(phone, phone, phone) == [200, 200, 429]
    assert phone.server.app[EDGE].limiter.redis_is_away


async def test_limits_hold_when_redis_is_frozen(strict_phone):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        phone = await strict_phone(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        assert await knock_at(phone, phone, phone) == [200, 200, 429]
        assert (await phone.get("/readyz")).status == 200
        await phone.close()


async def test_a_forwarded_address_counts_only_behind_a_proxy(strict_phone):
    phone = await strict_phone(None)
    assert [
        *await knock_at(phone, phone, **{"X-Forwarded-For": "203.0.113.7"}),
        *await knock_at(phone, **{"X-Forwarded-For": "203.0.113.8"}),
    ] == [200, 200, 429]


async def test_neighbours_in_one_ipv6_network_count_as_one(strict_phone):
    phone = await strict_phone(None, forwarded=True)
    seen = [(await knock_at(phone, **{"X-Forwarded-For": f"2001:db8::{last}"}))[0] for last in (1, 2, 3)]
    assert seen == [200, 200, 429]


async def test_all_bodies_of_problems_are_json_for_people(phone):
    response = await phone.get("/api/v1/things/404")
    assert json.loads(await response.read())["title"] == "没有找到"
