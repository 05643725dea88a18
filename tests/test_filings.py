"""交易备案, 活动备案: filed with evidence, flagged before they count, reviewed, counted once, revoked by two (D17, D18, D21)."""

from typing import Any

import pytest

from handlers.notices import open_events
from models.accounts import Role
from tests.applications import upload, valid
from tests.shop import open_shop
from tests.supermarket import ACTIVITY, evidence, open_supermarket
from tests.world import JINAN, Member, World

TABLES = ("filings", "filing_files", "filing_flags", "approvals", "score_events", "events", "audit_entries")
CODE = valid("91370103MC0000001")


class Office:
    """An institution, its consultant, and two administrators over it."""

    def __init__(self, world: World, institution: Member, consultant: tuple[int, Member], admins: list[Member]) -> None:
        self.world, self.institution, self.admins = world, institution, admins
        self.consultant_id, self.consultant = consultant
        self._papers = 0

    async def paper(self, by: Member | None = None) -> int:
        self._papers += 1
        return await evidence(self.world, by or self.institution, f"材料 {self._papers}")

    async def draft(self, *, by: Member | None = None, **changes: Any) -> tuple[int, Any]:
        body = {
            "happened_on": "2026-02-10", "enterprise_code": CODE, "enterprise_name": "济南示例制造有限公司", "amount_fen": 3_000_000,
        } | changes
        if "attachment_ids" not in body:
            body["attachment_ids"] = [await self.paper(by)]
        return await self.world.post("/institution/transaction-filings", body, by=by or self.institution)

    async def activity(self, **changes: Any) -> int:
        body = ACTIVITY | {"attachment_ids": [await self.paper()]} | changes
        status, filing = await self.world.post("/institution/activity-filings", body, by=self.institution)
        assert status == 201, filing
        return int(filing["id"])

    async def submit(self, filing_id: int, by: Member | None = None) -> tuple[int, Any]:
        return await self.world.put(f"/institution/filings/{filing_id}/submission", by=by or self.institution)

    async def submitted(self, *, by: Member | None = None, **changes: Any) -> int:
        status, filing = await self.draft(by=by, **changes)
        assert status == 201, filing
        status, waiting = await self.submit(filing["id"], by)
        assert (status, waiting["state"]) == (200, "in_review"), waiting
        return int(filing["id"])

    async def approval(self, filing_id: int) -> int:
        return int(await self.world.value(
            "SELECT max(id) FROM approvals WHERE subject = 'filing' AND subject_id = $1", filing_id
        ))

    async def case(self, filing_id: int) -> Any:
        status, case = await self.world.get(f"/approvals/{await self.approval(filing_id)}", by=self.admins[0])
        assert status == 200, case
        return case

    async def decide(self, filing_id: int, verb: str = "approval", *, by: Member | None = None, **body: Any) -> tuple[int, Any]:
        return await self.world.post(f"/approvals/{await self.approval(filing_id)}/{verb}", body, by=by or self.admins[0])

    async def approved(self, **changes: Any) -> int:
        filing_id = await self.submitted(**changes)
        flags = (await self.case(filing_id))["facts"]["flags"]
        status, answer = await self.decide(filing_id, "filing-approval", acknowledged=[flag["kind"] for flag in flags])
        assert status == 200, answer
        return filing_id

    async def show(self, filing_id: int, by: Member | None = None) -> Any:
        status, filing = await self.world.get(f"/institution/filings/{filing_id}", by=by or self.institution)
        assert status == 200, filing
        return filing

    async def credits(self, by: Member | None = None) -> tuple[int, int, int, int]:
        status, body = await self.world.get("/institution/filing-credits", by=by or self.institution)
        assert status == 200, body
        return body["transactions"], body["transactions_fen"], body["activities"], body["participants"]

    async def flags(self, filing_id: int) -> list[str]:
        return [flag["kind"] for flag in (await self.case(filing_id))["facts"]["flags"]]


@pytest.fixture
async def office(world: World) -> Office:
    institution = await world.institution()
    code = valid(f"91370103MD{institution.organisation_id % 10**7:07d}")
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", institution.organisation_id, code)
    admins = [await world.official(Role.ADMIN) for _ in range(2)]
    return Office(world, institution, await world.consultant(institution), admins)


