"""docs/requirements.md, docs/platforms.md and the tests say the same: each row has a test that is there, and the code speaks of none
unknown. What the code refers to is in this repository."""

import ast
import re
from functools import cache
from pathlib import Path

from settings import ROOT

PAGE, PLATFORMS = ROOT / "docs" / "requirements.md", ROOT / "docs" / "platforms.md"
ROW = re.compile(r"^\| ([A-F]\d\d|[GKO]\d{1,2}) \| (.+?) \| (.+?) \|$", re.MULTILINE)
NODE = re.compile(r"`(tests/test_\w+\.py)::(test_\w+)`")
RANGE = re.compile(r"\b([A-GKO])(\d{1,2})(?:-[A-GKO](\d{1,2}))?\b")
MENTION = re.compile(r"\b([A-F][0-4]\d|[GKO][1-9]\d?)\b")
TRAP_ROW = re.compile(r"^\| (\d+) \| .+ \| .+ \| (.+?) \|$", re.MULTILINE)
TRAPS = re.compile(r"\btraps? (\d+(?:(?:, | and | to |-)\d+)*)", re.IGNORECASE)
SECTION = re.compile(r"(?:`?docs/([\w-]+\.md)`? )?\bsection (\d+)(?:\.\d+)?", re.IGNORECASE)
ENTERPRISES = {f"E{number:02}" for number in range(1, 41)}
FEATURES = {f"F{number:02}" for number in range(1, 31)}
STEPS = {f"{letter}{number}" for letter, last in (("O", 13), ("K", 7), ("G", 9)) for number in range(1, last + 1)}
CODE = ("models", "handlers", "miniapp_api", "bot", "jobs", "demo", "simulator")


def rows(page: str) -> dict[str, list[tuple[str, str]]]:
    """Requirement id -> its tests as (file, name)."""
    return {found[1]: NODE.findall(found[3]) for found in ROW.finditer(page.partition("## Later")[0])}


def later(page: str) -> set[str]:
    listed = [line.split("|")[1] for line in page.partition("## Later")[2].splitlines() if line.startswith("| ")]
    return {
        f"{letter}{number}" if letter in "GKO" else f"{letter}{number:02}" for cell in listed for letter, first, last in RANGE.findall(cell)
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
    wrong += [f"{each}: not listed" for each in sorted((ENTERPRISES | FEATURES | STEPS) - set(found) - waiting)]
    return wrong


def unknown_ids(source: str, page: str) -> set[str]:
    return set(MENTION.findall(source)) - set(rows(page)) - later(page)


def traps_in(source: str) -> set[int]:
    """"traps 20-23, 44" are five."""
    found: set[int] = set()
    for listed in TRAPS.findall(source):
        for first, last in re.findall(r"(\d+)(?:(?: to |-)(\d+))?", listed):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def pointing_outside(path: Path, source: str) -> list[str]:
    """A numbered section is one of the page that is named, or of this page."""
    found = []
    for named in SECTION.finditer(source):
        page = ROOT / "docs" / named[1] if named[1] else path
        heading = re.compile(rf"^#+ {named[2]}\b", re.MULTILINE)
        if page.suffix != ".md" or not page.exists() or not heading.search(page.read_text(encoding="utf-8")):
            found.append(named[0])
    return found


def written(*suffixes: str) -> list[Path]:
    """What people of this house wrote: code, pages, texts."""
    folders = (*CODE, "docs", "tests", "bench", "embedded")
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]
    return [path for path in found + sorted(ROOT.glob("*")) if path.suffix in suffixes and path.name != "test_traceability.py"]


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
    assert unknown_ids("# B44, E19, F99, O13 and O14", page) == {"B44", "O14"}


def test_every_trap_that_is_named_is_on_the_page_with_a_test_that_is_there():
    page = PLATFORMS.read_text(encoding="utf-8")
    listed = {int(number): NODE.findall(tests) for number, tests in TRAP_ROW.findall(page)}
    assert [number for number, tests in listed.items() if not tests] == []
    assert [name for tests in listed.values() for file, name in tests if name not in names_in(ROOT / file)] == []
    named = {str(path.relative_to(ROOT)): traps_in(path.read_text(encoding="utf-8")) - set(listed) for path in written(".py", ".md")}
    assert {path: numbers for path, numbers in named.items() if numbers} == {}
    assert traps_in("(traps 20-23, 44), traps 9 to 11, Trap 55, traps 25 and 60") == {20, 21, 22, 23, 44, 9, 10, 11, 55, 25, 60}


def test_nothing_refers_to_a_page_that_is_not_here(tmp_path):
    texts = {path: path.read_text(encoding="utf-8") for path in written(".py", ".md", ".toml")}
    found = {str(path.relative_to(ROOT)): pointing_outside(path, text) for path, text in texts.items()}
    assert {path: outside for path, outside in found.items() if outside} == {}
    assert pointing_outside(tmp_path / "x.py", "# Section 2.4; docs/draw.md section 6, docs/draw.md section 60") == [
        "Section 2.4", "docs/draw.md section 60"]
