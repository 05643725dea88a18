"""What the admission of an institution asks (C05-C13), with the titles of the manual."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from handlers.application_forms import County, CreditCode, Form, MobilePhone, PersonName, Text
from handlers.file_types import SLOTS, FileSlot
from handlers.outside import is_mobile
from handlers.personal import normalise
from handlers.texts import LINE, ONE_LINE, TEXT
from models.categories import CATEGORIES

ACCOUNT = re.compile(r"[0-9]{8,30}")
BASIC, CONTACT, BUSINESS, BANK, FILES = "基本信息", "联系信息", "经营信息", "银行信息", "附件信息"
# Between the Zengmu reef and Mohe, Pamir and Heixiazi (degrees, GCJ-02 as WeChat's map gives them).
LATITUDES, LONGITUDES = (3.0, 54.0), (73.0, 136.0)


def _landline(number: str) -> str:
    if is_mobile(normalise(number)):
        raise PydanticCustomError("landline", "会对外公布，请填写座机；手机号请填在联系人手机号")
    return number


def _category(code: str) -> str:
    if code not in CATEGORIES:
        raise PydanticCustomError("category", "没有该服务类别")
    return code


def _account(number: str) -> str:
    if not ACCOUNT.fullmatch(normalise(number)):  # no asterisk: a mask that comes back replaces nothing
        raise PydanticCustomError("bank_account", "银行账号应为 8-30 位数字")
    return number


def _pinned(pinned: bool) -> bool:
    if not pinned:
        raise PydanticCustomError("pinned", "请在地图上将图标拖动到机构实际位置并确定")
    return pinned


def _scopes_once(scopes: "list[ScopeLine]") -> "list[ScopeLine]":
    if len({(scope.category, "".join(scope.content.split())) for scope in scopes}) != len(scopes):
        raise PydanticCustomError("repeated", "不能重复填写")
    return scopes


Category = Annotated[str, AfterValidator(_category)]
Told = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), TEXT]
Introduction = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000), TEXT]
Landline = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 -]{4,30}$"), AfterValidator(_landline)]
BankBranch = Annotated[str, StringConstraints(pattern=r"^[\u4e00-\u9fff()（）]{2,30}银行[\u4e00-\u9fff()（）A-Za-z0-9]{1,40}支行$")]
Content = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=64, pattern=ONE_LINE), LINE]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class ScopeLine(_Part):
    """A line of 可用券产品申请表: 服务大类 and 服务内容."""

    category: Category
    content: Content


class Nothing(_Part):
    """填“无” (C11): said, not left out, so nobody forgets a file without noticing."""

    none: Literal[True]


def _asked(title: str, page: str, **extra: Any) -> dict[str, Any]:
    return {"title": title, "json_schema_extra": {"x-page": page, **extra}}


def _maybe(title: str) -> dict[str, Any]:
    return _asked(f"{title}填“无”", FILES)


CHOICES = [{"value": code, "title": title} for code, title in CATEGORIES.items()]


class AdmissionForm(Form):
    """服务机构入库认证资料. Personal: contact_name, contact_phone, bank_account (sealed columns)."""

    institution_name: Text = Field(**_asked("单位名称", BASIC))
    credit_code: CreditCode = Field(**_asked("统一社会信用代码", BASIC))
    category: Category = Field(**_asked("服务机构类别（与入库申请书一致）", BASIC, **{"x-choices": CHOICES}))
    introduction: Introduction = Field(**_asked("机构简介", BASIC))
    region_code: County = Field(**_asked("所在区县", BASIC))
    address: Text = Field(**_asked("注册地址（与营业执照一致）", BASIC))
    latitude: Annotated[float, Field(ge=LATITUDES[0], le=LATITUDES[1])] = Field(**_asked("地图位置：纬度", BASIC))
    longitude: Annotated[float, Field(ge=LONGITUDES[0], le=LONGITUDES[1])] = Field(**_asked("地图位置：经度", BASIC))
    pinned: Annotated[bool, AfterValidator(_pinned)] = Field(**_asked("已在地图上选中实际位置", BASIC))
    contact_name: PersonName = Field(**_asked("联系人姓名", CONTACT))
    contact_phone: MobilePhone = Field(**_asked("联系人手机号（不对外展示）", CONTACT))
    landline: Landline = Field(**_asked("固定电话（对外公布）", CONTACT))
    qualification_info: Told = Field(**_asked("资质信息（可填“无”）", BUSINESS))
    business_info: Told = Field(**_asked("业务信息（上年度或近期）", BUSINESS))
    finance_info: Told = Field(**_asked("财务信息（上年度或近期）", BUSINESS))
    bank_account_name: Text = Field(**_asked("银行开户名称（单位名称）", BANK))
    bank_branch: BankBranch = Field(**_asked("银行开户支行（XX银行XX支行）", BANK))
    bank_account: Annotated[str, AfterValidator(_account)] = Field(**_asked("银行账号", BANK))
    scopes: Annotated[list[ScopeLine], Field(min_length=1, max_length=50), AfterValidator(_scopes_once)] = Field(
        **_asked("可用券产品申请表", BUSINESS)
    )
    no_qualification_photos: Nothing | None = Field(default=None, **_maybe("资质证明照片"))
    no_licence_photos: Nothing | None = Field(default=None, **_maybe("执业证书照片"))
    no_other_photos: Nothing | None = Field(default=None, **_maybe("其他证明照片"))
    no_ranking_photos: Nothing | None = Field(default=None, **_maybe("行业排名照片"))
    no_business_photos: Nothing | None = Field(default=None, **_maybe("业绩开展照片"))
    no_contracts: Nothing | None = Field(default=None, **_maybe("合同协议附件"))
    no_client_list: Nothing | None = Field(default=None, **_maybe("上年度服务企业名单"))
    no_recommendation: Nothing | None = Field(default=None, **_maybe("入库服务机构推荐表"))


REQUIRED_FILES = tuple(SLOTS[name] for name in ("institution_picture", "institution_licence", "admission_letter", "product_application"))
# The field that says “无” -> the files it speaks of.
MAYBE_FILES: Mapping[str, FileSlot] = {field: SLOTS[name] for field, name in (
    ("no_qualification_photos", "qualification_photos"), ("no_licence_photos", "practice_photos"), ("no_other_photos", "other_photos"),
    ("no_ranking_photos", "ranking_photos"), ("no_business_photos", "business_photos"), ("no_contracts", "contracts"),
    ("no_client_list", "client_list"), ("no_recommendation", "recommendation_letter"),
)}
