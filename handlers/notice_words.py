"""What the codes among the facts of a notice are called: results, reasons, steps (F23)."""

from collections.abc import Mapping

RESULTS = {"approved": "审核通过", "returned": "退回补正", "rejected": "审核拒绝",
           "won": "中签", "lost": "未中签", "alternate": "候补", "lapsed": "未递补"}
GROUNDS = {"approved": "说明"}  # what a reviewer adds to a yes is a remark; a no has a reason
REASONS = {"cancelled": "企业取消订单", "timeout": "超时未支付", "declined": "机构未接单", "not_accepted": "机构超时未接单",
           "refunded": "双方协商退款", "ruled": "争议裁定退款", "may_take_back": "机构超时未接单"}
STANDINGS = {"expiring": "即将到期", "expired": "已到期", "suspended": "已暂停", "resumed": "已恢复"}
CONSENTS = {"proposed": "对方提出协商终止", "refused": "对方不同意终止", "withdrawn": "对方撤回终止提议", "expired": "终止提议逾期失效"}
PAYOUTS = {"True": "已划拨", "False": "被银行退回"}
OUTCOMES = {"upheld": "维持原决定", "overturned": "撤销原决定", "returned": "退回补充"}
ANSWERS = {"taken": "已接单", "offered": "已推荐产品"}
FINDINGS = {"open": "正在核实", "upheld": "异议成立", "dismissed": "异议不成立",
            "lapsed": "无须处理"}  # the filing was withdrawn, or was of somebody else
CLOSINGS = {"withdrawn": "企业撤回", "settled": "企业已办结", "given_up": "企业已关闭", "expired": "到期关闭"}
PROGRESS = {"checking": "正在核实中，暂停办理", "checked": "核实完毕，可继续办理"}  # neutral words: a suspicion is not a finding (O13)
STEPS = {"accepted": "已接受邀请", "declined": "已谢绝邀请", "expired": "邀请已过期", "renewal_asked": "申请新邀请",
         "submitted": "已提交审核", "unlinked": "已解除关联"}
CHANGES = {"password_reset": "支付密码已重置", "phone_changed": "绑定手机号已更换"}
WORDS: Mapping[str, Mapping[str, str]] = {
    "answer": ANSWERS, "consent": CONSENTS, "closing": CLOSINGS, "finding": FINDINGS,
    "step": STEPS, "security": CHANGES,
    "outcome": OUTCOMES, "progress": PROGRESS, "result": RESULTS, "paid": PAYOUTS, "reason": REASONS, "standing": STANDINGS,
}
