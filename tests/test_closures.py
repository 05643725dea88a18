"""注销账号: what has to be settled first, what goes, what stays, and who comes at the same moment (PIPL 47)."""

import json
import re
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from handlers import closures, orders
from handlers.accounts import invite_member, log_in, register_organisation, set_name
from handlers.closures import AccountStillNeeded, close_account
from handlers.context import Context
from handlers.mailboxes import remove_mailbox
from handlers.personal import blind_index, mailbox_index, seal
from handlers.refusals import Refusal
from handlers.sessions import SessionEnded
from models.accounts import OrganisationKind, Platform, Role
from settings import ROOT
from tests.applications import applicant, consent, submitted_certification, valid
from tests.consulting import open_consulting
from tests.races import without
from tests.referee import COMMIT, Referee
from tests.shop import open_shop
from tests.test_redemptions import Treasury
from tests.test_redemptions import treasury as treasury  # noqa: PLC0414 - a fixture
from tests.world import SHIZHONG, Member, World

BODY = {"confirmation": "注销账号"}
PHONE = "13800138000"
# Where a person, or an identity of theirs, may be named after the account is closed: by id alone.
MAY_STAY = {"audit_entries", "memberships", "consents", "idempotency_keys", "persons", "consultants", "attachments", "approvals",
            "applications", "events", "notices", "deliveries", "orders", "invitations"}


async def close(world: World, by: Member) -> tuple[int, Any]:
    return await world.post("/me/closure", BODY, by=by)


async def known(world: World, member: Member, phone: str = PHONE) -> Member:
    """With a name, a phone, a mailbox and the consent to them."""
    await consent(world, member)
    await world.owner.execute(
        "UPDATE persons SET name = $2, phone = $3, phone_index = $4, email = $5, email_index = $6 WHERE id = $1", member.person_id,
        seal(world.settings, "张三"), seal(world.settings, phone), blind_index(world.settings, phone),
        seal(world.settings, "a@example.com"), mailbox_index(world.settings, "a@example.com"),
    )
    return member


async def log_in_again(world: World, member: Member) -> tuple[int, Any]:
    return await world.post("/sessions", {"platform": "wechat", "code": f"code-{member.open_id}"})


# --- what goes -------------------------------------------------------------------------------------------------------------------------


async def full_of_traces(world: World) -> Member:
    """A person who has left something everywhere."""
    member = await known(world, await world.enterprise())
    now, person, identity = world.clock.now(), member.person_id, member.identity_id
    for statement, *values in (
        (("INSERT INTO bindings (person_id, scene_hash, code_hash, created_at, expires_at, used_at, identity_id)"
         " VALUES ($1, '\\x01', '\\x02', $3, $3, $3, $2)"), person, identity, now),
        ("INSERT INTO bot_identities (identity_id, has_chosen, bound_at) VALUES ($1, false, $2)", identity, now),
        ("INSERT INTO subscriptions (identity_id, template, remaining, updated_at) VALUES ($1, 't', 2, $2)", identity, now),
        (("INSERT INTO subscription_reports (identity_id, template, nonce, answer, source, is_paired, reported_at)"
         " VALUES ($1, 't', 'n', 'accept', 'phone', false, $2)"), identity, now),
        ("INSERT INTO notice_preferences (person_id, muted, updated_at) VALUES ($1, '{}', $2)", person, now),
        (("INSERT INTO email_codes (person_id, email, email_index, code_hash, tries_left, sent_at, expires_at)"
         " VALUES ($1, '\\x01', '\\x02', '\\x03', 5, $2, $2)"), person, now),
        ("INSERT INTO talk_lines (identity_id, lines, said_at) VALUES ($1, '\\x01', $2)", identity, now),
        ("INSERT INTO help_requests (person_id, asked_at, due_at, lines) VALUES ($1, $2, $2, '\\x01')", person, now),
        (("INSERT INTO dialogues (identity_id, person_id, membership_id, intent, step, slots, message_id, version, expires_at, updated_at)"
         " VALUES ($1, $2, $3, 'i', 's', '{}', 'm', 1, $4::timestamptz + interval '1 minute', $4)"),
         identity, person, member.membership_id, now),
        (("INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes, wrong_since)"
         " VALUES ('wechat', 'wx-test', $1, 0, $2, 0, $2, 0, $2)"), member.open_id, now),
        ("INSERT INTO bot_cards (app_id, open_id, card_key, track_id, delivered_at, attempts) VALUES ('wx-test', $1, 'k', 't', $2, 0)",
         member.open_id, now),
        ("INSERT INTO payment_passwords (membership_id, hash, tries_spent, usable_at, set_at) VALUES ($1, 'x', 0, $2, $2)",
         member.membership_id, now),
    ):
        await world.owner.execute(statement, *values)
    return member


