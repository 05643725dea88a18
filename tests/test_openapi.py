"""The document says what the routes do: valid OpenAPI 3.1, every refusal listed, and a page to try it that needs no internet."""

import asyncio
import gzip
import re
from enum import StrEnum
from typing import Annotated, NotRequired, TypedDict

import pytest
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import Field, SecretStr, StringConstraints

from handlers.context import Context
from handlers.paging import PageView
from handlers.refusals import Kind, Refusal
from handlers.titles import TITLES
from miniapp_api import documents
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from miniapp_api.openapi import document
from miniapp_api.routing import Api, Body, Download, Query, Upload, Who
from miniapp_api.schemas import in_chinese
from models.accounts import Role
from settings import ROOT
from tests.fakes import ports


class Shade(StrEnum):
    LIGHT = "light"
    DARK = "dark"


class BranchView(TypedDict):
    """一条规则"""

    name: str
    shade: Shade
    branches: list["BranchView"]
    note: NotRequired[str | None]


class LeafView(TypedDict):
    """An English note stays inside."""

    fen: int


class TooWet(Refusal):
    kind, code, title = Kind.CONFLICT, "test_too_wet", "太湿了"


class WaterBody(Body):
    litres: Annotated[int, Field(ge=1, le=10)]
    pin: SecretStr
    at: int = 0


class TreeQuery(Query):
    shade: Annotated[Shade | None, Field(description="深浅")] = None
    heights: tuple[int, ...] = ()


api = Api("trees", "树木")


@api.post("/trees/{tree_id}/water", title="浇水", who=Who.ENTERPRISE_ACTOR, refusals=(TooWet,), status=201, key_required=True)
async def water(ctx: Context, tree_id: int, body: WaterBody) -> BranchView:
    """每天一次。"""
    raise TooWet


@api.get("/trees", title="树木列表", who=Who.ANYONE)
async def trees(ctx: Context, query: TreeQuery) -> PageView[BranchView]:
    raise TooWet


@api.get("/trees/{name}/leaves/{shade}", title="叶子", who=Who.OFFICIAL)
async def leaves(
    ctx: Context, name: Annotated[str, StringConstraints(pattern=r"^[0-9]{24}$")], shade: Shade
) -> PageView[LeafView]:
    """Not for people."""
    raise TooWet


@api.put("/trees/{tree_id}/photo", title="照片", who=Who.SIGNED_IN, limit="upload")
async def photo(ctx: Context, tree_id: int, upload: Upload) -> None:
    raise TooWet


@api.get("/trees/{tree_id}/photo", title="下载照片", who=Who.SIGNED_IN)
async def get_photo(ctx: Context, tree_id: int) -> Download:
    raise TooWet


@api.get("/trees/felled", title="已砍伐", who=Who.SIGNED_IN)
async def felled(ctx: Context, query: TreeQuery) -> PageView[LeafView]:
    raise TooWet


@pytest.fixture(scope="module")
def described():
    return document([api])


@pytest.fixture
async def phone(settings, clock):
    async with TestClient(TestServer(create_app(settings=settings, clock=clock, ports=ports(), apis=[api], redis_url=None))) as client:
        yield client


def test_the_document_is_valid_openapi_31(described):
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []
    assert described["openapi"] == "3.1.0"


def test_every_operation_has_its_chinese_title_and_its_name(described):
    found = {
        operation["operationId"]: (operation["summary"], operation["tags"])
        for methods in described["paths"].values() for operation in methods.values()
    }
    assert found == {
        "water": ("浇水", ["树木"]), "trees": ("树木列表", ["树木"]), "leaves": ("叶子", ["树木"]), "photo": ("照片", ["树木"]),
        "get_photo": ("下载照片", ["树木"]), "felled": ("已砍伐", ["树木"]),
    }


def test_every_refusal_stands_under_its_status(described):
    water = described["paths"]["/api/v1/trees/{tree_id}/water"]["post"]
    refused = {
        status: described["components"]["responses"][response["$ref"].rpartition("/")[2]]
        for status, response in water["responses"].items() if status >= "400"
    }
    codes = {
        status: response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        for status, response in refused.items()
    }
    assert codes == {
        "400": ["bad_request"],
        "401": ["not_signed_in", "session_ended"],
        "403": ["not_your_role"],
        "404": ["not_found"],
        "408": ["body_timed_out"],
        "409": ["test_too_wet"],
        "413": ["body_too_large"],
        "415": ["content_type_not_accepted"],
        "422": ["idempotency_key_invalid", "idempotency_key_reused", "invalid_input"],
        "429": ["too_many_requests"],
        "503": ["busy"],
    }
    assert "| 409 | `test_too_wet` | 太湿了 |" in water["description"]
    assert {"code": "test_too_wet", "status": 409, "title": "太湿了"} in water["x-refusals"]


