"""The registry of personal information: which column holds what, why we may, and for how long (PIPL 6, 13, 17, 19; F29).

tests/test_personal.py holds it against the models in both directions: a sealed column that is missing here fails the build, and
so does a column whose name looks personal.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Kept(StrEnum):
    SEALED = "sealed"  # encrypted; opened only to be used, masked when shown
    INDEX = "index"    # keyed hash: equal values can be found, none can be read
    PLAIN = "plain"    # readable: a pseudonym of a platform, or what an organisation publishes about itself


class Basis(StrEnum):
    """《个人信息保护法》第十三条第一款 and its items."""

    CONSENT = "第（一）项：取得个人的同意"
    CONTRACT = "第（二）项：订立、履行个人作为一方当事人的合同所必需"
    DUTY = "第（三）项：履行法定职责或者法定义务所必需"
    PUBLISHED = "第（六）项：在合理的范围内处理已经合法公开的个人信息"


@dataclass(frozen=True, slots=True)
class PersonalColumn:
    """`days` are kept after the end that `ends` names in words; 0 deletes with it.

    `gone_by`: who sees to it. A sweep of jobs/schedule.py, a use-case (`handlers.…`) where the end is somebody's own act, or
    `manual: …` with the heading of docs/runbook.md that says how.
    """

    table: str
    column: str
    kept: Kept
    purpose: str
    basis: Basis
    ends: str
    days: int
    gone_by: str


_CLOSED = "账号注销"
_SETTLED = "申报事项办结"
_LEFT = "机构退出平台"
_UNLINKED = "关联解除"
_CLOSING = "handlers.closures.close_account"
_LEAVING = "manual: An institution leaves"
# What decisions on public money rest on may be audited for ten years (《会计档案管理办法》).
_ARCHIVE_DAYS = 3650


def _application(column: str, purpose: str) -> PersonalColumn:
    return PersonalColumn(
        "applications", column, Kept.SEALED, purpose, Basis.DUTY, _SETTLED, _ARCHIVE_DAYS, "retention.forget_applications",
    )


def _institution(column: str, kept: Kept, purpose: str, basis: Basis, days: int = 0) -> PersonalColumn:
    return PersonalColumn("institutions", column, kept, purpose, basis, _LEFT, days, _LEAVING)


REGISTRY: tuple[PersonalColumn, ...] = (
    PersonalColumn("persons", "name", Kept.SEALED, "办事人员实名展示与责任认定", Basis.CONSENT, _CLOSED, 0, _CLOSING),
    PersonalColumn("persons", "phone", Kept.SEALED, "识别同一办事人员、被单位邀请、业务联系", Basis.CONSENT, _CLOSED, 0, _CLOSING),
    PersonalColumn("persons", "phone_index", Kept.INDEX, "确保一个手机号只属于一人，并按手机号查找", Basis.CONSENT, _CLOSED, 0, _CLOSING),
    PersonalColumn("persons", "email", Kept.SEALED, "按本人选择以邮件通知", Basis.CONSENT, "本人移除邮箱或账号注销", 0, _CLOSING),
    PersonalColumn("persons", "email_index", Kept.INDEX, "避免向同一邮箱重复发送", Basis.CONSENT, "本人移除邮箱或账号注销", 0, _CLOSING),
    PersonalColumn("email_codes", "email", Kept.SEALED, "确认邮箱属于本人", Basis.CONSENT, "验证码失效", 1, "mailboxes.forget"),
    PersonalColumn("email_codes", "email_index", Kept.INDEX, "限制向同一邮箱发送验证码的次数",
                   Basis.CONSENT, "验证码失效", 1, "mailboxes.forget"),
    PersonalColumn("events", "address", Kept.SEALED, "向收件人送达通知", Basis.DUTY, "消息生成", 0, "notices.open"),
    PersonalColumn("events", "secrets", Kept.SEALED, "通知中仅收件人可见的链接或验证码", Basis.DUTY, "消息生成", 0, "notices.open"),
    PersonalColumn("deliveries", "address", Kept.SEALED, "向收件人送达通知", Basis.DUTY, "消息送达或放弃", 7, "outside.forget"),
    PersonalColumn("deliveries", "secrets", Kept.SEALED, "通知中仅收件人可见的链接或验证码",
                   Basis.DUTY, "消息送达或放弃", 7, "outside.forget"),
    PersonalColumn("identities", "open_id", Kept.PLAIN, "平台登录与消息送达（平台内的化名标识）", Basis.CONTRACT, _CLOSED, 0, _CLOSING),
    PersonalColumn("identities", "union_id", Kept.PLAIN, "识别同一平台下多个应用的同一用户", Basis.CONTRACT, _CLOSED, 0, _CLOSING),
    PersonalColumn("dialogues", "private", Kept.SEALED, "办理中的会话里的个人信息（如受邀顾问的姓名、手机号）",
                   Basis.CONSENT, "会话结束", 1, "dialogues.forget"),
    PersonalColumn("talk_lines", "lines", Kept.SEALED, "转人工时让工作人员了解刚才的对话（号码已隐去）",
                   Basis.CONTRACT, "说话半小时后", 1, "help_requests.forget_lines"),
    PersonalColumn("help_requests", "lines", Kept.SEALED, "工作人员答复人工咨询，答复后即删除",
                   Basis.CONTRACT, "咨询答复", 0, "handlers.help_requests.answer_help_request"),
    _application("contact_name", "审核中与申报单位联系"),
    _application("contact_phone", "审核中与申报单位联系"),
    _application("contact_email", "向申报单位发送审核结论"),
    _application("legal_person_name", "核验申报单位法定代表人"),
    _application("legal_person_id_number", "核验申报单位法定代表人"),
    _application("bank_account", "核验收款账户"),
    _institution("contact_name", Kept.SEALED, "订单与兑付事项联系", Basis.CONSENT),
    _institution("contact_phone", Kept.SEALED, "订单与兑付事项联系，不对外展示", Basis.CONSENT),
    _institution("bank_account", Kept.SEALED, "服务券兑付收款", Basis.DUTY, _ARCHIVE_DAYS),
    _institution("bank_account_name", Kept.PLAIN, "服务券兑付收款（单位账户户名）", Basis.DUTY, _ARCHIVE_DAYS),
    _institution("bank_branch", Kept.PLAIN, "服务券兑付收款（开户行）", Basis.DUTY, _ARCHIVE_DAYS),
    _institution("landline", Kept.PLAIN, "机构对外公布的办公电话", Basis.PUBLISHED),
    _institution("email", Kept.PLAIN, "机构对外公布的办公邮箱", Basis.PUBLISHED),
    _institution("address", Kept.PLAIN, "机构对外公布的办公地址", Basis.PUBLISHED),
    _institution("latitude", Kept.PLAIN, "机构办公地址的地图位置", Basis.PUBLISHED),
    _institution("longitude", Kept.PLAIN, "机构办公地址的地图位置", Basis.PUBLISHED),
    PersonalColumn("demands", "contact_name", Kept.SEALED, "机构接单后与企业联系",
                   Basis.CONSENT, "需求关闭", 180, "demands.forget_contacts"),
    PersonalColumn("demands", "contact_phone", Kept.SEALED, "机构接单后与企业联系，接单前不展示",
                   Basis.CONSENT, "需求关闭", 180, "demands.forget_contacts"),
    PersonalColumn("consultants", "name", Kept.SEALED, "机构邀请、审核服务顾问",
                   Basis.CONSENT, _UNLINKED, _ARCHIVE_DAYS, "retention.forget_consultants"),
    PersonalColumn("consultants", "phone", Kept.SEALED, "机构向所邀请的顾问发送邀请",
                   Basis.CONTRACT, _UNLINKED, _ARCHIVE_DAYS, "retention.forget_consultants"),
    PersonalColumn("consultants", "phone_index", Kept.INDEX, "邀请只能由登记的手机号接受，同一手机号只登记一次",
                   Basis.CONTRACT, _UNLINKED, _ARCHIVE_DAYS, "retention.forget_consultants"),
    PersonalColumn("consultants", "email", Kept.SEALED, "机构向所邀请的顾问发送邀请",
                   Basis.CONTRACT, _UNLINKED, _ARCHIVE_DAYS, "retention.forget_consultants"),
    PersonalColumn("consultants", "photo_id", Kept.PLAIN, "顾问本人同意公开的照片", Basis.CONSENT, _UNLINKED, 0, "retention.forget_photos"),
    PersonalColumn("invitations", "phone_index", Kept.INDEX, "邀请只能由登记的手机号接受",
                   Basis.CONTRACT, "邀请结束", 30, "retention.forget_invited"),
    PersonalColumn("phone_codes", "phone_index", Kept.INDEX, "核对验证码，限制向同一手机号发送的次数",
                   Basis.CONSENT, "验证码失效", 1, "consultants.forget_codes"),
    PersonalColumn("sessions", "device_index", Kept.INDEX, "发现同一设备代表交易双方办理", Basis.DUTY, "会话删除", 0, "sessions.forget"),
    PersonalColumn("inbound_messages", "open_id", Kept.PLAIN, "对话消息去重与排序（平台内的化名标识）",
                   Basis.CONTRACT, "消息处理完毕", 7, "inbound.forget"),
    PersonalColumn("inbound_messages", "payload", Kept.SEALED, "理解用户在对话中说的话，理解后即删除",
                   Basis.CONTRACT, "消息处理完毕", 0, "handlers.inbound.finish"),
    PersonalColumn("inbound_messages", "answer", Kept.SEALED, "发送对话答复，发送后即删除",
                   Basis.CONTRACT, "消息处理完毕", 0, "handlers.inbound.finish"),
    PersonalColumn("talk_windows", "open_id", Kept.PLAIN, "平台允许的答复次数与绑定保护（平台内的化名标识）",
                   Basis.CONTRACT, "对话结束或账号注销", 30, "talk_windows.forget"),
    PersonalColumn("bot_cards", "open_id", Kept.PLAIN, "更新已发送的互动卡片（平台内的化名标识）",
                   Basis.CONTRACT, "卡片送达", 30, "bot_cards.forget"),
    PersonalColumn("party_traits", "digest", Kept.INDEX, "发现交易双方使用同一人员、电话、地址、账户或设备",
                   Basis.DUTY, _SETTLED, _ARCHIVE_DAYS, "retention.forget_traits"),
    PersonalColumn("payout_lines", "bank_branch", Kept.PLAIN, "向机构划拨兑付资金（开户行）",
                   Basis.DUTY, _SETTLED, _ARCHIVE_DAYS, "retention.forget_transfers"),
    PersonalColumn("payout_lines", "bank_reference", Kept.PLAIN, "银行划拨流水号，用于核对",
                   Basis.DUTY, _SETTLED, _ARCHIVE_DAYS, "retention.forget_transfers"),
    PersonalColumn("payout_lines", "bank_account", Kept.SEALED, "向机构划拨兑付资金（个体户的账户可能是个人账户）",
                   Basis.DUTY, _SETTLED, _ARCHIVE_DAYS, "retention.forget_transfers"),
)


def kept_for(table: str, column: str) -> timedelta:
    """How long after the end that its entry names; for the sweep that deletes it."""
    return next(timedelta(days=entry.days) for entry in REGISTRY if (entry.table, entry.column) == (table, column))