async def traces(world: World, member: Member) -> dict[str, int]:
    """Rows by table that name the person or the identity in a column, or hold the open id anywhere."""
    columns = await world.owner.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (column_name LIKE '%person_id' OR column_name LIKE '%identity_id' OR column_name = 'open_id')"
    )
    found: dict[str, int] = {}
    for table, column in columns:
        value: object = member.open_id if column == "open_id" else member.identity_id if "identity" in column else member.person_id
        if count := await world.value(f"SELECT count(*) FROM {table} WHERE {column} = $1", value):
            found[table] = found.get(table, 0) + count
    return found


async def test_a_closed_account_leaves_an_id_and_nothing_that_says_whose(world: World) -> None:
    member = await full_of_traces(world)
    before = await traces(world, member)
    status, answer = await close(world, member)
    assert (status, answer["person_id"]) == (200, member.person_id)
    assert datetime.fromisoformat(answer["closed_at"]) == world.clock.now()
    assert (answer["text"], len(answer["deleted"]) > 4, len(answer["kept"])) == ("账号已注销，所有设备已退出登录", True, 2)
    assert set(before) - MAY_STAY >= {
        "sessions", "identities", "bot_identities", "subscriptions", "talk_windows", "bot_cards", "email_codes", "bindings", "dialogues",
    }
    assert set(await traces(world, member)) <= MAY_STAY
    person = await world.one("SELECT * FROM persons WHERE id = $1", member.person_id)
    assert {name: value for name, value in dict(person).items() if value is not None} == {
        "id": member.person_id, "created_at": person["created_at"], "closed_at": world.clock.now()}
    assert await world.value("SELECT state FROM memberships WHERE id = $1", member.membership_id) == "ended"
    assert await world.value("SELECT count(*) FROM payment_passwords") == 0
    told = await world.owner.fetch("SELECT action, person_id, subject_id FROM audit_entries ORDER BY id")
    assert [tuple(each) for each in told][-2:] == [
        ("membership.ended", member.person_id, member.membership_id), ("person.closed", member.person_id, member.person_id)]
    said = json.dumps([dict(each) for each in await world.owner.fetch("SELECT * FROM audit_entries")], default=str)
    assert not [word for word in (member.open_id, PHONE, "张三", "a@example.com") if word in said]


async def test_all_devices_are_signed_out_and_the_same_wechat_user_is_a_new_person(world: World) -> None:
    member = await known(world, await world.enterprise())
    other = (await log_in_again(world, member))[1]["token"]
    assert (await close(world, member))[0] == 200
    assert (await world.get("/me", by=member))[0] == 401
    assert (await world.call("GET", "/me", headers={"Authorization": f"Bearer {other}"}))[0] == 401
    assert (await close(world, member))[0] == 401  # there is nobody to close any more
    status, again = await log_in_again(world, member)
    assert (status, again["me"]["memberships"], again["me"]["name"], again["me"]["phone"]) == (201, [], None, None)
    assert again["me"]["person_id"] != member.person_id
    # The phone is free, too: whoever has it now binds it.
    token = {"Authorization": f"Bearer {again['token']}"}
    version = (await world.get("/privacy"))[1]["version"]
    assert (await world.call("POST", "/consents", {"document": "privacy", "version": version}, headers=token))[0] == 200
    assert (await world.call("PUT", "/me/phone", {"code": f"phone-{PHONE}@{member.open_id}"}, headers=token))[0] == 200


