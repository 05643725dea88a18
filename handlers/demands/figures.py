"""How an institution answers demands: counted from its rows whenever it is asked."""

from typing import TypedDict

from handlers.context import Context
from handlers.refusals import NotFound
from handlers.transactions import row


class AnswerFiguresView(TypedDict):
    """What everybody may see. Only what was addressed to the institution says whether it answers; minutes are medians."""

    institution_id: int
    addressed: int
    addressed_taken: int
    taken: int
    view_minutes: int | None
    take_minutes: int | None


class OutcomesView(TypedDict):
    signed: int
    declined: int
    no_contact: int
    converted_to_order: int


class OwnFiguresView(AnswerFiguresView):
    """`received` counts open demands that it was told of, too."""

    received: int
    viewed: int
    passed: int
    outcomes: OutcomesView


FIGURES = """
SELECT o.id, count(r.id) AS received, count(r.viewed_at) AS viewed, count(r.taken_at) AS taken,
  count(*) FILTER (WHERE r.state = 'passed') AS passed,
  count(*) FILTER (WHERE r.is_chosen) AS addressed, count(r.taken_at) FILTER (WHERE r.is_chosen) AS addressed_taken,
  (percentile_disc(0.5) WITHIN GROUP (ORDER BY floor(extract(epoch FROM r.viewed_at - r.notified_at) / 60)))::int AS view_minutes,
  (percentile_disc(0.5) WITHIN GROUP (ORDER BY floor(extract(epoch FROM r.taken_at - r.notified_at) / 60)))::int AS take_minutes,
  count(*) FILTER (WHERE r.state = 'signed') AS signed, count(*) FILTER (WHERE r.state = 'declined') AS declined,
  count(*) FILTER (WHERE r.state = 'no_contact') AS no_contact,
  count(*) FILTER (WHERE r.state = 'converted_to_order') AS converted_to_order
FROM organisations o LEFT JOIN demand_responses r ON r.institution_id = o.id
WHERE o.id = $1 AND o.kind = 'institution' AND ($2 OR (o.certified_at IS NOT NULL AND o.suspended_at IS NULL))
GROUP BY o.id
"""


async def answer_figures(institution_id: int) -> AnswerFiguresView:
    """For the shop front. Raises NotFound for what has none: not an institution, not admitted, suspended."""
    found = await row(FIGURES, institution_id, False)
    if found is None:
        raise NotFound
    return {
        "institution_id": found.id, "addressed": found.addressed, "addressed_taken": found.addressed_taken, "taken": found.taken,
        "view_minutes": found.view_minutes, "take_minutes": found.take_minutes,
    }


async def own_figures(ctx: Context) -> OwnFiguresView:
    """The institution's own, with its outcomes."""
    found = await row(FIGURES, ctx.organisation_id, True)
    return {
        "institution_id": found.id, "received": found.received, "viewed": found.viewed, "passed": found.passed, "taken": found.taken,
        "addressed": found.addressed, "addressed_taken": found.addressed_taken, "view_minutes": found.view_minutes,
        "take_minutes": found.take_minutes, "outcomes": {
            "signed": found.signed, "declined": found.declined, "no_contact": found.no_contact,
            "converted_to_order": found.converted_to_order,
        },
    }
