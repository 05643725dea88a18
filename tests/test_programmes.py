"""Programmes, versioned policies and voucher types over HTTP (2.1): four eyes, immutability, who sees what."""

import re
from importlib import import_module
from typing import Any

import pytest

from handlers.programmes import JINAN, Claim, Rules
from models.accounts import Role
from settings import ROOT
from tests.lottery import officials, plan
from tests.world import World

TYPE = {"code": "AUDIT", "name": "审计服务专用券", "categories": ["audit"], "face_fen": 100_000, "annual_win_cap": 2}


async def drafted(world: World, **changes: Any) -> tuple[int, Any, Any]:
    people = await officials(world)
    status, body = await world.post("/programmes", {"name": "专项服务券", "region_code": "370100", **changes}, by=people.maker)
    return status, body, people


async def with_policy(world: World) -> tuple[int, Any]:
    """(programme id, its people): a draft programme with a type and a confirmed policy."""
    _, programme, people = await drafted(world)
    path = f"/programmes/{programme['id']}"
    assert (await world.post(f"{path}/voucher-types", TYPE, by=people.maker))[0] == 201
    _, policy = await world.post(f"{path}/policies", {"rules": {"product_use_cap_per_year": 2}}, by=people.maker)
    assert (await world.put(f"{path}/policies/{policy['id']}/confirmation", by=people.second))[0] == 200
    return programme["id"], people


async def test_a_programme_is_drafted_confirmed_by_another_and_published(world: World) -> None:
    programme_id, people = await with_policy(world)
    enterprise = await world.enterprise()
    assert (await world.get(f"/programmes/{programme_id}", by=enterprise))[0] == 404
    status, body = await world.put(f"/programmes/{programme_id}/publication", by=people.maker)
    assert (status, body["state"], body["policy_number"]) == (200, "published", 1)
    assert body["voucher_types"] == [{"id": body["voucher_types"][0]["id"], "is_universal": False, **TYPE}]
    assert (await world.get("/programmes", by=enterprise))[1]["items"] == [body]


async def test_the_default_rules_are_the_decisions_and_jinan_adds_its_cap() -> None:
    assert Rules().unpaid_timeout_days == 15
    assert Rules().rework_max == 3
    assert Rules().release_grace_days == 7
    assert Rules().product_use_cap_per_year is None
    assert JINAN.model_dump(exclude_defaults=True) == {"product_use_cap_per_year": 2}


async def test_a_policy_needs_a_second_person_and_never_changes_then(world: World) -> None:
    _, programme, people = await drafted(world)
    path = f"/programmes/{programme['id']}/policies"
    _, policy = await world.post(path, {"rules": {}}, by=people.maker)
    before = await world.snapshot("policies", "audit_entries")
    status, body = await world.put(f"{path}/{policy['id']}/confirmation", by=people.maker)
    assert (status, body["code"]) == (403, "second_person_needed")
    assert await world.snapshot("policies", "audit_entries") == before
    status, body = await world.put(f"{path}/{policy['id']}/confirmation", by=people.second)
    assert (status, body["state"], body["confirmed_by_id"]) == (200, "confirmed", people.second.person_id)
    before = await world.snapshot("policies", "audit_entries")
    assert (await world.put(f"{path}/{policy['id']}/confirmation", by=people.maker))[1]["code"] == "policy_decided"
    assert (await world.delete(f"{path}/{policy['id']}", by=people.maker))[1]["code"] == "policy_decided"
    assert await world.snapshot("policies", "audit_entries") == before


async def test_a_new_version_is_for_new_rounds_only(world: World) -> None:
    programme_id, people = await with_policy(world)
    await world.put(f"/programmes/{programme_id}/publication", by=people.maker)
    programme = type("P", (), {"id": programme_id, "audit": (await world.one("SELECT id FROM voucher_types"))["id"]})()
    quotas = [{"voucher_type_id": programme.audit, "quota": 1}]
    programme.general = programme.audit
    _, first = await world.post(f"/programmes/{programme_id}/rounds", plan(world, programme, quotas=quotas), by=people.maker)
    _, policy = await world.post(f"/programmes/{programme_id}/policies", {"rules": {}}, by=people.maker)
    await world.put(f"/programmes/{programme_id}/policies/{policy['id']}/confirmation", by=people.second)
    _, second = await world.post(
        f"/programmes/{programme_id}/rounds", plan(world, programme, number="2", quotas=quotas), by=people.maker)
    assert [(await world.get(f"/rounds/{each['id']}", by=people.maker))[1]["policy_number"] for each in (first, second)] == [1, 2]
    numbers = [each["number"] for each in (await world.get(f"/programmes/{programme_id}/policies", by=people.maker))[1]["items"]]
    assert numbers == [2, 1]


async def test_a_discarded_draft_is_not_confirmed(world: World) -> None:
    _, programme, people = await drafted(world)
    path = f"/programmes/{programme['id']}/policies"
    _, policy = await world.post(path, {"rules": {}}, by=people.maker)
    assert (await world.delete(f"{path}/{policy['id']}", by=people.second))[1]["state"] == "discarded"
    assert (await world.put(f"{path}/{policy['id']}/confirmation", by=people.second))[1]["code"] == "policy_decided"


