"""When more than three messages waited for one person on one channel, one takes their place; all of them are in the inbox (5.2)."""

from collections import Counter

import pytest

from handlers import digests
from handlers.deliveries import deliver_due
from handlers.digests import release_held
from handlers.notices import open_events
from handlers.ports import Outcome, SendResult
from handlers.transactions import transaction
from tests.test_notice_preferences import Reach, at, reach  # noqa: F401 - the fixture
from tests.world import World


@pytest.fixture
async def night(reach: Reach) -> Reach:  # noqa: F811
    """At eleven in the evening; digests are expected in WeChat."""
    await reach.world.owner.execute(
        "INSERT INTO subscriptions (identity_id, template, remaining, updated_at) VALUES ($1,'digest',1,now())", reach.me.identity_id
    )
    reach.world.clock.set(at("2026-03-02", "23:00"))
    return reach


async def morning(night: Reach) -> None:
    night.world.clock.set(at("2026-03-03", "08:00"))
    await night.world.sweep(release_held)
    await night.world.sweep(open_events)
    await night.deliver()


@pytest.mark.parametrize(("count", "got"), [
    (1, {"order_accepted": 1}), (3, {"order_accepted": 3}), (4, {"digest": 1}), (9, {"digest": 1}),
])
async def test_more_than_three_become_one_and_three_do_not(night, count, got):
    for number in range(count):
        await night.tell(number=number + 1)
    await morning(night)
    assert Counter(night.got()["wechat_subscribe"]) == got
    states = Counter(state for _, state in await night.states())
    assert states == ({"superseded": count, "delivered": 1} if count > 3 else {"delivered": count})


async def test_a_digest_says_how_many_and_every_message_is_still_in_the_inbox_unread(night):
    for number in (1, 2, 3, 4, 5):
        await night.tell(number=number)
    await morning(night)
    (sent,) = night.gateways["wechat_subscribe"].sent
    assert (sent.title, sent.body, sent.page) == ("您有 5 条新消息", "您有 5 条新消息，请在消息中心查看。", "pages/notices/index")
    assert sent.fields["count"] == "5"
    _, inbox = await night.world.get("/notices", by=night.me)
    assert [(each["kind"], each["is_superseded"], each["read_at"] is None) for each in inbox["items"]] == [
        ("digest", False, False), *[("order_accepted", False, True)] * 5,
    ]
    assert (await night.world.get("/notices/unread-count", by=night.me))[1] == {"count": 5}


async def test_each_channel_of_each_person_is_counted_by_itself(night):
    other = await night.world.enterprise()
    for number in (1, 2, 3, 4):
        await night.tell(number=number)
    for number in (1, 2, 3):
        async with transaction(night.world.context()) as tx:
            tx.announce("order_accepted", "order", number, person_id=other.person_id, number=f"M{number}", service="审计")
    await night.wish({"orders": ["wechat_subscribe"]})
    for number in (5, 6, 7):
        await night.tell(number=number)
    await night.world.owner.execute("UPDATE deliveries SET state = 'held', due_at = $1 WHERE state = 'planned'", at("2026-03-03", "08:00"))
    await morning(night)
    mine = [message.kind for message in night.gateways["wechat_subscribe"].sent if message.open_id == night.me.open_id]
    theirs = [message.kind for message in night.gateways["wechat_subscribe"].sent if message.open_id == other.open_id]
    assert (mine, theirs) == (["digest"], ["order_accepted"] * 3)
    assert night.got()["dingtalk_notice"] == ["order_accepted"] * 3


async def test_where_wechat_would_refuse_the_digest_the_messages_go_one_by_one(night):
    await night.world.owner.execute("UPDATE subscriptions SET remaining = 0")
    for number in (1, 2, 3, 4):
        await night.tell(number=number)
    await morning(night)
    assert night.got() == {"wechat_subscribe": ["order_accepted"] * 4}


async def test_a_digest_that_does_not_get_through_goes_to_the_next_channel(night):
    for number in (1, 2, 3, 4):
        await night.tell(number=number)
    night.gateways["wechat_subscribe"].answers = [SendResult(Outcome.NO_CONSENT, error="43101")]
    await morning(night)
    assert night.got() == {"dingtalk_notice": ["digest"]}


async def test_conclusions_by_mail_beside_the_chain_are_digested_for_their_reader_too(night):
    for number in (1, 2, 3, 4):
        await night.tell("approval_result", number, title="认证", result="approved")
    await morning(night)
    assert night.got() == {"wechat_subscribe": ["digest"], "email": ["digest"]}


async def test_two_machines_make_one_digest(night):
    import asyncio

    for number in (1, 2, 3, 4):
        await night.tell(number=number)
    night.world.clock.set(at("2026-03-03", "08:00"))
    done = await asyncio.gather(*(release_held(night.world.context()) for _ in range(4)))
    assert sorted(done) == [0, 0, 0, 4]
    assert await night.world.value("SELECT count(*) FROM events WHERE kind = 'digest'") == 1


async def test_a_batch_takes_whole_readers(night, monkeypatch):
    other = await night.world.enterprise()
    for number in (1, 2, 3, 4):
        await night.tell(number=number)
        async with transaction(night.world.context()) as tx:
            tx.announce("order_accepted", "order", number, person_id=other.person_id, number=f"M{number}", service="审计")
    await night.world.sweep(open_events)
    night.world.clock.set(at("2026-03-03", "08:00"))
    assert [await release_held(night.world.context(), limit=1) for _ in range(3)] == [4, 4, 0]


async def test_bare_addresses_are_never_digested(world: World):
    from handlers.outside import tell_outside
    from tests.fakes import Gateway

    mail = Gateway("mail")
    world.ports.senders["email"] = mail
    world.clock.set(at("2026-03-02", "23:00"))
    async with transaction(world.context()) as tx:
        for number in range(5):
            tell_outside(tx, "approval_result", email="anna@example.com", subject="application", subject_id=number, title="认证",
                         result="approved")
    await world.sweep(open_events)
    assert await world.sweep(deliver_due) == 0
    world.clock.set(at("2026-03-03", "08:00"))
    assert await world.sweep(release_held) == 5
    assert await world.sweep(deliver_due) == 5
    assert [message.kind for message in mail.sent] == ["approval_result"] * 5
    assert digests.MANY == 3
