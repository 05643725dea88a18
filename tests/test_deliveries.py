"""Sending: in order for each person, with leases, consents, fallbacks, receipts and 48 hours of tries (F23)."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import pytest

from handlers import deliveries
from handlers.deliveries import CLAIM, LEASE, RECEIPTS_AFTER, Pauses, ask_receipts, backoff_seconds, deliver_due, release_expired
from handlers.housekeeping import Beat, keep_heartbeats
from handlers.notices import open_events
from handlers.ports import Message, Outcome, SendResult
from handlers.transactions import rows, transaction
from models.accounts import OrganisationKind, Role
from models.notices import DELIVERY_GRAPH, DeliveryState
from tests.fakes import Gateway
from tests.races import without
from tests.world import Member, World

NO_CONSENT = SendResult(Outcome.NO_CONSENT, error="43101 user refuse to accept the msg")
RETRY = SendResult(Outcome.RETRY, error="-1 system error")
REFUSED = SendResult(Outcome.REFUSED, error="40003 invalid openid")
ACCEPTED = SendResult(Outcome.ACCEPTED, provider_id="256271667526", retry_after_seconds=60)
DELIVERED = SendResult(Outcome.DELIVERED)
UNKNOWN = SendResult(Outcome.RETRY, provider_id="256271667526")


@dataclass
class Platform(Gateway):
    """Keeps every attempt; answers from `answers`, then DELIVERED. `at_once` is the most that one person had in flight."""

    attempts: list[Message] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    at_once: int = 0

    async def send(self, message: Message) -> SendResult:
        self.attempts.append(message)
        self.in_flight[message.open_id] = self.in_flight.get(message.open_id, 0) + 1
        self.at_once = max(self.at_once, self.in_flight[message.open_id])
        for _ in range(5):
            await asyncio.sleep(0)
        self.in_flight[message.open_id] -= 1
        return self.answers.pop(0) if self.answers else DELIVERED

    async def receipt(self, provider_id: str) -> SendResult:
        self.asked.append(provider_id)
        return self.receipts.get(provider_id, UNKNOWN)


@dataclass
class Post:
    """A world with one institution member who is in both platforms, and the two platforms."""

    world: World
    member: Member
    wechat: Platform
    dingtalk: Platform

    async def tell(self, number: int = 1, kind: str = "order_paid", person_id: int | None = None) -> None:
        async with transaction(self.world.context()) as tx:
            tx.announce(kind, "order", number, person_id=person_id or self.member.person_id, number=f"N{number}", service="审计",
                        voucher_fen=100, at=self.world.clock.now().isoformat())
        await self.world.sweep(open_events)

    async def deliver(self) -> int:
        return await self.world.sweep(deliver_due)

    async def states(self) -> list[tuple[str, str]]:
        found = await rows("SELECT channel, state FROM deliveries ORDER BY notice_id, step")
        return [(row["channel"], row["state"]) for row in found]

    async def one(self, columns: str):
        return tuple(await self.world.owner.fetchrow(f"SELECT {columns} FROM deliveries ORDER BY notice_id, step LIMIT 1"))


@pytest.fixture
async def post(world: World) -> Post:
    wechat, dingtalk = Platform("wx-test"), Platform("ding-test")
    world.ports.senders.update({"wechat_subscribe": wechat, "dingtalk_notice": dingtalk})
    member = await world.enterprise()
    await world.owner.execute(
        "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'dingtalk','ding-test','ding-1',now())",
        member.person_id,
    )
    return Post(world, member, wechat, dingtalk)


async def consent(post: Post, kind: str, remaining: int) -> None:
    await post.world.owner.execute(
        "INSERT INTO subscriptions (identity_id, template, remaining, updated_at) VALUES ($1,$2,$3,now())",
        post.member.identity_id, kind, remaining,
    )


# --- outcomes --------------------------------------------------------------------------------------------------------------


async def test_a_delivered_message_ends_the_chain_and_uses_one_consent(post):
    await consent(post, "order_paid", 3)
    await post.tell()
    assert await post.deliver() == 1
    assert await post.deliver() == 0
    assert await post.states() == [("wechat_subscribe", "delivered")]
    assert await post.one("attempts, finished_at, leased_until, error") == (1, post.world.clock.now(), None, None)
    assert await post.world.value("SELECT remaining FROM subscriptions") == 2
    notice = await post.world.value("SELECT id FROM notices")
    assert post.wechat.attempts == [Message(
        "order_paid", post.member.open_id, "订单待接单", "订单 N1「审计」企业已用券支付 1.00 元，请及时接单。", "pages/orders/show?id=1",
        {"order_number": "N1", "service": "审计", "amount": "1.00", "time": post.world.clock.now().isoformat()}, f"N{notice}",
    )]


async def test_without_consent_the_next_channel_has_it_at_once_and_the_count_is_zero(post):
    await consent(post, "order_paid", 3)
    post.wechat.answers = [NO_CONSENT]
    await post.tell()
    await post.deliver()
    assert await post.states() == [("wechat_subscribe", "no_consent"), ("dingtalk_notice", "planned")]
    assert await post.world.value("SELECT remaining FROM subscriptions") == 0
    await post.deliver()
    assert await post.states() == [("wechat_subscribe", "no_consent"), ("dingtalk_notice", "delivered")]
    assert (len(post.wechat.attempts), len(post.dingtalk.attempts)) == (1, 1)
    assert await post.world.value("SELECT count(*) FROM notices") == 1


async def test_a_terminal_code_is_never_tried_again(post):
    post.wechat.answers, post.dingtalk.answers = [REFUSED], [REFUSED]
    await post.tell()
    while await post.deliver():
        pass
    post.world.clock.advance(hours=60)
    assert await post.deliver() == 0
    assert await post.states() == [("wechat_subscribe", "failed"), ("dingtalk_notice", "failed")]
    assert (len(post.wechat.attempts), len(post.dingtalk.attempts)) == (1, 1)
    assert (await post.one("error"))[0] == "40003 invalid openid"


async def test_without_another_channel_the_chain_ends_in_the_inbox(post):
    other = await post.world.enterprise()
    post.wechat.answers = [NO_CONSENT]
    await post.tell(person_id=other.person_id)
    await post.deliver()
    assert await post.states() == [("wechat_subscribe", "no_consent")]
    _, inbox = await post.world.get("/notices", by=other)
    assert len(inbox["items"]) == 1


async def test_a_busy_platform_is_tried_again_later_and_later(post):
    post.wechat.answers = [RETRY] * 4
    await post.tell()
    waits, identity = [], (await post.one("id"))[0]
    for _ in range(4):
        assert await post.deliver() == 1
        due = (await post.one("due_at"))[0]
        waits.append((due - post.world.clock.now()).total_seconds())
        post.world.clock.set(due - timedelta(microseconds=1))
        assert await post.deliver() == 0
        post.world.clock.set(due)
    assert waits == pytest.approx([backoff_seconds(identity, attempt) for attempt in (1, 2, 3, 4)], abs=1e-5)
    assert [later / earlier for earlier, later in pairwise(waits)] == pytest.approx([2, 2, 2])
    assert await post.deliver() == 1
    assert await post.states() == [("wechat_subscribe", "delivered")]


def test_the_backoff_grows_to_an_hour_and_is_spread_by_a_fifth():
    assert [backoff_seconds(0, attempt) for attempt in (1, 2, 3, 10, 11, 500)] == [5, 10, 20, 2560, 3600, 3600]
    spread = [backoff_seconds(number, 1) for number in range(1_000)]
    assert min(spread) >= 5
    assert max(spread) < 6
    assert len(set(spread)) == 1_000


async def test_the_platforms_own_wait_is_kept_where_it_is_longer(post):
    post.wechat.answers = [replace(RETRY, retry_after_seconds=900)]
    await post.tell()
    await post.deliver()
    assert (await post.one("due_at, state")) == (post.world.at(seconds=900), "planned")


async def test_after_48_hours_a_message_is_dead_and_shown_to_administrators_only(post):
    await post.world.owner.execute(
        "INSERT INTO notice_preferences (person_id, muted, updated_at) VALUES ($1,'{}',now())", post.member.person_id  # no quiet hours
    )
    await post.tell()
    began, tries = post.world.clock.now(), 0
    while (await post.one("state"))[0] == "planned":
        post.wechat.answers = [RETRY]
        post.world.clock.set((await post.one("due_at"))[0])
        tries += await post.deliver()
    assert post.world.clock.now() == began + timedelta(hours=48)
    assert await post.one("state, attempts, finished_at") == ("dead", tries, post.world.clock.now())
    assert 50 < tries < 65
    admin = await post.world.official(Role.ADMIN)
    status, dead = await post.world.get("/deliveries/dead", by=admin)
    notice = await post.world.value("SELECT id FROM notices")
    assert status == 200
    assert [(item["notice_id"], item["kind"], item["channel"], item["attempts"], item["error"]) for item in dead["items"]] == [
        (notice, "order_paid", "wechat_subscribe", tries, "-1 system error")
    ]
    status, refused = await post.world.get("/deliveries/dead", by=post.member)
    assert (status, refused["code"]) == (403, "not_your_role")
    assert (await post.world.get("/notices", by=post.member))[1]["items"][0]["id"] == notice


async def test_after_three_days_of_standstill_a_message_still_has_its_try(post):
    await post.tell()
    post.world.clock.advance(days=3)
    await post.deliver()
    assert await post.states() == [("wechat_subscribe", "delivered")]


async def test_a_sender_that_breaks_takes_no_other_message_with_it(post, capsys):
    class Broken(Platform):
        async def send(self, message: Message) -> SendResult:
            raise ValueError("access_token=secret")

    other = await post.world.enterprise()
    post.world.ports.senders["wechat_subscribe"] = Broken()
    await post.tell()
    post.world.ports.senders["dingtalk_notice"] = post.dingtalk
    await post.world.owner.execute("UPDATE deliveries SET channel = 'dingtalk_notice'")
    await post.tell(2, person_id=other.person_id)
    assert await post.deliver() == 2
    assert await post.states() == [("dingtalk_notice", "delivered"), ("wechat_subscribe", "planned")]
    assert await post.world.value("SELECT error FROM deliveries WHERE state = 'planned'") == "ValueError"


# --- receipts --------------------------------------------------------------------------------------------------------------


async def dingtalk_member(post: Post) -> Member:
    """Of an institution: DingTalk first, then WeChat."""
    institution = await post.world.organisation(OrganisationKind.INSTITUTION)
    member = await post.world.member(institution, Role.OWNER, platform="dingtalk")
    await post.world.owner.execute(
        "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'wechat','wx-test',$2,now())",
        member.person_id, f"wx-{member.person_id}",
    )
    post.dingtalk.answers = [ACCEPTED]
    async with transaction(post.world.context()) as tx:
        tx.announce("order_paid", "order", 1, organisation_id=institution, number="N1", service="审计", voucher_fen=100)
    await post.world.sweep(open_events)
    await post.deliver()
    return member


async def test_accepted_is_not_delivered_until_the_receipt_says_so(post):
    await dingtalk_member(post)
    assert await post.one("state, provider_id, due_at") == ("accepted", "256271667526", post.world.at(minutes=1))
    assert await post.world.sweep(ask_receipts) == 0
    post.world.clock.advance(minutes=1)
    post.dingtalk.receipts = {"256271667526": replace(DELIVERED, provider_id="256271667526")}
    assert await post.world.sweep(ask_receipts) == 1
    assert await post.states() == [("dingtalk_notice", "delivered")]
    assert post.dingtalk.asked == ["256271667526"]


async def test_a_message_that_the_platform_dropped_in_silence_goes_to_the_next_channel(post):
    await dingtalk_member(post)
    post.world.clock.advance(minutes=1)
    post.dingtalk.receipts = {"256271667526": replace(REFUSED, error="not delivered: 143106")}
    await post.world.sweep(ask_receipts)
    assert await post.states() == [("dingtalk_notice", "failed"), ("wechat_subscribe", "planned")]
    assert (await post.one("error"))[0] == "not delivered: 143106"
    await post.deliver()
    assert await post.states() == [("dingtalk_notice", "failed"), ("wechat_subscribe", "delivered")]


async def test_a_receipt_is_asked_for_four_times_within_a_day_and_then_counts_as_failed(post):
    await dingtalk_member(post)
    accepted_at, asked_after = post.world.clock.now(), []
    while (await post.one("state"))[0] == "accepted":
        post.world.clock.set((await post.one("due_at"))[0])
        await post.world.sweep(ask_receipts)
        asked_after.append(post.world.clock.now() - accepted_at)
    assert tuple(asked_after) == RECEIPTS_AFTER
    assert asked_after[-1] < timedelta(hours=24)
    assert len(post.dingtalk.asked) == 4
    assert await post.states() == [("dingtalk_notice", "failed"), ("wechat_subscribe", "planned")]


async def test_an_accepted_message_does_not_hold_up_the_next_one(post):
    member = await dingtalk_member(post)
    await post.tell(2, person_id=member.person_id)
    assert await post.deliver() == 1


async def test_two_machines_do_not_ask_for_the_same_receipt(post):
    await dingtalk_member(post)
    post.world.clock.advance(minutes=1)
    done = await asyncio.gather(*(ask_receipts(post.world.context()) for _ in range(4)))
    assert (sum(done), len(post.dingtalk.asked)) == (1, 1)


# --- order -----------------------------------------------------------------------------------------------------------------


async def test_a_person_gets_messages_in_their_order_even_when_the_first_has_to_wait(post):
    other = await post.world.enterprise()
    for number in (1, 2, 3):
        await post.tell(number)
    await post.tell(4, person_id=other.person_id)
    post.wechat.answers = [RETRY]
    assert await post.deliver() == 2  # the first of each person
    assert await post.deliver() == 0  # the second and third wait with the first
    post.world.clock.set((await post.one("due_at"))[0])
    while await post.deliver():
        pass
    sent = [message.fields["order_number"] for message in post.wechat.attempts]
    assert sent == ["N1", "N4", "N1", "N2", "N3"]


async def test_the_fallback_of_a_message_goes_before_the_next_message(post):
    post.wechat.answers = [NO_CONSENT, DELIVERED]
    await post.tell(1)
    await post.tell(2)
    await post.deliver()
    assert await post.deliver() == 1
    assert [message.fields["order_number"] for message in post.dingtalk.attempts] == ["N1"]
    assert [message.fields["order_number"] for message in post.wechat.attempts] == ["N1"]
    await post.deliver()
    assert [message.fields["order_number"] for message in post.wechat.attempts] == ["N1", "N2"]


async def storm(post: Post) -> list[Message]:
    """Twelve messages for each of three people, eight deliverers at once."""
    people = [post.member.person_id, (await post.world.enterprise()).person_id, (await post.world.enterprise()).person_id]
    for number in range(36):
        await post.tell(number, person_id=people[number % 3])

    async def deliverer() -> None:
        while await deliver_due(post.world.context(), limit=3) or "planned" in (state for _, state in await post.states()):
            pass

    await asyncio.gather(*(deliverer() for _ in range(8)))
    return post.wechat.attempts


async def test_many_deliverers_never_send_two_messages_to_one_person_at_once(post):
    sent = await storm(post)
    assert (len(sent), post.wechat.at_once) == (36, 1)
    for open_id in {message.open_id for message in sent}:
        numbers = [int(message.fields["order_number"][1:]) for message in sent if message.open_id == open_id]
        assert numbers == sorted(numbers)


async def test_control_without_the_turn_two_go_to_one_person_at_once(post, monkeypatch):
    without(monkeypatch, "handlers.deliveries.CLAIM", "AND (before.notice_id, before.step) < (d.notice_id, d.step)", "AND false")
    await storm(post)
    assert post.wechat.at_once > 1


# --- leases ----------------------------------------------------------------------------------------------------------------


async def claim(post: Post):
    ctx = post.world.context()
    async with transaction(ctx) as tx:
        return await tx.rows(CLAIM, ctx.now, 50, ctx.now + LEASE, [])


async def test_what_a_dead_worker_had_is_sent_when_its_lease_ends(post):
    await post.tell()
    assert len(await claim(post)) == 1  # and then its worker is killed
    post.world.clock.advance(seconds=59.999)
    assert (await post.world.sweep(release_expired), await post.deliver()) == (0, 0)
    post.world.clock.advance(seconds=0.001)
    assert (await post.world.sweep(release_expired), await post.deliver()) == (1, 1)
    assert await post.one("state, attempts") == ("delivered", 2)


async def test_a_worker_that_lost_its_lease_writes_nothing(post):
    await post.tell()
    late = await claim(post)
    post.world.clock.advance(seconds=60)
    await post.world.sweep(release_expired)
    current = await claim(post)
    assert await deliveries.settle(post.world.context(), DeliveryState.SENDING, [(late[0], REFUSED)]) == 0
    assert await post.states() == [("wechat_subscribe", "sending")]
    assert await deliveries.settle(post.world.context(), DeliveryState.SENDING, [(current[0], DELIVERED)]) == 1
    assert await deliveries.settle(post.world.context(), DeliveryState.SENDING, [(current[0], REFUSED)]) == 0
    assert await post.states() == [("wechat_subscribe", "delivered")]


async def test_a_message_that_kills_every_worker_is_dead_after_48_hours(post):
    await post.tell()
    await claim(post)
    post.world.clock.advance(hours=48)
    await post.world.sweep(release_expired)
    assert await post.one("state, error") == ("dead", "lease expired")


async def test_no_transaction_is_open_while_a_message_is_on_its_way(post):
    seen = []

    class Watching(Platform):
        async def send(self, message: Message) -> SendResult:
            seen.append(await post.world.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
            ))
            return DELIVERED

    post.world.ports.senders["wechat_subscribe"] = Watching()
    await post.tell()
    await post.deliver()
    assert seen == [0]


async def test_a_busy_database_does_not_make_a_sent_message_go_out_twice(post, monkeypatch):
    monkeypatch.setattr(deliveries, "SETTLE_PAUSES_SECONDS", (0, 0))
    await post.tell()
    blocker = post.world.owner  # holds the row longer than anybody waits for a lock

    class Blocking(Platform):
        async def send(self, message: Message) -> SendResult:
            await blocker.execute("BEGIN")
            await blocker.execute("SELECT FROM deliveries FOR UPDATE")
            asyncio.get_running_loop().call_later(2.2, lambda: asyncio.ensure_future(blocker.execute("ROLLBACK")))
            return await super().send(message)

    gateway = Blocking()
    post.world.ports.senders["wechat_subscribe"] = gateway
    await post.deliver()
    assert await post.states() == [("wechat_subscribe", "delivered")]
    assert len(gateway.attempts) == 1


# --- resting channels ------------------------------------------------------------------------------------------------------


async def test_a_channel_that_shut_us_out_rests_while_the_other_goes_on(post):
    other, pauses = await dingtalk_member(post), Pauses()
    post.wechat.answers = [replace(RETRY, retry_after_seconds=300)]
    await post.tell(1)
    await deliver_due(post.world.context(), pauses=pauses)
    third = await post.world.enterprise()
    await post.tell(2, person_id=third.person_id)
    await post.tell(3, person_id=other.person_id)
    await post.world.owner.execute("UPDATE deliveries SET channel = 'dingtalk_notice' WHERE person_id = $1", other.person_id)
    assert await deliver_due(post.world.context(), pauses=pauses) == 1
    assert [message.fields["order_number"] for message in post.dingtalk.attempts][-1] == "N3"
    post.world.clock.advance(seconds=300)
    assert await deliver_due(post.world.context(), pauses=pauses) == 2


def test_ten_retries_in_a_row_rest_a_channel_and_one_success_forgets_them(clock):
    pauses = Pauses()
    for _ in range(9):
        pauses.note("wechat_subscribe", RETRY, clock.now())
    pauses.note("wechat_subscribe", DELIVERED, clock.now())
    for _ in range(9):
        pauses.note("wechat_subscribe", RETRY, clock.now())
    assert pauses.resting(clock.now()) == []
    pauses.note("wechat_subscribe", RETRY, clock.now())
    assert pauses.resting(clock.now()) == ["wechat_subscribe"]
    assert pauses.resting(clock.advance(seconds=30)) == []


def test_each_outcome_is_an_edge_of_the_graph():
    assert DELIVERY_GRAPH.next_states("sending") >= {
        DeliveryState.PLANNED, DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.NO_CONSENT, DeliveryState.FAILED,
        DeliveryState.DEAD,
    }
    assert DELIVERY_GRAPH.next_states("accepted") == {DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.RECALLING}


async def numbers(world: World) -> dict[str, float]:
    """What /metrics says of the backlog."""
    text = await (await world.client.get("/metrics")).text()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(("deliveries_", "events_waiting", "sweep_lateness")))
    return {name: float(value) for name, value in lines}


async def test_metrics_count_what_is_open_what_is_dead_and_which_sweep_is_late(world):
    at = world.clock.now()
    await keep_heartbeats(world.context(), [Beat("reviews.review", 60, at - timedelta(seconds=200), 0, 0, None)])
    assert await numbers(world) == {
        'deliveries_open{state="planned"}': 0, 'deliveries_open{state="sending"}': 0, 'deliveries_open{state="accepted"}': 0,
        "deliveries_dead": 0, "events_waiting": 0, 'sweep_lateness_seconds{sweep="reviews.review"}': 140,
    }
    await keep_heartbeats(world.context(), [Beat("reviews.review", 60, at, 0, 0, None)])
    await world.owner.execute("INSERT INTO events (kind, subject, subject_id, data, created_at) VALUES ('x', 'order', 1, '{}', now())")
    world.clock.advance(seconds=4.999999)
    assert (await numbers(world))["events_waiting"] == 0  # asked again within five seconds
    world.clock.advance(microseconds=1)
    later = await numbers(world)
    assert (later["events_waiting"], later['sweep_lateness_seconds{sweep="reviews.review"}']) == (1, 0)
    await world.owner.execute("DELETE FROM events")
