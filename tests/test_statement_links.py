"""账单 by link: once, for ten minutes, for whoever holds it; everything else is the same 404."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from handlers import statement_links
from handlers.refusals import NotFound
from handlers.statement_links import LIVES, TOKEN_BYTES, forget_links, make_statement_link
from handlers.statements import Period
from models.accounts import Role
from tests.races import without
from tests.referee import Referee
from tests.shop import Shop, open_shop
from tests.talking import Speaker, everything_said
from tests.world import World

SHANGHAI = timezone(timedelta(hours=8))
INSTANT = timedelta(microseconds=1)


async def shop_with_history(world: World) -> Shop:
    shop = await open_shop(world)
    await shop.paid(200_000)
    world.clock.set(datetime(2026, 4, 7, 10, 0, tzinfo=SHANGHAI))
    return shop


async def link(world: World, shop: Shop, kind: str = "xlsx") -> str:
    made = await make_statement_link((await Speaker(world, shop.buyer).context()), Period(date(2026, 3, 1), date(2026, 4, 1)), kind)
    return made["path"].removeprefix("/api/v1")


async def fetch(world: World, path: str) -> tuple[int, bytes, Any]:
    async with world.client.get(f"/api/v1{path}") as response:
        return response.status, await response.read(), response.headers


async def test_the_bot_gives_the_figures_and_a_link_that_works_once(world: World):
    shop = await shop_with_history(world)
    speaker = Speaker(world, shop.buyer)
    answer = await speaker.say("賬單 ３月")
    assert answer.startswith("2026年3月 账单：期初 0 元，期末 0 元\n· 发放 +2,000 元（1 笔）")
    assert "文件下载（10 分钟内有效，只能下载一次，4月7日 10:10 失效）" in answer
    path = answer.splitlines()[-1].removeprefix(world.settings.public_url).removeprefix("/api/v1")
    status, content, headers = await fetch(world, path)
    assert (status, content[:2], headers["Cache-Control"]) == (200, b"PK", "no-store")
    assert "2026-03-01-2026-04-01.xlsx" in headers["Content-Disposition"]
    assert (await fetch(world, path))[0] == 404
    _, plain = await world.get("/statement?since=2026-03-01&before=2026-04-01", by=shop.buyer)
    assert plain["closing_fen"] == 0


async def test_without_a_month_it_is_the_last_one_and_of_this_one_what_is_over(world: World):
    shop = await shop_with_history(world)
    speaker = Speaker(world, shop.buyer)
    assert (await speaker.say("账单")).startswith("2026年3月 账单：")
    assert (await speaker.say("导出")).startswith("2026年3月 账单：")
    assert (await speaker.say("账单 上个月")).startswith("2026年3月 账单：")
    assert (await speaker.say("本月账单")).startswith("2026年4月 账单（截至 2026年4月7日）：")
    assert (await speaker.say("账单 十二月")).startswith("2025年12月 账单：期初 0 元，期末 0 元")
    assert await speaker.say("账单 2026-05") == "2026年5月 还没有可以出具的账单。"


async def test_the_token_is_long_and_nowhere_but_in_the_link(world: World):
    shop = await shop_with_history(world)
    path = await link(world, shop)
    token = path.rpartition("/")[2]
    assert len(token) == 32 and TOKEN_BYTES * 8 == 192
    assert token not in await everything_said(world)
    assert await world.value("SELECT length(token_hash) FROM statement_links") == 32


@pytest.mark.parametrize("kind", ["xlsx", "pdf"])
async def test_both_kinds_of_file(world: World, kind):
    shop = await shop_with_history(world)
    status, content, _ = await fetch(world, await link(world, shop, kind))
    assert (status, content[:4]) == (200, b"PK\x03\x04" if kind == "xlsx" else b"%PDF")


async def test_it_lives_ten_minutes_to_the_microsecond(world: World):
    shop = await shop_with_history(world)
    start = world.clock.now()
    for ahead, status in ((LIVES, 404), (LIVES + INSTANT, 404), (LIVES - INSTANT, 200)):
        world.clock.set(start)
        path = await link(world, shop)
        world.clock.set(start + ahead)
        assert (await fetch(world, path))[0] == status


async def test_unknown_used_expired_and_somebody_who_left_are_the_same(world: World):
    shop = await shop_with_history(world)
    used, expired, left = await link(world, shop), await link(world, shop), None
    assert (await fetch(world, used))[0] == 200
    await world.owner.execute("UPDATE statement_links SET expires_at = $1 WHERE used_at IS NULL", world.clock.now())
    left = await link(world, shop)
    await world.owner.execute(
        "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", shop.buyer.membership_id, world.clock.now()
    )
    answers = []
    for path in (used, expired, left, "/statement-links/" + "A" * 32, "/statement-links/x"):
        status, body = await world.get(path)
        answers.append((status, {name: value for name, value in body.items() if name not in {"request_id", "instance"}}))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)


async def test_another_enterprises_figures_are_never_in_it(world: World):
    shop, other = await shop_with_history(world), await open_shop(world)
    await world.lot(other.buyer, other.programme, 777_700)
    path = await link(world, shop)
    status, content, _ = await fetch(world, path)
    assert status == 200 and content
    row = await world.one("SELECT organisation_id, person_id, used_at FROM statement_links")
    assert tuple(row) == (shop.buyer.organisation_id, shop.buyer.person_id, world.clock.now())


async def test_making_and_using_are_in_the_audit_trail(world: World):
    shop = await shop_with_history(world)
    await fetch(world, await link(world, shop))
    actions = await world.owner.fetch("SELECT action, person_id FROM audit_entries WHERE subject = 'statement_link' ORDER BY id")
    assert [tuple(row) for row in actions] == [("statement_link.made", shop.buyer.person_id), ("statement_link.used", None)]


async def test_a_file_that_could_not_be_made_leaves_the_link_as_it_was(world: World, monkeypatch):
    shop = await shop_with_history(world)
    path = await link(world, shop)
    monkeypatch.setattr("handlers.statements.LINES_MAX", -1)
    status, body = await world.get(path)
    assert (status, body["code"]) == (409, "statement_too_long")
    monkeypatch.undo()
    assert (await fetch(world, path))[0] == 200


async def used_twice(world: World, referee: Referee) -> list[Any]:
    shop = await shop_with_history(world)
    token = (await link(world, shop)).rpartition("/")[2]
    context = world.context()
    return await referee.race(*[lambda: statement_links.fetch_statement(context, token)] * 2, hold=("handlers.statement_links.use",))


async def test_used_twice_at_once_it_gives_one_file(world: World, monkeypatch):
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after("handlers.statement_links.use")
    for _ in range(20):
        world.clock.set(datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI))
        outcomes = await used_twice(world, referee)
        assert sorted(isinstance(outcome, tuple) for outcome in outcomes) == [False, True], outcomes
        assert [type(outcome) for outcome in outcomes if not isinstance(outcome, tuple)] == [NotFound]


async def test_without_looking_whether_it_was_used_both_would_get_it(world: World, monkeypatch):
    without(monkeypatch, "handlers.statement_links.USE", " AND l.used_at IS NULL", "")
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after("handlers.statement_links.use")
    assert all(isinstance(outcome, tuple) for outcome in await used_twice(world, referee))


async def test_links_that_are_over_are_forgotten(world: World):
    shop = await shop_with_history(world)
    await link(world, shop)
    start = world.clock.now()
    for ahead, forgotten in ((LIVES - INSTANT, 0), (LIVES, 1), (LIVES, 0)):
        world.clock.set(start + ahead)
        assert await world.sweep(forget_links) == forgotten


async def test_finance_and_viewers_may_have_it_strangers_not(world: World):
    shop = await shop_with_history(world)
    viewer = Speaker(world, await world.member(shop.buyer.organisation_id, Role.VIEWER))
    assert "文件下载" in await viewer.say("账单 3月")
    official = Speaker(world, await world.official(Role.ADMIN))
    assert "没有听懂" in await official.say("账单 3月")
