"""Fraud signals, their facts and what they propose; freezing by one officer, lifting by another (F02, F03, F12, O13)."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers import approvals, orders, redemptions, reviews, risks
from handlers.approvals import Decision
from handlers.context import Context
from handlers.notices import open_events
from handlers.orders import fulfilment, payment, payment_reviews
from handlers.orders.views import SELECT
from handlers.personal import blind_index, seal
from handlers.risk_signals import ASSESS, FREEZE_FROM, SAMPLE_FROM, WEIGHTS, scan_orders
from handlers.risk_traits import CROWD, plain_address
from handlers.transactions import transaction
from miniapp_api.routing import OFFICE_ROLES
from models.accounts import OrganisationKind, Role
from models.risks import SignalKind
from tests.races import without
from tests.referee import Referee
from tests.shop import Shop, open_shop
from tests.test_redemptions import Treasury
from tests.world import JINAN, Member, World
from tests.zhengzhou import open_contract_shop, open_park

PHONE, OTHER_PHONE = "13853112345", "13853112346"
ID_NUMBER, OTHER_ID_NUMBER = "370102199001011234", "370102199001011242"
ACCOUNT, OTHER_ACCOUNT = "6222020000008888", "6222020000008889"
ADDRESS = "山东省济南市市中区经十路100号2号楼301室"
TEXT = "已完成年度财务审计并出具报告"
TABLES = ("orders", "freezes", "events", "audit_entries", "approvals")


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, product_use_cap_per_year=None)


# --- how orders come about -------------------------------------------------------------------------------------------------------


async def bought(shop: Shop, fen: int = 150_000, *, days_after_issue: float = 3) -> int:
    """Paid some days after the vouchers came, below the maximum: nothing about it is remarkable."""
    await shop.lot(fen)
    shop.world.clock.advance(days=days_after_issue)
    if not await shop.world.value("SELECT count(*) FROM payment_passwords WHERE membership_id = $1", shop.buyer.membership_id):
        await shop.password()
    order_id = await shop.order()
    status, body = await shop.pay(order_id, fen)
    assert status == 200, body
    return order_id


async def served(shop: Shop, text: str = "审计报告已交付") -> int:
    order_id = await bought(shop, 10_000, days_after_issue=0)
    await shop.ok(shop.seller, order_id, "acceptance")
    await shop.ok(shop.seller, order_id, "handovers", {"summary": text})
    return order_id


async def confirmed(shop: Shop, after: timedelta) -> int:
    order_id = await served(shop)
    shop.world.clock.advance(seconds=after.total_seconds())
    await shop.ok(shop.buyer, order_id, "completion")
    return order_id


async def another_buyer(shop: Shop) -> Shop:
    buyer = await shop.world.enterprise()
    await shop.world.qualify(buyer, shop.programme)
    return replace(shop, buyer=buyer)


async def rival(shop: Shop) -> Shop:
    seller = await shop.world.institution()
    return replace(shop, seller=seller, product_id=await shop.world.product(seller, shop.programme, name="专项审计"))


# --- what organisations are recognised by ------------------------------------------------------------------------------------------


async def person(shop: Shop, member: Member, *, phone: str | None = None, name: str | None = None) -> None:
    settings = shop.world.settings
    if phone:
        await shop.world.owner.execute(
            "UPDATE persons SET phone = $2, phone_index = $3 WHERE id = $1", member.person_id, seal(settings, phone),
            blind_index(settings, phone),
        )
    if name:
        await shop.world.owner.execute("UPDATE persons SET name = $2 WHERE id = $1", member.person_id, seal(settings, name))


async def registered(shop: Shop, organisation_id: int, **form: str) -> None:
    """A certification with these values, sealed where they are personal."""
    sealed = {name: seal(shop.world.settings, form[name]) if name in form else None
              for name in ("contact_phone", "legal_person_id_number", "legal_person_name", "bank_account")}
    await shop.world.owner.execute(
        "INSERT INTO applications (kind, organisation_id, state, form_version, form, contact_phone, legal_person_id_number,"
        " legal_person_name, bank_account, applied_by_id, submitted_at, decided_at, version, created_at, updated_at)"
        " VALUES ('enterprise_certification',$1,'approved',1,jsonb_build_object('address', $2::text),$3,$4,$5,$6,$7,$8,$8,1,$8,$8)",
        organisation_id, form.get("address", ""), *sealed.values(), shop.buyer.person_id, shop.world.clock.now(),
    )


async def twin(shop: Shop, member: Member, kind: OrganisationKind) -> int:
    """The same company in its other part."""
    found = await shop.world.organisation(kind)
    await shop.world.owner.execute(
        "UPDATE organisations SET credit_code = (SELECT credit_code FROM organisations WHERE id = $2) WHERE id = $1",
        found, member.organisation_id,
    )
    return found


async def institution(shop: Shop, organisation_id: int, **facts: str) -> None:
    for column, value in facts.items():
        kept = seal(shop.world.settings, value) if column in ("bank_account", "contact_phone") else value
        await shop.world.owner.execute(f"UPDATE institutions SET {column} = $2 WHERE organisation_id = $1", organisation_id, kept)


async def device(shop: Shop, member: Member, name: str) -> None:
    await shop.world.owner.execute(
        "UPDATE sessions SET device_index = $2 WHERE membership_id = $1", member.membership_id,
        blind_index(shop.world.settings, f"device {name}"),
    )


# --- ten patterns, and ten that look like them ---------------------------------------------------------------------------------------


async def former_member(shop: Shop) -> int:
    await shop.world.owner.execute(
        "INSERT INTO memberships (person_id, organisation_id, role, state, created_at, ended_at) VALUES ($1,$2,'handler','ended',$3,$3)",
        shop.buyer.person_id, shop.seller.organisation_id, shop.world.clock.now(),
    )
    return await bought(shop)


async def namesakes(shop: Shop) -> int:
    for member in (shop.buyer, shop.seller):
        await person(shop, member, name="张伟")
    return await bought(shop)


async def same_phone(shop: Shop) -> int:
    await person(shop, shop.buyer, phone=PHONE)
    await institution(shop, shop.seller.organisation_id, contact_phone="+86 138-5311-2345")
    return await bought(shop)


async def next_phone(shop: Shop) -> int:
    await person(shop, shop.buyer, phone=PHONE)
    await institution(shop, shop.seller.organisation_id, contact_phone=OTHER_PHONE)
    return await bought(shop)


async def same_address(shop: Shop) -> int:
    await registered(shop, shop.buyer.organisation_id, address=ADDRESS)
    await institution(shop, shop.seller.organisation_id, address="济南市市中区 经十路１００号，2栋301")
    return await bought(shop)


async def next_room(shop: Shop) -> int:
    await registered(shop, shop.buyer.organisation_id, address=ADDRESS)
    await institution(shop, shop.seller.organisation_id, address="山东省济南市市中区经十路100号2号楼302室")
    return await bought(shop)


async def same_account(shop: Shop) -> int:
    await institution(shop, await twin(shop, shop.buyer, OrganisationKind.INSTITUTION), bank_account=ACCOUNT)
    await institution(shop, shop.seller.organisation_id, bank_account="6222 0200 0000 8888")
    return await bought(shop)


async def same_branch(shop: Shop) -> int:
    own = await twin(shop, shop.buyer, OrganisationKind.INSTITUTION)
    await institution(shop, own, bank_account=ACCOUNT, bank_branch="工商银行济南支行")
    await institution(shop, shop.seller.organisation_id, bank_account=OTHER_ACCOUNT, bank_branch="工商银行济南支行")
    return await bought(shop)


async def same_device(shop: Shop) -> int:
    for member in (shop.buyer, shop.seller):
        await device(shop, member, "phone-1")
    return await bought(shop)


async def own_devices(shop: Shop) -> int:
    for number, member in enumerate((shop.buyer, shop.seller)):
        await device(shop, member, f"phone-{number}")
    return await bought(shop)


async def same_legal_person(shop: Shop) -> int:
    await registered(shop, shop.buyer.organisation_id, legal_person_id_number=ID_NUMBER)
    own = await twin(shop, shop.seller, OrganisationKind.ENTERPRISE)
    await registered(shop, own, legal_person_id_number=ID_NUMBER)
    return await bought(shop)


async def legal_namesakes(shop: Shop) -> int:
    await registered(shop, shop.buyer.organisation_id, legal_person_name="张伟", legal_person_id_number=ID_NUMBER)
    own = await twin(shop, shop.seller, OrganisationKind.ENTERPRISE)
    await registered(shop, own, legal_person_name="张伟", legal_person_id_number=OTHER_ID_NUMBER)
    return await bought(shop)


async def confirmed_unread(shop: Shop) -> int:
    return await confirmed(shop, timedelta(minutes=9, seconds=59))


async def confirmed_after_reading(shop: Shop) -> int:
    return await confirmed(shop, timedelta(minutes=10))


async def all_at_once(shop: Shop) -> int:
    return await bought(shop, 200_000, days_after_issue=1.99)


async def all_in_time(shop: Shop) -> int:
    return await bought(shop, 200_000, days_after_issue=2)


async def cluster(shop: Shop, at_seller: int, at_rival: int) -> int:
    """Two enterprises with one telephone; their orders here, after those at a rival."""
    sister, other = await another_buyer(shop), await rival(shop)
    for each in (shop, sister):
        await registered(shop, each.buyer.organisation_id, contact_phone=PHONE)
    for number in range(at_rival):
        await bought(replace(other, buyer=(shop, sister)[number % 2].buyer))
    placed = [await bought((shop, sister)[number % 2]) for number in range(at_seller)]
    assert await shop.world.sweep(scan_orders) == at_seller + at_rival
    await shop.world.owner.execute("UPDATE orders SET scanned_state = NULL")  # now that all of them are known
    return placed[0]


async def most_of_a_cluster(shop: Shop) -> int:
    return await cluster(shop, 5, 3)


async def sixty_percent_of_a_cluster(shop: Shop) -> int:
    return await cluster(shop, 6, 4)


async def same_text_for_many(shop: Shop) -> int:
    others = [shop, await another_buyer(shop), await another_buyer(shop)]
    first, *_ = [await served(others[number % 3], TEXT if number else f" {TEXT}\n") for number in range(5)]
    return first


async def same_text_for_one(shop: Shop) -> int:
    first, *_ = [await served(shop, TEXT) for _ in range(5)]
    return first


PATTERNS: list[tuple[Callable[[Shop], Awaitable[int]], set[str]]] = [
    (former_member, {"same_person"}), (same_phone, {"same_phone"}), (same_address, {"same_address"}),
    (same_account, {"same_bank_account"}), (same_device, {"same_device"}), (same_legal_person, {"same_legal_person"}),
    (confirmed_unread, {"quick_confirmation"}), (all_at_once, {"maximum_at_once"}), (most_of_a_cluster, {"cluster_share"}),
    (same_text_for_many, {"same_texts"}),
    (namesakes, set()), (next_phone, set()), (next_room, set()), (same_branch, set()), (own_devices, set()), (legal_namesakes, set()),
    (confirmed_after_reading, set()), (all_in_time, set()), (sixty_percent_of_a_cluster, set()), (same_text_for_one, set()),
]


async def scanned(world: World) -> None:
    while await world.sweep(scan_orders):
        pass


async def signals(world: World, order_id: int) -> dict[str, Any]:
    found = await world.owner.fetch("SELECT kind, facts::text FROM risk_signals WHERE order_id = $1", order_id)
    return {each["kind"]: each["facts"] for each in found}


@pytest.mark.parametrize(("pattern", "flags"), PATTERNS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_pattern_is_flagged_and_what_only_looks_like_it_is_not(shop: Shop, pattern: Any, flags: set[str]) -> None:
    order_id = await pattern(shop)
    await scanned(shop.world)
    found = await signals(shop.world, order_id)
    assert set(found) == flags
    score = sum(WEIGHTS[SignalKind(flag)] for flag in flags)
    risk = await shop.world.one("SELECT score, verdict FROM order_risks WHERE order_id = $1", order_id)
    verdict = "freeze" if score >= 60 else "sample" if score >= 30 else "none"
    assert (tuple(risk) if risk else None) == ((score, verdict) if flags else None)


async def test_values_that_do_not_open_hide_no_other_signal(shop: Shop) -> None:
    await same_phone(shop)
    for member in (shop.buyer, shop.seller):
        await device(shop, member, "phone-1")
    await institution(shop, shop.seller.organisation_id, bank_account=ACCOUNT)
    broken = "UPDATE {} = '\\x00' WHERE {} = $1"
    await shop.world.owner.execute(broken.format("persons SET name", "id"), shop.buyer.person_id)
    await shop.world.owner.execute(broken.format("persons SET phone", "id"), shop.seller.person_id)
    await shop.world.owner.execute(broken.format("institutions SET bank_account", "organisation_id"), shop.seller.organisation_id)
    await scanned(shop.world)
    assert set(await signals(shop.world, await shop.world.value("SELECT max(id) FROM orders"))) == {"same_phone", "same_device"}


async def test_the_weights_add_up_to_nothing_a_sample_or_a_proposal(shop: Shop) -> None:
    order_id = await shop.order()
    verdicts = []
    for kind, weight in (("same_device", 29), ("same_phone", 1), ("same_address", 29), ("same_texts", 1), ("same_person", 140)):
        await shop.world.owner.execute(
            "INSERT INTO risk_signals (order_id, kind, weight, digest, facts, found_at) VALUES ($1, $2, $3, '', '[]', now())",
            order_id, kind, weight,
        )
        async with transaction(shop.world.context()) as tx:
            verdicts += [(risk.score, risk.verdict) for risk in await tx.rows(ASSESS, [order_id], FREEZE_FROM, SAMPLE_FROM, tx.ctx.now)]
    assert verdicts == [(29, "none"), (30, "sample"), (59, "sample"), (60, "freeze"), (200, "freeze")]
    assert set(WEIGHTS) == set(SignalKind)


async def test_every_signal_lists_who_what_and_when_with_personal_values_masked(shop: Shop) -> None:
    for member, name in ((shop.buyer, "王小明"), (shop.seller, "李四")):
        await person(shop, member, name=name)
    order_id = await same_phone(shop)
    await scanned(shop.world)
    officer = await shop.world.official(Role.RISK_OFFICER)
    status, case = await shop.world.get(f"/risks/{order_id}", by=officer)
    assert (status, case["risk"]["score"], case["risk"]["verdict"], case["freezes"]) == (200, 40, "sample", [])
    (signal,) = case["signals"]
    names = [await shop.world.value("SELECT name FROM organisations WHERE id = $1", side.organisation_id)
             for side in (shop.buyer, shop.seller)]
    assert (signal["title"], signal["weight"]) == ("双方使用同一电话", 40)
    assert [(fact["who"], fact["what"], fact["value"]) for fact in signal["facts"]] == [
        (names[0], "人员手机号", "138****2345"), (names[1], "联系电话", "138****2345"),
    ]
    assert all(fact["at"] for fact in signal["facts"])
    assert await shop.world.value("SELECT count(*) FROM risk_signals WHERE facts::text LIKE '%' || $1 || '%'", PHONE) == 0


async def test_an_order_is_looked_at_once_for_each_state_and_a_signal_is_kept_once(shop: Shop) -> None:
    order_id = await former_member(shop)
    assert [await shop.world.sweep(scan_orders) for _ in range(2)] == [1, 0]
    before = await shop.world.snapshot("risk_signals", "order_risks", "events")
    await shop.world.owner.execute("UPDATE orders SET scanned_state = NULL")
    assert await shop.world.sweep(scan_orders) == 1
    assert await shop.world.snapshot("risk_signals", "order_risks", "events") == before
    await shop.ok(shop.seller, order_id, "acceptance")
    assert [await shop.world.sweep(scan_orders) for _ in range(2)] == [1, 0]
    assert await shop.world.value("SELECT count(*) FROM events WHERE kind = 'risk_proposed'") == 1


async def test_a_second_delivery_is_looked_at_although_the_state_is_the_same(shop: Shop) -> None:
    order_id = await served(shop)
    await scanned(shop.world)
    shop.world.clock.advance(hours=1)
    await shop.ok(shop.buyer, order_id, "rework", {"reason": "缺少附注"})
    await shop.ok(shop.seller, order_id, "handovers", {"summary": "补充附注后再次交付"})
    assert await shop.world.sweep(scan_orders) == 1


async def test_who_has_sent_it_back_once_may_confirm_at_once(shop: Shop) -> None:
    order_id = await served(shop)
    shop.world.clock.advance(hours=1)
    await shop.ok(shop.buyer, order_id, "rework", {"reason": "缺少附注"})
    await shop.ok(shop.seller, order_id, "handovers", {"summary": "补充附注后再次交付"})
    await shop.ok(shop.buyer, order_id, "completion")
    await scanned(shop.world)
    assert await signals(shop.world, order_id) == {}


async def test_an_address_that_a_crowd_is_registered_at_says_nothing(shop: Shop) -> None:
    order_id = await same_address(shop)
    digest = blind_index(shop.world.settings, f"address {plain_address(ADDRESS)}")
    for _ in range(CROWD - 1):
        await shop.world.owner.execute(
            "INSERT INTO party_traits (organisation_id, kind, digest, noted_at) VALUES ($1,'address',$2,$3)",
            await shop.world.organisation(OrganisationKind.ENTERPRISE), digest, shop.world.clock.now(),
        )
    await scanned(shop.world)
    assert await signals(shop.world, order_id) == {}


@pytest.mark.parametrize(("one", "other", "same"), [
    (ADDRESS, "市中区经十路100号2幢301", True), (ADDRESS, "经十路100号2号楼301", True), ("济南市", "济南市", False),
    (ADDRESS, "山东省济南市市中区经十路100号3号楼301室", False), ("高新区创新大厦", "高新区创新大厦", False),
])
def test_addresses_are_compared_as_places_not_as_texts(one: str, other: str, same: bool) -> None:
    assert (plain_address(one) == plain_address(other) != "") is same


async def test_of_a_device_only_a_keyed_hash_is_kept(world: World) -> None:
    body = {"platform": "wechat", "code": "code-o-device", "device_id": "device-of-mine-1"}
    status, answer = await world.post("/sessions", body)
    assert status == 201, answer
    kept = await world.value("SELECT device_index FROM sessions ORDER BY id DESC LIMIT 1")
    assert kept == blind_index(world.settings, "device device-of-mine-1")


async def test_the_weights_are_published(world: World) -> None:
    status, body = await world.get("/risk-rules")
    assert (status, body["sample_from"], body["freeze_from"], len(body["items"])) == (200, 30, 60, len(SignalKind))
    assert body["items"][0] == {"kind": "same_person", "title": "双方有同一办事人员", "weight": 60}


async def test_officers_see_what_is_in_their_jurisdiction_page_by_page(shop: Shop) -> None:
    made = [await former_member(shop), await bought(shop), await all_at_once(shop)]
    await scanned(shop.world)
    officer = await shop.world.official(Role.RISK_OFFICER)
    _, first = await shop.world.get("/risks?limit=2", by=officer)
    _, second = await shop.world.get(f"/risks?limit=2&after={first['next']}", by=officer)
    assert [risk["order_id"] for risk in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert [risk["verdict"] for risk in (await shop.world.get("/risks?verdict=freeze", by=officer))[1]["items"]] == ["freeze"] * 3
    assert (await shop.world.get("/risks?verdict=sample", by=officer))[1]["items"] == []
    for place in ({"region_code": "370200"}, {"park_id": await open_park(shop.world)}):
        stranger = await shop.world.official(Role.RISK_OFFICER, **place)
        assert (await shop.world.get("/risks", by=stranger))[1]["items"] == []
        assert (await shop.world.get(f"/risks/{made[0]}", by=stranger))[0] == 404
    insider = await shop.world.official(Role.RISK_OFFICER)
    await shop.world.member(shop.seller.organisation_id, Role.VIEWER, person=(insider.person_id, insider.identity_id, insider.open_id))
    assert (await shop.world.get("/risks", by=insider))[1]["items"] == []
    assert (await shop.world.get(f"/risks/{made[0]}", by=insider))[0] == 404


# --- freezing --------------------------------------------------------------------------------------------------------------------

WHY = {"reason": "核查双方关系"}


async def officers(world: World) -> tuple[Member, Member]:
    return await world.official(Role.RISK_OFFICER), await world.official(Role.RISK_OFFICER)


async def freeze(world: World, order_id: int) -> tuple[Member, Member]:
    """Frozen by the first of two officers."""
    first, second = await officers(world)
    status, body = await world.post(f"/orders/{order_id}/freeze", WHY, by=first)
    assert status == 200, body
    return first, second


async def test_an_order_is_frozen_by_one_officer_and_lifted_by_another(shop: Shop) -> None:
    order_id = await bought(shop)
    first, second = await freeze(shop.world, order_id)
    _, shown = await shop.world.get(f"/orders/{order_id}", by=shop.seller)
    assert (shown["is_frozen"], shown["state"], shown["allowed_actions"]) == (True, "paid", [])
    before = await shop.world.snapshot(*TABLES)
    status, problem = await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=first)
    assert (status, problem["code"]) == (403, "second_person_needed")
    assert await shop.world.snapshot(*TABLES) == before
    status, lifted = await shop.world.post(f"/orders/{order_id}/unfreeze", {"reason": "核查无异常"}, by=second)
    assert (status, lifted["lift_reason"], lifted["lifted_at"] is not None) == (200, "核查无异常", True)
    await shop.ok(shop.seller, order_id, "acceptance")
    actions = await shop.world.owner.fetch("SELECT action, person_id FROM audit_entries WHERE action LIKE 'order.%frozen' ORDER BY id")
    assert [tuple(action) for action in actions] == [("order.frozen", first.person_id), ("order.unfrozen", second.person_id)]


async def test_the_parties_hear_that_it_is_checked_and_never_why(shop: Shop) -> None:
    order_id = await bought(shop)
    _, second = await freeze(shop.world, order_id)
    await shop.world.post(f"/orders/{order_id}/unfreeze", {"reason": "核查无异常"}, by=second)
    await shop.world.sweep(open_events)
    number = await shop.world.value("SELECT number FROM orders WHERE id = $1", order_id)
    for side in (shop.buyer, shop.seller):
        told = await shop.world.owner.fetch(
            "SELECT title, body FROM notices WHERE person_id = $1 AND kind = 'order_frozen' ORDER BY id", side.person_id
        )
        assert [tuple(each) for each in told] == [
            ("订单正在核实中，暂停办理", f"订单 {number}「年度财务审计」正在核实中，暂停办理。"),
            ("订单核实完毕，可继续办理", f"订单 {number}「年度财务审计」核实完毕，可继续办理。"),
        ]


async def test_a_freeze_is_refused_to_whom_and_where_it_does_not_belong(shop: Shop) -> None:
    order_id, closed = await bought(shop), await shop.order()
    await shop.ok(shop.buyer, closed, "cancellation")
    officer, elsewhere = await shop.world.official(Role.RISK_OFFICER), await shop.world.official(Role.RISK_OFFICER, region_code="370200")
    insiders = []
    for side in (shop.buyer, shop.seller):
        insider = await shop.world.official(Role.RISK_OFFICER)
        await shop.world.member(side.organisation_id, Role.VIEWER, person=(insider.person_id, insider.identity_id, insider.open_id))
        insiders.append(insider)
    await shop.world.owner.execute("UPDATE memberships SET state = 'ended', ended_at = created_at WHERE role = 'viewer'")
    before = await shop.world.snapshot(*TABLES)
    for by, target, body, status, code in (
        (officer, closed, WHY, 409, "order_not_freezable"), (officer, 999_999, WHY, 404, "not_found"),
        (elsewhere, order_id, WHY, 404, "not_found"), (officer, order_id, {"reason": " "}, 422, "invalid_input"),
        (insiders[0], order_id, WHY, 403, "own_case"), (insiders[1], order_id, WHY, 403, "own_case"),
        (await shop.world.official(Role.REVIEWER), order_id, WHY, 403, "not_your_role"), (shop.buyer, order_id, WHY, 403, "not_your_role"),
    ):
        answer, problem = await shop.world.post(f"/orders/{target}/freeze", body, by=by)
        assert (answer, problem["code"]) == (status, code)
    answer, problem = await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=officer)
    assert (answer, problem["code"]) == (409, "not_frozen")
    assert await shop.world.snapshot(*TABLES) == before
    await freeze(shop.world, order_id)
    before = await shop.world.snapshot(*TABLES)
    assert (await shop.world.post(f"/orders/{order_id}/freeze", WHY, by=officer))[1]["code"] == "already_frozen"
    assert (await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=insiders[0]))[1]["code"] == "own_case"
    assert (await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=elsewhere))[1]["code"] == "not_found"
    assert await shop.world.snapshot(*TABLES) == before


@pytest.mark.parametrize(("state", "by", "noun", "body", "code"), [
    ("order", "buyer", "cancellation", None, "order_not_cancellable"), ("paid", "seller", "acceptance", None, "order_not_acceptable"),
    ("paid", "seller", "refusal", {"reason": "无档期"}, "order_not_acceptable"),
    ("paid", "buyer", "take-back", None, "order_not_cancellable"),
    ("accepted", "seller", "handovers", {"summary": "已交付"}, "order_not_deliverable"),
    ("delivered", "buyer", "completion", None, "order_not_confirmable"),
    ("delivered", "buyer", "rework", {"reason": "缺附注"}, "order_not_confirmable"),
])
async def test_nobody_moves_a_frozen_order(shop: Shop, state: str, by: str, noun: str, body: Any, code: str) -> None:
    order_id = await getattr(shop, state)()
    await freeze(shop.world, order_id)
    shop.world.clock.advance(days=20)
    before = await shop.unchanged()
    status, problem = await shop.act(getattr(shop, by), order_id, noun, body)
    assert (status, problem["code"]) == (409, code)
    assert await shop.unchanged() == before


async def test_a_frozen_order_is_not_paid(shop: Shop) -> None:
    await shop.password()
    await shop.lot()
    order_id = await shop.order()
    await freeze(shop.world, order_id)
    before = await shop.unchanged()
    assert (await shop.pay(order_id))[1]["code"] == "order_not_payable"
    assert await shop.unchanged() == before


async def test_the_payment_of_a_frozen_order_is_not_approved_and_its_reviewer_gets_the_time_back(world: World) -> None:
    shop = await open_contract_shop(world)
    await shop.granted()
    order_id = await shop.in_review()
    due = "SELECT due_at FROM approvals WHERE subject = 'order' AND subject_id = $1"
    due_at = await world.value(due, order_id)
    _, second = await freeze(world, order_id)
    before = await shop.unchanged()
    status, problem = await shop.decide(order_id, "approval")
    assert (status, problem["code"]) == (409, "order_frozen")
    assert await shop.unchanged() == before
    world.clock.advance(days=4)
    assert (await world.post(f"/orders/{order_id}/unfreeze", WHY, by=second))[0] == 200
    assert await world.value(due, order_id) == due_at + timedelta(days=4)
    assert (await shop.decide(order_id, "approval"))[0] == 200


async def test_a_dispute_over_a_frozen_order_is_not_ruled(world: World) -> None:
    shop = await open_shop(world, rework_max=0)
    order_id = await shop.delivered()
    await shop.ok(shop.buyer, order_id, "rework", {"reason": "未交付"})
    approval = await world.value("SELECT id FROM approvals WHERE kind = 'dispute' AND subject_id = $1", order_id)
    await freeze(world, order_id)
    before = await shop.unchanged()
    body = {"returned_fen": 0, "reason": "已交付"}
    status, problem = await world.post(f"/approvals/{approval}/ruling", body, by=await world.official(Role.REVIEWER))
    assert (status, problem["code"]) == (409, "order_frozen")
    assert await shop.unchanged() == before


# --- frozen orders and money -----------------------------------------------------------------------------------------------------


async def treasury(world: World) -> Treasury:
    shop = await open_shop(world, claim={"requires": "paid", "ratio": "0.60"})
    await institution(shop, shop.seller.organisation_id, bank_account_name="户名", bank_branch="工商银行济南支行", bank_account=ACCOUNT)
    centre = [await world.official(Role.CENTRE_REVIEWER) for _ in range(2)]
    finance = [await world.official(Role.PAYOUT_OFFICER) for _ in range(2)]
    return Treasury(shop, world, *centre, *finance)


MONEY = ("redemptions", "invoices", "payout_batches", "payout_lines", "ledger_entries", "approvals", "events", "audit_entries")


async def order_of(world: World, redemption_id: int) -> int:
    return int(await world.value("SELECT order_id FROM redemptions WHERE id = $1", redemption_id))


async def test_a_frozen_order_is_not_claimed_and_its_claim_not_approved(world: World) -> None:
    desk = await treasury(world)
    order_id = await desk.shop.paid()
    await freeze(world, order_id)
    papers = await desk.papers()
    before = await world.snapshot(*MONEY)
    status, problem = await world.post(f"/orders/{order_id}/redemption", papers, by=desk.shop.seller)
    assert (status, problem["code"]) == (409, "order_not_claimable")
    assert await world.snapshot(*MONEY) == before

    claimed = await desk.claimed()
    assert (await desk.prepare(claimed))[0] == 200
    await freeze(world, await order_of(world, claimed))
    before = await world.snapshot(*MONEY)
    status, problem = await desk.decide(claimed, "approval", {})
    assert (status, problem["code"]) == (409, "order_not_claimable")
    assert await world.snapshot(*MONEY) == before


async def test_a_frozen_order_is_not_put_into_a_batch_and_holds_up_the_batch_it_is_in(world: World) -> None:
    desk = await treasury(world)
    kept, stopped = await desk.approved(), await desk.approved()
    await freeze(world, await order_of(world, stopped))
    batch_id = await desk.batch()
    assert await world.value("SELECT array_agg(redemption_id) FROM payout_lines WHERE batch_id = $1", batch_id) == [kept]
    _, second = await freeze(world, await order_of(world, kept))
    before = await world.snapshot(*MONEY)
    status, problem = await world.put(f"/payout-batches/{batch_id}/confirmation", by=desk.checker)
    assert (status, problem["code"], problem["data"]) == (409, "frozen_in_batch", {"redemption_ids": [kept]})
    assert await world.snapshot(*MONEY) == before
    assert (await world.post(f"/orders/{await order_of(world, kept)}/unfreeze", WHY, by=second))[0] == 200
    assert (await world.put(f"/payout-batches/{batch_id}/confirmation", by=desk.checker))[0] == 200


async def test_no_bank_file_is_taken_with_a_frozen_order_until_its_line_is_out(world: World) -> None:
    desk = await treasury(world)
    kept, stopped = await desk.approved(), await desk.approved()
    batch_id, lines = await desk.confirmed()
    await freeze(world, await order_of(world, stopped))
    before = await world.snapshot(*MONEY)
    status, problem = await world.get(f"/payout-batches/{batch_id}/file.csv", by=desk.maker)
    assert (status, problem["code"], problem["data"]) == (409, "frozen_in_batch", {"redemption_ids": [stopped]})
    assert await world.snapshot(*MONEY) == before
    line = next(line["id"] for line in lines if line["redemption_id"] == stopped)
    assert (await desk.answer(batch_id, {"line_id": line, "paid": False, "reason": "订单核实中"}))[0] == 200
    path, headers = f"/api/v1/payout-batches/{batch_id}/file.csv", {"Authorization": f"Bearer {desk.maker.token}"}
    async with world.client.get(path, headers=headers) as answer:
        text = (await answer.read()).decode("utf-8-sig")
    numbers = [await world.value("SELECT number FROM redemptions WHERE id = $1", each) for each in (kept, stopped)]
    assert [number in text for number in numbers] == [True, False]


# --- clocks stand still ------------------------------------------------------------------------------------------------------------


async def thawed_after(shop: Shop, order_id: int, **parts: float) -> None:
    _, second = await freeze(shop.world, order_id)
    shop.world.clock.advance(**parts)
    assert (await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=second))[0] == 200


async def test_an_unpaid_order_has_its_days_whatever_the_freeze_took(shop: Shop) -> None:
    order_id = await shop.order()
    due_at = await shop.world.value("SELECT due_at FROM orders WHERE id = $1", order_id)
    _, second = await freeze(shop.world, order_id)
    shop.world.clock.advance(days=30)
    assert await shop.world.sweep(payment.close_unpaid) == 0
    assert (await shop.world.post(f"/orders/{order_id}/unfreeze", WHY, by=second))[0] == 200
    assert await shop.world.value("SELECT due_at FROM orders WHERE id = $1", order_id) == due_at + timedelta(days=30)
    shop.world.clock.set(due_at + timedelta(days=30, microseconds=-1))
    assert await shop.world.sweep(payment.close_unpaid) == 0
    shop.world.clock.advance(microseconds=1)
    assert await shop.world.sweep(payment.close_unpaid) == 1


async def test_the_systems_review_waits_seven_days_without_the_frozen_ones(shop: Shop) -> None:
    order_id = await shop.completed()
    shop.world.clock.advance(days=6)
    await thawed_after(shop, order_id, days=5)
    await thawed_after(shop, order_id, days=2)
    assert await shop.world.sweep(reviews.review_due) == 0
    shop.world.clock.advance(days=1, microseconds=-1)
    assert await shop.world.sweep(reviews.review_due) == 0
    shop.world.clock.advance(microseconds=1)
    assert await shop.world.sweep(reviews.review_due) == 1


async def test_reminders_to_confirm_wait_without_the_frozen_days_which_do_not_count_for_the_next_state(shop: Shop) -> None:
    order_id = await shop.delivered()
    shop.world.clock.advance(days=2)
    await thawed_after(shop, order_id, days=10)
    assert await shop.world.sweep(fulfilment.remind_unconfirmed) == 0
    shop.world.clock.advance(days=1)
    assert await shop.world.sweep(fulfilment.remind_unconfirmed) == 1
    await shop.ok(shop.buyer, order_id, "completion")
    shop.world.clock.advance(days=7)
    assert await shop.world.sweep(reviews.review_due) == 1


async def test_freezes_are_listed_by_jurisdiction_and_whether_they_last(shop: Shop) -> None:
    one, other = await bought(shop), await bought(shop)
    first, second = await freeze(shop.world, one)
    await freeze(shop.world, other)
    await person(shop, second, name="王小明")
    await shop.world.post(f"/orders/{one}/unfreeze", WHY, by=second)

    async def listed(query: str, by: Member) -> list[int]:
        return [each["order_id"] for each in (await shop.world.get(f"/freezes{query}", by=by))[1]["items"]]

    shown = [await listed(query, first) for query in ("", "?alive=true", "?alive=false", "?limit=1")]
    assert shown == [[other, one], [other], [one], [other]]
    assert await listed("", await shop.world.official(Role.RISK_OFFICER, region_code="370200")) == []
    assert (await shop.world.get(f"/risks/{one}", by=first))[1]["freezes"][0]["lifted_by"] == "王**"


# --- races -------------------------------------------------------------------------------------------------------------------------


def acting(world: World, by: Member) -> Context:
    """An official's context has a jurisdiction; the others' have none to lose."""
    context = world.context(by)
    return replace(context, actor=replace(context.actor, region_code=JINAN if by.role in OFFICE_ROLES else None))


UNLOCKED_FREEZE = ("handlers.risks.LOCK", "FOR UPDATE OF o", "")
UNLOCKED_ORDER = ("handlers.orders.views.LOCK_OWN", " FOR UPDATE OF o", "")
OWN, FROZEN = "handlers.orders.fulfilment.lock_own_order", "handlers.risks._lock"


def outcome(found: Any) -> str:
    return type(found).__name__ if isinstance(found, BaseException) else "done"


@pytest.mark.parametrize("protected", [True, False])
async def test_a_confirmation_does_not_pass_a_freeze(
    shop: Shop, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    world = shop.world
    if not protected:
        for each in (UNLOCKED_FREEZE, UNLOCKED_ORDER):
            without(monkeypatch, *each)
    for point in (OWN, FROZEN):
        referee.hold_after(point)
    order_id, officer = await shop.delivered(), await world.official(Role.RISK_OFFICER)
    found = await referee.race(
        lambda: risks.freeze_order(acting(world, officer), order_id, "核查"),
        lambda: orders.confirm_completion(acting(world, shop.buyer), order_id), hold=(OWN, FROZEN), in_turn=True,
    )
    expected = (["done", "OrderNotConfirmable"], "delivered") if protected else (["done", "done"], "completed")
    assert ([outcome(each) for each in found], await shop.state(order_id)) == expected


@pytest.mark.parametrize("protected", [True, False])
async def test_an_approval_of_the_payment_does_not_pass_a_freeze(
    world: World, referee: Referee, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    shop = await open_contract_shop(world)
    await shop.granted()
    order_id, officer = await shop.in_review(), await world.official(Role.RISK_OFFICER)
    if not protected:
        without(monkeypatch, *UNLOCKED_FREEZE)
        without(monkeypatch, "handlers.approvals.LOCK", " FOR UPDATE", "")
        monkeypatch.setattr(payment_reviews, "SELECT", f"{SELECT.rstrip()} WHERE o.id = $1 --")  # and no lock behind it
    read = "handlers.orders.payment_reviews.require_outsider"
    for point in (read, FROZEN):
        referee.hold_after(point)
    approval = await shop.waiting("order", order_id)
    reviewer = world.context(shop.reviewer)
    reviewer = replace(reviewer, actor=replace(reviewer.actor, park_id=shop.park_id))
    found = await referee.race(
        lambda: risks.freeze_order(acting(world, officer), order_id, "核查"),
        lambda: approvals.decide(reviewer, approval, Decision.APPROVE), hold=(read, FROZEN), in_turn=True,
    )
    expected = (["done", "OrderFrozen"], "pay_review") if protected else (["done", "done"], "paid")
    assert ([outcome(each) for each in found], await shop.state(order_id)) == expected


@pytest.mark.parametrize("protected", [True, False])
async def test_two_officers_lift_a_freeze_once(
    shop: Shop, referee: Referee, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    world, order_id = shop.world, await bought(shop)
    _, second = await freeze(world, order_id)
    third = await world.official(Role.RISK_OFFICER)
    if not protected:
        without(monkeypatch, *UNLOCKED_FREEZE)
        without(monkeypatch, "handlers.risks.ALIVE", " FOR UPDATE", "")
    referee.hold_after("handlers.risks.alive")
    found = await referee.race(
        *(lambda by=by: risks.unfreeze_order(acting(world, by), order_id, "无异常") for by in (second, third)),
        hold=("handlers.risks.alive",), in_turn=True,
    )
    lifted = await world.value("SELECT count(*) FROM audit_entries WHERE action = 'order.unfrozen'")
    assert ([outcome(each) for each in found], lifted) == ((["done", "NotFrozen"], 1) if protected else (["done", "done"], 2))


@pytest.mark.parametrize("protected", [True, False])
async def test_a_batch_is_not_confirmed_past_a_freeze(
    world: World, referee: Referee, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    desk = await treasury(world)
    order_id, officer = await order_of(world, await desk.approved()), await world.official(Role.RISK_OFFICER)
    batch_id = await desk.batch()
    if not protected:
        without(monkeypatch, *UNLOCKED_FREEZE)
        without(monkeypatch, "handlers.redemptions.payouts.FROZEN", " FOR SHARE OF o", "")
    read = "handlers.redemptions.payouts._refuse_frozen"
    for point in (read, FROZEN):
        referee.hold_after(point)
    found = await referee.race(
        lambda: risks.freeze_order(acting(world, officer), order_id, "核查"),
        lambda: redemptions.confirm_batch(acting(world, desk.checker), batch_id), hold=(read, FROZEN), in_turn=True,
    )
    state = await world.value("SELECT state FROM payout_batches")
    expected = (["done", "FrozenInBatch"], "draft") if protected else (["done", "done"], "confirmed")
    assert ([outcome(each) for each in found], state) == expected
