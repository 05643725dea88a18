"""Files over HTTP: what is taken, what is refused, who may have it, and what is left behind (E08-E10, C13)."""

import asyncio
import hashlib
import io
import zipfile
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from handlers import attachments
from handlers.attachments import KEEPERS
from handlers.attachments_purging import AGAIN_AFTER, CLAIM, purge_deleted
from handlers.file_types import MEGABYTE, SLOTS, display_name, sniff
from handlers.refusals import StorageAway
from handlers.transactions import changed
from models.accounts import Role
from tests.applications import PDF, applicant, file, picture, submitted_certification, upload
from tests.shop import open_shop
from tests.world import JINAN, Member, World

TABLES = ("attachments", "audit_entries")
RAR4, RAR5 = b"Rar!\x1a\x07\x00" + bytes(64), b"Rar!\x1a\x07\x01\x00" + bytes(64)
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(64)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it is side x side pixels large."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


async def download(world: World, attachment_id: int, by: Member | None) -> tuple[int, bytes, Any]:
    headers = {"Authorization": f"Bearer {by.token}"} if by else {}
    async with world.client.get(f"/api/v1/attachments/{attachment_id}", headers=headers) as response:
        return response.status, await response.read(), response.headers


def kept(world: World) -> dict[str, bytes]:
    files: dict[str, bytes] = world.ports.storage.files  # type: ignore[attr-defined]
    return files


@pytest.mark.parametrize(("name", "content", "media_type"), [
    ("营业执照.jpg", picture(kind="JPEG"), "image/jpeg"), ("营业执照.JPEG", picture(kind="JPEG"), "image/jpeg"),
    ("a.png", picture(), "image/png"), ("a.gif", picture(kind="GIF"), "image/gif"), ("a.pdf", PDF, "application/pdf"),
    ("a.rar", RAR4, "application/vnd.rar"), ("a.rar", RAR5, "application/vnd.rar"), ("a.zip", archive("表.xls"), "application/zip"),
    ("a.7z", SEVEN_ZIP, "application/x-7z-compressed"),
])
async def test_the_eight_kinds_of_the_manual_are_taken_and_come_back(
    world: World, name: str, content: bytes, media_type: str
) -> None:
    owner = await applicant(world)
    status, view = await upload(world, owner, "business_licence", name, content)
    assert (status, view["name"], view["media_type"], view["size"], view["sha256"]) == (
        201, name, media_type, len(content), hashlib.sha256(content).hexdigest())
    status, back, headers = await download(world, view["id"], owner)
    assert (status, back, headers["Content-Type"], headers["Content-Length"]) == (200, content, media_type, str(len(content)))
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("name", "content"), [
    ("licence.pdf", picture()), ("licence.png", PDF), ("licence.jpg", b"<html><script>alert(1)</script>"), ("licence", PDF),
    ("licence.pdf", b"MZ" + bytes(100)), ("licence.zip", archive("[Content_Types].xml", "word/document.xml")),
    ("licence.docx", archive("[Content_Types].xml", "word/document.xml")), ("licence.doc", OLE), ("licence.pdf", OLE),
    ("licence.zip", archive("META-INF/MANIFEST.MF")), ("licence.pdf.exe", PDF), ("licence.html", b"%PDF-<script>"),
    ("licence.svg", b"<svg onload='alert(1)'/>"), ("licence.jpg", picture(kind="WEBP")), ("licence.jpg", b"GIF89a" + bytes(50)),
])
async def test_a_file_that_lies_about_what_it_is_leaves_nothing(world: World, name: str, content: bytes) -> None:
    owner = await applicant(world)
    before = await world.snapshot(*TABLES)
    status, problem = await upload(world, owner, "business_licence", name, content)
    assert (status, problem["code"]) == (422, "file_type_refused")
    assert (await world.snapshot(*TABLES), kept(world)) == (before, {})


async def test_an_empty_file_and_an_unknown_slot_leave_nothing(world: World) -> None:
    owner = await applicant(world)
    before = await world.snapshot(*TABLES)
    assert (await upload(world, owner, "business_licence", content=b""))[1]["code"] == "file_empty"
    assert (await upload(world, owner, "holiday_picture"))[1]["code"] == "file_slot_unknown"
    assert (await world.snapshot(*TABLES), kept(world)) == (before, {})