# --- a transaction ---------------------------------------------------------------------------------------------------------------


async def test_an_approved_transaction_counts_for_the_institution_and_the_consultant(world: World, office: Office) -> None:
    filing_id = await office.submitted(consultant_id=office.consultant_id)
    assert await office.credits() == (0, 0, 0, 0)
    assert (await office.show(filing_id))["queue"]["position"] == 1
    status, decided = await office.decide(filing_id)
    assert (status, decided["state"]) == (200, "approved")

    filing = await office.show(filing_id)
    assert (filing["state"], filing["counts"], filing["consultant_name"]) == ("approved", True, "张顾问")
    assert filing["transaction"] == {
        "enterprise_code": CODE, "enterprise_name": "济南示例制造有限公司", "product_id": None, "order_id": None, "amount_fen": 3_000_000,
    }
    event = await world.one("SELECT * FROM score_events")
    assert (event["kind"], event["institution_id"], event["consultant_id"], event["enterprise_id"], event["subject_id"]) == (
        "transaction_filed", office.institution.organisation_id, office.consultant_id, None, filing_id,
    )
    assert (event["facts"], event["revoked_at"]) == ('{"fen": 3000000}', None)
    assert await office.credits() == await office.credits(office.consultant) == (1, 3_000_000, 0, 0)
    await world.sweep(open_events)
    told = await world.owner.fetch("SELECT DISTINCT person_id FROM notices WHERE kind = 'approval_result'")
    assert {row["person_id"] for row in told} == {office.institution.person_id, office.consultant.person_id}


async def test_a_consultant_files_for_nobody_else_and_sees_nobody_elses(world: World, office: Office) -> None:
    own = await office.submitted(by=office.consultant)
    theirs = await office.submitted(enterprise_code=valid("91370103MC0000002"))
    other_id, other = await world.consultant(office.institution)
    _, page = await world.get("/institution/filings", by=office.consultant)
    assert [(one["id"], one["consultant_id"]) for one in page["items"]] == [(own, office.consultant_id)]
    _, page = await world.get("/institution/filings", by=office.institution)
    assert [one["id"] for one in page["items"]] == [theirs, own]
    paper, staffs = await office.paper(office.consultant), await office.paper()
    before = await world.snapshot(*TABLES)
    assert (await world.get(f"/institution/filings/{theirs}", by=office.consultant))[0] == 404
    assert (await world.delete(f"/institution/filings/{own}", by=other))[0] == 404
    for changes, field in (({"consultant_id": other_id, "attachment_ids": [paper]}, "consultant_id"),
                           ({"attachment_ids": [staffs]}, "attachment_ids")):
        status, problem = await office.draft(by=office.consultant, **changes)
        assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, [field])
    assert (await upload(world, office.consultant, "business_licence"))[1]["code"] == "not_your_role"
    assert await world.snapshot(*TABLES) == before


async def test_an_order_says_the_other_side_and_the_amount_and_is_filed_once(world: World) -> None:
    shop = await open_shop(world)
    order = await shop.completed()
    office = Office(world, shop.seller, await world.consultant(shop.seller), [await world.official(Role.ADMIN)])
    nothing = {"enterprise_code": None, "enterprise_name": None, "amount_fen": None}
    filing_id = await office.submitted(order_id=order, **nothing)
    filing = await office.show(filing_id)
    buyer = await world.one("SELECT name, credit_code FROM organisations WHERE id = $1", shop.buyer.organisation_id)
    assert filing["transaction"] == {
        "enterprise_code": buyer["credit_code"], "enterprise_name": buyer["name"], "product_id": shop.product_id, "order_id": order,
        "amount_fen": 400_000,
    }
    paper = await office.paper()
    before = await world.snapshot(*TABLES)
    status, problem = await office.draft(order_id=order, attachment_ids=[paper], **nothing)
    assert (status, problem["code"]) == (409, "order_filed")
    status, problem = await office.draft(order_id=order, attachment_ids=[paper])
    assert (status, problem["code"], len(problem["data"]["items"])) == (422, "filing_wrong", 3)
    assert await world.snapshot(*TABLES) == before
    assert (await world.delete(f"/institution/filings/{filing_id}", by=shop.seller))[1]["state"] == "withdrawn"
    assert (await office.draft(order_id=order, attachment_ids=[paper], **nothing))[0] == 201


