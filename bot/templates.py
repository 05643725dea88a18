"""Notice kinds and their message templates. Whoever writes a notice fills `Message.fields` by the names below.

    kind                  title             fields, in the order the phone shows them
    approval_result       审核结果通知      subject, result (审核通过|退回补正|审核拒绝), time, reason
    institution_standing  入库状态通知      standing (即将到期|已到期|已暂停|已恢复), time, reason, hint
    reservation_received  预约成功通知      round, ticket_no, time (公示)
    reservation_voided    批次作废通知      round, ticket_no, reason, time
    reservation_disqualified  中签资格取消通知  round, ticket_no, reason, time
    draw_objection_result  摇号异议结果通知  round, finding (异议成立|异议不成立|无须处理), time, reason
    round_closing         预约截止提醒      round, time (截止), hint
    draw_committed        摇号清单封存通知  ticket_no, digest_start (摘要前半), digest_end, time (摇号), source (公开数)
    draw_result           摇号结果通知      round, result (中签|未中签|候补|未递补), voucher_type, hint
    voucher_issued        服务券到账通知    voucher_type, amount, valid_until, hint
    voucher_given_back    服务券放弃通知    voucher_type, amount, time
    voucher_expiring      服务券到期提醒    voucher_type, balance, valid_until, hint
    order_placed          新订单通知        order_number, service, amount, hint
    price_requested       订单核价提醒      order_number, service, amount (产品价格), hint
    price_confirmed       订单核价完成通知  order_number, service, amount, hint
    payment_approved      支付审核通过通知  order_number, service, amount (用券), time
    payment_rejected      支付审核拒绝通知  order_number, service, reason, time
    order_paid            订单待接单提醒    order_number, service, amount (用券), time
    order_accepted        订单已接单通知    order_number, service, time, hint
    order_declined        订单未接单通知    order_number, service, reason, time
    order_delivered       服务待确认提醒    order_number, service, time, hint
    order_sent_back       服务退回通知      order_number, service, reason, time
    order_termination     协商终止通知      order_number, service, consent, time
    order_undelivered     服务交付提醒      order_number, service, time (交付期限), hint
    order_completed       订单完成通知      order_number, service, amount (用券), time
    order_closed          订单关闭通知      order_number, service, reason, time
    digest                未读消息汇总      count, time, hint
    order_frozen          订单核实通知      order_number, service, progress, time
    risk_proposed         订单核查提醒      order_number, service, time, hint
    filing_revoked        备案撤销通知      subject, reason, time
    filing_objected       备案异议核实通知  subject, finding (正在核实|异议不成立), time, hint
    filing_named          交易备案告知      institution, amount, time (异议截止), hint
    filing_objection_result  备案异议结果通知  institution, finding (异议成立|异议不成立|无须处理), time, reason
    appeal_result         申诉结果通知      subject, outcome (维持原决定|撤销原决定|退回补充), time, reason
    redemption_result     兑付审核通知      order_number, service, result (审核通过|退回补正|审核拒绝), reason
    payout_result         兑付划拨通知      order_number, service, amount, result (已划拨|被银行退回)
    review_reminder       评价提醒          service, order_number, time (系统自动评价), hint
    system_review_made    系统评价通知      service, order_number, time, hint
    review_revealed       评价公布通知      service, order_number, time, hint
    review_replied        评价回复通知      service, order_number, time, hint
    security_changed      账户安全提醒      subject, time, hint
    text_hidden           内容审核通知      subject, reason, time
    application_received  新申请通知        subject, applicant, time, hint
    application_unfinished  申请未提交提醒    subject, time, hint
    approval_waiting      待审核提醒        subject, applicant, time, queue (环节)
    demand_posted         新需求通知        subject, enterprise (脱敏), time, reply_by (处理时限)
    demand_reminder       需求待查看提醒    subject, category, time, hint
    demand_alternatives   需求推荐机构通知  subject, count, time, hint
    demand_undelivered    需求未送达通知    subject, institution, time, hint
    demand_answered       需求进展通知      subject, institution, answer (已接单|已推荐产品), time
    demand_closed         需求关闭通知      subject, closing (企业撤回|企业已办结|企业已关闭|到期关闭), time
    review_digest         待审日报通知      waiting, time (最早提交), hint
    consultant_progress   服务顾问动态提醒  consultant, step (已接受邀请|已谢绝邀请|…), time, institution
    bot_answer            对话答复通知      answer, time, hint

Times and dates are ISO 8601 (with an offset: shown in Asia/Shanghai; two of them joined by `~` are a range); amounts are
yuan as text ("5000.00"). A text may be missing or empty, a time, date or amount may not: there is no neutral value for one.
Limits: WeChat's table for subscribe messages, as of mid-2026 (F23).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bot.values import FORMATTERS, HAN

RESULTS = ("审核通过", "退回补正", "审核拒绝")
FINDINGS = ("异议成立", "异议不成立", "无须处理")
STANDINGS = ("即将到期", "已到期", "已暂停", "已恢复")
OUTCOMES = ("维持原决定", "撤销原决定", "退回补充")
DEMAND_ANSWERS, DEMAND_CLOSINGS = ("已接单", "已推荐产品"), ("企业撤回", "企业已办结", "企业已关闭", "到期关闭")
CONSULTANT_STEPS = ("已接受邀请", "已谢绝邀请", "邀请已过期", "申请新邀请", "已提交审核", "已解除关联")
DRAW_RESULTS = ("中签", "未中签", "候补", "未递补")
PAYOUT_RESULTS = ("已划拨", "被银行退回")
ONE_TIME = 2  # WeChat's type of a template: one acceptance, one message
TITLE_CHARACTERS_MAX, KEYWORDS_MIN, KEYWORDS_MAX = 20, 2, 5
# They have 24 characters, so nothing but a character_string holds them.
NUMBER_FIELDS = frozenset({"order_number", "ticket_no"})
KEY = re.compile(r"([a-z_]+?)([1-9]\d*)")


@dataclass(frozen=True)
class Keyword:
    """One line of a template: what the phone shows before it, its key, the field that fills it, its only values if any."""

    label: str
    key: str
    field: str
    choices: tuple[str, ...] = ()

    @cached_property
    def type(self) -> str:
        return self.key.rstrip("0123456789")

    @cached_property
    def fit(self) -> Callable[[str], str]:
        """From a field's text to a legal value."""
        return FORMATTERS[self.type]