def away(world: World) -> set[str]:
    parts: set[str] = world.ports.storage.away  # type: ignore[attr-defined]
    return parts


@pytest.mark.parametrize("content", [bomb(13_000), bomb(5_001), picture(64, 64)[:-30], b"\x89PNG\r\n\x1a\n" + bytes(100)])
async def test_bombs_and_broken_pictures_are_given_up(world: World, content: bytes) -> None:
    owner = await applicant(world)
    status, problem = await upload(world, owner, "business_licence", "a.png", content)
    assert (status, problem["code"]) == (422, "file_broken")
    assert (await world.value("SELECT state FROM attachments"), kept(world)) == ("deleted", {})


async def test_a_picture_that_is_also_a_page_is_only_ever_downloaded(world: World) -> None:
    owner = await applicant(world)
    polyglot = picture(kind="JPEG") + b"<html><script>alert(1)</script></html>"
    status, view = await upload(world, owner, "business_licence", "a.jpg", polyglot)
    assert status == 201
    _, back, headers = await download(world, view["id"], owner)
    assert back == polyglot  # evidence is kept as it came
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    assert headers["Content-Disposition"].startswith("attachment;")


async def test_a_file_that_grows_too_large_on_the_way_leaves_nothing(world: World) -> None:
    owner = await applicant(world)

    async def endless() -> AsyncIterator[bytes]:
        yield PDF
        for _ in range(22):
            yield bytes(MEGABYTE)

    status, problem = await upload(world, owner, "business_licence", content=endless())
    assert (status, problem["code"], problem["data"]) == (422, "file_too_large", {"max_bytes": 20 * MEGABYTE})
    assert (await world.value("SELECT state FROM attachments"), kept(world)) == ("deleted", {})


async def test_the_limit_is_the_slots_own_to_the_byte(world: World) -> None:
    owner = await applicant(world)
    limit = SLOTS["contract"].max_bytes
    assert (await upload(world, owner, "contract", content=PDF + bytes(limit - len(PDF))))[0] == 201
    status, problem = await upload(world, owner, "contract", content=PDF + bytes(limit - len(PDF) + 1))
    assert (status, problem["data"]) == (422, {"max_bytes": 5 * MEGABYTE})
    assert (await upload(world, owner, "contract", "a.png", picture()))[1]["data"] == {"allowed": ["pdf"]}


@pytest.mark.parametrize(("given", "shown"), [
    ("../../etc/passwd.pdf", "passwd.pdf"), ("C:\\Users\\王\\执照.pdf", "执照.pdf"), ("a\x00b\r\nc.pdf", "abc.pdf"),
    ("执照\u202efdp.exe.pdf", "执照fdp.exe.pdf"), ("  .pdf ", "pdf"), ("长" * 300 + ".pdf", "长" * 196 + ".pdf"),
    ("e\u0301.pdf", "\u00e9.pdf"), ("\u200b\ufeff执照.pdf", "执照.pdf"), ("", ""), ("x." + "y" * 300, "y" * 200),
])
def test_names_are_made_harmless(given: str, shown: str) -> None:
    assert display_name(given) == shown


async def test_a_hostile_name_is_no_path(world: World) -> None:
    owner = await applicant(world)
    status, view = await upload(world, owner, "business_licence", "../../etc/passwd.pdf")
    assert (status, view["name"]) == (201, "passwd.pdf")
    assert all(".." not in key and "passwd" not in key for key in kept(world))


@pytest.mark.parametrize("content", [b"", b"P", b"PK\x03\x04", b"RIFF", b"\xff\xd8", b"PK\x05\x06" + bytes(18)])
def test_the_shortest_beginnings_do_not_confuse(content: bytes) -> None:
    assert sniff(content) in {None, SLOTS["business_licence"].types[4]}


