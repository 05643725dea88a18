"""The wallet: what is in it, what a payment takes, and when it goes (E19-E23, F05, F06)."""

import base64
import json
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.values import thing
from handlers import reminders, wallet
from handlers.notices import open_events
from models.engine import Row  # noqa: F401 - the rows of the pure functions below have its shape
from tests.shop import Shop, open_shop
from tests.world import World

SHANGHAI = timezone(timedelta(hours=8))


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def tab(shop: Shop, name: str) -> list[int]:
    status, page = await shop.world.get(f"/wallet/lots?tab={name}", by=shop.buyer)
    assert status == 200, page
    return [lot["id"] for lot in page["items"]]


async def test_the_three_tabs_show_each_lot_once(shop):
    await shop.password()
    spent = await shop.lot(200_000)
    order_id = await shop.order()
    await shop.pay(order_id)
    usable = await shop.lot(100_000)
    gone = await shop.lot(100_000, valid_until=shop.world.at(days=1).date())
    shop.world.clock.advance(days=2)
    assert (await tab(shop, "usable"), await tab(shop, "used"), await tab(shop, "expired")) == ([usable], [spent], [gone])
    await shop.world.sweep(wallet.expire_due)
    assert (await tab(shop, "usable"), await tab(shop, "used"), await tab(shop, "expired")) == ([usable], [spent], [gone])


async def test_what_comes_back_after_its_date_has_all_its_days_each_time(shop):
    """Two orders of one voucher, refused at different times: the second amount is not lost with the days of the first."""
    await shop.password()
    await shop.lot(200_000, valid_until=shop.world.at(days=2).date())
    both = [await shop.order(), await shop.order()]
    for order_id in both:
        assert (await shop.pay(order_id, 100_000))[0] == 200
    for order_id, days in zip(both, (4, 9), strict=True):
        shop.world.clock.advance(days=days)
        await shop.world.sweep(wallet.expire_due)
        await shop.ok(shop.seller, order_id, "refusal", {"reason": "排期已满"})
        until = (shop.world.clock.now().astimezone(SHANGHAI) + timedelta(days=7)).date().isoformat()
        _, [balance] = await shop.world.get("/wallet/balances", by=shop.buyer)
        assert (balance["available_fen"], balance["next_expiry"]) == (100_000, until)
        _, bills = await shop.world.get("/wallet/bills?limit=1", by=shop.buyer)
        assert [(bill["remark"], bill["expires_on"]) for bill in bills["items"]] == [("退回", until)]
    assert await tab(shop, "used") == []  # the voucher that they came from is empty, and nothing of it was used


async def test_what_comes_back_on_one_day_is_one_voucher(shop):
    await shop.password()
    await shop.lot(200_000, valid_until=shop.world.at(days=2).date())
    both = [await shop.order(), await shop.order()]
    for order_id in both:
        assert (await shop.pay(order_id, 100_000))[0] == 200
    shop.world.clock.advance(days=4)
    for order_id in both:
        await shop.ok(shop.seller, order_id, "refusal", {"reason": "排期已满"})
    _, page = await shop.world.get("/wallet/lots", by=shop.buyer)
    assert [lot["available_fen"] for lot in page["items"]] == [200_000]