async def test_what_cannot_be_is_not_filed(world: World, office: Office) -> None:
    own_code = await world.value("SELECT credit_code FROM organisations WHERE id = $1", office.institution.organisation_id)
    shop = await open_shop(world)
    order = await shop.completed()
    foreign = await evidence(world, shop.seller)
    paper = await office.paper()
    before = await world.snapshot(*TABLES)
    for changes, field in (
        ({"enterprise_code": own_code}, "enterprise_code"), ({"enterprise_code": CODE[:-1] + "0"}, "enterprise_code"),
        ({"enterprise_name": None}, "enterprise_name"), ({"amount_fen": None}, "amount_fen"),
        ({"happened_on": "2026-03-03"}, "happened_on"), ({"happened_on": "2024-03-01"}, "happened_on"),
        ({"happened_on": "0001-01-01"}, "happened_on"),
        ({"order_id": order}, "order_id"), ({"product_id": shop.product_id}, "product_id"),
        ({"consultant_id": office.consultant_id + 99}, "consultant_id"), ({"attachment_ids": [foreign]}, "attachment_ids"),
    ):
        status, problem = await office.draft(**{"attachment_ids": [paper]} | changes)
        assert (status, problem["code"]) == (422, "filing_wrong"), problem
        assert field in [item["field"] for item in problem["data"]["items"]]
    assert await world.snapshot(*TABLES) == before


async def test_without_evidence_or_a_licence_to_trade_nothing_is_submitted(world: World, office: Office) -> None:
    _, bare = await office.draft(attachment_ids=[])
    _, whole = await office.draft()
    before = await world.snapshot(*TABLES)
    status, problem = await office.submit(bare["id"])
    assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, ["attachment_ids"])
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", office.institution.organisation_id, world.at())
    status, problem = await office.submit(whole["id"])
    assert (status, problem["code"]) == (409, "institution_suspended")
    assert await world.snapshot(*TABLES) == before


async def test_a_returned_filing_is_mended_and_a_decided_one_is_not(world: World, office: Office) -> None:
    filing_id = await office.submitted()
    items = [{"field": "amount_fen", "problem": "与合同不一致"}]
    assert (await office.decide(filing_id, "return", reason="请核对金额", items=items))[0] == 200
    filing = await office.show(filing_id)
    assert (filing["state"], filing["reason"], filing["version"]) == ("returned", "请核对金额", 1)
    body = {
        "happened_on": "2026-02-10", "enterprise_code": CODE, "enterprise_name": "济南示例制造有限公司", "amount_fen": 2_900_000,
        "attachment_ids": filing["attachment_ids"], "version": 1,
    }
    path = f"/institution/transaction-filings/{filing_id}"
    status, edited = await world.put(path, body, by=office.institution)
    assert (status, edited["version"], edited["transaction"]["amount_fen"]) == (200, 2, 2_900_000)
    assert (await world.put(path, body, by=office.institution))[1]["code"] == "changed_meanwhile"
    assert (await world.put(f"/institution/activity-filings/{filing_id}", ACTIVITY | {"version": 2}, by=office.institution))[0] == 404
    assert (await office.submit(filing_id))[0] == 200
    assert (await office.decide(filing_id))[0] == 200
    before = await world.snapshot(*TABLES)
    for answer in (
        await world.put(path, body | {"version": 2}, by=office.institution), await office.submit(filing_id),
        await world.delete(f"/institution/filings/{filing_id}", by=office.institution),
    ):
        assert (answer[0], answer[1]["code"]) == (409, "filing_state_wrong")
    assert (await office.decide(filing_id))[1]["code"] == "already_decided"
    assert await world.snapshot(*TABLES) == before


async def test_only_an_administrator_of_the_place_decides_and_nobody_of_either_side(world: World, office: Office) -> None:
    enterprise = await world.enterprise()
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", enterprise.organisation_id, CODE)
    filing_id = await office.submitted()
    assert (await office.case(filing_id))["facts"]["filing"]["transaction"]["enterprise_code"] == CODE
    partial = await world.official(Role.ADMIN)
    await world.member(enterprise.organisation_id, Role.VIEWER, person=(partial.person_id, partial.identity_id, partial.open_id))
    before = await world.snapshot(*TABLES)
    for by, expected in (
        (await world.official(Role.ADMIN, region_code="370200"), 404), (await world.official(Role.CENTRE_REVIEWER), 404), (partial, 403),
    ):
        assert (await office.decide(filing_id, by=by))[0] == expected
    assert await world.snapshot(*TABLES) == before
    assert (await office.decide(filing_id))[0] == 200
    assert await world.value("SELECT enterprise_id FROM score_events") == enterprise.organisation_id


