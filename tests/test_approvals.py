"""The reviewers' queue over HTTP: who sees what, and that each case is decided once (F10-F12, C36)."""

import asyncio
from typing import Any

import pytest

from handlers.personal import seal
from models.accounts import OrganisationKind, Role
from tests.applications import applicant, submitted_certification, submitted_qualification
from tests.races import meet_after, without
from tests.world import JINAN, SHIZHONG, Member, World

TABLES = ("applications", "approvals", "organisations", "events", "audit_entries")


async def park(world: World, county: str = SHIZHONG, name: str = "市中智谷") -> int:
    found: int = await world.owner.fetchval(
        "INSERT INTO parks (name, county_code, created_at) VALUES ($1, $2, $3) RETURNING id", name, county, world.clock.now()
    )
    return found


async def test_a_queue_shows_what_the_jurisdiction_reaches(world: World) -> None:
    programme, here, there = await world.programme(), await park(world), await park(world, name="市中金谷")
    owner = await applicant(world, certified=True, park_id=here)
    approval = await submitted_qualification(world, owner, programme.id)
    reaching = [
        await world.official(Role.REVIEWER, region_code=region, park_id=where)
        for region, where in (("370000", None), (JINAN, None), (SHIZHONG, None), (None, here), (None, None))
    ]
    strangers = [
        await world.official(role, region_code=region, park_id=where)
        for role, region, where in (
            (Role.REVIEWER, "360000", None), (Role.REVIEWER, "370200", None), (Role.REVIEWER, "370102", None),
            (Role.REVIEWER, None, there), (Role.ADMIN, JINAN, None),
        )
    ]
    for official in reaching:
        assert [one["id"] for one in (await world.get("/approvals", by=official))[1]["items"]] == [approval]
        assert (await world.get(f"/approvals/{approval}", by=official))[0] == 200
    before = await world.snapshot(*TABLES)
    for official in strangers:
        assert (await world.get("/approvals", by=official))[1]["items"] == []
        await nothing_is_there(world, approval, official)
    assert await world.snapshot(*TABLES) == before


async def nothing_is_there(world: World, approval: int, official: Member) -> None:
    """The answer is the same as for a case that does not exist."""
    for method, path, body in (
        ("GET", "", None), ("POST", "/approval", {}), ("POST", "/return", {"reason": "x"}), ("POST", "/rejection", {"reason": "x"}),
    ):
        answers = [await world.call(method, f"/approvals/{number}{path}", body, by=official) for number in (approval, approval + 10_000)]
        assert [status for status, _ in answers] == [404, 404]
        same = [{name: value for name, value in one.items() if name not in {"request_id", "instance"}} for _, one in answers]
        assert same[0] == same[1]


async def test_only_reviewers_have_a_queue(world: World) -> None:
    owner = await applicant(world)
    approval = await submitted_certification(world, owner)
    others = [owner, await world.institution(), await world.official(Role.DRAW_OFFICER), await world.official(Role.PROGRAMME_MANAGER)]
    before = await world.snapshot(*TABLES)
    for other in others:
        assert (await world.get("/approvals", by=other))[1]["code"] == "not_your_role"
        assert (await world.post(f"/approvals/{approval}/approval", {}, by=other))[1]["code"] == "not_your_role"
    assert await world.snapshot(*TABLES) == before


async def test_nobody_decides_an_own_case(world: World) -> None:
    owner = await applicant(world)
    colleague = await world.person()
    await world.member(owner.organisation_id, Role.FINANCE, person=colleague)
    approval = await submitted_certification(world, owner)
    office = await world.organisation(OrganisationKind.OFFICE)
    same = await world.member(office, Role.ADMIN, person=(owner.person_id, owner.identity_id, owner.open_id), region_code=JINAN)
    related = await world.member(office, Role.ADMIN, person=colleague, region_code=JINAN)
    # Who has left the company still knows it.
    await world.owner.execute(
        "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE person_id = $1 AND organisation_id = $3",
        colleague[0], world.clock.now(), owner.organisation_id,
    )
    before = await world.snapshot(*TABLES)
    for official in (same, related):
        for path, body in (("approval", {}), ("return", {"reason": "x"}), ("rejection", {"reason": "x"})):
            status, problem = await world.post(f"/approvals/{approval}/{path}", body, by=official)
            assert (status, problem["code"]) == (403, "own_case")
    assert await world.snapshot(*TABLES) == before


async def test_a_decided_case_says_who_decided_and_when(world: World) -> None:
    approval = await submitted_certification(world, await applicant(world))
    first, second = await world.official(Role.ADMIN), await world.official(Role.ADMIN)
    await world.owner.execute("UPDATE persons SET name = $2 WHERE id = $1", first.person_id, seal(world.settings, "赵审核"))
    _, decided = await world.post(f"/approvals/{approval}/approval", {"remark": "属实"}, by=first)
    assert (decided["decided_by"], decided["reason"]) == ("赵**", "属实")
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"/approvals/{approval}/rejection", {"reason": "不属实"}, by=second)
    assert (status, problem["code"], problem["data"]) == (
        409, "already_decided", {"state": "approved", "by": "赵**", "at": "2026-03-02T01:00:00+00:00"})
    assert await world.snapshot(*TABLES) == before