async def test_who_may_download(world: World) -> None:
    owner, stranger = await applicant(world), await applicant(world)
    viewer = await world.member(owner.organisation_id, Role.VIEWER)
    approval = await submitted_certification(world, owner)
    used = await world.value("SELECT attachment_id FROM application_files")
    loose = await file(world, owner, "tax_return")
    admin, elsewhere = await world.official(Role.ADMIN), await world.official(Role.ADMIN, region_code="370200")
    reviewer = await world.official(Role.REVIEWER, region_code=JINAN)
    seen = {
        name: [(await download(world, number, member))[0] for number in (used, loose)]
        for name, member in {
            "owner": owner, "viewer": viewer, "stranger": stranger, "admin": admin, "elsewhere": elsewhere, "reviewer": reviewer,
            "institution": await world.institution(), "nobody": None,
        }.items()
    }
    assert seen == {
        "owner": [200, 200], "viewer": [200, 200], "stranger": [404, 404], "admin": [200, 404], "elsewhere": [404, 404],
        "reviewer": [404, 404], "institution": [404, 404], "nobody": [401, 401],
    }
    await world.post(f"/approvals/{approval}/rejection", {"reason": "执照过期"}, by=admin)
    assert (await download(world, used, admin))[0] == 200  # what was decided on can be looked at again
    assert (await download(world, used + 10_000, owner))[0] == 404


async def test_what_was_handed_over_is_for_both_sides_and_who_rules_on_it(world: World) -> None:
    shop = await open_shop(world, rework_max=0)
    order = await shop.accepted()
    handed = await file(world, shop.seller, "handover")
    reviewer, stranger = await world.official(Role.REVIEWER), await world.enterprise()
    assert [(await download(world, handed, member))[0] for member in (shop.seller, shop.buyer, reviewer)] == [200, 404, 404]
    await shop.ok(shop.seller, order, "handovers", {"summary": "审计报告", "attachment_id": handed})
    assert [(await download(world, handed, member))[0] for member in (shop.buyer, reviewer, stranger)] == [200, 404, 404]
    await shop.ok(shop.buyer, order, "rework", {"reason": "不符合约定"})
    assert [(await download(world, handed, member))[0] for member in (shop.buyer, reviewer, stranger)] == [200, 200, 404]
    assert (await world.delete(f"/attachments/{handed}", by=shop.seller))[1]["code"] == "file_in_use"


