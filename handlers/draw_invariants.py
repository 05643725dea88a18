"""What must always be true of rounds, tickets and draws; a part of `handlers/invariants.py` (docs/invariants.md)."""

DRAWS = {
    "winners_within_the_quota": """
      SELECT v.round_id, v.voucher_type_id, v.winners, q.quota FROM (
        SELECT round_id, voucher_type_id, count(*) AS winners FROM reservations WHERE state IN ('won', 'issued')
        GROUP BY round_id, voucher_type_id) v
      LEFT JOIN round_quotas q ON q.round_id = v.round_id AND q.voucher_type_id = v.voucher_type_id
      WHERE v.winners > coalesce(q.quota, 0)""",
    "winners_are_counted": """
      SELECT id, state, win_nth FROM reservations WHERE (state IN ('won', 'issued')) <> (win_nth IS NOT NULL)
        OR (win_nth IS NULL) <> (win_year IS NULL)""",
    "wins_within_the_yearly_cap": """
      SELECT r.organisation_id, r.voucher_type_id, r.win_year, count(*) AS wins, max(r.win_nth) AS highest
      FROM reservations r JOIN voucher_types t ON t.id = r.voucher_type_id WHERE r.win_nth IS NOT NULL AND t.annual_win_cap IS NOT NULL
      GROUP BY r.organisation_id, r.voucher_type_id, r.win_year, t.annual_win_cap
      HAVING count(*) > t.annual_win_cap OR max(r.win_nth) > t.annual_win_cap""",
    "wins_have_places_of_their_own": """
      SELECT round_id, voucher_type_id, rank, count(*) FROM reservations WHERE state IN ('won', 'issued')
      GROUP BY round_id, voucher_type_id, rank HAVING count(*) > 1 OR rank IS NULL""",
    "issued_tickets_have_exactly_one_lot": """
      SELECT r.id AS reservation_id, l.lots FROM reservations r
      FULL JOIN (SELECT reservation_id, count(*) AS lots FROM lots WHERE reservation_id IS NOT NULL GROUP BY reservation_id) l
        ON l.reservation_id = r.id
      WHERE (r.state IN ('issued', 'given_back')) IS DISTINCT FROM (coalesce(l.lots, 0) = 1)""",
    "issued_lots_are_the_winners": """
      SELECT l.id FROM lots l JOIN reservations r ON r.id = l.reservation_id
      WHERE (l.organisation_id, l.voucher_type_id) <> (r.organisation_id, r.voucher_type_id)""",
    "final_rounds_have_issued_all": """
      SELECT r.id FROM reservations r JOIN rounds d ON d.id = r.round_id
      WHERE d.state = 'final' AND r.state = 'won'
        OR d.state <> 'final' AND r.state IN ('issued', 'given_back') AND d.allocation = 'lottery'""",
    "only_drawn_rounds_have_winners": """
      SELECT r.id, r.state, d.state AS round FROM reservations r JOIN rounds d ON d.id = r.round_id
      WHERE r.state IN ('won', 'alternate', 'issued', 'given_back', 'declined') AND d.state NOT IN ('drawn', 'publicity', 'final', 'voided')
        AND d.allocation = 'lottery'""",
    "voided_rounds_have_no_winners": """
      SELECT r.id FROM reservations r JOIN rounds d ON d.id = r.round_id
      WHERE d.state = 'voided' AND r.state IN ('won', 'alternate', 'issued', 'given_back') AND d.allocation = 'lottery'""",
    "drawn_rounds_have_their_bundle": """
      SELECT d.id, d.state FROM (SELECT * FROM rounds WHERE allocation = 'lottery') d LEFT JOIN draws w ON w.round_id = d.id
      WHERE d.state IN ('committed', 'drawn', 'publicity', 'final') AND w.id IS NULL
        OR d.state IN ('drawn', 'publicity', 'final') AND (w.drawn_at IS NULL OR w.seed IS NULL OR w.reveal IS NULL)
        OR d.state = 'committed' AND w.drawn_at IS NOT NULL OR d.state IN ('draft', 'announced', 'open', 'closed') AND w.id IS NOT NULL""",
    "draws_count_the_tickets": """
      SELECT w.round_id, w.ticket_count, r.tickets FROM draws w
      LEFT JOIN (SELECT round_id, count(*) AS tickets FROM reservations WHERE state <> 'withdrawn' GROUP BY round_id) r
        ON r.round_id = w.round_id
      WHERE w.ticket_count <> coalesce(r.tickets, 0)""",
    "draws_keep_the_published_list": r"""
      SELECT w.round_id FROM draws w LEFT JOIN (
        SELECT round_id, encode(sha256(convert_to(string_agg(lines, E'\n' ORDER BY number), 'UTF8')), 'hex') AS digest
        FROM draw_lists GROUP BY round_id) l ON l.round_id = w.round_id
      WHERE w.ticket_count > 0 AND l.digest IS DISTINCT FROM w.list_digest""",
    "draw_objections_open_are_looked_at": """
      SELECT j.id, j.state, r.state AS round, a.open FROM draw_objections j JOIN rounds r ON r.id = j.round_id
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'draw_objection' AND state = 'open'
                 GROUP BY subject_id) a ON a.subject_id = j.id
      WHERE coalesce(a.open, 0) <> CASE WHEN j.state = 'open' THEN 1 ELSE 0 END OR j.state = 'open' AND r.state <> 'publicity'""",
    "disqualifications_open_are_of_a_win": """
      SELECT a.id, v.state, r.state AS round FROM approvals a LEFT JOIN reservations v ON v.id = a.subject_id
      LEFT JOIN rounds r ON r.id = v.round_id
      WHERE a.subject = 'reservation' AND a.state = 'open' AND (v.state, r.state) IS DISTINCT FROM ('won', 'publicity')""",
    "one_ticket_for_each_enterprise": """
      SELECT round_id, organisation_id, count(*) FROM reservations GROUP BY round_id, organisation_id HAVING count(*) > 1""",
    "tickets_are_of_their_programme": """
      SELECT r.id FROM reservations r JOIN rounds d ON d.id = r.round_id JOIN voucher_types t ON t.id = r.voucher_type_id
      WHERE t.programme_id <> d.programme_id""",
    "first_come_places_add_up": """
      SELECT q.round_id, q.voucher_type_id, q.quota, s.size, s.remaining, r.taken FROM round_quotas q
      JOIN rounds d ON d.id = q.round_id AND d.allocation = 'first_come' AND d.confirmed_by_id IS NOT NULL
      LEFT JOIN (SELECT round_id, voucher_type_id, sum(size) AS size, sum(remaining) AS remaining FROM round_shares
                 GROUP BY round_id, voucher_type_id) s ON (s.round_id, s.voucher_type_id) = (q.round_id, q.voucher_type_id)
      LEFT JOIN (SELECT round_id, voucher_type_id, count(*) AS taken FROM reservations GROUP BY round_id, voucher_type_id) r
        ON (r.round_id, r.voucher_type_id) = (q.round_id, q.voucher_type_id)
      WHERE coalesce(s.size, 0) <> q.quota OR coalesce(s.remaining, 0) + coalesce(r.taken, 0) <> q.quota""",
    "first_come_doors_follow_their_round": """
      SELECT s.id, d.state FROM round_shares s JOIN rounds d ON d.id = s.round_id
      WHERE s.is_open <> (d.state IN ('announced', 'open')) OR d.allocation <> 'first_come'""",
}
