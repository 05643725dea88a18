"""What institutions and their consultants do about demands (D15, D16): look, take up, reach, tell the outcome; and their figures."""

import pytest

from handlers.demands import spread_due
from handlers.orders import AGREEMENT_VERSION
from models.accounts import Role
from models.demands import TAKERS_MAX
from tests.market import CONTACT, Market, open_market
from tests.world import Member, World


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


async def state_of(market: Market, demand: int, by: Member | None = None) -> str:
    return str((await market.received(demand, by))["state"])


# --- looking -------------------------------------------------------------------------------------------------------------------


async def test_the_first_look_is_recorded_with_who_and_when_and_shows_the_text(market, world):
    demand = await market.posted()
    before = await market.received(demand)
    assert (before["state"], before["text"], before["viewed_at"], before["viewed_by_id"]) == ("notified", None, None, None)
    world.clock.advance(minutes=90)
    seen = await market.ok(market.seller, demand, "view")
    assert (seen["state"], seen["text"][:6], seen["viewed_by_id"]) == ("viewed", "需对上一年度", market.seller.person_id)
    mine = await market.mine(demand)
    assert (mine["viewed"], mine["answers"][0]["state"], mine["answers"][0]["viewed_at"]) == (1, "viewed", seen["viewed_at"])
    handler = await world.member(market.seller.organisation_id, Role.HANDLER)
    world.clock.advance(minutes=5)
    again = await market.ok(handler, demand, "view")
    assert (again["viewed_by_id"], again["viewed_at"]) == (market.seller.person_id, seen["viewed_at"])
    audit = await world.owner.fetch("SELECT action, before, after FROM audit_entries WHERE subject = 'demand_response'")
    assert [tuple(row) for row in audit] == [("demand_response.viewed", "notified", "viewed")]


async def test_who_asks_stays_masked_until_it_is_taken_up(market, world):
    await world.owner.execute("UPDATE organisations SET name = '济南精密零件有限公司' WHERE id = $1", market.buyer.organisation_id)
    demand = await market.posted()
    assert (await market.ok(market.seller, demand, "view"))["enterprise"] == "济南****公司"
    assert (await market.ok(market.seller, demand, "taking"))["enterprise"] == "济南精密零件有限公司"
    assert [data["enterprise"] for _, _, data in await market.told("demand_posted")] == ["济南****公司"]


async def test_the_inbox_shows_ones_own_newest_first_and_by_state(market, world):
    demands = [await market.posted() for _ in range(3)]
    await market.ok(market.seller, demands[1], "view")
    _, body = await world.get("/institution/demands?limit=2", by=market.seller)
    assert [(each["id"], each["state"]) for each in body["items"]] == [(demands[2], "notified"), (demands[1], "viewed")]
    _, rest = await world.get(f"/institution/demands?limit=2&after={body['next']}", by=market.seller)
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([demands[0]], None)
    _, viewed = await world.get("/institution/demands?state=viewed", by=market.seller)
    assert [each["id"] for each in viewed["items"]] == [demands[1]]
    assert (await world.get("/institution/demands", by=await market.rival()))[1]["items"] == []


async def test_a_viewer_reads_the_list_and_opens_nothing(market, world):
    demand = await market.posted()
    viewer = await world.member(market.seller.organisation_id, Role.VIEWER)
    assert (await market.received(demand, viewer))["text"] is None
    for noun in ("view", "taking", "passing", "contacting", "outcome"):
        status, body = await market.act(viewer, demand, noun)
        assert (status, body["code"]) == (403, "not_your_role")
    assert (await world.get(f"/institution/demands/{demand}/contact", by=viewer))[0] == 403


# --- taking up -----------------------------------------------------------------------------------------------------------------


