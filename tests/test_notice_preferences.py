"""What people are told where and when: channels by group, quiet hours to the instant, chains that go on, everything in the inbox (5.2)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from handlers.deliveries import CLAIM, deliver_due
from handlers.digests import release_held
from handlers.notice_plans import QUIET_HOURS, Group, group_of, quiet_until
from handlers.notice_texts import TEXTS
from handlers.notices import open_events
from handlers.ports import Outcome, SendResult
from handlers.transactions import transaction
from models.accounts import Role
from tests.fakes import Gateway
from tests.world import JINAN, Member, World

SHANGHAI = timezone(timedelta(hours=8))
INSTANT = timedelta(microseconds=1)
NO_CONSENT = SendResult(Outcome.NO_CONSENT, error="43101")
CHANNELS = ["wechat_subscribe", "wechat_oa_template", "dingtalk_notice", "email", "sms"]


@dataclass
class Reach:
    """An enterprise's owner who is on every channel, and what each channel was given."""

    world: World
    me: Member
    gateways: dict[str, Gateway]

    async def tell(self, kind: str = "order_accepted", number: int = 1, *, by: Member | None = None, **data: Any) -> None:
        async with transaction(self.world.context(by)) as tx:
            tx.announce(kind, "order", number, person_id=self.me.person_id, **{"number": f"N{number}", "service": "审计", **data})
        await self.world.sweep(open_events)

    async def deliver(self) -> None:
        while await self.world.sweep(deliver_due):
            pass

    def got(self) -> dict[str, list[str]]:
        return {channel: [message.kind for message in gateway.sent] for channel, gateway in self.gateways.items() if gateway.sent}

    async def states(self) -> list[tuple[str, str]]:
        found = await self.world.owner.fetch("SELECT channel, state FROM deliveries ORDER BY notice_id, step")
        return [(each["channel"], each["state"]) for each in found]

    async def wish(self, muted: dict[str, list[str]] | None = None, quiet: tuple[str, str] | None = None) -> tuple[int, Any]:
        return await self.world.put("/notice-preferences", {
            "muted": [{"group": group, "channels": channels} for group, channels in (muted or {}).items()],
            "quiet_hours": quiet and {"begins": quiet[0], "ends": quiet[1]},
        }, by=self.me)

    async def inbox(self) -> list[str]:
        _, found = await self.world.get("/notices", by=self.me)
        return [notice["kind"] for notice in found["items"]]


@pytest.fixture
async def reach(world: World) -> Reach:
    from handlers.personal import mailbox_index, seal

    me, gateways = await world.enterprise(), {channel: Gateway(channel) for channel in CHANNELS}
    world.ports.senders.update(gateways)
    await world.owner.execute(
        "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'dingtalk','ding-test','ding-1',now())",
        me.person_id,
    )
    await world.owner.execute(
        "UPDATE persons SET email = $2, email_index = $3, phone = $4 WHERE id = $1", me.person_id,
        seal(world.settings, "me@example.com"), mailbox_index(world.settings, "me@example.com"), seal(world.settings, "13800138000"),
    )
    return Reach(world, me, gateways)


def at(day: str, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=SHANGHAI).astimezone(UTC)


# --- where -----------------------------------------------------------------------------------------------------------------


async def test_a_chain_goes_on_from_channel_to_channel_and_ends_with_the_first_success(reach):
    for channel, failure in (("wechat_subscribe", NO_CONSENT), ("dingtalk_notice", SendResult(Outcome.REFUSED, error="33012"))):
        reach.gateways[channel].answers = [failure]
    await reach.tell()
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "no_consent"), ("dingtalk_notice", "failed"), ("email", "delivered")]
    assert reach.got() == {"email": ["order_accepted"]}
    assert reach.gateways["email"].sent[0].open_id == "me@example.com"
    assert await reach.inbox() == ["order_accepted"]


