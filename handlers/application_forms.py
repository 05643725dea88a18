"""What the forms ask (E03, E06, E07), with the titles of the manuals; the JSON schemas that phones draw are made from these.

Amounts are integer fen, also where a title says 万元: the phone shows and reads 万元 (`x-scale` = 1,000,000 fen).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Self, TypedDict

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from handlers.accounts.organisations import credit_code_of
from handlers.outside import MOBILE_PATTERN, is_email
from handlers.texts import LINE, TEXT

WAN_FEN = 1_000_000  # 1 万元 = 10,000 yuan = 1,000,000 fen
AMOUNT_MAX_FEN = 10**15  # ten trillion yuan, and still exact in a phone's double
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643

PROBLEMS = {
    "missing": "必填", "string_type": "应为文字", "int_type": "应为整数", "int_from_float": "应为整数", "list_type": "应为列表",
    "string_too_short": "过短", "string_too_long": "过长", "string_pattern_mismatch": "格式不正确", "enum": "不是可选的值",
    "greater_than_equal": "过小", "less_than_equal": "过大", "too_long": "选项过多", "too_short": "选项过少",
    "float_type": "应为数字", "bool_type": "应为是或否", "extra_forbidden": "没有这一项",
}


def is_id_number(number: str) -> bool:
    """GB 11643: 17 digits and a check digit modulo 11, where X is ten."""
    if not re.fullmatch("[1-9][0-9]{16}[0-9X]", number):
        return False
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(number, ID_WEIGHTS, strict=False)) % 11] == number[17]


class ProblemView(TypedDict):
    """One thing to correct: `field` for the program (* for one that the form does not have), the rest for the person."""

    field: str
    title: str
    problem: str


def _credit_code(code: str) -> str:
    if credit_code_of(code) != code:  # as it is written on the licence: the form is kept as it was typed
        raise PydanticCustomError("credit_code", "统一社会信用代码不正确")
    return code


def _id_number(number: str) -> str:
    if not is_id_number(number):
        raise PydanticCustomError("id_number", "身份证号不正确")
    return number


def _email(address: str) -> str:
    if not is_email(address):
        raise PydanticCustomError("email", "邮箱格式不正确")
    return address


def _once(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("repeated", "不能重复选择")
    return values


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), LINE]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]
# No asterisk: a masked name that a phone sends back must not replace the name.
PERSON_NAME = r"^[\u3400-\u9fff\U00020000-\U0003ffffA-Za-z·. ]{2,50}$"
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=PERSON_NAME)]
Email = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_email)]
MobilePhone = Annotated[str, StringConstraints(pattern=f"^{MOBILE_PATTERN}$")]
CreditCode = Annotated[str, AfterValidator(_credit_code)]
IdNumber = Annotated[str, AfterValidator(_id_number)]
County = Annotated[str, StringConstraints(pattern="^[1-9][0-9]{5}$")]
Fen = Annotated[int, Field(ge=0, le=AMOUNT_MAX_FEN)]


class Titled(StrEnum):
    """A choice with a title for people."""

    title_: str

    def __new__(cls, value: str, title: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.title_ = title
        return member


class Industry(Titled):
    """The sections of GB/T 4754-2017."""

    A = "A", "农、林、牧、渔业"
    B = "B", "采矿业"
    C = "C", "制造业"
    D = "D", "电力、热力、燃气及水生产和供应业"
    E = "E", "建筑业"
    F = "F", "批发和零售业"
    G = "G", "交通运输、仓储和邮政业"
    H = "H", "住宿和餐饮业"
    I = "I", "信息传输、软件和信息技术服务业"  # noqa: E741 - the letter of the standard
    J = "J", "金融业"
    K = "K", "房地产业"
    L = "L", "租赁和商务服务业"
    M = "M", "科学研究和技术服务业"
    N = "N", "水利、环境和公共设施管理业"
    O = "O", "居民服务、修理和其他服务业"  # noqa: E741 - the letter of the standard
    P = "P", "教育"
    Q = "Q", "卫生和社会工作"
    R = "R", "文化、体育和娱乐业"


class EnterpriseType(Titled):
    STATE = "state_owned", "国有企业"
    COLLECTIVE = "collective", "集体企业"
    PRIVATE = "private", "民营企业"
    FOREIGN = "foreign", "外商投资企业"
    OVERSEAS_CHINESE = "hong_kong_macao_taiwan", "港澳台商投资企业"
    OTHER = "other", "其他"


class Honour(Titled):
    UNICORN = "unicorn", "独角兽(企业)"
    GAZELLE = "gazelle", "瞪羚(后备)企业"
    SPECIALISED = "specialised", "专精特新企业"
    ONE_TECHNOLOGY = "one_technology", "一企一技术"


class SizeClass(Titled):
    MEDIUM = "medium", "中型"
    SMALL = "small", "小型"
    MICRO = "micro", "微型"


def _asked(title: str, page: str, **extra: Any) -> dict[str, Any]:
    return {"title": title, "json_schema_extra": {"x-page": page, **extra}}


def _chosen(title: str, choices: type[Titled], page: str = "基本信息") -> dict[str, Any]:
    # A list: pydantic sorts the keys of its schemas, and people expect the order of the manual.
    return _asked(title, page, **{"x-choices": [{"value": choice.value, "title": choice.title_} for choice in choices]})


def _wan(title: str) -> dict[str, Any]:
    return _asked(title, "基本信息", **{"x-scale": WAN_FEN})


class Form(BaseModel):
    """A field without a default is required. Names of personal fields are the names of sealed columns."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class CertificationForm(Form):
    """实名认证企业 (E03)."""

    enterprise_name: Text = Field(**_asked("企业名称", "基本信息"))
    credit_code: CreditCode = Field(**_asked("统一社会信用代码", "基本信息"))
    region_code: County = Field(**_asked("所在区县", "基本信息"))
    address: Text = Field(**_asked("注册地址", "基本信息"))
    legal_person_name: PersonName = Field(**_asked("法定代表人姓名", "基本信息"))
    legal_person_id_number: IdNumber = Field(**_asked("法定代表人身份证号", "基本信息"))
    contact_name: PersonName = Field(**_asked("联系人姓名", "联系信息"))
    contact_phone: MobilePhone = Field(**_asked("联系人手机号", "联系信息"))


