"""需求对接 (D14-D16): whom a demand reaches, what the enterprise may do with it, and what it is told."""

from typing import Any

import pytest

from handlers.demands import offer_alternatives, spread_due
from handlers.demands.posting import ALIVE_MAX
from handlers.demands.spreading import WAVE, WAVE_EVERY
from handlers.notices import open_events
from models.accounts import Role
from tests.applications import file
from tests.books import expect_broken
from tests.market import CONTACT, DEMAND, Market, open_market
from tests.shop import Shop
from tests.world import JINAN, SHIZHONG, World

LIXIA = "370102"
QINGDAO = "370202"


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


# --- to whom -------------------------------------------------------------------------------------------------------------------


async def test_a_demand_to_an_institution_is_told_to_its_doers_at_once(market, world):
    handler, viewer = [await world.member(market.seller.organisation_id, role) for role in (Role.HANDLER, Role.VIEWER)]
    status, body = await market.ask(
        target="institution", target_id=market.seller.organisation_id, budget_fen=500_000, wanted_by="2026-04-30"
    )
    assert status == 201, body
    assert (body["state"], body["target"], body["institution_id"], body["told"], body["viewed"], body["taken"]) == (
        "open", "institution", market.seller.organisation_id, 1, 0, 0)
    assert (body["contact_name"], body["contact_phone"]) == ("李**", "138****2345")
    assert (body["budget_fen"], body["wanted_by"], body["version"], body["allowed_actions"]) == (
        500_000, "2026-04-30", 1, ["edit", "withdraw"])
    await world.sweep(open_events)
    found = await world.owner.fetch("SELECT person_id, title, page FROM notices WHERE kind = 'demand_posted' ORDER BY person_id")
    assert [tuple(row) for row in found] == [
        (person, "新需求", f"pages/demands/show?id={body['id']}") for person in sorted((market.seller.person_id, handler.person_id))]
    assert viewer.person_id not in [row["person_id"] for row in found]


