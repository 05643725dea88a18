"""What must hold of consultants whatever happened; proved with all other invariants (handlers/invariants.py)."""

CONSULTANTS = {
    "consultants_active_hold_the_membership_of_their_institution": """
      SELECT c.id, c.state, c.membership_id, m.id AS held FROM consultants c
      FULL JOIN (SELECT * FROM memberships WHERE role = 'consultant' AND state = 'active') m
        ON m.id = c.membership_id AND m.person_id = c.person_id AND m.organisation_id = c.institution_id
      WHERE c.state = 'active' AND m.id IS NULL OR m.id IS NOT NULL AND c.state IS DISTINCT FROM 'active'""",
    "consultants_invited_have_one_live_invitation": """
      SELECT c.id, c.state, i.live FROM consultants c
      LEFT JOIN (SELECT consultant_id, count(*) AS live FROM invitations WHERE state = 'live' GROUP BY consultant_id) i
        ON i.consultant_id = c.id
      WHERE coalesce(i.live, 0) <> CASE WHEN c.state = 'invited' THEN 1 ELSE 0 END""",
    "consultants_in_review_have_one_open_approval": """
      SELECT c.id, c.state, a.open FROM consultants c
      FULL JOIN (SELECT subject_id, count(*) AS open FROM approvals WHERE subject = 'consultant' AND state = 'open' GROUP BY subject_id) a
        ON a.subject_id = c.id
      WHERE coalesce(a.open, 0) <> CASE WHEN c.state = 'in_review' THEN 1 ELSE 0 END""",
    "invitations_were_accepted_by_whom_they_named": """
      SELECT i.id FROM invitations i JOIN consultants c ON c.id = i.consultant_id JOIN persons p ON p.id = c.person_id
      JOIN phone_codes k ON k.invitation_id = i.id AND k.used_at IS NOT NULL
      WHERE i.state = 'accepted' AND i.phone_index IS NOT NULL AND k.phone_index <> i.phone_index""",
    "phone_codes_have_five_tries_and_are_used_in_time": """
      SELECT id, tries FROM phone_codes WHERE tries NOT BETWEEN 0 AND 5 OR used_at >= expires_at OR used_at < agreed_at""",
}