@dataclass(frozen=True, slots=True)
class Template:
    kind: str
    title: str
    keywords: tuple[Keyword, ...]

    @property
    def default_id(self) -> str:
        """The id in the simulator; real ones are given by WeChat when a template is added."""
        return f"tmpl_{self.kind}"

    @property
    def content(self) -> str:
        return "".join(f"{each.label}:{{{{{each.key}.DATA}}}}\n" for each in self.keywords)


def cases() -> Iterator[Template]:
    """What is decided about an organisation, and what a reviewer has to do."""
    yield template("approval_result", "审核结果通知", "审核事项 thing subject", ("审核结果 phrase result", RESULTS),
                   "审核时间 time time", "原因说明 thing reason")
    yield template("institution_standing", "入库状态通知", ("入库状态 phrase standing", STANDINGS), "时间 time time",
                   "原因说明 thing reason", "温馨提示 thing hint")
    yield template("filing_revoked", "备案撤销通知", "备案事项 thing subject", "撤销原因 thing reason", "撤销时间 time time")
    yield template("filing_objected", "备案异议核实通知", "备案事项 thing subject", ("核实进展 phrase finding", ("正在核实", "异议不成立")),
                   "时间 time time", "温馨提示 thing hint")
    yield template("filing_named", "交易备案告知", "备案机构 thing institution", "交易金额 amount amount", "异议截止 time time",
                   "温馨提示 thing hint")
    yield template("filing_objection_result", "备案异议结果通知", "备案机构 thing institution", ("核实结果 phrase finding", FINDINGS),
                   "时间 time time", "说明 thing reason")
    yield template("appeal_result", "申诉结果通知", "申诉事项 thing subject", ("申诉结果 phrase outcome", OUTCOMES), "时间 time time",
                   "说明 thing reason")
    yield template("digest", "未读消息汇总", "消息数量 number count", "时间 time time", "温馨提示 thing hint")
    yield template("application_received", "新申请通知", "申请事项 thing subject", "申请方 thing applicant",
                   "提交时间 time time", "温馨提示 thing hint")
    yield template("application_unfinished", "申请未提交提醒", "申请事项 thing subject", "时间 time time", "温馨提示 thing hint")
    yield template("approval_waiting", "待审核提醒", "申请事项 thing subject", "申请方 thing applicant",
                   "提交时间 time time", "审核环节 thing queue")
    yield template("review_digest", "待审日报通知", "待审事项 number waiting", "最早提交 time time", "温馨提示 thing hint")