async def test_a_demand_to_a_consultant_is_told_to_them_and_their_institution(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demand = await market.posted(target="consultant", target_id=consultant_id)
    assert [(one, person) for one, person, _ in await market.told("demand_posted")] == [
        (market.seller.organisation_id, consultant.person_id)]
    await world.sweep(open_events)
    people = await world.owner.fetch("SELECT person_id FROM notices WHERE kind = 'demand_posted'")
    assert {row["person_id"] for row in people} == {consultant.person_id, market.seller.person_id}
    mine = await market.mine(demand)
    assert (mine["consultant_id"], mine["consultant"], mine["institution_id"]) == (consultant_id, "张顾问", market.seller.organisation_id)


async def test_a_demand_to_a_product_goes_to_who_sells_it(market):
    mine = await market.mine(await market.posted(target="product", target_id=market.shop.product_id))
    assert (mine["product_id"], mine["institution_id"]) == (market.shop.product_id, market.seller.organisation_id)
    assert [answer["institution_id"] for answer in mine["answers"]] == [market.seller.organisation_id]


async def test_an_open_demand_reaches_who_serves_its_category_in_its_district(market, world):
    near, elsewhere = await market.rival(), await market.rival(region_code=LIXIA)
    await market.rival(category="legal")
    scoped = await world.institution()
    await world.owner.execute(
        "INSERT INTO institution_scopes (organisation_id, category, content) VALUES ($1,'audit','年报审计')", scoped.organisation_id)
    suspended, applying = await market.rival(), await market.rival()
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", suspended.organisation_id, world.clock.now())
    await world.owner.execute("UPDATE institutions SET state = 'suspended', suspended_until = $2, suspension_reason = '核查'"
                              " WHERE organisation_id = $1", suspended.organisation_id, world.at(days=9))
    await world.owner.execute("UPDATE organisations SET certified_at = NULL WHERE id = $1", applying.organisation_id)
    await world.owner.execute("UPDATE institutions SET state = 'applying' WHERE organisation_id = $1", applying.organisation_id)
    await world.owner.execute("UPDATE products SET state = 'approved', listed_at = NULL WHERE organisation_id = $1",
                              applying.organisation_id)
    demand = await market.posted(target="open")
    assert await market.told("demand_posted") == []
    assert [await world.sweep(spread_due) for _ in range(2)] == [1, 0]
    district = {market.seller.organisation_id, near.organisation_id, scoped.organisation_id}
    assert {one for one, _, _ in await market.told("demand_posted")} == district
    wide = await market.posted(target="open", region_code=JINAN)
    await world.sweep(spread_due)
    reached = await world.owner.fetch("SELECT institution_id FROM demand_responses WHERE demand_id = $1", wide)
    assert {row["institution_id"] for row in reached} == district | {elsewhere.organisation_id}
    assert (await market.mine(demand))["told"] == 3


async def test_an_open_demand_never_reaches_ones_own_people(market, world):
    mate = await market.rival()
    await world.member(market.buyer.organisation_id, Role.HANDLER, person=(mate.person_id, mate.identity_id, mate.open_id))
    half = await market.rival()
    await world.owner.execute("UPDATE organisations SET credit_code = (SELECT credit_code FROM organisations WHERE id = $2) WHERE id = $1",
                              half.organisation_id, market.buyer.organisation_id)
    await market.opened()
    assert [one for one, _, _ in await market.told("demand_posted")] == [market.seller.organisation_id]
    for own in (mate, half):
        before = await market.unchanged()
        status, body = await market.ask(target="institution", target_id=own.organisation_id)
        assert (status, body["code"]) == (403, "addressee_related")
        assert await market.unchanged() == before


async def crowd(market: Market, size: int) -> None:
    """So many institutions with an approved scope of audits."""
    await market.world.owner.execute(
        "WITH made AS (INSERT INTO organisations (kind, name, region_code, certified_at, created_at)"
        "  SELECT 'institution', '机构' || n, $1, $2, $2 FROM generate_series(1, $3::int) n RETURNING id),"
        " shops AS (INSERT INTO institutions (organisation_id, introduction, address, website, landline, email, state, updated_at)"
        "  SELECT id, '', '', '', '', '', 'admitted', $2 FROM made)"
        " INSERT INTO institution_scopes (organisation_id, category, content) SELECT id, 'audit', '年报审计' FROM made",
        SHIZHONG, market.world.clock.now(), size,
    )


async def test_an_open_demand_is_told_in_waves_each_institution_once(market, world):
    await crowd(market, 2 * WAVE + 4)  # with the seller: two whole waves and a last one of five
    demand = await market.posted(target="open")
    counts = []
    for _ in range(4):
        counts.append((await world.sweep(spread_due), len(await market.told("demand_posted"))))
        assert await world.sweep(spread_due) == 0
        world.clock.advance(seconds=WAVE_EVERY.total_seconds())
    assert counts == [(1, WAVE), (1, 2 * WAVE), (1, 2 * WAVE + 5), (0, 2 * WAVE + 5)]
    assert await world.value("SELECT count(DISTINCT institution_id) FROM demand_responses WHERE demand_id = $1", demand) == 2 * WAVE + 5
    assert await world.value("SELECT spread_at FROM demands WHERE id = $1", demand) is None


async def test_the_second_wave_stays_at_home_when_three_have_taken_it_up(market, world):
    await crowd(market, WAVE + 50)
    demand = await market.opened()
    first = await world.owner.fetch("SELECT institution_id FROM demand_responses WHERE demand_id = $1 ORDER BY 1 LIMIT 3", demand)
    for row in first:
        await market.ok(await world.member(row["institution_id"], Role.OWNER), demand, "taking")
    world.clock.advance(minutes=5)
    assert await world.sweep(spread_due) == 0
    assert len(await market.told("demand_posted")) == WAVE


@pytest.mark.parametrize("target", ["institution", "consultant", "product"])
async def test_who_cannot_be_asked_now_is_refused_as_who_does_not_exist(market, world, target):
    consultant_id, _ = await world.consultant(market.seller)
    await world.owner.execute("UPDATE products SET state = 'approved', listed_at = NULL WHERE id = $1", market.shop.product_id)
    assert (await world.delete(f"/institution/consultants/{consultant_id}", by=market.seller))[0] == 200
    hidden = {"institution": market.buyer.organisation_id, "consultant": consultant_id, "product": market.shop.product_id}[target]
    before = await market.unchanged()
    answers = [await market.ask(target=target, target_id=asked) for asked in (hidden, 10**15)]
    assert [(status, body["code"], body["data"]) for status, body in answers] == [(409, "addressee_not_available", {})] * 2
    assert await market.unchanged() == before


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"target": "open", "target_id": 5}, 422, "demand_target_wrong"),
    ({"target": "institution"}, 422, "demand_target_wrong"),
    ({"target": "friend"}, 422, "invalid_input"),
    ({"title": "审"}, 422, "invalid_input"),
    ({"title": "审" * 51}, 422, "invalid_input"),
    ({"text": "审" * 2001}, 422, "invalid_input"),
    ({"text": " "}, 422, "invalid_input"),
    ({"text": "请电 138 5311-2345 联系"}, 422, "phone_in_text"),
    ({"title": "请拨１３８５３１１２３４５"}, 422, "phone_in_text"),
    ({"category": "magic"}, 422, "category_unknown"),
    ({"region_code": "999999"}, 422, "region_unknown"),
    ({"budget_fen": 0}, 422, "invalid_input"),
    ({"budget_fen": 1.5}, 422, "invalid_input"),
    ({"wanted_by": "2026-03-01"}, 422, "wanted_by_past"),
    ({"contact": {"name": "李小红", "phone": "12345"}}, 422, "invalid_input"),
    ({"contact": {"name": "李", "phone": "13853112345"}}, 422, "invalid_input"),
    ({"attachment_ids": [10**15]}, 404, "not_found"),
    ({"attachment_ids": [1, 2, 3, 4, 5, 6]}, 422, "invalid_input"),
    ({"posted_at": "2026-01-01T00:00:00Z"}, 422, "invalid_input"),
]


