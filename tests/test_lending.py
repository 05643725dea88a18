"""Connections handed on between requests: in order, never twice, never a dead one, none lost to a cancelled request."""

import asyncio

import asyncpg
import pytest

from models.lending import Lender

pytestmark = pytest.mark.usefixtures("database")


async def pool_of(urls: tuple[str, str], most: int) -> asyncpg.Pool:
    return await asyncpg.create_pool(urls[1], min_size=1, max_size=most)


async def pid_of(connection: asyncpg.Connection) -> int:
    found: int = await connection.fetchval("SELECT pg_backend_pid()")
    return found


async def test_a_connection_is_used_again_and_never_by_two(database_urls: tuple[str, str]) -> None:
    pool = await pool_of(database_urls, 2)
    lender = Lender(pool)
    first, second = await lender.take(), await lender.take()
    pids = {await pid_of(first), await pid_of(second)}
    assert len(pids) == 2
    await lender.give_back(first)
    assert lender.use == (2, 1)
    assert await lender.take() is first
    await lender.give_back(first)
    await lender.give_back(second)
    await lender.close()
    await pool.close()


async def test_who_waits_is_served_in_order_and_gives_up_after_a_second(database_urls: tuple[str, str]) -> None:
    pool = await pool_of(database_urls, 1)
    lender, served = Lender(pool), []
    held = await lender.take()

    async def use(name: str) -> None:
        connection = await lender.take()
        served.append(name)
        await lender.give_back(connection)

    waiting = [asyncio.create_task(use(name)) for name in "abc"]
    await asyncio.sleep(0)
    await lender.give_back(held)
    await asyncio.gather(*waiting)
    assert served == ["a", "b", "c"]

    held = await lender.take()
    with pytest.raises(TimeoutError):
        await lender.take()
    await lender.give_back(held)
    assert lender.use == (1, 1)
    await lender.close()
    await pool.close()


async def test_a_request_that_is_cancelled_in_its_turn_passes_the_connection_on(database_urls: tuple[str, str]) -> None:
    pool = await pool_of(database_urls, 1)
    lender = Lender(pool)
    held = await lender.take()
    cancelled, next_one = asyncio.create_task(lender.take()), asyncio.create_task(lender.take())
    await asyncio.sleep(0)
    await lender.give_back(held)  # it is the first one's turn, who has not run since
    cancelled.cancel()
    assert await next_one is held
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await lender.give_back(held)
    assert lender.use == (1, 1)
    await lender.close()
    await pool.close()


@pytest.mark.parametrize("when", ["lent", "idle"])
async def test_a_connection_that_the_server_has_ended_is_replaced(
    database_urls: tuple[str, str], owner: asyncpg.Connection, when: str
) -> None:
    pool = await pool_of(database_urls, 1)
    lender = Lender(pool)
    connection = await lender.take()
    pid = await pid_of(connection)
    if when == "idle":
        await lender.give_back(connection)
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    await owner.execute("SELECT pg_terminate_backend($1)", pid)
    await asyncio.wait_for(ended.wait(), 5)
    if when == "lent":
        await lender.give_back(connection)
    again = await lender.take()
    assert await pid_of(again) != pid
    await lender.give_back(again)
    assert lender.use == (1, 1)
    await lender.close()
    await pool.close()


async def test_a_connection_given_back_inside_a_transaction_is_cleaned(database_urls: tuple[str, str]) -> None:
    pool = await pool_of(database_urls, 1)
    lender = Lender(pool)
    connection = await lender.take()
    await connection.execute("BEGIN")
    await lender.give_back(connection)
    assert lender.use == (0, 0)
    again = await lender.take()
    assert not again.is_in_transaction()
    await lender.give_back(again)
    await lender.close()
    await pool.close()
