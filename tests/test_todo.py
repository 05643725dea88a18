"""待办 for each side: what waits, how many, until when; and nothing of anybody else's."""

from datetime import date, datetime, timedelta
from typing import Any

from handlers.wallet import first_unusable_instant
from handlers.working_days import due_after
from models.accounts import OrganisationKind, Role
from tests.applications import applicant, submitted_certification
from tests.lottery import announced, officials, plan
from tests.shop import open_shop
from tests.talking import Speaker
from tests.test_redemptions import Treasury, treasury  # noqa: F401 - a fixture
from tests.world import Member, World
from tests.zhengzhou import open_contract_shop

INSTANT = timedelta(microseconds=1)


async def of(world: World, member: Member) -> dict[str, tuple[int, int, str | None]]:
    """kind -> (count, late, due)."""
    status, body = await world.get("/todo", by=member)
    assert status == 200, body
    assert body["count"] == sum(item["count"] for item in body["items"])
    return {item["kind"]: (item["count"], item["late"], item["due_at"]) for item in body["items"]}


def text(moment: datetime) -> str:
    return moment.isoformat()


def same(found: dict[str, Any], expected: dict[str, tuple[int, int, datetime | None]]) -> bool:
    shown = {kind: (count, late, datetime.fromisoformat(due) if due else None) for kind, (count, late, due) in found.items()}
    return shown == expected


async def test_what_waits_for_an_enterprise(world: World):
    shop = await open_shop(world)
    assert await of(world, shop.buyer) == {}
    start = world.clock.now()
    await shop.completed()
    delivered = await shop.delivered()
    await shop.paid()
    unpaid = await shop.order()
    await shop.lot(100_000, valid_until=date(2026, 3, 5))
    found = await of(world, shop.buyer)
    assert same(found, {
        "unpaid": (1, 0, start + timedelta(days=15)), "to_confirm": (1, 0, None), "to_review": (1, 0, start + timedelta(days=7)),
        "expiring": (1, 0, first_unusable_instant(date(2026, 3, 5)) - INSTANT),
    }), found
    _, body = await world.get("/todo", by=shop.buyer)
    pages = {item["kind"]: item["items"][0]["page"] for item in body["items"]}
    assert pages["unpaid"] == f"pages/orders/show?id={unpaid}" and pages["to_confirm"] == f"pages/orders/show?id={delivered}"
    number = await world.value("SELECT right(number, 4) FROM orders WHERE id = $1", unpaid)
    assert body["items"][0]["items"][0]["title"] == f"年度财务审计（尾号 {number}）"
    await world.owner.execute("UPDATE orders SET frozen_at = $1 WHERE id = $2", world.clock.now(), delivered)
    assert "to_confirm" not in await of(world, shop.buyer)
    await world.owner.execute("UPDATE orders SET frozen_at = NULL")


async def test_vouchers_are_shown_seven_days_before_their_last_instant(world: World):
    shop = await open_shop(world)
    last = date(2026, 4, 1)
    await shop.lot(100_000, valid_until=last)
    ends = first_unusable_instant(last)
    week = ends - timedelta(days=7)
    for moment, shown in ((week - INSTANT, False), (week, True), (ends - INSTANT, True), (ends, False)):
        world.clock.set(moment)
        assert ("expiring" in await of(world, shop.buyer)) is shown, moment


async def test_an_order_that_nobody_accepts_may_be_taken_back_from_the_instant_on(world: World):
    shop = await open_shop(world)
    order_id = await shop.paid()
    due = await world.value("SELECT due_at FROM orders WHERE id = $1", order_id)
    for moment, shown in ((due - INSTANT, False), (due, True)):
        world.clock.set(moment)
        assert ("to_take_back" in await of(world, shop.buyer)) is shown
        late = 1 if shown else 0
        assert (await of(world, shop.seller))["to_accept"][:2] == (1, late)


async def test_an_order_that_is_not_delivered_may_be_put_before_a_reviewer_from_the_instant_on(world: World):
    shop = await open_shop(world)
    order_id = await shop.accepted()
    due = await world.value("SELECT due_at FROM orders WHERE id = $1", order_id)
    for moment, late in ((due - INSTANT, 0), (due, 1)):
        world.clock.set(moment)
        assert ("undelivered" in await of(world, shop.buyer)) is bool(late)
        assert (await of(world, shop.seller))["to_deliver"][:2] == (1, late)


