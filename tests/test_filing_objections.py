"""异议: an enterprise hears of a filing that names it, and what it objects to counts only after somebody has looked (D17, D18)."""

from typing import Any

import pytest

from handlers.notices import open_events
from handlers.working_days import due_after
from models.accounts import Role
from tests.applications import applicant, submitted_certification, valid
from tests.test_filings import CODE, TABLES, Office, office
from tests.world import Member, World

__all__ = ["office"]  # fixture
REASON = "我公司从未与该机构签订合同"
OBJECTIONS = (*TABLES, "filing_objections")


@pytest.fixture
async def enterprise(world: World, office: Office) -> Member:
    return await named(world, CODE)


async def named(world: World, code: str) -> Member:
    """A certified enterprise with this credit code."""
    found = await world.enterprise()
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", found.organisation_id, code)
    return found


async def objects(world: World, by: Member, filing_id: int, reason: str = REASON) -> tuple[int, Any]:
    return await world.post(f"/enterprise/filings/{filing_id}/objection", {"reason": reason}, by=by)


async def shown(world: World, by: Member, filing_id: int) -> Any:
    status, filing = await world.get(f"/enterprise/filings/{filing_id}", by=by)
    assert status == 200, filing
    return filing


async def decide(office: Office, verb: str, *, by: Member, **body: Any) -> tuple[int, Any]:
    """On the objection's own case."""
    approval = await office.world.value("SELECT max(id) FROM approvals WHERE subject = 'filing_objection'")
    return await office.world.post(f"/approvals/{approval}/{verb}", body, by=by)


async def live(world: World) -> int:
    return int(await world.value("SELECT count(*) FROM score_events WHERE subject = 'filing' AND revoked_at IS NULL"))


async def results(world: World) -> list[tuple[str, str | None]]:
    found = await world.owner.fetch(
        "SELECT data->>'finding', data->>'reason' FROM events WHERE kind = 'filing_objection_result' ORDER BY id")
    return [tuple(row) for row in found]


# --- being told -----------------------------------------------------------------------------------------------------------------


async def test_the_enterprise_that_a_filing_names_is_told_of_it_and_until_when_it_may_object(world, office, enterprise):
    _, draft = await office.draft()
    assert (await world.get("/enterprise/filings", by=enterprise))[1]["items"] == []
    assert (await world.get(f"/enterprise/filings/{draft['id']}", by=enterprise))[0] == 404
    assert (await office.submit(draft["id"]))[0] == 200
    await world.sweep(open_events)
    notice = await world.one("SELECT person_id, title, body FROM notices WHERE kind = 'filing_named'")
    institution = await world.value("SELECT name FROM organisations WHERE id = $1", office.institution.organisation_id)
    assert tuple(notice) == (enterprise.person_id, "有机构备案与贵企业的交易", (
        f"「{institution}」备案了与贵企业的一笔交易：2026年2月10日，30000.00 元。如不属实，请于 3月9日 23:59 前提出异议。"))
    filing = await shown(world, enterprise, draft["id"])
    assert filing == {
        "id": draft["id"], "institution_id": office.institution.organisation_id, "institution": institution, "state": "in_review",
        "happened_on": "2026-02-10", "amount_fen": 3_000_000, "product": None, "order_id": None, "submitted_at": filing["submitted_at"],
        "object_by": filing["object_by"], "counts": False, "objection": None, "allowed_actions": ["object"]}
    assert (await world.get("/enterprise/filings", by=enterprise))[1]["items"] == [filing]


async def test_only_whom_it_names_and_who_is_certified_hears_of_it(world, office):
    impostor = await named(world, CODE)
    await world.owner.execute("UPDATE organisations SET certified_at = NULL WHERE id = $1", impostor.organisation_id)
    filing_id = await office.submitted()
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'filing_named'") == 0
    stranger = await world.enterprise()
    before = await world.snapshot(*OBJECTIONS)
    for by in (impostor, stranger):
        assert (await world.get(f"/enterprise/filings/{filing_id}", by=by))[0] == 404
        assert (await objects(world, by, filing_id))[0] == 404
    assert await world.snapshot(*OBJECTIONS) == before


async def test_an_enterprise_that_came_to_the_platform_meanwhile_is_told_when_it_counts_and_may_object_still(world, office):
    filing_id = await office.submitted()
    late = await named(world, CODE)
    assert (await office.decide(filing_id))[0] == 200
    assert await world.value("SELECT organisation_id FROM events WHERE kind = 'filing_named'") == late.organisation_id
    assert (await objects(world, late, filing_id))[0] == 201


