"""Appeals of the institution against what an objection of the enterprise brought: the revocation of what counted (D17, D18, F10)."""

from typing import Any

import pytest

from handlers.appealable import list_appealable
from handlers.appeals import FILING_WORKING_DAYS
from handlers.scores import count_events
from handlers.working_days import due_after
from models.accounts import Role
from tests.applications import file
from tests.shop import open_shop
from tests.test_filing_objections import OBJECTIONS, decide, enterprise, live, objects, results, shown
from tests.test_filings import Office, office
from tests.world import Member, World

__all__ = ["enterprise", "office"]  # fixtures
TABLES = (*OBJECTIONS, "appeals", "appeal_files")


async def revoked(office: Office, enterprise: Member, **changes: Any) -> int:
    """What counted, objected to and revoked by the second administrator."""
    filing_id = await office.approved(consultant_id=office.consultant_id, **changes)
    assert (await objects(office.world, enterprise, filing_id))[0] == 201
    assert (await decide(office, "approval", by=office.admins[1], remark="合同系伪造"))[0] == 200
    return filing_id


async def appeal(office: Office, filing_id: int, *, by: Member | None = None, **changes: Any) -> tuple[int, Any]:
    body = {"against": "objection", "subject_id": filing_id, "statement": "合同真实，附银行回单"} | changes
    return await office.world.post("/appeals", body, by=by or office.institution)


async def rule(office: Office, verb: str = "approval", *, by: Member) -> tuple[int, Any]:
    """On the newest appeal."""
    approval = await office.world.value("SELECT max(id) FROM approvals WHERE kind = 'appeal'")
    body = {"remark": "回单可信，请重新核实"} if verb == "approval" else {"reason": "异议属实"}
    return await office.world.post(f"/approvals/{approval}/{verb}", body, by=by)


async def told(world: World, kind: str) -> list[tuple[int | None, int | None, str | None]]:
    found = await world.owner.fetch("SELECT organisation_id, person_id, data->>'finding' FROM events WHERE kind = $1 ORDER BY id", kind)
    return [tuple(row) for row in found]


async def test_institution_and_consultant_hear_of_the_review_and_appeal_against_the_revocation_that_it_brought(world, office, enterprise):
    filing_id = await revoked(office, enterprise)
    filers = [(office.institution.organisation_id, None), (None, office.consultant.person_id)]
    assert await told(world, "filing_objected") == [(*filer, "open") for filer in filers]
    evidence = await file(world, office.institution, "appeal")
    status, filed = await appeal(office, filing_id, attachment_ids=[evidence])
    assert (status, filed["kind"], filed["state"], filed["original_reason"], filed["attachment_ids"]) == (
        201, "objection", "in_review", "合同系伪造", [evidence])
    third, fourth = [await world.official(Role.ADMIN) for _ in range(2)]
    before = await world.snapshot(*TABLES)
    for by in office.admins:  # who let it count, and who revoked it
        assert (await rule(office, by=by))[1]["code"] == "original_reviewer"
    await world.member(enterprise.organisation_id, Role.VIEWER, person=(fourth.person_id, fourth.identity_id, fourth.open_id))
    assert (await rule(office, by=fourth))[1]["code"] == "own_case"
    assert (await appeal(office, filing_id))[1]["code"] == "already_appealed"
    assert await world.snapshot(*TABLES) == before

    assert (await rule(office, by=third))[0] == 200
    filing = await office.show(filing_id)
    assert (filing["state"], filing["counts"], filing["revoke_reason"], await live(world)) == ("approved", True, None, 1)
    assert (await shown(world, enterprise, filing_id))["objection"]["state"] == "open"
    assert (await told(world, "filing_objected"))[2:] == [(*filer, "open") for filer in filers]
    for by in office.admins:
        assert (await decide(office, "rejection", by=by, reason="交易属实"))[1]["code"] == "original_reviewer"
    assert (await decide(office, "rejection", by=third, reason="交易属实"))[0] == 200
    assert (await results(world), await live(world)) == ([("upheld", "合同系伪造"), ("dismissed", "交易属实")], 1)
    assert (await told(world, "filing_objected"))[4:] == [(*filer, "dismissed") for filer in filers]
    assert (await appeal(office, filing_id))[1]["code"] == "not_appealable"


