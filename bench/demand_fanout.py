"""W10: open demands to 1,000 institutions with three members each, from the enterprise's post to the members' inboxes."""

from datetime import timedelta

import asyncpg

from handlers import demands
from handlers.accounts.consents import PRIVACY, privacy
from handlers.context import Context
from handlers.notices import open_events
from handlers.regions import load_regions
from models.accounts import OrganisationKind
from models.demands import DemandTarget

DEMANDS, INSTITUTIONS, MEMBERS = 5, 1_000, 3
TOLD, NOTICES = DEMANDS * INSTITUTIONS, DEMANDS * INSTITUTIONS * MEMBERS
REGION, CATEGORY = "320506", "audit"  # 苏州市吴中区, where the bench has nobody else
ENTERPRISE = 1
WAVES_MAX = 100

# Institutions and their people, once for each database.
SETTLE = f"""
WITH shops AS (
  INSERT INTO organisations (kind, name, region_code, certified_at, created_at)
  SELECT 'institution', '机构' || n, '{REGION}', now(), now() FROM generate_series(1, {INSTITUTIONS}) n RETURNING id
), scoped AS (
  INSERT INTO institution_scopes (organisation_id, category, content) SELECT id, '{CATEGORY}', '年报审计' FROM shops
), people AS (
  INSERT INTO persons (created_at) SELECT now() FROM shops, generate_series(1, {MEMBERS}) RETURNING id
), known AS (
  INSERT INTO identities (person_id, platform, app_id, open_id, created_at)
  SELECT id, 'wechat', 'wx-development', 'd' || id, now() FROM people
)
INSERT INTO memberships (person_id, organisation_id, role, state, created_at)
SELECT p.id, s.id, CASE p.nth % {MEMBERS} WHEN 0 THEN 'owner' ELSE 'handler' END, 'active', now()
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth FROM people) p
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth FROM shops) s ON s.nth = p.nth / {MEMBERS}
"""
AGREE = f"""
INSERT INTO consents (person_id, document, version, agreed_at) VALUES ({ENTERPRISE}, '{PRIVACY}', $1, now()) ON CONFLICT DO NOTHING
"""
UNDO = """
DELETE FROM deliveries d USING notices n WHERE n.id = d.notice_id AND n.kind = 'demand_posted';
DELETE FROM notices WHERE kind = 'demand_posted'; DELETE FROM demand_responses; DELETE FROM demands
"""
CHANGED = "demands, demand_responses, events, notices, deliveries, audit_entries"
# All of it in one statement: the demand, its institutions, one event each, a notice and a delivery for each of their people.
FLOOR = f"""
WITH asked AS (
  INSERT INTO demands (enterprise_id, target, title, text, category, region_code, contact_name, contact_phone, state, version,
                       posted_by_id, posted_at, updated_at, released_at, expires_at)
  VALUES ({ENTERPRISE}, 'open', '年度财务审计', '请报价', '{CATEGORY}', '{REGION}', $1::bytea, $1::bytea, 'open', 1,
          {ENTERPRISE}, $2::timestamptz, $2::timestamptz, $2::timestamptz,
          $2::timestamptz + interval '30 days') RETURNING id
), told AS (
  INSERT INTO demand_responses (demand_id, institution_id, state, is_chosen, notified_at)
  SELECT asked.id, o.id, 'notified', false, $2::timestamptz FROM asked, organisations o
  WHERE o.kind = 'institution' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL AND starts_with(o.region_code, '{REGION}')
    AND EXISTS (SELECT 1 FROM institution_scopes s WHERE s.organisation_id = o.id AND s.category = '{CATEGORY}')
  RETURNING demand_id, institution_id
), happened AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at, opened_at)
  SELECT 'demand_posted', institution_id, 'demand', demand_id, '{{}}', $2::timestamptz, $2::timestamptz FROM told
  RETURNING id, organisation_id
), written AS (
  INSERT INTO notices (event_id, person_id, organisation_id, kind, title, body, page, data, created_at)
  SELECT h.id, m.person_id, h.organisation_id, 'demand_posted', '新需求', '您有一条来自企业用户的新需求', 'pages/demands/show', '{{}}',
         $2::timestamptz
  FROM happened h JOIN memberships m ON m.organisation_id = h.organisation_id AND m.state = 'active' AND m.role IN ('owner', 'handler')
  RETURNING id, person_id
)
INSERT INTO deliveries (notice_id, person_id, step, channel, state, attempts, due_at, give_up_at)
SELECT w.id, w.person_id, 1, 'wechat_subscribe', 'planned', 0, $2::timestamptz, $2::timestamptz + interval '2 days'
FROM written w JOIN identities i ON i.person_id = w.person_id AND i.platform = 'wechat'
"""


async def settle(owner: asyncpg.Connection) -> None:
    await load_regions()
    await owner.execute(SETTLE)
    await owner.execute(AGREE, privacy()["version"])
    for table in ("organisations", "institution_scopes", "persons", "identities", "memberships"):
        await owner.execute(f"VACUUM (ANALYZE) {table}")


async def ours(poster: Context, jobs: Context) -> int:
    """As the enterprise and the jobs do it: post, wave after wave, events into notices. Returns the number of transactions."""
    assert poster.actor.organisation_kind is OrganisationKind.ENTERPRISE
    content = demands.Content("年度财务审计", "请报价", CATEGORY, REGION, None, None, ())
    for _ in range(DEMANDS):
        await demands.post_demand(poster, DemandTarget.OPEN, None, content, demands.Contact("李小红", "13853112345"))
    transactions = DEMANDS
    for minute in range(WAVES_MAX):
        spread = await demands.spread_due(jobs.at(jobs.now + timedelta(minutes=minute)))
        transactions += 1
        while await open_events(jobs):
            transactions += 1
        if spread == 0:
            break
    return transactions


async def floor(owner: asyncpg.Connection, jobs: Context) -> int:
    for _ in range(DEMANDS):
        await owner.execute(FLOOR, b"x" * 60, jobs.now)
    return DEMANDS


async def prove(owner: asyncpg.Connection) -> None:
    """Every member of every institution was told of every demand, once."""
    found = await owner.fetchrow(
        "SELECT (SELECT count(*) FROM demand_responses) AS told, (SELECT count(*) FROM notices WHERE kind = 'demand_posted') AS notices,"
        " (SELECT count(DISTINCT (n.person_id, e.subject_id)) FROM notices n JOIN events e ON e.id = n.event_id"
        "  WHERE n.kind = 'demand_posted') AS once"
    )
    assert tuple(found) == (TOLD, NOTICES, NOTICES), tuple(found)
