"""The Zhengzhou manual from the registration of an institution to its statement, walked by real processes."""

from pathlib import Path

from tests.journeys import family

# The columns of the manual's own sample rows: 服务小类, 产品价格, 订单金额, 支付创新券金额, 状态, 备注, 操作.
ROWS = [
    ["知识产权申请服务", "600", "5", "0", "支付审核拒绝", "订单金额与合同金额不一致", "核定价格"],
    ["知识产权申请服务", "600", "5", "5", "支付审核中", "-", "-"],
    ["知识产权申请服务", "600", "5", "5", "已支付", "-", "申请兑付"],
    ["知识产权申请服务", "600", "5", "5", "已兑付", "-", "-"],
    ["知识产权申请服务", "600", "600", "0", "未支付", "-", "核定价格"],
    ["计量服务", "1500", "1500", "0", "未支付", "-", "核定价格"],
    ["高新技术企业申报", "60000", "60000", "0", "未支付", "-", "核定价格"],
]


def rows(printed: str) -> list[list[str]]:
    """The lines of the order lists, without 服务大类 and 添加时间."""
    lists = (line.replace("● ", "").split() for line in printed.splitlines() if "●" in line)
    return [cells[1:5] + cells[7:] for cells in lists]


def test_the_zhengzhou_manual_is_walked_to_its_end_and_the_books_balance(tmp_path: Path) -> None:
    with family(tmp_path) as running:
        printed = running.walk("zhengzhou")
        shown = rows(printed)
        assert [row for row in ROWS if row not in shown] == []
        for line in (
            "创新协同中心审核：审核通过",
            "计量服务 审核拒绝，备注“收费标准不明确”，编辑后重新提交",
            "获批 50,000.00元",
            "核定价格成功：订单金额 5.00元",
            "支付审核拒绝（订单金额与合同金额不一致），服务券已退回，用券 0.00元",
            "应兑付 = min(用券 5.00，实际发生 5.00 × 60%) = 3.00 元；未足额 2.00 元",
            "预兑付，应兑付 3.00元，未足额 2.00元",
            "登记银行回单，批次已办结；订单：已兑付",
            "全部 4 │ 未支付 3 │ 支付审核中 0 │ 支付审核拒绝 0 │ 已支付 0 │ 兑付审核中 0 │ 预兑付 0 │ 已兑付 1 │ 兑付审核拒绝 0 │ 已关闭 0",
            "下单支付 1 笔，5.00元",
            "兑付 1 笔，3.00元",
            "✓ 郑州手册全程走完。",
        ):
            assert line in printed
        assert running.check_books().endswith("invariants hold.\n")