async def test_nothing_counts_twice_however_often_it_is_revoked_and_restored(world, office, enterprise):
    async def transactions() -> int:
        await world.sweep(count_events)
        return int(await world.value("SELECT sum(transactions) FROM score_months WHERE consultant_id IS NULL"))

    third = await world.official(Role.ADMIN)
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    assert await transactions() == 1
    assert (await decide(office, "approval", by=office.admins[1]))[0] == 200
    assert await transactions() == 0
    await appeal(office, filing_id)
    await rule(office, by=third)
    assert await transactions() == 1
    assert (await decide(office, "approval", by=third))[0] == 200
    assert (await appeal(office, filing_id))[0] == 201  # against the new decision, by a fourth: who appeals is not tired out
    assert (await rule(office, by=third))[1]["code"] == "original_reviewer"
    assert (await rule(office, by=await world.official(Role.ADMIN)))[0] == 200  # revoked and restored between two sweeps
    assert await transactions() == 1
    assert await office.credits() == (1, 3_000_000, 0, 0)
    assert await world.value("SELECT count(*) FROM score_events") == 1


async def test_an_appeal_that_was_wrong_leaves_it_revoked(world, office, enterprise):
    filing_id = await revoked(office, enterprise)
    await appeal(office, filing_id)
    assert (await rule(office, "rejection", by=await world.official(Role.ADMIN)))[0] == 200
    assert ((await office.show(filing_id))["state"], await live(world)) == ("revoked", 0)
    assert (await shown(world, enterprise, filing_id))["objection"]["state"] == "upheld"
    assert (await appeal(office, filing_id))[1]["code"] == "already_appealed"


async def test_only_its_institution_and_only_within_fifteen_working_days(world, office, enterprise):
    filing_id = await revoked(office, enterprise)
    revoked_at = await world.value("SELECT revoked_at FROM filings")
    before = await world.snapshot(*TABLES)
    for by in (enterprise, await world.institution()):
        assert (await appeal(office, filing_id, by=by))[0] == 404
    assert (await appeal(office, filing_id, by=office.consultant))[1]["code"] == "not_your_role"
    world.clock.set(due_after(revoked_at, FILING_WORKING_DAYS))
    ctx = world.context(office.institution)
    [open_to] = await list_appealable(ctx)
    assert (open_to["title"], open_to["reason"], open_to["until"]) == ("备案异议：济南示例制造有限公司", "合同系伪造", world.clock.now())
    world.clock.advance(microseconds=1)
    assert (await appeal(office, filing_id))[1]["code"] == "appeal_too_late"
    assert await list_appealable(world.context(office.institution)) == []
    assert await world.snapshot(*TABLES) == before


async def test_what_counts_or_was_revoked_by_two_is_not_appealed_against_as_an_objection(world, office, enterprise):
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    assert (await appeal(office, filing_id))[1]["code"] == "not_appealable"
    first, second = office.admins
    await world.post(f"/filings/{filing_id}/revocation", {"reason": "材料不实"}, by=first)
    await world.post(f"/filings/{filing_id}/revocation/confirmation", by=second)
    before = await world.snapshot(*TABLES)
    assert (await appeal(office, filing_id))[1]["code"] == "not_appealable"
    assert await world.snapshot(*TABLES) == before


async def test_an_objection_that_was_dismissed_is_nothing_that_the_enterprise_may_appeal_against(world, office, enterprise):
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    await decide(office, "rejection", by=office.admins[1], reason="交易属实")
    assert await list_appealable(world.context(enterprise)) == []


@pytest.mark.parametrize("against", ["objection", "filing"])
async def test_where_the_order_has_been_filed_anew_there_is_nothing_to_go_back_to(world, office, against):
    shop = await open_shop(world)
    order_id = await shop.completed()
    office = Office(world, shop.seller, (0, shop.seller), office.admins)
    order = {"order_id": order_id, "enterprise_code": None, "enterprise_name": None, "amount_fen": None}
    if against == "objection":
        filing_id = await office.approved(**order)
        await objects(world, shop.buyer, filing_id)
        await decide(office, "approval", by=office.admins[1])
    else:
        filing_id = await office.submitted(**order)
        await office.decide(filing_id, "rejection", reason="材料不实")
    again = await office.submitted(**order)
    await appeal(office, filing_id, against=against)
    assert (await rule(office, by=await world.official(Role.ADMIN)))[0] == 200
    _, page = await world.get("/appeals", by=shop.seller)
    assert (page["items"][0]["state"], page["items"][0]["reopened"]) == ("overturned", False)
    assert ((await office.show(filing_id))["state"] in {"revoked", "rejected"}, (await office.show(again))["state"]) == (True, "in_review")


async def test_people_of_the_enterprise_do_not_decide_on_the_appeal_against_a_rejection_either(world, office, enterprise):
    filing_id = await office.submitted()
    await office.decide(filing_id, "rejection", reason="材料不实")
    await appeal(office, filing_id, against="filing")
    second = office.admins[1]
    await world.member(enterprise.organisation_id, Role.VIEWER, person=(second.person_id, second.identity_id, second.open_id))
    before = await world.snapshot(*TABLES)
    assert (await rule(office, by=second))[1]["code"] == "own_case"
    assert await world.snapshot(*TABLES) == before