async def two_approvers(world: World) -> list[tuple[int, Any]]:
    approval = await submitted_certification(world, await applicant(world))
    first, second = await world.official(Role.ADMIN), await world.official(Role.ADMIN)
    answers = await asyncio.gather(
        world.post(f"/approvals/{approval}/approval", {}, by=first),
        world.post(f"/approvals/{approval}/rejection", {"reason": "执照已吊销"}, by=second),
    )
    return sorted(answers, key=lambda answer: answer[0])


async def test_of_two_approvers_one_decides_and_the_other_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    meet_after(world.owner, monkeypatch, "handlers.approvals._decidable")
    (won, decided), (lost, problem) = await two_approvers(world)
    assert (won, lost, problem["code"], problem["data"]["state"]) == (200, 409, "already_decided", decided["state"])
    assert await world.value("SELECT count(*) FROM audit_entries WHERE subject = 'approval' AND before = 'open'") == 1
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'approval_result'") == 1
    assert await world.value("SELECT state FROM applications") == decided["state"]


async def test_without_the_lock_the_other_approver_is_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.approvals.LOCK", " FOR UPDATE", "")
    meet_after(world.owner, monkeypatch, "handlers.approvals._decidable")
    (won, _), (lost, problem) = await two_approvers(world)
    assert (won, (lost, problem["code"]) == (409, "already_decided")) == (200, False)


async def test_a_withdrawal_and_a_decision_meet_without_a_deadlock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    meet_after(world.owner, monkeypatch, "handlers.approvals._decidable")
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    answers = await asyncio.gather(
        world.post(f"/approvals/{approval}/approval", {}, by=admin), world.post("/certification/withdrawal", by=owner)
    )
    assert sorted(status for status, _ in answers) == [200, 409]
    state = await world.value("SELECT state FROM applications")
    assert await world.value("SELECT state FROM approvals") == state
    assert state in {"approved", "withdrawn"}


async def test_the_queue_is_paged_oldest_first_and_filtered(world: World) -> None:
    programme = await world.programme()
    expected = [await submitted_qualification(world, await applicant(world, certified=True), programme.id) for _ in range(5)]
    reviewer = await world.official(Role.REVIEWER)
    await world.post(f"/approvals/{expected[1]}/rejection", {"reason": "不属于中小微企业"}, by=reviewer)
    waiting = [approval for approval in expected if approval != expected[1]]
    _, first = await world.get("/approvals?limit=3", by=reviewer)
    _, second = await world.get(f"/approvals?limit=3&after={first['next']}", by=reviewer)
    assert [one["id"] for one in (*first["items"], *second["items"])] == waiting
    assert second["next"] is None
    _, rejected = await world.get("/approvals?state=rejected&kind=application", by=reviewer)
    assert [(one["id"], one["reason"]) for one in rejected["items"]] == [(expected[1], "不属于中小微企业")]
    assert (await world.get("/approvals?kind=dispute", by=reviewer))[1]["items"] == []
    assert (await world.get("/approvals?state=lost", by=reviewer))[0] == 422


async def test_items_to_correct_must_be_on_the_form(world: World) -> None:
    approval, admin = await submitted_certification(world, await applicant(world)), await world.official(Role.ADMIN)
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(
        f"/approvals/{approval}/return", {"reason": "请补正", "items": [{"field": "favourite_colour", "problem": "?"}]}, by=admin
    )
    assert (status, problem["code"]) == (422, "decision_incomplete")
    assert await world.snapshot(*TABLES) == before


async def test_the_same_decision_sent_twice_is_made_once(world: World) -> None:
    approval, admin = await submitted_certification(world, await applicant(world)), await world.official(Role.ADMIN)
    answers = [await world.post(f"/approvals/{approval}/approval", {}, by=admin, key="press-twice") for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 200
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'approval_result'") == 1


async def test_every_move_has_its_audit_row(world: World) -> None:
    approval, admin = await submitted_certification(world, await applicant(world)), await world.official(Role.ADMIN)
    await world.post(f"/approvals/{approval}/approval", {}, by=admin)
    rows = await world.owner.fetch(
        "SELECT action, before, after, person_id = $1 AS by_admin FROM audit_entries WHERE subject IN ('approval', 'application')"
        " AND action NOT IN ('application.saved') ORDER BY id", admin.person_id,
    )
    assert [tuple(row) for row in rows] == [
        ("application.drafted", None, "draft", False), ("application.submitted", "draft", "submitted", False),
        ("approval.opened", None, "open", False), ("application.approved", "submitted", "approved", True),
        ("approval.approved", "open", "approved", True),
    ]
