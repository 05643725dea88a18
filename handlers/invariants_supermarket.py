"""What must always be true of the supermarket: filings and what they count, regular products, certifications (docs/invariants.md)."""

SUPERMARKET = {
    "filings_approved_count_once": """
      SELECT f.id, f.state, s.kind, s.live FROM filings f FULL JOIN (
        SELECT subject_id, min(kind) AS kind, count(*) AS live, min(institution_id) AS institution_id, min(consultant_id) AS consultant_id
        FROM score_events WHERE subject = 'filing' AND revoked_at IS NULL GROUP BY subject_id) s ON s.subject_id = f.id
      WHERE (f.state IS NOT DISTINCT FROM 'approved') <> (coalesce(s.live, 0) = 1) OR s.live > 1 OR s.live = 1
        AND (s.kind, s.institution_id, s.consultant_id) IS DISTINCT FROM (f.kind || '_filed', f.institution_id, f.consultant_id)""",
    "filings_in_review_have_one_open_approval": """
      SELECT f.id, f.state, a.open FROM filings f
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'filing' AND state = 'open' GROUP BY subject_id) a
        ON a.subject_id = f.id
      WHERE coalesce(a.open, 0) <> CASE WHEN f.state = 'in_review' THEN 1 ELSE 0 END""",
    "filings_count_after_their_flags_were_seen": """
      SELECT g.id, g.filing_id FROM filing_flags g JOIN filings f ON f.id = g.filing_id
      WHERE (f.state IN ('approved', 'revoked')) <> (g.acknowledged_by_id IS NOT NULL)""",
    "filing_objections_open_are_looked_at": """
      SELECT j.id, j.state, f.state AS filing_state, a.open FROM filing_objections j JOIN filings f ON f.id = j.filing_id
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'filing_objection' AND state = 'open'
                 GROUP BY subject_id) a ON a.subject_id = j.id
      WHERE coalesce(a.open, 0) <> CASE WHEN j.state = 'open' AND f.state = 'approved' THEN 1 ELSE 0 END
        OR j.state = 'open' AND (f.state NOT IN ('in_review', 'returned', 'approved')
          OR f.state = 'in_review' AND j.enterprise_id <> f.enterprise_id)
        OR j.state = 'upheld' AND f.state NOT IN ('rejected', 'revoked')""",
    "filings_file_an_order_once": """
      SELECT order_id, count(*) FROM filings WHERE order_id IS NOT NULL AND state NOT IN ('rejected', 'withdrawn', 'revoked')
      GROUP BY order_id HAVING count(*) > 1""",
    "filings_of_an_order_say_what_it_says": """
      SELECT f.id, f.order_id FROM filings f JOIN orders o ON o.id = f.order_id
      WHERE (f.institution_id, f.enterprise_id) IS DISTINCT FROM (o.institution_id, o.enterprise_id)""",
    "filings_were_revoked_by_a_second_person": """
      SELECT id FROM filings WHERE (state = 'revoked') <> (revoked_at IS NOT NULL) OR revoked_by_id = revoke_proposed_by_id""",
    "products_regular_are_what_the_list_says": """
      SELECT p.id, p.kind, p.state FROM products p LEFT JOIN standard_products s ON s.id = p.standard_id
      WHERE (p.kind = 'regular') <> (s.id IS NOT NULL) OR p.kind = 'regular'
        AND ((p.name, p.category) <> (s.name, s.category) OR p.state NOT IN ('draft', 'listed', 'deleted')
          OR p.sections ->> 'introduction' IS DISTINCT FROM s.introduction OR p.max_voucher_fen > 0)""",
    "memberships_of_the_association_are_of_a_supermarket": """
      SELECT a.id FROM applications a WHERE a.kind IN ('supermarket_certification', 'association_membership') AND a.programme_id IS NULL""",
}
