"""Statements as files, and the digest by which a printed one can be compared with the ledger (F07)."""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import Iterable
from typing import Any

import orjson

from handlers.money import grouped_yuan
from handlers.refusals import Busy
from handlers.statements.ledger import KINDS, Scope
from handlers.working_days import SHANGHAI
from settings import ROOT

PRINTED_MAX = 2_000  # lines of a pdf, some fifty pages; a longer one prints its sums, and the workbook has the lines
MAKING_SECONDS = 60
# Makers take a core and hundreds of megabytes each, so they wait for each other.
_making = asyncio.Semaphore(1)

MONEY_NOTE = "金额单位为元，时间为北京时间。内容摘要按台账的编号、时间、业务、金额和订单号计算，重新生成的对账单摘要相同即内容未改动。"
TOO_LONG_NOTE = "本期明细较多，未在此打印，详见同一期间的电子表格对账单；内容摘要包含全部明细。"


def digest_of(statement: Any, scope: Scope, entries: Iterable[Any]) -> str:
    """SHA-256 over what the ledger says: no name and no title is in it, since those may be corrected later."""
    whole = hashlib.sha256()
    whole.update(
        f"qifuquan statement 1|{scope.holder}|{scope.organisation_id}|{scope.programme_id}|{statement['since']}|{statement['before']}"
        f"|{statement['budget_fen']}|{statement['opening_fen']}|{statement['closing_fen']}\n".encode()
    )
    for each in statement["accounts"]:
        whole.update(f"{each['account']}|{each['opening_fen']}|{each['closing_fen']}\n".encode())
    for total in statement["totals"]:
        whole.update(f"{total['kind']}|{total['lines']}|{total['fen']}|{total['change_fen']}\n".encode())
    for line in entries:
        whole.update(f"{line['id']}|{line['at'].isoformat()}|{line['kind']}|{line['fen']}|{line['order_number'] or ''}\n".encode())
    return whole.hexdigest()


def document(statement: Any, scope: Scope, entries: list[Any], digest: str, *, printed: bool) -> dict[str, Any]:
    """What document_maker makes a file of."""
    tables = {"facts": _facts(statement, digest), "accounts": _accounts(statement), "totals": _totals(statement)}
    short = len(entries) <= PRINTED_MAX or not printed
    if short:
        tables["lines"] = _lines(scope, entries)
    return {
        "title": "服务券对账单", "holder": statement["name"], "digest": digest, "tables": tables,
        "note": MONEY_NOTE if short else TOO_LONG_NOTE + MONEY_NOTE,
    }


def _table(
    title: str, header: list[str], rows: list[list[Any]], money: tuple[int, ...] = (), right: tuple[int, ...] = ()
) -> dict[str, Any]:
    return {"title": title, "header": header, "rows": rows, "money": money, "right": money + right}


def _facts(statement: Any, digest: str) -> dict[str, Any]:
    holders = {"enterprise": "企业", "institution": "服务机构", "programme": "服务券项目"}
    facts = [
        [holders[statement["holder"]], statement["name"]],
        ["统一社会信用代码", statement["credit_code"]], ["项目范围", statement["programme"] or "全部项目"],
        ["期间", f"{statement['since']} 至 {statement['before']}（不含该日）"],
        ["期初余额（元）", grouped_yuan(statement["opening_fen"])], ["期末余额（元）", grouped_yuan(statement["closing_fen"])],
        ["期末预算（元）", None if statement["budget_fen"] is None else grouped_yuan(statement["budget_fen"])],
        ["内容摘要", digest], ["说明", MONEY_NOTE],
    ]
    return _table("对账单", ["项目", "内容"], [fact for fact in facts if fact[1] is not None])


def _accounts(statement: Any) -> dict[str, Any]:
    rows = [[each["title"], each["opening_fen"], each["closing_fen"]] for each in statement["accounts"]]
    whole = [sum(row[column] for row in rows) for column in (1, 2)]
    return _table("账户", ["账户", "期初（元）", "期末（元）"], [*rows, ["合计", *whole]], money=(1, 2))


def _totals(statement: Any) -> dict[str, Any]:
    rows = [[each["title"], each["lines"], each["fen"], each["change_fen"]] for each in statement["totals"]]
    whole = ["合计", statement["lines"], sum(row[2] for row in rows), sum(row[3] for row in rows)]
    return _table("本期合计", ["业务", "笔数", "金额（元）", "余额变动（元）"], [*rows, whole], money=(2, 3), right=(1,))


def _lines(scope: Scope, entries: list[Any]) -> dict[str, Any]:
    rows = [
        [line["id"], f"{line['at'].astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}", KINDS[line["kind"]], line["fen"],
         scope.change(line) * line["fen"], line["voucher_type"], line["order_number"], line["enterprise"], line["institution"]]
        for line in entries
    ]
    header = ["台账编号", "时间", "业务", "金额（元）", "余额变动（元）", "券种", "订单号", "企业", "服务机构"]
    whole = ["合计", None, None, sum(row[3] for row in rows), sum(row[4] for row in rows), None, None, None, None]
    return _table("明细", header, [*rows, whole], money=(3, 4))


async def make(kind: str, made: dict[str, Any]) -> bytes:
    """The file, from a process of its own. Raises Busy if it or those before it take too long."""
    content = await asyncio.to_thread(orjson.dumps, made)
    try:
        async with asyncio.timeout(MAKING_SECONDS), _making:
            return await _run(kind, content)
    except TimeoutError as error:
        raise Busy from error


async def _run(kind: str, content: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "handlers.document_maker", kind, cwd=ROOT, env={}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate(content)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"the document maker failed: {errors.decode(errors='replace')[-500:]}")
    return output
