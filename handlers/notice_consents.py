"""How many WeChat messages somebody has agreed to get: asked for at the right tap, counted once, never taken for the truth.

WeChat alone knows; a send without consent is answered with 43101, which costs nothing. So the count decides only what the phone
shows and asks for (还能收到 n 条), not whether a message is tried.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

from handlers.context import Context
from handlers.notice_texts import TEXTS
from handlers.refusals import Kind, Refusal
from handlers.transactions import rows, transaction

TEMPLATES_PER_TAP_MAX = 5  # of wx.requestSubscribeMessage; older phones show three, so an occasion asks for three
NONCE_CHARACTERS_MAX = 64


class ConsentsElsewhere(Refusal):
    """Only somebody signed in through WeChat can agree to WeChat messages."""

    kind, code, title = Kind.CONFLICT, "consents_elsewhere", "请在微信小程序内订阅消息"


class TemplateUnknown(Refusal):
    kind, code, title = Kind.INVALID, "template_unknown", "消息模板不存在"


class Answer(StrEnum):
    """What WeChat tells the phone for each template; `filter` is a template that it did not show."""

    ACCEPT = "accept"
    REJECT = "reject"
    BAN = "ban"
    FILTER = "filter"


ACCEPT_WITH = "acceptWith"  # acceptWithAudio, and whatever else somebody may add to a yes


def answer_of(word: str) -> Answer | None:
    """None for a word that WeChat has not had so far: it says nothing about its template, and nothing about the others."""
    if word.startswith(ACCEPT_WITH):
        return Answer.ACCEPT
    return Answer(word) if word in set(Answer) else None


class Occasion(StrEnum):
    RESERVATION = "reservation"      # 提交预约
    PAYMENT = "payment"              # 用券支付
    APPLICATION = "application"      # 提交申请
    ORDER_WORK = "order_work"        # 服务机构打开订单
    CONTRACT_ORDER = "contract_order"  # 提交按合同核价的订单
    REDEMPTION = "redemption"        # 申请兑付
    REVIEW_WORK = "review_work"      # 审核员打开待办
    DEMAND = "demand"                # 企业提交需求
    DEMAND_WORK = "demand_work"      # 服务机构打开需求


OCCASIONS: Mapping[Occasion, tuple[str, ...]] = {
    Occasion.RESERVATION: ("draw_result", "voucher_issued", "voucher_expiring"),
    Occasion.PAYMENT: ("order_accepted", "order_delivered", "review_reminder"),
    Occasion.APPLICATION: ("approval_result", "reservation_received", "draw_committed"),
    Occasion.ORDER_WORK: ("order_placed", "order_paid", "order_sent_back"),
    Occasion.CONTRACT_ORDER: ("price_confirmed", "payment_approved", "payment_rejected"),
    Occasion.REDEMPTION: ("price_requested", "redemption_result", "payout_result"),
    Occasion.REVIEW_WORK: ("approval_waiting", "digest"),
    Occasion.DEMAND: ("demand_answered", "demand_alternatives", "demand_closed"),
    Occasion.DEMAND_WORK: ("demand_posted", "demand_reminder"),
}


class TemplateConsentView(TypedDict):
    """`template` is the id for wx.requestSubscribeMessage; `remaining` how many more messages of it are expected to arrive."""

    kind: str
    template: str
    remaining: int


class OccasionView(TypedDict):
    occasion: Occasion
    templates: list[str]


class ConsentsView(TypedDict):
    """`title` is what the phone shows."""

    title: str
    remaining: int
    templates: list[TemplateConsentView]
    occasions: list[OccasionView]


# A report that was counted is not counted again; `filter` says nothing about what somebody wants. WeChat tells us of a popup by the
# phone ($6 is phone) and by a push, in any order, and neither knows the other's name: of one answer to one template within ten
# minutes each report of one source is paired with one of the other, and a pair counts once. The identity is locked meanwhile.
REPORT = """
WITH given AS (
  SELECT r.template, r.answer FROM unnest($2::text[], $3::text[]) AS r(template, answer)
  WHERE NOT EXISTS (SELECT FROM subscription_reports o WHERE o.identity_id = $1 AND o.template = r.template AND o.nonce = $4)
), paired AS (
  UPDATE subscription_reports r SET is_paired = true FROM given g
  WHERE r.id = (
    SELECT o.id FROM subscription_reports o
    WHERE o.identity_id = $1 AND o.template = g.template AND o.answer = g.answer AND o.source <> $6 AND NOT o.is_paired
      AND o.reported_at BETWEEN $5::timestamptz - interval '10 minutes' AND $5::timestamptz + interval '10 minutes'
    ORDER BY o.id LIMIT 1)
  RETURNING r.template
), reported AS (
  INSERT INTO subscription_reports (identity_id, template, nonce, answer, source, is_paired, reported_at)
  SELECT $1, g.template, $4, g.answer, $6, g.template IN (SELECT template FROM paired), $5 FROM given g
  ON CONFLICT (identity_id, template, nonce) DO NOTHING RETURNING template, answer, is_paired
), counted AS (
  INSERT INTO subscriptions (identity_id, template, remaining, updated_at)
  SELECT $1, template, CASE answer WHEN 'accept' THEN 1 ELSE 0 END, $5 FROM reported WHERE answer <> 'filter' AND NOT is_paired
  ON CONFLICT (identity_id, template) DO UPDATE SET
    remaining = CASE EXCLUDED.remaining WHEN 1 THEN subscriptions.remaining + 1 ELSE 0 END, updated_at = EXCLUDED.updated_at
)
SELECT count(*) FROM reported
"""
LOCK = "SELECT platform FROM identities WHERE id = $1 FOR NO KEY UPDATE"
LOCK_PUSHED = "SELECT id FROM identities WHERE platform = 'wechat' AND app_id = $1 AND open_id = $2 FOR NO KEY UPDATE"
REFUSED = "UPDATE subscriptions SET remaining = 0, updated_at = $3 WHERE identity_id = $1 AND template = ANY($2)"
MINE = "SELECT template, remaining FROM subscriptions WHERE identity_id = $1"


def template_id(ctx: Context, kind: str) -> str:
    """The id that WeChat gave the template; a kind without one has the simulator's."""
    return ctx.settings.wechat_template_ids.get(kind, f"tmpl_{kind}")


