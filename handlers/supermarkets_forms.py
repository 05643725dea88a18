"""What the supermarket asks of a service institution (D03, D06), and what its association takes from the same form (D04)."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from handlers.application_forms import County, CreditCode, Form, MobilePhone, PersonName, Text
from handlers.file_types import SLOTS
from handlers.institutions_forms import BASIC, BUSINESS, CHOICES, CONTACT, Category, Introduction, Landline, Told
from handlers.outside import is_email


def _mailbox(address: str) -> str:
    if not is_email(address) or "*" in address:  # no asterisk: a masked address that a phone sends back must not replace the address
        raise PydanticCustomError("email", "邮箱格式不正确")
    return address


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_mailbox)]
Website = Annotated[str, StringConstraints(max_length=200, pattern=r"^https?://[^\s\x00-\x1f<>\"']+$")]


def _asked(title: str, page: str, **extra: Any) -> dict[str, Any]:
    return {"title": title, "json_schema_extra": {"x-page": page, **extra}}


class MembershipForm(Form):
    """企业发展服务促进会会员申请. Personal: contact_name, contact_phone, contact_email (sealed columns)."""

    institution_name: Text = Field(**_asked("单位名称", BASIC))
    credit_code: CreditCode = Field(**_asked("统一社会信用代码", BASIC))
    region_code: County = Field(**_asked("所在区县", BASIC))
    address: Text = Field(**_asked("地址", BASIC))
    introduction: Introduction = Field(**_asked("机构简介", BASIC))
    contact_name: PersonName = Field(**_asked("联系人姓名", CONTACT))
    contact_phone: MobilePhone = Field(**_asked("联系人手机号（不对外展示）", CONTACT))
    contact_email: Email = Field(**_asked("邮箱（接收审核结论，不对外展示）", CONTACT))


class CertificationForm(MembershipForm):
    """认证成为超市平台的服务机构."""

    category: Category = Field(**_asked("机构类别", BASIC, **{"x-choices": CHOICES}))
    service_scope: Told = Field(**_asked("服务范围", BUSINESS))
    landline: Landline = Field(**_asked("固定电话（对外公布）", CONTACT))
    website: Website | None = Field(default=None, **_asked("网址", CONTACT))
    join_association: bool = Field(default=False, **_asked("同时申请成为企业发展服务促进会会员机构", BUSINESS))


# What a membership application takes from a certification: all that its own form asks in public.
SHARED_FIELDS = ("institution_name", "credit_code", "region_code", "address", "introduction")
LICENCE, LOGO = SLOTS["institution_licence"], SLOTS["institution_logo"]