async def test_the_words_have_to_be_typed(world: World) -> None:
    member = await world.enterprise()
    for body in ({}, {"confirmation": "注销"}):
        assert (await world.post("/me/closure", body, by=member))[0] == 422
    assert await world.value("SELECT closed_at FROM persons WHERE id = $1", member.person_id) is None


async def test_a_consultant_who_closes_the_account_is_unlinked_and_no_longer_shown(world: World) -> None:
    consulting = await open_consulting(world)
    consultant_id, person = await consulting.active()
    assert (await close(world, person))[0] == 200
    found = await world.one("SELECT * FROM consultants WHERE id = $1", consultant_id)
    assert (found["state"], found["membership_id"], found["display_name"]) == ("ended", None, "已注销")
    assert [found[name] for name in ("name", "phone", "phone_index", "email", "title", "introduction")] == [None] * 4 + ["", ""]
    assert await world.value("SELECT count(*) FROM invitations WHERE phone_index IS NOT NULL") == 0
    assert (await consulting.told("consultant_progress"))[-1][2]["step"] == "unlinked"
    assert (await consulting.shown(consultant_id))["name"] is None


async def test_the_text_that_people_agree_to_says_what_happens(world: World) -> None:
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    for words in ("姓名、手机号、通知邮箱", "用户标识", "聊天绑定", "支付密码", "照片"):
        assert words in text
        assert re.search(words, "".join(closures.DELETED))


# --- not yet ---------------------------------------------------------------------------------------------------------------------------


async def still_needed(world: World, by: Member) -> list[tuple[str, int, list[str]]]:
    """(reason, count, numbers) of a refusal that changed nothing."""
    tables = ("persons", "identities", "sessions", "memberships", "audit_entries", "events")
    before = await world.snapshot(*tables)
    status, problem = await close(world, by)
    assert (status, problem["code"]) == (409, "account_still_needed")
    assert await world.snapshot(*tables) == before
    assert all(re.search("[一-鿿]{4}", item["text"]) and item["organisation_name"] for item in problem["data"]["items"])
    return [(item["reason"], item["count"], item["numbers"]) for item in problem["data"]["items"]]


async def test_the_only_owner_of_open_orders_and_vouchers_stays(world: World) -> None:
    shop = await open_shop(world)
    number = await world.value("SELECT number FROM orders WHERE id = $1", await shop.order())
    await shop.lot(100_000)
    assert await still_needed(world, shop.buyer) == [("open_orders", 1, [number]), ("usable_vouchers", 1, [])]
    assert await still_needed(world, shop.seller) == [("open_orders", 1, [number])]
    await world.member(shop.buyer.organisation_id, Role.OWNER)
    assert (await close(world, shop.buyer))[0] == 200  # the other owner has them


async def test_vouchers_that_are_over_and_orders_that_are_done_keep_nobody(world: World) -> None:
    shop = await open_shop(world)
    await shop.completed()
    await shop.lot(100_000)
    world.clock.advance(days=31)
    assert [(await close(world, each))[0] for each in (shop.buyer, shop.seller)] == [200, 200]


async def test_an_institution_waits_for_its_money(treasury: Treasury) -> None:
    world = treasury.world
    redemption_id = await treasury.approved()
    number = await world.value("SELECT number FROM redemptions WHERE id = $1", redemption_id)
    found = await still_needed(world, treasury.shop.seller)
    assert ("money_in_flight", 1, [number]) in found