async def test_sms_is_the_last_step_of_what_matters_most_and_of_nothing_else(reach):
    for channel in ("wechat_subscribe", "dingtalk_notice", "email"):
        reach.gateways[channel].answers = [NO_CONSENT] * 2
    await reach.tell("order_frozen", progress="checking")
    await reach.tell("order_accepted")
    await reach.deliver()
    assert reach.got() == {"sms": ["order_frozen"]}
    assert reach.gateways["sms"].sent[0].open_id == "13800138000"


@pytest.mark.parametrize(("kind", "sms"), [("institution_admission", True), ("enterprise_certification", False)])
async def test_the_result_of_an_admission_may_come_by_sms_that_of_another_application_not(reach, kind, sms):
    await reach.tell("approval_result", title="入库", result="approved", application_kind=kind)
    channels = await reach.world.value("SELECT data->'channels' FROM notices")
    assert ("sms" in channels) is sms


async def test_conclusions_come_by_mail_beside_the_chain_and_neither_waits_for_the_other(reach):
    reach.gateways["wechat_subscribe"].answers = [SendResult(Outcome.RETRY, error="-1")]
    await reach.tell("approval_result", title="认证", result="approved")
    assert await reach.states() == [("wechat_subscribe", "planned"), ("email", "planned")]
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "planned"), ("email", "delivered")]
    assert reach.got() == {"email": ["approval_result"]}


async def test_a_channel_that_is_switched_off_for_a_group_is_passed_by_there_and_only_there(reach):
    status, answer = await reach.wish({"orders": ["wechat_subscribe", "email"]})
    assert status == 200, answer
    await reach.tell("order_accepted")
    await reach.tell("voucher_issued")
    await reach.deliver()
    assert reach.got() == {"dingtalk_notice": ["order_accepted"], "wechat_subscribe": ["voucher_issued"]}


async def test_everything_off_leaves_the_inbox(reach):
    await reach.wish({"orders": CHANNELS})
    await reach.tell("order_accepted")
    await reach.deliver()
    assert (reach.got(), await reach.states(), await reach.inbox()) == ({}, [], ["order_accepted"])


@pytest.mark.parametrize("group", ["risks", "redemptions"])
async def test_what_the_law_wants_told_cannot_be_switched_off_everywhere(reach, group):
    before = await reach.world.snapshot("notice_preferences", "audit_entries")
    status, refused = await reach.wish({group: CHANNELS})
    assert (status, refused["code"], refused["data"]["group"]) == (422, "notices_required", group)
    assert await reach.world.snapshot("notice_preferences", "audit_entries") == before
    assert (await reach.wish({group: CHANNELS[:3]}))[0] == 200


@pytest.mark.parametrize("channel", CHANNELS)
async def test_nothing_of_account_security_is_switched_off(reach, channel):
    status, refused = await reach.wish({"security": [channel]})
    assert (status, refused["code"], refused["data"]["group"]) == (422, "notices_required", "security")


async def test_account_security_is_told_on_every_channel_at_once_and_at_night(reach):
    reach.world.clock.set(datetime(2026, 3, 2, 23, 0, tzinfo=SHANGHAI))
    reach.gateways["wechat_subscribe"].answers = [NO_CONSENT]
    async with transaction(reach.world.context()) as tx:
        tx.announce("security_changed", "person", reach.me.person_id, person_id=reach.me.person_id, security="password_reset")
    await reach.world.sweep(open_events)
    await reach.deliver()
    assert sorted(await reach.states()) == [("dingtalk_notice", "delivered"), ("email", "delivered"), ("wechat_subscribe", "no_consent")]
    assert await reach.inbox() == ["security_changed"]
    assert reach.gateways["email"].sent[0].title == "账户安全提醒：支付密码已重置"


async def test_where_the_channel_that_was_left_on_does_not_exist_a_freeze_takes_the_others(reach):
    await reach.wish({"risks": ["wechat_subscribe", "dingtalk_notice", "email"]})  # SMS is left, and nobody knows a number
    await reach.world.owner.execute("UPDATE persons SET phone = NULL")
    await reach.tell("order_frozen", progress="checking")
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_frozen"]}


