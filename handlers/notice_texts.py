"""What a notice says: for each kind a title, a text, a page, the facts that fill the channels' templates, and its readers (F23)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from handlers.notice_filling import facts_of, fill, shown_fact
from models.accounts import Role
from models.approvals import ApplicationKind

TITLE_CHARACTERS_MAX, BODY_CHARACTERS_MAX = 64, 500  # as wide as their columns

DOERS = frozenset({Role.OWNER, Role.HANDLER})
PAYERS = frozenset({Role.OWNER, Role.HANDLER, Role.FINANCE})



@dataclass(frozen=True, slots=True)
class Text:
    """`body` has `{fact}` places; a `[clause]` with a fact that is not there is left out. `fields`: template field -> fact.

    `roles` are the readers among an organisation's members; officials are named by the event itself.
    """

    title: str
    body: str
    page: str
    fields: Mapping[str, str]
    roles: frozenset[Role] = DOERS
    hint: str = ""


def text(title: str, body: str, page: str, fields: str, roles: frozenset[Role] = DOERS, hint: str = "") -> Text:
    """`fields` is "name name=fact ...", in the words of the channels' templates."""
    pairs = (each.partition("=") for each in fields.split())
    return Text(title, body, page, {name: fact or name for name, _, fact in pairs}, roles, hint)


DEMAND = "pages/demands/show?id={subject_id}"
ORDER, REVIEW = "pages/orders/show?id={subject_id}", "pages/orders/review?id={subject_id}"
REDEMPTION = "pages/redemptions/show?id={subject_id}"
ORDER_FIELDS = "order_number=number service "