async def test_an_official_whose_cases_nobody_else_reaches_stays_and_so_does_the_last_administrator(world: World) -> None:
    admin = await world.official(Role.ADMIN)
    assert await still_needed(world, admin) == [("last_admin", 1, [])]
    await world.official(Role.ADMIN, region_code="330100")  # somewhere else
    owner = await applicant(world)
    await submitted_certification(world, owner)
    assert await still_needed(world, admin) == [("open_cases", 1, [])]
    await world.official(Role.ADMIN, region_code="370000")
    assert (await close(world, admin))[0] == 200


async def test_a_member_who_owns_nothing_leaves_whatever_is_open(world: World) -> None:
    shop = await open_shop(world)
    await shop.order()
    finance = await world.member(shop.buyer.organisation_id, Role.FINANCE)
    assert (await close(world, finance))[0] == 200


# --- at the same moment ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["closing", "log-in"])
async def test_a_log_in_at_the_same_moment_is_ended_or_is_of_a_new_person(world: World, referee: Referee, first: str) -> None:
    member = await known(world, await world.enterprise())
    contenders = [
        lambda: close_account(world.context(member)), lambda: log_in(world.context(), Platform.WECHAT, f"code-{member.open_id}"),
    ]
    if first == "log-in":
        contenders.reverse()
    outcomes = await referee.race(*contenders, hold=[COMMIT], in_turn=True)
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    signed_in = next(each for each in outcomes if "token" in each)
    open_sessions = await world.owner.fetch("SELECT person_id FROM sessions")
    if first == "log-in":
        assert (signed_in["me"]["person_id"], [tuple(each) for each in open_sessions]) == (member.person_id, [])
    else:
        assert signed_in["me"]["person_id"] != member.person_id
        assert [each["person_id"] for each in open_sessions] == [signed_in["me"]["person_id"]]
    assert await world.value("SELECT count(*) FROM identities WHERE person_id = $1", member.person_id) == 0


