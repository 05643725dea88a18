"""The large seed, in a small size: what it writes without the use-cases is what the use-cases would have left behind."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from demo.large import PROGRAMME, Size, plant_large
from handlers import statements
from handlers.paging import Page
from handlers.statements import Period
from handlers.statements.ledger import Holder, Scope, balances, sums
from models.accounts import Role
from models.wallet import Account
from tests.fakes import Clock
from tests.world import World

SMALL = Size(parks=3, institutions=7, products=60, enterprises=20, orders_each=50)
TODAY = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
async def planted(world: World) -> World:
    world.clock.set(TODAY)
    assert await plant_large(world.settings, world.clock, world.ports, SMALL)
    return world


async def test_the_books_of_the_large_seed_balance(planted: World) -> None:
    """The fixture `database` proves every invariant afterwards."""
    counts = {table: await planted.value(f"SELECT count(*) FROM {table}") for table in ("parks", "products", "orders", "lots")}
    assert counts == {"parks": 3, "products": 60, "orders": 1000, "lots": 200}
    states = Counter(row["state"] for row in await planted.owner.fetch("SELECT state FROM orders"))
    assert set(states) == {"unpaid", "pay_review", "paid", "accepted", "delivered", "completed", "closed"}
    kinds = {row["kind"] for row in await planted.owner.fetch("SELECT DISTINCT kind FROM ledger_entries")}
    assert kinds == {"issue", "hold", "commit", "reverse", "expire"}
    assert await planted.value("SELECT count(*) FROM approvals WHERE state = 'open'") == states["pay_review"]
    assert await planted.value("SELECT count(*) FROM reviews WHERE is_system") > 0


async def test_planting_twice_changes_nothing(planted: World) -> None:
    before = await planted.value("SELECT max(id) FROM orders")
    assert not await plant_large(planted.settings, planted.clock, planted.ports, SMALL)
    assert await planted.value("SELECT max(id) FROM orders") == before
    assert await planted.value("SELECT count(*) FROM programmes WHERE name = $1", PROGRAMME) == 1


async def test_planting_beside_other_rows_leaves_the_sequences_right(world: World) -> None:
    world.clock.set(TODAY)
    await world.enterprise()
    assert await plant_large(world.settings, world.clock, world.ports, Size(2, 3, 10, 5, 10))
    member = await world.enterprise()
    assert member.organisation_id == await world.value("SELECT max(id) FROM organisations")


async def ids(world: World, kind: str) -> list[int]:
    return [row["id"] for row in await world.owner.fetch("SELECT id FROM organisations WHERE kind = $1 ORDER BY id", kind)]


async def test_the_sum_of_the_statements_is_the_ledger_at_any_cut_off(planted: World) -> None:
    programme = await planted.value("SELECT id FROM programmes")
    enterprises, institutions = await ids(planted, "enterprise"), await ids(planted, "institution")
    start = await planted.value("SELECT min(at) FROM ledger_entries")
    moments = [row["at"] for row in await planted.owner.fetch("SELECT at FROM ledger_entries ORDER BY md5(id::text) LIMIT 6")]
    for at in (start, start + timedelta(microseconds=1), *moments, TODAY):
        whole = balances(await sums(Scope(Holder.PROGRAMME, None, programme), at, at), opening=True)
        bought = [balances(await sums(Scope(Holder.ENTERPRISE, one, None), at, at), opening=True) for one in enterprises]
        sold = [balances(await sums(Scope(Holder.INSTITUTION, one, programme), at, at), opening=True) for one in institutions]
        for account in Account:
            entries = await planted.owner.fetchval(
                "SELECT coalesce(sum(CASE WHEN to_account = $1 THEN fen ELSE 0 END - CASE WHEN from_account = $1 THEN fen ELSE 0 END), 0)"
                " FROM ledger_entries WHERE at < $2", account.value, at,
            )
            assert whole[account] == entries == sum(one[account] for one in bought), (account, at)
        assert whole[Account.RECEIVABLE] == sum(one[Account.RECEIVABLE] for one in sold)


async def test_a_statement_opens_with_what_the_one_before_closed_with(planted: World) -> None:
    official = await planted.official(Role.PROGRAMME_MANAGER)
    programme = await planted.value("SELECT id FROM programmes")
    path, closing, lines = f"/programmes/{programme}/statement", 0, 0
    for since, before in (("2025-09-01", "2026-01-01"), ("2026-01-01", "2026-07-15"), ("2026-07-15", "2026-11-20")):
        _, body = await planted.get(f"{path}?since={since}&before={before}", by=official)
        assert body["opening_fen"] == closing
        assert body["opening_fen"] + sum(total["change_fen"] for total in body["totals"]) == body["closing_fen"]
        closing, lines = body["closing_fen"], lines + body["lines"]
    assert lines == await planted.value("SELECT count(*) FROM ledger_entries WHERE at < '2026-11-20T00:00:00+08:00'")


async def test_all_pages_of_a_statement_are_its_lines(planted: World, clock: Clock) -> None:
    official = await planted.official(Role.PAYOUT_OFFICER)
    ctx = planted.context(official)
    subject = await statements.programme_subject(ctx, await planted.value("SELECT id FROM programmes"))
    period, seen, after = Period(date(2026, 1, 1), date(2026, 11, 20)), [], None
    while True:
        page = await statements.statement_lines(ctx, subject, period, Page(after, 100))
        seen += [(line["at"], line["id"]) for line in page["items"]]
        if (after := page["next"]) is None:
            break
    wanted = await planted.owner.fetch(
        "SELECT at, id FROM ledger_entries WHERE at >= '2026-01-01T00:00:00+08:00' AND at < '2026-11-20T00:00:00+08:00' ORDER BY at, id"
    )
    assert seen == [tuple(row) for row in wanted]
