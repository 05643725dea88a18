"""Statements: sums of the ledger for a period and for any past instant, and files that are the same whenever they are made (F07)."""

import re
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from handlers.statements import files, ledger
from handlers.statements.ledger import ACCOUNTS, KINDS
from models.accounts import Role
from models.wallet import MOVES, Account, EntryKind
from tests.shop import Shop, open_shop
from tests.world import Member, World

MARCH = "since=2026-03-01&before=2026-04-01"
APRIL = datetime(2026, 4, 1, 2, 0, tzinfo=UTC)


async def statement(world: World, by: Member, period: str = MARCH, path: str = "/statement") -> Any:
    status, body = await world.get(f"{path}?{period}", by=by)
    assert status == 200, body
    return body


async def download(world: World, by: Member, kind: str, path: str = "/statement", period: str = MARCH) -> bytes:
    headers = {"Authorization": f"Bearer {by.token}"}
    async with world.client.get(f"/api/v1{path}/file.{kind}?{period}", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert "attachment" in response.headers["Content-Disposition"]
        return await response.read()


def accounts(body: Any, which: str) -> dict[str, int]:
    return {each["account"]: each[which] for each in body["accounts"] if each[which]}


async def traded(world: World) -> Shop:
    """2,000.00 paid in the middle of March, with 3,000.00 more issued; then the first of April has come."""
    shop = await open_shop(world)
    await shop.paid()
    await shop.lot(300_000)
    world.clock.set(APRIL)
    return shop


async def test_an_enterprise_sees_opening_lines_totals_and_closing(world: World) -> None:
    shop = await traded(world)
    body = await statement(world, shop.buyer)
    assert (body["holder"], body["id"], body["opening_fen"], body["closing_fen"]) == ("enterprise", shop.buyer.organisation_id, 0, 300_000)
    assert accounts(body, "opening_fen") == {}
    assert accounts(body, "closing_fen") == {"available": 300_000, "receivable": 200_000}
    assert [(each["kind"], each["title"], each["lines"], each["fen"], each["change_fen"]) for each in body["totals"]] == [
        ("issue", "发放", 2, 500_000, 500_000), ("hold", "占用", 1, 200_000, 0), ("commit", "下单支付", 1, 200_000, -200_000),
    ]
    assert body["lines"] == 4 and body["budget_fen"] is None
    page = await statement(world, shop.buyer, path="/statement/lines")
    assert [(each["kind"], each["change_fen"]) for each in page["items"]] == [
        ("issue", 200_000), ("hold", 0), ("commit", -200_000), ("issue", 300_000),
    ]
    assert page["items"][2]["voucher_type"] == "审计服务专用券" and page["next"] is None


async def test_an_institution_sees_what_it_is_owed(world: World) -> None:
    shop = await traded(world)
    body = await statement(world, shop.seller)
    assert (body["holder"], body["opening_fen"], body["closing_fen"]) == ("institution", 0, 200_000)
    assert [each["account"] for each in body["accounts"]] == ["receivable", "pre_redeemed", "paid", "shortfall"]
    assert [(each["kind"], each["fen"], each["change_fen"]) for each in body["totals"]] == [("commit", 200_000, 200_000)]


async def test_a_programme_is_the_sum_of_its_parts_with_its_budget(world: World) -> None:
    shop = await open_shop(world, budget_fen=10**9)
    await shop.paid()
    await world.lot(await world.enterprise(), shop.programme, 70_000)
    world.clock.set(APRIL)
    official, path = await world.official(Role.PAYOUT_OFFICER), f"/programmes/{shop.programme.id}/statement"
    body = await statement(world, official, path=path)
    assert (body["holder"], body["budget_fen"], body["closing_fen"]) == ("programme", 10**9, 270_000)
    assert accounts(body, "closing_fen") == {"available": 70_000, "receivable": 200_000}
    part = await statement(world, official, f"{MARCH}&organisation_id={shop.buyer.organisation_id}", path)
    assert part["name"] and part["programme"] == body["name"] and accounts(part, "closing_fen") == {"receivable": 200_000}


async def test_a_period_begins_and_ends_at_midnight_in_shanghai(world: World) -> None:
    buyer, programme = await world.enterprise(), await world.programme()
    for fen, moment in (
        (1, datetime(2026, 3, 9, 15, 59, 59, 999999, tzinfo=UTC)), (10, datetime(2026, 3, 9, 16, 0, tzinfo=UTC)),
        (100, datetime(2026, 3, 10, 15, 59, 59, 999999, tzinfo=UTC)), (1000, datetime(2026, 3, 10, 16, 0, tzinfo=UTC)),
    ):
        world.clock.set(moment)
        await world.lot(buyer, programme, fen)
    world.clock.set(APRIL)
    body = await statement(world, buyer, "since=2026-03-10&before=2026-03-11")
    assert (body["opening_fen"], body["closing_fen"], body["lines"]) == (1, 111, 2)
    page = await statement(world, buyer, "since=2026-03-10&before=2026-03-11", "/statement/lines")
    assert [line["fen"] for line in page["items"]] == [10, 100]


@pytest.mark.parametrize(("period", "code"), [
    ("since=2026-03-02&before=2026-03-02", "period_wrong"), ("since=2026-03-02&before=2026-03-01", "period_wrong"),
    ("since=2026-03-01&before=2026-04-02", "period_not_over"), ("since=2026-03-01", "invalid_input"),
    ("since=2026-02-30&before=2026-04-01", "invalid_input"), ("since=0001-01-01&before=2026-04-01", "invalid_input"),
])
async def test_a_period_that_cannot_be_stated_is_refused(world: World, period: str, code: str) -> None:
    world.clock.set(APRIL)
    _, body = await world.get(f"/statement?{period}", by=await world.enterprise())
    assert body["code"] == code


async def test_a_day_can_be_stated_ten_minutes_after_its_end(world: World) -> None:
    buyer = await world.enterprise()
    world.clock.set(datetime(2026, 3, 31, 16, 9, 59, tzinfo=UTC))
    status, body = await world.get(f"/statement?{MARCH}", by=buyer)
    assert (status, body["code"], body["data"]["before"]) == (409, "period_not_over", "2026-03-31")
    world.clock.set(datetime(2026, 3, 31, 16, 10, tzinfo=UTC))
    assert (await statement(world, buyer))["lines"] == 0


async def test_lines_are_paged_without_gaps_though_they_share_a_moment(world: World) -> None:
    buyer, programme = await world.enterprise(), await world.programme()
    ids = [await world.lot(buyer, programme, 1 + number) for number in range(7)]
    world.clock.set(APRIL)
    seen, after = [], ""
    while True:
        page = await statement(world, buyer, f"{MARCH}&limit=3{after}", "/statement/lines")
        seen += [line["fen"] for line in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == list(range(1, len(ids) + 1))
    _, body = await world.get(f"/statement/lines?{MARCH}&after=WzFd", by=buyer)
    assert body["code"] == "cursor_unknown"


async def test_the_balance_of_any_past_instant_can_be_asked(world: World) -> None:
    shop = await open_shop(world)
    start = world.clock.now()
    await shop.lot(200_000)
    world.clock.set(start + timedelta(days=1))
    await shop.password()
    await shop.pay(await shop.order(), 200_000)
    world.clock.set(start + timedelta(days=2))

    async def at(moment: datetime, by: Member) -> Any:
        status, body = await world.get(f"/balance?at={moment.isoformat().replace('+', '%2B')}", by=by)
        assert status == 200, body
        return body

    assert (await at(start, shop.buyer))["balance_fen"] == 0
    assert (await at(start + timedelta(microseconds=1), shop.buyer))["balance_fen"] == 200_000
    later = await at(start + timedelta(days=2), shop.buyer)
    assert (later["balance_fen"], later["accounts"]["receivable"], later["is_final"]) == (0, 200_000, False)
    assert (await at(start + timedelta(days=2) - timedelta(minutes=10), shop.seller))["is_final"] is True
    _, body = await world.get(f"/balance?at={(start + timedelta(days=3)).isoformat().replace('+', '%2B')}", by=shop.buyer)
    assert body["code"] == "instant_not_past"
    status, body = await world.get("/balance?at=0001-01-01T00:00:00%2B14:00", by=shop.buyer)
    assert (status, body["code"]) == (422, "invalid_input")


async def test_statements_of_others_are_not_found(world: World) -> None:
    shop = await traded(world)
    stranger = await world.enterprise()
    path = f"/programmes/{shop.programme.id}/statement"
    official, elsewhere = await world.official(Role.PROGRAMME_MANAGER), await world.official(Role.PAYOUT_OFFICER, region_code="410100")
    for noun in ("", "/lines", "/digest", "/file.pdf", "/file.xlsx"):
        assert (await world.get(f"{path}{noun}?{MARCH}", by=stranger))[0] == 403
        assert (await world.get(f"{path}{noun}?{MARCH}", by=elsewhere))[0] == 404
        assert (await world.get(f"{path}{noun}?{MARCH}&organisation_id={stranger.organisation_id}", by=official))[0] == 404
        assert (await world.get(f"/programmes/999999/statement{noun}?{MARCH}", by=official))[0] == 404
    assert (await world.get(f"/statement?{MARCH}&programme_id=999999", by=shop.buyer))[0] == 404
    assert (await statement(world, stranger))["lines"] == 0
    assert (await world.get(f"/programmes/{shop.programme.id}/balance?at=2026-03-01T00:00:00Z", by=elsewhere))[0] == 404


async def test_the_workbook_holds_the_statement_and_its_digest(world: World) -> None:
    shop = await traded(world)
    await world.owner.execute("UPDATE organisations SET name = '=1+1有限公司' WHERE id = $1", shop.buyer.organisation_id)
    content = await download(world, shop.buyer, "xlsx")
    book = CalamineWorkbook.from_filelike(BytesIO(content))
    sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    assert list(sheets) == ["对账单", "账户", "本期合计", "明细"]
    _, digest = await world.get(f"/statement/digest?{MARCH}", by=shop.buyer)
    assert ["企业", "=1+1有限公司"] in sheets["对账单"] and ["内容摘要", digest["digest"]] in sheets["对账单"]
    assert sheets["账户"][-1] == ["合计", 0.0, 5000.0]
    assert sheets["本期合计"][1:] == [
        ["发放", 2.0, 5000.0, 5000.0], ["占用", 1.0, 2000.0, 0.0], ["下单支付", 1.0, 2000.0, -2000.0], ["合计", 4.0, 9000.0, 3000.0],
    ]
    assert len(sheets["明细"]) == 6 and sheets["明细"][-1][3:5] == [9000.0, 3000.0]
    assert content == await download(world, shop.buyer, "xlsx")


async def test_the_pdf_is_chinese_numbered_and_carries_the_digest(world: World) -> None:
    shop = await traded(world)
    content = await download(world, shop.buyer, "pdf")
    pages = [page.extract_text() for page in PdfReader(BytesIO(content)).pages]
    _, digest = await world.get(f"/statement/digest?{MARCH}", by=shop.buyer)
    assert digest["lines"] == 4 and re.fullmatch("[0-9a-f]{64}", digest["digest"])
    assert all(digest["digest"] in page and f"第 {number} 页，共 {len(pages)} 页" in page for number, page in enumerate(pages, start=1))
    assert "服务券对账单" in pages[0] and "期末余额（元）" in pages[0] and "3,000.00" in pages[0] and "-2,000.00" in "".join(pages)
    assert content == await download(world, shop.buyer, "pdf")


async def test_the_digest_changes_with_the_ledger_and_not_with_names(world: World) -> None:
    shop = await traded(world)
    _, first = await world.get(f"/statement/digest?{MARCH}", by=shop.buyer)
    await world.owner.execute("UPDATE organisations SET name = '更名有限公司' WHERE id = $1", shop.buyer.organisation_id)
    world.clock.set(datetime(2027, 1, 1, tzinfo=UTC))
    assert (await world.get(f"/statement/digest?{MARCH}", by=shop.buyer))[1] == first
    _, other = await world.get("/statement/digest?since=2026-03-01&before=2026-04-02", by=shop.buyer)
    assert other["digest"] != first["digest"] and other["lines"] == first["lines"]


async def test_a_long_statement_prints_its_sums_and_the_same_digest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await traded(world)
    monkeypatch.setattr(files, "PRINTED_MAX", 3)
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(await download(world, shop.buyer, "pdf"))).pages)
    _, digest = await world.get(f"/statement/digest?{MARCH}", by=shop.buyer)
    assert digest["digest"] in text and "台账编号" not in text and "详见同一期间的电子表格对账单" in text.replace("\n", "")


