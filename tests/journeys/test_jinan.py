"""The Jinan manual from the first log-in to the system's review, walked by real processes."""

from pathlib import Path

from tests.journeys import family


def test_the_jinan_manual_is_walked_to_its_end_and_the_books_balance(tmp_path: Path) -> None:
    with family(tmp_path) as running:
        printed = running.walk("jinan")
        for line in (
            "预约期内改为：体系认证服务专用券（票号不变）",
            "到达公示时间：中签",
            "结论：全部通过",
            "券包：体系认证服务专用券 2,000.00元",
            "支付成功：用券 1,200.00元，线下支付 2,800.00元；待服务商确认",
            "支付成功：用券 800.00元，线下支付 3,200.00元；待服务商确认",
            "系统自动评价：已评价，系统默认评价不计入评分",
            "服务机构评分：好评 1，系统默认 1",
            "✓ 济南手册全程走完。",
        ):
            assert line in printed
        assert running.check_books().endswith("invariants hold.\n")
