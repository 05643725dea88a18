"""How many WeChat messages somebody has agreed to get: asked for at the right tap, counted once, never taken for the truth.

WeChat alone knows; a send without consent is answered with 43101, which costs nothing. So the count decides only what the phone
shows and asks for (还能收到 n 条), not whether a message is tried.
"""

from collections.abc import Mapping, Sequence
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
    Occasion.APPLICATION: ("approval_result", "reservation_received"),
    Occasion.ORDER_WORK: ("order_placed", "order_paid", "order_sent_back"),
    Occasion.CONTRACT_ORDER: ("price_confirmed", "payment_approved", "payment_rejected"),
    Occasion.REDEMPTION: ("price_requested", "redemption_result", "payout_result"),
    Occasion.REVIEW_WORK: ("approval_waiting", "digest"),
    Occasion.REVIEW_WORK: ("approval_waiting",),
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


# A report that was counted is not counted again; `filter` says nothing about what somebody wants.
REPORT = """
WITH reported AS (
  INSERT INTO subscription_reports (identity_id, template, nonce, answer, reported_at)
  SELECT $1, r.template, $4, r.answer, $5 FROM unnest($2::text[], $3::text[]) AS r(template, answer)
  ON CONFLICT (identity_id, template, nonce) DO NOTHING RETURNING template, answer
), counted AS (
  INSERT INTO subscriptions (identity_id, template, remaining, updated_at)
  SELECT $1, template, CASE answer WHEN 'accept' THEN 1 ELSE 0 END, $5 FROM reported WHERE answer <> 'filter'
  ON CONFLICT (identity_id, template) DO UPDATE SET
    remaining = CASE EXCLUDED.remaining WHEN 1 THEN subscriptions.remaining + 1 ELSE 0 END, updated_at = EXCLUDED.updated_at
)
SELECT count(*) FROM reported
"""
MINE = "SELECT template, remaining FROM subscriptions WHERE identity_id = $1"


def template_id(ctx: Context, kind: str) -> str:
    """The id that WeChat gave the template; a kind without one has the simulator's."""
    return ctx.settings.wechat_template_ids.get(kind, f"tmpl_{kind}")


async def show_consents(ctx: Context) -> ConsentsView:
    """What may still arrive in WeChat, and what to ask for at which tap."""
    found = {row.template: row.remaining for row in await rows(MINE, ctx.actor.identity_id)}
    return consents(ctx, found)


async def report_consents(ctx: Context, answers: Sequence[tuple[str, Answer]], nonce: str) -> ConsentsView:
    """Count what somebody answered to a popup: (template id, answer) each. `nonce` is the popup's own: repeats count once.

    Raises ConsentsElsewhere, TemplateUnknown.
    """
    kinds = {template_id(ctx, kind): kind for kind in TEXTS}
    unknown = [template for template, _ in answers if template not in kinds]
    if unknown:
        raise TemplateUnknown
    async with transaction(ctx) as tx:
        identity_id = ctx.actor.identity_id
        if await tx.value("SELECT platform FROM identities WHERE id = $1", identity_id) != "wechat":
            raise ConsentsElsewhere
        counted = await tx.value(
            REPORT, identity_id, [kinds[template] for template, _ in answers], [str(answer) for _, answer in answers], nonce, ctx.now
        )
        if counted:
            tx.record("consents.reported", "identity", identity_id or 0, templates=counted)
        return tx.reply(consents(ctx, {row.template: row.remaining for row in await tx.rows(MINE, identity_id)}))


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
