"""The trail, its seals, and who may look: tampering as the tables' owner is found, and nobody else can tamper at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from handlers import audit
from handlers.audit import SEAL_EVERY, check_books, seal_due
from handlers.invariants import INVARIANTS
from handlers.transactions import rows
from models.accounts import Role
from tests.books import expect_broken
from tests.races import without
from tests.shop import Shop, open_shop
from tests.world import World

TABLE = {"audit": "audit_entries", "ledger": "ledger_entries"}
COLUMNS = {
    "audit": "at, role, action, subject, subject_id, data, request_id",
    "ledger": "programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at",
}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def settled(world: World, xid: int) -> None:
    """Wait until no transaction of this server, not even of another database, is older than `xid`."""
    while await world.value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") <= xid:
        await world.value("SELECT pg_sleep(0.005)")


async def seal_all(world: World, limit: int = 20_000) -> int:
    """Seal until nothing is left. Returns how many rows."""
    newest = await world.value(
        "SELECT greatest((SELECT max(txid::text::bigint) FROM audit_entries), (SELECT max(txid::text::bigint) FROM ledger_entries))"
    )
    await settled(world, newest)
    sealed = 0
    while done := await seal_due(world.context(), limit):
        sealed += done
        world.clock.advance(minutes=1)
    return sealed


async def behind_the_back(world: World, *statements: str) -> None:
    """As the tables' owner with triggers off: the attacker who has everything but the past."""
    async with world.owner.transaction():
        await world.owner.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await world.owner.execute(statement)


async def count(world: World) -> int:
    return int(await world.value("SELECT (SELECT count(*) FROM audit_entries) + (SELECT count(*) FROM ledger_entries)"))


# --- sealing -------------------------------------------------------------------------------------------------------------


async def test_every_row_is_sealed_once_and_the_chains_hold(shop: Shop) -> None:
    await shop.completed()
    written = await count(shop.world)
    assert await seal_all(shop.world) == written
    assert await seal_due(shop.world.context()) == 0
    await shop.paid()
    assert await seal_all(shop.world) == await count(shop.world) - written  # a minute later
    assert await shop.world.value("SELECT sum(rows) FROM seals") == await count(shop.world)
    assert await check_books() == {}


async def test_nothing_to_seal_writes_no_seal(world: World) -> None:
    assert await seal_due(world.context()) == 0
    assert await world.value("SELECT count(*) FROM seals") == 0


async def test_a_chain_is_sealed_once_a_minute_unless_more_rows_wait_than_a_seal_takes(shop: Shop) -> None:
    await shop.order()
    await settled(shop.world, await shop.world.value("SELECT max(txid::text::bigint) FROM audit_entries"))
    start = shop.world.clock.now()
    assert await seal_due(shop.world.context()) == 1
    await shop.paid()
    await settled(shop.world, await shop.world.value("SELECT max(txid::text::bigint) FROM audit_entries"))
    waiting = await shop.world.value("SELECT count(*) FROM audit_entries") - 1
    shop.world.clock.set(start + SEAL_EVERY - timedelta(microseconds=1))
    assert await seal_due(shop.world.context()) == await shop.world.value("SELECT count(*) FROM ledger_entries")  # its first seal
    assert await seal_due(shop.world.context(), waiting) == 0
    assert await seal_due(shop.world.context(), 1) == 1
    shop.world.clock.set(start + SEAL_EVERY - timedelta(microseconds=1) + SEAL_EVERY)
    assert await seal_due(shop.world.context()) == waiting - 1


async def test_small_seals_follow_each_other_and_never_divide_a_transaction(shop: Shop) -> None:
    await shop.completed()
    async with shop.world.owner.transaction():
        await shop.world.owner.execute(
            f"INSERT INTO audit_entries ({COLUMNS['audit']})"
            " SELECT now(), 'system', 'bulk', 'bulk', n, '{}', 'test' FROM generate_series(1, 50) n"
        )
    assert await seal_all(shop.world, limit=3) == await count(shop.world)
    seals = await shop.world.owner.fetch("SELECT * FROM seals WHERE chain = 'audit' ORDER BY upto_xid")
    assert len(seals) >= 3
    assert seals[-1]["rows"] == 50
    assert [seal["from_xid"] for seal in seals] == [0, *(seal["upto_xid"] for seal in seals[:-1])]
    assert "audit_chain_unbroken" not in await check_books()


async def test_two_machines_seal_everything_once(shop: Shop) -> None:
    await shop.completed()
    await settled(shop.world, await shop.world.value("SELECT max(txid::text::bigint) FROM audit_entries"))
    done = await asyncio.gather(*(seal_due(shop.world.context()) for _ in range(8)))
    assert sum(done) == await count(shop.world)
    assert await shop.world.value("SELECT count(*) FROM seals") == 2
    assert "audit_chain_unbroken" not in await check_books()


