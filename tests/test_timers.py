"""Every timer: not a microsecond early, at its instant, once; whatever day it is, and whichever way the clock goes afterwards."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from handlers import (
    attachments,
    deliveries,
    demands,
    housekeeping,
    notices,
    orders,
    payment_passwords,
    reminders,
    reviews,
    reviews_mutual,
    reviews_replies,
    scores,
    wallet,
)
from handlers.accounts import signing_in
from handlers.context import Context
from handlers.draws import close_due_rounds, draw_due_rounds
from handlers.first_come import end_due_rounds
from handlers.refusals import Refusal
from handlers.rounds import open_due_rounds, publicise_due_rounds
from handlers.sessions import resolve
from handlers.transactions import transaction
from models.reviews import Grade
from settings import Settings
from tests.applications import applicant, qualification
from tests.lottery import SOURCE, Lottery, announced, giving, opened
from tests.market import Market, open_market
from tests.shop import PASSWORD, Shop, open_shop
from tests.world import World

SHANGHAI = timezone(timedelta(hours=8))
INSTANT = timedelta(microseconds=1)
MOMENTS = {
    "on any day": datetime(2026, 5, 20, 3, 4, 5, 678_901, UTC),
    "on 29 February": datetime(2028, 2, 29, 9, 30, tzinfo=SHANGHAI),
    "on the last instant of a month": datetime(2026, 4, 30, 23, 59, 59, 999_999, SHANGHAI),
    "on the first instant of a month": datetime(2026, 8, 1, tzinfo=SHANGHAI),
    "on 31 December": datetime(2026, 12, 31, 23, 59, 59, 999_999, SHANGHAI),
}
LONG: dict[str, Any] = {"valid_until": "2029-12-31"}
Sweep = Callable[[Context], Awaitable[int]]
Arrange = Callable[[World, datetime], Awaitable[datetime]]
TIMERS: dict[str, tuple[Arrange, Sweep]] = {}


def timer(name: str, sweep: Sweep) -> Callable[[Arrange], Arrange]:
    """Registers what sets a world up such that the sweep is due at, or soon after, a moment; it returns the exact instant."""
    def register(arrange: Arrange) -> Arrange:
        TIMERS[name] = (arrange, sweep)
        return arrange
    return register


async def shop_at(world: World, start: datetime) -> Shop:
    world.clock.set(start)
    return await open_shop(world)


# --- orders and reviews ----------------------------------------------------------------------------------------------


@timer("unpaid orders close after fifteen days", orders.close_unpaid)
async def unpaid(world: World, moment: datetime) -> datetime:
    await (await shop_at(world, moment - timedelta(days=15))).order()
    return moment


@timer("institutions are reminded after five working days", orders.remind_unaccepted)
async def unaccepted(world: World, moment: datetime) -> datetime:
    order_id = await (await shop_at(world, moment - timedelta(days=7))).paid()
    found: datetime = await world.value("SELECT due_at FROM orders WHERE id = $1", order_id)
    return found


def overdue(days: int) -> Arrange:
    async def arrange(world: World, moment: datetime) -> datetime:
        order_id = await (await shop_at(world, moment - timedelta(days=10))).accepted()
        await world.owner.execute(
            "UPDATE orders SET due_at = $2, reminded = $3 WHERE id = $1", order_id, moment + timedelta(days=days), int(days == 0)
        )
        return moment
    return arrange


timer("please deliver, three days before", orders.remind_undelivered)(overdue(3))
timer("delivery is overdue", orders.remind_undelivered)(overdue(0))


def undelivered(days: int) -> Arrange:
    async def arrange(world: World, moment: datetime) -> datetime:
        order_id = await (await shop_at(world, moment - timedelta(days=days))).delivered()
        if days == 7:  # the first reminder has been sent
            await world.owner.execute("UPDATE orders SET reminded = 1 WHERE id = $1", order_id)
        return moment
    return arrange


timer("please confirm, after three days", orders.remind_unconfirmed)(undelivered(3))
timer("please confirm, after seven days", orders.remind_unconfirmed)(undelivered(7))


@timer("please review, a day before the system does", reviews.remind_unreviewed)
async def unreviewed(world: World, moment: datetime) -> datetime:
    await (await shop_at(world, moment - timedelta(days=6))).completed()
    return moment


@timer("the system reviews after seven days", reviews.review_due)
async def system_review(world: World, moment: datetime) -> datetime:
    await (await shop_at(world, moment - timedelta(days=7))).completed()
    return moment


@timer("what is in is revealed when the window of both sides is over", reviews_mutual.reveal_due)
async def blind(world: World, moment: datetime) -> datetime:
    world.clock.set(moment - timedelta(days=14))
    shop = await open_shop(world, mutual_review=True)
    await reviews_mutual.review_enterprise(world.context(shop.seller), await shop.completed(), Grade.GOOD, "")
    return moment


@timer("scores fade when a month is over in Shanghai", scores.decay_scores)
async def fading(world: World, moment: datetime) -> datetime:
    local = moment.astimezone(SHANGHAI)
    turn = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=SHANGHAI)
    await (await shop_at(world, turn - timedelta(days=1))).completed()
    assert await world.sweep(scores.count_events) == 1
    return turn


# --- vouchers --------------------------------------------------------------------------------------------------------


@timer("vouchers expire after the last instant of their day", wallet.expire_due)
async def expiry(world: World, moment: datetime) -> datetime:
    day = moment.astimezone(SHANGHAI).date()
    await (await shop_at(world, moment - timedelta(days=20))).lot(valid_until=day)
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) + timedelta(days=1)


def rung(days: int, hour: int) -> Arrange:
    async def arrange(world: World, moment: datetime) -> datetime:
        day = moment.astimezone(SHANGHAI).date()
        due = datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI)
        shop = await shop_at(world, due - timedelta(days=40))
        await shop.lot(valid_until=day + timedelta(days=days))
        world.clock.set(due - INSTANT)
        await world.sweep(reminders.remind_expiring)  # the rung before, which had its time
        return due
    return arrange


for _days, _hour in ((30, 9), (7, 9), (1, 9), (0, 18)):
    timer(f"vouchers are announced to end, T-{_days}", reminders.remind_expiring)(rung(_days, _hour))


@timer("a form that was left unfinished is remembered after three days", reminders.remind_unfinished)
async def resting(world: World, moment: datetime) -> datetime:
    day = moment.astimezone(SHANGHAI).date()
    due = datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
    world.clock.set(due - timedelta(days=3))
    owner, programme = await applicant(world, certified=True), await world.programme()
    await world.put(f"/programmes/{programme.id}/qualification", await qualification(world, owner), by=owner)
    return due


# --- rounds ----------------------------------------------------------------------------------------------------------


def of_round(column: str, hours: int) -> Arrange:
    async def arrange(world: World, moment: datetime) -> datetime:
        world.clock.set(moment.replace(microsecond=0) - timedelta(hours=hours))
        lottery = await announced(world, **LONG)
        await lottery.secrets()
        await walk(lottery, column)
        return datetime.fromisoformat(lottery.round[column])
    return arrange


async def ends(world: World, moment: datetime) -> datetime:
    world.clock.set(moment.replace(microsecond=0) - timedelta(hours=2))
    return datetime.fromisoformat((await giving(world, **LONG)).round["closes_at"])


async def walk(lottery: Lottery, column: str) -> None:
    """Up to the state in which the timer of this column waits."""
    for before, steps in (
        ("opens_at", (lottery.open,)), ("closes_at", (lottery.close, lottery.type_values)), ("draw_at", (lottery.draw,)),
    ):
        if column == before:
            return
        for step in steps:
            await step()


@timer("a window is said to close on the morning of the day before", reminders.remind_closing)
async def closing(world: World, moment: datetime) -> datetime:
    day = moment.astimezone(SHANGHAI).date()
    due = datetime(day.year, day.month, day.day, 9, tzinfo=SHANGHAI)
    world.clock.set(due - timedelta(hours=10))
    later = {"closes_at": 48, "draw_at": 50, "publicity_at": 51, "publicity_until": 75}
    await opened(world, **LONG, **{name: world.at(hours=hours).isoformat() for name, hours in later.items()}, randomness=[
        {"name": SOURCE, "at": world.at(hours=49).isoformat(), "format": "ssq"}])
    return due


timer("rounds open", open_due_rounds)(of_round("opens_at", 1))
timer("rounds close", close_due_rounds)(of_round("closes_at", 2))
timer("rounds of first come, first served end", end_due_rounds)(ends)
timer("results are published", publicise_due_rounds)(of_round("publicity_at", 5))
timer("rounds are drawn", draw_due_rounds)(of_round("draw_at", 4))


# --- demands ---------------------------------------------------------------------------------------------------------


async def market_at(world: World, start: datetime) -> Market:
    world.clock.set(start)
    return await open_market(world)


def of_demand(table: str, column: str, days: int) -> Arrange:
    """The instant itself is proved in tests/test_demand_timers.py, against the calendar."""
    async def arrange(world: World, moment: datetime) -> datetime:
        await (await market_at(world, moment - timedelta(days=days))).posted()
        found: datetime = await world.value(f"SELECT {column} FROM {table}")
        return found
    return arrange


timer("a demand is reminded of after two working days", demands.remind_unviewed)(of_demand("demand_responses", "remind_at", 4))
timer("others are offered after four working days", demands.offer_alternatives)(of_demand("demands", "alternatives_at", 7))
timer("a demand that nobody takes up is over after thirty days", demands.expire_due)(of_demand("demands", "expires_at", 30))


@timer("the next wave of an open demand", demands.spread_due)
async def wave(world: World, moment: datetime) -> datetime:
    await (await market_at(world, moment - timedelta(minutes=1))).posted(target="open")
    await world.owner.execute("UPDATE demands SET spread_at = $1", moment)
    return moment


# --- housekeeping ----------------------------------------------------------------------------------------------------


@timer("kept answers are forgotten after seven days", housekeeping.forget_idempotency_keys)
async def kept(world: World, moment: datetime) -> datetime:
    await world.owner.execute(
        "INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)"
        " VALUES ('p1:m1', 'place_order', 'k', '\\x00', 200, '{}', $1)", moment - timedelta(days=7),
    )
    return moment


@timer("sessions are forgotten a month after their end", signing_in.forget_sessions)
async def ended(world: World, moment: datetime) -> datetime:
    world.clock.set(moment - timedelta(days=3650 + 30))
    await world.enterprise()
    return moment


@timer("half an upload is removed after a day", attachments.purge_unfinished)
async def uploading(world: World, moment: datetime) -> datetime:
    member = await world.enterprise()
    await world.owner.execute(
        "INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, storage_key, media_type, size, sha256, state,"
        " created_at) VALUES ($1, $2, 'business_licence', 'a.pdf', 'k', 'application/pdf', 1, '\\x00', 'uploading', $3)",
        member.organisation_id, member.person_id, moment - timedelta(hours=24),
    )
    return moment


@timer("a delivery that no worker finishes is dead after 48 hours", deliveries.release_expired)
async def undeliverable(world: World, moment: datetime) -> datetime:
    world.clock.set(moment - timedelta(hours=48))
    member = await world.enterprise()
    async with transaction(world.context()) as tx:
        tx.announce("voucher_expiring", "wallet", member.organisation_id, organisation_id=member.organisation_id, balance_fen=1,
                    valid_until="2029-12-31", voucher_type="通用券", types=1, rung="T-7")
    assert await world.sweep(notices.open_events) == 1
    taken = await world.owner.fetch("UPDATE deliveries SET state = 'sending', leased_until = give_up_at RETURNING give_up_at")
    assert [row["give_up_at"] for row in taken] == [moment]
    return moment


@pytest.mark.parametrize("day", MOMENTS)
@pytest.mark.parametrize("name", TIMERS)
async def test_a_timer_is_exact_and_works_once(world: World, name: str, day: str) -> None:
    arrange, sweep = TIMERS[name]
    due = await arrange(world, MOMENTS[day])
    done = []
    for at in (due - INSTANT, due, due, due + INSTANT, due - timedelta(hours=1), due + timedelta(hours=1)):
        world.clock.set(at)
        done.append(await world.sweep(sweep))
    assert done == [0, 1, 0, 0, 0, 0]


# --- doors that open or shut by themselves ---------------------------------------------------------------------------

Try = Callable[[], Awaitable[Any]]
Open = Callable[[World, datetime], Awaitable[Try]]


async def locked(world: World, moment: datetime) -> Try:
    """Five wrong passwords lock for thirty minutes."""
    shop = await shop_at(world, moment - timedelta(minutes=30))
    await shop.password()
    for _ in range(payment_passwords.TRIES):
        with pytest.raises(payment_passwords.WrongPaymentPassword):
            await payment_passwords.verify(world.context(shop.buyer), "918273")
    return lambda: payment_passwords.verify(world.context(shop.buyer), PASSWORD)


async def cooling(world: World, moment: datetime) -> Try:
    """A reset password pays a day later."""
    shop = await shop_at(world, moment - timedelta(hours=24))
    await shop.password()
    await world.owner.execute("UPDATE payment_passwords SET usable_at = $1", moment)
    return lambda: payment_passwords.verify(world.context(shop.buyer), PASSWORD)


async def unanswered(world: World, moment: datetime) -> Try:
    """Vouchers of an order that nobody accepts come back after the working days."""
    shop = await shop_at(world, moment - timedelta(days=7))
    order_id = await shop.paid()
    await world.owner.execute("UPDATE orders SET due_at = $1", moment)
    return lambda: orders.take_back_order(world.context(shop.buyer), order_id)


async def disputable(world: World, moment: datetime) -> Try:
    """An order that is not delivered comes before a reviewer when its time is over."""
    shop = await shop_at(world, moment - timedelta(days=10))
    order_id = await shop.accepted()
    await world.owner.execute("UPDATE orders SET due_at = $1", moment)
    return lambda: orders.dispute_order(world.context(shop.buyer), order_id, "一直没有开展服务")


@pytest.mark.parametrize("day", MOMENTS)
@pytest.mark.parametrize("shut", [locked, cooling, unanswered, disputable])
async def test_a_door_opens_at_its_instant(world: World, shut: Open, day: str) -> None:
    attempt = await shut(world, MOMENTS[day])
    world.clock.set(MOMENTS[day] - INSTANT)
    with pytest.raises(Refusal):
        await attempt()
    world.clock.set(MOMENTS[day])
    await attempt()


async def session(world: World, moment: datetime) -> Try:
    """A session ends when it said it would."""
    member = await world.enterprise()
    await world.owner.execute("UPDATE sessions SET expires_at = $1", moment)
    return lambda: resolve(member.token, world.clock.now(), "get_me", None)


async def replaceable(world: World, moment: datetime) -> Try:
    """The system's review can be replaced for thirty days."""
    shop = await shop_at(world, moment - timedelta(days=37))
    order_id = await shop.completed()
    world.clock.set(moment - timedelta(days=30))
    assert await world.sweep(reviews.review_due) == 1
    return lambda: reviews.review_order(world.context(shop.buyer), order_id, Grade.BAD, "", 0, "")