def test_people_read_chinese_and_notes_for_programmers_stay_inside(described):
    water = described["paths"]["/api/v1/trees/{tree_id}/water"]["post"]
    leaves = described["paths"]["/api/v1/trees/{name}/leaves/{shade}"]["get"]
    assert water["description"].startswith("每天一次。\n\n**权限**：企业负责人、经办人\n\n| 状态 |")
    assert leaves["description"].startswith("**权限**：工作人员\n\n| 状态 |")
    assert described["components"]["schemas"]["BranchView"]["description"] == "一条规则"
    assert "description" not in described["components"]["schemas"]["LeafView"]


def test_an_input_forbids_what_it_does_not_know_and_hides_its_secret(described):
    assert described["components"]["schemas"]["WaterBody"] == {
        "type": "object", "additionalProperties": False, "required": ["litres", "pin"],
        "properties": {
            "litres": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 10},
            "pin": {"type": "string", "format": "password", "writeOnly": True},
            "at": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1, "default": 0},
        },
    }


def test_an_answer_may_contain_itself_and_pages_have_names(described):
    schemas = described["components"]["schemas"]
    assert set(schemas) == {"BranchView", "BranchViewPageView", "LeafView", "LeafViewPageView", "Problem", "Shade", "WaterBody"}
    assert schemas["BranchView"]["properties"]["branches"] == {"type": "array", "items": {"$ref": "#/components/schemas/BranchView"}}
    assert schemas["BranchView"]["required"] == ["name", "shade", "branches"]
    assert schemas["LeafViewPageView"]["properties"]["items"]["items"] == {"$ref": "#/components/schemas/LeafView"}


def test_parameters_say_what_the_router_takes(described):
    leaves = described["paths"]["/api/v1/trees/{name}/leaves/{shade}"]["get"]["parameters"]
    assert [(parameter["name"], parameter["schema"]) for parameter in leaves] == [
        ("name", {"type": "string", "pattern": "^(?:[0-9]{24})$"}), ("shade", {"type": "string", "pattern": "^(?:light|dark)$"}),
    ]
    water = described["paths"]["/api/v1/trees/{tree_id}/water"]["post"]["parameters"]
    assert water == [
        {"name": "tree_id", "in": "path", "required": True,
         "schema": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 10**18 - 1}},
        {"$ref": "#/components/parameters/RequiredKey"},
    ]
    required = described["components"]["parameters"]["RequiredKey"]
    assert (required["name"], required["in"], required["required"]) == ("Idempotency-Key", "header", True)
    trees = {parameter["name"]: parameter for parameter in described["paths"]["/api/v1/trees"]["get"]["parameters"]}
    assert list(trees) == ["after", "limit", "shade", "heights"]
    assert trees["limit"]["schema"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 100, "default": 20}
    assert trees["shade"] == {
        "name": "shade", "in": "query", "required": False, "description": "深浅", "schema": {"$ref": "#/components/schemas/Shade"},
    }


def test_who_may_is_part_of_the_document(described):
    water = described["paths"]["/api/v1/trees/{tree_id}/water"]["post"]
    assert water["security"] == [{"bearer": []}]
    assert water["x-permission"] == {
        "name": "企业负责人、经办人", "anonymous": False, "kinds": ["enterprise"], "roles": ["handler", "owner"],
    }
    assert described["paths"]["/api/v1/trees"]["get"]["security"] == []


def test_files_come_as_forms_and_go_as_bytes(described):
    photo = described["paths"]["/api/v1/trees/{tree_id}/photo"]
    assert list(photo["put"]["requestBody"]["content"]) == ["multipart/form-data"]
    assert photo["put"]["responses"]["204"]["description"] == "成功，无内容"
    assert photo["get"]["responses"]["200"]["content"] == {"*/*": {"schema": {}}}


