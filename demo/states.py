"""`make states`: docs/states.md, drawn from the graphs of models/, so that the picture cannot say anything else than the code."""

from enum import StrEnum
from importlib import import_module

import models
from models.states import Graph

# What people call each machine and its states; tests/test_states.py wants every one of them.
MACHINES = {
    "membership": "成员身份", "application": "申请", "approval": "审核事项", "appeal": "申诉", "attachment": "附件",
    "consultant": "服务顾问", "demand": "需求", "demand_response": "需求对接", "delivery": "消息投递",
    "filing": "备案", "filing_objection": "备案异议", "draw_objection": "摇号异议",
    "content_check": "内容审核",
    "invitation": "顾问邀请",
    "inbound_message": "平台推送",
    "order": "订单", "product": "服务产品", "product_version": "产品修改版本", "institution": "服务机构",
    "redemption": "兑付申请", "payout_batch": "兑付批次", "payout_line": "划拨明细",
    "programme": "项目", "policy": "政策版本", "round": "预约批次", "reservation": "预约",
}
LABELS: dict[str, dict[str, str]] = {
    "inbound_message": {"received": "已接收", "working": "处理中", "done": "已处理", "failed": "处理失败"},
    "membership": {"active": "有效", "ended": "已解除"},
    "application": {
        "draft": "暂存", "submitted": "审核中", "returned": "退回补正", "approved": "审核通过", "rejected": "审核拒绝",
        "withdrawn": "已撤回",
    },
    "approval": {"open": "待审", "approved": "通过", "returned": "退回补正", "rejected": "拒绝", "withdrawn": "申请人撤回"},
    "appeal": {"in_review": "审核中", "returned": "待补充", "upheld": "维持原决定", "overturned": "撤销原决定"},
    "filing": {
        "draft": "暂存", "in_review": "审核中", "returned": "退回补正", "approved": "备案通过", "rejected": "审核拒绝",
        "withdrawn": "已撤回", "revoked": "已撤销",
    },
    "filing_objection": {"open": "待核实", "upheld": "异议成立", "dismissed": "异议不成立", "lapsed": "无须处理"},
    "draw_objection": {"open": "待核实", "upheld": "异议成立", "dismissed": "异议不成立", "lapsed": "批次已作废"},
    "content_check": {"pending": "待审", "in_review": "人工审核中", "passed": "已公布", "hidden": "未通过", "withdrawn": "已撤回"},
    "attachment": {"uploading": "上传中", "stored": "已保存", "deleted": "已删除"},
    "demand": {"held": "待审", "open": "待接单", "taken": "对接中", "closed": "已关闭"},
    "demand_response": {
        "notified": "新需求", "viewed": "已查看", "passed": "无意向", "taken": "已接单", "contacted": "已联系", "signed": "已签约",
        "declined": "未达成合作", "no_contact": "联系不上", "converted_to_order": "已转订单",
    },
    "delivery": {
        "planned": "待发送", "held": "免打扰中", "sending": "发送中", "accepted": "平台已受理", "delivered": "已送达",
        "no_consent": "用户未订阅",
        "failed": "发送失败", "dead": "放弃重试", "superseded": "已无须发送", "recalling": "撤回中", "recalled": "已撤回",
    },
    "order": {
        "awaiting_price": "待核价", "unpaid": "待支付", "pay_review": "支付审核中", "pay_rejected": "支付审核拒绝", "paid": "待服务商确认",
        "accepted": "服务中", "delivered": "待确认", "completed": "已完成", "closed": "已关闭",
    },
    "product": {
        "draft": "暂存", "in_review": "审核中", "approved": "审核通过", "rejected": "审核拒绝", "listed": "已上架", "deleted": "已删除",
    },
    "product_version": {
        "draft": "暂存", "in_review": "审核中", "approved": "生效中", "rejected": "审核拒绝", "superseded": "已被替换或放弃",
    },
    "institution": {"applying": "未入库", "admitted": "已入库", "suspended": "已暂停", "expired": "已到期"},
    "redemption": {
        "in_review": "兑付审核中", "returned": "退回修改", "rejected": "兑付审核拒绝", "pre_redeemed": "预兑付", "in_batch": "划拨中",
        "redeemed": "已兑付",
    },
    "payout_batch": {"draft": "待复核", "confirmed": "已复核", "settled": "已办结", "cancelled": "已撤销"},
    "payout_line": {"pending": "待划拨", "paid": "已划拨", "bounced": "银行退回", "cancelled": "已撤销"},
    "programme": {"draft": "草稿", "published": "已发布", "ended": "已结束"},
    "policy": {"draft": "草稿", "confirmed": "已确认", "discarded": "已作废"},
    "round": {
        "draft": "草稿", "announced": "已公告", "open": "预约中", "closed": "已截止", "committed": "名单已封存", "drawn": "已摇号",
        "publicity": "公示中", "final": "已发券", "voided": "已作废",
    },
    "reservation": {
        "submitted": "已预约", "withdrawn": "已撤回", "won": "中签", "alternate": "候补", "issued": "已发券", "declined": "已放弃",
        "disqualified": "取消资格", "given_back": "发券后放弃",
    },
    "consultant": {
        "added": "已添加", "invited": "已邀请", "filling": "填写中", "in_review": "审核中", "returned": "退回补正", "rejected": "审核拒绝",
        "active": "已认证", "ended": "已解除",
    },
    "invitation": {"live": "有效", "accepted": "已接受", "declined": "已谢绝", "revoked": "已撤销", "expired": "已过期"},
}
# Rows that may also begin where another state leads to: a product with a price makes an order that is to be paid at once (E27).
# The first text of a product becomes a version when it is approved.
BEGIN_TOO = {"order": ("unpaid",), "product_version": ("approved",)}
HEAD = """\
# State machines

Drawn by `make states` from the graphs in `models/`; do not edit. `handlers.moves.move` walks one edge at a time and writes the
event on it into the audit trail in the same commit. The states of a draw's thousand tickets and of deliveries are moved in sets;
`tests/test_architecture.py` lists those statements.
"""


def graphs() -> list[Graph]:
    """Every graph of models/, in the order of the modules' names."""
    return [
        value for module in models.ALL for value in vars(import_module(module)).values() if isinstance(value, Graph)
    ]


def first_states(graph: Graph) -> list[StrEnum]:
    """Where a row may begin: the first of the enumeration, and what BEGIN_TOO says."""
    return [next(iter(graph.states)), *(graph.states(name) for name in BEGIN_TOO.get(graph.word, ()))]


def last_states(graph: Graph) -> list[StrEnum]:
    return [state for state in graph.states if not graph.next_states(state)]


def drawn(graph: Graph) -> str:
    labels = LABELS[graph.word]
    lines = [f"## {graph.word} · {MACHINES[graph.word]}", "", f"`{graph.table}.state`", "", "```mermaid", "stateDiagram-v2"]
    lines += [f"  {state}: {labels[state]} ({state})" for state in graph.states]
    lines += [f"  [*] --> {state}" for state in first_states(graph)]
    lines += [f"  {start} --> {to}: {event}" for (start, to), event in graph.edges.items()]
    lines += [f"  {state} --> [*]" for state in last_states(graph)]
    return "\n".join((*lines, "```", "", _ends(graph)))


def _ends(graph: Graph) -> str:
    ends = "、".join(f"{LABELS[graph.word][state]} `{state}`" for state in last_states(graph))
    return f"Terminal: {ends}." if ends else "No terminal state: every state can still move."


def page() -> str:
    return "\n".join((HEAD, *(drawn(graph) + "\n" for graph in graphs())))


if __name__ == "__main__":
    print(page(), end="")