async def takeable(world: World, moment: datetime) -> Try:
    """A demand can be taken up for thirty days, whether or not the sweep has come by."""
    market = await market_at(world, moment - timedelta(days=30))
    demand = await market.posted()
    return lambda: demands.take_demand(world.context(market.seller), demand)


async def mutual(world: World, moment: datetime) -> Try:
    """The enterprise is reviewed within fourteen days."""
    world.clock.set(moment - timedelta(days=14))
    shop = await open_shop(world, mutual_review=True)
    order_id = await shop.completed()
    return lambda: reviews_mutual.review_enterprise(world.context(shop.seller), order_id, Grade.BAD, "")


async def repliable(world: World, moment: datetime) -> Try:
    """A review is replied to within thirty days."""
    shop = await shop_at(world, moment - timedelta(days=30))
    review = await reviews.review_order(world.context(shop.buyer), await shop.completed(), Grade.BAD, "慢", 0, "")
    return lambda: reviews_replies.reply_to_review(world.context(shop.seller), review["id"], "已改进")


async def payable(world: World, moment: datetime) -> Try:
    """An unpaid order can be paid for fifteen days, whether or not the sweep has come by."""
    shop = await shop_at(world, moment - timedelta(days=15))
    await shop.lot(valid_until=moment.date() + timedelta(days=5))
    order_id = await shop.order()
    return lambda: orders.pay_verified(world.context(shop.buyer), order_id, 200_000)