async def test_the_supermarkets_administrator_reviews_what_its_institutions_file(world: World) -> None:
    market = await open_supermarket(world)
    member = await market.certified(region_code="310115")
    office = Office(world, member, await world.consultant(member), [market.admin])
    filing_id = await office.approved()
    assert (await office.show(filing_id))["counts"] is True
    _, page = await world.get("/filings", by=market.admin)
    assert [one["id"] for one in page["items"]] == [filing_id]
    assert (await world.get("/filings", by=await world.official(Role.ADMIN, region_code="310115")))[1]["items"] == []


async def test_a_rejection_may_be_appealed_against(world: World, office: Office) -> None:
    filing_id = await office.submitted()
    assert (await office.decide(filing_id, "rejection", reason="材料不实"))[0] == 200
    appeal = {"against": "filing", "subject_id": filing_id, "statement": "合同真实，请复核"}
    status, filed = await world.post("/appeals", appeal, by=office.institution)
    assert (status, filed["kind"]) == (201, "filing")
    second = office.admins[1]
    approval = await world.value("SELECT id FROM approvals WHERE subject = 'appeal' AND state = 'open'")
    assert (await world.post(f"/approvals/{approval}/approval", {"remark": "属实"}, by=second))[0] == 200
    assert (await office.decide(filing_id))[1]["code"] == "original_reviewer"
    assert (await office.decide(filing_id, by=second))[0] == 200
    assert await office.credits() == (1, 3_000_000, 0, 0)


# --- an activity -----------------------------------------------------------------------------------------------------------------


async def test_an_approved_activity_counts_and_the_institution_sees_its_bonus(world: World, office: Office) -> None:
    filing_id = await office.activity()
    assert (await office.submit(filing_id))[0] == 200
    assert (await office.case(filing_id))["approval"]["title"] == "活动备案：知识产权公益讲座"
    assert (await office.decide(filing_id))[0] == 200
    filing = await office.show(filing_id)
    assert (filing["counts"], filing["transaction"], filing["activity"]["part"]) == (True, None, "organiser")
    assert await office.credits() == (0, 0, 1, 80)
    event = await world.one("SELECT kind, consultant_id, facts FROM score_events")
    assert tuple(event) == ("activity_filed", None, '{"part": "organiser", "participants": 80}')


async def test_an_activity_that_is_not_public_benefit_is_not_filed(world: World, office: Office) -> None:
    filing_id = await office.activity(is_public_benefit=False)
    before = await world.snapshot(*TABLES)
    status, problem = await office.submit(filing_id)
    assert (status, [item["field"] for item in problem["data"]["items"]]) == (422, ["is_public_benefit"])
    assert await world.snapshot(*TABLES) == before


# --- what is odd -------------------------------------------------------------------------------------------------------------------


async def test_the_fourth_of_a_pair_in_thirty_days_is_flagged_and_counts_only_when_seen(world: World, office: Office) -> None:
    """Whichever of the four is filed last; the thirty-first day is another month."""
    for number, day in enumerate(("2026-02-02", "2026-01-20", "2026-01-05")):
        assert await office.flags(await office.approved(happened_on=day, amount_fen=100_000 + number)) == []
    assert await office.flags(await office.submitted(happened_on="2025-12-20", amount_fen=5)) == []
    late = await office.submitted(happened_on="2026-02-04", amount_fen=6)  # from 6 January on there are three
    assert await office.flags(late) == []
    fourth = await office.submitted(happened_on="2026-02-03", amount_fen=7)
    flags = (await office.case(fourth))["facts"]["flags"]
    assert [(flag["kind"], flag["title"], flag["is_acknowledged"]) for flag in flags] == [
        ("pair_often", "同一企业与本机构三十天内备案过多", False),
    ]
    assert {fact["who"] for fact in flags[0]["facts"]} == {"济南示例制造有限公司"}

    before = await world.snapshot(*TABLES)
    for answer in (
        await office.decide(fourth), await office.decide(fourth, "filing-approval", acknowledged=["same_evidence"]),
    ):
        status, problem = answer
        assert (status, problem["code"]) == (422, "decision_incomplete")
        assert [item["kind"] for item in problem["data"]["items"]] == ["pair_often"]
    assert await world.snapshot(*TABLES) == before
    assert (await office.decide(fourth, "filing-approval", acknowledged=["pair_often"], remark="年度框架合同"))[0] == 200
    kept = await world.one("SELECT kind, acknowledged_by_id FROM filing_flags WHERE filing_id = $1", fourth)
    assert tuple(kept) == ("pair_often", office.admins[0].person_id)