async def newcomer(world: World) -> Member:
    """Registered with the code of a filed transaction, not certified yet."""
    found = await applicant(world)
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", found.organisation_id, CODE)
    return found


async def certify(world: World, office: Office, newcomer: Member) -> None:
    approval = await submitted_certification(world, newcomer)
    status, answer = await world.post(f"/approvals/{approval}/approval", {}, by=office.admins[0])
    assert status == 200, answer


async def test_who_is_certified_after_the_approval_hears_of_what_counts_and_may_object_from_then_on(world, office):
    filing_id, waiting = await office.approved(), await office.submitted(happened_on="2026-02-11", amount_fen=100)
    late = await newcomer(world)
    world.clock.advance(days=60)
    assert (await objects(world, late, filing_id))[0] == 404
    await certify(world, office, late)
    named = await world.owner.fetch("SELECT organisation_id, subject_id FROM events WHERE kind = 'filing_named' ORDER BY id")
    assert [tuple(row) for row in named] == [(late.organisation_id, filing_id), (late.organisation_id, waiting)]
    object_by = due_after(world.clock.now(), 5)
    assert [row[0] for row in await world.owner.fetch("SELECT object_by FROM filings")] == [object_by, object_by]
    status, filing = await objects(world, late, filing_id)
    assert (status, filing["objection"]["state"]) == (201, "open")
    assert (await decide(office, "approval", by=office.admins[1], remark="合同系伪造"))[0] == 200
    assert await live(world) == 0
    await office.decide(waiting, "filing-approval", acknowledged=await office.flags(waiting))
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'filing_named'") == 2  # not once more with the approval


@pytest.mark.parametrize(("days", "told"), [(365, 0), (364, 1)])
async def test_what_counts_no_more_is_not_told_of(world, office, days, told):
    await office.approved()
    late = await newcomer(world)
    world.clock.advance(days=days)
    await certify(world, office, late)
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'filing_named'") == told


async def test_of_drafts_and_of_what_was_rejected_withdrawn_or_revoked_nobody_who_comes_later_hears(world, office):
    rejected, withdrawn, revoked = [
        await office.submitted(amount_fen=fen, happened_on=f"2026-02-0{fen}", enterprise_name="济南甲公司") for fen in (1, 2, 3)]
    await office.draft(amount_fen=5)
    await office.decide(rejected, "rejection", reason="材料不实")
    await world.delete(f"/institution/filings/{withdrawn}", by=office.institution)
    assert (await office.decide(revoked))[0] == 200
    for by, path in zip(office.admins, ("revocation", "revocation/confirmation"), strict=True):
        assert (await world.post(f"/filings/{revoked}/{path}", {"reason": "不实"} if path == "revocation" else None, by=by))[0] == 200
    await certify(world, office, await newcomer(world))
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'filing_named'") == 0


# --- before it counts -----------------------------------------------------------------------------------------------------------


async def test_an_objection_is_a_flag_that_whoever_approves_has_seen(world, office, enterprise):
    filing_id = await office.submitted()
    status, filing = await objects(world, enterprise, filing_id)
    assert (status, filing["objection"]["state"], filing["objection"]["reason"], filing["allowed_actions"]) == (201, "open", REASON, [])
    [flag] = (await office.case(filing_id))["facts"]["flags"]
    assert (flag["kind"], flag["title"], flag["facts"][0]["value"]) == ("objected", "备案所指的企业提出异议", REASON)
    before = await world.snapshot(*OBJECTIONS)
    status, problem = await office.decide(filing_id)
    assert (status, problem["code"], [item["kind"] for item in problem["data"]["items"]]) == (422, "decision_incomplete", ["objected"])
    assert await world.snapshot(*OBJECTIONS) == before
    assert (await office.decide(filing_id, "filing-approval", acknowledged=["objected"], remark="合同和付款凭证均已核对"))[0] == 200
    assert (await live(world), await results(world)) == (1, [("dismissed", "合同和付款凭证均已核对")])
    objection = (await shown(world, enterprise, filing_id))["objection"]
    assert (objection["state"], objection["answer"]) == ("dismissed", "合同和付款凭证均已核对")
    assert (await objects(world, enterprise, filing_id))[1]["code"] == "already_objected"


async def test_where_the_reviewer_agrees_it_never_counts_and_the_enterprise_hears_it(world, office, enterprise):
    filing_id = await office.submitted()
    await objects(world, enterprise, filing_id)
    assert (await office.decide(filing_id, "rejection", reason="企业否认该交易"))[0] == 200
    assert (await live(world), await results(world)) == (0, [("upheld", "企业否认该交易")])
    await world.sweep(open_events)
    assert await world.value("SELECT title FROM notices WHERE kind = 'filing_objection_result'") == "备案异议：异议成立"