TEXTS: Mapping[str, Text] = {
    "bot_answer": text(  # what was asked in a chat, when the chat could not take the answer any more
        "对话答复", "{answer}", "pages/index/index", "answer time hint", hint="请打开小程序查看",
    ),
    "approval_result": text(
        "审核结果：{result}", "您提交的「{title}」{result}。[{ground}：{reason}。]", "pages/applications/show?id={subject_id}",
        "subject=title result time reason",
    ),
    "approval_waiting": text(
        "有新的事项待审核", "「{title}」待审核[，申请方：{applicant}][，请于 {due_at} 前办结]。", "pages/approvals/show?id={subject_id}",
        "subject=title applicant time queue",
    ),
    "review_digest": text(
        "待审日报", "您有 {waiting} 项待审[，其中 {late} 项已超期][，最早提交于 {oldest}]。请及时办理。", "pages/todo/index",
        "waiting time=oldest hint", hint="请及时办理",
    ),
    "application_received": text(
        "收到新的申请", "收到「{title}」[，申请方：{applicant}]。", "pages/approvals/show?id={subject_id}",
        "subject=title applicant time hint", hint="请及时处理",
    ),
    "application_unfinished": text(
        "申请尚未提交", "您填写的「{title}」已保存三天以上，尚未提交，请填写完整后提交。", "pages/applications/show?id={subject_id}",
        "subject=title time hint", hint="请填写完整后提交",
    ),
    "institution_standing": text(
        "入库状态：{standing}", "贵机构的入库状态：{standing}[，原因：{reason}][，日期 {valid_until}]。", "pages/index/index",
        "standing time reason hint", hint="可在机构信息中查看",
    ),
    "reservation_received": text(
        "预约成功", "您已预约「{round}」，票号 {ticket_no}[，结果将于 {publicity_at} 公示]。", "pages/reservations/show?id={subject_id}",
        "round ticket_no time=publicity_at",
    ),
    "reservation_disqualified": text(
        "中签资格已取消", "贵企业在「{round}」的中签（票号 {ticket_no}）已取消[，原因：{reason}]。如有异议，可在 15 个工作日内申诉。",
        "pages/reservations/show?id={subject_id}", "round ticket_no reason time",
    ),
    "draw_objection_result": text(
        "摇号异议：{finding}", "贵企业对「{round}」的异议：{finding}[，说明：{reason}]。", "pages/reservations/show?id={subject_id}",
        "round finding time reason",
    ),
    "reservation_voided": text(
        "预约批次已作废", "「{round}」已作废，您的票号 {ticket_no} 不再有效[，原因：{reason}]。可预约以后的批次。",
        "pages/reservations/show?id={subject_id}", "round ticket_no reason time",
    ),
    "round_closing": text(
        "预约即将截止", "「{round}」将于 {closes_at} 截止预约，贵企业尚未预约，请在截止前预约。", "pages/rounds/show?id={subject_id}",
        "round time=closes_at hint", hint="贵企业尚未预约",
    ),
    "draw_committed": text(
        "预约清单已封存，请记下摘要",
        "「{round}」的预约清单已封存，您的票号 {ticket_no}，封存公告摘要：{digest}。请保存本消息：结果公示后用它核对，"
        "可知清单和配额从未改动。将于 {draw_at} 后摇号，公开数：{source}。",
        "pages/reservations/show?id={subject_id}", "ticket_no digest_start digest_end time=draw_at source",
    ),
    "draw_result": text(
        "摇号结果：{result}", "「{round}」摇号结果：{result}[，券种：{voucher_type}][，票号 {ticket_no}][，公示至 {publicity_until}]。",
        "pages/reservations/show?id={subject_id}", "round result voucher_type hint", hint="公示期内可提出异议",
    ),
    "voucher_issued": text(
        "服务券已到账", "「{voucher_type}」{amount} 元已到账[，有效期至 {valid_until}（含当日）]。", "pages/wallet/index",
        "voucher_type amount valid_until hint", PAYERS, "请在有效期内使用",
    ),
    "voucher_given_back": text(
        "服务券已放弃", "「{voucher_type}」{amount} 元已放弃，不再计入年度中签次数。", "pages/wallet/index",
        "voucher_type amount time", PAYERS,
    ),
    "voucher_expiring": text(
        "服务券即将到期",
        "「{name}」[等 {types} 种服务券]余额 {balance} 元，{valid_until}（含当日）后失效，请尽快使用[，本市可用的服务如{products}]。",
        "pages/wallet/index",
        "voucher_type balance valid_until hint", PAYERS, "到期后自动失效",
    ),
    "order_placed": text(
        "收到新订单", "订单 {number}「{service}」[，金额 {amount} 元]，等待企业支付。", ORDER,
        ORDER_FIELDS + "amount hint", hint="请留意企业支付情况",
    ),
    "price_requested": text(
        "收到新订单，请核定价格", "订单 {number}「{service}」[，产品价格 {price} 元]。如合同价不同，请核定价格后再由企业支付。", ORDER,
        ORDER_FIELDS + "amount hint", hint="请按合同总价核定价格",
    ),
    "price_confirmed": text(
        "订单价格已核定，请支付", "订单 {number}「{service}」核定价格为 {order} 元，请上传服务合同并用券支付。", ORDER,
        ORDER_FIELDS + "amount hint", PAYERS, "请核对金额后支付",
    ),
    "payment_approved": text(
        "支付审核通过", "订单 {number}「{service}」支付审核通过，用券 {voucher} 元，服务双方可正式开展服务。", ORDER,
        ORDER_FIELDS + "amount=voucher time", PAYERS,
    ),
    "payment_rejected": text(
        "支付审核拒绝", "订单 {number}「{service}」支付审核未通过[，原因：{reason}]。服务券已退回券包，可重新核价或支付。", ORDER,
        ORDER_FIELDS + "reason time", PAYERS,
    ),
    "order_paid": text(
        "订单待接单", "订单 {number}「{service}」企业已用券支付 {voucher} 元，请及时接单。", ORDER, ORDER_FIELDS + "amount=voucher time",
    ),
    "order_accepted": text(
        "服务机构已接单", "订单 {number}「{service}」已接单，服务机构将与您联系。", ORDER, ORDER_FIELDS + "time hint",
        hint="服务机构将与您联系",
    ),
    "order_declined": text(
        "服务机构未接单", "订单 {number}「{service}」未被接单[，原因：{reason}]。已用服务券退回券包。", ORDER,
        ORDER_FIELDS + "reason time",
    ),
    "order_delivered": text(
        "服务已完成，请确认", "订单 {number}「{service}」已提交完成，请确认；如未完成，可选择「未完成」。", ORDER,
        ORDER_FIELDS + "time hint", hint="请确认服务是否完成",
    ),
    "order_sent_back": text(
        "企业反馈服务未完成", "订单 {number}「{service}」被企业退回[，原因：{reason}]。", ORDER, ORDER_FIELDS + "reason time",
    ),
    "order_termination": text(
        "协商终止订单：{consent}",
        "订单 {number}「{service}」{consent}[，拟退回服务券 {returned} 元][，说明：{said}][，请于 {until} 前答复]。", ORDER,
        ORDER_FIELDS + "consent time",
    ),
    "order_undelivered": text(
        "请按期提交服务成果", "订单 {number}「{service}」请于 {deliver_by} 前提交完成。", ORDER, ORDER_FIELDS + "time=deliver_by hint",
        hint="逾期企业可申请裁定",
    ),
    "order_completed": text(
        "订单已完成", "订单 {number}「{service}」企业已确认完成[，用券 {voucher} 元]。", ORDER, ORDER_FIELDS + "amount=voucher time",
    ),
    "order_closed": text(
        "订单已关闭", "订单 {number}「{service}」已关闭[，原因：{reason}][，退回服务券 {returned} 元]。", ORDER,
        ORDER_FIELDS + "reason time",
    ),
    "order_frozen": text(
        "订单{progress}", "订单 {number}「{service}」{progress}。", ORDER, ORDER_FIELDS + "progress time", PAYERS,
    ),
    "risk_proposed": text(
        "订单建议核查", "订单 {number}「{service}」的风险信号合计 {score} 分，建议冻结核查。", "pages/risks/show?id={subject_id}",
        ORDER_FIELDS + "time hint", hint="请查看信号后处理",
    ),
    "filing_revoked": text(
        "备案已撤销", "备案「{title}」经核实不实，已撤销并不再计分[，原因：{reason}]。", "pages/index/index", "subject=title reason time",
    ),
    "filing_objected": text(
        "备案异议：{finding}", "企业对已通过的备案「{title}」提出异议：{finding}，该备案照常计分。", "pages/index/index",
        "subject=title finding time hint", hint="该备案照常计分",
    ),
    "filing_named": text(
        "有机构备案与贵企业的交易",
        "「{institution}」备案了与贵企业的一笔交易：{happened_on}，{amount} 元。如不属实，请于 {object_by} 前提出异议。",
        "pages/index/index", "institution amount time=object_by hint", hint="如不属实可提出异议",
    ),
    "filing_objection_result": text(
        "备案异议：{finding}", "贵企业对「{institution}」交易备案的异议：{finding}[，说明：{reason}]。", "pages/index/index",
        "institution finding time reason",
    ),
    "appeal_result": text(
        "申诉结果：{outcome}", "「{title}」{outcome}。[说明：{reason}。]", "pages/appeals/show?id={subject_id}",
        "subject=title outcome time reason",
    ),
    "redemption_result": text(
        "兑付审核结果：{result}", "订单 {number}「{service}」的兑付申请{result}，应兑付 {payable} 元[。{ground}：{reason}]。", REDEMPTION,
        ORDER_FIELDS + "result reason", frozenset({Role.OWNER, Role.HANDLER, Role.FINANCE}),
    ),
    "payout_result": text(
        "兑付划拨结果：{paid}", "订单 {number}「{service}」的兑付资金 {payable} 元{paid}[。原因：{reason}]。", REDEMPTION,
        ORDER_FIELDS + "amount=payable result=paid", frozenset({Role.OWNER, Role.HANDLER, Role.FINANCE}),
    ),
    "review_reminder": text(
        "请评价本次服务", "订单 {number}「{service}」已完成，请评价；{review_due_at} 前未评价的，由系统自动评价。", REVIEW,
        ORDER_FIELDS + "time=review_due_at hint", hint="逾期由系统自动评价",
    ),
    "digest": text(
        "您有 {count} 条新消息", "您有 {count} 条新消息，请在消息中心查看。", "pages/notices/index", "count time hint",
        hint="请在消息中心查看",
    ),
    "system_review_made": text(
        "系统已自动评价", "订单 {number}「{service}」逾期未评价，已由系统自动评价，不计入机构得分。", REVIEW,
        ORDER_FIELDS + "time hint", hint="不计入机构得分",
    ),
    "demand_posted": text(
        "新需求", "您有一条来自企业用户的新需求「{title}」[，服务类型：{category}][，来自 {enterprise}][，请于 {reply_by} 前处理]。",
        DEMAND, "subject=title enterprise time reply_by",
    ),
    "demand_reminder": text(
        "需求尚未查看", "需求「{title}」已超过两个工作日未查看，请尽快处理；逾四个工作日无人接单的，平台将向企业推荐其他机构。", DEMAND,
        "subject=title category time hint", hint="请尽快查看并答复企业",
    ),
    "demand_alternatives": text(
        "为您推荐其他机构", "需求「{title}」暂无机构接单，已为您推荐 {count} 家同类机构，可一键转发。", DEMAND,
        "subject=title count time hint", hint="可一键转发给推荐的机构",
    ),
    "demand_undelivered": text(
        "需求未送达",
        "您的需求「{title}」未送达「{institution}」：该机构目前不能接收需求。平台正为您推荐同类机构，也可撤回后另行提交。",
        DEMAND, "subject=title institution time hint", hint="平台正为您推荐同类机构",
    ),
    "demand_answered": text(
        "需求进展：{answer}", "「{institution}」对您的需求「{title}」{answer}[：{service}，报价 {price} 元]。", DEMAND,
        "subject=title institution answer time",
    ),
    "demand_closed": text(
        "需求已关闭", "需求「{title}」已关闭（{closing}）。", DEMAND, "subject=title closing time",
    ),
    "review_revealed": text(
        "评价已公布", "订单 {number}「{service}」双方的评价已公布，请查看；可在 30 天内回复一次。", REVIEW,
        ORDER_FIELDS + "time hint", hint="可在三十天内回复",
    ),
    "review_replied": text(
        "收到评价回复", "订单 {number}「{service}」对方回复了您的评价，请查看。", REVIEW, ORDER_FIELDS + "time hint", hint="请查看回复内容",
    ),
    "security_changed": text(
        "账户安全提醒：{security}", "您的{security}。如非本人操作，请立即联系客服。", "pages/me/identities",
        "subject=security time hint", hint="非本人操作请立即联系客服",
    ),
    "text_hidden": text(
        "内容未通过审核", "您发表的「{title}」未通过审核，不会公布[，原因：{reason}]。", "pages/index/index", "subject=title reason time",
    ),
    "consultant_progress": text(
        "服务顾问：{step}", "服务顾问「{consultant}」[（{institution}）]：{step}。", "pages/consultants/show?id={subject_id}",
        "consultant step time institution",
    ),
}