async def test_lots_are_paged_by_expiry_and_each_is_seen_once(shop):
    lots = [await shop.lot(1_000, valid_until=shop.world.at(days=1 + number % 3).date()) for number in range(7)]
    seen, after = [], ""
    while True:
        _, page = await shop.world.get(f"/wallet/lots?limit=2{after}", by=shop.buyer)
        seen += [lot["id"] for lot in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(lots) and len(seen) == 7


# Moments that only their offset keeps in the ten thousand years of a datetime.
OUT_OF_TIME = [base64.urlsafe_b64encode(f'["{moment}",1]'.encode()).decode().rstrip("=") for moment in (
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00")]


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "WyJhIiwxXQ", "é", "WyIyMDI2LTAxLTAxIiwxXQ", *OUT_OF_TIME])
@pytest.mark.parametrize("path", ["/wallet/lots?", "/statement/lines?since=2026-02-01&before=2026-03-01&"])
async def test_a_cursor_that_we_did_not_make_is_refused(shop, path, cursor):
    status, body = await shop.world.get(f"{path}after={cursor}", by=shop.buyer)
    assert status == 422
    assert body["code"] in ("cursor_unknown", "invalid_input")


async def test_the_bill_has_the_manuals_signs_and_remarks(shop):
    await shop.paid()
    _, page = await shop.world.get("/wallet/bills", by=shop.buyer)
    assert [(bill["amount_fen"], bill["voucher_type"], bill["remark"]) for bill in page["items"]] == [
        (-200_000, "审计服务专用券", "下单"), (200_000, "审计服务专用券", "发放"),
    ]
    assert page["items"][0]["expires_on"] is None and page["items"][1]["expires_on"] == "2026-04-01"


async def test_balances_add_up_what_can_be_spent_now(shop):
    await shop.lot(100_000)
    await shop.lot(50_000, valid_until=shop.world.at(days=3).date())
    await shop.lot(70_000, voucher_type_id=shop.programme.general)
    _, balances = await shop.world.get("/wallet/balances", by=shop.buyer)
    assert [(row["voucher_type"], row["available_fen"], row["next_expiry"]) for row in balances] == [
        ("审计服务专用券", 150_000, "2026-03-05"), ("服务通用券", 70_000, "2026-04-01"),
    ]


async def test_a_lot_expires_on_the_first_instant_after_its_last_day(shop):
    await shop.lot(100_000, valid_until=date(2026, 3, 5))
    midnight = datetime(2026, 3, 6, tzinfo=SHANGHAI)
    shop.world.clock.set(midnight - timedelta(microseconds=1))
    assert await shop.world.sweep(wallet.expire_due) == 0
    shop.world.clock.set(midnight)
    assert [await shop.world.sweep(wallet.expire_due) for _ in range(2)] == [1, 0]
    assert tuple(await shop.world.one("SELECT available_fen, expired_fen FROM lots")) == (0, 100_000)


async def test_expiry_goes_in_bounded_batches_until_nothing_is_left(shop):
    for _ in range(5):
        await shop.lot(1_000, valid_until=date(2026, 3, 3))
    shop.world.clock.advance(days=3)
    context = shop.world.context()
    assert [await wallet.expire_due(context, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_clock_that_goes_back_gives_nothing_back_and_takes_nothing_twice(shop):
    await shop.lot(100_000, valid_until=date(2026, 3, 3))
    shop.world.clock.advance(days=3)
    await shop.world.sweep(wallet.expire_due)
    shop.world.clock.advance(days=-3)
    before = await shop.unchanged()
    assert await shop.world.sweep(wallet.expire_due) == 0
    assert await shop.unchanged() == before


@pytest.mark.parametrize("last_day", [date(2028, 2, 29), date(2026, 12, 31), date(2026, 4, 30), date(2026, 3, 31)])
def test_the_last_instant_of_any_day_is_usable(last_day):
    first_not = wallet.first_unusable_instant(last_day)
    assert wallet.shanghai_date(first_not - timedelta(microseconds=1)) == last_day
    assert wallet.shanghai_date(first_not) == last_day + timedelta(days=1)


# --- the reminder ladder (F05) ---------------------------------------------------------------------------------------------

LAST_DAY = date(2026, 4, 30)


def at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI)


RUNGS = [(30, 9, "T-30"), (7, 9, "T-7"), (1, 9, "T-1"), (0, 18, "T-0")]


@pytest.mark.parametrize(("days", "hour", "rung"), RUNGS)
async def test_each_rung_comes_at_its_hour_once_for_the_whole_enterprise(shop, days, hour, rung):
    for _ in range(2):
        await shop.lot(60_000, valid_until=LAST_DAY)
    due = at(LAST_DAY - timedelta(days=days), hour)
    shop.world.clock.set(due - timedelta(microseconds=1))
    await shop.world.sweep(reminders.remind_expiring)
    await shop.world.owner.execute("DELETE FROM events")
    shop.world.clock.set(due)
    assert [await shop.world.sweep(reminders.remind_expiring) for _ in range(2)] == [1, 0]
    data = await shop.world.value("SELECT data::text FROM events WHERE kind = 'voucher_expiring'")
    assert f'"rung": "{rung}"' in data and '"balance_fen": 120000' in data


async def expiring(shop: Shop) -> tuple[str, dict[str, str]]:
    """What the inbox says of the vouchers that expire, and what fills the channels' templates."""
    while await shop.world.sweep(open_events):
        pass
    notice = await shop.world.one("SELECT body, data->'fields' AS fields FROM notices WHERE kind = 'voucher_expiring'")
    return notice["body"], json.loads(notice["fields"])


@pytest.mark.parametrize(("types", "name", "field"), [
    (1, "「审计服务专用券」余额 600.00 元", "审计服务专用券"),
    (2, "「审计服务专用券」等 2 种服务券余额 1000.00 元", "审计服务专用券等2种"),
])
async def test_a_sum_of_several_types_is_not_said_to_be_of_one(shop, types, name, field):
    for voucher_type, fen in ((shop.programme.audit, 60_000), (shop.programme.general, 40_000))[:types]:
        await shop.lot(fen, valid_until=LAST_DAY, voucher_type_id=voucher_type)
    shop.world.clock.set(at(LAST_DAY - timedelta(days=7), 9))
    assert await shop.world.sweep(reminders.remind_expiring) == 1
    body, fields = await expiring(shop)
    assert body.startswith(name)
    assert fields["voucher_type"] == thing(field) == field


async def test_the_reminder_names_three_products_of_the_city_that_take_the_type_the_recommended_first(shop):
    world, names = shop.world, ["内部审计", "专项审计", "离任审计"]
    for name in names:
        recommended = await world.product(shop.seller, shop.programme, name=name)
    await world.owner.execute("UPDATE products SET is_recommended = true WHERE id = $1", recommended)
    elsewhere = await world.product(shop.seller, shop.programme, name="外地审计")
    await world.owner.execute("UPDATE products SET region_code = '410103', is_recommended = true WHERE id = $1", elsewhere)
    suspended = await world.institution()
    await world.product(suspended, shop.programme, name="停业审计")
    await world.owner.execute("UPDATE organisations SET suspended_at = now() WHERE id = $1", suspended.organisation_id)
    await shop.lot(valid_until=LAST_DAY)
    world.clock.set(at(LAST_DAY - timedelta(days=7), 9))
    assert await world.sweep(reminders.remind_expiring) == 1
    body, _ = await expiring(shop)
    assert body.endswith("请尽快使用，本市可用的服务如「离任审计」「年度财务审计」「内部审计」。")


async def test_where_no_product_takes_the_type_none_is_named(shop):
    await shop.world.owner.execute("UPDATE products SET state = 'approved', listed_at = NULL")
    await shop.lot(valid_until=LAST_DAY)
    shop.world.clock.set(at(LAST_DAY - timedelta(days=7), 9))
    assert await shop.world.sweep(reminders.remind_expiring) == 1
    body, _ = await expiring(shop)
    assert body.endswith("后失效，请尽快使用。")


async def test_the_reminder_of_the_last_day_never_comes_on_the_day_after(shop):
    await shop.lot(valid_until=LAST_DAY)
    shop.world.clock.set(at(LAST_DAY, 21) + timedelta(minutes=30))  # the jobs were down since before 18:00
    assert await shop.world.sweep(reminders.remind_expiring) == 1
    await expiring(shop)
    delivery = await shop.world.one("SELECT state, due_at, give_up_at FROM deliveries")
    assert tuple(delivery) == ("planned", shop.world.clock.now(), at(LAST_DAY + timedelta(days=1), 0))


async def test_nobody_is_reminded_of_what_is_used_up(shop):
    await shop.paid()
    shop.world.clock.set(at(date(2026, 3, 31), 10))
    assert await shop.world.sweep(reminders.remind_expiring) == 0


async def test_after_three_days_of_downtime_only_the_rung_of_today_is_sent(shop):
    await shop.lot(60_000, valid_until=LAST_DAY)
    shop.world.clock.set(at(LAST_DAY - timedelta(days=1), 12))  # T-30 and T-7 have been missed
    assert [await shop.world.sweep(reminders.remind_expiring) for _ in range(2)] == [1, 0]
    assert await shop.world.value("SELECT rung FROM reminders") == "T-1"


# --- choosing lots (pure) --------------------------------------------------------------------------------------------------


class Lot:
    def __init__(self, number: int, voucher_type: int, available: int, days: int) -> None:
        self.id, self.voucher_type_id, self.available_fen = number, voucher_type, available
        self.expires_at = datetime(2026, 1, 1, tzinfo=SHANGHAI) + timedelta(days=days)


lots_strategy = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 1_000), st.integers(-3, 30)), max_size=8)


