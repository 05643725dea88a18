"""我的订单 as the Zhengzhou manual shows it: the tabs above, one line for each order below."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from demo.walks import local
from handlers.money import yuan
from handlers.orders.labels import TAB_TITLES, Tab

HEAD = ("服务大类", "服务小类", "产品价格", "订单金额", "支付创新券金额", "添加时间", "状态", "备注", "操作")


def tabs(counts: Mapping[Tab, int]) -> str:
    """`counts`: orders in each tab; 全部 is their sum."""
    return " │ ".join((f"全部 {sum(counts.values())}", *(f"{title} {counts[tab]}" for tab, title in TAB_TITLES.items())))


def table(orders: list[Any]) -> list[str]:
    """The lines of the list, in columns."""
    lines = [HEAD, *(_line(order) for order in orders)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(HEAD))]
    return ["  ".join(cell + " " * (widths[column] - _width(cell)) for column, cell in enumerate(line)).rstrip() for line in lines]


def _line(order: Any) -> tuple[str, ...]:
    placed = local(datetime.fromisoformat(order["placed_at"]))
    return (
        order["category_title"], order["content"], _yuan(order["list_price_fen"]), _yuan(order["order_fen"]), _yuan(order["voucher_fen"]),
        f"{placed:%Y-%m-%d %H:%M:%S}", f"● {order['label']}", order["remark"] or "-", _button(order),
    )


def _button(order: Any) -> str:
    if "settle_price" in order["allowed_actions"]:
        return "核定价格"
    return "申请兑付" if order["tab"] == Tab.PAID else "-"


def _yuan(fen: int) -> str:
    return yuan(fen).removesuffix(".00")


def _width(text: str) -> int:
    """Columns of a terminal: an ideograph takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
