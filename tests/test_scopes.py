import pytest

from handlers.scopes import UNSUPPORTED, duplicates, likeness, plain_name, unsupported

# The list of article 11, in its order and words.
ARTICLE_11 = ["行政机关收取的官方费用", "室内外装修类服务", "基础建设", "基建设备购买及租赁类服务", "产品及设备购买", "工程造价咨询", "仓储类服务", "市政基础建设及检测类服务", "车辆租赁", "交通运输", "建筑劳务类服务", "学生教育及考试培训类服务", "养殖类服务", "餐饮及娱乐类服务", "消费品购买及租赁类服务", "医疗服务", "商业验货", "大批量验货", "法定认定", "执法检查", "商业性技术检测"]  # noqa: E501


def test_the_table_has_the_scopes_of_the_article() -> None:
    assert [scope.title for scope in UNSUPPORTED] == ARTICLE_11
    assert len({scope.code for scope in UNSUPPORTED}) == 21


def refused(*names: str, texts: tuple[str, ...] = ()) -> list[str]:
    return [found["title"] for found in unsupported(names, texts) if found["refused"]]


@pytest.mark.parametrize("scope", UNSUPPORTED, ids=lambda scope: scope.code)
def test_every_clear_word_in_a_name_refuses(scope: object) -> None:
    for word in scope.clear:  # type: ignore[attr-defined]
        assert scope.title in refused(f"优质{word}项目"), word  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [
    "高新技术企业申报", "版权服务", "知识产权申请服务", "计量服务", "年度财务报表审计", "研发费用专项审计", "ISO14001环境管理体系认证",
    "ISO22000食品安全管理体系认证", "企业管理咨询", "法律顾问", "专利检索与分析", "检验检测服务", "人力资源招聘服务",
])
def test_what_the_manuals_sell_is_not_touched(name: str) -> None:
    assert unsupported((name,), ()) == []


@pytest.mark.parametrize(("name", "title"), [
    ("仓储管理系统开发", "仓储类服务"), ("仓储服务软件开发", "仓储类服务"), ("餐饮服务食品安全管理体系认证", "餐饮及娱乐类服务"),
    ("物流方案咨询", "交通运输"),
])
def test_a_service_about_such_a_scope_is_for_the_reviewer(name: str, title: str) -> None:
    found = unsupported((name,), ())
    assert [(one["title"], one["refused"]) for one in found] == [(title, False)]
    assert found[0]["words"]


def test_a_clear_word_in_a_text_is_for_the_reviewer_with_the_word() -> None:
    found = unsupported(("企业管理咨询",), ("含办公室装修。",))
    assert [(one["check"], one["refused"], one["words"]) for one in found] == [("unsupported.decoration", False, ["装修"])]


def test_an_innocent_content_does_not_excuse_the_name() -> None:
    assert refused("门店装修", "版权服务") == ["室内外装修类服务"]
    assert refused("门店装修软件开发", "办公室装修") == ["室内外装修类服务"]


def test_spelling_hides_nothing() -> None:
    assert refused("ｋｔｖ 包场") == ["餐饮及娱乐类服务"]
    assert refused("工 程 造 价 咨 询") == ["工程造价咨询"]


def test_the_same_name_in_another_spelling_is_the_same_product() -> None:
    assert plain_name("年度审计（专项）") == plain_name("年度 审计-专项")
    others = {7: ("年度审计（专项）", "甲"), 8: ("法律顾问", "乙")}
    assert [(one["check"], one["refused"], one["others"]) for one in duplicates("年度审计专项", "丙", others)] == [("duplicate", True, [7])]


def test_a_name_that_is_nearly_the_same_is_for_the_reviewer() -> None:
    found = duplicates("高新技术企业申报服务", "甲", {3: ("高新技术企业申报", "乙")})
    assert [(one["check"], one["refused"], one["others"]) for one in found] == [("near_duplicate", False, [3])]
    assert duplicates("ISO9001质量管理体系认证服务", "甲", {3: ("ISO14001质量管理体系认证服务", "乙")}) == []


def test_a_copied_introduction_is_for_the_reviewer() -> None:
    text = "由具备资质的团队提供现场审计服务，出具审计报告两份。"
    found = duplicates("年度审计", text, {3: ("清产核资", text + "！"), 4: ("税务鉴证", "完全不同的介绍文字")})
    assert [(one["check"], one["others"]) for one in found] == [("same_text", [3])]


def test_likeness_is_one_for_the_same_and_nothing_for_strangers() -> None:
    assert (likeness("年度审计", "年度审计"), likeness("年度审计", "法律顾问"), likeness("审", "审")) == (1.0, 0.0, 1.0)
