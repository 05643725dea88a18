"""What the bot says of demands, consultants and scores: the same as the pages, for whoever asks and nobody else."""

import pytest

from handlers.scores import count_events
from tests.market import Market, open_market
from tests.talking import Speaker
from tests.test_reviews import REVIEW
from tests.world import World


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


async def test_both_sides_of_a_demand_hear_how_far_it_is(market, world):
    buyer, seller = Speaker(world, market.buyer), Speaker(world, market.seller)
    assert await buyer.say("我的需求") == "没有进行中的需求。"
    assert await seller.say("新需求") == "没有需要处理的需求。"
    demand = await market.posted(budget_fen=500_000)
    assert await buyer.say("我的需求") == "进行中的需求：\n· 「年度财务审计」待接单，已通知 1 家，4月1日 09:00 到期"
    await world.owner.execute("UPDATE organisations SET name = '济南精工机械有限公司' WHERE id = $1", market.buyer.organisation_id)
    heard = await seller.say("新需求")
    assert "「年度财务审计」，" in heard
    assert "，预算 5,000 元：待查看" in heard
    assert "济南精工机械" not in heard
    assert seller.last[0].page == f"pages/demands/show?id={demand}"
    await market.ok(market.seller, demand, "taking")
    assert "· 济南精工机械有限公司「年度财务审计」" in await seller.say("新需求")
    assert "对接中，已通知 1 家，1 家已查看，1 家已接单" in await buyer.say("我的需求")
    assert (await world.post(f"/demands/{demand}/closing", {"institution_id": None}, by=market.buyer))[0] == 200
    assert (await buyer.say("我的需求"), await seller.say("新需求")) == ("没有进行中的需求。", "没有需要处理的需求。")
    assert await Speaker(world, await market.rival()).say("新需求") == "没有需要处理的需求。"


async def test_a_consultant_hears_only_of_what_is_addressed_to_them(market, world):
    consultant_id, member = await world.consultant(market.seller)
    consultant = Speaker(world, member)
    await market.posted()
    assert await consultant.say("新需求") == "没有需要处理的需求。"
    await market.posted(target="consultant", target_id=consultant_id, title="税务咨询")
    assert "「税务咨询」" in await consultant.say("新需求")
    assert "年度财务审计" not in await consultant.say("新需求")


async def test_an_institution_hears_who_represents_it(market, world):
    seller = Speaker(world, market.seller)
    assert await seller.say("顾问") == "贵机构还没有服务顾问。"
    await world.consultant(market.seller)
    assert await seller.say("顾问") == "服务顾问共 1 人，邀请和解除请打开页面办理：\n· 张顾问：已认证"
    assert await Speaker(world, await market.rival()).say("顾问") == "贵机构还没有服务顾问。"


async def test_a_score_is_told_with_its_parts_and_what_changed_it(market, world):
    seller = Speaker(world, market.seller)
    assert (await seller.say("我的评分")).startswith("评分 28 分：\n· ")
    assert "最近变化" not in await seller.say("我的评分")
    await market.shop.ok(market.buyer, await market.shop.completed(), "review", REVIEW)
    await world.sweep(count_events)
    heard = await seller.say("我的评分为什么降了")
    assert heard.startswith("评分 31.2 分：\n· ")
    assert "+1.2 分：订单完成 +1" in heard
    assert "+2 分：收到企业评价 +1" in heard
    _, consultant = await world.consultant(market.seller)
    assert (await Speaker(world, consultant).say("我的评分")).startswith("评分 28 分：\n· ")


async def test_a_consultant_leaves_after_a_confirmation_and_not_before(market, world):
    consultant_id, member = await world.consultant(market.seller)
    name = await world.value("SELECT name FROM organisations WHERE id = $1", market.seller.organisation_id)
    demand = await market.posted(target="consultant", target_id=consultant_id)
    consultant = Speaker(world, member)
    assert await consultant.say("我的机构") == f"您的顾问关联：\n· {name}：已认证"
    before = await world.snapshot("consultants", "memberships", "demands", "audit_entries", "events")
    assert (await consultant.say("退出机构")).startswith(f"退出「{name}」后立即生效")
    await consultant.say("取消")
    assert await world.snapshot("consultants", "memberships", "demands", "audit_entries", "events") == before
    await consultant.say("退出机构")
    assert await consultant.say("确认") == f"您已退出「{name}」。"
    assert await world.value("SELECT state FROM consultants WHERE id = $1", consultant_id) == "ended"
    assert tuple(await world.one("SELECT target, consultant_id FROM demands WHERE id = $1", demand)) == ("institution", None)
    assert "评分" not in await consultant.say("我的评分")