# The same template for another situation: what decides is the event's reason.
VARIANTS: Mapping[tuple[str, str], Text] = {
    ("demand_posted", "changed"): text(
        "需求已更新", "企业更新了需求「{title}」[，服务类型：{category}]，请查看最新内容。", DEMAND,
        "subject=title enterprise time reply_by",
    ),
    ("demand_posted", "reassigned"): text(
        "顾问的需求转由机构处理", "需求「{title}」原由已解除关联的顾问处理，现由本机构处理[，请于 {reply_by} 前处理]。", DEMAND,
        "subject=title enterprise time reply_by",
    ),
    ("approval_waiting", "missed"): text(
        "批次错过公开数，须作废", "批次「{title}」在公开数公布前没有封存，不能再封存和摇号，请作废并说明原因，另行安排批次。",
        "pages/rounds/show?id={subject_id}", "subject=title applicant time queue",
    ),
    ("application_unfinished", "returned"): text(
        "申请退回后尚未提交", "您的「{title}」退回补正已三天以上，尚未重新提交，请补正后提交。", "pages/applications/show?id={subject_id}",
        "subject=title time hint", hint="请补正后重新提交",
    ),
    ("order_delivered", "for_information"): text(
        "服务已完成", "订单 {number}「{service}」服务机构已提交服务成果，请查看。", ORDER, ORDER_FIELDS + "time hint",
        hint="请查看服务成果",
    ),
    ("order_undelivered", "overdue"): text(
        "服务交付已逾期", "订单 {number}「{service}」未在 {deliver_by} 前提交完成，企业可申请争议裁定，请尽快提交或与企业协商。", ORDER,
        ORDER_FIELDS + "time=deliver_by hint", hint="请尽快提交或协商",
    ),
    ("order_undelivered", "may_dispute"): text(
        "服务机构逾期未交付", "订单 {number}「{service}」服务机构未在 {deliver_by} 前提交完成，您可以与机构协商，或申请争议裁定。", ORDER,
        ORDER_FIELDS + "time=deliver_by hint", hint="您可以申请争议裁定",
    ),
    ("order_undelivered", "disputed"): text(
        "企业已申请争议裁定", "订单 {number}「{service}」逾期未交付，企业已申请争议裁定[：{said}]。裁定前订单暂停办理。", ORDER,
        ORDER_FIELDS + "time hint", hint="裁定前订单暂停办理",
    ),
    ("order_closed", "may_take_back"): text(
        "服务机构超时未接单", "订单 {number}「{service}」服务机构超时未接单，您可以撤回订单，服务券将全额退回。", ORDER,
        ORDER_FIELDS + "reason time",
    ),
}