@given(lots_strategy, st.dictionaries(st.sampled_from(["1", "2"]), st.integers(1, 2_000)), st.integers(1, 4_000))
def test_the_choice_never_takes_too_much_of_anything_and_goes_by_expiry(drawn, deductions, wanted):
    now = datetime(2026, 1, 1, tzinfo=SHANGHAI)
    lots = sorted((Lot(number, *each) for number, each in enumerate(drawn)), key=lambda lot: (lot.expires_at, lot.id))
    usable = {key: sum(lot.available_fen for lot in lots if str(lot.voucher_type_id) == key and lot.expires_at > now) for key in deductions}
    possible = sum(min(usable[key], deductions[key]) for key in deductions)
    try:
        chosen = wallet.choose_lots(lots, deductions, wanted, now)
    except wallet.NotEnoughVouchers:
        assert possible < wanted
        return
    assert sum(spend.fen for spend in chosen) == wanted <= possible
    by_id = {lot.id: lot for lot in lots}
    assert all(0 < spend.fen <= by_id[spend.lot_id].available_fen and by_id[spend.lot_id].expires_at > now for spend in chosen)
    for key, most in deductions.items():
        assert sum(spend.fen for spend in chosen if str(by_id[spend.lot_id].voucher_type_id) == key) <= most
    assert [by_id[spend.lot_id].expires_at for spend in chosen] == sorted(by_id[spend.lot_id].expires_at for spend in chosen)
    assert wallet.check_picks(lots, deductions, chosen, now) == chosen