async def open_transaction(world: World, url: str) -> Any:
    """A transaction that has written its row and goes on."""
    slow = await asyncpg.connect(url)
    await slow.execute("BEGIN")
    await slow.execute(f"INSERT INTO audit_entries ({COLUMNS['audit']}) VALUES (now(), 'system', 'slow', 'slow', 1, '{{}}', 'test')")
    return slow


async def test_a_seal_does_not_pass_a_transaction_that_is_still_open(shop: Shop, database_urls: tuple[str, str]) -> None:
    slow = await open_transaction(shop.world, database_urls[1])
    xid = int(await slow.fetchval("SELECT pg_current_xact_id()::text::bigint"))
    await shop.order()  # commits while the other is open
    await settled(shop.world, xid - 1)
    assert await seal_due(shop.world.context()) == await shop.world.value(
        "SELECT count(*) FROM audit_entries WHERE txid < $1::text::xid8", str(xid)
    ) + await shop.world.value("SELECT count(*) FROM ledger_entries WHERE txid < $1::text::xid8", str(xid))
    await slow.execute("COMMIT")
    await slow.close()
    shop.world.clock.advance(minutes=1)
    await seal_all(shop.world)
    assert await shop.world.value("SELECT sum(rows) FROM seals WHERE chain = 'audit'") == await shop.world.value(
        "SELECT count(*) FROM audit_entries"
    )
    assert "audit_chain_unbroken" not in await check_books()


async def test_without_waiting_for_open_transactions_a_row_would_be_left_behind(
    shop: Shop, database_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "handlers.audit.COMPLETE", "pg_snapshot_xmin", "pg_snapshot_xmax")
    slow = await open_transaction(shop.world, database_urls[1])
    await shop.order()
    await seal_due(shop.world.context())
    await slow.execute("COMMIT")
    await slow.close()
    [found] = (await check_books())["audit_chain_unbroken"]
    assert found["reason"] == "rows"
    expect_broken("audit_chain_unbroken")


# --- tampering -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", ["audit", "ledger"])
@pytest.mark.parametrize(("change", "reason"), [
    ("UPDATE {table} SET at = at + interval '1 microsecond' WHERE id = (SELECT min(id) FROM {table})", "digest"),
    ("DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table})", "rows"),
    ("INSERT INTO {table} ({columns}, txid) SELECT {columns}, txid FROM {table} ORDER BY id LIMIT 1", "rows"),
    ("UPDATE seals SET sealed_at = sealed_at + interval '1 microsecond' WHERE chain = '{chain}'", "digest"),
    ("UPDATE seals SET rows = rows + 1 WHERE chain = '{chain}'", "rows"),
    ("UPDATE seals SET from_xid = 1 WHERE chain = '{chain}'", "not_linked"),
])
async def test_whoever_changes_the_past_is_found(shop: Shop, chain: str, change: str, reason: str) -> None:
    await shop.completed()
    await seal_all(shop.world)
    first = await shop.world.value("SELECT id FROM seals WHERE chain = $1", chain)
    await behind_the_back(shop.world, change.format(table=TABLE[chain], columns=COLUMNS[chain], chain=chain))
    broken = await check_books()
    [found] = broken[f"{chain}_chain_unbroken"]
    assert (found["seal_id"], found["reason"]) == (first, reason)
    expect_broken(*broken)


async def test_a_seal_made_anew_over_a_changed_past_does_not_fit_the_next(shop: Shop) -> None:
    await shop.order()
    await seal_all(shop.world)
    await shop.paid()
    await seal_all(shop.world)
    first, second = await shop.world.owner.fetch("SELECT * FROM seals WHERE chain = 'audit' ORDER BY upto_xid")
    await behind_the_back(shop.world, "UPDATE audit_entries SET role = 'nobody' WHERE id = (SELECT min(id) FROM audit_entries)")
    forged = await audit._digest(
        shop.world.owner, audit.CHAINS["audit"], audit.NOTHING, 0, first["upto_xid"], first["sealed_at"], 10
    )
    await behind_the_back(shop.world, f"UPDATE seals SET digest = '\\x{forged['digest'].hex()}' WHERE id = {first['id']}")
    [found] = (await check_books())["audit_chain_unbroken"]
    assert (found["seal_id"], found["reason"]) == (second["id"], "not_linked")
    expect_broken("audit_chain_unbroken", "seals_follow_each_other")


@pytest.mark.parametrize("table", ["audit_entries", "ledger_entries", "seals"])
@pytest.mark.parametrize("statement", ["UPDATE {table} SET id = id", "DELETE FROM {table}", "TRUNCATE {table}"])
async def test_the_application_cannot_change_the_past(shop: Shop, table: str, statement: str) -> None:
    await shop.paid()
    await seal_all(shop.world)
    before = await shop.world.snapshot(table)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(statement.format(table=table))
    with pytest.raises(asyncpg.RestrictViolationError):
        await shop.world.owner.execute(statement.format(table=table))
    assert await shop.world.snapshot(table) == before