async def test_the_document_and_its_page_are_served_from_here(phone):
    """The document of the repository, whatever routes there are: tests/test_contract.py holds it equal to the code."""
    answer = await phone.get("/openapi.json")
    assert (answer.content_type, await answer.read()) == ("application/json", (ROOT / "docs" / "openapi.json").read_bytes())
    page = await phone.get("/docs")
    text = await page.text()
    assert "http://" not in text
    assert "https://" not in text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"/docs/{asset}" in text
        assert (await phone.get(f"/docs/{asset}")).status == 200


@pytest.mark.parametrize(("accepted", "packed"), [
    ("gzip, deflate, br, zstd", True), ("br;q=1.0, GZIP ; q=0.5", True), ("*", True), ("gzip;q=0, *", False), ("gzip;q=0.0", False),
    ("identity", False), ("br", False), ("x-gzip", False), ("", False),
])
async def test_the_document_is_compressed_for_whoever_takes_that(phone, accepted, packed):
    answer = await phone.get("/openapi.json", headers={"Accept-Encoding": accepted}, auto_decompress=False)
    content, whole = await answer.read(), (ROOT / "docs" / "openapi.json").read_bytes()
    assert (answer.content_type, answer.headers["Vary"], answer.headers["Cache-Control"]) == (
        "application/json", "Accept-Encoding", "no-cache",
    )
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(content) if packed else content) == whole
    assert not packed or len(content) < len(whole) / 10


async def test_the_document_is_compressed_once_and_asked_for_again_only_when_it_has_changed(phone, monkeypatch):
    documents._pack.cache_clear()
    compress, times = gzip.compress, []
    monkeypatch.setattr(gzip, "compress", lambda *args, **more: times.append(1) or compress(*args, **more))
    wants = {"Accept-Encoding": "gzip"}
    answers = await asyncio.gather(*(phone.get("/openapi.json", headers=wants) for _ in range(4)))
    tag = answers[0].headers["ETag"]
    again = await phone.get("/openapi.json", headers=wants | {"If-None-Match": tag})
    assert ({each.headers["ETag"] for each in answers}, len(times)) == ({tag}, 1)
    assert (again.status, again.headers["ETag"], await again.read()) == (304, tag, b"")
    assert (await phone.get("/openapi.json", headers=wants | {"If-None-Match": '"old"'})).status == 200
    assert (await phone.head("/openapi.json", headers=wants)).headers["Content-Encoding"] == "gzip"


async def test_the_page_can_read_openapi_31(phone):
    script = await (await phone.get("/docs/swagger-ui-bundle.js")).text()
    assert "jsonSchemaDialect" in script


@pytest.mark.parametrize("declare", [
    lambda own: own.get("/x/{x_id}", title="x", who=Who.ANYONE)(_takes_no_path),
    lambda own: own.get("/x", title="x", who=Who.ANYONE)(_takes_something_else),
    lambda own: own.get("/x", title="x", who=Who.ANYONE)(_takes_no_context),
])
def test_a_route_whose_signature_does_not_fit_is_refused_at_import(declare):
    with pytest.raises(AssertionError):
        declare(Api("own", "自"))


async def _takes_no_path(ctx: Context) -> None: ...


async def _takes_something_else(ctx: Context, colour: str) -> None: ...


async def _takes_no_context(x_id: int) -> None: ...


# --- what the codes are called ----------------------------------------------------------------------------------------------------------


def test_every_code_that_reaches_the_document_has_its_chinese():
    enums = {name: schema for name, schema in document(APIS)["components"]["schemas"].items() if "enum" in schema}
    assert len(enums) > 45
    for name, schema in enums.items():
        titles = schema.get("x-enum-titles", {})
        assert set(titles) == set(schema["enum"]), name
        assert all(in_chinese(title) for title in titles.values()), name
        assert schema["description"] == "；".join(f"{value} {titles[value]}" for value in schema["enum"])
    assert enums["ProductState"]["x-enum-titles"] == {
        "draft": "草稿", "in_review": "审核中", "approved": "审核通过", "rejected": "审核拒绝", "listed": "已上架", "deleted": "已删除",
    }


def test_a_role_is_called_what_the_glossary_calls_it():
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    called = dict(re.findall(r"^\| ([a-z_]+) \| ([^|]+) \|", page, re.MULTILINE))
    assert {role: title for role, title in TITLES[Role].items() if called[role] != title} == {"consultant": "服务顾问"}