def vouchers() -> Iterator[Template]:
    """From the reservation to the last day of a voucher."""
    yield template("reservation_received", "预约成功通知", "预约批次 thing round", "票号 character_string ticket_no",
                   "公示时间 time time")
    yield template("reservation_voided", "批次作废通知", "预约批次 thing round", "票号 character_string ticket_no",
                   "作废原因 thing reason", "作废时间 time time")
    yield template("reservation_disqualified", "中签资格取消通知", "预约批次 thing round", "票号 character_string ticket_no",
                   "取消原因 thing reason", "时间 time time")
    yield template("draw_objection_result", "摇号异议结果通知", "预约批次 thing round", ("核实结果 phrase finding", FINDINGS),
                   "时间 time time", "说明 thing reason")
    yield template("round_closing", "预约截止提醒", "预约批次 thing round", "截止时间 time time", "温馨提示 thing hint")
    yield template("draw_committed", "摇号清单封存通知", "票号 character_string ticket_no", "摘要前半 character_string digest_start",
                   "摘要后半 character_string digest_end", "摇号时间 time time", "公开数 thing source")
    yield template("draw_result", "摇号结果通知", "预约批次 thing round", ("摇号结果 phrase result", DRAW_RESULTS),
                   "券种 thing voucher_type", "温馨提示 thing hint")
    yield template("voucher_issued", "服务券到账通知", "券种 thing voucher_type", "金额 amount amount",
                   "有效期至 date valid_until", "温馨提示 thing hint")
    yield template("voucher_given_back", "服务券放弃通知", "券种 thing voucher_type", "金额 amount amount", "放弃时间 time time")
    yield template("voucher_expiring", "服务券到期提醒", "券种 thing voucher_type", "余额 amount balance",
                   "到期日 date valid_until", "温馨提示 thing hint")


def orders() -> Iterator[Template]:
    """From the order to the money."""
    yield order("order_placed", "新订单通知", "订单金额 amount amount", "温馨提示 thing hint")
    yield order("price_requested", "订单核价提醒", "产品价格 amount amount", "温馨提示 thing hint")
    yield order("price_confirmed", "订单核价完成通知", "订单金额 amount amount", "温馨提示 thing hint")
    yield order("payment_approved", "支付审核通过通知", "用券金额 amount amount", "审核时间 time time")
    yield order("payment_rejected", "支付审核拒绝通知", "原因说明 thing reason", "审核时间 time time")
    yield order("order_paid", "订单待接单提醒", "用券金额 amount amount", "支付时间 time time")
    yield order("order_accepted", "订单已接单通知", "接单时间 time time", "温馨提示 thing hint")
    yield order("order_declined", "订单未接单通知", "原因说明 thing reason", "时间 time time")
    yield order("order_delivered", "服务待确认提醒", "完成时间 time time", "温馨提示 thing hint")
    yield order("order_sent_back", "服务退回通知", "原因说明 thing reason", "退回时间 time time")
    yield order("order_termination", "协商终止通知", "协商进展 thing consent", "时间 time time")
    yield order("order_undelivered", "服务交付提醒", "交付期限 time time", "温馨提示 thing hint")
    yield order("order_completed", "订单完成通知", "用券金额 amount amount", "完成时间 time time")
    yield order("order_closed", "订单关闭通知", "原因说明 thing reason", "关闭时间 time time")
    yield order("order_frozen", "订单核实通知", "办理进度 thing progress", "时间 time time")
    yield order("risk_proposed", "订单核查提醒", "时间 time time", "温馨提示 thing hint")
    yield order("redemption_result", "兑付审核通知", ("审核结果 phrase result", RESULTS), "原因说明 thing reason")
    yield order("payout_result", "兑付划拨通知", "兑付金额 amount amount", ("划拨结果 phrase result", PAYOUT_RESULTS))


def reviews() -> Iterator[Template]:
    """What people say of each other."""
    yield template("review_reminder", "评价提醒", "服务名称 thing service", "订单编号 character_string order_number",
                   "系统评价时间 time time", "温馨提示 thing hint")
    yield template("system_review_made", "系统评价通知", "服务名称 thing service", "订单编号 character_string order_number",
                   "评价时间 time time", "温馨提示 thing hint")
    yield template("review_revealed", "评价公布通知", "服务名称 thing service", "订单编号 character_string order_number",
                   "公布时间 time time", "温馨提示 thing hint")
    yield template("review_replied", "评价回复通知", "服务名称 thing service", "订单编号 character_string order_number",
                   "回复时间 time time", "温馨提示 thing hint")
    yield template("security_changed", "账户安全提醒", "变更事项 thing subject", "变更时间 time time", "温馨提示 thing hint")
    yield template("text_hidden", "内容审核通知", "审核内容 thing subject", "原因说明 thing reason", "审核时间 time time")
    yield template("bot_answer", "对话答复通知", "答复内容 thing answer", "时间 time time", "温馨提示 thing hint")


