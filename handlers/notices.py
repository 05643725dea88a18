"""From events to notices: who is told, and the inbox where everything can be read, whatever the channels do (F23).

An event is written in the commit of what it tells; the sweep here opens it into one notice per person and plans the first
delivery of each. `handlers/deliveries.py` sends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

import structlog

from handlers.context import Context
from handlers.notice_plans import BESIDE, Reader, plan, plan_outside, readers_of
from handlers.notice_texts import OF_ONE_SIDE, SILENT, SUPERSEDES, TEXTS, VARIANTS, render
from handlers.paging import Page, PageView, page_of
from handlers.refusals import NotFound
from handlers.transactions import Transaction, row, rows, transaction
from models.notices import DELIVERY_GRAPH, DeliveryState

log = structlog.get_logger(__name__)

OPENER_LOCK = 0x51464E4F  # "QFNO"

# $2, $3: which roles of an organisation read which kind. Officials: whose jurisdiction holds the event's division or park,
# as in handlers/approvals.py; the list of member roles is there so that the index of officials serves.
WAITING = """
SELECT e.*, o.kind AS organisation_kind, people.ids AS people
FROM (SELECT * FROM events WHERE opened_at IS NULL ORDER BY id LIMIT $1) e
LEFT JOIN organisations o ON o.id = e.organisation_id
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(DISTINCT p.id), '{}') AS ids FROM (
    SELECT e.person_id AS id WHERE e.person_id IS NOT NULL
    UNION ALL
    SELECT m.person_id FROM memberships m JOIN unnest($2::text[], $3::text[]) AS reader(kind, role) ON reader.role = m.role
    WHERE m.organisation_id = e.organisation_id AND m.state = 'active' AND reader.kind = e.kind
    UNION ALL
    SELECT m.person_id FROM memberships m
    WHERE m.role = e.role AND m.state = 'active' AND m.role NOT IN ('owner', 'handler', 'finance', 'viewer') AND (
      starts_with(e.region_code, regexp_replace(m.region_code, '(00){1,2}$', '')) OR m.park_id = e.park_id
      OR (m.role = 'admin' AND m.region_code IS NULL AND m.park_id IS NULL)
    )
  ) p
) people
ORDER BY e.id
"""
WRITE = """
WITH made AS (
  INSERT INTO notices (event_id, person_id, organisation_id, kind, title, body, page, data, created_at, read_at)
  SELECT n.*, $9, CASE WHEN n.kind = 'digest' THEN $9::timestamptz END
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[])
    AS n (event_id, person_id, organisation_id, kind, title, body, page, data)
  ON CONFLICT (event_id, person_id) DO NOTHING RETURNING id, event_id, person_id, data
), planned AS (
  INSERT INTO deliveries (notice_id, person_id, step, channel, state, attempts, due_at, give_up_at, address, secrets)
  SELECT m.id, m.person_id, 1, m.data->'channels'->>0, CASE WHEN m.data ? 'held_until' THEN 'held' ELSE 'planned' END, 0,
    coalesce((m.data->>'held_until')::timestamptz, $9), least($10::timestamptz, (m.data->>'ends_at')::timestamptz), e.address, e.secrets
  FROM made m JOIN events e ON e.id = m.event_id WHERE m.data->'channels'->>0 IS NOT NULL
  UNION ALL
  SELECT m.id, NULL, $12::smallint, 'email', CASE WHEN m.data ? 'held_until' THEN 'held' ELSE 'planned' END, 0,
    coalesce((m.data->>'held_until')::timestamptz, $9), least($10, (m.data->>'ends_at')::timestamptz), p.email, NULL
  FROM made m JOIN persons p ON p.id = m.person_id WHERE m.data ? 'also_by_email' AND p.email IS NOT NULL
  UNION ALL
  SELECT m.id, m.person_id, ($12 + other.place)::smallint, other.channel, 'planned', 0, $9,
    least($10, (m.data->>'ends_at')::timestamptz), NULL, NULL
  FROM made m, jsonb_array_elements_text(m.data->'everywhere') WITH ORDINALITY other(channel, place)
)
UPDATE events SET opened_at = $9, address = NULL, secrets = NULL WHERE id = ANY($11)
"""
# $1-$4: what has happened now (event, subject, its id) and a kind that it makes pointless, $7: for which organisation only. What is
# being sent goes its way; what was sent is taken back where the channel can ($6), as long as it remembers: that is until `give_up_at`.
# The kinds stand in the text, in this order, because a partial index has the same list.
SUPERSEDED = ", ".join(f"'{kind}'" for kind in sorted({kind for kinds in SUPERSEDES.values() for kind in kinds}))
SUPERSEDE = f"""
WITH over AS (
  UPDATE notices n SET superseded_at = $5
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $7::bigint[]) AS now(event_id, subject, subject_id, kind, side_id)
  JOIN events past ON past.subject = now.subject AND past.subject_id = now.subject_id AND past.kind = now.kind
    AND past.id < now.event_id AND past.kind IN ({SUPERSEDED})
  WHERE n.event_id = past.id AND n.superseded_at IS NULL AND (now.side_id IS NULL OR n.organisation_id = now.side_id)
  RETURNING n.id
)
UPDATE deliveries d SET due_at = $5,
  state = CASE WHEN d.state IN ('planned', 'held') THEN 'superseded' ELSE 'recalling' END,
  finished_at = CASE WHEN d.state IN ('planned', 'held') THEN $5 ELSE d.finished_at END