async def test_an_appeal_that_was_right_takes_the_objection_before_the_next_reviewer_too(world, office, enterprise):
    filing_id = await office.submitted()
    await objects(world, enterprise, filing_id)
    await office.decide(filing_id, "rejection", reason="企业否认该交易")
    appeal = {"against": "filing", "subject_id": filing_id, "statement": "合同真实，请复核"}
    assert (await world.post("/appeals", appeal, by=office.institution))[0] == 201
    approval = await world.value("SELECT max(id) FROM approvals WHERE kind = 'appeal'")
    assert (await world.post(f"/approvals/{approval}/approval", {"remark": "请重新核实"}, by=office.admins[1]))[0] == 200
    assert (await shown(world, enterprise, filing_id))["objection"]["state"] == "open"
    third = await world.official(Role.ADMIN)
    assert (await office.decide(filing_id, by=third))[1]["code"] == "decision_incomplete"
    assert (await office.decide(filing_id, "filing-approval", by=third, acknowledged=["objected"]))[0] == 200
    assert ((await shown(world, enterprise, filing_id))["objection"]["state"], await live(world)) == ("dismissed", 1)


async def test_what_the_institution_withdraws_needs_no_answer_any_more(world, office, enterprise):
    filing_id = await office.submitted()
    await objects(world, enterprise, filing_id)
    assert (await world.delete(f"/institution/filings/{filing_id}", by=office.institution))[0] == 200
    assert await results(world) == [("lapsed", None)]
    assert (await objects(world, enterprise, filing_id))[1]["code"] == "filing_state_wrong"


async def test_corrected_to_another_enterprise_the_first_has_nothing_to_object_to_and_the_other_is_told(world, office, enterprise):
    other = await named(world, valid("91370103MC0000002"))
    filing_id = await office.submitted()
    await objects(world, enterprise, filing_id)
    await office.decide(filing_id, "return", reason="请核对企业", items=[{"field": "enterprise_code", "problem": "企业否认"}])
    assert (await shown(world, enterprise, filing_id))["objection"]["state"] == "open"
    filing = await office.show(filing_id)
    status, _ = await world.put(f"/institution/transaction-filings/{filing_id}", {
        "happened_on": "2026-02-10", "enterprise_code": valid("91370103MC0000002"), "enterprise_name": "济南另一制造有限公司",
        "amount_fen": 3_000_000, "attachment_ids": filing["attachment_ids"], "version": 1}, by=office.institution)
    assert status == 200
    assert (await world.get(f"/enterprise/filings/{filing_id}", by=other))[0] == 404
    assert (await office.submit(filing_id))[0] == 200
    assert await results(world) == [("lapsed", None)]
    assert (await world.get(f"/enterprise/filings/{filing_id}", by=enterprise))[0] == 404
    assert (await shown(world, other, filing_id))["allowed_actions"] == ["object"]
    assert (await office.decide(filing_id))[0] == 200


async def test_the_days_end_with_the_fifth_working_day(world, office, enterprise):
    filing_id = await office.submitted()
    object_by = await world.value("SELECT object_by FROM filings")
    assert object_by == due_after(world.clock.now(), 5)
    world.clock.set(object_by)
    assert (await shown(world, enterprise, filing_id))["allowed_actions"] == ["object"]
    world.clock.advance(microseconds=1)
    before = await world.snapshot(*OBJECTIONS)
    status, problem = await objects(world, enterprise, filing_id)
    assert (status, problem["code"]) == (409, "objection_too_late")
    assert (await world.post(f"/enterprise/filings/{filing_id}/objection", {"reason": " "}, by=enterprise))[0] == 422
    assert await world.snapshot(*OBJECTIONS) == before
    assert (await shown(world, enterprise, filing_id))["allowed_actions"] == []
    world.clock.set(object_by)
    assert (await objects(world, enterprise, filing_id))[0] == 201


async def test_a_viewer_looks_and_does_not_object(world, office, enterprise):
    filing_id = await office.submitted()
    viewer = await world.member(enterprise.organisation_id, Role.VIEWER)
    assert (await shown(world, viewer, filing_id))["id"] == filing_id
    assert (await objects(world, viewer, filing_id))[1]["code"] == "not_your_role"