@pytest.mark.parametrize(("changes", "status", "code"), BAD, ids=[f"{next(iter(each[0]))} {each[2]} {n}" for n, each in enumerate(BAD)])
async def test_a_demand_that_cannot_be_is_refused_and_nothing_is_there(market, changes, status, code):
    before = await market.unchanged()
    answer, body = await market.ask(**{"target": "open"} | changes)
    assert (answer, body["code"]) == (status, code)
    assert await market.unchanged() == before


async def test_today_is_not_past_and_a_wrong_number_of_digits_is_no_phone(market):
    demand = await market.posted(target="open", wanted_by="2026-03-02", text="合同号 138531123456789，审计年度 2025。")
    assert (await market.mine(demand))["wanted_by"] == "2026-03-02"


async def test_only_certified_enterprises_that_agreed_to_the_privacy_text_ask(market, world):
    stranger = await world.enterprise()
    status, body = await market.ask(by=stranger, target="open")
    assert (status, body["code"]) == (403, "consent_needed")
    await world.owner.execute("UPDATE organisations SET certified_at = NULL WHERE id = $1", market.buyer.organisation_id)
    status, body = await market.ask(target="open")
    assert (status, body["code"]) == (409, "not_certified")
    assert await world.value("SELECT count(*) FROM demands") == 0


async def test_an_enterprise_has_twenty_demands_at_a_time(market, world):
    demands = [await market.posted(target="open") for _ in range(ALIVE_MAX)]
    status, body = await market.ask(target="open")
    assert (status, body["code"], body["data"]) == (409, "too_many_demands", {"max": ALIVE_MAX})
    await world.post(f"/demands/{demands[0]}/withdrawal", by=market.buyer)
    assert (await market.ask(target="open"))[0] == 201


async def test_asking_twice_with_one_key_is_asking_once(market, world):
    body = {**DEMAND, "contact": CONTACT, "target": "institution", "target_id": market.seller.organisation_id}
    answers = [await world.post("/demands", body, by=market.buyer, key="once") for _ in range(2)]
    assert answers[0] == answers[1]
    assert await world.value("SELECT count(*) FROM demands") == 1


async def test_the_contact_is_sealed_and_in_no_notice_answer_or_audit_row(market, world):
    await market.taken()
    await world.sweep(open_events)
    row = await world.one("SELECT contact_name, contact_phone FROM demands")
    assert b"13853112345" not in row["contact_phone"]
    for table in ("events", "notices", "audit_entries", "idempotency_keys"):
        text = await world.value(f"SELECT string_agg(t::text, '') FROM {table} t")
        assert "13853112345" not in text
        assert "李小红" not in text
        assert b"13853112345".hex() not in text


# --- one's own -------------------------------------------------------------------------------------------------------------------


