"""What must hold of reviews, checked texts and scores, whatever happened; part of handlers/invariants.py."""

from handlers.score_formula import MONTH_OF, POINTS_OF, VALUE_OF

_COUNTED = f"""
SELECT e.institution_id, coalesce(h.consultant_id, 0) AS consultant, {MONTH_OF.format(at='e.happened_at')} AS month,
  count(*) FILTER (WHERE e.kind = 'order_completed') AS orders, count(*) FILTER (WHERE e.kind = 'transaction_filed') AS transactions,
  count(*) FILTER (WHERE e.kind = 'activity_filed') AS activities, count(*) FILTER (WHERE e.kind = 'demand_answered') AS answers,
  count(*) FILTER (WHERE e.kind = 'review_received') AS reviews,
  coalesce(sum({VALUE_OF.format(event='e')}) FILTER (WHERE e.kind = 'review_received'), 0) AS review_value,
  sum({POINTS_OF.format(event='e')}) AS points
FROM score_events e CROSS JOIN LATERAL (
  SELECT NULL::bigint UNION ALL SELECT e.consultant_id WHERE e.consultant_id IS NOT NULL) AS h(consultant_id)
WHERE e.counted GROUP BY 1, 2, 3
"""
SCORES = {
    "scores_are_the_sum_of_their_parts": """
      SELECT id, total FROM scores WHERE total <> reviews + transactions + activities + answers""",
    "score_months_are_what_was_counted": f"""
      SELECT coalesce(m.institution_id, e.institution_id) AS institution_id, coalesce(m.month, e.month) AS month
      FROM (SELECT *, coalesce(consultant_id, 0) AS consultant FROM score_months
            WHERE orders + transactions + activities + answers + reviews > 0) m
      FULL JOIN ({_COUNTED}) e ON e.institution_id = m.institution_id AND e.consultant = m.consultant AND e.month = m.month
      WHERE (m.orders, m.transactions, m.activities, m.answers, m.reviews, m.review_value, m.points)
        IS DISTINCT FROM (e.orders, e.transactions, e.activities, e.answers, e.reviews, e.review_value, e.points)""",
    "reviews_that_count_are_of_people_and_revealed": """
      SELECT e.id, e.subject_id FROM score_events e LEFT JOIN reviews r ON r.id = e.subject_id
      WHERE e.kind = 'review_received' AND e.subject = 'review' AND e.revoked_at IS NULL
        AND (r.id IS NULL OR r.is_system OR r.is_blind OR r.grade <> e.facts ->> 'grade')""",
    "pairs_of_reviews_are_revealed_together": """
      SELECT r.order_id FROM reviews r JOIN enterprise_reviews e ON e.order_id = r.order_id
      WHERE NOT r.is_system AND (r.is_blind OR e.is_blind OR r.revealed_at IS DISTINCT FROM e.revealed_at)""",
    "enterprises_are_reviewed_where_both_sides_review": """
      SELECT e.id FROM enterprise_reviews e JOIN orders o ON o.id = e.order_id JOIN policies p ON p.id = o.policy_id
      WHERE NOT coalesce((p.rules ->> 'mutual_review')::boolean, false) OR o.state <> 'completed'
        OR o.enterprise_reviewed_at IS DISTINCT FROM e.reviewed_at
        OR (o.enterprise_id, o.institution_id) <> (e.enterprise_id, e.institution_id)""",
    "replies_are_to_what_can_be_read": """
      SELECT p.id FROM review_replies p LEFT JOIN reviews r ON r.id = p.review_id
      LEFT JOIN enterprise_reviews e ON e.id = p.enterprise_review_id
      WHERE r.is_blind OR r.is_system OR e.is_blind OR p.replied_at < coalesce(r.revealed_at, r.reviewed_at, e.revealed_at)""",
    "texts_in_review_have_one_open_approval": """
      SELECT c.id, c.state, a.open FROM content_checks c
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'content_check' AND state = 'open'
                 GROUP BY subject_id) a ON a.subject_id = c.id
      WHERE coalesce(a.open, 0) <> CASE WHEN c.state = 'in_review' THEN 1 ELSE 0 END""",
}