async def test_a_channel_that_the_system_does_not_have_is_in_no_chain(reach):
    del reach.world.ports.senders["email"]
    await reach.tell()
    assert await reach.world.value("SELECT data->>'channels' FROM notices") == '["wechat_subscribe", "dingtalk_notice"]'


def test_every_kind_is_in_the_group_that_its_reader_expects():
    found: dict[str, set[str]] = {}
    for kind in TEXTS:
        found.setdefault(group_of(kind), set()).add(kind)
    assert {"order_frozen", "risk_proposed", "appeal_result"} <= found[Group.RISKS]
    assert found[Group.SECURITY] == {"security_changed"}
    assert {"filing_named", "filing_objected", "filing_objection_result", "filing_revoked"} <= found[Group.RISKS]
    assert {"redemption_result", "payout_result"} <= found[Group.REDEMPTIONS]
    assert {"review_reminder", "system_review_made"} <= found[Group.REVIEWS]
    assert {"order_paid", "price_requested", "payment_rejected"} <= found[Group.ORDERS]
    assert {"approval_waiting", "approval_result", "application_received", "institution_standing"} <= found[Group.APPROVALS]
    assert {"voucher_issued", "draw_result", "reservation_received"} <= found[Group.VOUCHERS]
    assert {"demand_posted", "demand_answered"} <= found[Group.DEMANDS]
    assert found[Group.SYSTEM] == {"digest", "bot_answer", "text_hidden"}


# --- the API ---------------------------------------------------------------------------------------------------------------


async def test_preferences_are_shown_as_they_are_and_as_they_were_put(reach):
    status, first = await reach.world.get("/notice-preferences", by=reach.me)
    assert status == 200
    assert first["quiet_hours"] == {"begins": "21:00", "ends": "08:00"}
    assert [group["group"] for group in first["groups"]] == [str(group) for group in Group]
    assert all(channel["is_on"] for group in first["groups"] for channel in group["channels"])
    assert {group["group"] for group in first["groups"] if group["is_required"]} == {"risks", "redemptions", "security"}
    _, put = await reach.wish({"orders": ["sms"]}, ("22:30", "07:15"))
    assert (await reach.world.get("/notice-preferences", by=reach.me))[1] == put
    assert put["quiet_hours"] == {"begins": "22:30", "ends": "07:15"}
    off = [(group["group"], channel["channel"]) for group in put["groups"] for channel in group["channels"] if not channel["is_on"]]
    assert off == [("orders", "sms")]
    _, again = await reach.wish()
    assert again["quiet_hours"] is None
    assert await reach.world.value("SELECT count(*) FROM notice_preferences") == 1


@pytest.mark.parametrize(("quiet", "status"), [
    (("21:00", "21:00"), 422), (("08:00", "07:59"), 422), (("05:00", "21:01"), 422), (("05:00", "21:00"), 200), (("12:00", "13:00"), 200),
    (("24:00", "08:00"), 422),
])
async def test_quiet_hours_are_at_most_sixteen(reach, quiet, status):
    assert (await reach.wish(None, quiet))[0] == status
    assert await reach.world.value("SELECT count(*) FROM notice_preferences") == (status == 200)


async def test_the_inbox_cannot_be_switched_off(reach):
    status, refused = await reach.wish({"orders": ["inbox"]})
    assert (status, refused["code"]) == (422, "invalid_input")


# --- quiet hours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2026-03-02", "2026-03-31", "2026-04-30", "2026-12-31", "2028-02-28", "2028-02-29", "2027-02-28"])
def test_quiet_hours_begin_and_end_to_the_instant_also_at_the_end_of_a_month(day):
    evening = at(day, "21:00")
    morning = evening + timedelta(hours=11)
    assert quiet_until(evening - INSTANT, QUIET_HOURS) is None
    assert quiet_until(evening, QUIET_HOURS) == morning
    assert quiet_until(evening + timedelta(hours=3) - INSTANT, QUIET_HOURS) == morning  # the last instant of the day
    assert quiet_until(evening + timedelta(hours=3), QUIET_HOURS) == morning            # midnight
    assert quiet_until(morning - INSTANT, QUIET_HOURS) == morning
    assert quiet_until(morning, QUIET_HOURS) is None