async def test_who_lost_the_certification_does_not_object(world, office, enterprise):
    filing_id = await office.submitted()
    await world.owner.execute("UPDATE organisations SET certified_at = NULL WHERE id = $1", enterprise.organisation_id)
    before = await world.snapshot(*OBJECTIONS)
    assert (await objects(world, enterprise, filing_id))[1]["code"] == "not_certified"
    assert await world.snapshot(*OBJECTIONS) == before


# --- after it was counted -------------------------------------------------------------------------------------------------------


async def test_an_objection_to_what_counts_is_looked_at_by_another_reviewer_and_upheld_it_counts_no_more(world, office, enterprise):
    filing_id = await office.approved(consultant_id=office.consultant_id)
    status, filing = await objects(world, enterprise, filing_id)
    assert (status, filing["counts"], await live(world)) == (201, True, 1)
    first, second = office.admins
    before = await world.snapshot(*OBJECTIONS)
    status, problem = await decide(office, "approval", by=first)
    assert (status, problem["code"]) == (403, "original_reviewer")
    assert (await decide(office, "return", by=second, reason="请补充"))[1]["code"] == "decision_not_offered"
    await world.member(office.institution.organisation_id, Role.VIEWER, person=(second.person_id, second.identity_id, second.open_id))
    assert (await decide(office, "approval", by=second))[1]["code"] == "own_case"
    assert await world.snapshot(*OBJECTIONS) == before
    third = await world.official(Role.ADMIN)
    approval = await world.value("SELECT max(id) FROM approvals")
    _, case = await world.get(f"/approvals/{approval}", by=third)
    assert (case["approval"]["kind"], case["approval"]["title"]) == ("objection", "备案异议：济南示例制造有限公司")
    assert (case["facts"]["objection"]["reason"], case["facts"]["filing"]["id"]) == (REASON, filing_id)
    assert (await decide(office, "approval", by=third, remark="合同系伪造"))[0] == 200
    filing = await office.show(filing_id)
    assert (filing["state"], filing["counts"], filing["revoke_reason"]) == ("revoked", False, "合同系伪造")
    assert (await live(world), await results(world)) == (0, [("upheld", "合同系伪造")])
    told = await world.owner.fetch("SELECT organisation_id, person_id FROM events WHERE kind = 'filing_revoked' ORDER BY id")
    assert [tuple(row) for row in told] == [(office.institution.organisation_id, None), (None, office.consultant.person_id)]
    assert (await decide(office, "approval", by=third))[1]["code"] == "already_decided"


async def test_an_objection_that_was_wrong_changes_nothing_and_is_made_once(world, office, enterprise):
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    assert (await decide(office, "rejection", by=office.admins[1], reason="银行回单证明交易属实"))[0] == 200
    objection = (await shown(world, enterprise, filing_id))["objection"]
    assert (objection["state"], objection["answer"], await live(world)) == ("dismissed", "银行回单证明交易属实", 1)
    before = await world.snapshot(*OBJECTIONS)
    assert (await objects(world, enterprise, filing_id))[1]["code"] == "already_objected"
    assert await world.snapshot(*OBJECTIONS) == before

    await world.sweep(open_events)
    told = await world.owner.fetch("SELECT title, body FROM notices WHERE kind = 'filing_objected' ORDER BY id")
    assert [tuple(row) for row in told] == [
        (f"备案异议：{finding}", f"企业对已通过的备案「济南示例制造有限公司」提出异议：{finding}，该备案照常计分。")
        for finding in ("正在核实", "异议不成立")]


async def test_revoked_for_another_reason_the_objections_case_is_closed_and_the_enterprise_was_right(world, office, enterprise):
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    first, second = office.admins
    assert (await world.post(f"/filings/{filing_id}/revocation", {"reason": "材料不实"}, by=first))[0] == 200
    assert (await world.post(f"/filings/{filing_id}/revocation/confirmation", by=second))[0] == 200
    assert await results(world) == [("upheld", "材料不实")]
    assert (await decide(office, "approval", by=second))[1]["code"] == "already_decided"
    assert await live(world) == 0


async def test_a_proposed_revocation_and_an_objection_revoke_it_once(world, office, enterprise):
    filing_id = await office.approved()
    await objects(world, enterprise, filing_id)
    first, second = office.admins
    assert (await world.post(f"/filings/{filing_id}/revocation", {"reason": "材料不实"}, by=second))[0] == 200
    assert (await decide(office, "approval", by=second))[0] == 200
    assert (await world.post(f"/filings/{filing_id}/revocation/confirmation", by=first))[1]["code"] == "filing_state_wrong"
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'filing.revoked'") == 1