async def show_consents(ctx: Context) -> ConsentsView:
    """What may still arrive in WeChat, and what to ask for at which tap."""
    found = {row.template: row.remaining for row in await rows(MINE, ctx.actor.identity_id)}
    return consents(ctx, found)


async def report_consents(ctx: Context, answers: Sequence[tuple[str, str]], nonce: str) -> ConsentsView:
    """Count what somebody answered to a popup: (template id, answer) each. `nonce` is the popup's own: repeats count once.

    Raises ConsentsElsewhere, TemplateUnknown.
    """
    kinds = {template_id(ctx, kind): kind for kind in TEXTS}
    unknown = [template for template, _ in answers if template not in kinds]
    if unknown:
        raise TemplateUnknown
    known = {kinds[template]: str(answer) for template, word in answers if (answer := answer_of(word))}
    async with transaction(ctx) as tx:
        identity_id = ctx.actor.identity_id
        if await tx.value(LOCK, identity_id) != "wechat":
            raise ConsentsElsewhere
        counted = await tx.value(REPORT, identity_id, list(known), list(known.values()), nonce, ctx.now, "phone")
        if counted:
            tx.record("consents.reported", "identity", identity_id or 0, templates=counted)
        return tx.reply(consents(ctx, {row.template: row.remaining for row in await tx.rows(MINE, identity_id)}))


async def note_consents(
    ctx: Context, app_id: str, open_id: str, answers: Sequence[tuple[str, str]], event: str, at: datetime,
) -> None:
    """What WeChat pushes about a popup, or about the switches in the phone's settings: (template id, answer) each."""
    kinds = {template_id(ctx, kind): kind for kind in TEXTS}
    known = {kinds[template]: str(answer) for template, word in answers if template in kinds and (answer := answer_of(word))}
    if not known:
        return
    async with transaction(ctx) as tx:
        identity_id = await tx.value(LOCK_PUSHED, app_id, open_id)
        if identity_id is None:
            return  # has never signed in: there is nobody to send to
        nonce = f"{event[:32]}|{int(at.timestamp())}"
        counted = await tx.value(REPORT, identity_id, list(known), list(known.values()), nonce, at, "push")
        if counted:
            tx.record("consents.pushed", "identity", identity_id, templates=counted)


async def note_refused(ctx: Context, app_id: str, open_id: str, templates: Sequence[str]) -> None:
    """A message was taken and then not shown, since there is no consent to its template left."""
    kinds = {template_id(ctx, kind): kind for kind in TEXTS}
    async with transaction(ctx) as tx:
        identity_id = await tx.value(LOCK_PUSHED, app_id, open_id)
        if identity_id is not None:
            await tx.run(REFUSED, identity_id, [kinds[template] for template in templates if template in kinds], ctx.now)


def consents(ctx: Context, remaining: Mapping[str, int]) -> ConsentsView:
    total = sum(remaining.values())
    return {
        "title": f"还能收到 {total} 条消息",
        "remaining": total,
        "templates": [{"kind": kind, "template": template_id(ctx, kind), "remaining": remaining.get(kind, 0)} for kind in TEXTS],
        "occasions": [
            {"occasion": occasion, "templates": [template_id(ctx, kind) for kind in kinds]} for occasion, kinds in OCCASIONS.items()
        ],
    }