async def test_taking_it_up_shows_the_contact_and_each_look_is_in_the_audit_trail(market, world):
    demand = await market.posted()
    await market.ok(market.seller, demand, "view")
    status, body = await world.get(f"/institution/demands/{demand}/contact", by=market.seller)
    assert (status, body["code"]) == (403, "contact_not_visible")
    taken = await market.ok(market.seller, demand, "taking")
    assert (taken["state"], taken["taken_by_id"], taken["demand_state"]) == ("taken", market.seller.person_id, "taken")
    handler = await world.member(market.seller.organisation_id, Role.HANDLER)
    for by in (market.seller, handler, handler):
        assert await world.get(f"/institution/demands/{demand}/contact", by=by) == (200, CONTACT)
    looks = await world.owner.fetch(
        "SELECT person_id, organisation_id FROM audit_entries WHERE action = 'demand.contact_revealed' AND subject_id = $1 ORDER BY id",
        demand)
    assert [tuple(row) for row in looks] == [
        (person, market.seller.organisation_id) for person in (market.seller.person_id, handler.person_id, handler.person_id)]
    assert [(one, data["answer"]) for one, _, data in await market.told("demand_answered")] == [(market.buyer.organisation_id, "taken")]
    status, body = await market.act(market.seller, demand, "taking")
    assert (status, body["code"]) == (409, "demand_already_taken")


async def test_taking_up_without_a_look_is_a_look_too(market, world):
    await market.taken()
    moves = await world.owner.fetch("SELECT action FROM audit_entries WHERE subject IN ('demand', 'demand_response') ORDER BY id")
    assert [row["action"] for row in moves] == [
        "demand.posted", "demand.released", "demand_response.viewed", "demand_response.taken", "demand.taken"]


async def test_three_institutions_take_an_open_demand_up_and_no_fourth(market, world):
    rivals = [await market.rival() for _ in range(TAKERS_MAX)]
    demand = await market.opened()
    for left, rival in zip((2, 1, 0), rivals, strict=True):
        world.clock.advance(minutes=1)
        assert (await market.ok(rival, demand, "taking"))["places_left"] == left
    before = await market.unchanged()
    status, body = await market.act(market.seller, demand, "taking")
    assert (status, body["code"], body["data"]) == (409, "demand_full", {"max": TAKERS_MAX})
    assert await market.unchanged() == before
    mine = await market.mine(demand)
    assert [each["institution_id"] for each in mine["answers"]] == [each.organisation_id for each in rivals]
    # A place that led to nothing stays taken: that institution knows the phone.
    await market.ok(rivals[0], demand, "outcome", {"outcome": "no_contact"})
    assert (await market.act(market.seller, demand, "taking"))[1]["code"] == "demand_full"


async def test_an_institution_that_passes_is_out(market):
    demand = await market.posted()
    passed = await market.ok(market.seller, demand, "passing", {"remark": "近期人手不足"})
    assert (passed["state"], passed["remark"]) == ("passed", "近期人手不足")
    for noun in ("taking", "passing"):
        status, body = await market.act(market.seller, demand, noun)
        assert (status, body["code"]) == (409, "demand_passed")
    for noun, body in (("contacting", {}), ("outcome", {"outcome": "signed"})):
        status, answer = await market.act(market.seller, demand, noun, body)
        assert (status, answer["code"]) == (409, "demand_not_taken_up")
    assert (await market.mine(demand))["state"] == "open"


async def test_a_suspended_institution_takes_nothing_up(market, world):
    demand = await market.posted()
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", market.seller.organisation_id, world.clock.now())
    status, body = await market.act(market.seller, demand, "taking")
    assert (status, body["code"]) == (409, "institution_suspended")
    await world.owner.execute("UPDATE organisations SET suspended_at = NULL WHERE id = $1", market.seller.organisation_id)


async def test_who_has_joined_the_enterprise_meanwhile_takes_nothing_up(market, world):
    demand = await market.posted()
    me = market.seller
    await world.member(market.buyer.organisation_id, Role.HANDLER, person=(me.person_id, me.identity_id, me.open_id))
    status, body = await market.act(me, demand, "taking")
    assert (status, body["code"]) == (403, "addressee_related")


