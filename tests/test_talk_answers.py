"""What institutions, finance and applicants hear: claims with their arithmetic, money in totals, progress and appeals."""

from datetime import datetime, timedelta, timezone

from models.accounts import Role
from tests.applications import applicant, submitted_certification
from tests.shop import open_shop
from tests.talking import Speaker
from tests.test_redemptions import Treasury, treasury  # noqa: F401 - a fixture
from tests.world import World

SHANGHAI = timezone(timedelta(hours=8))


async def tail(world: World, order_id: int) -> str:
    number = str(await world.value("SELECT number FROM orders WHERE id = $1", order_id))
    return f"{number[:4]}…{number[-4:]}"


async def test_an_institution_hears_where_its_claims_are_and_what_to_bring(treasury: Treasury):  # noqa: F811
    world, seller = treasury.world, Speaker(treasury.world, treasury.shop.seller)
    assert await seller.say("兑付到哪了") == "没有可以办理的兑付。"
    order_id = await treasury.shop.paid()
    answer = await seller.say("申请兑付")
    assert answer.startswith(f"兑付情况：\n· 订单 {await tail(world, order_id)}「年度财务审计」可以申请兑付，用券 2,000 元\n申请须备：发票")
    assert seller.last[0].page == f"pages/redemptions/new?order_id={order_id}"
    await treasury.claim(order_id)
    assert await seller.say("兑付到哪了") == (
        f"兑付情况：\n· 订单 {await tail(world, order_id)}「年度财务审计」：兑付审核中。"
        "应兑付 = min(用券 2000.00，实际发生 4000.00 × 60%) = 2000.00 元；未足额 0.00 元"
    )
    rival = Speaker(world, await world.institution())
    assert await rival.say("兑付到哪了") == "没有可以办理的兑付。"


async def test_finance_hears_totals_of_its_own_region(treasury: Treasury):  # noqa: F811
    world, officer = treasury.world, Speaker(treasury.world, treasury.maker)
    await treasury.approved()
    batch, lines = await treasury.confirmed()
    assert "2026年3月 已兑付 0 笔 0 元；待划拨 0 笔 0 元\n· 批次" in await officer.say("本月兑付")
    await treasury.answer(batch, {"line_id": lines[0]["id"], "paid": True, "bank_reference": "R1"})
    await treasury.approved()
    answer = await officer.say("本月兑付")
    assert answer.startswith("2026年3月 已兑付 1 笔 2,000 元；待划拨 1 笔 2,000 元\n· 批次 DF")
    assert answer.endswith("：1 笔 2,000 元，已办结")
    assert await officer.say("2月兑付") == "2026年2月 已兑付 0 笔 0 元；待划拨 1 笔 2,000 元"
    budget = await officer.say("预算还剩多少")
    assert budget.endswith("：已发放 4,000 元，企业可用 0 元，待兑付 2,000 元，已兑付 2,000 元")
    await world.owner.execute("UPDATE programmes SET budget_fen = 1000000, granted_fen = 0")
    assert "预算 10,000 元，还可安排 10,000 元；" in await officer.say("预算")
    await world.owner.execute("UPDATE programmes SET budget_fen = NULL")
    elsewhere = Speaker(world, await world.official(Role.PAYOUT_OFFICER, region_code="410100"))
    assert await elsewhere.say("预算") == "您的管辖范围内没有服务券项目。"
    assert await elsewhere.say("本月兑付") == "2026年3月 已兑付 0 笔 0 元；待划拨 0 笔 0 元"
    manager = Speaker(world, await world.official(Role.PROGRAMME_MANAGER))
    assert "待兑付 2,000 元" in await manager.say("报表")
    assert "不能办理" in await manager.menu("payouts")  # the API lets only payout officers in


async def test_an_applicant_hears_the_place_in_the_queue_and_may_appeal(world: World):
    owner = await applicant(world)
    speaker = Speaker(world, owner)
    assert await speaker.say("进度查询") == "没有进行中的申请。"
    approval = await submitted_certification(world, owner)
    assert await speaker.say("审核到哪了") == "申请进度：\n· 企业实名认证：审核中，第 1 位，预计 3 个工作日，3月5日 23:59 前办结"
    admin = await world.official(Role.ADMIN)
    await Speaker(world, admin).say(f"驳回 {approval} 营业执照看不清楚")
    assert (await speaker.say("我要申诉")).startswith(
        "可以申诉或正在申诉的事项：\n· 企业实名认证：3月23日 23:59 前可申诉，原决定理由：营业执照看不清楚\n申诉须说明理由"
    )
    world.clock.set(datetime(2026, 3, 23, 23, 59, 59, 999_999, SHANGHAI))
    assert "可以申诉" in await speaker.say("申诉")
    world.clock.advance(microseconds=1)
    assert (await speaker.say("申诉")).startswith("没有可以申诉的决定")


async def test_a_reviewers_report_counts_the_own_queue(world: World):
    owner = await applicant(world)
    approval = await submitted_certification(world, owner)
    admin = Speaker(world, await world.official(Role.ADMIN))
    assert await admin.say("报表") == "待审 1 项，最早提交于 3月2日 09:00\n今日收到 1 项，办结 0 项\n本月办结 0 项"
    await admin.say(f"通过 {approval}")
    assert await admin.say("今日") == "待审 0 项\n今日收到 1 项，办结 1 项\n本月办结 1 项"
    world.clock.advance(days=1)
    assert await admin.say("报表") == "待审 0 项\n今日收到 0 项，办结 0 项\n本月办结 1 项"
    world.clock.advance(days=30)
    assert await admin.say("报表") == "待审 0 项\n今日收到 0 项，办结 0 项\n本月办结 0 项"
    elsewhere = Speaker(world, await world.official(Role.ADMIN, region_code="410100"))
    assert (await elsewhere.say("报表")).startswith("待审 0 项")


async def test_qualifications_are_told_by_programme(world: World):
    shop = await open_shop(world)
    name = await world.value("SELECT name FROM programmes")
    assert await Speaker(world, shop.buyer).say("我有资格吗") == f"服务券资格：\n· {name}：审核通过"
    other = Speaker(world, await world.enterprise())
    assert await other.say("资格申请") == f"服务券资格：\n· {name}：尚未申请"
