"""A worker that is killed at any point of a conversation's step: the message has one effect and one answer (decision 0211)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import bot.worker
from bot.channels import Channels
from bot.conversation import converse
from handlers import inbound, orders
from handlers.inbound import release_expired
from handlers.transactions import step, transaction
from tests.chats import Chats
from tests.shop import Shop, open_shop

TABLES = ("orders", "handovers", "dialogues", "events", "audit_entries", "idempotency_keys", "bindings", "identities", "bot_identities")
# Where a worker dies, in the order of its work: behind the first three, and before anything is sent, which is after the commit.
POINTS: dict[str, tuple[Any, str]] = {
    "use-case": (orders, "send_back"), "understood": (bot.worker, "parts_of"), "kept": (inbound, "keep_answer"),
    "committed": (Channels, "send"),
}
LATER = list(POINTS)[1:]


class Killed(BaseException):
    """No `except Exception` sees it, as none sees a kill; PostgreSQL ends what was not committed, as it does when a process is gone."""


def kill_at(patch: pytest.MonkeyPatch, point: str) -> None:
    owner, name = POINTS[point]
    original = getattr(owner, name)

    async def dying(*args: Any, **kwargs: Any) -> None:
        if point != "committed":
            await original(*args, **kwargs)
        raise Killed

    def dying_at_once(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        raise Killed

    patch.setattr(owner, name, dying if asyncio.iscoroutinefunction(original) else dying_at_once)


async def talking(chats: Chats) -> tuple[Shop, int, str]:
    """An enterprise with a delivered order, in its chat."""
    chats.worker._converse = converse
    shop = await open_shop(chats.world)
    order_id = await shop.delivered()
    return shop, order_id, await chats.bound(shop.buyer)


async def die(chats: Chats, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, point)
        with pytest.raises(Killed):
            await chats.worker.turn()


async def come_back(chats: Chats) -> None:
    chats.advance(seconds=60)
    assert await chats.world.sweep(release_expired) == 1
    await chats.work()


async def number_of(chats: Chats, order_id: int) -> str:
    return str(await chats.world.value("SELECT number FROM orders WHERE id = $1", order_id))


@pytest.mark.parametrize("point", POINTS)
async def test_a_step_that_was_killed_has_one_effect_and_one_answer(chats: Chats, monkeypatch: pytest.MonkeyPatch, point: str):
    _, order_id, key = await talking(chats)
    before, told = await chats.world.snapshot(*TABLES), len(await chats.received(key))
    await chats.push(key, f"未完成 {await number_of(chats, order_id)} 缺少附件")
    await die(chats, monkeypatch, point)
    done = point == "committed"
    assert (await chats.world.snapshot(*TABLES) != before) is done  # all of it, or nothing
    assert len(await chats.received(key)) == told
    await come_back(chats)
    assert await chats.world.value("SELECT rework_count FROM orders WHERE id = $1", order_id) == 1
    answers = (await chats.received(key))[told:]
    assert len(answers) == 1
    assert "已退回" in answers[0], answers
    assert (await chats.states())[-1] == "done"


async def test_without_the_step_the_answer_says_the_opposite_of_what_was_done(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    """The control: the use-case's own commit, then a kill, then the same sentence understood anew."""
    @asynccontextmanager
    async def no_step() -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(inbound, "step", no_step)
    _, order_id, key = await talking(chats)
    await chats.push(key, f"未完成 {await number_of(chats, order_id)} 缺少附件")
    await die(chats, monkeypatch, "understood")
    assert await chats.world.value("SELECT rework_count FROM orders WHERE id = $1", order_id) == 1
    await come_back(chats)
    assert "已退回" not in (await chats.received(key))[-1]


@pytest.mark.parametrize("point", LATER)
async def test_a_question_is_asked_once_and_its_answer_fits_it(chats: Chats, monkeypatch: pytest.MonkeyPatch, point: str):
    _, order_id, key = await talking(chats)
    await chats.push(key, f"确认完成 {await number_of(chats, order_id)}")
    await die(chats, monkeypatch, point)
    await come_back(chats)
    assert await chats.world.value("SELECT version FROM dialogues") == 1
    await chats.push(key, "确认")
    await die(chats, monkeypatch, point)
    await come_back(chats)
    assert "已确认完成" in (await chats.received(key))[-1]
    assert await chats.world.value("SELECT count(*) FROM audit_entries WHERE action = 'order.completed'") == 1


@pytest.mark.parametrize("point", LATER)
async def test_a_binding_code_is_used_once_and_answered_with_what_it_did(chats: Chats, monkeypatch: pytest.MonkeyPatch, point: str):
    member = await chats.world.enterprise()
    key = await chats.follower()
    _, shown = await chats.world.post("/bindings", by=member)
    await chats.push(key, shown["code"])
    await die(chats, monkeypatch, point)
    await come_back(chats)
    assert (await chats.received(key))[-1].startswith("绑定成功")
    assert await chats.world.value("SELECT wrong_codes FROM talk_windows") == 0


async def test_a_worker_that_lost_its_lease_has_done_nothing(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    _, order_id, key = await talking(chats)
    await chats.push(key, f"未完成 {await number_of(chats, order_id)} 缺少附件")
    keep = inbound.keep_answer

    async def too_late(*args: Any) -> bool:
        """Meanwhile the lease ended, and somebody else took the message: the number of attempts is the fence."""
        await chats.world.owner.execute("UPDATE inbound_messages SET attempts = attempts + 1 WHERE state = 'working'")
        return await keep(*args)

    before, told = await chats.world.snapshot(*TABLES), len(await chats.received(key))
    with monkeypatch.context() as late:
        late.setattr(inbound, "keep_answer", too_late)
        await chats.worker.turn()
    assert await chats.world.snapshot(*TABLES) == before
    await come_back(chats)
    assert await chats.world.value("SELECT rework_count FROM orders WHERE id = $1", order_id) == 1
    assert len(await chats.received(key)) == told + 1


# --- the step itself ----------------------------------------------------------------------------------------------------


async def test_a_refusal_within_a_step_undoes_its_use_case_and_nothing_else(chats: Chats):
    ctx = chats.world.context()
    add = "INSERT INTO review_digests (person_id, day, waiting, late, sent_at) VALUES ($1, $2, 1, 0, $3)"
    (first, *_), (second, *_) = await chats.world.person(), await chats.world.person()
    async with step():
        async with transaction(ctx) as tx:
            await tx.run(add, first, ctx.now.date(), ctx.now)
        with pytest.raises(ZeroDivisionError):
            async with transaction(ctx) as tx:
                await tx.run(add, second, ctx.now.date(), ctx.now)
                raise ZeroDivisionError
    assert [row["person_id"] for row in await chats.world.owner.fetch("SELECT person_id FROM review_digests")] == [first]


async def test_steps_do_not_nest_and_neither_do_use_cases_within_them(chats: Chats):
    ctx = chats.world.context()
    with pytest.raises(RuntimeError, match="do not nest"):
        async with step(), step():
            pass
    with pytest.raises(RuntimeError, match="do not nest"):
        async with step(), transaction(ctx), transaction(ctx):
            pass


async def test_a_task_of_its_own_never_uses_the_steps_connection(chats: Chats):
    from handlers.transactions import rows

    async with step():
        with pytest.raises(RuntimeError, match="must not use its connection"):
            await asyncio.create_task(rows("SELECT 1"))
