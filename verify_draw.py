#!/usr/bin/env python3
"""核对摇号：只凭公布的文件，重新算出清单摘要、承诺、种子、次序、中签和候补。

python verify_draw.py bundle.json [bundle.json …] [--sealed] [--digest 公告摘要] [--ticket 票号 --credit-code 信用代码 --salt 回执盐值]
Exit 0: every check passed; 1: some check of some file failed; 2: wrong command line. Written from docs/draw.md alone: it needs Python 3.10
and nothing else, so that it shares no mistake with the platform it checks.
"""
import argparse
import hashlib
import json
import re
import sys
from typing import Any, NoReturn

HEX, TIME, CODE = "[0-9a-f]{64}", r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}\+08:00", "[A-Za-z0-9_.-]{1,32}"
BALLS = {"ssq": ((6, 33), (1, 16)), "dlt": ((5, 35), (2, 12))}  # 双色球, 大乐透: how many balls, the highest number
PATTERNS = {"drand": HEX, "decimal": r"(0|[1-9][0-9]{0,8})\.[0-9]{2}"}
SEALED = {"rules_version", "round_no", "attempt", "previous_digest", "redraw_reason", "committed_at", "ticket_count", "tickets",
          "list_digest", "quotas", "quotas_digest", "alternates", "officer_commitment", "witness_commitment", "sources",
          "commitment_digest"}
REVEAL = {"officer_secret", "witness_secret", "public_value", "seed", "results"}
failures: list[str] = []


def say(*words: str) -> None:
    """A published file must not be able to repaint the terminal of the person who checks it."""
    print("".join(letter if letter.isprintable() else "?" for letter in " ".join(words)))


def check(name: str, passed: object, detail: str = "") -> None:
    say("通过  " if passed else "不通过", name, "" if passed else detail)
    failures.extend([] if passed else [name])


