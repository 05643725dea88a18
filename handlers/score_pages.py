"""Scores as everybody reads them: the score with its parts, what changed it and why, and the rankings (A07, F27, D18)."""

from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.refusals import NotFound
from handlers.regions import prefix_of
from handlers.score_formula import BASE, COMPONENTS, TITLES, VERSION
from handlers.scores import month_of, recompute_in
from handlers.transactions import row, rows, transaction
from models.scores import ScoreKind


class ComponentView(TypedDict):
    component: str
    title: str
    hundredths: int
    most_hundredths: int


class ScoreView(TypedDict):
    """The score in hundredths of a point: the sum of its components. `as_of`: the month that the decay has come to, 2026-11.

    Beside it the shares of real reviews; `system` says how many orders were left unreviewed and are not counted (F18).
    """

    institution_id: int
    good: int
    medium: int
    bad: int
    system: int
    total_hundredths: int
    components: list[ComponentView]
    activity_hundredths: int
    formula_version: int
    as_of: str


class ConsultantScoreView(TypedDict):
    consultant_id: int
    institution_id: int
    total_hundredths: int
    components: list[ComponentView]
    activity_hundredths: int
    formula_version: int
    as_of: str


class FactView(TypedDict):
    """`count` events of a kind were counted; a negative number was taken back."""

    kind: ScoreKind
    title: str
    count: int


class ScoreChangeView(TypedDict):
    """`cause`: events | decay (一个月过去) | formula (公式更新) | recomputed (重新计算)."""

    at: datetime
    component: str
    title: str
    before_hundredths: int
    after_hundredths: int
    cause: str
    facts: list[FactView]


class RankBy(StrEnum):
    ACTIVITY = "activity"  # 活跃度
    SCORE = "score"        # 综合评分


class RankedInstitutionView(TypedDict):
    rank: int
    institution_id: int
    name: str
    region_code: str | None
    hundredths: int


class RankedConsultantView(TypedDict):
    rank: int
    consultant_id: int
    display_name: str
    institution_id: int
    institution_name: str
    hundredths: int


GRADES = """
SELECT count(*) FILTER (WHERE grade = 'good' AND NOT is_system) AS good,
  count(*) FILTER (WHERE grade = 'medium' AND NOT is_system) AS medium,
  count(*) FILTER (WHERE grade = 'bad' AND NOT is_system) AS bad, count(*) FILTER (WHERE is_system) AS system
FROM reviews WHERE institution_id = $1 AND NOT is_blind
"""
OF_INSTITUTION = "SELECT * FROM scores WHERE institution_id = $1 AND consultant_id IS NULL"
OF_CONSULTANT = """
SELECT c.institution_id AS represents, s.* FROM consultants c LEFT JOIN scores s ON s.consultant_id = c.id
WHERE c.id = $1 AND c.state = 'active'
"""
CHANGES = "SELECT * FROM score_changes WHERE {whose} AND id < $2 ORDER BY id DESC LIMIT $3"
IS_INSTITUTION = "SELECT 1 FROM organisations WHERE id = $1 AND kind = 'institution'"


async def get_score(ctx: Context, institution_id: int) -> ScoreView:
    """Of an institution that has nothing yet: the prior of the formula alone."""
    grades = await row(GRADES, institution_id)
    return _score(ctx, institution_id, grades, await row(OF_INSTITUTION, institution_id))


def _score(ctx: Context, institution_id: int, grades: Any, score: Any) -> ScoreView:
    return {
        "institution_id": institution_id, "good": grades.good, "medium": grades.medium, "bad": grades.bad, "system": grades.system,
        "total_hundredths": score.total if score else BASE, "components": _components(score),
        "activity_hundredths": score.activity if score else 0, "formula_version": score.formula_version if score else VERSION,
        "as_of": month_text(score.month if score else month_of(ctx.now)),
    }


def _components(score: Any) -> list[ComponentView]:
    """`score`: a row of `scores`, or None (or nulls, of an outer join) where nothing has counted yet."""
    known = score is not None and score.total is not None
    base = {"reviews": BASE}
    return [{"component": each.name, "title": each.title, "hundredths": score[each.name] if known else base.get(each.name, 0),
             "most_hundredths": each.most} for each in COMPONENTS]


async def get_consultant_score(ctx: Context, consultant_id: int) -> ConsultantScoreView:
    """Of somebody who represents an institution now. Raises NotFound."""
    found = await row(OF_CONSULTANT, consultant_id)
    if found is None:
        raise NotFound
    known = found.total is not None
    return {
        "consultant_id": consultant_id, "institution_id": found.represents,
        "total_hundredths": found.total if known else BASE, "components": _components(found),
        "activity_hundredths": found.activity if known else 0, "formula_version": found.formula_version if known else VERSION,
        "as_of": month_text(found.month if known else month_of(ctx.now)),
    }


async def list_score_changes(_ctx: Context, institution_id: int, page: Page) -> PageView[ScoreChangeView]:
    """为什么变了, newest first."""
    found = await rows(
        CHANGES.format(whose="institution_id = $1 AND consultant_id IS NULL"), institution_id, _before(page), page.limit + 1
    )
    return page_of(found, page, _change, lambda change: [change.id])