async def test_what_waits_for_an_institution(world: World):
    shop = await open_shop(world)
    sent_back = await shop.delivered()
    await shop.ok(shop.buyer, sent_back, "rework", {"reason": "缺页"})
    await shop.accepted()
    paid = await shop.paid()
    due = await world.value("SELECT due_at FROM orders WHERE id = $1", paid)
    by = due_after(world.clock.now(), 20)
    assert same(await of(world, shop.seller), {"to_accept": (1, 0, due), "to_deliver": (1, 0, by), "rework": (1, 0, by)})
    contract = await open_contract_shop(world)
    await contract.granted()
    order_id = await contract.order()
    if await world.value("SELECT state FROM orders WHERE id = $1", order_id) == "awaiting_price":
        assert "to_price" in await of(world, contract.seller)


async def test_what_waits_for_reviewers_and_is_late(world: World):
    owner = await applicant(world)
    approval = await submitted_certification(world, owner)
    admin, elsewhere = await world.official(Role.ADMIN), await world.official(Role.ADMIN, region_code="410100")
    due = await world.value("SELECT due_at FROM approvals WHERE id = $1", approval)
    for moment, late in ((due - INSTANT, 0), (due, 1)):
        world.clock.set(moment)
        assert same(await of(world, admin), {"to_decide": (1, late, due)})
    assert await of(world, elsewhere) == {}
    assert await of(world, await world.official(Role.REVIEWER)) == {}
    await world.post(f"/approvals/{approval}/return", {"reason": "补签字"}, by=admin)
    assert await of(world, admin) == {}
    assert await of(world, owner) == {"form_returned": (1, 0, None)}
    _, body = await world.get("/todo", by=owner)
    assert body["items"][0]["items"][0]["title"] == "企业实名认证"


async def test_what_waits_for_finance_and_never_what_oneself_has_made(treasury: Treasury):  # noqa: F811
    world = treasury.world
    elsewhere = await world.official(Role.PAYOUT_OFFICER, region_code="410100")
    assert await of(world, treasury.maker) == {}
    redemption = await treasury.claimed()
    assert await of(world, treasury.second) == {"to_decide": (1, 0, text(await due(world, redemption)))}
    await treasury.prepare(redemption)
    await treasury.decide(redemption, "return", {"reason": "缺发票"})
    assert await of(world, treasury.shop.seller) == {
        "to_accept": (1, 0, text(await world.value("SELECT due_at FROM orders"))), "claim_returned": (1, 0, None),
    }
    await treasury.approved()
    assert await of(world, treasury.maker) == await of(world, treasury.checker) == {"to_pay_out": (1, 0, None)}
    await treasury.batch()
    assert await of(world, treasury.maker) == {}
    assert await of(world, treasury.checker) == {"batch_to_check": (1, 0, None)}
    batch = await world.value("SELECT id FROM payout_batches")
    await world.put(f"/payout-batches/{batch}/confirmation", by=treasury.checker)
    assert await of(world, treasury.maker) == await of(world, treasury.checker) == {"batch_to_answer": (1, 0, None)}
    assert await of(world, elsewhere) == {}


async def due(world: World, redemption_id: int) -> datetime:
    found: datetime = await world.value("SELECT due_at FROM approvals WHERE subject = 'redemption' AND subject_id = $1", redemption_id)
    return found


async def test_what_waits_for_managers_is_never_what_oneself_has_made(world: World):
    manager = await officials(world)
    programme = await world.programme()
    status, _ = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=manager.maker)
    assert status == 201
    assert set(await of(world, manager.second)) == {"round_to_confirm"}
    assert await of(world, manager.maker) == {}


async def test_nothing_waits_for_whoever_has_no_organisation_or_no_part(world: World):
    shop = await open_shop(world)
    await shop.delivered()
    other = await world.enterprise()
    assert await of(world, other) == {}
    ended = "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1"
    await world.owner.execute(ended, other.membership_id, world.clock.now())
    assert await of(world, other) == {}
    assert await of(world, await world.official(Role.WITNESS)) == {}
    assert (await world.get("/todo"))[0] == 401


async def test_a_consultant_is_reminded_of_the_form(world: World):
    shop = await open_shop(world)
    number, member = await world.consultant(shop.seller)
    assert await of(world, member) == {}
    other = await world.organisation(OrganisationKind.INSTITUTION)
    await world.owner.execute(
        "INSERT INTO consultants (institution_id, person_id, display_name, state, version, created_at, updated_at)"
        " VALUES ($1,$2,'张顾问','filling',1,$3,$3)", other, member.person_id, world.clock.now(),
    )
    assert await of(world, member) == {"consultant_form": (1, 0, None)}
    assert number


async def test_the_bot_says_the_same(world: World):
    shop = await open_shop(world)
    await shop.delivered()
    await announced(world)
    number = await world.value("SELECT right(number, 4) FROM orders")
    answer = await Speaker(world, shop.buyer).say("有什么待办")
    assert answer == f"共有 1 项待办：\n· 待确认完成的订单 1 项\n- 年度财务审计（尾号 {number}）"
    assert await Speaker(world, shop.seller).say("待办") == "没有需要您处理的事项。"
