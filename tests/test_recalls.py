"""What was sent and is pointless by now is taken back where the platform can, for a day; the inbox always says so (5.2)."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from handlers.deliveries import ask_receipts, deliver_due
from handlers.notices import open_events
from handlers.ports import Outcome, SendResult
from handlers.recalls import recall_due
from handlers.transactions import transaction
from models.accounts import Role
from tests.applications import applicant, submitted_certification
from tests.test_deliveries import ACCEPTED, Platform
from tests.test_gateways import message, ours, platforms  # noqa: F401 - the fixtures
from tests.world import SHIZHONG, Member, World


@dataclass
class DingTalk(Platform):
    """Answers a recall from `recalls`, then DELIVERED: it is gone."""

    recalls: list[SendResult] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)

    async def recall(self, provider_id: str) -> SendResult:
        self.recalled.append(provider_id)
        return self.recalls.pop(0) if self.recalls else SendResult(Outcome.DELIVERED, provider_id)


@pytest.fixture
async def dingtalk(world: World) -> DingTalk:
    found = DingTalk("ding-test")
    world.ports.senders["dingtalk_notice"] = world.ports.recallers["dingtalk_notice"] = found
    return found


async def reviewer(world: World) -> Member:
    """Certifications are an administrator's to review."""
    office = await world.official(Role.ADMIN, region_code=SHIZHONG)
    await world.owner.execute("UPDATE identities SET platform = 'dingtalk', app_id = 'ding-test' WHERE id = $1", office.identity_id)
    return office


async def told(world: World, dingtalk: DingTalk) -> None:
    dingtalk.answers = [ACCEPTED]
    someone = await reviewer(world)
    async with transaction(world.context()) as tx:
        tx.announce("approval_waiting", "approval", 5, person_id=someone.person_id, title="企业认证")
    await world.sweep(open_events)
    assert await world.sweep(deliver_due) == 1


async def closed(world: World) -> None:
    async with transaction(world.context()) as tx:
        tx.announce("approval_closed", "approval", 5)
    await world.sweep(open_events)


async def delivery(world: World) -> tuple[object, ...]:
    return tuple(await world.one("SELECT state, finished_at, error FROM deliveries"))


async def states_of(world: World, kind: str) -> list[str]:
    found = await world.owner.fetch("SELECT d.state FROM deliveries d JOIN notices n ON n.id = d.notice_id WHERE n.kind = $1", kind)
    return [each["state"] for each in found]


async def test_when_one_reviewer_has_decided_the_others_notices_are_withdrawn(world, dingtalk):
    decider, colleague = await reviewer(world), await reviewer(world)
    approval = await submitted_certification(world, await applicant(world))
    await world.sweep(open_events)
    dingtalk.answers = [SendResult(Outcome.ACCEPTED, provider_id="7001"), SendResult(Outcome.ACCEPTED, provider_id="7002")]
    assert await world.sweep(deliver_due) == 2
    status, answer = await world.post(f"/approvals/{approval}/approval", by=decider)
    assert status == 200, answer
    await world.sweep(open_events)
    assert await world.sweep(recall_due) == 2
    assert sorted(dingtalk.recalled) == ["7001", "7002"]
    assert await states_of(world, "approval_waiting") == ["recalled", "recalled"]
    _, inbox = await world.get("/notices", by=colleague)
    assert [(notice["kind"], notice["is_superseded"]) for notice in inbox["items"]] == [("approval_waiting", True)]


async def test_withdrawing_the_case_takes_the_notices_back_too(world, dingtalk):
    owner = await applicant(world)
    await reviewer(world)
    await submitted_certification(world, owner)
    await world.sweep(open_events)
    dingtalk.answers = [ACCEPTED]
    await world.sweep(deliver_due)
    assert (await world.post("/certification/withdrawal", by=owner))[0] == 200
    await world.sweep(open_events)
    assert await world.sweep(recall_due) == 1
    assert (await delivery(world))[0] == "recalled"