# --- what is written -----------------------------------------------------------------------------------------------------


async def test_every_change_of_state_writes_exactly_one_row(shop: Shop) -> None:
    order_id = await shop.delivered()
    await shop.ok(shop.buyer, order_id, "rework", {"reason": "附件缺失"})
    await shop.ok(shop.seller, order_id, "handovers", {"summary": "附注页已补齐"})
    await shop.ok(shop.buyer, order_id, "completion")
    written = await shop.world.owner.fetch(
        "SELECT action, before, after, role, person_id, organisation_id, request_id FROM audit_entries"
        " WHERE subject = 'order' AND subject_id = $1 ORDER BY id", order_id,
    )
    assert [(row["action"], row["before"], row["after"]) for row in written] == [
        ("order.placed", None, "unpaid"), ("order.paid", "unpaid", "paid"), ("order.accepted", "paid", "accepted"),
        ("order.delivered", "accepted", "delivered"), ("order.sent_back", "delivered", "accepted"),
        ("order.delivered", "accepted", "delivered"), ("order.completed", "delivered", "completed"),
    ]
    assert {(row["role"], row["person_id"], row["organisation_id"]) for row in written} == {
        ("owner", shop.buyer.person_id, shop.buyer.organisation_id), ("owner", shop.seller.person_id, shop.seller.organisation_id),
    }
    assert len({row["request_id"] for row in written}) == 7


# --- looking -------------------------------------------------------------------------------------------------------------


async def test_an_administrator_of_the_platform_reads_the_trail_page_by_page(shop: Shop) -> None:
    order_id = await shop.completed()
    admin = await shop.world.official(Role.ADMIN, region_code=None)
    path = f"/audit?subject=order&subject_id={order_id}"
    status, whole = await shop.world.get(path, by=admin)
    assert status == 200
    assert [entry["action"] for entry in whole["items"]] == [
        "order.completed", "order.delivered", "order.accepted", "order.paid", "order.placed",
    ]
    assert whole["items"][0]["before"] == "delivered"
    _, first = await shop.world.get(f"{path}&limit=3", by=admin)
    _, second = await shop.world.get(f"{path}&limit=3&after={first['next']}", by=admin)
    assert first["items"] + second["items"] == whole["items"]
    assert second["next"] is None


async def test_seals_are_shown_so_that_somebody_else_can_keep_them(shop: Shop) -> None:
    await shop.order()
    await seal_all(shop.world)
    admin = await shop.world.official(Role.ADMIN, region_code=None)
    status, body = await shop.world.get("/audit/seals", by=admin)
    stored = await shop.world.one("SELECT * FROM seals WHERE chain = 'audit'")
    assert (status, [(seal["id"], seal["digest"]) for seal in body["items"]]) == (200, [(stored["id"], stored["digest"].hex())])
    assert (await shop.world.get("/audit/seals?chain=ledger", by=admin))[1]["items"] == []


async def test_nobody_else_reads_the_trail(shop: Shop) -> None:
    order_id = await shop.order()
    for path in (f"/audit?subject=order&subject_id={order_id}", "/audit/seals"):
        for by, code in (
            (shop.buyer, "not_your_role"), (await shop.world.official(Role.REVIEWER), "not_your_role"),
            (await shop.world.official(Role.ADMIN), "outside_jurisdiction"),
        ):
            status, problem = await shop.world.get(path, by=by)
            assert (status, problem["code"]) == (403, code)
        assert (await shop.world.get(path))[0] == 401


async def test_the_books_are_proved_once_a_night_and_a_missed_night_is_made_up_for(world: World) -> None:
    world.clock.set(datetime(2026, 3, 2, 18, 59, 59, tzinfo=UTC))  # 02:59:59 in Shanghai: still the night before
    assert [await world.sweep(audit.check_nightly) for _ in range(2)] == [1, 0]
    world.clock.advance(seconds=1)
    assert [await world.sweep(audit.check_nightly) for _ in range(2)] == [1, 0]
    world.clock.advance(days=3)
    assert [await world.sweep(audit.check_nightly) for _ in range(2)] == [1, 0]
    days = await world.owner.fetch("SELECT action, subject_id FROM audit_entries WHERE subject = 'books' ORDER BY id")
    assert [tuple(day) for day in days] == [("books.proved", 20260302), ("books.proved", 20260303), ("books.proved", 20260306)]


async def test_a_break_is_told_to_the_administrators(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INVARIANTS, "broken", "SELECT 1 AS number")
    try:
        assert await world.sweep(audit.check_nightly) == 1
    finally:
        monkeypatch.undo()
    assert await world.value("SELECT role FROM events WHERE subject = 'books'") == "admin"
    assert await world.value("SELECT data->>'broken' FROM audit_entries WHERE subject = 'books'") == '["broken"]'
