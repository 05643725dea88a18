"""Messages to people without an account: sealed addresses, secrets that only the message shows, and their end (D06, D08)."""

import json
from datetime import timedelta

import pytest

from handlers.deliveries import deliver_due
from handlers.notices import open_events
from handlers.outside import forget_addresses, is_email, is_mobile, tell_outside
from handlers.ports import Outcome, SendResult
from handlers.transactions import transaction
from tests.fakes import Gateway
from tests.world import World

TABLES = ("events", "notices", "deliveries")


@pytest.fixture
async def mail(world: World) -> Gateway:
    world.ports.senders["email"] = gateway = Gateway("mail")
    return gateway


async def send_code(world: World, **to: str) -> None:
    async with transaction(world.context()) as tx:
        tell_outside(tx, "email_code", subject="person", subject_id=5, secrets={"code": "493817"}, minutes=10, **to)


async def stored(world: World) -> str:
    """Everything that the tables of messages hold, as somebody with a copy of the database reads it."""
    return json.dumps(await world.snapshot(*TABLES), default=repr, ensure_ascii=False)


async def test_a_message_to_a_bare_address_goes_out_once_and_shows_its_secret_only_there(world, mail):
    await send_code(world, email="anna@example.com")
    assert "anna" not in await stored(world)
    assert await world.sweep(open_events) == 1
    assert await world.value("SELECT count(*) FROM events WHERE address IS NOT NULL OR secrets IS NOT NULL") == 0
    assert (await world.sweep(deliver_due), await world.sweep(deliver_due)) == (1, 0)
    (message,) = mail.sent
    assert (message.kind, message.open_id, message.title) == ("email_code", "anna@example.com", "邮箱验证码")
    assert message.body == "您正在确认以此邮箱接收企服券通知，验证码：493817，10 分钟内有效。如非本人操作，请忽略本邮件。"
    assert message.fields == {"code": "493817", "minutes": "10"}
    left = await stored(world)
    assert "anna" not in left
    assert "493817" not in left
    assert tuple(await world.one("SELECT channel, state, person_id FROM deliveries")) == ("email", "delivered", None)


async def test_phone_and_mailbox_are_two_messages_and_neither_waits_for_the_other(world, mail):
    sms = world.ports.senders["sms"] = Gateway("sms")
    sms.answers = [SendResult(Outcome.RETRY, error="busy")]
    await send_code(world, phone="138 0013 8000", email="anna@example.com")
    assert await world.sweep(open_events) == 2
    assert await world.sweep(deliver_due) == 2
    assert [message.open_id for message in mail.sent] == ["anna@example.com"]
    world.clock.advance(minutes=1)
    await world.sweep(deliver_due)
    assert [message.open_id for message in sms.sent] == ["13800138000"]


async def test_a_terminal_answer_ends_it_and_two_messages_to_one_mailbox_do_not_wait_for_each_other(world, mail):
    mail.answers = [SendResult(Outcome.REFUSED, error="550 no such user")]
    await send_code(world, email="anna@example.com")
    await send_code(world, email="anna@example.com")
    await world.sweep(open_events)
    assert await world.sweep(deliver_due) == 2
    assert await world.value("SELECT array_agg(state ORDER BY id) FROM deliveries") == ["failed", "delivered"]
    assert await world.sweep(deliver_due) == 0


async def test_addresses_are_forgotten_a_week_after_their_delivery_to_the_instant(world, mail):
    await send_code(world, email="anna@example.com")
    await world.sweep(open_events)
    world.clock.advance(days=30)
    assert await world.sweep(forget_addresses) == 0  # it still waits
    await world.sweep(deliver_due)
    world.clock.set(world.at(days=7) - timedelta(microseconds=1))
    assert await world.sweep(forget_addresses) == 0
    world.clock.advance(microseconds=1)
    assert await world.sweep(forget_addresses) == 1
    assert await world.value("SELECT count(*) FROM deliveries WHERE address IS NOT NULL OR secrets IS NOT NULL") == 0
    assert await world.sweep(forget_addresses) == 0


async def test_an_address_that_does_not_open_any_more_takes_no_other_message_with_it(world, mail):
    await send_code(world, email="anna@example.com")
    await send_code(world, email="bert@example.com")
    await world.sweep(open_events)
    await world.owner.execute("UPDATE deliveries SET address = '\\x00' WHERE id = (SELECT min(id) FROM deliveries)")
    assert await world.sweep(deliver_due) == 2
    assert [message.open_id for message in mail.sent] == ["bert@example.com"]
    found = await world.owner.fetch("SELECT state, error FROM deliveries ORDER BY id")
    assert [tuple(each) for each in found] == [("planned", "SealBrokenError"), ("delivered", None)]


async def test_what_is_rolled_back_tells_nobody(world, mail):
    before = await world.snapshot(*TABLES)
    with pytest.raises(RuntimeError):
        async with transaction(world.context()) as tx:
            tell_outside(tx, "email_code", email="anna@example.com", subject="person", subject_id=5, minutes=10)
            raise RuntimeError
    assert await world.snapshot(*TABLES) == before


@pytest.mark.parametrize("address", ["a@b.cn", "first.last+tag@mail.example.com.cn", "x" * 64 + "@example.com", "o'neil@example.org"])
def test_what_is_a_mail_address(address):
    assert is_email(address)


@pytest.mark.parametrize("address", [
    "", "a", "@example.com", "a@b", "a@@b.cn", "a b@example.com", "a@example.com\nBcc: b@example.com", "a@example.com,b@example.com",
    "<a@example.com>", "a..b@example.com", ".a@example.com", "a@-example.com", "a@example-.com", "a@example.com.", "甲@example.com",
    "x" * 65 + "@example.com", "a@" + "b" * 250 + ".cn", "a@example.com\n", "a@[127.0.0.1]", "a@127.0.0.1",
    '"a"@example.com', "a@例子.cn",
])
def test_what_is_none(address):
    assert not is_email(address)


def test_mobile_numbers_are_those_of_the_mainland():
    assert is_mobile("13800138000")
    assert not any(map(is_mobile, ("12800138000", "1380013800", "138001380000", "+8613800138000", "１３８００１３８０００", "")))


async def test_a_wrong_address_is_a_bug_of_the_caller_and_nothing_is_written(world):
    for to in ({"email": "nobody"}, {"phone": "110"}):
        async with transaction(world.context()) as tx:
            with pytest.raises(ValueError, match="not an address"):
                tell_outside(tx, "email_code", subject="person", subject_id=5, **to)
    assert await world.value("SELECT count(*) FROM events") == 0