async def test_without_its_lock_the_log_in_breaks(world: World, referee: Referee, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.accounts.signing_in.IDENTITY", " FOR KEY SHARE", "")
    member = await known(world, await world.enterprise())
    outcomes = await referee.race(
        lambda: close_account(world.context(member)), lambda: log_in(world.context(), Platform.WECHAT, f"code-{member.open_id}"),
        hold=[COMMIT], in_turn=True,
    )
    assert [type(each).__name__ for each in outcomes if isinstance(each, BaseException)] == ["ForeignKeyViolationError"]


@pytest.mark.parametrize("first", ["closing", "payment"])
async def test_the_only_owner_who_pays_at_the_same_moment_has_paid_and_stays(world: World, referee: Referee, first: str) -> None:
    shop = await open_shop(world)
    await shop.lot()
    order_id = await shop.order()
    contenders = [
        lambda: close_account(world.context(shop.buyer)), lambda: orders.pay_verified(world.context(shop.buyer), order_id, 200_000),
    ]
    if first == "payment":
        contenders.reverse()
    outcomes = await referee.race(*contenders, hold=[COMMIT], in_turn=True)
    refused, = (each for each in outcomes if isinstance(each, BaseException))
    assert isinstance(refused, AccountStillNeeded)
    assert refused.data["items"][0]["reason"] == "open_orders"
    assert await shop.state(order_id) == "paid"
    assert await world.value("SELECT closed_at FROM persons WHERE id = $1", shop.buyer.person_id) is None


@pytest.mark.parametrize("first", ["closing", "payment"])
async def test_a_colleagues_payment_at_the_same_moment_is_the_organisations(world: World, referee: Referee, first: str) -> None:
    shop = await open_shop(world)
    await shop.lot()
    order_id = await shop.order()
    finance = await world.member(shop.buyer.organisation_id, Role.FINANCE)
    contenders = [lambda: close_account(world.context(finance)), lambda: orders.pay_verified(world.context(finance), order_id, 200_000)]
    if first == "payment":
        contenders.reverse()
    outcomes = await referee.race(*contenders, hold=[COMMIT], in_turn=True)
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert (await shop.state(order_id), await world.value("SELECT state FROM memberships WHERE id = $1", finance.membership_id)) == (
        "paid", "ended")


async def test_two_requests_at_once_close_once_and_are_answered_the_same(world: World, referee: Referee) -> None:
    member = await world.enterprise()
    outcomes = await referee.race(*[lambda: close_account(world.context(member))] * 2, hold=[COMMIT])
    assert outcomes[0] == outcomes[1]
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'person.closed'") == 1


@pytest.mark.parametrize("protected", [True, False])
async def test_two_owners_who_close_at_once_leave_one(
    world: World, referee: Referee, monkeypatch: pytest.MonkeyPatch, protected: bool,
) -> None:
    if not protected:
        monkeypatch.setattr(closures, "LOCK_ORGANISATION", "SELECT FROM organisations WHERE id = $1")
    shop = await open_shop(world)
    await shop.lot()
    second = await world.member(shop.buyer.organisation_id, Role.OWNER)
    outcomes = await referee.race(*(partial(close_account, world.context(who)) for who in (shop.buyer, second)), hold=[COMMIT])
    refused = [each for each in outcomes if isinstance(each, Refusal)]
    assert [each.code for each in refused] == (["account_still_needed"] if protected else [])
    assert await world.value("SELECT count(*) FROM memberships WHERE role = 'owner' AND state = 'active' AND organisation_id = $1",
                             shop.buyer.organisation_id) == len(refused)


@pytest.mark.parametrize("protected", [True, False])
async def test_two_administrators_who_close_at_once_leave_one(
    world: World, referee: Referee, monkeypatch: pytest.MonkeyPatch, protected: bool,
) -> None:
    if not protected:
        async def nothing(_: object) -> None:
            return None

        monkeypatch.setattr(closures, "lock_admins", nothing)
    admins = [await world.official(Role.ADMIN) for _ in range(2)]
    outcomes = await referee.race(*(partial(close_account, world.context(who)) for who in admins), hold=[COMMIT])
    assert len([each for each in outcomes if isinstance(each, AccountStillNeeded)]) == (1 if protected else 0)


async def test_nothing_more_is_learnt_of_who_has_closed_the_account(world: World) -> None:
    """Requests that had been let in before: each looks again where it writes."""
    member = await known(world, await world.enterprise())
    owner = await known(world, await world.enterprise(), "13900139000")
    before = world.context(member)
    assert (await close(world, member))[0] == 200
    for late in (lambda: set_name(before, "李四"), lambda: remove_mailbox(before), lambda: register(before)):
        with pytest.raises(SessionEnded):
            await late()
    with pytest.raises(Refusal) as unknown:
        await invite_member(world.context(owner), PHONE, Role.HANDLER)
    assert unknown.value.code == "person_unknown"


async def register(ctx: Context) -> object:
    return await register_organisation(ctx, OrganisationKind.ENTERPRISE, "新单位", valid("91370103MA0000001"), SHIZHONG)


@pytest.mark.parametrize("first", ["closing", "invitation"])
async def test_an_invitation_at_the_same_moment_finds_nobody_or_ends_with_the_account(world: World, referee: Referee, first: str) -> None:
    member = await known(world, await world.enterprise())
    owner = await world.enterprise()
    contenders = [lambda: close_account(world.context(member)), lambda: invite_member(world.context(owner), PHONE, Role.HANDLER)]
    if first == "invitation":
        contenders.reverse()
    outcomes = await referee.race(*contenders, hold=[COMMIT], in_turn=True)
    assert [each.code for each in outcomes if isinstance(each, Refusal)] == (["person_unknown"] if first == "closing" else [])
    assert await world.value("SELECT count(*) FROM memberships WHERE person_id = $1 AND state = 'active'", member.person_id) == 0