async def test_the_list_is_ones_own_newest_first_and_by_state(market, world):
    demands = [await market.posted(), await market.taken(), await market.posted(target="open")]
    _, body = await world.get("/demands?limit=2", by=market.buyer)
    assert [each["id"] for each in body["items"]] == demands[:0:-1]
    _, rest = await world.get(f"/demands?limit=2&after={body['next']}", by=market.buyer)
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([demands[0]], None)
    _, taken = await world.get("/demands?state=taken", by=market.buyer)
    assert [(each["id"], each["taken"]) for each in taken["items"]] == [(demands[1], 1)]
    stranger = await world.enterprise()
    assert (await world.get("/demands", by=stranger))[1]["items"] == []
    assert (await world.get(f"/demands/{demands[0]}", by=stranger))[0] == 404


async def test_a_demand_is_changed_while_nobody_has_taken_it_up_and_who_looked_hears_of_it(market, world):
    demand = await market.posted()
    await market.ok(market.seller, demand, "view")
    change = {**DEMAND, "title": "年度与专项审计", "budget_fen": 700_000, "version": 1}
    status, body = await world.put(f"/demands/{demand}", change, by=market.buyer)
    assert (status, body["title"], body["version"], body["contact_phone"]) == (200, "年度与专项审计", 2, "138****2345")
    posted = await market.told("demand_posted")
    assert [data.get("reason") for _, _, data in posted] == [None, "changed"]
    await world.sweep(open_events)
    titles = await world.owner.fetch("SELECT title FROM notices WHERE kind = 'demand_posted' ORDER BY id")
    assert [row["title"] for row in titles] == ["新需求", "需求已更新"]
    status, body = await world.put(f"/demands/{demand}", change, by=market.buyer)
    assert (status, body["code"]) == (409, "changed_meanwhile")
    seen = await market.received(demand)
    assert (seen["title"], seen["version"], seen["budget_fen"]) == ("年度与专项审计", 2, 700_000)


async def test_a_change_of_an_open_demand_tells_who_looked_and_finds_who_is_new(market, world):
    looked, other = await market.rival(), await market.rival(region_code=LIXIA)
    demand = await market.opened()
    await market.ok(looked, demand, "view")
    status, body = await world.put(
        f"/demands/{demand}", {**DEMAND, "region_code": JINAN, "version": 1, "contact": {"name": "王小明", "phone": "13900000000"}},
        by=market.buyer,
    )
    assert (status, body["contact_name"], body["contact_phone"]) == (200, "王**", "139****0000")
    await world.sweep(spread_due)
    told = [(one, data.get("reason")) for one, _, data in await market.told("demand_posted")]
    assert told[2:] == [(looked.organisation_id, "changed"), (other.organisation_id, None)]


@pytest.mark.parametrize("step", ["edit", "withdraw"])
async def test_a_demand_that_was_taken_up_is_neither_changed_nor_withdrawn(market, world, step):
    demand = await market.taken()
    before = await market.unchanged()
    if step == "edit":
        status, body = await world.put(f"/demands/{demand}", {**DEMAND, "version": 1}, by=market.buyer)
    else:
        status, body = await world.post(f"/demands/{demand}/withdrawal", by=market.buyer)
    assert (status, body["code"]) == (409, "demand_taken")
    assert await market.unchanged() == before


async def test_a_withdrawn_demand_is_over_for_everybody(market, world):
    demand = await market.posted()
    status, body = await world.post(f"/demands/{demand}/withdrawal", by=market.buyer)
    assert (status, body["state"], body["close_reason"], body["allowed_actions"]) == (200, "closed", "withdrawn", [])
    assert [(one, data["closing"]) for one, _, data in await market.told("demand_closed")] == [
        (market.seller.organisation_id, "withdrawn")]
    before = await market.unchanged()
    for noun in ("view", "taking", "passing"):
        status, body = await market.act(market.seller, demand, noun)
        assert (status, body["code"], body["data"]) == (409, "demand_closed", {"reason": "withdrawn"})
    for path, sent in ((f"/demands/{demand}/withdrawal", {}), (f"/demands/{demand}/closing", {})):
        status, body = await world.post(path, sent, by=market.buyer)
        assert (status, body["code"]) == (409, "demand_closed")
    assert (await world.put(f"/demands/{demand}", {**DEMAND, "version": 1}, by=market.buyer))[1]["code"] == "demand_closed"
    assert await market.unchanged() == before
    seen = await market.received(demand)
    assert (seen["text"], seen["demand_state"], seen["close_reason"]) == (None, "closed", "withdrawn")


