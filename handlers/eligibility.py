"""Why somebody may or may not (F04): the rules that guard a use-case are the rules that are shown, evaluated once.

A use-case builds a `Tree` from facts, `refuse_unless(tree)` guards, `tree_view(tree)` explains. Neither can say what the other
does not, because there is one tree.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypedDict

from handlers.refusals import Refusal

Fact = str | int | bool | None
Known = Fact | datetime | tuple[datetime, datetime]  # written out only where somebody reads it


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"  # a fact is missing: nobody gets through on it, and nobody is accused by it


class FixPage(StrEnum):
    """Where something is mended: pages of the mini-program, by the names that its other links have (bot/links.py)."""

    APPLICATIONS = "pages/applications/index"  # certification, approved amounts
    QUALIFICATIONS = "pages/qualifications/index"
    PROGRAMMES = "pages/programmes/index"
    PRODUCTS = "pages/products/index"
    ROUNDS = "pages/rounds/index"
    RESERVATIONS = "pages/reservations/index"


class Rule(NamedTuple):
    """`passed` None is unknown. `fix` says in Chinese what to do, `link` is the page where it is done.

    A tuple: a request makes a dozen of them, and a frozen dataclass takes five times as long to make.
    """

    code: str
    title: str
    passed: bool | None
    refusal: type[Refusal]
    expected: Known = None
    actual: Known = None
    fix: str | None = None
    link: FixPage | None = None

    @property
    def verdict(self) -> Verdict:
        return Verdict.UNKNOWN if self.passed is None else Verdict.PASS if self.passed else Verdict.FAIL


@dataclass(frozen=True, slots=True)
class Tree:
    """All rules must pass. `parts` are trees of their own, e.g. one for each voucher type, that `verdict` does not count."""

    code: str
    title: str
    rules: tuple[Rule, ...]
    parts: tuple["Tree", ...] = field(default=())

    @property
    def broken(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not rule.passed)

    @property
    def verdict(self) -> Verdict:
        if any(rule.verdict is Verdict.FAIL for rule in self.rules):
            return Verdict.FAIL
        return Verdict.UNKNOWN if self.broken else Verdict.PASS


class RuleView(TypedDict):
    code: str
    title: str
    verdict: Verdict
    expected: Fact
    actual: Fact
    fix: str | None
    link: str | None


class TreeView(TypedDict):
    code: str
    title: str
    verdict: Verdict
    rules: list[RuleView]


def rule_view(rule: Rule) -> RuleView:
    return {
        "code": rule.code, "title": rule.title, "verdict": rule.verdict, "expected": _written_out(rule.expected),
        "actual": _written_out(rule.actual),
        "fix": None if rule.passed else rule.fix, "link": None if rule.passed or rule.link is None else rule.link.value,
    }


def _written_out(known: Known) -> Fact:
    if isinstance(known, tuple):
        return "~".join(each.isoformat() for each in known)
    return known.isoformat() if isinstance(known, datetime) else known


def tree_view(tree: Tree) -> TreeView:
    """One level; the parts are viewed by whoever knows what they are."""
    return {"code": tree.code, "title": tree.title, "verdict": tree.verdict, "rules": [rule_view(rule) for rule in tree.rules]}


def refuse_unless(*trees: Tree) -> None:
    """Raise the refusal of the first rule that does not pass; its data lists all of them, so that they are mended in one go."""
    broken = [rule for tree in trees for rule in tree.broken]
    if broken:
        raise broken[0].refusal(rules=[rule_view(rule) for rule in broken])