def test_quiet_hours_within_a_day_do_not_reach_the_next():
    noon = at("2026-03-02", "12:00")
    assert quiet_until(noon, (720, 780)) == noon + timedelta(hours=1)
    assert quiet_until(noon - INSTANT, (720, 780)) is None
    assert quiet_until(noon + timedelta(hours=1), (720, 780)) is None
    assert quiet_until(noon, None) is None


@pytest.mark.parametrize("day", ["2026-03-02", "2026-03-31", "2028-02-28", "2026-12-31"])
async def test_what_is_told_at_night_goes_out_at_eight_and_not_an_instant_before(reach, day):
    reach.world.clock.set(at(day, "21:00"))
    await reach.tell()
    assert await reach.states() == [("wechat_subscribe", "held")]
    assert await reach.inbox() == ["order_accepted"]  # the twin is there at once
    morning = at(day, "21:00") + timedelta(hours=11)
    reach.world.clock.set(morning - INSTANT)
    assert await reach.world.sweep(release_held) == 0
    await reach.deliver()
    assert reach.got() == {}
    reach.world.clock.set(morning)
    assert await reach.world.sweep(release_held) == 1
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_accepted"]}


async def test_an_instant_before_the_evening_it_goes_at_once(reach):
    reach.world.clock.set(at("2026-03-02", "21:00") - INSTANT)
    await reach.tell()
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_accepted"]}


async def test_the_answer_to_what_somebody_did_goes_to_that_person_at_once_even_past_what_is_held(reach):
    reach.world.clock.set(at("2026-03-02", "23:30"))
    await reach.tell("order_accepted", 1)
    await reach.tell("reservation_received", 2, by=reach.me, round="第一期", ticket_no=7)
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["reservation_received"]}
    assert await reach.states() == [("wechat_subscribe", "held"), ("wechat_subscribe", "delivered")]


LAST_DAY = {"balance_fen": 1, "name": "通用券", "valid_until": "2026-03-02", "ends_at": at("2026-03-03", "00:00").isoformat()}


async def test_what_would_be_over_in_the_morning_goes_at_once_and_ends_with_its_day(reach):
    reach.world.clock.set(at("2026-03-02", "21:30"))
    await reach.tell("voucher_expiring", **LAST_DAY)
    assert await reach.world.value("SELECT give_up_at FROM deliveries") == at("2026-03-03", "00:00")
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["voucher_expiring"]}


async def test_what_is_over_only_after_the_night_waits_for_the_morning(reach):
    reach.world.clock.set(at("2026-03-01", "21:30"))
    await reach.tell("voucher_expiring", **LAST_DAY)
    assert await reach.states() == [("wechat_subscribe", "held")]


@pytest.mark.parametrize(("hour", "left"), [("23:59:59.999999", "delivered"), ("00:00", "superseded")])
async def test_what_was_retried_until_it_was_over_is_not_sent_any_more(reach, hour, left):
    reach.world.clock.set(at("2026-03-02", "18:00"))
    reach.gateways["wechat_subscribe"].answers = [SendResult(Outcome.RETRY, error="busy")]
    await reach.tell("voucher_expiring", **LAST_DAY)
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "planned")]
    reach.world.clock.set(at("2026-03-03" if hour == "00:00" else "2026-03-02", hour))
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", left)]
    assert reach.got() == ({"wechat_subscribe": ["voucher_expiring"]} if left == "delivered" else {})


