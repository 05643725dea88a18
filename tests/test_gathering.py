"""Questions asked together: everybody gets their own answer, in few statements, and nobody another one's trouble."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.gathering import LARGEST, SIZES, Question, together
from tests.chats import until

pytestmark = pytest.mark.usefixtures("database")

DOUBLE = "SELECT $1::int * 2 AS twice, $2::text AS word WHERE $1 % 3 > 0"
KINDS = ("int", "text")


class Asking:
    """A pool, and how many questions each statement that went to it has answered."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.statements: list[int] = []

    def question(self, sql: str = DOUBLE, kinds: tuple[str, ...] = KINDS) -> Question:
        sizes = {together(sql, kinds, size): size for size in SIZES} | {sql: 1}

        async def fetch(statement: str, *args: object) -> list[Any]:
            self.statements.append(sizes[statement])
            return list(await self.pool.fetch(statement, *args))

        return Question(fetch, sql, kinds)


@pytest.fixture
async def asking(database_urls: tuple[str, str]) -> AsyncIterator[Asking]:
    async with asyncpg.create_pool(database_urls[1], min_size=1, max_size=4) as pool:
        yield Asking(pool)


def shown(row: Any) -> tuple[int, str] | None:
    return (row["twice"], row["word"]) if row is not None else None


def answer(number: int, word: str) -> tuple[int, str] | None:
    return (number * 2, word) if number % 3 > 0 else None


async def test_who_asks_alone_is_asked_for_alone(asking: Asking) -> None:
    question = asking.question()
    assert shown(await question.ask(2, "二")) == (4, "二")
    assert await question.ask(3, "三") is None
    assert asking.statements == [1, 1]


async def test_a_crowd_is_answered_in_few_statements_and_each_gets_the_own_answer(asking: Asking) -> None:
    question = asking.question()
    answers = await asyncio.gather(*(question.ask(number, f"第{number}") for number in range(100)))
    assert [shown(row) for row in answers] == [answer(number, f"第{number}") for number in range(100)]
    assert sorted(asking.statements) == [4, *[LARGEST] * 6]  # 6 x 16, and four that are left


@given(crowds=st.lists(st.lists(st.tuples(st.integers(0, 99), st.text("甲乙丙丁", max_size=3)), max_size=40), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whoever_asks_whatever_with_whomever(asking: Asking, crowds: list[list[tuple[int, str]]]) -> None:
    question = asking.question()

    async def crowd(members: list[tuple[int, str]]) -> None:
        answers = await asyncio.gather(*(question.ask(*each) for each in members))
        assert [shown(row) for row in answers] == [answer(*each) for each in members]

    await asyncio.gather(*(crowd(members) for members in crowds))


async def test_what_cannot_be_asked_is_the_trouble_of_who_asks_it(asking: Asking) -> None:
    """Refused by the driver (no number), and by the server (division by zero)."""
    question = asking.question("SELECT 12 / $1::int AS part", ("int",))
    answers: list[Any] = await asyncio.gather(*(question.ask(each) for each in (1, "x", 2, 0, 3)), return_exceptions=True)
    assert [each["part"] for each in (answers[0], answers[2], answers[4])] == [12, 6, 4]
    assert isinstance(answers[1], asyncpg.DataError)
    assert isinstance(answers[3], asyncpg.DivisionByZeroError)


async def test_a_statement_that_fails_fails_all_who_asked_and_nobody_after_them(asking: Asking) -> None:
    question = asking.question("SELECT n * $1::int AS n FROM numbers", ("int",))
    answers = await asyncio.gather(*(question.ask(each) for each in range(5)), return_exceptions=True)
    assert [type(each) for each in answers] == [asyncpg.UndefinedTableError] * 5
    await asking.pool.execute("CREATE TEMP TABLE numbers AS SELECT 7 AS n")  # seen by the pool's only open connection
    assert [row["n"] for row in [await question.ask(each) for each in range(2)]] == [0, 7]


class Held:
    """A question whose statements stand until `let_go`: they want a lock that somebody has."""

    SQL = "SELECT (SELECT count(*) FROM pg_class WHERE relname = $1) AS found FROM pg_advisory_xact_lock_shared(77)"

    def __init__(self, asking: Asking, holder: asyncpg.Connection) -> None:
        self.asking, self.holder = asking, holder
        self.question = asking.question(self.SQL, ("text",))

    async def fill(self) -> list[asyncio.Task[Any]]:
        """As many statements as may be under way, each of them at the lock."""
        await self.holder.execute("SELECT pg_advisory_lock(77)")
        under_way = []
        for number in (1, 2):
            under_way.append(asyncio.create_task(self.question.ask("pg_class")))
            await until(self._at_the_lock(number))
        return under_way

    def _at_the_lock(self, number: int) -> Callable[[], Awaitable[object]]:
        count = "SELECT count(*) = $1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return lambda: self.holder.fetchval(count, number)

    async def let_go(self) -> None:
        await self.holder.execute("SELECT pg_advisory_unlock(77)")


@pytest.fixture
async def held(asking: Asking, database_urls: tuple[str, str]) -> AsyncIterator[Held]:
    holder = await asyncpg.connect(database_urls[0])
    yield Held(asking, holder)
    await holder.close()


async def test_who_comes_later_reads_later(held: Held) -> None:
    """What is committed before somebody asks is in the answer, although others were being answered already."""
    under_way = await held.fill()
    await held.holder.execute("CREATE TABLE made_meanwhile ()")
    later = [asyncio.create_task(held.question.ask("made_meanwhile")) for _ in range(3)]
    await held.let_go()
    assert [(await task)["found"] for task in later] == [1, 1, 1]
    assert [(await task)["found"] for task in under_way] == [1, 1]
    assert held.asking.statements == [1, 1, 4]
    await held.holder.execute("DROP TABLE made_meanwhile")


async def test_who_goes_meanwhile_takes_nobody_along(held: Held) -> None:
    under_way = await held.fill()
    later = [asyncio.create_task(held.question.ask("pg_class")) for _ in range(3)]
    await asyncio.sleep(0)
    under_way[0].cancel()
    later[1].cancel()
    await held.let_go()
    done = await asyncio.gather(*under_way, *later, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [True, False, False, True, False]
    assert held.asking.statements == [1, 1, 4]
    assert (await held.question.ask("pg_class"))["found"] == 1


async def test_who_is_not_asked_for_within_a_second_hears_of_it(held: Held) -> None:
    under_way = await held.fill()
    with pytest.raises(TimeoutError):
        await held.question.ask("pg_class")
    await held.let_go()
    await asyncio.gather(*under_way)
    assert held.asking.statements == [1, 1]


async def test_nobody_waits_for_what_is_closed(held: Held) -> None:
    under_way = await held.fill()
    later = asyncio.create_task(held.question.ask("pg_class"))
    await asyncio.sleep(0)
    held.question.close()
    async with asyncio.timeout(10):
        done = await asyncio.gather(*under_way, later, return_exceptions=True)
    assert [type(each) for each in done] == [asyncio.CancelledError, asyncio.CancelledError, TimeoutError]
    assert held.asking.statements == [1, 1]
    await held.let_go()