FROM over WHERE d.notice_id = over.id AND (
  d.state IN ('planned', 'held')
  OR d.state IN ('accepted', 'delivered') AND d.channel = ANY($6) AND d.provider_id IS NOT NULL AND d.give_up_at > $5
)
"""
S = DeliveryState
for _edge in ((S.PLANNED, S.SUPERSEDED), (S.HELD, S.SUPERSEDED), (S.ACCEPTED, S.RECALLING), (S.DELIVERED, S.RECALLING)):
    DELIVERY_GRAPH.event(*_edge)  # what SUPERSEDE walks

READERS = [(kind, str(role)) for kind, text in TEXTS.items() for role in sorted(text.roles)]
assert all(variant.roles == TEXTS[kind].roles for (kind, _), variant in VARIANTS.items())


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice to be written: the columns of WRITE in their order."""

    event_id: int
    person_id: int | None
    organisation_id: int | None
    kind: str
    title: str
    body: str
    page: str
    data: dict[str, object]


async def open_events(ctx: Context, limit: int = 1_000) -> int:
    """Open waiting events, oldest first, into one notice per reader. Returns how many events; 0 too while another one opens.

    One opener at a time, everywhere: notices then have the order of their events, and a person's deliveries that of the notices.
    """
    async with transaction(ctx) as tx:
        if not await tx.value("SELECT pg_try_advisory_xact_lock($1)", OPENER_LOCK):
            return 0
        kinds, roles = zip(*READERS, strict=True)
        events = await tx.rows(WAITING, limit, list(kinds), list(roles))
        if events:
            readers = await readers_of(tx, {person for event in events for person in event.people})
            drafts = [draft for event in events for draft in _drafts(ctx, event, readers)]
            await _write(ctx, tx, [event.id for event in events], drafts)
            await _supersede(ctx, tx, events)
        return len(events)


def _drafts(ctx: Context, event: Any, readers: Mapping[int, Reader]) -> list[Draft]:
    if event.kind in SILENT:
        return []
    try:
        text = render(event.kind, event.subject, event.subject_id, event.data, event.created_at)
    except KeyError:
        # One event that nobody can read must not hold up the others; it stays in the table, and in the log.
        log.exception("event_of_unknown_kind", kind=event.kind, event_id=event.id)
        return []
    said = {"fields": text.fields, "subject": event.subject, "subject_id": event.subject_id}
    said |= {"ends_at": event.data["ends_at"]} if "ends_at" in event.data else {}
    plans = {None: plan_outside(ctx, event)} if event.address is not None else {
        person: plan(ctx, event, readers[person]) for person in event.people
    }
    return [
        Draft(event.id, person, event.organisation_id, event.kind, text.title, text.body, text.page, {**said, **planned})
        for person, planned in plans.items()
    ]