def sha(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of a doubled JSON key may see different values."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("重复的字段")
    return dict(pairs)


def well_typed(form: str, value: str) -> bool:
    if form in PATTERNS:
        return re.fullmatch(PATTERNS[form], value) is not None
    groups = [(group.split(" "), *shape) for group, shape in zip(value.split("+"), BALLS[form], strict=False)]
    return value.count("+") == 1 and all(
        len(balls) == count and balls == sorted(set(balls))
        and all(re.fullmatch("[0-9]{2}", b) and 1 <= int(b) <= top for b in balls)
        for balls, count, top in groups)


def counts(numbers: dict[str, int]) -> str:
    return sha(*(f"{code}={numbers[code]}" for code in sorted(numbers)))


def check_sealed(c: dict[str, Any]) -> None:
    check("封存部分字段", c.keys() == SEALED and all(s.keys() == {"name", "at", "format"} for s in c["sources"]))
    check("规则版本与轮次", c["rules_version"] == "draw/1" and re.fullmatch("[0-9]{1,12}", c["round_no"]))
    again = c["attempt"] > 1 and re.fullmatch(HEX, c["previous_digest"]) and c["redraw_reason"]
    check("重摇说明", again or (c["attempt"], c["previous_digest"], c["redraw_reason"]) == (1, "", ""))
    line = re.compile(rf"R{re.escape(c['round_no'])}-[0-9]{{8}}\|({CODE})\|{HEX}\|(-|0|[1-9][0-9]{{0,8}})")
    bad = [text for text in c["tickets"] if not (found := line.fullmatch(text)) or found[1] not in c["quotas"]]
    numbers = [text.split("|")[0] for text in c["tickets"]]
    check("清单格式", not bad and numbers == sorted(set(numbers)), bad[0] if bad else "票号重复或未按顺序")
    check("清单票数", c["ticket_count"] == len(numbers), f"实际 {len(numbers)} 张")
    check("清单摘要", c["list_digest"] == sha(*c["tickets"]))
    amounts = [*c["quotas"].items(), *c["alternates"].items()]
    check("配额格式", c["quotas"].keys() == c["alternates"].keys() and all(re.fullmatch(CODE, k) and n >= 0 for k, n in amounts))
    check("配额摘要", c["quotas_digest"] == counts(c["quotas"]))
    times, names = [s["at"] for s in c["sources"]], [s["name"] for s in c["sources"]]
    check("公开数来源", times and all(s["format"] in {*BALLS, *PATTERNS} for s in c["sources"]))
    dated = all(re.fullmatch(TIME, time) for time in [c["committed_at"], *times])
    check("公开数晚于封存", dated and all(time > c["committed_at"] for time in times))
    check("说明文字为单行", all(re.fullmatch(r"[^\x00-\x1f\x7f]*", text) for text in [c["redraw_reason"], *names]))
    check("封存公告摘要", c["commitment_digest"] == sha(
        "qifuquan-draw-announcement/1", f"rules={c['rules_version']}", f"round={c['round_no']}", f"attempt={c['attempt']}",
        f"previous={c['previous_digest']}", f"reason={c['redraw_reason']}", f"committed_at={c['committed_at']}",
        f"count={c['ticket_count']}", f"list={c['list_digest']}", f"quotas={c['quotas_digest']}",
        f"alternates={counts(c['alternates'])}", f"officer={c['officer_commitment']}", f"witness={c['witness_commitment']}",
        *(f"source={s['at']}|{s['format']}|{s['name']}" for s in c["sources"])), "封存部分被改动过")


def check_draw(c: dict[str, Any], r: dict[str, Any]) -> None:
    lists = {"winners", "alternates"}
    check("开奖部分字段", r.keys() == REVEAL and all(found.keys() == lists for found in r["results"].values()))
    for role, title in (("officer", "摇号员承诺"), ("witness", "见证人承诺")):
        secret = r[f"{role}_secret"]
        expected = sha(f"qifuquan-draw-commit/1|{c['round_no']}|{role}|{secret}")
        check(title, re.fullmatch(HEX, secret) and c[f"{role}_commitment"] == expected)
    forms, values = [s["format"] for s in c["sources"]], r["public_value"].split("/")
    check("公开数格式", len(values) == len(forms) and all(map(well_typed, forms, values)))
    seed = sha("qifuquan-draw-seed/1", f"rules={c['rules_version']}", f"round={c['round_no']}", f"list={c['list_digest']}",
               f"quotas={c['quotas_digest']}", f"officer={r['officer_secret']}", f"witness={r['witness_secret']}",
               f"public={r['public_value']}")
    check("种子", r["seed"] == seed, f"应为 {seed}")
    check("结果券种", r["results"].keys() == c["quotas"].keys())
    raw, rows = bytes.fromhex(seed), [text.split("|") for text in c["tickets"]]
    for code in sorted(c["quotas"].keys() & r["results"].keys()):
        able = [row[0] for row in rows if row[1] == code and row[3] != "0"]
        order = sorted(able, key=lambda number: (hashlib.sha256(raw + number.encode("ascii")).digest(), number))
        quota, last = c["quotas"][code], c["quotas"][code] + c["alternates"][code]
        for title, kind, right in (("中签", "winners", order[:quota]), ("候补", "alternates", order[quota:last])):
            check(f"{title} {code}", r["results"][code][kind] == right, f"应为 {len(right)} 名：{' '.join(right[:5])}…")


def check_receipt(c: dict[str, Any], r: dict[str, Any] | None, number: str, credit_code: str, salt: str) -> None:
    line = next((text.split("|") for text in c["tickets"] if text.startswith(f"{number}|")), None)
    check("回执在清单中", line, f"清单里没有 {number}")
    if line:
        _, code, digest, left = line
        check("回执与清单一致", digest == sha(f"{number}|{credit_code.upper()}|{salt.lower()}"), "信用代码或盐值与清单不符")
        found = r["results"][code] if r else {"winners": [], "alternates": []}
        rank = found["alternates"].index(number) + 1 if number in found["alternates"] else 0
        result = "中签" if number in found["winners"] else f"候补第 {rank} 位" if rank else "未中签" if r else "开奖部分未核对"
        say(f"回执   {number}，券种 {code}，本年度还可中签：{'不限' if left == '-' else left + ' 次'}，公布结果：{result}")


class CommandLine(argparse.ArgumentParser):
    """argparse speaks English; who checks a draw need not."""

    COMPLAINTS = (
        (r"unrecognized arguments: (.*)", "不认识的参数：{}"),
        (r"the following arguments are required: .*", "请给出公布的 JSON 文件"),
        (r"argument (\S+): expected one argument", "{} 后面须写上内容"),
        (r"argument (\S+): ignored explicit argument .*", "{} 后面不写内容"),
        (r"ambiguous option: (\S+) .*", "{} 不完整，可以有几种意思"),
    )

    def error(self, message: str) -> NoReturn:
        found = ((re.fullmatch(pattern, message, re.DOTALL), title) for pattern, title in self.COMPLAINTS)
        said = next((title.format(*match.groups()) for match, title in found if match), message)
        self.exit(2, f"命令行有误：{said}\n用法：{self.usage}\n加 --help 查看说明。\n")

    def format_help(self) -> str:
        return super().format_help().replace("usage: ", "用法：", 1)


def command_line() -> CommandLine:
    parser = CommandLine(
        description="核对摇号：退出码 0 全部通过，1 有不通过，2 命令行有误", add_help=False,
        usage="verify_draw.py 文件… [--sealed] [--digest 摘要] [--ticket 票号 --credit-code 信用代码 --salt 盐值]",
    )
    known = parser.add_argument_group("参数")
    known.add_argument("bundles", nargs="+", metavar="文件", help="公布的 JSON 文件，可以有多个，逐一核对")
    known.add_argument("--sealed", action="store_true", help="开奖前使用：只核对封存部分")
    known.add_argument("--digest", metavar="摘要", help="封存当天您记下的公告摘要（只核对一个文件时）")
    for option, title in (("--ticket", "票号"), ("--credit-code", "统一社会信用代码"), ("--salt", "回执盐值")):
        known.add_argument(option, metavar=title, help=f"核对自己的回执：{title}（只核对一个文件时）")
    known.add_argument("--help", "-h", action="help", help="显示本说明")
    return parser


def verify(path: str, sealed: bool, digest: str | None, receipt: tuple[str, str, str] | None) -> bool:
    """Whether all checks of one file passed; `failures` names those that did not."""
    failures.clear()
    try:
        with open(path, encoding="utf-8") as file:
            bundle = json.load(file, object_pairs_hook=once)
        check("文件字段", bundle.keys() == {"commitment", "reveal"})
        part, reveal = bundle["commitment"], None if sealed else bundle["reveal"]
        check("开奖部分已公布", sealed or reveal, "尚未开奖时请加 --sealed")
        check_sealed(part)
        if digest:
            check("与您记下的公告摘要一致", part["commitment_digest"] == digest.lower(), part["commitment_digest"])
        if reveal:
            check_draw(part, reveal)
        if receipt:
            check_receipt(part, reveal, *receipt)
        say(f"公告摘要 {part['commitment_digest']}（请与封存当天公布的比较）")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        check("文件可读", passed=False, detail=repr(error))
    done = "结论：封存部分全部通过，开奖部分未核对" if sealed else "结论：全部通过"
    say(f"结论：{len(failures)} 项不通过（{'、'.join(failures)}）" if failures else done)
    return not failures


def main(arguments: list[str]) -> int:
    parser = command_line()
    given = parser.parse_args(arguments)
    receipt = (given.ticket, given.credit_code, given.salt)
    if any(receipt) and not all(receipt):
        parser.error("--ticket、--credit-code、--salt 须同时给出")
    one = len(given.bundles) == 1
    if not one and (given.digest or any(receipt)):
        parser.error("摘要和回执各属于一次摇号：请只给出那一次的文件")
    wrong = []
    for path in given.bundles:
        if not one:
            say(f"—— {path} ——")
        if not verify(path, given.sealed, given.digest, receipt if all(receipt) else None):
            wrong.append(path)
    if not one:
        total = f"共 {len(given.bundles)} 个文件"
        say(f"{total}，{len(wrong)} 个不通过：{'、'.join(wrong)}" if wrong else f"{total}，全部通过")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
