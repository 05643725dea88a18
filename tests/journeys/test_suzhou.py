"""The Suzhou manual from the certification of an institution to a consultant who is invited again, walked by real processes."""

from pathlib import Path

from tests.journeys import family


def test_the_suzhou_manual_is_walked_to_its_end_and_the_books_balance(tmp_path: Path) -> None:
    with family(tmp_path) as running:
        printed = running.walk("suzhou")
        for line in (
            "勾选“同时申请成为企业发展服务促进会会员机构”；提交：submitted",
            "《【企服券】审核结果：审核通过》：您提交的「认证服务机构申请」审核通过",
            "您提交的「企业发展服务促进会入会申请」审核通过",
            "同意隐私政策，用短信验证码接受邀请，进入《顾问认证信息》",
            "超市管理员审核通过：张顾问 执业律师，状态 active",
            "出示工牌，路人扫码：有效（张顾问，",
            "从目录选择《常年法律顾问》，30,000.00元，无需审核：listed",
            "参数：服务周期 90工作日、服务方式 现场与远程；提交审核：in_review",
            "区外企业登记被拒绝：区外企业不能成为该平台的企业用户，可以普通用户身份浏览",
            "机构邮箱收到《【企服券】新需求》",
            "机构手机收到微信订阅消息：新需求通知",
            "公开的需求也推送给同类机构：劳动合同合规审查（来自 苏州****公司）",
            "接单前联系方式：接单后且在对接期间方可查看联系方式",
            "联系人 周强 13900139001",
            "电话联系后维护对接结果：signed，已签订常年法律顾问合同",
            "电话联系后维护对接结果：no_contact，多次致电未接通",
            "需求对接结果：converted_to_order",
            "第四笔备案的提示：同一企业与本机构三十天内备案过多（3 项事实）",
            "未核实提示不能通过：审核意见不完整",
            "逐项核实后通过：approved，计入得分：是",
            "顾问交易量同时增加，活跃度 4.80 分",
            "企业评价（好评），机构评价前不可见：我收到的评价 0 条",
            "双方均已评价，同时公布；我收到的评价：律师专业、响应及时（内容安全检测已通过）",
            "加分情况：活动 1 次，80 人次",
            "综合得分 39.60 分，活跃度 9.60 分",
            "园区机构活跃度排名：第 1 名，共 1 家",
            "机构收到“需求尚未查看”",
            "四个工作日无人接单，平台推荐：江苏同类律师事务所",
            "产品 2 个，顾问 张顾问，评价 1 条，得分 39.60 分",
            "机构单方面解除关联：ended；再扫同一工牌：已失效：该顾问已不代表此机构",
            "转由机构处理：负责顾问 无，状态 contacted",
            "顾问在小程序扫码打开",
            "✓ 苏州手册全程走完。",
        ):
            assert line in printed, line
        assert printed.count("路人扫码：有效") == 3
        assert running.check_books().endswith("invariants hold.\n")