async def test_a_statement_above_the_limit_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await traded(world)
    monkeypatch.setattr("handlers.statements.LINES_MAX", 3)
    status, body = await world.get(f"/statement/file.xlsx?{MARCH}", by=shop.buyer)
    assert (status, body["code"], body["data"]) == (409, "statement_too_long", {"lines": 4, "lines_max": 3})
    assert (await statement(world, shop.buyer))["lines"] == 4


async def test_chunks_of_a_long_statement_join_without_gaps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await traded(world)
    _, whole = await world.get(f"/statement/digest?{MARCH}", by=shop.buyer)
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(ledger, "CHUNK", size)
        assert (await world.get(f"/statement/digest?{MARCH}", by=shop.buyer))[1] == whole


@pytest.mark.parametrize("noun", ["digest", "file.xlsx", "file.pdf"])
async def test_what_grows_with_the_lines_is_not_done_on_the_event_loop(world: World, monkeypatch: pytest.MonkeyPatch, noun: str) -> None:
    shop = await traded(world)
    done: list[tuple[str, bool]] = []

    def watched(name: str) -> None:
        original = getattr(files, name)

        def noting(*arguments: Any, **more: Any) -> Any:
            done.append((name, threading.current_thread() is threading.main_thread()))
            return original(*arguments, **more)

        monkeypatch.setattr(files, name, noting)

    watched("digest_of")
    watched("document")
    async with world.client.get(f"/api/v1/statement/{noun}?{MARCH}", headers={"Authorization": f"Bearer {shop.buyer.token}"}) as response:
        assert response.status == 200
    assert done == [("digest_of", False)] + [("document", False)] * (noun != "digest")


async def test_a_maker_that_is_given_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers.refusals import Busy

    monkeypatch.setattr(files, "MAKING_SECONDS", 0.05)
    with pytest.raises(Busy):
        await files.make("pdf", {})
    assert not files._making.locked()


async def test_a_document_that_cannot_be_made_is_an_error_and_not_a_file() -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        await files.make("pdf", {})


def test_every_kind_and_account_has_a_title() -> None:
    assert set(KINDS) == set(EntryKind) and set(ACCOUNTS) == set(Account) - {Account.BUDGET}
    assert set(MOVES) | {EntryKind.GRACE} == set(KINDS)