async def test_what_was_told_to_others_is_not_there(market, world):
    demand, rival = await market.posted(), await market.rival()
    for noun in ("view", "taking", "passing", "contacting"):
        status, body = await market.act(rival, demand, noun)
        assert (status, body["code"]) == (404, "not_found")
    assert (await market.act(rival, demand, "outcome", {"outcome": "signed"}))[0] == 404
    assert (await market.offer(demand, by=rival))[0] == 404
    assert (await world.get(f"/institution/demands/{demand}", by=rival))[0] == 404
    assert (await world.get(f"/institution/demands/{demand}/contact", by=rival))[0] == 404


# --- consultants ---------------------------------------------------------------------------------------------------------------


async def test_a_consultant_acts_for_the_institution_on_what_is_chosen_to_them(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demand, other = await market.posted(target="consultant", target_id=consultant_id), await market.posted()
    assert [each["id"] for each in (await world.get("/institution/demands", by=consultant))[1]["items"]] == [demand]
    assert (await market.act(consultant, other, "view"))[0] == 404
    assert (await world.get(f"/institution/demands/{other}", by=consultant))[0] == 404
    await market.ok(consultant, demand, "taking")
    assert (await world.get(f"/institution/demands/{demand}/contact", by=consultant))[1] == CONTACT
    await market.ok(consultant, demand, "contacting")
    done = await market.ok(consultant, demand, "outcome", {"outcome": "signed", "remark": "已签一年期合同"})
    assert (done["state"], done["remark"], done["taken_by_id"]) == ("signed", "已签一年期合同", consultant.person_id)
    counted = await world.one("SELECT kind, institution_id, consultant_id, enterprise_id FROM score_events")
    assert tuple(counted) == ("demand_answered", market.seller.organisation_id, consultant_id, market.buyer.organisation_id)
    assert (await world.get("/institution/demand-figures", by=consultant))[0] == 403


async def test_another_consultant_of_the_institution_sees_nothing_of_it(market, world):
    first, _ = await world.consultant(market.seller)
    _, second = await world.consultant(market.seller)
    demand = await market.posted(target="consultant", target_id=first)
    assert (await market.act(second, demand, "taking"))[0] == 404
    assert (await world.get("/institution/demands", by=second))[1]["items"] == []


# --- outcomes ------------------------------------------------------------------------------------------------------------------


async def test_an_outcome_counts_once_and_unreached_does_not(market, world):
    demand = await market.taken()
    world.clock.advance(minutes=30)
    await market.ok(market.seller, demand, "outcome", {"outcome": "no_contact", "remark": "三次无人接听"})
    assert await world.value("SELECT count(*) FROM score_events") == 0
    await market.ok(market.seller, demand, "contacting")
    await market.ok(market.seller, demand, "outcome", {"outcome": "signed"})
    facts = await world.one("SELECT subject, facts->>'outcome' AS outcome, (facts->>'minutes')::int AS minutes FROM score_events")
    assert tuple(facts) == ("demand_response", "signed", 0)
    for outcome in ("declined", "signed", "no_contact"):
        status, body = await market.act(market.seller, demand, "outcome", {"outcome": outcome})
        assert (status, body["code"], body["data"]) == (409, "outcome_not_possible", {"state": "signed"})
    assert await world.value("SELECT count(*) FROM score_events") == 1


@pytest.mark.parametrize(("body", "status", "code"), [
    ({"outcome": "converted_to_order"}, 422, "outcome_by_order"),
    ({"outcome": "viewed"}, 422, "invalid_input"),
    ({"outcome": "signed", "remark": "好" * 501}, 422, "invalid_input"),
    ({"outcome": "signed", "remark": " "}, 422, "invalid_input"),
    ({}, 422, "invalid_input"),
])
async def test_an_outcome_that_cannot_be_is_refused(market, body, status, code):
    demand = await market.taken()
    before = await market.unchanged()
    answer, refusal = await market.act(market.seller, demand, "outcome", body)
    assert (answer, refusal["code"]) == (status, code)
    assert await market.unchanged() == before


async def test_an_outcome_may_follow_after_the_enterprise_has_closed_it(market, world):
    demand = await market.taken()
    await world.post(f"/demands/{demand}/closing", {"institution_id": market.seller.organisation_id}, by=market.buyer)
    assert (await market.ok(market.seller, demand, "outcome", {"outcome": "signed"}))["state"] == "signed"


async def test_after_the_parties_did_not_agree_the_contact_is_hidden_again(market, world):
    demand = await market.taken()
    await market.ok(market.seller, demand, "outcome", {"outcome": "declined", "remark": "价格未谈拢"})
    status, body = await world.get(f"/institution/demands/{demand}/contact", by=market.seller)
    assert (status, body["code"]) == (403, "contact_not_visible")
    assert (await market.offer(demand))[1]["code"] == "outcome_not_possible"


# --- to an order -----------------------------------------------------------------------------------------------------------------


async def test_an_offer_becomes_an_ordinary_order_that_names_the_demand(market, world):
    demand = await market.taken()
    status, body = await market.offer(demand)
    assert (status, body["offer"]["product_id"], body["offer"]["price_fen"]) == (200, market.shop.product_id, 380_000)
    assert [(data["answer"], data.get("price_fen")) for _, _, data in await market.told("demand_answered")] == [
        ("taken", None), ("offered", 380_000)]
    answer = (await market.mine(demand))["answers"][0]
    assert (answer["offer"]["product"], answer["order_ids"]) == ("年度财务审计", [])
    status, order = await market.shop.place(demand_id=demand)
    assert (status, order["demand_id"], order["list_price_fen"], order["offered_fen"], order["order_fen"]) == (
        201, demand, 400_000, 380_000, 380_000)
    told = await world.value("SELECT (data->>'price_fen')::int FROM events WHERE kind = 'order_placed'")
    assert (told, order["max_voucher_fen"]) == (380_000, 200_000)
    answer = (await market.mine(demand))["answers"][0]
    assert (answer["state"], answer["order_ids"]) == ("converted_to_order", [order["id"]])
    assert await world.value("SELECT facts->>'outcome' FROM score_events") == "converted_to_order"
    status, second = await market.shop.place(demand_id=demand)
    assert (status, (await market.received(demand))["order_ids"]) == (201, [order["id"], second["id"]])
    assert await world.value("SELECT count(*) FROM score_events") == 1


async def test_an_order_names_only_ones_own_demand_and_the_product_that_was_offered(market, world):
    demand = await market.taken()
    other = await world.product(market.seller, market.shop.programme, name="专项审计", price_fen=300_000)
    orders = await world.snapshot("orders", "demand_responses")
    status, body = await market.shop.place(demand_id=demand)
    assert (status, body["code"]) == (409, "demand_not_offered")
    await market.offer(demand)
    orders = await world.snapshot("orders", "demand_responses")
    status, body = await market.shop.place(demand_id=demand, product_id=other)
    assert (status, body["code"]) == (409, "demand_not_offered")
    stranger = await world.enterprise()
    await world.qualify(stranger, market.shop.programme)
    status, body = await world.post("/orders", {
        "product_id": market.shop.product_id, "programme_id": market.shop.programme.id, "agreement_version": AGREEMENT_VERSION,
        "demand_id": demand}, by=stranger)
    assert (status, body["code"]) == (404, "not_found")
    await world.post(f"/demands/{demand}/closing", by=market.buyer)
    status, body = await market.shop.place(demand_id=demand)
    assert (status, body["code"]) == (409, "demand_closed")
    assert await world.snapshot("orders", "demand_responses") == orders


async def test_only_an_own_listed_product_with_a_price_is_offered_and_not_above_it(market, world):
    demand = await market.posted()
    assert (await market.offer(demand))[1]["code"] == "demand_not_taken_up"
    await market.ok(market.seller, demand, "taking")
    rival = await market.rival()
    theirs = await world.value("SELECT id FROM products WHERE organisation_id = $1", rival.organisation_id)
    negotiable = await world.product(market.seller, market.shop.programme, name="面议的产品")
    await world.owner.execute("DELETE FROM deductions WHERE product_id = $1", negotiable)
    await world.owner.execute("UPDATE products SET price_fen = NULL, max_voucher_fen = 0 WHERE id = $1", negotiable)
    before = await market.unchanged()
    for product in (theirs, negotiable, 10**15):
        status, body = await market.offer(demand, product_id=product)
        assert (status, body["code"]) == (409, "product_not_offerable")
    status, body = await market.offer(demand, price_fen=400_001)
    assert (status, body["code"], body["data"]) == (422, "offer_above_list", {"price_fen": 400_000})
    assert (await market.offer(demand, price_fen=0))[0] == 422
    assert await market.unchanged() == before
    assert (await market.offer(demand, price_fen=400_000))[0] == 200


async def test_what_was_offered_binds_the_order_whatever_is_settled_or_offered_later(world):
    market = await open_market(world, pricing="contract", price_confirm="always")
    demand = await market.taken()
    await market.offer(demand)
    status, order = await market.shop.place(demand_id=demand)
    assert (status, order["state"], order["order_fen"]) == (201, "awaiting_price", 380_000)
    await market.offer(demand, price_fen=400_000)
    before = await market.unchanged()
    for fen in (380_001, 400_000):
        status, body = await world.put(f"/orders/{order['id']}/price", {"amount_fen": fen}, by=market.seller)
        assert (status, body["code"], body["data"]) == (422, "price_above_offer", {"limit_fen": 380_000})
    assert await market.unchanged() == before
    for fen in (360_000, 380_000):
        status, settled = await world.put(f"/orders/{order['id']}/price", {"amount_fen": fen}, by=market.seller)
        assert (status, settled["order_fen"]) == (200, fen)
    status, body = await world.put(f"/orders/{order['id']}/price", {"amount_fen": 400_001}, by=market.seller)
    assert (status, body["code"]) == (422, "price_above_list")


async def test_a_list_price_that_has_fallen_below_the_offer_is_what_the_order_costs(market, world):
    demand = await market.taken()
    await market.offer(demand)
    await world.owner.execute("UPDATE products SET price_fen = 300000 WHERE id = $1", market.shop.product_id)
    status, order = await market.shop.place(demand_id=demand)
    assert (status, order["list_price_fen"], order["offered_fen"], order["order_fen"]) == (201, 300_000, 300_000, 300_000)


# --- figures ---------------------------------------------------------------------------------------------------------------------


async def test_the_figures_say_how_often_and_how_fast_an_institution_answers(market, world):
    addressed = [await market.posted() for _ in range(3)]
    opened = await market.posted(target="open")
    await world.sweep(spread_due)
    for minutes, demand in zip((10, 20, 30), addressed, strict=True):
        world.clock.advance(minutes=minutes)  # 10, 30 and 60 minutes after they came
        await market.ok(market.seller, demand, "view")
    world.clock.advance(minutes=60)
    for demand in addressed[:2]:
        await market.ok(market.seller, demand, "taking")
    await market.ok(market.seller, addressed[0], "outcome", {"outcome": "signed"})
    await market.ok(market.seller, addressed[1], "outcome", {"outcome": "no_contact"})
    await market.ok(market.seller, addressed[2], "passing")
    me, public = market.seller.organisation_id, {"addressed": 3, "addressed_taken": 2, "taken": 2, "view_minutes": 30, "take_minutes": 120}
    assert await world.get(f"/institutions/{me}/demand-figures") == (200, {"institution_id": me, **public})
    assert await world.get("/institution/demand-figures", by=market.seller) == (200, {
        "institution_id": me, **public, "received": 4, "viewed": 3, "passed": 1,
        "outcomes": {"signed": 1, "declined": 0, "no_contact": 1, "converted_to_order": 0}})
    assert (await market.mine(opened))["viewed"] == 0


async def test_nobody_has_figures_who_is_no_open_institution(market, world):
    empty = await market.rival()
    assert (await world.get(f"/institutions/{empty.organisation_id}/demand-figures"))[1] == {
        "institution_id": empty.organisation_id, "addressed": 0, "addressed_taken": 0, "taken": 0, "view_minutes": None,
        "take_minutes": None}
    for other in (market.buyer.organisation_id, 10**15):
        assert (await world.get(f"/institutions/{other}/demand-figures"))[0] == 404