@pytest.mark.parametrize("rules", [
    {"allocation": "by_friendship"}, {"rework_max": -1}, {"unknown": 1}, {"claim": {"ratio": "1.5"}}, {"unpaid_timeout_days": 0},
    {"allocation": "ranked"}, {"contract_upload": "at_claim"}, {"pay_auth": "otp"}, {"hold_protects": True}, {"claim": {"two_steps": True}},
])
async def test_rules_that_no_switch_has_are_refused(world: World, rules: dict[str, Any]) -> None:
    _, programme, people = await drafted(world)
    status, body = await world.post(f"/programmes/{programme['id']}/policies", {"rules": rules}, by=people.maker)
    assert (status, body["code"]) == (422, "invalid_input")
    assert await world.value("SELECT count(*) FROM policies") == 0


@pytest.mark.parametrize("switch", [*Rules.model_fields, *Claim.model_fields])
def test_every_switch_that_two_people_sign_is_read_by_somebody(switch: str) -> None:
    read = re.compile(rf"(rules|claim|rules_of\([a-z_]+\)|rules_known\([a-z_.]+\))\.{switch}\b|rules ?->>? ?'{switch}'")
    modules = [path for path in (ROOT / "handlers").rglob("*.py") if path.name != "programmes.py"]
    own = (ROOT / "handlers" / "programmes.py").read_text(encoding="utf-8")
    assert any(read.search(path.read_text(encoding="utf-8")) for path in modules) or read.search(own)


async def test_policies_from_before_say_what_they_did_all_the_time(world: World) -> None:
    """Switches and values that nobody read are taken out of what is stored, so that it can still be read."""
    programme = await world.programme(claim={"requires": "paid"})
    await world.owner.execute(
        "UPDATE policies SET rules = jsonb_set(rules, '{claim,two_steps}', 'true') || $1",
        '{"voucher_shape": "directed", "hold_protects": false, "notify": {}, "allocation": "ranked", "contract_upload": "at_claim",'
        ' "pay_auth": "otp"}',
    )
    migration = import_module("models.migrations.0008_vouchers_given_back")
    await world.owner.execute(migration.POLICIES)
    rules = Rules.model_validate_json(await world.value("SELECT rules FROM policies WHERE programme_id = $1", programme.id))
    assert (rules.allocation, rules.contract_upload, rules.pay_auth) == ("none", "none", "password")
    assert rules.claim is not None
    assert rules.claim.requires == "paid"


async def test_a_programme_without_policy_or_types_is_not_published(world: World) -> None:
    _, programme, people = await drafted(world)
    status, body = await world.put(f"/programmes/{programme['id']}/publication", by=people.maker)
    assert (status, body["code"], body["data"]) == (409, "programme_not_ready", {"missing": ["policy", "voucher_types"]})
    _, body = await world.post(f"/programmes/{programme['id']}/rounds", plan(world, await world.programme()), by=people.maker)
    assert (body["code"], body["data"]) == ("programme_not_ready", {"missing": ["policy"]})


async def test_names_and_codes_are_used_once(world: World) -> None:
    _, programme, people = await drafted(world)
    same = {"name": "专项服务券", "region_code": "370100"}
    assert (await world.post("/programmes", same, by=people.second))[1]["code"] == "programme_exists"
    path = f"/programmes/{programme['id']}/voucher-types"
    assert (await world.post(path, TYPE, by=people.maker))[0] == 201
    assert (await world.post(path, TYPE, by=people.maker))[1]["code"] == "voucher_type_exists"
    assert (await world.value("SELECT count(*) FROM programmes"), await world.value("SELECT count(*) FROM voucher_types")) == (1, 1)


async def test_a_manager_stays_in_the_own_region(world: World) -> None:
    _, programme, people = await drafted(world)
    elsewhere = await world.official(Role.PROGRAMME_MANAGER, region_code="370200")
    status, body = await world.post("/programmes", {"name": "x", "region_code": "370200"}, by=people.maker)
    assert (status, body["code"]) == (403, "outside_jurisdiction")
    path = f"/programmes/{programme['id']}"
    for method, suffix, sent in (
        ("GET", "", None), ("POST", "/voucher-types", TYPE), ("POST", "/policies", {"rules": {}}), ("PUT", "/publication", {}),
        ("GET", "/policies", None), ("POST", "/rounds", plan(world, await world.programme())),
    ):
        assert (await world.call(method, path + suffix, sent, by=elsewhere))[0] == 404, suffix
    assert [each["id"] for each in (await world.get("/programmes", by=elsewhere))[1]["items"]] != [programme["id"]]


async def test_an_ended_programme_takes_nothing_new(world: World) -> None:
    programme_id, people = await with_policy(world)
    path = f"/programmes/{programme_id}"
    assert (await world.delete(f"{path}/publication", by=people.maker))[1]["code"] == "programme_state_wrong"
    await world.put(f"{path}/publication", by=people.maker)
    assert (await world.delete(f"{path}/publication", by=people.maker))[1]["state"] == "ended"
    before = await world.snapshot("programmes", "policies", "voucher_types", "rounds")
    for suffix, sent in (("/voucher-types", {**TYPE, "code": "B"}), ("/policies", {"rules": {}}),
                         ("/rounds", plan(world, await world.programme()))):
        assert (await world.post(path + suffix, sent, by=people.maker))[1]["code"] == "programme_state_wrong", suffix
    assert (await world.put(f"{path}/publication", by=people.maker))[1]["code"] == "programme_state_wrong"
    after = await world.snapshot("rounds")
    assert after["rounds"] == before["rounds"]
