"""A person's mailbox: proved with a code, used, removed; and the conclusion that goes to the address in an application (D06)."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from handlers import mailboxes
from handlers.deliveries import deliver_due
from handlers.mailboxes import forget_codes
from handlers.notices import open_events
from handlers.personal import mailbox_index, seal
from models.accounts import Role
from tests.applications import applicant, consent, submitted_certification
from tests.fakes import Gateway
from tests.races import meet_after, without
from tests.world import SHIZHONG, Member, World

TABLES = ("persons", "email_codes", "events", "audit_entries")
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def mail(world: World) -> Gateway:
    world.ports.senders["email"] = gateway = Gateway("mail")
    return gateway


@pytest.fixture
async def me(world: World, mail: Gateway) -> Member:
    found = await world.enterprise()
    await consent(world, found)
    return found


async def ask(world: World, me: Member, email: str = "anna@example.com") -> tuple[int, Any]:
    return await world.post("/me/mailbox/codes", {"email": email}, by=me)


async def code_of(world: World, mail: Gateway) -> str:
    await world.sweep(open_events)
    await world.sweep(deliver_due)
    found = re.search(r"验证码：(\d{6})", mail.sent[-1].body)
    assert found
    return found[1]


async def confirm(world: World, me: Member, code: str) -> tuple[int, Any]:
    return await world.put("/me/mailbox", {"code": code}, by=me)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_a_mailbox_is_the_persons_once_its_code_was_typed_in(world, me, mail):
    status, asked = await ask(world, me, "Anna.Li@example.com")
    assert (status, asked["email"], asked["waiting_for"], asked["is_available"]) == (200, None, "A****@example.com", True)
    assert await world.value("SELECT email FROM persons WHERE id = $1", me.person_id) is None
    status, done = await confirm(world, me, await code_of(world, mail))
    assert (status, done["email"], done["waiting_for"]) == (200, "A****@example.com", None)
    person = await world.one("SELECT email, email_index FROM persons WHERE id = $1", me.person_id)
    assert b"example" not in person["email"]
    assert person["email_index"] == mailbox_index(world.settings, "anna.li@EXAMPLE.com")
    assert (await world.get("/me/mailbox", by=me))[1] == done


async def test_a_code_lives_ten_minutes_to_the_instant(world, me, mail):
    await ask(world, me)
    code = await code_of(world, mail)
    world.clock.set(world.at(minutes=10))
    assert (await confirm(world, me, code))[1]["code"] == "email_code_over"
    world.clock.set(world.at(microseconds=-1))
    assert (await confirm(world, me, code))[0] == 200


async def test_five_wrong_tries_and_then_not_even_the_right_code(world, me, mail):
    await ask(world, me)
    code = await code_of(world, mail)
    left = []
    for _ in range(5):
        status, refused = await confirm(world, me, other(code))
        assert (status, refused["code"]) == (403, "email_code_wrong")
        left.append(refused["data"]["tries_left"])
    assert left == [4, 3, 2, 1, 0]
    before = await world.snapshot(*TABLES)
    status, refused = await confirm(world, me, code)
    assert (status, refused["code"]) == (409, "email_code_over")
    assert await world.snapshot(*TABLES) == before


async def test_three_hundred_parallel_guesses_share_five_tries(world, me, mail):
    await ask(world, me)
    code = await code_of(world, mail)
    answers = await asyncio.gather(*(confirm(world, me, f"{(int(code) + 1 + number) % 10**6:06d}") for number in range(40)))
    assert sorted(body["code"] for _, body in answers) == ["email_code_over"] * 35 + ["email_code_wrong"] * 5


@pytest.mark.parametrize("protected", [True, False])
async def test_a_code_typed_in_twice_at_once_counts_once(world, me, mail, monkeypatch, protected):
    if not protected:
        without(monkeypatch, "handlers.mailboxes.USE", " AND used_at IS NULL", "")
    await ask(world, me)
    code = await code_of(world, mail)
    meet_after(world.owner, monkeypatch, "handlers.mailboxes.spend_a_try")
    answers = await asyncio.gather(*(confirm(world, me, code) for _ in range(2)))
    confirmed = await world.value("SELECT count(*) FROM audit_entries WHERE action = 'mailbox.confirmed'")
    assert (sorted(status for status, _ in answers), confirmed) == (([200, 409], 1) if protected else ([200, 200], 2))


async def test_only_the_newest_code_counts_and_only_for_who_asked(world, me, mail):
    await ask(world, me)
    first = await code_of(world, mail)
    world.clock.advance(seconds=60)
    await ask(world, me, "bert@example.com")
    second = await code_of(world, mail)
    stranger = await world.enterprise()
    assert (await confirm(world, stranger, second))[1]["code"] == "email_code_over"
    if first != second:
        assert (await confirm(world, me, first))[1]["code"] == "email_code_wrong"
    status, done = await confirm(world, me, second)
    assert (status, done["email"]) == (200, "b****@example.com")


async def test_a_code_a_minute_ten_a_day_and_five_to_one_mailbox(world, me, mail):
    assert (await ask(world, me))[0] == 200
    world.clock.set(world.at(seconds=60) - INSTANT)
    before = await world.snapshot(*TABLES)
    status, refused = await ask(world, me)
    assert (status, refused["code"], refused["data"]) == (429, "email_code_too_often", {"retry_after_seconds": 1})
    assert await world.snapshot(*TABLES) == before
    world.clock.advance(microseconds=1)
    for _ in range(4):
        assert (await ask(world, me))[0] == 200
        world.clock.advance(minutes=1)
    colleague = await world.enterprise()
    await consent(world, colleague)
    assert (await ask(world, colleague))[0] == 429  # the mailbox has had its five, whoever asks
    for _ in range(5):
        assert (await ask(world, me, "bert@example.com"))[0] == 200
        world.clock.advance(minutes=1)
    status, refused = await ask(world, me, "carl@example.com")
    assert (status, refused["code"]) == (429, "email_code_too_often")
    world.clock.advance(seconds=refused["data"]["retry_after_seconds"])
    assert (await ask(world, me, "carl@example.com"))[0] == 200


async def test_nothing_is_stored_before_consent_and_nothing_for_a_wrong_address_or_without_the_channel(world, me, mail):
    stranger = await world.enterprise()
    before = await world.snapshot(*TABLES)
    assert (await ask(world, stranger))[1]["code"] == "consent_needed"
    assert (await ask(world, me, "nobody@here"))[1]["code"] == "email_wrong"
    del world.ports.senders["email"]
    assert (await ask(world, me))[1]["code"] == "email_off"
    assert (await world.get("/me/mailbox", by=me))[1]["is_available"] is False
    assert await world.snapshot(*TABLES) == before


async def test_removing_it_ends_the_mails_also_those_that_wait(world, me, mail):
    await ask(world, me)
    await confirm(world, me, await code_of(world, mail))
    from handlers.transactions import transaction

    async with transaction(world.context()) as tx:
        tx.announce("approval_result", "application", 1, person_id=me.person_id, title="认证", result="approved")
    await world.sweep(open_events)
    status, removed = await world.delete("/me/mailbox", by=me)
    assert (status, removed["email"]) == (200, None)
    assert await world.value("SELECT state FROM deliveries d WHERE d.channel = 'email' ORDER BY id DESC LIMIT 1") == "superseded"
    assert await world.value("SELECT count(*) FROM persons WHERE email IS NOT NULL OR email_index IS NOT NULL") == 0
    assert (await world.delete("/me/mailbox", by=me))[0] == 200


async def test_codes_are_forgotten_after_a_day_to_the_instant(world, me, mail):
    await ask(world, me)
    world.clock.set(world.at(hours=24) - INSTANT)
    assert await world.sweep(forget_codes) == 0
    world.clock.advance(microseconds=1)
    assert await world.sweep(forget_codes) == 1
    assert await world.value("SELECT count(*) FROM email_codes") == 0


async def test_the_database_holds_neither_code_nor_address_in_clear(world, me, mail):
    await ask(world, me)
    code = await code_of(world, mail)
    stored = repr(await world.snapshot("email_codes", "events", "notices", "deliveries", "audit_entries", "idempotency_keys"))
    assert "anna" not in stored
    assert code not in stored


# --- the e-mail in an application ----------------------------------------------------------------------------------------------


async def decided(world: World, owner: Member, decision: str, reason: str | None = None, email: str = "office@example.com") -> None:
    """`contact_email` is no field of this form: the column is set as a form with the field sets it."""
    reviewer = await world.official(Role.ADMIN, region_code=SHIZHONG)
    approval = await submitted_certification(world, owner)
    await world.owner.execute("UPDATE applications SET contact_email = $1", seal(world.settings, email))
    await world.owner.execute("UPDATE events SET opened_at = now()")
    said = {"remark" if decision == "approval" else "reason": reason} if reason else None
    status, answer = await world.post(f"/approvals/{approval}/{decision}", said, by=reviewer)
    assert status == 200, answer
    await world.sweep(open_events)
    while await world.sweep(deliver_due):
        pass


@pytest.mark.parametrize(("decision", "reason", "said"), [
    ("approval", None, "审核通过。"), ("approval", "请及时年检", "审核通过。说明：请及时年检。"),
    ("return", "请补交执照", "退回补正。原因：请补交执照。"),
    ("rejection", "不符合条件", "审核拒绝。原因：不符合条件。"),
])
async def test_the_conclusion_goes_once_to_the_mailbox_that_the_application_gives(world, mail, decision, reason, said):
    await decided(world, await applicant(world), decision, reason)
    assert [(message.kind, message.open_id) for message in mail.sent] == [("approval_result", "office@example.com")]
    assert mail.sent[0].body == f"您提交的「企业实名认证」{said}"
    assert mail.sent[0].page.startswith("pages/applications/show?id=")


async def test_somebody_who_is_told_by_mail_anyway_gets_one_mail_not_two(world, mail):
    owner = await applicant(world)
    await world.owner.execute(
        "UPDATE persons SET email = $2, email_index = $3 WHERE id = $1", owner.person_id,
        seal(world.settings, "Anna@example.com"), mailbox_index(world.settings, "Anna@example.com"),
    )
    await decided(world, owner, "approval", email="anna@Example.com")
    assert [message.open_id for message in mail.sent] == ["Anna@example.com"]


def test_what_a_form_takes_for_an_e_mail_is_what_can_be_written_to():
    from pydantic import TypeAdapter, ValidationError

    from handlers.application_forms import Email

    assert TypeAdapter(Email).validate_python(" office@example.com ") == "office@example.com"
    with pytest.raises(ValidationError, match="邮箱格式不正确"):
        TypeAdapter(Email).validate_python("office@example")
    assert mailboxes.TRIES == 5
