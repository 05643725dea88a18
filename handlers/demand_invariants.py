"""What must always hold of demands and their answers; a part of `handlers/invariants.py`."""

DEMANDS = {
    "demands_are_known_to_whom_they_are_addressed": """
      SELECT d.id FROM demands d
      LEFT JOIN demand_responses r ON r.demand_id = d.id AND r.institution_id = d.institution_id AND r.is_chosen
      LEFT JOIN consultants c ON c.id = d.consultant_id LEFT JOIN products p ON p.id = d.product_id
      WHERE d.institution_id IS NOT NULL AND d.released_at IS NOT NULL
        AND (r.id IS NULL AND NOT EXISTS (
            SELECT 1 FROM audit_entries a WHERE a.subject = 'demand' AND a.subject_id = d.id AND a.action = 'demand.undelivered')
          OR c.institution_id <> d.institution_id OR p.organisation_id <> d.institution_id)
      UNION ALL SELECT d.id FROM demands d JOIN consultants c ON c.id = d.consultant_id
      WHERE d.state <> 'closed' AND c.state <> 'active'""",
    "demands_are_known_when_their_words_have_passed": """
      SELECT d.id, d.state, k.state AS words FROM demands d LEFT JOIN content_checks k ON k.subject = 'demand' AND k.subject_id = d.id
      WHERE d.state IN ('open', 'taken') AND k.state <> 'passed'
        OR d.state = 'held' AND coalesce(k.state, '') NOT IN ('pending', 'in_review', 'hidden')
        OR d.state = 'closed' AND k.state IN ('pending', 'in_review')
        OR d.released_at IS NULL AND EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = d.id)""",
    "demands_held_wait_for_nothing_else": """
      SELECT d.id FROM demands d WHERE d.state = 'held' AND (d.spread_at IS NOT NULL OR d.alternatives_at IS NOT NULL
        OR EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = d.id AND r.remind_at IS NOT NULL))""",
    "demands_have_few_takers_that_were_not_chosen": """
      SELECT demand_id, count(*) FROM demand_responses WHERE place IS NOT NULL GROUP BY demand_id
      HAVING count(*) > 3 OR count(DISTINCT place) < count(*)
      UNION ALL SELECT r.demand_id, 1 FROM demand_responses r JOIN demands d ON d.id = r.demand_id
      WHERE NOT r.is_chosen AND d.target <> 'open'""",
    "demands_taken_have_a_taker": """
      SELECT d.id, d.state, r.takers FROM demands d
      LEFT JOIN (SELECT demand_id, count(taken_at) AS takers FROM demand_responses GROUP BY demand_id) r ON r.demand_id = d.id
      WHERE (d.taken_at IS NOT NULL) <> (coalesce(r.takers, 0) > 0)""",
    "demands_settled_were_taken_by_that_institution": """
      SELECT d.id, d.settled_with_id FROM demands d
      LEFT JOIN demand_responses r ON r.demand_id = d.id AND r.institution_id = d.settled_with_id AND r.taken_at IS NOT NULL
      WHERE d.settled_with_id IS NOT NULL AND r.id IS NULL""",
    "demands_closed_remind_nobody": """
      SELECT r.id FROM demand_responses r JOIN demands d ON d.id = r.demand_id WHERE d.state = 'closed' AND r.remind_at IS NOT NULL""",
    "demands_converted_have_their_order": """
      SELECT r.id AS response_id, o.demand_id FROM (SELECT * FROM demand_responses WHERE state = 'converted_to_order') r
      FULL JOIN (SELECT DISTINCT demand_id, institution_id FROM orders WHERE demand_id IS NOT NULL) o
        ON o.demand_id = r.demand_id AND o.institution_id = r.institution_id
      WHERE r.id IS NULL OR o.demand_id IS NULL
      UNION ALL SELECT NULL, o.demand_id FROM orders o JOIN demands d ON d.id = o.demand_id WHERE o.enterprise_id <> d.enterprise_id""",
    "demands_answered_count_once": """
      SELECT r.id, r.state, s.events FROM (SELECT * FROM demand_responses WHERE state IN ('signed', 'declined', 'converted_to_order')) r
      FULL JOIN (SELECT subject_id, count(*) AS events FROM score_events WHERE subject = 'demand_response' GROUP BY subject_id) s
        ON s.subject_id = r.id
      WHERE (r.id IS NOT NULL) <> (coalesce(s.events, 0) = 1)""",
    "demand_contacts_were_seen_after_taking": """
      SELECT a.id, a.subject_id FROM audit_entries a LEFT JOIN demand_responses r ON r.id = (a.data->>'response_id')::bigint
      WHERE a.action = 'demand.contact_revealed'
        AND (r.demand_id IS DISTINCT FROM a.subject_id OR r.institution_id IS DISTINCT FROM a.organisation_id OR r.taken_at IS NULL
          OR a.at < r.taken_at)""",
}
