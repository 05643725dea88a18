"""What every code is called in Chinese: one table, which the API document passes on (`x-enum-titles`).

What a feature shows itself is taken from there; no word stands twice.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from handlers.appeals import Against
from handlers.consultants.badges import Standing
from handlers.demands.answering import Outcome
from handlers.eligibility import Verdict as RuleVerdict
from handlers.filings.views import FLAG_TITLES
from handlers.notice_consents import Occasion
from handlers.notice_plans import GROUP_TITLES, Group
from handlers.notice_words import CLOSINGS, FINDINGS, OUTCOMES, RESULTS, STANDINGS
from handlers.orders.labels import JINAN, TAB_TITLES, Tab
from handlers.product_search import Sort
from handlers.redemptions.views import LABELS as REDEMPTION_TITLES
from handlers.risks import TITLES as SIGNAL_TITLES
from handlers.score_formula import TITLES as SCORE_TITLES
from handlers.score_pages import RankBy
from handlers.todo import FORM_TITLES
from handlers.wallet import WalletTab
from handlers.wallet.views import LotState
from models.accounts import MembershipState, OrganisationKind, Platform, Role
from models.appeals import AppealKind, AppealState
from models.approvals import ApplicationKind, ApplicationState, ApprovalKind, ApprovalState
from models.consultants import ConsultantState, InvitationState
from models.content_checks import CheckState
from models.demands import CloseReason, DemandState, DemandTarget, ResponseState
from models.draw_objections import DrawObjectionState
from models.filings import ActivityPart, FilingKind, FilingState, FlagKind, ObjectionState
from models.institutions import InstitutionState
from models.notices import Channel
from models.orders import OrderState
from models.products import ProductKind, ProductState, VersionState
from models.programmes import PolicyState, ProgrammeState
from models.redemptions import RedemptionState
from models.reservations import Allocation, RoundState
from models.reviews import Grade
from models.risks import SignalKind, Verdict
from models.scores import ScoreKind

# 审核中, 审核通过, 审核拒绝: C22, the same word for every review.
DRAFT, IN_REVIEW, APPROVED, RETURNED, REJECTED = "草稿", "审核中", RESULTS["approved"], RESULTS["returned"], RESULTS["rejected"]
WITHDRAWN, ENDED, OTHERS = "已撤回", "已结束", {"filing": "备案", "objection": "备案异议"}
KINDS = FORM_TITLES | OTHERS
LOTS = {"usable": "可使用", "used": "已使用", "expired": "已过期", "given_back": "已放弃"}
ANSWERED = {"signed": "已签约", "declined": "未达成", "no_contact": "未联系上", "converted_to_order": "已下单"}

TITLES: Mapping[type[StrEnum], Mapping[Any, str]] = {
    ActivityPart: {"host": "主办", "organiser": "承办", "supporter": "协办"},
    Against: KINDS | {"application": "资格与认证申请"},
    Allocation: {"lottery": "摇号", "first_come": "先到先得"},
    AppealKind: KINDS,
    AppealState: OUTCOMES | {"in_review": IN_REVIEW},
    ApplicationKind: FORM_TITLES,
    ApplicationState: {"draft": DRAFT, "submitted": IN_REVIEW, "returned": RETURNED, "approved": APPROVED, "rejected": REJECTED,
                       "withdrawn": WITHDRAWN},
    ApprovalKind: KINDS | {"application": "资格与认证申请", "dispute": "订单争议", "appeal": "申诉", "consultant": "顾问认证",
                           "review": "内容审核", "draw_objection": "摇号异议"},
    ApprovalState: {"open": "待审核", "approved": APPROVED, "returned": RETURNED, "rejected": REJECTED, "withdrawn": WITHDRAWN},
    Channel: {"wechat_subscribe": "微信订阅消息", "wechat_oa_template": "公众号模板消息", "dingtalk_notice": "钉钉工作通知",
              "email": "电子邮件", "sms": "短信", "inbox": "站内消息"},
    CheckState: {"pending": "待审", "in_review": "人工审核中", "passed": "已公布", "hidden": "未通过", "withdrawn": WITHDRAWN},
    CloseReason: CLOSINGS,
    ConsultantState: {"added": "未邀请", "invited": "邀请中", "filling": "待提交认证", "in_review": IN_REVIEW, "returned": RETURNED,
                      "rejected": REJECTED, "active": "已认证", "ended": "已解除关联"},
    DemandState: {"held": "内容审核中", "open": "待接单", "taken": "已接单", "closed": "已关闭"},
    DemandTarget: {"institution": "指定机构", "consultant": "指定顾问", "product": "指定产品", "open": "公开需求"},
    DrawObjectionState: FINDINGS,
    FilingKind: {"transaction": "交易备案", "activity": "活动备案"},
    FilingState: {"draft": DRAFT, "in_review": IN_REVIEW, "returned": RETURNED, "approved": APPROVED, "rejected": REJECTED,
                  "withdrawn": WITHDRAWN, "revoked": "已撤销"},
    FlagKind: FLAG_TITLES,
    Grade: {"good": "好评", "medium": "中评", "bad": "差评"},
    Group: GROUP_TITLES,
    InstitutionState: STANDINGS | {"applying": "未入库", "admitted": "已入库"},
    InvitationState: {"live": "邀请中", "accepted": "已接受", "declined": "已谢绝", "revoked": "已撤销", "expired": "已过期"},
    LotState: LOTS,
    MembershipState: {"active": "有效", "ended": ENDED},
    ObjectionState: FINDINGS,
    Occasion: {"reservation": "提交预约", "payment": "用券支付", "application": "提交申请", "order_work": "服务机构打开订单",
               "contract_order": "提交按合同核价的订单", "redemption": "申请兑付", "review_work": "审核员打开待办",
               "demand": "企业提交需求", "demand_work": "服务机构打开需求"},
    OrderState: JINAN | {OrderState.COMPLETED: "已完成"},
    OrganisationKind: {"enterprise": "企业", "institution": "服务机构", "office": "主管部门"},
    Outcome: ANSWERED,
    Platform: {"wechat": "微信小程序", "dingtalk": "钉钉", "wechat_oa": "微信公众号"},
    PolicyState: {"draft": DRAFT, "confirmed": "已确认", "discarded": "已作废"},
    ProductKind: {"regular": "常规产品", "featured": "特色产品"},
    ProductState: {"draft": DRAFT, "in_review": IN_REVIEW, "approved": APPROVED, "rejected": REJECTED, "listed": "已上架",
                   "deleted": "已删除"},
    ProgrammeState: {"draft": DRAFT, "published": "已发布", "ended": ENDED},
    RankBy: {"activity": "活跃度", "score": "评分"},
    RedemptionState: REDEMPTION_TITLES,
    ResponseState: ANSWERED | {"notified": "未查看", "viewed": "已查看", "passed": "无意向", "taken": "已接单", "contacted": "已联系"},
    Role: {"owner": "负责人", "handler": "经办人", "finance": "财务", "viewer": "只读", "consultant": "服务顾问", "reviewer": "审核员",
           "centre_reviewer": "创新协同中心审核员", "payout_officer": "财政兑付员", "programme_manager": "项目管理员",
           "draw_officer": "摇号员", "witness": "见证人", "risk_officer": "风控员", "admin": "系统管理员", "system": "系统"},
    RoundState: {"draft": DRAFT, "announced": "已公告", "open": "预约中", "closed": "预约已截止", "committed": "清单已封存",
                 "drawn": "已摇号", "publicity": "公示中", "final": ENDED, "voided": "已作废"},
    RuleVerdict: {"pass": "符合", "fail": "不符合", "unknown": "待确认"},
    ScoreKind: SCORE_TITLES,
    SignalKind: SIGNAL_TITLES,
    Sort: {"newest": "最新上架", "price_asc": "价格从低到高", "price_desc": "价格从高到低"},
    Standing: {"valid": "有效", "ended": "已失效", "expired": "已过期"},
    Tab: TAB_TITLES,
    Verdict: {"none": "无异常", "sample": "抽查", "freeze": "建议冻结"},
    VersionState: {"draft": DRAFT, "in_review": IN_REVIEW, "approved": APPROVED, "rejected": REJECTED, "superseded": "已被替代"},
    WalletTab: LOTS,
}


def titles_of(kind: type) -> dict[str, str]:
    """value -> 中文, in the order of the values; nothing of what has no titles."""
    words = TITLES.get(kind)
    return {} if words is None else {str(each): words[each] for each in kind}  # type: ignore[attr-defined]
