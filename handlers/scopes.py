"""What vouchers never pay for (article 11, C18), and what makes a product look like another one (C20, F26): words and sums, no database.

A clear word in what a product is called refuses it; anything weaker is shown to the reviewer with the words that were found,
because 仓储 is also in 仓储管理系统开发.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypedDict

from handlers.product_search import folded


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A scope of article 11. `clear` in a name refuses, `weak` in a name or `clear` in a text is for the reviewer."""

    code: str
    title: str
    clear: tuple[str, ...]
    weak: tuple[str, ...] = ()


def _scope(code: str, title: str, clear: str, weak: str = "") -> Unsupported:
    return Unsupported(code, title, tuple(clear.split()), tuple(weak.split()))


UNSUPPORTED = (
    _scope("official_fees", "行政机关收取的官方费用", "官费 官方费用 行政事业性收费 规费代缴 代缴规费 年费代缴 代缴年费", "规费 年费 代缴"),
    _scope("decoration", "室内外装修类服务", "装修 装饰工程 室内装饰 外墙装饰 装潢", "装饰 软装 幕墙 粉刷"),
    _scope("construction", "基础建设", "基础建设 基建工程 土建 厂房建设 土石方", "基建 施工 建设工程"),
    _scope("construction_equipment", "基建设备购买及租赁类服务", "基建设备 塔吊 挖掘机 脚手架 起重机租赁", "工程机械 工程设备 设备租赁"),
    _scope("goods", "产品及设备购买", "设备购买 设备采购 设备销售 产品购买 产品采购 硬件采购 硬件销售 耗材采购", "采购 购置 销售 硬件"),
    _scope("cost_engineering", "工程造价咨询", "工程造价 造价咨询 工程预算编制", "工程量清单 预决算 造价"),
    _scope("storage", "仓储类服务", "仓储服务 仓储租赁 货物仓储 仓库租赁 冷库租赁", "仓储 仓库 冷库"),
    _scope("municipal", "市政基础建设及检测类服务", "市政工程 市政建设 市政基础 市政检测 道路检测 桥梁检测 管网检测", "市政 管网"),
    _scope("vehicle_rental", "车辆租赁", "车辆租赁 汽车租赁 租车 班车租赁", "用车 通勤车"),
    _scope("transport", "交通运输", "交通运输 货物运输 货运 物流运输 快递服务 搬家", "运输 物流 快递"),
    _scope("labour", "建筑劳务类服务", "建筑劳务 劳务分包 施工劳务", "劳务"),
    _scope("schooling", "学生教育及考试培训类服务",
           "学生教育 考试培训 考证培训 学历提升 学历教育 中小学 学科辅导 考研 公考", "考试 考证 学历 学生"),
    _scope("farming", "养殖类服务", "养殖服务 水产养殖 畜禽养殖 养殖技术", "养殖 饲料 兽药"),
    _scope("catering", "餐饮及娱乐类服务", "餐饮服务 餐饮配送 团餐 宴会 娱乐服务 团建 KTV 旅游服务", "餐饮 用餐 娱乐 旅游"),
    _scope("consumer_goods", "消费品购买及租赁类服务",
           "消费品购买 消费品采购 消费品租赁 礼品采购 福利采购 办公用品采购", "消费品 礼品 办公用品"),
    _scope("medical", "医疗服务", "医疗服务 诊疗 门诊 体检 疫苗接种", "医疗 健康管理"),
    _scope("goods_inspection", "商业验货", "商业验货 第三方验货 出货验货 验货服务", "验货"),
    _scope("bulk_inspection", "大批量验货", "大批量验货 批量验货 大货检验", "批量检验 逐批检验"),
    _scope("statutory_recognition", "法定认定", "法定认定 司法鉴定 伤残鉴定", "法定检验 强制检定"),
    _scope("enforcement", "执法检查", "执法检查 执法检测 监督抽检", "执法 抽检"),
    _scope("commercial_testing", "商业性技术检测", "商业性技术检测 商业性检测 商业检测", "委托检验 来样检测 批量检测"),
)
# Beside one of these the clear word says what the service is about, not what it is: 仓储服务软件开发, 餐饮服务商标注册.
ABOUT = ("软件", "系统", "平台", "认证", "专利", "商标", "版权", "著作权", "知识产权", "算法", "标准制定")
NEAR_DUPLICATE = 0.75  # of the pairs of letters in both names: one word more or less in a name of ten letters
SAME_TEXT = 0.9


class Finding(TypedDict):
    """What the checker found. `refused`: it may not be submitted so. `words` were matched; `others` are products' ids."""

    check: str
    title: str
    refused: bool
    words: list[str]
    others: list[int]


def finding(check: str, title: str, *, refused: bool = False, words: Iterable[str] = (), others: Iterable[int] = ()) -> Finding:
    return {"check": check, "title": title, "refused": refused, "words": list(words), "others": list(others)}


def unsupported(names: Iterable[str], texts: Iterable[str]) -> list[Finding]:
    """The scopes of article 11 that a product's names (its own and its content's) and texts speak of."""
    called = [folded(name) for name in names]
    named, told = "\n".join(called), "\n".join(map(folded, texts))
    # Each name for itself: 版权服务 as the content excuses no 装修 in the name.
    itself = "\n".join(name for name in called if not any(word in name for word in ABOUT))
    found = []
    for scope in UNSUPPORTED:
        refused = any(folded(word) in itself for word in scope.clear)
        words = [word for word in (*scope.clear, *scope.weak) if folded(word) in named]
        words += [word for word in scope.clear if word not in words and folded(word) in told]
        if words:
            found.append(finding(f"unsupported.{scope.code}", scope.title, refused=refused, words=words))
    return found


def plain_name(name: str) -> str:
    """What is compared of a name: letters and digits in one spelling, so 年度审计（专项） is 年度审计专项."""
    return "".join(letter for letter in folded(name) if letter.isalnum())


def likeness(one: str, other: str) -> float:
    """Jaccard index of the pairs of neighbouring letters: 1.0 for the same, 0.0 for nothing in common."""
    first, second = ({left + right for left, right in pairwise(text)} or {text} for text in (plain_name(one), plain_name(other)))
    return len(first & second) / len(first | second)


def duplicates(name: str, text: str, others: Mapping[int, tuple[str, str]]) -> list[Finding]:
    """Whether a product is one of `others` (id -> (name, text)) again, all of one institution and one kind of service."""
    found = []
    if same := [number for number, (known, _) in others.items() if plain_name(known) == plain_name(name)]:
        found.append(finding("duplicate", "与本机构已有产品重名", refused=True, others=same))
    if near := [number for number, (known, _) in others.items() if number not in same and _near(name, known)]:
        found.append(finding("near_duplicate", "与本机构已有产品名称相近", others=near))
    if told := [number for number, (_, known) in others.items() if number not in same and text and likeness(text, known) >= SAME_TEXT]:
        found.append(finding("same_text", "与本机构已有产品的介绍基本相同", others=told))
    return found


def _near(one: str, other: str) -> bool:
    """Numbers tell products apart that are otherwise called the same: ISO9001, ISO14001."""
    digits = [[letter for letter in plain_name(name) if letter.isdigit()] for name in (one, other)]
    return digits[0] == digits[1] and likeness(one, other) >= NEAR_DUPLICATE