async def test_what_arrived_is_recalled_for_a_day_and_not_an_instant_longer(world, dingtalk):
    await told(world, dingtalk)
    world.clock.advance(minutes=1)
    dingtalk.receipts = {"256271667526": SendResult(Outcome.DELIVERED, "256271667526")}
    await world.sweep(ask_receipts)
    began = world.clock.now() - timedelta(minutes=1)
    world.clock.set(began + timedelta(hours=24))
    await closed(world)
    assert await world.sweep(recall_due) == 0
    assert (await delivery(world))[0] == "delivered"
    assert await world.value("SELECT superseded_at FROM notices") == world.clock.now()


async def test_an_instant_before_the_day_is_over_it_is_still_asked_for(world, dingtalk):
    await told(world, dingtalk)
    world.clock.advance(minutes=1)
    dingtalk.receipts = {"256271667526": SendResult(Outcome.DELIVERED, "256271667526")}
    await world.sweep(ask_receipts)
    world.clock.set(world.at(hours=24, minutes=-1) - timedelta(microseconds=1))
    await closed(world)
    assert await world.sweep(recall_due) == 1
    assert await delivery(world) == ("recalled", world.clock.now(), None)


async def test_a_platform_that_refuses_leaves_it_delivered(world, dingtalk):
    await told(world, dingtalk)
    await closed(world)
    dingtalk.recalls = [SendResult(Outcome.REFUSED, error="400002")]
    assert await world.sweep(recall_due) == 1
    assert await world.sweep(recall_due) == 0
    assert await delivery(world) == ("delivered", world.clock.now(), "400002")


async def test_a_platform_that_is_busy_is_asked_again_until_it_has_forgotten(world, dingtalk):
    await told(world, dingtalk)
    began = world.clock.now()
    await closed(world)
    while (await delivery(world))[0] == "recalling":
        dingtalk.recalls = [SendResult(Outcome.RETRY, error="-1")]
        world.clock.set(max(world.clock.now(), await world.value("SELECT due_at FROM deliveries")))
        await world.sweep(recall_due)
    assert (await delivery(world))[0] == "delivered"
    assert world.clock.now() < began + timedelta(hours=24)
    assert len(dingtalk.recalled) > 20


async def test_a_platform_without_recall_keeps_what_it_delivered(world):
    someone = await world.enterprise()
    async with transaction(world.context()) as tx:
        tx.announce("order_paid", "order", 5, person_id=someone.person_id, number="N5", service="审计")
    await world.sweep(open_events)
    await world.sweep(deliver_due)
    async with transaction(world.context()) as tx:
        tx.announce("order_accepted", "order", 5, person_id=someone.person_id, number="N5", service="审计")
    await world.sweep(open_events)
    assert await world.sweep(recall_due) == 0
    assert await states_of(world, "order_paid") == ["delivered"]


async def test_two_machines_ask_once(world, dingtalk):
    import asyncio

    await told(world, dingtalk)
    await closed(world)
    done = await asyncio.gather(*(recall_due(world.context()) for _ in range(4)))
    assert (sum(done), dingtalk.recalled) == (1, ["256271667526"])


async def test_dingtalk_takes_a_notice_back_and_refuses_what_it_has_forgotten(platforms, ours):  # noqa: F811
    sender, person = ours.recallers["dingtalk_notice"], await platforms.person("赵审核", "dingtalk")
    sent = await ours.senders["dingtalk_notice"].send(message(person, "approval_waiting"))
    assert sent.provider_id is not None
    assert (await sender.recall(sent.provider_id)).outcome is Outcome.DELIVERED
    assert [each["recalled"] for each in await platforms.received(person)] == [True]
    await platforms.do("clock", advance_seconds=86_401)
    late = await sender.recall(sent.provider_id)
    assert (late.outcome, late.provider_id) == (Outcome.REFUSED, sent.provider_id)
    assert (await sender.recall("not a task")).outcome is Outcome.REFUSED
    await platforms.befall("*/recall", errcode=-1, errmsg="busy")
    assert (await sender.recall(sent.provider_id)).outcome is Outcome.RETRY