async def _write(ctx: Context, tx: Transaction, event_ids: list[int], drafts: Sequence[Draft]) -> None:
    columns = [[getattr(draft, name) for draft in drafts] for name in Draft.__slots__]
    give_up_at = ctx.now + timedelta(hours=ctx.settings.notice_retry_hours)
    await tx.run(WRITE, *columns, ctx.now, give_up_at, event_ids, BESIDE)


async def _supersede(ctx: Context, tx: Transaction, events: Iterable[Any]) -> None:
    pairs = [
        (event.id, event.subject, event.subject_id, past, event.organisation_id if event.kind in OF_ONE_SIDE else None)
        for event in events for past in SUPERSEDES.get(event.kind, ())
    ]
    if pairs:
        ids, subjects, subject_ids, kinds, sides = (list(column) for column in zip(*pairs, strict=True))
        await tx.run(SUPERSEDE, ids, subjects, subject_ids, kinds, ctx.now, list(ctx.ports.recallers), sides)


# --- the inbox -------------------------------------------------------------------------------------------------------------


class NoticeView(TypedDict):
    """`page` is where it leads, with its parameters. `is_superseded`: what it asks for has been done already."""

    id: int
    kind: str
    title: str
    body: str
    page: str
    subject: str
    subject_id: int
    organisation_id: int | None
    created_at: datetime
    read_at: datetime | None
    is_superseded: bool


class UnreadView(TypedDict):
    """`count` stops at 100: beyond it the phone shows 99+."""

    count: int


INBOX = """
SELECT * FROM notices WHERE person_id = $1 AND id < $2 AND (NOT $3 OR read_at IS NULL) ORDER BY id DESC LIMIT $4
"""
UNREAD = "SELECT count(*) AS unread FROM (SELECT FROM notices WHERE person_id = $1 AND read_at IS NULL LIMIT 100) shown"
NEWEST = 2**63 - 1


async def list_notices(ctx: Context, page: Page, *, unread: bool = False) -> PageView[NoticeView]:
    """The person's own, newest first, whatever organisation they act for at the moment."""
    before = (page.key() or [NEWEST])[0]
    found = await rows(INBOX, ctx.person_id, before, unread, page.limit + 1)
    return page_of(found, page, view, lambda notice: [notice.id])


async def count_unread(ctx: Context) -> UnreadView:
    return {"count": (await row(UNREAD, ctx.person_id)).unread}


async def read_notice(ctx: Context, notice_id: int) -> NoticeView:
    """Mark one as read; again is no error and keeps the first moment. Raises NotFound."""
    async with transaction(ctx) as tx:
        notice = await tx.row("SELECT * FROM notices WHERE id = $1 AND person_id = $2 FOR UPDATE", notice_id, ctx.person_id)
        if notice is None:
            raise NotFound
        if notice.read_at is None:
            notice = await tx.row("UPDATE notices SET read_at = $2 WHERE id = $1 RETURNING *", notice_id, ctx.now)
            tx.record("notice.read", "notice", notice_id)
        return tx.reply(view(notice))


async def read_all(ctx: Context, up_to_id: int) -> UnreadView:
    """Mark everything up to the newest one that the phone showed: what comes meanwhile stays unread. Returns what is left."""
    async with transaction(ctx) as tx:
        read = await tx.run(
            "UPDATE notices SET read_at = $3 WHERE person_id = $1 AND id <= $2 AND read_at IS NULL", ctx.person_id, up_to_id, ctx.now
        )
        if read:
            tx.record("notices.read", "notice", up_to_id, notices=read)
        left: UnreadView = {"count": await tx.value(UNREAD, ctx.person_id)}
        return tx.reply(left)


def view(notice: Any) -> NoticeView:
    return {
        "id": notice.id, "kind": notice.kind, "title": notice.title, "body": notice.body, "page": notice.page,
        "subject": notice.data["subject"], "subject_id": notice.data["subject_id"], "organisation_id": notice.organisation_id,
        "created_at": notice.created_at, "read_at": notice.read_at, "is_superseded": notice.superseded_at is not None,
    }