async def test_both_sides_being_one_is_flagged_with_masked_facts(world: World, office: Office) -> None:
    enterprise = await world.enterprise()
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", enterprise.organisation_id, CODE)
    me = office.institution
    await world.member(enterprise.organisation_id, Role.VIEWER, person=(me.person_id, me.identity_id, me.open_id))
    filing_id = await office.submitted()
    flag, = (await office.case(filing_id))["facts"]["flags"]
    assert flag["kind"] == "self_dealing"
    assert {fact["what"] for fact in flag["facts"]} == {"办事人员"}
    assert (await office.decide(filing_id))[1]["code"] == "decision_incomplete"
    assert await office.credits() == (0, 0, 0, 0)


async def test_the_other_side_is_looked_at_also_when_it_comes_to_the_platform_later(world: World, office: Office) -> None:
    filing_id = await office.submitted()
    enterprise = await world.enterprise()
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", enterprise.organisation_id, CODE)
    me = office.institution
    await world.member(enterprise.organisation_id, Role.VIEWER, person=(me.person_id, me.identity_id, me.open_id))
    before = await world.snapshot(*TABLES)
    status, problem = await office.decide(filing_id)
    assert (status, [item["kind"] for item in problem["data"]["items"]]) == (422, ["self_dealing"])
    assert await world.snapshot(*TABLES) == before


async def test_the_same_amount_on_the_same_day_and_the_same_paper_are_flagged(world: World, office: Office) -> None:
    first = await office.approved()
    other = valid("91370103MC0000009")
    twice = await office.submitted(enterprise_code=other)
    assert await office.flags(twice) == ["same_amount_and_date"]
    rival = Office(world, await world.institution(), await world.consultant(await world.institution()), office.admins)
    paper = await evidence(world, rival.institution, "材料 1")
    copied = await rival.submitted(amount_fen=1, attachment_ids=[paper])
    flag, = (await rival.case(copied))["facts"]["flags"]
    name = await world.value("SELECT name FROM organisations WHERE id = $1", office.institution.organisation_id)
    assert (flag["kind"], flag["facts"][0]["who"], flag["facts"][0]["what"]) == ("same_evidence", name, f"备案 {first} 的证明材料")


async def test_the_same_activity_twice_is_flagged(world: World, office: Office) -> None:
    first = await office.activity()
    assert (await office.submit(first))[0] == 200
    again = await office.activity(title="知识产权 公益讲座")
    assert (await office.submit(again))[0] == 200
    assert (await office.flags(first), await office.flags(again)) == ([], ["same_activity"])


async def test_what_came_up_since_the_submission_is_found_at_the_decision(world: World, office: Office) -> None:
    first = await office.submitted()
    assert await office.flags(first) == []
    await office.approved(enterprise_code=valid("91370103MC0000009"))
    before = await world.snapshot(*TABLES)
    status, problem = await office.decide(first)
    assert (status, [item["kind"] for item in problem["data"]["items"]]) == (422, ["same_amount_and_date"])
    assert await world.snapshot(*TABLES) == before


async def test_what_was_withdrawn_or_rejected_speaks_against_nobody(world: World, office: Office) -> None:
    gone, refused = await office.submitted(), await office.submitted(amount_fen=2)
    assert (await world.delete(f"/institution/filings/{gone}", by=office.institution))[0] == 200
    assert (await office.decide(refused, "rejection", reason="材料不实"))[0] == 200
    assert await office.flags(await office.submitted()) == []


# --- found false ---------------------------------------------------------------------------------------------------------------------


