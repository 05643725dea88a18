"""docs/glossary.md has every word that the layers use, and the words that are easily mixed up stand for one thing."""

import re
from pathlib import Path

import pytest

from miniapp_api.apis import APIS
from models.accounts import Role
from settings import ROOT

ROW = re.compile(r"^\| ([a-z_ ]+) \| (.+?) \| (.+?) \|$", re.MULTILINE)
# Words of one trade that English mixes up and this house does not.
FIXED = {
    "reviews": "评价", "approvals": "审核", "redemptions": "兑付", "deductions": "抵扣", "winning": "中签", "wallet": "券包",
    "rounds": "批次", "reservations": "预约", "qualifications": "服务券资格", "draws": "摇号", "listing": "上架", "notices": "消息通知",
}


def glossary(page: str) -> dict[str, str]:
    return {found[1]: found[2] for found in ROW.finditer(page)}


PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = glossary(PAGE)


def known(name: str, words: dict[str, str]) -> bool:
    """A module is a word, or begins with one (`product_pages` is about products)."""
    first = name.split("_", maxsplit=1)[0]
    return bool({name, f"{name}s", first, f"{first}s"} & set(words)) or name.removeprefix("new_") + "s" in words


def unknown(folder: Path, words: dict[str, str]) -> list[str]:
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py"} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(name for name in modules - {"__init__"} if not known(name, words))


@pytest.mark.parametrize("folder", ["models", "handlers"])
def test_every_word_of_the_layers_is_explained(folder):
    assert unknown(ROOT / folder, WORDS) == []


def test_every_feature_and_every_role_is_explained():
    assert [api.name for api in APIS if api.name not in WORDS] == []
    assert [str(role) for role in Role if role not in WORDS] == []


def test_words_that_are_easily_mixed_up_stand_for_one_thing():
    assert {word: WORDS[word] for word in FIXED} == FIXED


def test_no_word_stands_twice_and_every_row_has_its_chinese_and_its_meaning():
    rows = ROW.findall(PAGE)
    assert len(rows) == len(WORDS)
    assert [word for word, chinese, meaning in rows if not re.search("[\u4e00-\u9fff]", chinese) or len(meaning) < 5] == []
    chinese = [name for names in WORDS.values() for name in names.split("、")]
    assert sorted(name for name in set(chinese) if chinese.count(name) > 1) == []


def test_a_word_without_a_row_is_found(tmp_path):
    for name in ("orders", "order_labels", "unicorns"):
        (tmp_path / f"{name}.py").touch()
    assert unknown(tmp_path, WORDS) == ["unicorns"]
