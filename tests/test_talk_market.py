"""Demands, consultants and scores by talking: the same use-cases, nothing personal in clear between two messages."""

from models.accounts import Role
from tests.applications import consent
from tests.shop import open_shop
from tests.talking import Speaker, everything_said
from tests.world import World

PHONE = "13853112345"


async def test_a_demand_is_posted_in_steps_and_the_contact_is_sealed_meanwhile(world: World):
    from handlers.regions import load_regions

    await load_regions()
    shop = await open_shop(world)
    await consent(world, shop.buyer)
    speaker = Speaker(world, shop.buyer)
    assert "需求的标题是什么" in await speaker.say("发需求")
    assert "请说明具体要求" in await speaker.say("2026年度财务审计")
    assert "属于哪类服务" in await speaker.say("需要在六月前出具审计报告")
    assert "联系人姓名" in await speaker.say("审计服务")
    assert "联系手机号" in await speaker.say("张三丰")
    assert "手机号不正确" in await speaker.say("12345")
    answer = await speaker.say(PHONE)
    assert "· 联系人：张** 138****2345" in answer
    said = await everything_said(world)
    assert PHONE not in said and "张三丰" not in said
    assert await world.value("SELECT count(*) FROM demands") == 0
    assert "「2026年度财务审计」已提交，内容审核通过后即通知机构" in await speaker.say("确认")
    row = await world.one("SELECT title, text, category, target FROM demands")
    assert tuple(row) == ("2026年度财务审计", "需要在六月前出具审计报告", "audit", "open")
    assert "2026年度财务审计：征集中" in await speaker.say("我的需求")
    assert PHONE not in await everything_said(world)


async def test_an_institution_and_its_consultant_answer_a_demand(world: World):
    from handlers.demands import Contact, Content, post_demand
    from handlers.regions import load_regions
    from models.demands import DemandTarget

    await load_regions()
    shop = await open_shop(world)
    await consent(world, shop.buyer)
    posted = await post_demand(
        await Speaker(world, shop.buyer).context(), DemandTarget.INSTITUTION, shop.seller.organisation_id,
        Content("年度审计", "需要审计报告", "audit", "370103", None, None, ()), Contact("张三丰", PHONE),
    )
    number = posted["id"]
    seller, rival = Speaker(world, shop.seller), Speaker(world, await world.institution())
    assert f"#{number} 年度审计" in await seller.say("新需求")
    assert await rival.say("新需求") == "还没有需求。"
    before = await world.snapshot("demands", "demand_responses", "events")
    assert "没有找到" in await rival.say(f"接需求 {number}")
    assert await world.snapshot("demands", "demand_responses", "events") == before
    assert f"已接下需求 #{number}" in await seller.tap(f"接需求 {number}")
    assert await world.value("SELECT state FROM demand_responses") == "taken"
    assert f"已登记联系过需求 #{number}" in await seller.say(f"已联系 {number}")
    assert await world.value("SELECT state FROM demand_responses") == "contacted"


async def test_a_consultant_is_invited_by_name_and_number_and_ended_by_name(world: World):
    shop = await open_shop(world)
    seller = Speaker(world, shop.seller)
    answer = await seller.say(f"邀请顾问 张三 {PHONE}")
    assert answer == "确认邀请 张*（138****2345）为服务顾问吗？邀请链接 7 天内有效，只能使用一次。回复「确认」或「取消」。"
    said = await everything_said(world)
    assert PHONE not in said and "张三" not in said
    assert await world.value("SELECT count(*) FROM consultants") == 0
    first = await seller.say("确认", message_id="same")
    assert "已邀请 张顾问" in first
    assert await seller.say("确认", message_id="same") == first
    assert await world.value("SELECT count(*) FROM consultants") == 1
    assert "· 张顾问：已邀请" in await seller.say("顾问")
    assert "确认解除与 张顾问 的关联吗" in await seller.say("解除 张顾问")
    assert "已解除" in await seller.say("确认")
    assert await world.value("SELECT state FROM consultants") == "ended"


async def test_a_consultant_shows_the_badge_and_leaves(world: World):
    shop = await open_shop(world)
    _, member = await world.consultant(shop.seller)
    name = await world.value("SELECT name FROM organisations WHERE id = $1", shop.seller.organisation_id)
    speaker = Speaker(world, member)
    assert await speaker.say("我的机构") == f"您是「{name}」的服务顾问（张顾问），状态：已认证。"
    assert "核验链接" in await speaker.say("出示证件")
    assert "确认退出" in await speaker.say("退出机构")
    assert await speaker.say("确认") == f"您已退出「{name}」。"
    assert await world.value("SELECT state FROM consultants") == "ended"
    assert "没有听懂" in await speaker.say("出示证件")


async def test_a_score_is_told_with_its_components(world: World):
    shop = await open_shop(world)
    answer = await Speaker(world, shop.seller).say("我的评分为什么降了")
    assert answer.startswith("综合得分 ") and "活跃度" in answer and " / " in answer
    assert "不能办理" in await Speaker(world, await world.official(Role.ADMIN)).menu("score")