def supermarket() -> Iterator[Template]:
    """Demands and consultants."""
    yield template("demand_posted", "新需求通知", "需求名称 thing subject", "需求企业 thing enterprise", "时间 time time",
                   "处理时限 date reply_by")
    yield template("demand_reminder", "需求待查看提醒", "需求名称 thing subject", "服务类型 thing category", "时间 time time",
                   "温馨提示 thing hint")
    yield template("demand_alternatives", "需求推荐机构通知", "需求名称 thing subject", "推荐机构数 number count", "时间 time time",
                   "温馨提示 thing hint")
    yield template("demand_undelivered", "需求未送达通知", "需求名称 thing subject", "服务机构 thing institution", "时间 time time",
                   "温馨提示 thing hint")
    yield template("demand_answered", "需求进展通知", "需求名称 thing subject", "服务机构 thing institution",
                   ("进展 phrase answer", DEMAND_ANSWERS), "时间 time time")
    yield template("demand_closed", "需求关闭通知", "需求名称 thing subject", ("关闭原因 phrase closing", DEMAND_CLOSINGS),
                   "时间 time time")
    yield template("consultant_progress", "服务顾问动态提醒", "服务顾问 thing consultant", ("进展 phrase step", CONSULTANT_STEPS),
                   "时间 time time", "服务机构 thing institution")


def template(kind: str, title: str, *lines: str | tuple[str, Sequence[str]]) -> Template:
    """Each line is "<label> <type> <field>", with its choices if it has any; the number in a key is its place."""
    keywords = []
    for number, line in enumerate(lines, 1):
        text, choices = line if isinstance(line, tuple) else (line, ())
        label, of_type, field = text.split()
        keywords.append(Keyword(label, f"{of_type}{number}", field, tuple(choices)))
    return Template(kind, title, tuple(keywords))


def order(kind: str, title: str, *lines: str | tuple[str, Sequence[str]]) -> Template:
    return template(kind, title, "订单编号 character_string order_number", "服务名称 thing service", *lines)


WRITTEN = (*cases(), *vouchers(), *orders(), *reviews(), *supermarket())
TEMPLATES: Mapping[str, Template] = {each.kind: each for each in WRITTEN}
KINDS = frozenset(TEMPLATES)


def fill(of: Template, fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The `data` of a subscribe message: every keyword is there and legal, whatever the fields hold."""
    return {each.key: {"value": each.fit(fields.get(each.field, ""))} for each in of.keywords}


def simulator_templates() -> list[dict[str, Any]]:
    """Rows as WeChat's gettemplate shows them: {"priTmplId", "title", "content", "type"}."""
    return [{"priTmplId": each.default_id, "title": each.title, "content": each.content, "type": ONE_TIME}
            for each in TEMPLATES.values()]


def lint(templates: Iterable[Template] | None = None, kinds: frozenset[str] = KINDS) -> list[str]:
    """Everything that would be wrong with some message, found before there is one. Empty: all is well."""
    checked = list(WRITTEN if templates is None else templates)
    problems = [f"{each.kind}: {problem}" for each in checked for problem in problems_of(each)]
    problems += [f"{each.kind}: unknown kind" for each in checked if each.kind not in kinds]
    problems += [f"{kind}: no template" for kind in sorted(kinds - {each.kind for each in checked})]
    named, titles = [each.kind for each in checked], [each.title for each in checked]
    problems += [f"{kind}: written twice" for kind in sorted(set(named)) if named.count(kind) > 1]
    # The popup on the phone shows only one of several templates with the same title.
    problems += [f"{each.kind}: title used twice" for each in checked if titles.count(each.title) > 1]
    return problems


def problems_of(of: Template) -> Iterator[str]:
    if not KEYWORDS_MIN <= len(of.keywords) <= KEYWORDS_MAX:
        yield f"{len(of.keywords)} keywords"
    if not 0 < len(of.title) <= TITLE_CHARACTERS_MAX:
        yield "title too long or empty"
    if len({each.key for each in of.keywords}) < len(of.keywords) or len({each.field for each in of.keywords}) < len(of.keywords):
        yield "a key or field is there twice"
    for each in of.keywords:
        match = KEY.fullmatch(each.key)
        if match is None or match[1] not in FORMATTERS:
            yield f"{each.key}: unknown type"
        if each.field in NUMBER_FIELDS and each.type != "character_string":
            yield f"{each.key}: a number of 24 characters needs a character_string"
        if (each.type == "phrase") != bool(each.choices):
            yield f"{each.key}: a phrase, and nothing else, has a list of values"
        yield from (f"{each.key}: 「{choice}」 is not up to five 汉字" for choice in each.choices
                    if not re.fullmatch(f"[{HAN}]{{1,5}}", choice))