# Kinds that only bare addresses get (handlers/outside.py): no template of a platform, no inbox. What is secret among their facts
# is filled in when they are sent.
OUTSIDE: Mapping[str, Text] = {
    "email_code": text(
        "邮箱验证码", "您正在确认以此邮箱接收企服券通知，验证码：{code}，{minutes} 分钟内有效。如非本人操作，请忽略本邮件。", "",
        "code minutes",
    ),
    "consultant_invited": text(
        "{institution} 邀请您成为服务顾问", "{institution} 邀请您作为服务顾问入驻企业服务超市。请于 {until} 前打开链接查看并答复：{link} "
        "链接仅供您本人使用，请勿转发。如与您无关，请忽略本消息。", "", "institution until link",
    ),
    "phone_code": text(
        "手机验证码", "您正在答复服务顾问邀请，验证码：{code}，{minutes} 分钟内有效。请勿告诉他人。如非本人操作，请忽略。", "",
        "code minutes",
    ),
    "consultant_decided": text(
        "服务顾问认证：{result}", "您提交的「{title}」{result}[，{ground}：{reason}]。请打开邀请链接查看详情。", "", "title result reason",
    ),
}

# The result of a review leads to what was reviewed; a page that WeChat does not know would lose the message (41030).
PAGES: Mapping[tuple[str, str], str] = {
    ("approval_result", "consultant"): "pages/consultants/show?id={subject_id}",
    ("approval_result", "order"): ORDER,
    ("approval_result", "product"): "pages/index/index",
    ("approval_result", "filing"): "pages/index/index",
    ("approval_waiting", "round"): "pages/rounds/show?id={subject_id}",
    ("text_hidden", "demand"): DEMAND,
    ("application_received", "help_request"): "pages/todo/index",
}

