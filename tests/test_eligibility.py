"""The trees of "why not" lead somewhere: every rule says what can be done, on a page that exists."""

import ast
from collections.abc import Iterator

import pytest

from bot.links import PUBLISHED_PAGES
from handlers.eligibility import FixPage, Rule, rule_view
from handlers.orders.rules import InstitutionNotActive
from settings import ROOT

# A reviewer's checklist is made of rules, too; the reviewer has nothing to mend.
TREES = [path for path in sorted((ROOT / "handlers").rglob("*.py")) if path.name != "payment_reviews.py"]


def rules_in(source: str) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """(code, what is named) of each rule that is made."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rule":
            code = node.args[0]
            assert isinstance(code, ast.Constant)
            yield str(code.value), {keyword.arg or "": keyword.value for keyword in node.keywords}


RULES = [(path, code, named) for path in TREES for code, named in rules_in(path.read_text(encoding="utf-8"))]


def test_every_page_that_a_rule_leads_to_is_published():
    assert {page.value for page in FixPage} - PUBLISHED_PAGES == set()
    assert len(RULES) > 15
    linked = {f"{path.name}: {code}": ast.unparse(named["link"]) for path, code, named in RULES if "link" in named}
    assert {where: link for where, link in linked.items() if not link.startswith("FixPage.")} == {}


def test_every_rule_says_what_can_be_done_if_only_to_wait_or_to_ask():
    assert [f"{path.name}: {code}" for path, code, named in RULES if "fix" not in named] == []


@pytest.mark.parametrize(("source", "found"), [
    ("Rule('a', '题', False, Refused)", {}), ("Rule('a', '题', False, Refused, fix='请等待', link='pages/x')", {"fix", "link"}),
])
def test_a_rule_that_says_less_is_told_apart(source, found):
    [(code, named)] = rules_in(source)
    assert (code, set(named)) == ("a", set(found))


def test_a_rule_is_shown_with_the_text_of_its_page():
    shown = rule_view(Rule("a", "题", passed=False, refusal=InstitutionNotActive, fix="请选择其他", link=FixPage.PRODUCTS))
    assert (shown["link"], type(shown["link"])) == ("pages/products/index", str)
