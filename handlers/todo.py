"""待办: what waits for the acting membership, by kind, the earliest deadline first. One statement for each side, whatever there is."""

from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.approvals import REACH, reach_of
from handlers.context import Context
from handlers.filings.decisions import WITHIN
from handlers.filings.writing import acting
from handlers.programmes import managed_prefix
from handlers.redemptions.payouts import reach
from handlers.reviews_replies import REPLY_WITHIN
from handlers.rounds import PASSED
from handlers.transactions import rows
from models.accounts import MEMBER_ROLES, OrganisationKind, Role
from models.demands import TAKERS_MAX

SHOWN = 5  # of each kind; `count` says how many there are
EXPIRES_WITHIN = timedelta(days=7)


class TaskView(TypedDict):
    id: int
    title: str
    due_at: datetime | None
    page: str


class TodoView(TypedDict):
    """One kind of what waits. `due_at`: of the most urgent; null where nothing but the counterpart waits. `late`: how many are overdue."""

    kind: str
    title: str
    count: int
    late: int
    due_at: datetime | None
    page: str
    items: list[TaskView]


class TodosView(TypedDict):
    """`count`: all of it together."""

    count: int
    items: list[TodoView]


# kind -> what it is called, where its list is, where one of it is.
ORDERS, ORDER = "pages/orders/index", "pages/orders/show?id={}"
KINDS: dict[str, tuple[str, str, str]] = {
    "unpaid": ("待支付的订单", ORDERS, ORDER),
    "to_confirm": ("待确认完成的订单", ORDERS, ORDER),
    "to_review": ("待评价的订单", ORDERS, "pages/orders/review?id={}"),
    "undelivered": ("机构逾期未交付，可申请裁定的订单", ORDERS, ORDER),
    "termination_to_answer": ("对方提出协商终止、待答复的订单", ORDERS, ORDER),
    "to_take_back": ("机构逾期未接单，可撤回的订单", ORDERS, ORDER),
    "form_returned": ("退回补正的申请", "pages/applications/index", "pages/applications/show?id={}"),
    "appeal_returned": ("退回补充的申诉", "pages/appeals/index", "pages/appeals/show?id={}"),
    "expiring": ("七天内到期的服务券", "pages/wallet/index", "pages/wallet/index"),
    "to_price": ("待核价的订单", ORDERS, ORDER),
    "to_accept": ("待接单的订单", ORDERS, ORDER),
    "to_deliver": ("服务中的订单", ORDERS, ORDER),
    "rework": ("退回返工的订单", ORDERS, ORDER),
    "claim_returned": ("退回修改的兑付申请", "pages/redemptions/index", "pages/redemptions/show?id={}"),
    "to_decide": ("待审事项", "pages/approvals/index", "pages/approvals/show?id={}"),
    "to_help": ("待答复的人工咨询", "pages/todo/index", "pages/todo/index"),
    "to_pay_out": ("待划拨的兑付申请", "pages/payouts/index", "pages/payouts/index"),
    "batch_to_check": ("待复核的兑付批次", "pages/payouts/index", "pages/payouts/show?id={}"),
    "batch_to_answer": ("待登记银行回单的批次", "pages/payouts/index", "pages/payouts/show?id={}"),
    "policy_to_confirm": ("待确认的政策版本", "pages/programmes/index", "pages/programmes/policy?id={}"),
    "round_to_confirm": ("待确认的预约批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "round_to_finish": ("公示期满、待发券的批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "round_to_void": ("错过公开数、须作废的批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "voiding_to_confirm": ("待确认作废的批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "secret_to_commit": ("待提交摇号随机数承诺的批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "value_to_type": ("待填写公开数的批次", "pages/rounds/index", "pages/rounds/show?id={}"),
    "demand_to_take": ("待接单的需求", "pages/demands/index", "pages/demands/show?id={}"),
    "demand_to_contact": ("已接单、待联系企业的需求", "pages/demands/index", "pages/demands/show?id={}"),
    "demand_to_report": ("待登记结果的需求", "pages/demands/index", "pages/demands/show?id={}"),
    "demand_offered": ("机构已推荐产品的需求", "pages/demands/index", "pages/demands/show?id={}"),
    "filing_returned": ("退回补正的备案", "pages/filings/index", "pages/filings/show?id={}"),
    "revocation_to_confirm": ("待复核的备案撤销", "pages/filings/index", "pages/filings/show?id={}"),
    "review_to_answer": ("可以回复的评价", ORDERS, "pages/orders/review?id={}"),
    "consultant_form": ("待填写或补正的顾问资料", "pages/consultants/institution", "pages/consultants/institution"),
}

ORDER_TITLE = "o.product_name || '（尾号 ' || right(o.number, 4) || '）'"
# Each part: kind, id, title, due. Vouchers are due on their last instant, a review when the system makes its own (E36); what is frozen
# waits for nobody here.
ENTERPRISE = f"""
WITH mine AS MATERIALIZED (
  SELECT o.*, p.rules, {ORDER_TITLE} AS title
  FROM orders o JOIN policies p ON p.id = o.policy_id
  WHERE o.enterprise_id = $1 AND o.frozen_at IS NULL AND o.disputed_at IS NULL
    AND (o.state IN ('unpaid', 'pay_rejected', 'delivered', 'paid', 'accepted') OR o.state = 'completed' AND o.reviewed_at IS NULL)
)
SELECT 'unpaid' AS kind, id, title, due_at FROM mine WHERE state IN ('unpaid', 'pay_rejected')
UNION ALL SELECT 'to_confirm', id, title, NULL FROM mine WHERE state = 'delivered' AND rules->>'completion' = 'buyer_confirm'
UNION ALL SELECT 'to_review', id, title,
  greatest(completed_at, clock_from) + make_interval(days => (rules->>'auto_review_after_days')::int)
  FROM mine WHERE state = 'completed' AND (rules->>'review')::boolean
UNION ALL SELECT 'to_take_back', id, title, NULL FROM mine WHERE state = 'paid' AND due_at <= $2
UNION ALL SELECT 'undelivered', id, title, NULL FROM mine WHERE state = 'accepted' AND due_at <= $2
UNION ALL SELECT 'termination_to_answer', id, title, termination_until FROM mine
  WHERE termination_side = 'institution' AND termination_until > $2
UNION ALL SELECT 'form_returned', id, kind, NULL FROM applications WHERE organisation_id = $1 AND state = 'returned'
UNION ALL SELECT 'appeal_returned', id, kind, NULL FROM appeals WHERE organisation_id = $1 AND state = 'returned'
UNION ALL SELECT 'expiring', min(l.id), t.name, l.expires_at - interval '1 microsecond'
  FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id
  WHERE l.organisation_id = $1 AND l.available_fen > 0 AND l.expires_at > $2 AND l.expires_at <= $3 GROUP BY t.name, l.expires_at
UNION ALL SELECT 'demand_offered', d.id, d.title, NULL FROM demands d WHERE d.enterprise_id = $1 AND d.state = 'taken' AND EXISTS (
  SELECT FROM demand_responses r WHERE r.demand_id = d.id AND r.offered_at IS NOT NULL AND r.outcome_at IS NULL)
UNION ALL SELECT 'review_to_answer', o.id, {ORDER_TITLE}, e.revealed_at + $4
  FROM enterprise_reviews e JOIN orders o ON o.id = e.order_id
  WHERE e.enterprise_id = $1 AND NOT e.is_blind AND e.revealed_at + $4 > $2
    AND NOT EXISTS (SELECT FROM review_replies p WHERE p.enterprise_review_id = e.id)
"""
# $1 the institution, $2 now, $3 the consultant who acts or null, $4 how long a review may be answered. A demand is taken by whom it
# is addressed to, or by one of the first three; until somebody has, it waits to its last instant.
RECEIVED = f"""
SELECT CASE r.state WHEN 'taken' THEN 'demand_to_contact' WHEN 'contacted' THEN 'demand_to_report' ELSE 'demand_to_take' END AS kind,
  d.id, d.title, CASE WHEN r.state IN ('notified', 'viewed') THEN d.expires_at END AS due_at
FROM demand_responses r JOIN demands d ON d.id = r.demand_id
WHERE r.institution_id = $1 AND d.state <> 'closed' AND ($3::bigint IS NULL OR d.consultant_id = $3)
  AND (r.state IN ('taken', 'contacted') OR r.state IN ('notified', 'viewed') AND (d.state = 'taken' OR d.expires_at > $2) AND (
    r.is_chosen OR (SELECT count(*) FROM demand_responses t WHERE t.demand_id = d.id AND t.place IS NOT NULL) < {TAKERS_MAX}))
UNION ALL SELECT 'filing_returned', f.id, coalesce(f.title, f.enterprise_name), NULL FROM filings f
  WHERE f.institution_id = $1 AND f.state = 'returned' AND ($3::bigint IS NULL OR f.consultant_id = $3)
"""
INSTITUTION = f"""
WITH mine AS MATERIALIZED (
  SELECT o.*, p.rules, {ORDER_TITLE} AS title
  FROM orders o JOIN policies p ON p.id = o.policy_id
  WHERE o.institution_id = $1 AND o.frozen_at IS NULL AND o.disputed_at IS NULL
    AND o.state IN ('awaiting_price', 'paid', 'accepted', 'delivered')
)
SELECT 'to_price' AS kind, id, title, due_at FROM mine WHERE state = 'awaiting_price'
UNION ALL SELECT 'to_accept', id, title, due_at FROM mine WHERE state = 'paid' AND (rules->>'provider_accept')::boolean
UNION ALL SELECT 'to_deliver', id, title, CASE state WHEN 'accepted' THEN due_at END FROM mine WHERE rework_count = 0
  AND (state = 'accepted' OR state = 'paid' AND NOT (rules->>'provider_accept')::boolean)
UNION ALL SELECT 'rework', id, title, due_at FROM mine WHERE rework_count > 0 AND state = 'accepted'
UNION ALL SELECT 'termination_to_answer', id, title, termination_until FROM mine
  WHERE termination_side = 'enterprise' AND termination_until > $2
UNION ALL SELECT 'claim_returned', r.id, {ORDER_TITLE}, NULL
  FROM redemptions r JOIN orders o ON o.id = r.order_id
  WHERE r.institution_id = $1 AND r.state = 'returned'
UNION ALL SELECT 'form_returned', id, kind, NULL FROM applications WHERE organisation_id = $1 AND state = 'returned'
UNION ALL SELECT 'appeal_returned', id, kind, NULL FROM appeals WHERE organisation_id = $1 AND state = 'returned'
UNION ALL SELECT 'review_to_answer', o.id, {ORDER_TITLE}, v.revealed_at + $4
  FROM (SELECT id, order_id, institution_id, coalesce(revealed_at, reviewed_at) AS revealed_at FROM reviews
        WHERE institution_id = $1 AND NOT is_blind AND NOT is_system) v JOIN orders o ON o.id = v.order_id
  WHERE v.revealed_at + $4 > $2 AND NOT EXISTS (SELECT FROM review_replies p WHERE p.review_id = v.id)
UNION ALL """ + RECEIVED + """
"""
REVIEWER = f"""
SELECT 'to_decide' AS kind, a.id, a.title || ' #' || a.id AS title, a.due_at FROM approvals a WHERE {REACH} AND a.state = 'open'
UNION ALL SELECT 'to_help', h.id, coalesce(o.name || ' ', '') || '#' || h.id, h.due_at
  FROM help_requests h LEFT JOIN organisations o ON o.id = h.organisation_id
  WHERE $1 = 'admin' AND h.answered_at IS NULL AND ($2::text IS NULL OR starts_with(h.region_code, $2))
UNION ALL SELECT 'revocation_to_confirm', f.id, coalesce(f.title, f.enterprise_name), NULL FROM filings f
  WHERE {WITHIN} AND f.state = 'approved' AND f.revoke_proposed_at IS NOT NULL AND f.revoke_proposed_by_id <> $4
"""
# $1: what the region codes of the official's programmes begin with, null for none; $2: who must not check what they made.
PAYOUT_OFFICER = """
SELECT 'to_pay_out' AS kind, r.id, r.number AS title, NULL::timestamptz AS due_at
  FROM redemptions r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state = 'pre_redeemed' AND r.payable_fen > 0
UNION ALL SELECT 'batch_to_check', b.id, b.number, NULL FROM payout_batches b JOIN programmes p ON p.id = b.programme_id
  WHERE starts_with(p.region_code, $1) AND b.state = 'draft' AND b.made_by_id <> $2
UNION ALL SELECT 'batch_to_answer', b.id, b.number, NULL FROM payout_batches b JOIN programmes p ON p.id = b.programme_id
  WHERE starts_with(p.region_code, $1) AND b.state = 'confirmed'
"""
# $1 and $2 as above, $3 now. Four eyes at each of these.
MANAGER = f"""
SELECT 'policy_to_confirm' AS kind, y.id, p.name || ' 第' || y.number || '版' AS title, NULL::timestamptz AS due_at
  FROM policies y JOIN programmes p ON p.id = y.programme_id
  WHERE starts_with(p.region_code, $1) AND y.state = 'draft' AND y.made_by_id <> $2
UNION ALL SELECT 'round_to_confirm', r.id, r.name, r.opens_at FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state = 'draft' AND r.made_by_id <> $2
UNION ALL SELECT 'round_to_finish', r.id, r.name, NULL FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state = 'publicity' AND r.publicity_until <= $3 AND r.made_by_id <> $2
UNION ALL SELECT 'round_to_void', r.id, r.name, NULL FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state = 'closed' AND {PASSED.format(round="r", now="$3")}
UNION ALL SELECT 'voiding_to_confirm', r.id, r.name, NULL FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state IN ('committed', 'drawn', 'publicity') AND r.void_proposed_by_id <> $2
"""
# $1 and $2 as above, $3 the role, $4 now. Each role is one person in a round, and nobody is both; without the two secrets a round is
# not committed when it closes, without the values it is not drawn in its time.
DRAW_OFFICIAL = f"""
SELECT 'secret_to_commit' AS kind, r.id, r.name AS title, r.closes_at AS due_at FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.allocation = 'lottery' AND r.state IN ('announced', 'open', 'closed')
    AND NOT {PASSED.format(round="r", now="$4")}
    AND NOT EXISTS (SELECT FROM draw_secrets d WHERE d.round_id = r.id AND (d.role = $3 OR d.person_id = $2))
UNION ALL SELECT 'value_to_type', r.id, r.name, r.draw_at FROM rounds r JOIN programmes p ON p.id = r.programme_id
  WHERE starts_with(p.region_code, $1) AND r.state = 'committed' AND EXISTS (
    SELECT FROM jsonb_to_recordset(r.randomness) AS s (name text, at timestamptz) WHERE s.at <= $4 AND NOT EXISTS (
      SELECT FROM public_values v WHERE v.round_id = r.id AND v.source = s.name AND (v.role = $3 OR v.person_id = $2)))
"""
CONSULTANT = f"""
SELECT 'consultant_form' AS kind, c.id, o.name AS title, NULL::timestamptz AS due_at FROM consultants c
JOIN organisations o ON o.id = c.institution_id WHERE c.person_id = $4 AND c.state IN ('filling', 'returned')
UNION ALL {RECEIVED}
"""
# What a part says, gathered: one row for each kind, its first five in the order of their deadlines.
GATHERED = """
SELECT kind, count(*) AS count, count(*) FILTER (WHERE due_at <= {now}) AS late, min(due_at) AS due_at,
  jsonb_agg(jsonb_build_object('id', id, 'title', title, 'due_at', due_at) ORDER BY place) FILTER (WHERE place <= {shown}) AS items
FROM (SELECT t.*, row_number() OVER (PARTITION BY kind ORDER BY due_at NULLS LAST, id) AS place FROM ({parts}) t) told
GROUP BY kind
"""
FORM_TITLES = {
    "enterprise_certification": "企业实名认证", "qualification": "服务券资格申请", "institution_admission": "服务机构入库申请",
    "approved_amount": "服务券金额及使用方向", "supermarket_certification": "超市平台服务机构认证",
    "association_membership": "促进会会员申请", "product": "服务产品", "payment": "支付审核", "redemption": "兑付审核",
    "freeze": "订单核实", "disqualification": "取消中签资格",
}


async def list_todos(ctx: Context) -> TodosView:
    """Whoever has no organisation, or a role for which nothing waits, has nothing to do."""
    asked = await _asked(ctx)
    if asked is None:
        return {"count": 0, "items": []}
    parts, args = asked
    now = f"${len(args) + 1}::timestamptz"
    found = {each.kind: each for each in await rows(GATHERED.format(parts=parts, now=now, shown=SHOWN), *args, ctx.now)}
    items = [_view(kind, found[kind]) for kind in KINDS if kind in found]
    return {"count": sum(item["count"] for item in items), "items": items}


async def _asked(ctx: Context) -> tuple[str, tuple[object, ...]] | None:
    """The statement of a role and its parameters."""
    actor = ctx.actor
    if actor.organisation_id is None:
        return None
    if actor.role is Role.CONSULTANT:
        return CONSULTANT, (ctx.organisation_id, ctx.now, await acting(ctx), ctx.person_id)
    if actor.role in MEMBER_ROLES:
        if actor.organisation_kind is OrganisationKind.INSTITUTION:
            return INSTITUTION, (ctx.organisation_id, ctx.now, None, REPLY_WITHIN)
        return ENTERPRISE, (ctx.organisation_id, ctx.now, ctx.now + EXPIRES_WITHIN, REPLY_WITHIN)
    if actor.role in {Role.REVIEWER, Role.CENTRE_REVIEWER, Role.RISK_OFFICER, Role.ADMIN}:
        return REVIEWER, (*reach_of(actor), ctx.person_id)
    if actor.role is Role.PAYOUT_OFFICER:
        return PAYOUT_OFFICER, (reach(ctx), ctx.person_id)
    if actor.role is Role.PROGRAMME_MANAGER:
        return MANAGER, (managed_prefix(ctx), ctx.person_id, ctx.now)
    if actor.role in {Role.DRAW_OFFICER, Role.WITNESS}:
        return DRAW_OFFICIAL, (managed_prefix(ctx), ctx.person_id, str(actor.role), ctx.now)
    return None


def _view(kind: str, found: Any) -> TodoView:
    title, page, one = KINDS[kind]
    items: list[TaskView] = [
        {"id": item["id"], "title": FORM_TITLES.get(item["title"], item["title"]),
         "due_at": datetime.fromisoformat(item["due_at"]) if item["due_at"] else None, "page": one.format(item["id"])}
        for item in found["items"]
    ]
    return {"kind": kind, "title": title, "count": found["count"], "late": found["late"], "due_at": found["due_at"], "page": page,
            "items": items}


# --- numbers of a queue -----------------------------------------------------------------------------------------------------------


class QueueReportView(TypedDict):
    """The queue of the official's role and jurisdiction: now, today, and since the first of the month (Asia/Shanghai)."""

    waiting: int
    late: int
    oldest_at: datetime | None
    came_today: int
    decided_today: int
    decided_this_month: int
    late_this_month: int


REPORT = f"""
SELECT count(*) FILTER (WHERE a.state = 'open') AS waiting, count(*) FILTER (WHERE a.state = 'open' AND a.due_at <= $4) AS late,
  min(a.submitted_at) FILTER (WHERE a.state = 'open') AS oldest_at,
  count(*) FILTER (WHERE a.submitted_at >= $5) AS came_today,
  count(*) FILTER (WHERE a.decided_by_id IS NOT NULL AND a.decided_at >= $5) AS decided_today,
  count(*) FILTER (WHERE a.decided_by_id IS NOT NULL AND a.decided_at >= $6) AS decided_this_month,
  count(*) FILTER (WHERE a.decided_by_id IS NOT NULL AND a.decided_at >= $6 AND a.decided_at > a.due_at) AS late_this_month
FROM approvals a WHERE {REACH} AND (a.state = 'open' OR a.decided_at >= $6 OR a.submitted_at >= $5)
"""


async def report_queue(ctx: Context, today: datetime, month: datetime) -> QueueReportView:
    """`today` and `month`: their first instants."""
    found = (await rows(REPORT, *reach_of(ctx.actor), ctx.now, today, month))[0]
    return {name: found[name] for name in QueueReportView.__annotations__}  # type: ignore[return-value]
