"""The document and the routes are one: schemathesis tries every operation with right and wrong data, as people of every role.

No 5xx (an undeclared refusal is one here), no undocumented status, no answer against its schema, no wrong data accepted, and a
method that a path does not have is 405 with Allow. Afterwards the books balance: what random people did to them was bookkeeping.
"""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from miniapp_api.apis import APIS
from miniapp_api.openapi import document
from models.accounts import Role
from settings import ROOT
from tests.lottery import plan
from tests.matrix import OPERATIONS, Scene, permitted, scene, things_in
from tests.world import World

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method",
)
# "Rejected" is also a body too large before anybody has looked into it. Every wrong boundary is tried once, in the coverage
# phase; the random phase adds right data. Methods that a path does not have are counted out in a test below.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 428, 429, 503]
[phases.coverage]
unexpected-methods = ["TRACE"]
[phases.fuzzing.generation]
mode = "positive"
"""


def described(found: Scene, throwaway: list[str]) -> dict[str, Any]:
    """For the hooks: whom each operation lets in (insiders of its things first), and the ids of its things."""
    people, things = found
    callers: dict[str, list[str]] = {}
    ids: dict[str, list[dict[str, int]]] = {}
    for operation in OPERATIONS:
        names = things_in(operation) or ()
        inside = {who for name in names for who in things.insiders[name]}
        able = [caller for caller in people.values() if caller.member and caller.signed_in and permitted(operation, caller) is None]
        able = [caller for caller in able if caller.name in inside] or able
        callers[operation.name] = [caller.member.token for caller in able if caller.member]
        ids[operation.name] = [things.ids[name] for name in names]
    return {"callers": callers, "ids": ids, "throwaway": throwaway}


async def schemathesis(world: World, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run it as a process of its own against the live application: (exit code, what it wrote)."""
    found = await scene(world)
    throwaway = [(await world.enterprise(role=Role.VIEWER)).token for _ in range(3)]
    written = folder / "scene.json"
    written.write_text(json.dumps(described(found, throwaway)), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(CONFIGURATION, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("st")), "run", str(world.client.make_url("/openapi.json")), "--checks", ",".join(CHECKS),
        "--seed", "1", "--generation-database", "none", "--continue-on-failure", "--no-color", "--warnings", "off",
        "--suppress-health-check", "all", *arguments, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contract_hooks", "CONTRACT_SCENE": str(written)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def failures(said: str) -> str:
    """The part of the report that a person reads."""
    _, mark, rest = said.partition("= FAILURES =")
    return (mark + rest if mark else said)[:30_000]


async def test_every_operation_does_what_the_document_says(world, tmp_path):
    code, said = await schemathesis(world, tmp_path, "--phases", "coverage,fuzzing", "-n", "2", "--no-shrink")
    assert code == 0, failures(said)
    tested = re.search(r"Tested: (\d+)", said)
    assert tested, said[-3000:]
    assert int(tested.group(1)) == len(OPERATIONS)


@pytest.mark.soak
async def test_every_operation_does_what_the_document_says_at_length(world, tmp_path):
    code, said = await schemathesis(world, tmp_path, "--phases", "examples,coverage,fuzzing,stateful", "-n", "200")
    assert code == 0, failures(said)


async def test_a_method_that_a_path_does_not_have_is_405_with_those_that_it_has(world):
    paths: dict[str, set[str]] = {}
    for operation in OPERATIONS:
        if not operation.parameters:
            paths.setdefault(operation.path, set()).add(operation.method)
    wrong = []
    for path, methods in paths.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            async with world.client.request(method, f"/api/v1{path}") as response:
                allowed = set(response.headers.get("Allow", "").split(",")) - {"HEAD", "OPTIONS"}
                body = await response.json(content_type=None)
                if (response.status, allowed, body["code"]) != (405, methods, "method_not_allowed"):
                    wrong.append(f"{method} {path}: {response.status} {allowed}")
    assert wrong == []


# --- what it has found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["0.5", "0", "86400", "1780000000", "-1"])
async def test_a_number_is_no_date_and_no_instant(world, written):
    """pydantic reads them as seconds since 1970, even in its strict mode."""
    manager, programme = await world.official(Role.PROGRAMME_MANAGER), await world.programme()
    right = plan(world, programme)
    source = right["randomness"][0]
    for path, changes in (
        ("body.opens_at", {"opens_at": written}), ("body.valid_until", {"valid_until": written}),
        ("body.randomness.0.at", {"randomness": [source | {"at": written}]}),
    ):
        status, body = await world.post(f"/programmes/{programme.id}/rounds", right | changes, by=manager)
        assert (status, body["code"], [each["path"] for each in body["data"]["fields"]]) == (422, "invalid_input", [path])
    assert (await world.post(f"/programmes/{programme.id}/rounds", right, by=manager))[0] == 201


async def test_a_form_whose_part_has_no_proper_headers_is_refused(world):
    member = await world.enterprise()
    async with world.client.post(
        "/api/v1/attachments?slot=business_licence", data=b"--edge\r\nTrue--edge--\r\n\r\n",
        headers={"Authorization": f"Bearer {member.token}", "Content-Type": "multipart/form-data; boundary=edge"},
    ) as response:
        body = await response.json(content_type=None)
        assert (response.status, body["code"], body["data"]["fields"][0]["code"]) == (422, "invalid_input", "file_missing")


def test_the_written_document_is_current():
    written = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(document(APIS))), "run `make openapi`"