class QualificationForm1(Form):
    """服务券资格, as the manual has it: eight starred fields and four others (E06, E07)."""

    enterprise_name: Text = Field(**_asked("企业名称", "基本信息"))
    region_code: County = Field(**_asked("所在区县", "基本信息"))
    tax_last_year_fen: Fen = Field(**_wan("上年度纳税额(万元)"))
    main_business: LongText = Field(**_asked("主营业务", "基本信息"))
    employees: Annotated[int, Field(ge=1, le=10_000_000)] = Field(**_asked("职工总数", "基本信息"))
    revenue_last_year_fen: Fen = Field(**_wan("上年度营业收入(万元)"))
    industry: Industry = Field(**_chosen("所属行业", Industry))
    assets_last_year_fen: Fen = Field(**_wan("上年资产总额(万元)"))
    legal_person_name: PersonName | None = Field(default=None, **_asked("法人姓名", "基本信息"))
    research_last_year_fen: Fen | None = Field(default=None, **_wan("上年度研发投入(万元)"))
    enterprise_type: EnterpriseType | None = Field(default=None, **_chosen("企业类型", EnterpriseType))
    honours: Annotated[list[Honour], AfterValidator(_once)] = Field(default=[], max_length=4, **_chosen("企业资质", Honour))


class QualificationForm2(QualificationForm1):
    """Since the statistics bureau's size class decides who is 中小微, it is asked for; earlier forms must be completed (E14)."""

    size_class: SizeClass = Field(**_chosen("统计上大中小微型企业划分", SizeClass))


def title_of(form: type[Form], field: str) -> str:
    known = form.model_fields.get(field)
    return str(known.title) if known else ""


@cache  # each reservation asks
def required_fields(form: type[Form]) -> tuple[str, ...]:
    return tuple(name for name, field in form.model_fields.items() if field.is_required())


def problems_of(form: type[Form], values: Mapping[str, Any]) -> list[ProblemView]:
    """What keeps a form from being submitted; empty when it is complete and right."""
    return [_item(form, error) for error in _errors(form, values)]


def draft_problems_of(form: type[Form], values: Mapping[str, Any]) -> list[ProblemView]:
    """The same for a draft: what is there must be right, what is missing may be."""
    return [_item(form, error) for error in _errors(form, values) if error["type"] != "missing"]


def _errors(form: type[Form], values: Mapping[str, Any]) -> list[Any]:
    """The first error of each field. Validated as JSON, where a choice is its text and nothing else is coerced."""
    try:
        form.model_validate_json(orjson.dumps(filled(values)))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        return list({error["loc"][:1]: error for error in reversed(found)}.values())[::-1][:50]
    return []


def _item(form: type[Form], error: Any) -> ProblemView:
    field, kind, said = str(error["loc"][0]), error["type"], error["msg"]
    problem = PROBLEMS.get(kind) or (said if re.search("[\u4e00-\u9fff]", said) else "格式不正确")
    # A name that we do not know is not repeated to anybody.
    return {"field": field if field in form.model_fields else "*", "title": title_of(form, field), "problem": problem}


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are kept: texts stripped, null left out."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items() if value is not None}


def is_filled(form: type[Form], values: Mapping[str, Any]) -> bool:
    """Whether everything that this version requires is there (E14); `values` were right when they were taken in."""
    return all(values.get(name) is not None for name in required_fields(form))