async def test_a_withdrawn_application_takes_its_files_from_the_reviewers(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    await submitted_certification(world, owner)
    used = await world.value("SELECT attachment_id FROM application_files")
    await world.post("/certification/withdrawal", by=owner)
    assert (await download(world, used, admin))[0] == 404


async def test_only_unused_own_files_are_deleted(world: World) -> None:
    owner, stranger = await applicant(world), await applicant(world)
    viewer = await world.member(owner.organisation_id, Role.VIEWER)
    await submitted_certification(world, owner)
    used, loose = await world.value("SELECT attachment_id FROM application_files"), await file(world, owner, "tax_return")
    before = await world.snapshot(*TABLES)
    assert (await world.delete(f"/attachments/{used}", by=owner))[1]["code"] == "file_in_use"
    assert (await world.delete(f"/attachments/{loose}", by=stranger))[1]["code"] == "not_found"
    assert (await world.delete(f"/attachments/{loose}", by=viewer))[1]["code"] == "not_your_role"
    assert (await world.snapshot(*TABLES), len(kept(world))) == (before, 2)
    assert (await world.delete(f"/attachments/{loose}", by=owner))[0] == 200
    assert (await download(world, loose, owner))[0] == 404
    assert len(kept(world)) == 1


async def test_what_was_once_submitted_stays_evidence(world: World) -> None:
    owner, admin = await applicant(world), await world.official(Role.ADMIN)
    approval = await submitted_certification(world, owner)
    used = await world.value("SELECT attachment_id FROM application_files")
    await world.post(f"/approvals/{approval}/return", {"reason": "看不清"}, by=admin)
    await world.put("/certification", {"form": {}, "files": {"business_licence": [await file(world, owner, "business_licence")]}}, by=owner)
    assert (await world.delete(f"/attachments/{used}", by=owner))[1]["code"] == "file_in_use"


async def test_viewers_upload_nothing_and_too_many_unused_files_are_refused(world: World) -> None:
    owner = await applicant(world)
    viewer = await world.member(owner.organisation_id, Role.VIEWER)
    await world.owner.execute(
        "INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, storage_key, state, created_at)"
        " SELECT $1, $2, 'tax_return', 'x.pdf', n::text, 'uploading', $3 FROM generate_series(1, 50) n",
        owner.organisation_id, owner.person_id, world.clock.now(),
    )
    before = await world.snapshot(*TABLES)
    assert (await upload(world, viewer, "tax_return"))[1]["code"] == "not_your_role"
    assert (await upload(world, owner, "tax_return"))[1]["code"] == "too_many_files"
    assert await world.snapshot(*TABLES) == before


async def test_an_upload_sent_again_with_its_key_is_kept_once(world: World) -> None:
    owner = await applicant(world)
    first, second = [await upload(world, owner, "business_licence", key="same-file") for _ in range(2)]
    assert first == second
    assert len(kept(world)) == 1


@pytest.mark.parametrize(("name", "content"), [
    ("扫描件.pdf", PDF + b"another"), ("扫描件.pdf", PDF[:-1]), ("另一份.pdf", PDF), ("扫描件.pdf", b""),
])
async def test_another_file_under_a_key_is_refused_and_the_same_one_still_replayed(world: World, name: str, content: bytes) -> None:
    owner = await applicant(world)
    first = await upload(world, owner, "business_licence", key="one-file")
    before = await world.snapshot(*TABLES)
    status, problem = await upload(world, owner, "business_licence", name, content, key="one-file")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert await upload(world, owner, "business_licence", key="one-file") == first
    assert await world.snapshot(*TABLES) == before
    assert len(kept(world)) == 1


async def test_what_never_ends_is_not_compared_to_its_end(world: World) -> None:
    owner = await applicant(world)
    await upload(world, owner, "business_licence", key="one-file")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(24):
            yield bytes(MEGABYTE)

    status, problem = await upload(world, owner, "business_licence", content=endless(), key="one-file")
    assert (status, problem["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(("second", "codes"), [(PDF, [None, None]), (PDF + b"another", [None, "idempotency_key_reused"])])
async def test_two_files_at_once_under_a_key_are_one_or_refused(world: World, second: bytes, codes: list[str | None]) -> None:
    owner = await applicant(world)
    answers = await asyncio.gather(*(
        upload(world, owner, "business_licence", content=content, key="one-file") for content in (PDF, second)
    ))
    assert sorted((answer.get("code") for _, answer in answers), key=str) == codes
    assert await world.value("SELECT count(*) FROM attachments WHERE state = 'stored'") == 1


@pytest.mark.parametrize(("early", "purged"), [(1, 0), (0, 1), (-1, 1)])
async def test_what_a_crash_left_is_swept_up_after_a_day(world: World, early: int, purged: int) -> None:
    owner = await applicant(world)
    whole = await file(world, owner, "business_licence")
    await world.owner.execute(
        "INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, storage_key, state, created_at)"
        " VALUES ($1, $2, 'tax_return', 'x.pdf', 'left/behind', 'uploading', $3)",
        owner.organisation_id, owner.person_id, world.clock.now() - timedelta(hours=24) + timedelta(microseconds=early),
    )
    kept(world)["left/behind"] = b"%PDF-half"
    assert await world.sweep(attachments.purge_unfinished) == purged
    assert ("left/behind" in kept(world)) is (purged == 0)
    assert await world.sweep(attachments.purge_unfinished) == 0
    assert (await download(world, whole, owner))[0] == 200


async def test_a_connection_that_breaks_leaves_only_what_the_sweep_finds(world: World) -> None:
    owner = await applicant(world)

    async def broken() -> AsyncIterator[bytes]:
        yield PDF + bytes(MEGABYTE)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await attachments.upload(world.context(owner), "business_licence", "a.pdf", broken())
    assert (await world.value("SELECT state FROM attachments"), kept(world)) == ("uploading", {})
    world.clock.advance(hours=24)
    assert await world.sweep(attachments.purge_unfinished) == 1
    assert await world.value("SELECT state FROM attachments") == "deleted"


# --- deleted, and gone -----------------------------------------------------------------------------------------------------------------


async def purging(world: World, attachment_id: int) -> tuple[bool, bool]:
    """(whether its bytes are still to go, whether they are known to be gone)."""
    found = await world.one("SELECT purge_at, purged_at FROM attachments WHERE id = $1", attachment_id)
    return found["purge_at"] is not None, found["purged_at"] is not None


async def test_what_is_deleted_while_the_storage_is_away_is_deleted_and_goes_when_it_is_back(world: World) -> None:
    owner = await applicant(world)
    loose = await file(world, owner, "tax_return")
    away(world).add("")
    status, answer = await world.delete(f"/attachments/{loose}", by=owner)
    assert (status, answer["id"]) == (200, loose)
    assert ((await download(world, loose, owner))[0], len(kept(world)), await purging(world, loose)) == (404, 1, (True, False))
    assert await world.sweep(purge_deleted) == 0  # whoever deleted it may still be at it
    world.clock.advance(minutes=10)
    with pytest.raises(StorageAway):
        await world.sweep(purge_deleted)
    assert (len(kept(world)), await purging(world, loose)) == (1, (True, False))
    away(world).clear()
    assert await world.sweep(purge_deleted) == 0  # it waits behind what has not been tried
    world.clock.advance(minutes=10)
    assert [await world.sweep(purge_deleted) for _ in range(2)] == [1, 0]
    assert (kept(world), await purging(world, loose)) == ({}, (False, True))
    told = await world.owner.fetch("SELECT action FROM audit_entries WHERE subject = 'attachment' ORDER BY id")
    assert [each["action"] for each in told][-2:] == ["attachment.deleted", "attachment.purged"]


async def test_what_was_deleted_before_a_crash_is_purged_afterwards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await applicant(world)
    loose = await file(world, owner, "tax_return")

    async def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(attachments, "purge", killed)
        await attachments.delete(world.context(owner), loose)
    assert (await world.value("SELECT state FROM attachments"), len(kept(world))) == ("deleted", 1)
    world.clock.advance(minutes=10)
    assert [await world.sweep(purge_deleted) for _ in range(2)] == [1, 0]
    assert (kept(world), await purging(world, loose)) == ({}, (False, True))


async def test_a_file_that_cannot_be_deleted_keeps_no_other_from_going(world: World) -> None:
    owner = await applicant(world)
    stuck, loose = await file(world, owner, "tax_return"), await file(world, owner, "tax_return")
    away(world).add("")
    for each in (stuck, loose):
        assert (await world.delete(f"/attachments/{each}", by=owner))[0] == 200
    away(world).clear()
    away(world).add(await world.value("SELECT storage_key FROM attachments WHERE id = $1", stuck))
    world.clock.advance(minutes=10)
    await world.owner.execute("UPDATE attachments SET purge_at = purge_at - interval '1 second' WHERE id = $1", stuck)
    with pytest.raises(StorageAway):
        await world.sweep(purge_deleted)
    assert await world.sweep(purge_deleted) == 1
    assert (await purging(world, stuck), await purging(world, loose), len(kept(world))) == ((True, False), (False, True), 1)


async def test_a_second_sweep_takes_what_the_first_one_does_not_hold(world: World) -> None:
    owner = await applicant(world)
    away(world).add("")
    for _ in range(2):
        assert (await world.delete(f"/attachments/{await file(world, owner, 'tax_return')}", by=owner))[0] == 200
    away(world).clear()
    world.clock.advance(minutes=10)
    async with world.owner.transaction():
        held = await world.value("SELECT id FROM attachments ORDER BY purge_at LIMIT 1 FOR UPDATE")
        assert await world.sweep(purge_deleted) == 1
        assert await purging(world, held) == (True, False)
    assert [await world.sweep(purge_deleted) for _ in range(2)] == [1, 0]
    assert kept(world) == {}


async def test_who_works_on_a_file_is_alone_with_it_for_a_while(world: World) -> None:
    owner = await applicant(world)
    away(world).add("")
    await world.delete(f"/attachments/{await file(world, owner, 'tax_return')}", by=owner)
    now = world.clock.advance(minutes=10)
    claims = [await changed(CLAIM, now, now + AGAIN_AFTER) for _ in range(2)]
    assert [len(each) for each in claims] == [1, 0]


async def test_every_table_that_refers_to_files_is_known_to_what_counts_and_deletes_them(world: World) -> None:
    """One forgotten there would let evidence be deleted."""
    found = await world.owner.fetch(
        "SELECT conrelid::regclass::text AS name FROM pg_constraint WHERE contype = 'f' AND confrelid = 'attachments'::regclass"
    )
    assert {table["name"] for table in found} == {*KEEPERS, "consultants"}
