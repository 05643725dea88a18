"""Whether an enterprise may order a product in a programme (F04): the facts in one query, the rules over them.

The rules that refuse an order are the rules that `GET /products/{id}/eligibility` shows; there is one tree.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from handlers import programmes
from handlers.context import Context
from handlers.eligibility import FixPage, Rule, Tree, TreeView, tree_view
from handlers.orders.views import RelatedParties
from handlers.qualifications import FORM_VERSION, is_complete
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, row
from handlers.working_days import SHANGHAI
from models.categories import CATEGORIES


class ProgrammeNotOpen(Refusal):
    kind, code, title = Kind.CONFLICT, "programme_not_open", "该服务券项目未开放"


class EnterpriseNotCertified(Refusal):
    kind, code, title = Kind.CONFLICT, "enterprise_not_certified", "企业尚未完成实名认证"


class NotQualified(Refusal):
    kind, code, title = Kind.CONFLICT, "not_qualified", "尚未取得服务券资格，或资格信息待完善"


class AmountNotApproved(Refusal):
    """C24, under a policy that grants amounts: there is nothing approved, or its time is over."""

    kind, code, title = Kind.CONFLICT, "amount_not_approved", "尚无获批且在有效期内的服务券额度"


class DirectionDiffers(Refusal):
    """C24: no change of use."""

    kind, code, title = Kind.CONFLICT, "direction_differs", "该产品与获批的服务项目（服务大类及服务小类）不一致"


class ProductNotOrderable(Refusal):
    kind, code, title = Kind.CONFLICT, "product_not_orderable", "该服务产品未上架或不能使用本项目服务券"


class InstitutionNotActive(Refusal):
    kind, code, title = Kind.CONFLICT, "institution_not_active", "该服务机构已停用"


class ProductUseCapReached(Refusal):
    kind, code, title = Kind.CONFLICT, "product_use_cap_reached", "该产品本年度申请使用次数已达上限"


REFUSALS = (
    ProgrammeNotOpen, EnterpriseNotCertified, NotQualified, AmountNotApproved, ProductNotOrderable, DirectionDiffers,
    InstitutionNotActive, RelatedParties, ProductUseCapReached,
)

FACTS = """
SELECT p.id AS product_id, p.name AS product_name, p.category, p.content, p.price_fen,
  p.state AS product_state, p.version AS product_version,
  p.organisation_id AS institution_id, i.name AS institution_name, i.certified_at AS institution_certified_at,
  i.suspended_at AS institution_suspended_at, i.credit_code AS institution_credit_code,
  e.name AS enterprise_name, e.certified_at, e.suspended_at, e.credit_code,
  g.state AS programme_state, y.id AS policy_id, y.rules,
  g.state = 'ended' AND EXISTS (SELECT FROM lots l WHERE l.organisation_id = $2 AND l.programme_id = $3 AND l.available_fen > 0
                                AND l.expires_at > $5) AS has_vouchers_left,
  q.state AS qualification_state, q.form_version, q.form,
  (SELECT jsonb_object_agg(d.voucher_type_id, d.max_fen) FROM deductions d JOIN voucher_types t ON t.id = d.voucher_type_id
   WHERE d.product_id = p.id AND t.programme_id = $3) AS deductions,
  (SELECT count(*) FROM orders o WHERE o.enterprise_id = $2 AND o.product_id = p.id AND o.use_year = $4) AS uses_this_year,
  CASE WHEN y.rules->>'allocation' = 'approved_amount' OR y.rules->>'direction_match' = 'category_content' THEN
    (SELECT jsonb_agg(DISTINCT direction) FROM grants t JOIN lots l ON l.grant_id = t.id, jsonb_array_elements(t.directions) direction
     WHERE t.organisation_id = $2 AND t.programme_id = $3 AND l.expires_at > $5) END AS directions,
  EXISTS (SELECT 1 FROM memberships a JOIN memberships b ON b.person_id = a.person_id AND b.state = 'active'
          WHERE a.organisation_id = $2 AND a.state = 'active' AND b.organisation_id = p.organisation_id) AS shares_a_person
FROM products p
JOIN organisations i ON i.id = p.organisation_id
JOIN organisations e ON e.id = $2
JOIN programmes g ON g.id = $3
LEFT JOIN LATERAL (
  SELECT id, rules FROM policies WHERE programme_id = $3 AND state = 'confirmed' ORDER BY number DESC LIMIT 1
) y ON true
LEFT JOIN LATERAL (
  SELECT state, form_version, form FROM applications
  WHERE organisation_id = $2 AND kind = 'qualification' AND programme_id = $3 AND state NOT IN ('rejected', 'withdrawn')
) q ON true
WHERE p.id = $1 AND p.state <> 'deleted' AND (p.state = 'listed' OR p.organisation_id = $2)
"""


def facts_of(ctx: Context, product_id: int, programme_id: int) -> tuple[str, int, int, int, int, datetime]:
    return FACTS, product_id, ctx.organisation_id, programme_id, ctx.now.astimezone(SHANGHAI).year, ctx.now


LOCK_ENTERPRISE = "SELECT 1 FROM organisations WHERE id = $1 FOR NO KEY UPDATE"


async def lock_facts(ctx: Context, tx: Transaction, product_id: int, programme_id: int) -> Any:
    """The facts, after the enterprise's row is locked: two orders of one enterprise count its yearly uses one after the other."""
    await tx.run(LOCK_ENTERPRISE, ctx.organisation_id)
    facts = await tx.row(*facts_of(ctx, product_id, programme_id))
    if facts is None:
        raise NotFound
    return facts