async def test_a_filing_that_was_false_is_revoked_by_two_and_counts_no_more(world: World, office: Office) -> None:
    filing_id = await office.approved(consultant_id=office.consultant_id)
    first, second = office.admins
    path = f"/filings/{filing_id}/revocation"
    status, problem = await world.post(f"{path}/confirmation", by=second)
    assert (status, problem["code"]) == (409, "revocation_not_proposed")
    status, proposed = await world.post(path, {"reason": "合同系伪造"}, by=first)
    assert (status, proposed["state"], proposed["counts"], proposed["revoke_reason"]) == (200, "approved", True, "合同系伪造")
    before = await world.snapshot(*TABLES)
    status, problem = await world.post(f"{path}/confirmation", by=first)
    assert (status, problem["code"]) == (403, "second_person_needed")
    status, problem = await world.post(path, {"reason": "再次提出"}, by=second)
    assert (status, problem["code"]) == (409, "revocation_proposed")
    assert await world.snapshot(*TABLES) == before

    status, revoked = await world.post(f"{path}/confirmation", by=second)
    assert (status, revoked["state"], revoked["counts"]) == (200, "revoked", False)
    assert await world.value("SELECT revoked_at FROM score_events") == world.clock.now()
    assert await office.credits() == await office.credits(office.consultant) == (0, 0, 0, 0)
    await world.sweep(open_events)
    told = await world.owner.fetch("SELECT DISTINCT person_id, title FROM notices WHERE kind = 'filing_revoked'")
    assert {tuple(row) for row in told} == {(office.institution.person_id, "备案已撤销"), (office.consultant.person_id, "备案已撤销")}


async def test_a_revocation_may_be_dropped_and_proposed_again(world: World, office: Office) -> None:
    filing_id = await office.approved()
    path = f"/filings/{filing_id}/revocation"
    assert (await world.post(path, {"reason": "存疑"}, by=office.admins[0]))[0] == 200
    status, kept = await world.delete(path, by=office.admins[1])
    assert (status, kept["state"], kept["counts"], kept["revoke_reason"]) == (200, "approved", True, None)
    assert (await world.delete(path, by=office.admins[1]))[1]["code"] == "revocation_not_proposed"
    assert (await world.post(path, {"reason": "查实"}, by=office.admins[1]))[0] == 200
    assert (await world.post(f"{path}/confirmation", by=office.admins[0]))[1]["state"] == "revoked"


async def test_only_who_is_responsible_and_of_neither_side_revokes(world: World, office: Office) -> None:
    filing_id, waiting = await office.approved(), await office.submitted(amount_fen=9)
    elsewhere = await world.official(Role.ADMIN, region_code="370200")
    own = await world.official(Role.ADMIN, region_code=JINAN)
    await world.member(office.institution.organisation_id, Role.VIEWER, person=(own.person_id, own.identity_id, own.open_id))
    before = await world.snapshot(*TABLES)
    for by, number, expected in (
        (elsewhere, filing_id, 404), (own, filing_id, 403), (office.institution, filing_id, 403), (office.admins[0], waiting, 409),
        (office.admins[0], waiting + 99, 404),
    ):
        assert (await world.post(f"/filings/{number}/revocation", {"reason": "不实"}, by=by))[0] == expected
    assert (await world.get(f"/filings/{filing_id}", by=elsewhere))[0] == 404
    assert await world.snapshot(*TABLES) == before
    status, case = await world.get(f"/filings/{filing_id}", by=office.admins[1])
    assert (status, case["filing"]["id"], case["flags"]) == (200, filing_id, [])


async def test_lists_are_paged_newest_first(world: World, office: Office) -> None:
    filed = [await office.submitted(amount_fen=number) for number in (1, 2, 3)]
    for path, by in (("/institution/filings", office.institution), ("/filings", office.admins[0])):
        _, first = await world.get(f"{path}?limit=2", by=by)
        _, rest = await world.get(f"{path}?limit=2&after={first['next']}", by=by)
        assert [one["id"] for one in (*first["items"], *rest["items"])] == filed[::-1]
    _, page = await world.get("/institution/filings?kind=activity", by=office.institution)
    assert page["items"] == []
    _, page = await world.get("/filings?state=approved", by=office.admins[0])
    assert page["items"] == []
