"""What is kept for a time goes when the time is over, and every promise of the registry has somebody who keeps it (PIPL 19)."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from aiohttp import FormData

from handlers import retention
from handlers.attachments_purging import purge_deleted
from handlers.context import Context
from handlers.personal import blind_index
from handlers.talk_windows import forget_windows
from jobs.schedule import schedule
from models.accounts import Role
from models.personal import REGISTRY, PersonalColumn, kept_for
from settings import ROOT, Settings
from tests.applications import applicant, picture, submitted_certification
from tests.consulting import Consulting, open_consulting
from tests.shop import open_shop
from tests.test_attachments import kept
from tests.test_redemptions import Treasury
from tests.test_redemptions import treasury as treasury  # noqa: PLC0414 - a fixture
from tests.world import World

TEN_YEARS = timedelta(days=3650)
INSTANT = timedelta(microseconds=1)
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
Sweep = Callable[[Context], Awaitable[int]]


# --- the registry ----------------------------------------------------------------------------------------------------------------------


def is_kept(settings: Settings, entry: PersonalColumn, runbook: str = RUNBOOK) -> bool:
    """Whether what the entry names exists: a sweep, a use-case, or a heading of the runbook."""
    if entry.gone_by.startswith("manual: "):
        return f"\n## {entry.gone_by.removeprefix('manual: ')}\n" in runbook
    if entry.gone_by.startswith("handlers."):
        module, _, name = entry.gone_by.rpartition(".")
        return callable(getattr(import_module(module), name, None))
    return entry.gone_by in {each.name for each in schedule(settings)}


def test_every_registered_column_names_who_deletes_it(settings: Settings) -> None:
    assert [f"{entry.table}.{entry.column}: {entry.gone_by}" for entry in REGISTRY if not is_kept(settings, entry)] == []


@pytest.mark.parametrize("gone_by", ["retention.forget_nothing", "handlers.retention.nobody", "manual: Nowhere", "", "manual: "])
def test_a_promise_that_nobody_keeps_is_found(settings: Settings, gone_by: str) -> None:
    first = REGISTRY[0]
    unkept = PersonalColumn(first.table, first.column, first.kept, first.purpose, first.basis, first.ends, first.days, gone_by)
    assert not is_kept(settings, unkept)


def test_what_is_kept_after_its_end_is_not_left_to_the_moment_of_the_end() -> None:
    """A use-case deletes at once; days need a clock, or a person with one."""
    assert [entry for entry in REGISTRY if entry.days and entry.gone_by.startswith("handlers.")] == []


# --- ten years -------------------------------------------------------------------------------------------------------------------------


async def at_its_instant(world: World, sweep: Sweep, due: datetime, done: int = 1) -> None:
    """Nothing a microsecond before, everything at the instant, nothing again."""
    world.clock.set(due - INSTANT)
    assert await world.sweep(sweep) == 0
    world.clock.set(due)
    assert [await world.sweep(sweep) for _ in range(2)] == [done, 0]


async def personal_of(world: World) -> int:
    found: int = await world.value(
        "SELECT sum(num_nonnulls(contact_name, contact_phone, contact_email, legal_person_name, legal_person_id_number, bank_account))"
        " FROM applications"
    )
    return found


async def test_the_personal_part_of_a_form_goes_ten_years_after_the_decision(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    before = await personal_of(world)
    world.clock.advance(days=4000)
    assert (before > 0, await world.sweep(retention.forget_applications)) == (True, 0)  # it still waits for a decision
    await world.owner.execute("UPDATE sessions SET expires_at = $1", world.at(days=1))
    assert (await world.post(f"/approvals/{approval}/approval", by=admin))[0] == 200
    form = await world.value("SELECT form FROM applications")
    await at_its_instant(world, retention.forget_applications, world.clock.now() + TEN_YEARS)
    assert (await personal_of(world), await world.value("SELECT form FROM applications")) == (0, form)
    told = await world.one("SELECT action, data FROM audit_entries ORDER BY id DESC LIMIT 1")
    assert (told["action"], told["data"]) == ("application.personal_forgotten", '{"count": 1}')


async def test_a_form_that_nobody_sent_goes_ten_years_after_it_was_written(world: World) -> None:
    owner = await applicant(world)
    await submitted_certification(world, owner)
    assert (await world.post("/certification/withdrawal", by=owner))[0] == 200
    await at_its_instant(world, retention.forget_applications, world.clock.now() + TEN_YEARS)
    assert await personal_of(world) == 0


async def test_the_papers_of_a_form_go_with_their_bytes_and_what_something_else_needs_stays(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    assert (await world.post(f"/approvals/{approval}/approval", by=admin))[0] == 200
    paper = await world.value("SELECT attachment_id FROM application_files")
    shop = await open_shop(world)
    order = await shop.accepted()
    await world.owner.execute(
        "INSERT INTO handovers (order_id, summary, attachment_id, delivered_by_id, delivered_at) VALUES ($1, '', $2, $3, $4)",
        order, paper, owner.person_id, world.clock.now(),
    )
    due = world.clock.now() + TEN_YEARS
    world.clock.set(due)
    assert await world.sweep(retention.forget_papers) == 0
    await world.owner.execute("DELETE FROM handovers")
    await at_its_instant(world, retention.forget_papers, due)
    assert (await world.sweep(purge_deleted), kept(world)) == (1, {})


async def test_the_account_of_a_transfer_goes_ten_years_after_the_bank_answered(treasury: Treasury) -> None:
    world = treasury.world
    await treasury.approved()
    batch_id, lines = await treasury.confirmed()
    world.clock.advance(days=4000)
    assert await world.sweep(retention.forget_transfers) == 0  # the bank has not answered
    await world.owner.execute("UPDATE sessions SET expires_at = $1", world.at(days=8000))
    answer = {"line_id": lines[0]["id"], "paid": True, "bank_reference": "R-1", "reason": ""}
    status, body = await treasury.answer(batch_id, answer)
    assert status == 200, body
    await at_its_instant(world, retention.forget_transfers, world.clock.now() + TEN_YEARS)
    _, lines = await world.get(f"/payout-batches/{batch_id}/lines", by=treasury.maker)
    line = lines["items"][0]
    assert (line["bank_account"], line["bank_branch"], line["bank_reference"], line["state"]) == (None, "", None, "paid")
    assert line["fen"] > 0
    headers = {"Authorization": f"Bearer {treasury.maker.token}"}
    async with world.client.get(f"/api/v1/payout-batches/{batch_id}/file.csv", headers=headers) as answered:
        assert answered.status == 409  # nothing is left to pay


async def test_the_papers_of_a_claim_go_ten_years_after_it_was_paid(treasury: Treasury) -> None:
    world = treasury.world
    await treasury.approved()
    batch_id, lines = await treasury.confirmed()
    world.clock.advance(days=4000)
    assert await world.sweep(retention.forget_papers) == 0
    await world.owner.execute("UPDATE sessions SET expires_at = $1", world.at(days=1))
    answer = {"line_id": lines[0]["id"], "paid": True, "bank_reference": "R-1", "reason": ""}
    assert (await treasury.answer(batch_id, answer))[0] == 200
    used = await world.value(
        "SELECT count(*) FROM (SELECT attachment_id FROM redemption_files UNION SELECT attachment_id FROM invoices) u")
    await at_its_instant(world, retention.forget_papers, world.clock.now() + TEN_YEARS, used)


async def test_what_two_parties_were_compared_by_goes_ten_years_after_the_last_order(world: World) -> None:
    shop = await open_shop(world)
    order = await shop.completed()
    for party in (shop.buyer, shop.seller):
        await world.owner.execute(
            "INSERT INTO party_traits (organisation_id, kind, digest, noted_at) VALUES ($1, 'phone', $2, $3)",
            party.organisation_id, blind_index(world.settings, "13800138000"), world.clock.now() - timedelta(days=9000),
        )
    ended = await world.value("SELECT completed_at FROM orders WHERE id = $1", order)
    await at_its_instant(world, retention.forget_traits, ended + TEN_YEARS, 2)


# --- consultants -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def consulting(world: World) -> AsyncIterator[Consulting]:
    yield await open_consulting(world)


async def photographed(consulting: Consulting) -> tuple[int, int]:
    """(an active consultant, the photo that everybody sees)."""
    world, person = consulting.world, await consulting.somebody()
    consultant_id, token = await consulting.invited()
    await consulting.accept(token, person)
    photo_id = 0
    for width in (20, 30):  # the first one is never chosen
        form = FormData()
        form.add_field("file", io.BytesIO(picture(width=width)), filename="照片.png", content_type="application/octet-stream")
        headers, path = {"Authorization": f"Bearer {person.token}"}, f"/api/v1/consultancies/{consultant_id}/photo"
        async with world.client.post(path, data=form, headers=headers) as answered:
            assert answered.status == 201
            photo_id = int((await answered.json())["id"])
    assert (await consulting.submit(consultant_id, person, photo_id=photo_id))[0] == 200
    assert (await consulting.decide(consultant_id, "approval", {}))[0] == 200
    return consultant_id, photo_id


async def test_the_photos_of_a_consultant_go_with_the_link_from_storage_and_page(consulting: Consulting) -> None:
    world = consulting.world
    consultant_id, photo_id = await photographed(consulting)
    async with world.client.get(f"/api/v1/pictures/{photo_id}") as shown:
        assert shown.status == 200
    world.clock.advance(days=1000)
    assert (await world.sweep(retention.forget_photos), len(kept(world))) == (0, 3)
    await world.owner.execute("UPDATE sessions SET expires_at = $1", world.at(days=1))
    assert (await consulting.end(consultant_id))[0] == 200
    assert [await world.sweep(retention.forget_photos) for _ in range(2)] == [2, 0]
    assert (await world.sweep(purge_deleted), kept(world)) == (2, {})
    assert await world.value("SELECT photo_id FROM consultants WHERE id = $1", consultant_id) is None


async def test_who_a_consultant_was_is_forgotten_ten_years_after_the_link(consulting: Consulting) -> None:
    world = consulting.world
    consultant_id, _ = await consulting.active()
    assert (await consulting.end(consultant_id))[0] == 200
    await at_its_instant(world, retention.forget_consultants, world.clock.now() + TEN_YEARS)
    found = await world.one("SELECT name, phone, phone_index, email, display_name FROM consultants WHERE id = $1", consultant_id)
    assert tuple(found)[:4] == (None, None, None, None)
    assert found["display_name"]


async def test_whom_an_invitation_was_for_is_forgotten_a_month_after_it(consulting: Consulting) -> None:
    world = consulting.world
    _, token = await consulting.invited()
    world.clock.advance(days=6)
    assert await world.sweep(retention.forget_invited) == 0
    assert (await consulting.accept(token, await consulting.somebody()))[0] == 200
    await at_its_instant(world, retention.forget_invited, world.clock.now() + kept_for("invitations", "phone_index"))
    assert await world.value("SELECT phone_index FROM invitations") is None


# --- chats -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unbound", "days"), [(False, 30), (True, 1095)])
async def test_who_no_longer_speaks_is_forgotten_and_who_asked_to_be_left_alone_later(world: World, unbound: bool, days: int) -> None:
    now = world.clock.now()
    await world.owner.execute(
        "INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes,"
        " wrong_since, unbound_at) VALUES ('wechat_oa', 'a', 'o', 0, $1, 0, $2, 0, $2, $3)", now, now - timedelta(days=1),
        now if unbound else None,
    )
    await at_its_instant(world, forget_windows, now + timedelta(days=days))