async def test_a_demand_is_closed_with_whom_it_worked_out(market, world):
    rival = await market.rival()
    demand = await market.opened()
    status, body = await world.post(f"/demands/{demand}/closing", by=market.buyer)
    assert (status, body["code"]) == (409, "demand_not_taken")
    await market.ok(market.seller, demand, "taking")
    status, body = await world.post(f"/demands/{demand}/closing", {"institution_id": rival.organisation_id}, by=market.buyer)
    assert (status, body["code"]) == (422, "not_a_taker")
    await market.ok(rival, demand, "taking")
    status, body = await world.post(f"/demands/{demand}/closing", {"institution_id": rival.organisation_id}, by=market.buyer)
    assert (status, body["close_reason"], body["settled_with_id"]) == (200, "settled", rival.organisation_id)
    assert {one for one, _, _ in await market.told("demand_closed")} == {market.seller.organisation_id, rival.organisation_id}
    assert [(await market.received(demand, by))["settled_here"] for by in (market.seller, rival)] == [False, True]
    status, _ = await world.get(f"/institution/demands/{demand}/contact", by=rival)
    assert status == 200
    status, body = await world.get(f"/institution/demands/{demand}/contact", by=market.seller)
    assert (status, body["code"]) == (403, "contact_not_visible")


async def test_a_demand_that_worked_out_with_nobody_is_closed_too(market, world):
    demand = await market.taken()
    status, body = await world.post(f"/demands/{demand}/closing", by=market.buyer)
    assert (status, body["close_reason"], body["settled_with_id"]) == (200, "given_up", None)


async def test_files_go_with_a_demand_to_who_has_opened_it(market, world):
    sheet = await file(world, market.buyer, "demand")
    demand = await market.posted(attachment_ids=[sheet])
    rival = await market.rival()

    async def download(by: Any) -> int:
        async with world.client.get(f"/api/v1/attachments/{sheet}", headers={"Authorization": f"Bearer {by.token}"}) as response:
            return int(response.status)

    assert [await download(by) for by in (market.buyer, market.seller, rival)] == [200, 404, 404]
    assert (await market.received(demand))["attachment_ids"] == []
    assert (await market.ok(market.seller, demand, "view"))["attachment_ids"] == [sheet]
    assert [await download(by) for by in (market.seller, rival)] == [200, 404]
    consultant = (await world.consultant(market.seller))[1]
    assert await download(consultant) == 404  # it is not addressed to them
    status, body = await world.delete(f"/attachments/{sheet}", by=market.buyer)
    assert (status, body["code"]) == (409, "file_in_use")
    theirs = await file(world, await world.enterprise(), "demand")
    status, body = await market.ask(target="open", attachment_ids=[theirs])
    assert (status, body["code"]) == (404, "not_found")


# --- alternatives ----------------------------------------------------------------------------------------------------------------


async def test_nobody_took_it_up_so_three_others_are_offered_and_it_is_forwarded_with_one_call(market, world):
    slow = await market.rival()
    await market.posted(target="institution", target_id=slow.organisation_id)
    here = await market.rival()
    city, province = await market.rival(region_code=LIXIA), await market.rival(region_code=QINGDAO)
    await market.rival(category="legal")
    demand = await market.posted()
    before = await world.value("SELECT alternatives_at FROM demands WHERE id = $1", demand)
    world.clock.set(before)
    assert await world.sweep(offer_alternatives) == 2
    mine = await market.mine(demand)
    assert [each["institution_id"] for each in mine["alternatives"]] == [
        here.organisation_id, slow.organisation_id, city.organisation_id]  # who left a demand lying comes after who did not
    assert mine["allowed_actions"] == ["edit", "withdraw", "forward"]
    assert [(one, data["count"]) for one, _, data in await market.told("demand_alternatives")] == [(market.buyer.organisation_id, 3)] * 2
    told = len(await market.told("demand_posted"))
    ids = [city.organisation_id, here.organisation_id]
    status, body = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": ids}, by=market.buyer)
    assert status == 200, body
    assert [(each["institution_id"], each["is_chosen"]) for each in body["answers"]] == [
        (market.seller.organisation_id, True), (here.organisation_id, True), (city.organisation_id, True)]
    assert {one for one, _, _ in (await market.told("demand_posted"))[told:]} == set(ids)
    status, body = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": ids}, by=market.buyer)
    assert (status, body["code"]) == (409, "already_forwarded")
    status, body = await world.post(
        f"/demands/{demand}/forwarding", {"institution_ids": [province.organisation_id]}, by=market.buyer)
    assert (status, body["code"]) == (422, "not_an_alternative")
    await market.ok(here, demand, "taking")
    status, body = await world.post(
        f"/demands/{demand}/forwarding", {"institution_ids": [slow.organisation_id]}, by=market.buyer)
    assert (status, body["code"]) == (409, "demand_taken")