async def priceable(world: World, moment: datetime) -> Try:
    """Its price is settled as long as it can be paid."""
    world.clock.set(moment - timedelta(days=15))
    shop = await open_shop(world, pricing="contract", price_confirm="if_differs")
    order_id = await shop.order()
    return lambda: orders.settle_price(world.context(shop.seller), order_id, 100_000)


@pytest.mark.parametrize("day", MOMENTS)
@pytest.mark.parametrize("door", [session, replaceable, takeable, mutual, repliable, payable, priceable])
@pytest.mark.parametrize("early", [True, False])
async def test_a_door_shuts_at_its_instant(world: World, door: Open, day: str, early: bool) -> None:
    attempt = await door(world, MOMENTS[day])
    world.clock.set(MOMENTS[day] - INSTANT * early)
    if early:
        await attempt()
        return
    for at in (MOMENTS[day], MOMENTS[day] + INSTANT):
        world.clock.set(at)
        with pytest.raises(Refusal):
            await attempt()


# --- what the state machine seldom meets -----------------------------------------------------------------------------


async def test_a_picked_voucher_pays_to_the_last_instant_of_its_day(world: World) -> None:
    shop = await shop_at(world, MOMENTS["on any day"])
    lot_id = await shop.lot(valid_until=wallet.shanghai_date(world.clock.now()))
    first, second = await shop.order(), await shop.order()
    midnight = wallet.first_unusable_instant(wallet.shanghai_date(world.clock.now()))
    for order_id, at in ((first, midnight - INSTANT), (second, midnight)):
        world.clock.set(at)
        paying = orders.pay_verified(world.context(shop.buyer), order_id, 1, [wallet.Spend(lot_id, 1)])
        if at < midnight:
            await paying
            continue
        with pytest.raises(wallet.LotNotUsable) as refused:
            await paying
        assert refused.value.data == {"lot_id": lot_id, "reason": "expired"}
    assert await shop.state(second) == "unpaid"


async def test_a_frozen_order_is_passed_by_and_caught_up_when_it_is_free(world: World) -> None:
    shop = await shop_at(world, MOMENTS["on any day"])
    await shop.order()
    await shop.paid()
    await shop.delivered()
    await shop.completed()
    await world.owner.execute("UPDATE orders SET frozen_at = placed_at")
    sweeps = (orders.close_unpaid, orders.remind_unaccepted, orders.remind_unconfirmed, reviews.remind_unreviewed, reviews.review_due)
    world.clock.advance(days=40)
    before = await world.snapshot("orders", "reviews", "events")
    assert [await world.sweep(sweep) for sweep in sweeps] == [0, 0, 0, 0, 0]
    assert await world.snapshot("orders", "reviews", "events") == before
    await world.owner.execute("UPDATE orders SET frozen_at = NULL")
    assert [await world.sweep(sweep) for sweep in sweeps] == [1, 1, 1, 1, 1]


def test_every_setting_that_a_timer_reads_is_the_documented_one() -> None:
    defaults = Settings(_env_file=None)
    assert (defaults.notice_retry_hours, defaults.session_days) == (48, 30)
