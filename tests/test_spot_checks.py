"""抽查: the orders of a month that the signals propose, for the risk officers of their division (F03, decision 0213)."""

from datetime import UTC, datetime, timedelta

from models.accounts import Role
from tests.shop import Shop
from tests.talking import Speaker
from tests.test_risks import all_at_once, scanned, shop  # noqa: F401 - a fixture
from tests.world import World


async def tail(world: World, order_id: int) -> str:
    number = str(await world.value("SELECT number FROM orders WHERE id = $1", order_id))
    return f"{number[:4]}…{number[-4:]}"


async def flagged(shop: Shop, score: int, verdict: str) -> int:  # noqa: F811
    """Found by a signal, with a sum of weights as it may be."""
    order_id = await all_at_once(shop)
    await scanned(shop.world)
    await shop.world.owner.execute("UPDATE risk_signals SET weight = $2 WHERE order_id = $1", order_id, score)
    await shop.world.owner.execute("UPDATE order_risks SET score = $2, verdict = $3 WHERE order_id = $1", order_id, score, verdict)
    return order_id


async def test_the_sample_of_a_month_is_listed_the_most_doubtful_first(shop: Shop):  # noqa: F811
    world = shop.world
    officer = Speaker(world, await world.official(Role.RISK_OFFICER))
    assert await officer.say("抽查 本月") == "2026年3月 没有需要抽查的订单。"
    sampled, proposed, fine = await flagged(shop, 50, "sample"), await flagged(shop, 90, "freeze"), await flagged(shop, 10, "none")
    answer = await officer.say("抽查 本月")
    lines = answer.splitlines()
    assert lines[0] == "2026年3月 需要抽查的订单共 2 笔，风险分高的在前："
    assert lines[1].startswith(f"· {await tail(world, proposed)}「年度财务审计」")
    assert lines[1].endswith("风险分 90，建议冻结")
    assert lines[2].startswith(f"· {await tail(world, sampled)}「年度财务审计」")
    assert lines[2].endswith("风险分 50")
    assert await tail(world, fine) not in answer
    _, body = await world.get("/risks", by=officer.member)
    assert {each["order_id"] for each in body["items"] if each["verdict"] != "none"} == {sampled, proposed}  # the page says the same
    await world.owner.execute("UPDATE orders SET frozen_at = $2 WHERE id = $1", sampled, world.clock.now())
    assert (await officer.say("抽查")).splitlines()[2].endswith("风险分 50，核实中")
    await world.owner.execute("UPDATE orders SET frozen_at = NULL")


async def test_a_month_ends_at_midnight_and_another_may_be_named(shop: Shop):  # noqa: F811
    world = shop.world
    order_id = await flagged(shop, 50, "sample")
    officer = Speaker(world, await world.official(Role.RISK_OFFICER))
    world.clock.set(datetime(2026, 4, 2, 1, 0, tzinfo=UTC))
    midnight = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    for moment, month in ((midnight - timedelta(microseconds=1), "3月"), (midnight, "4月")):
        await world.owner.execute("UPDATE order_risks SET assessed_at = $1", moment)
        for asked in ("3月", "4月"):
            assert (await tail(world, order_id) in await officer.say(f"抽查{asked}")) is (asked == month)


async def test_of_many_the_first_ten_are_told_and_how_many_there_are(shop: Shop):  # noqa: F811
    world = shop.world
    for _ in range(11):
        await flagged(shop, 50, "sample")
    answer = await Speaker(world, await world.official(Role.RISK_OFFICER)).say("抽查")
    assert answer.count("· ") == 10
    assert "共 11 笔" in answer and "[" not in answer and "另有 1 笔。" in answer


async def test_nobody_sees_the_sample_of_another_division_or_of_their_own_affairs_and_others_none(shop: Shop):  # noqa: F811
    world = shop.world
    order_id = await flagged(shop, 50, "sample")
    number = await tail(world, order_id)
    assert number not in await Speaker(world, await world.official(Role.RISK_OFFICER, region_code="410100")).say("抽查")
    for role in (Role.REVIEWER, Role.ADMIN):
        assert "不能办理「抽查」" in await Speaker(world, await world.official(role)).menu("spot_check")
    officer = await world.official(Role.RISK_OFFICER)
    assert number in await Speaker(world, officer).say("抽查")
    await world.owner.execute(
        "INSERT INTO memberships (person_id, organisation_id, role, state, created_at, ended_at)"
        " VALUES ($1, $2, 'viewer', 'ended', $3, $3)",
        officer.person_id, shop.seller.organisation_id, world.clock.now(),
    )
    assert number not in await Speaker(world, officer).say("抽查")  # who was of a party steps aside (F12)