def order_tree(facts: Any) -> Tree:
    """Every rule of O1, in the order in which somebody would mend them."""
    rules = programmes.rules_of(facts) if facts.rules is not None else None
    cap = rules.product_use_cap_per_year if rules else None
    related = facts.shares_a_person or (facts.credit_code is not None and facts.credit_code == facts.institution_credit_code)
    return Tree("order", "下单条件", (
        # What a programme has given out can be used to its last day, whenever the programme ends (docs/decisions/0246).
        Rule("programme_open", "服务券项目已开放，或已结束但仍有未到期的服务券",
             (facts.programme_state == "published" or facts.has_vouchers_left) and rules is not None, ProgrammeNotOpen,
             expected="published", actual=facts.programme_state, fix="请等待项目开放，或选择其他服务券项目",
             link=FixPage.PROGRAMMES),
        Rule("enterprise_certified", "企业已实名认证", facts.certified_at is not None and facts.suspended_at is None,
             EnterpriseNotCertified, fix="请先完成企业实名认证", link=FixPage.APPLICATIONS),
        _standing(facts, rules),
        Rule("product_listed", "产品已上架且有标价", facts.product_state == "listed" and facts.price_fen is not None, ProductNotOrderable,
             expected="listed", actual=facts.product_state, fix="请选择其他产品", link=FixPage.PRODUCTS),
        Rule("takes_vouchers", "产品可使用本项目服务券", bool(facts.deductions), ProductNotOrderable,
             fix="请筛选“仅显示服务券产品”", link=FixPage.PRODUCTS),
        *_direction(facts, rules),
        Rule("institution_active", "服务机构正常营业",
             facts.institution_certified_at is not None and facts.institution_suspended_at is None, InstitutionNotActive,
             fix="请选择其他服务机构", link=FixPage.PRODUCTS),
        Rule("unrelated", "买卖双方无关联", not related, RelatedParties, fix="关联单位之间不能用券交易，请选择其他服务机构",
             link=FixPage.PRODUCTS),
        Rule("uses_left", "本年度使用次数未达上限", cap is None or facts.uses_this_year < cap, ProductUseCapReached,
             expected=cap, actual=facts.uses_this_year, fix="次年1月1日起可再次申请"),
    ))


def _standing(facts: Any, rules: programmes.Rules | None) -> Rule:
    """What entitles to vouchers at all: a granted amount where the policy grants amounts, the qualification elsewhere."""
    if rules and rules.allocation == "approved_amount":
        return Rule("amount_approved", "已有获批且在有效期内的服务券额度", bool(facts.directions), AmountNotApproved,
                    fix="请申请服务券金额及使用方向", link=FixPage.APPLICATIONS)
    return Rule("qualified", "已取得服务券资格且信息完整", facts.qualification_state == "approved" and is_complete(facts), NotQualified,
                expected=FORM_VERSION, actual=facts.form_version, fix="请申请服务券资格或完善资格信息", link=FixPage.QUALIFICATIONS)


def _direction(facts: Any, rules: programmes.Rules | None) -> tuple[Rule, ...]:
    """C24: 服务大类 and 服务小类 of the product are among the approved ones; both are shown."""
    if not rules or rules.direction_match != "category_content":
        return ()
    approved, own = facts.directions or [], {"category": facts.category, "content": facts.content}
    return (Rule(
        "direction_matches", "产品与获批的用券方向一致", own in approved, DirectionDiffers,
        expected="、".join(sorted(map(direction_text, approved))) or None, actual=direction_text(own),
        fix="请选择获批服务项目内的产品", link=FixPage.PRODUCTS,
    ),)


def direction_text(direction: Mapping[str, str]) -> str:
    """服务大类/服务小类, as people read it."""
    return f"{CATEGORIES.get(direction['category'], direction['category'])}/{direction['content'] or '未填写'}"


async def explain_order(ctx: Context, product_id: int, programme_id: int) -> TreeView:
    """为什么不能用: the tree of rules for a product, with expected, actual and how to fix. Raises NotFound."""
    facts = await row(*facts_of(ctx, product_id, programme_id))
    if facts is None:
        raise NotFound
    return tree_view(order_tree(facts))