# Each key makes the messages of its kinds pointless for the same subject: what of them still waits is not sent.
SUPERSEDES: Mapping[str, tuple[str, ...]] = {
    "approval_closed": ("approval_waiting",),
    "price_confirmed": ("price_requested", "price_confirmed"),
    "payment_approved": ("order_placed", "price_requested", "price_confirmed"),
    "order_paid": ("order_placed", "price_requested", "price_confirmed"),
    "order_accepted": ("order_paid",),
    "order_declined": ("order_paid",),
    "order_closed": ("order_placed", "price_requested", "price_confirmed", "order_paid", "order_delivered", "order_undelivered",
                     "order_termination"),
    "order_termination": ("order_termination",),
    "order_delivered": ("order_undelivered",),
    "order_sent_back": ("order_delivered",),
    "order_completed": ("order_delivered", "order_termination"),
    "order_reviewed": ("review_reminder",),
    "system_review_made": ("review_reminder",),
    "demand_answered": ("demand_alternatives",),
    "demand_handled": ("demand_posted", "demand_reminder"),
    "demand_over": ("demand_posted", "demand_reminder", "demand_alternatives"),
}
# Tell nobody anything: they only make others pointless. The case is decided or withdrawn, so its other reviewers need not look; the
# demand is over, or one institution has answered it or finds no place any more; a colleague has reviewed the order.
SILENT = frozenset({"approval_closed", "demand_handled", "demand_over", "order_reviewed"})
# Makes pointless what its own organisation was told, and nobody else.
OF_ONE_SIDE = frozenset({"demand_handled"})
# Conclusions and new demands come by e-mail as well, not only where the platform fails (D06, D15).
ALSO_BY_EMAIL = frozenset({"approval_result", "demand_posted"})
# What is worth a phone's SMS when nothing else got through (decision 0130). The result of an application only for admissions.
BY_SMS = frozenset({"order_frozen", "payout_result"})
ADMISSIONS = frozenset({ApplicationKind.INSTITUTION_ADMISSION, "supermarket_certification"})
# Goes to every channel at once, whatever was switched off: whoever holds one of them may be who must not keep it from the others.
EVERYWHERE = frozenset({"security_changed"})
# The answer to what somebody did this minute, told to whoever reads that mailbox or phone: no quiet hours.
AT_ONCE = frozenset({"email_code"}) | EVERYWHERE


