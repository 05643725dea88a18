"""docs/requirements.md and the tests say the same: each requirement has a test that is there, and the code speaks of none unknown."""

import ast
import re
from functools import cache
from pathlib import Path

from settings import ROOT

PAGE = ROOT / "docs" / "requirements.md"
ROW = re.compile(r"^\| ([A-F]\d\d) \| (.+?) \| (.+?) \|$", re.MULTILINE)
NODE = re.compile(r"`(tests/test_\w+\.py)::(test_\w+)`")
RANGE = re.compile(r"\b([A-F])(\d\d)(?:-[A-F](\d\d))?\b")
MENTION = re.compile(r"\b([A-F][0-4]\d)\b")
ENTERPRISES = {f"E{number:02}" for number in range(1, 41)}
FEATURES = {f"F{number:02}" for number in range(1, 31)}
CODE = ("models", "handlers", "miniapp_api", "bot", "jobs", "demo", "simulator")


def rows(page: str) -> dict[str, list[tuple[str, str]]]:
    """Requirement id -> its tests as (file, name)."""
    return {found[1]: NODE.findall(found[3]) for found in ROW.finditer(page.partition("## Later")[0])}


def later(page: str) -> set[str]:
    listed = [line.split("|")[1] for line in page.partition("## Later")[2].splitlines() if line.startswith("| ")]
    return {
        f"{letter}{number:02}" for cell in listed for letter, first, last in RANGE.findall(cell)
        for number in range(int(first), int(last or first) + 1)
    }


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def faults(page: str) -> list[str]:
    found, waiting = rows(page), later(page)
    wrong = [f"{each}: no test" for each, tests in found.items() if not tests]
    wrong += [f"{each}: {file}::{name} is not there" for each, tests in found.items() for file, name in tests
              if name not in names_in(ROOT / file)]
    wrong += [f"{each}: both shown and later" for each in sorted(set(found) & waiting)]
    wrong += [f"{each}: not listed" for each in sorted((ENTERPRISES | FEATURES) - set(found) - waiting)]
    return wrong


def unknown_ids(source: str, page: str) -> set[str]:
    return set(MENTION.findall(source)) - set(rows(page)) - later(page)


def test_every_requirement_has_a_test_that_is_there():
    page = PAGE.read_text(encoding="utf-8")
    assert faults(page) == []
    assert len(ROW.findall(page.partition("## Later")[0])) == len(rows(page)) >= 58


def test_everything_an_enterprise_does_is_shown_and_not_later():
    page = PAGE.read_text(encoding="utf-8")
    assert ENTERPRISES - set(rows(page)) == {"E39"}  # a phone number of the manual, which is no constant of ours


def test_every_id_in_the_code_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    files = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {str(path.relative_to(ROOT)): ids for path in files if (ids := unknown_ids(path.read_text(encoding="utf-8"), page))} == {}


def test_every_text_is_chinese():
    assert [found[1] for found in ROW.finditer(PAGE.read_text(encoding="utf-8")) if not re.search("[\u4e00-\u9fff]", found[2])] == []


def test_a_missing_test_a_missing_row_and_an_unknown_id_are_found():
    page = PAGE.read_text(encoding="utf-8")
    assert faults(page.replace("test_the_three_tabs_show_each_lot_once", "test_gone")) == [
        "E19: tests/test_wallet.py::test_gone is not there"]
    row = next(line for line in page.splitlines() if line.startswith("| E19 "))
    assert faults(page.replace(row + "\n", "")) == ["E19: not listed"]
    assert faults(page.replace(row, "| E19 | 我的券包 | - |")) == ["E19: no test"]
    assert unknown_ids("# B44, E19 and F99", page) == {"B44"}