async def list_consultant_score_changes(_ctx: Context, consultant_id: int, page: Page) -> PageView[ScoreChangeView]:
    found = await rows(CHANGES.format(whose="consultant_id = $1"), consultant_id, _before(page), page.limit + 1)
    return page_of(found, page, _change, lambda change: [change.id])


def _before(page: Page) -> int:
    return int((page.key() or [2**63 - 1])[0])


def _change(change: Any) -> ScoreChangeView:
    title = next(each.title for each in COMPONENTS if each.name == change.component)
    facts: list[FactView] = [
        {"kind": ScoreKind(kind), "title": TITLES[ScoreKind(kind)], "count": change.facts[kind]} for kind in sorted(change.facts)
    ]
    return {"at": change.at, "component": change.component, "title": title, "before_hundredths": change.before,
            "after_hundredths": change.after, "cause": change.cause, "facts": facts}


async def recompute_score(ctx: Context, institution_id: int) -> ScoreView:
    """重新计算 from the events alone, by an administrator. Raises NotFound."""
    async with transaction(ctx) as tx:
        if not await tx.value(IS_INSTITUTION, institution_id):
            raise NotFound
        await recompute_in(tx, [institution_id])
        tx.record("score.recomputed", "organisation", institution_id)
        return tx.reply(_score(ctx, institution_id, await tx.row(GRADES, institution_id), await tx.row(OF_INSTITUTION, institution_id)))


# --- rankings ----------------------------------------------------------------------------------------------------------------------

# $1 what the codes of the division begin with, $2, $3 points and id of the last one seen, $4 limit, $5 month.
_AFTER = """
{table}.{points} <= coalesce($2::int, 2147483647) AND ($2 IS NULL OR {table}.{points} < $2 OR {table}.{holder} > $3)
AND ($1::text IS NULL OR starts_with(o.region_code, $1)) AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL
"""
INSTITUTIONS = """
SELECT s.{points} AS points, s.institution_id AS id, o.name, o.region_code
FROM {source} s JOIN organisations o ON o.id = s.institution_id
WHERE s.consultant_id IS NULL AND {after} ORDER BY s.{points} DESC, s.institution_id LIMIT $4
"""
CONSULTANTS = """
SELECT s.{points} AS points, s.consultant_id AS id, c.display_name, o.id AS institution_id, o.name
FROM {source} s JOIN consultants c ON c.id = s.consultant_id AND c.state = 'active' JOIN organisations o ON o.id = s.institution_id
WHERE s.consultant_id IS NOT NULL AND {after} ORDER BY s.{points} DESC, s.consultant_id LIMIT $4
"""


async def rank_institutions(
    region_code: str | None, by: RankBy, month: str | None, page: Page
) -> PageView[RankedInstitutionView]:
    """活跃度排名 of the institutions that are open: of a month, of the last twelve, or by score."""
    found, seen = await _ranked(INSTITUTIONS, "institution_id", region_code, by, month, page)
    places = {institution.id: seen + place for place, institution in enumerate(found, start=1)}
    return page_of(found, page, lambda each: {
        "rank": places[each.id], "institution_id": each.id, "name": each.name, "region_code": each.region_code, "hundredths": each.points,
    }, lambda each: [each.points, each.id, places[each.id]])


async def rank_consultants(
    region_code: str | None, by: RankBy, month: str | None, page: Page
) -> PageView[RankedConsultantView]:
    """The consultants who represent an institution now; the division is their institution's."""
    found, seen = await _ranked(CONSULTANTS, "consultant_id", region_code, by, month, page)
    places = {consultant.id: seen + place for place, consultant in enumerate(found, start=1)}
    return page_of(found, page, lambda each: {
        "rank": places[each.id], "consultant_id": each.id, "display_name": each.display_name, "institution_id": each.institution_id,
        "institution_name": each.name, "hundredths": each.points,
    }, lambda each: [each.points, each.id, places[each.id]])


async def _ranked(
    sql: str, holder: str, region_code: str | None, by: RankBy, month: str | None, page: Page
) -> tuple[list[Any], int]:
    points, last_id, seen = page.key((int, int, int)) or (None, None, 0)
    column = "points" if month else "activity" if by is RankBy.ACTIVITY else "total"
    after = _AFTER.format(table="s", points=column, holder=holder)
    asked: list[object] = [region_code and prefix_of(region_code), points, last_id, page.limit + 1]
    if month:
        after, asked = f"s.month = $5 AND {after}", [*asked, month_number(month)]
    if column != "total":
        after = f"s.{column} > 0 AND {after}"  # whoever did nothing has no place
    found = await rows(sql.format(points=column, source="score_months" if month else "scores", after=after), *asked)
    return found, seen


def month_number(text: str) -> int:
    """`2026-11` as the tables have it."""
    year, _, month = text.partition("-")
    return int(year) * 12 + int(month) - 1


def month_text(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