async def test_after_four_more_days_the_next_ones_are_offered(market, world):
    first = [await market.rival() for _ in range(3)]
    last = await market.rival(region_code=LIXIA)
    demand = await market.posted()
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    await world.post(f"/demands/{demand}/forwarding", {"institution_ids": [first[0].organisation_id]}, by=market.buyer)
    assert await world.sweep(offer_alternatives) == 0
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    mine = await market.mine(demand)
    assert [each["institution_id"] for each in mine["alternatives"]] == [
        *(each.organisation_id for each in first), last.organisation_id]


async def test_better_reviews_come_first_in_the_same_district(market, world):
    plain, liked = await market.rival(), await market.rival()
    product = await world.product(liked, market.shop.programme)
    shop = Shop(world, market.buyer, liked, market.shop.programme, product)
    order = await shop.completed()
    review = {"grade": "good", "text": "", "platform_stars": 5, "platform_text": ""}
    status, body = await world.post(f"/orders/{order}/review", review, by=market.buyer)
    assert status in (200, 201), body
    demand = await market.posted()
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    assert [each["institution_id"] for each in (await market.mine(demand))["alternatives"]] == [
        liked.organisation_id, plain.organisation_id]


async def test_who_knew_of_an_open_demand_takes_it_up_without_a_place_when_it_is_forwarded(market, world):
    rivals = [await market.rival() for _ in range(3)]
    demand = await market.opened()
    passed = rivals[0]
    await market.ok(passed, demand, "passing", {"remark": "人手不足"})
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    offered = [each["institution_id"] for each in (await market.mine(demand))["alternatives"]]
    assert sorted(offered) == sorted([market.seller.organisation_id, *(each.organisation_id for each in rivals[1:])])
    status, body = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": offered[:1]}, by=market.buyer)
    assert status == 200, body
    chosen = next(each for each in (market.seller, *rivals) if each.organisation_id == offered[0])
    await market.ok(chosen, demand, "taking")
    row = await world.one("SELECT is_chosen, place FROM demand_responses WHERE demand_id = $1 AND institution_id = $2",
                          demand, chosen.organisation_id)
    assert tuple(row) == (True, None)


# --- the consultant goes ---------------------------------------------------------------------------------------------------------


async def test_what_was_addressed_to_a_consultant_is_the_institutions_when_they_go(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demands = [await market.posted(target="consultant", target_id=consultant_id) for _ in range(3)]
    await market.ok(consultant, demands[1], "taking")
    await world.post(f"/demands/{demands[2]}/withdrawal", by=market.buyer)
    status, body = await world.delete(f"/institution/consultants/{consultant_id}", by=market.seller)
    assert (status, body["state"]) == (200, "ended")
    rows = await world.owner.fetch("SELECT target, consultant_id, state FROM demands ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("institution", None, "open"), ("institution", None, "taken"), ("consultant", consultant_id, "closed")]
    told = [(one, person) for one, person, data in await market.told("demand_posted") if data.get("reason") == "reassigned"]
    assert told == [(market.seller.organisation_id, None)] * 2
    assert (await market.ok(market.seller, demands[0], "taking"))["consultant"] is None


async def test_an_ended_consultant_can_do_nothing_more_even_if_nobody_reassigned(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demand = await market.posted(target="consultant", target_id=consultant_id)
    await world.owner.execute("UPDATE consultants SET state = 'ended', membership_id = NULL, ended_at = $2 WHERE id = $1",
                              consultant_id, world.clock.now())
    # The membership is there as if nothing had ended, and the demand was handed over to nobody.
    expect_broken("consultants_active_hold_the_membership_of_their_institution", "demands_are_known_to_whom_they_are_addressed")
    before = await market.unchanged()
    for noun in ("view", "taking", "passing", "contacting"):
        assert (await market.act(consultant, demand, noun))[0] == 404
    assert (await world.get(f"/institution/demands/{demand}", by=consultant))[0] == 404
    assert (await world.get("/institution/demands", by=consultant))[1]["items"] == []
    assert await market.unchanged() == before