def by_sms(kind: str, data: Mapping[str, object]) -> bool:
    return kind in BY_SMS or (kind == "approval_result" and data.get("application_kind") in ADMISSIONS)


@dataclass(frozen=True, slots=True)
class Rendered:
    title: str
    body: str
    page: str
    fields: dict[str, str]


def text_of(kind: str, data: Mapping[str, object]) -> Text:
    """Raises KeyError for a kind that is not in the tables."""
    return OUTSIDE.get(kind) or VARIANTS.get((kind, str(data.get("reason")))) or TEXTS[kind]


def render(kind: str, subject: str, subject_id: int, data: Mapping[str, object], created_at: datetime) -> Rendered:
    """Title, text and page for the inbox; `fields` with ISO times and yuan ("5000.00") for the channels to format."""
    of = text_of(kind, data)
    facts = facts_of(data, created_at) | {"subject_id": str(subject_id)}
    if of.hint:
        facts.setdefault("hint", of.hint)
    shown = {name: shown_fact(value) for name, value in facts.items()}
    return Rendered(
        fill(of.title, shown)[:TITLE_CHARACTERS_MAX],
        fill(of.body, shown)[:BODY_CHARACTERS_MAX],
        fill(PAGES.get((kind, subject), of.page), facts),
        {name: facts.get(fact) or (facts["time"] if name == "time" else "") for name, fact in of.fields.items()},
    )