async def test_a_fallback_ends_with_what_it_tells_too(reach):
    reach.world.clock.set(at("2026-03-02", "22:00"))
    reach.gateways["wechat_subscribe"].answers = [NO_CONSENT]
    await reach.tell("voucher_expiring", **LAST_DAY)
    await reach.world.sweep(deliver_due)
    assert await reach.world.value("SELECT give_up_at FROM deliveries WHERE step = 2") == at("2026-03-03", "00:00")


async def test_what_is_held_keeps_its_order(reach):
    reach.world.clock.set(at("2026-03-02", "22:00"))
    for number in (1, 2, 3):
        await reach.tell(number=number)
        reach.world.clock.advance(minutes=20)
    reach.world.clock.set(at("2026-03-03", "08:00"))
    await reach.world.sweep(release_held)
    await reach.deliver()
    assert [message.fields["order_number"] for message in reach.gateways["wechat_subscribe"].sent] == ["N1", "N2", "N3"]


async def test_a_retry_and_a_fallback_that_fall_into_the_night_wait_too(reach):
    reach.world.clock.set(at("2026-03-02", "20:59"))
    reach.gateways["wechat_subscribe"].answers = [SendResult(Outcome.RETRY, error="busy", retry_after_seconds=120), NO_CONSENT]
    await reach.tell()
    await reach.deliver()
    reach.world.clock.set(at("2026-03-02", "21:05"))
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "held")]
    assert await reach.world.value("SELECT due_at FROM deliveries") == at("2026-03-03", "08:00")
    reach.world.clock.set(at("2026-03-03", "08:00"))
    await reach.world.sweep(release_held)
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "no_consent"), ("dingtalk_notice", "delivered")]


async def test_ones_own_quiet_hours_and_none(reach):
    reach.world.clock.set(at("2026-03-02", "21:30"))
    await reach.wish(None, ("22:00", "06:30"))
    await reach.tell("order_accepted", 1)
    await reach.deliver()
    reach.world.clock.set(at("2026-03-02", "22:00"))
    await reach.tell("order_completed", 2)
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_accepted"]}
    assert await reach.world.value("SELECT max(due_at) FROM deliveries WHERE state = 'held'") == at("2026-03-03", "06:30")
    await reach.wish(None, None)
    await reach.tell("order_closed", 3)
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_accepted", "order_closed"]}


async def test_a_worker_that_dies_with_a_message_at_the_edge_of_the_night_loses_nothing(reach):
    """The lease ends in the night; whoever takes it up then holds it, and it goes out once in the morning."""
    from handlers.deliveries import LEASE, release_expired

    reach.world.clock.set(at("2026-03-02", "20:59:30"))
    await reach.tell()
    async with transaction(reach.world.context()) as tx:
        assert len(await tx.rows(CLAIM, reach.world.clock.now(), 10, reach.world.clock.now() + LEASE, [])) == 1
    reach.world.clock.advance(seconds=60)
    assert await reach.world.sweep(release_expired) == 1
    await reach.deliver()
    assert await reach.states() == [("wechat_subscribe", "held")]
    reach.world.clock.set(at("2026-03-03", "08:00"))
    await reach.world.sweep(release_held)
    await reach.deliver()
    assert reach.got() == {"wechat_subscribe": ["order_accepted"]}


async def test_reviewers_who_need_not_look_any_more_are_not_disturbed_in_the_morning(reach):
    reviewer = await reach.world.official(Role.REVIEWER, region_code=JINAN)
    reach.world.clock.set(at("2026-03-02", "22:00"))
    async with transaction(reach.world.context()) as tx:
        tx.announce("approval_waiting", "approval", 5, person_id=reviewer.person_id, title="企业认证")
    await reach.world.sweep(open_events)
    async with transaction(reach.world.context()) as tx:
        tx.announce("approval_closed", "approval", 5)
    await reach.world.sweep(open_events)
    assert await reach.world.value("SELECT array_agg(state) FROM deliveries") == ["superseded"]
    _, inbox = await reach.world.get("/notices", by=reviewer)
    assert [(notice["kind"], notice["is_superseded"]) for notice in inbox["items"]] == [("approval_waiting", True)]
